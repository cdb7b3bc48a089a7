//! Window functions: start, end and time appended to each row.

use std::collections::BTreeSet;

use headwater_engine::fragment::{OperatorSpec, WindowSpec};

use crate::logical::NodeId;
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering};

/// The columns that are read of an input of `width` columns.
pub(super) fn reads(own: &BTreeSet<usize>, window: &WindowSpec, width: usize) -> BTreeSet<usize> {
    own.iter().copied().filter(|c| *c < width).chain([window.rowtime]).collect()
}

impl Lowering<'_> {
    pub(super) fn windows(&mut self, node: NodeId, input: NodeId, window: &WindowSpec) -> Lowered {
        let width = self.graph.columns(input).len();
        let wanted = reads(&self.wanted(node, width), window, width);
        let taken = self.take(input, &wanted, None, Shape::Wide);
        let spec = WindowSpec { rowtime: taken.at(window.rowtime), ..window.clone() };
        self.appended("windows", node, width, &taken, OperatorSpec::WindowAssign(spec))
    }
}
