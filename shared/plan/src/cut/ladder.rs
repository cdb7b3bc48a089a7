//! `headwater.coarsen`: what a full outbox makes of window partials, and how the core takes it.
//!
//! Each rung is an exchange of its own with a merge of its own at the core, whose results join
//! those of the fine windows. An agent moves partials from one exchange to the next coarser one;
//! totals stay, and a result says by its window how fine it is.

use headwater_engine::fragment::Phase;
use headwater_engine::fragment::{
    Fragment, Input, OperatorSpec, Order, Output, OutputKind, Step, WindowAggregateSpec,
    WindowKind, WindowSpec,
};
use headwater_engine::types::Schema;

use super::{Cut, push, scan_of};
use crate::plan::{Channel, Rung};
use crate::settings::Settings;

/// The lengths to which the windows of a step can be made coarser, in ms.
pub(super) fn rungs(step: &Step, settings: &Settings) -> Vec<i64> {
    let (OperatorSpec::WindowAggregate(spec), Some((lengths, _))) =
        (&step.operator, &settings.ladder)
    else {
        return Vec::new();
    };
    let WindowSpec { size_ms, slide_ms, kind, .. } = spec.window;
    let is_tumbling = kind == WindowKind::Hopping && size_ms == slide_ms;
    let divides = |length: &&i64| **length > size_ms && **length % size_ms == 0;
    if is_tumbling { lengths.iter().filter(divides).copied().collect() } else { Vec::new() }
}

impl Cut<'_> {
    /// Adds an exchange and a merge for each rung; gives what replaces the fine results.
    pub(super) fn coarser(
        &mut self,
        merge: &Step,
        partials: &Schema,
        merged: Input,
        rungs: &[i64],
    ) -> Input {
        let mut results = vec![merged];
        let mut from = self.channels.len() - 1;
        for &size_ms in rungs {
            let to = self.rung(merge, partials, from, size_ms);
            let scan = Input::Scan(self.core.scans.len() - 1);
            let step = Step {
                name: format!("{} by {size_ms} ms", merge.name),
                operator: OperatorSpec::WindowAggregate(coarser_spec(merge, size_ms, None)),
                ..merge.clone()
            };
            results.push(push(&mut self.core, &step, vec![scan]));
            from = to;
        }
        if results.len() == 1 {
            return merged;
        }
        let union = Step {
            name: format!("{} of every length", merge.name),
            operator: OperatorSpec::Union,
            ..merge.clone()
        };
        push(&mut self.core, &union, results)
    }

    /// The exchange of one rung, and what an agent does to fill it.
    fn rung(&mut self, merge: &Step, partials: &Schema, from: usize, size_ms: i64) -> usize {
        let to = self.channels.len();
        let fine = &self.channels[from];
        let channel = Channel { name: format!("exchange-{}", to + 1), ..fine.clone() };
        let output = Output {
            name: channel.name.clone(),
            input: Input::Step(0),
            columns: None,
            schema: partials.clone(),
            kind: OutputKind::Exchange,
            order: Order::Any,
        };
        let step = Step {
            name: format!("{} to {size_ms} ms", merge.name),
            inputs: vec![Input::Scan(0)],
            operator: OperatorSpec::WindowAggregate(coarser_spec(
                merge,
                size_ms,
                Some(Phase::Coarsen),
            )),
            schema: partials.clone(),
            late_output: None,
        };
        let fragment = Fragment {
            scans: vec![scan_of(&fine.name, partials)],
            steps: vec![step],
            outputs: vec![output],
            ..Fragment::default()
        };
        self.core.scans.push(scan_of(&channel.name, partials));
        self.channels.push(channel);
        self.ladder.push(Rung { from, to, size_ms, fragment });
        to
    }
}

fn coarser_spec(merge: &Step, size_ms: i64, phase: Option<Phase>) -> WindowAggregateSpec {
    let OperatorSpec::WindowAggregate(spec) = &merge.operator else {
        unreachable!("called for an aggregate")
    };
    let window = WindowSpec { size_ms, slide_ms: size_ms, ..spec.window };
    WindowAggregateSpec { window, phase: phase.unwrap_or(spec.phase), ..spec.clone() }
}
