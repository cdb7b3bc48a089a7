//! OVER: only the calls that are read are kept, and without any the step goes.

use std::collections::BTreeSet;

use headwater_engine::fragment::{Input, OperatorSpec, OverCall, OverFunction, OverSpec};

use crate::logical::NodeId;
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering, field};

/// The calls that others read, by position.
fn kept(own: &BTreeSet<usize>, width: usize, calls: &[OverCall]) -> Vec<usize> {
    (0..calls.len()).filter(|i| own.contains(&(width + i))).collect()
}

/// The columns of its input that a call reads.
fn columns(call: &mut OverCall) -> Vec<&mut usize> {
    match &mut call.function {
        OverFunction::Aggregate(spec) => {
            let columns = spec.arg.iter_mut().map(|(column, _)| column);
            columns.chain(&mut spec.filter).chain(&mut spec.weight).collect()
        }
        OverFunction::Lag { column, default } | OverFunction::Lead { column, default } => {
            core::iter::once(column).chain(default).collect()
        }
    }
}

/// The columns that are read of an input of `width` columns, given those that others read of the
/// step.
pub(super) fn reads(
    own: &BTreeSet<usize>,
    width: usize,
    partition: &[usize],
    rowtime: usize,
    calls: &[OverCall],
) -> BTreeSet<usize> {
    let mut reads: BTreeSet<usize> = own.iter().copied().filter(|c| *c < width).collect();
    let kept = kept(own, width, calls);
    for mut call in kept.iter().map(|i| calls[*i].clone()) {
        reads.extend(columns(&mut call).into_iter().map(|column| *column));
        reads.extend(partition.iter().copied().chain([rowtime]));
    }
    reads
}

impl Lowering<'_> {
    pub(super) fn over(
        &mut self,
        node: NodeId,
        input: NodeId,
        partition: &[usize],
        rowtime: usize,
        calls: &[OverCall],
    ) -> Lowered {
        let all = self.graph.columns(node);
        let width = self.graph.columns(input).len();
        let own = self.wanted(node, all.len());
        let kept = kept(&own, width, calls);
        let late = self.needs.late(node);
        let wanted = reads(&own, width, partition, rowtime, calls);
        if kept.is_empty() {
            // As in Flink: what nobody reads is not computed, and then no row is late for it.
            let taken = self.take(input, &wanted, None, Shape::Wide);
            let mut columns = taken.positions(width);
            columns.resize(all.len(), None);
            return Lowered { input: taken.input, columns };
        }
        let taken = self.take(input, &wanted, late.as_ref(), Shape::Narrow);
        let mut specs: Vec<OverCall> = kept.iter().map(|i| calls[*i].clone()).collect();
        for column in specs.iter_mut().flat_map(columns) {
            *column = taken.at(*column);
        }
        let spec = OverSpec {
            partition: partition.iter().map(|c| taken.at(*c)).collect(),
            rowtime: taken.at(rowtime),
            calls: specs,
            ttl_ms: self.state_ttl_ms,
        };
        let mut columns = taken.positions(width);
        columns.resize(all.len(), None);
        let mut schema = self.schema(taken.input);
        for column in kept.iter().map(|i| width + i) {
            columns[column] = Some(schema.fields.len());
            schema.fields.push(field(&all[column]));
        }
        let step = self.step("over", &[taken.input], OperatorSpec::Over(spec), schema);
        self.late_output(step, late, &taken.late);
        Lowered { input: Input::Step(step), columns }
    }
}
