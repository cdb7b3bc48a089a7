//! Sessions: aggregated, or appended to each row.

use std::collections::BTreeSet;

use headwater_engine::fragment::{
    AggregateSpec, Input, OperatorSpec, SessionSpec, SessionWindowsSpec,
};
use headwater_engine::types::Schema;

use crate::logical::{NodeId, NodeKind};
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering, aggregate, field};

/// The columns that an aggregation reads of its input, given those that others read of it.
pub(super) fn reads(
    own: &BTreeSet<usize>,
    rowtime: usize,
    keys: &[usize],
    aggregates: &[AggregateSpec],
) -> BTreeSet<usize> {
    let mut reads: BTreeSet<usize> = keys.iter().copied().chain([rowtime]).collect();
    for call in aggregate::kept(own, keys, aggregates).into_iter().map(|i| &aggregates[i]) {
        reads.extend(call.arg.iter().map(|(c, _)| *c).chain(call.filter).chain(call.weight));
    }
    reads
}

/// The columns that sessions without aggregation read of an input of `width` columns.
pub(super) fn reads_windows(
    own: &BTreeSet<usize>,
    rowtime: usize,
    key: &[usize],
    width: usize,
) -> BTreeSet<usize> {
    own.iter().copied().filter(|c| *c < width).chain(key.iter().copied()).chain([rowtime]).collect()
}

impl Lowering<'_> {
    pub(super) fn session_aggregate(&mut self, node: NodeId) -> Lowered {
        let graph = self.graph;
        let NodeKind::SessionAggregate { input, rowtime, gap_ms, keys, aggregates } =
            &graph.nodes[node].kind
        else {
            unreachable!("called for an aggregation of sessions")
        };
        let late = self.needs.late(node);
        let all = graph.columns(node);
        let own = self.wanted(node, all.len());
        let kept = aggregate::kept(&own, keys, aggregates);
        let wanted = reads(&own, *rowtime, keys, aggregates);
        let taken = self.take(*input, &wanted, late.as_ref(), Shape::Wide);
        let names = graph.columns(*input);
        let spec = SessionSpec {
            rowtime: taken.at(*rowtime),
            gap_ms: *gap_ms,
            keys: keys.iter().map(|c| taken.at(*c)).collect(),
            key_types: keys.iter().map(|c| names[*c].data_type.clone()).collect(),
            aggregates: kept.iter().map(|i| taken.call(&aggregates[*i])).collect(),
            time_type: names[*rowtime].data_type.clone(),
        };
        let mut columns = vec![None; all.len()];
        let mut schema = Schema::default();
        let behind = keys.len() + aggregates.len();
        let given = (0..keys.len()).chain(kept.iter().map(|i| keys.len() + i));
        for column in given.chain(behind..all.len()) {
            columns[column] = Some(schema.fields.len());
            schema.fields.push(field(&all[column]));
        }
        let operator = OperatorSpec::SessionAggregate(spec);
        let step = self.step("session", &[taken.input], operator, schema);
        self.late_output(step, late, &taken.late);
        Lowered { input: Input::Step(step), columns }
    }

    pub(super) fn session_windows(
        &mut self,
        node: NodeId,
        input: NodeId,
        rowtime: usize,
        gap_ms: i64,
        key: &[usize],
    ) -> Lowered {
        let late = self.needs.late(node);
        let width = self.graph.columns(input).len();
        let wanted = reads_windows(&self.wanted(node, width), rowtime, key, width);
        let taken = self.take(input, &wanted, late.as_ref(), Shape::Narrow);
        let key = key.iter().map(|c| taken.at(*c)).collect();
        let spec = SessionWindowsSpec { rowtime: taken.at(rowtime), gap_ms, key };
        let operator = OperatorSpec::SessionWindows(spec);
        let lowered = self.appended("session", node, width, &taken, operator);
        let Input::Step(step) = lowered.input else { unreachable!("a step was made") };
        self.late_output(step, late, &taken.late);
        lowered
    }
}
