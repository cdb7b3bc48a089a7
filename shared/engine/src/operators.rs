//! The list of operators: one variant of [`OperatorSpec`], one file, one line.

use alloc::{boxed::Box, format};

use crate::{
    calendar::Place,
    expr::CompileError,
    fragment::{OperatorSpec, Step},
    limits::Limits,
    operator::Operator,
    types::Schema,
};

pub mod absence;
mod agenda;
pub mod dedup_first;
pub mod filter;
pub mod group_aggregate;
pub mod interval_join;
pub mod join;
mod joined;
pub mod local_time;
pub mod lookup_join;
pub mod match_recognize;
pub mod over;
pub mod project;
pub mod rank;
pub mod session_aggregate;
pub mod session_windows;
pub mod sort;
pub mod temporal_join;
mod timers;
pub mod union;
pub mod unnest;
pub mod values;
pub mod window_aggregate;
pub mod window_assign;
pub mod window_join;

/// Makes the operator of a step. `inputs` are the schemas of its ports; `is_at_once` tells that
/// it need not hold rows for the sake of their order.
pub fn build(
    step: &Step,
    inputs: &[Schema],
    is_at_once: bool,
    limits: &Limits,
) -> Result<Box<dyn Operator>, CompileError> {
    let none = Schema::default();
    let input = inputs.first().unwrap_or(&none);
    Ok(match &step.operator {
        OperatorSpec::Filter(predicate) => Box::new(filter::Filter::new(predicate)?),
        OperatorSpec::Project(columns) => Box::new(project::Project::new(columns)?),
        OperatorSpec::DedupFirst(spec) => {
            Box::new(dedup_first::DedupFirst::new(spec, input, is_at_once, limits))
        }
        OperatorSpec::WindowAssign(spec) => {
            Box::new(window_assign::WindowAssign::new(spec, input.len()))
        }
        OperatorSpec::LocalTime { rowtime, zone } => {
            Box::new(local_time::LocalTime::new(*rowtime, place(zone)?, input.len()))
        }
        OperatorSpec::WindowAggregate(spec) => {
            Box::new(window_aggregate::WindowAggregate::new(spec, limits)?)
        }
        OperatorSpec::GroupAggregate(spec) => {
            Box::new(group_aggregate::GroupAggregate::new(spec, limits)?)
        }
        OperatorSpec::Absence(spec) => Box::new(absence::Absence::new(spec, input, limits)),
        OperatorSpec::MatchRecognize(spec) => {
            Box::new(match_recognize::MatchRecognize::new(spec, input, limits)?)
        }
        OperatorSpec::SessionAggregate(spec) => {
            Box::new(session_aggregate::SessionAggregate::new(spec, limits)?)
        }
        OperatorSpec::SessionWindows(spec) => {
            Box::new(session_windows::SessionWindows::new(spec, input, limits))
        }
        OperatorSpec::Over(spec) => over::build(spec, input, limits)?,
        OperatorSpec::Rank(spec) => Box::new(rank::Rank::new(spec, input, limits)),
        OperatorSpec::Sort(spec) => Box::new(sort::Sort::new(spec, input, limits)),
        OperatorSpec::Union => Box::new(union::Union),
        OperatorSpec::Values(rows) => Box::new(values::Values::new(rows)?),
        OperatorSpec::IntervalJoin(spec) => {
            Box::new(interval_join::IntervalJoin::new(spec, inputs, limits)?)
        }
        OperatorSpec::WindowJoin(spec) => {
            Box::new(window_join::WindowJoin::new(spec, inputs, limits)?)
        }
        OperatorSpec::TemporalJoin(spec) => {
            Box::new(temporal_join::TemporalJoin::new(spec, inputs, limits)?)
        }
        OperatorSpec::LookupJoin(spec) => {
            Box::new(lookup_join::LookupJoin::new(spec, inputs, limits)?)
        }
        OperatorSpec::Join(spec) => Box::new(join::Join::new(spec, inputs, limits)?),
        OperatorSpec::Unnest { column } => Box::new(unnest::Unnest::new(*column, input)),
    })
}

/// The zone of a plan.
pub(crate) fn place(text: &str) -> Result<Place, CompileError> {
    if text.is_empty() {
        return Ok(Place::default());
    }
    Place::parse(text).ok_or_else(|| CompileError(format!("there is no time zone '{text}'")))
}
