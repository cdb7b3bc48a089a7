//! Window aggregates: only the calls that are read are kept.

use std::collections::BTreeSet;

use headwater_engine::fragment::{
    AggregateSpec, Input, OperatorSpec, Phase, WindowAggregateSpec, WindowSpec,
};
use headwater_engine::types::Schema;

use crate::logical::{NodeId, NodeKind};
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering, field};
use crate::options::parse_duration_ms;

/// The calls that others read, by position.
pub(super) fn kept(
    own: &BTreeSet<usize>,
    keys: &[usize],
    aggregates: &[AggregateSpec],
) -> Vec<usize> {
    (0..aggregates.len()).filter(|i| own.contains(&(keys.len() + i))).collect()
}

/// The columns that are read of the input, given those that others read of the step.
pub(super) fn reads(
    own: &BTreeSet<usize>,
    window: &WindowSpec,
    keys: &[usize],
    aggregates: &[AggregateSpec],
) -> BTreeSet<usize> {
    let mut reads: BTreeSet<usize> = keys.iter().copied().chain([window.rowtime]).collect();
    for call in kept(own, keys, aggregates).into_iter().map(|i| &aggregates[i]) {
        reads.extend(call.arg.iter().map(|(c, _)| *c).chain(call.filter).chain(call.weight));
    }
    reads
}

impl Lowering<'_> {
    /// How long after its end a window over rows of a source takes late ones. A window over other
    /// steps takes none: those set them aside themselves.
    fn lateness_ms(&self, input: NodeId) -> i64 {
        let scan = self.graph.source(self.graph.fold(input).base);
        let NodeKind::Scan(table) = self.graph.nodes[scan].kind else {
            return 0;
        };
        let written = self.tables[table].options.get("allowed-lateness");
        let ms = written.and_then(|(text, _)| parse_duration_ms(text)).unwrap_or(0);
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    pub(super) fn aggregate(&mut self, node: NodeId) -> Lowered {
        let graph = self.graph;
        let NodeKind::Aggregate { input, window, keys, aggregates } = &graph.nodes[node].kind
        else {
            unreachable!("called for an aggregate")
        };
        let late = self.needs.late(node);
        let all = graph.columns(node);
        let own = self.wanted(node, all.len());
        let kept = kept(&own, keys, aggregates);
        let wanted = reads(&own, window, keys, aggregates);
        let taken = self.take(*input, &wanted, late.as_ref(), Shape::Wide);
        let calls = kept.iter().map(|i| taken.call(&aggregates[*i])).collect();
        let names = graph.columns(*input);
        let spec = WindowAggregateSpec {
            window: WindowSpec { rowtime: taken.at(window.rowtime), ..window.clone() },
            keys: keys.iter().map(|c| taken.at(*c)).collect(),
            key_types: keys.iter().map(|c| names[*c].data_type.clone()).collect(),
            aggregates: calls,
            phase: Phase::Complete,
            lateness_ms: self.lateness_ms(*input),
            time_type: names[window.rowtime].data_type.clone(),
        };
        let mut columns = vec![None; all.len()];
        let mut schema = Schema::default();
        let behind = keys.len() + aggregates.len();
        let given = (0..keys.len()).chain(kept.iter().map(|i| keys.len() + i));
        for column in given.chain(behind..all.len()) {
            columns[column] = Some(schema.fields.len());
            schema.fields.push(field(&all[column]));
        }
        let operator = OperatorSpec::WindowAggregate(spec);
        let step = self.step("window", &[taken.input], operator, schema);
        self.late_output(step, late, &taken.late);
        Lowered { input: Input::Step(step), columns }
    }
}
