//! Which keys cannot occur at two gateways.

use headwater_engine::fragment::{Fragment, Input, OperatorSpec};

use crate::catalog::TableDef;
use crate::compile::as_column;
use crate::lower::Layout;
use crate::plan::Origin;

/// Whether the key of a deduplication holds the gateway, or every column that the source says to
/// be gateway-local together.
pub(crate) fn is_gateway_local(
    fragment: &Fragment,
    step: usize,
    layout: &Layout,
    tables: &[TableDef],
) -> bool {
    let OperatorSpec::DedupFirst(spec) = &fragment.steps[step].operator else { return false };
    let input = fragment.steps[step].inputs[0];
    let origins: Vec<(usize, usize)> =
        spec.key.iter().filter_map(|column| origin(fragment, input, *column)).collect();
    let Some((scan, _)) = origins.first().copied() else { return false };
    let (table, decoded) = &layout.scans[scan];
    let is_gateway = |column: usize| {
        decoded.get(column).is_some_and(|c| c.origin == Origin::Metadata("gateway".to_owned()))
    };
    if origins.iter().any(|(_, column)| is_gateway(*column)) {
        return true;
    }
    let Some((names, _)) = tables[*table].options.get("gateway-local") else { return false };
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    let schema = fragment.scans[scan].schema();
    let held: Vec<&str> =
        origins.iter().map(|(_, column)| schema.fields[*column].name.as_str()).collect();
    names.iter().all(|name| held.contains(name))
}

/// The scan and its column that a column merely passes on.
fn origin(fragment: &Fragment, input: Input, column: usize) -> Option<(usize, usize)> {
    let step = match input {
        Input::Scan(scan) => return Some((scan, column)),
        Input::Step(step) => &fragment.steps[step],
    };
    let below = step.inputs[0];
    match &step.operator {
        OperatorSpec::Filter(_) | OperatorSpec::DedupFirst(_) => origin(fragment, below, column),
        OperatorSpec::Project(exprs) => origin(fragment, below, as_column(&exprs[column])?),
        OperatorSpec::WindowAssign(_) | OperatorSpec::Unnest { .. } => {
            let width = match below {
                Input::Scan(scan) => fragment.scans[scan].schema().len(),
                Input::Step(step) => fragment.steps[step].schema.len(),
            };
            (column < width).then(|| origin(fragment, below, column)).flatten()
        }
        OperatorSpec::WindowAggregate(_) => None,
    }
}
