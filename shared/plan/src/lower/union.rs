//! Streams put together: every input gives the same columns in the same order.

use std::collections::BTreeMap;

use headwater_engine::fragment::{Input, OperatorSpec};
use headwater_engine::types::Schema;

use crate::logical::NodeId;
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering, field};

impl Lowering<'_> {
    pub(super) fn union(&mut self, node: NodeId, inputs: &[NodeId]) -> Lowered {
        let all = self.graph.columns(node);
        let wanted = self.wanted(node, all.len());
        let taken: Vec<Input> = (inputs.iter())
            .map(|input| self.take(*input, &wanted, None, Shape::Exact).input)
            .collect();
        let schema = Schema::new(wanted.iter().map(|column| field(&all[*column])).collect());
        let step = self.step("union", &taken, OperatorSpec::Union, schema);
        let at: BTreeMap<usize, usize> = wanted.iter().copied().zip(0..).collect();
        let columns = (0..all.len()).map(|column| at.get(&column).copied()).collect();
        Lowered { input: Input::Step(step), columns }
    }
}
