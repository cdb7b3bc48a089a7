//! Arrays unnested beside their rows, and event times beside those of the session's clock.

use std::collections::BTreeSet;

use headwater_engine::fragment::OperatorSpec;

use crate::logical::NodeId;
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering};

/// The columns that are read of an input of `width` columns.
pub(super) fn reads(own: &BTreeSet<usize>, array: usize, width: usize) -> BTreeSet<usize> {
    own.iter().copied().filter(|c| *c < width).chain([array]).collect()
}

impl Lowering<'_> {
    pub(super) fn unnest(&mut self, node: NodeId, input: NodeId, array: usize) -> Lowered {
        let width = self.graph.columns(input).len();
        let wanted = reads(&self.wanted(node, width), array, width);
        let taken = self.take(input, &wanted, None, Shape::Wide);
        let column = taken.at(array);
        self.appended("unnest", node, width, &taken, OperatorSpec::Unnest { column })
    }
    pub(super) fn local_time(
        &mut self,
        node: NodeId,
        input: NodeId,
        rowtime: usize,
        zone: &str,
    ) -> Lowered {
        let width = self.graph.columns(input).len();
        let wanted = reads(&self.wanted(node, width), rowtime, width);
        let late = self.needs.late(node);
        let taken = self.take(input, &wanted, late.as_ref(), Shape::Wide);
        self.passed_late.insert(node, taken.late.clone());
        let operator =
            OperatorSpec::LocalTime { rowtime: taken.at(rowtime), zone: zone.to_owned() };
        self.appended("local-time", node, width, &taken, operator)
    }
}
