//! Aggregations without a window: only the calls that are read are kept.

use std::collections::BTreeSet;

use headwater_engine::fragment::{AggregateSpec, GroupAggregateSpec, Input, OperatorSpec};
use headwater_engine::types::Schema;

use crate::changes::Changes;
use crate::logical::{NodeId, NodeKind};
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering, aggregate, field};

/// The columns that are read of the input, given those that others read of the step.
pub(super) fn reads(
    own: &BTreeSet<usize>,
    keys: &[usize],
    aggregates: &[AggregateSpec],
) -> BTreeSet<usize> {
    let mut reads: BTreeSet<usize> = keys.iter().copied().collect();
    for call in aggregate::kept(own, keys, aggregates).into_iter().map(|i| &aggregates[i]) {
        reads.extend(call.arg.iter().map(|(c, _)| *c).chain(call.filter).chain(call.weight));
    }
    reads
}

impl Lowering<'_> {
    pub(super) fn group(&mut self, node: NodeId) -> Lowered {
        let graph = self.graph;
        let NodeKind::Group { input, keys, aggregates } = &graph.nodes[node].kind else {
            unreachable!("called for a group")
        };
        let all = graph.columns(node);
        let own = self.wanted(node, all.len());
        let kept = aggregate::kept(&own, keys, aggregates);
        let taken = self.take(*input, &reads(&own, keys, aggregates), None, Shape::Wide);
        let names = graph.columns(*input);
        let spec = GroupAggregateSpec {
            keys: keys.iter().map(|c| taken.at(*c)).collect(),
            key_types: keys.iter().map(|c| names[*c].data_type.clone()).collect(),
            aggregates: kept.iter().map(|i| taken.call(&aggregates[*i])).collect(),
            takes_changes: graph.changes(*input) != Changes::Appends,
            ttl_ms: self.state_ttl_ms,
        };
        let mut columns = vec![None; all.len()];
        let mut schema = Schema::default();
        for column in (0..keys.len()).chain(kept.iter().map(|i| keys.len() + i)) {
            columns[column] = Some(schema.fields.len());
            schema.fields.push(field(&all[column]));
        }
        let operator = OperatorSpec::GroupAggregate(spec);
        let step = self.step("group", &[taken.input], operator, schema);
        Lowered { input: Input::Step(step), columns }
    }
}
