//! Absence: the input's columns, and the deadline.

use std::collections::BTreeSet;

use headwater_engine::fragment::{AbsenceSpec, Input, OperatorSpec};

use crate::logical::NodeId;
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering};

/// The columns that are read of an input of `width` columns.
pub(super) fn reads(own: &BTreeSet<usize>, spec: &AbsenceSpec, width: usize) -> BTreeSet<usize> {
    let flags = spec.starts.into_iter().chain(spec.ends);
    let named = spec.key.iter().copied().chain([spec.rowtime]).chain(flags);
    own.iter().copied().filter(|c| *c < width).chain(named).collect()
}

impl Lowering<'_> {
    pub(super) fn absence(&mut self, node: NodeId, input: NodeId, spec: &AbsenceSpec) -> Lowered {
        let late = self.needs.late(node);
        let width = self.graph.columns(input).len();
        let wanted = reads(&self.wanted(node, width), spec, width);
        let taken = self.take(input, &wanted, late.as_ref(), Shape::Narrow);
        let placed = AbsenceSpec {
            key: spec.key.iter().map(|column| taken.at(*column)).collect(),
            rowtime: taken.at(spec.rowtime),
            gap_ms: spec.gap_ms,
            starts: spec.starts.map(|column| taken.at(column)),
            ends: spec.ends.map(|column| taken.at(column)),
        };
        let operator = OperatorSpec::Absence(placed);
        let lowered = self.appended("absence", node, width, &taken, operator);
        if let Input::Step(step) = lowered.input {
            self.late_output(step, late, &taken.late);
        }
        lowered
    }
}
