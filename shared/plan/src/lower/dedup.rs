//! Deduplications.

use std::collections::BTreeSet;

use headwater_engine::expr::ExprKind;
use headwater_engine::fragment::{DedupSpec, Input, OperatorSpec};

use crate::logical::{Folded, NodeId, NodeKind, each_column};
use crate::lower::provide::Shape;
use crate::lower::{Lowered, Lowering};

/// The columns that are read of the input, given those that others read of the step.
pub(super) fn reads(own: &BTreeSet<usize>, key: &[usize], rowtime: usize) -> BTreeSet<usize> {
    own.iter().chain(key).copied().chain([rowtime]).collect()
}

impl Lowering<'_> {
    pub(super) fn dedup(
        &mut self,
        node: NodeId,
        input: NodeId,
        key: &[usize],
        rowtime: usize,
    ) -> Lowered {
        let late = self.needs.late(node);
        let width = self.graph.columns(input).len();
        let wanted = reads(&self.wanted(node, width), key, rowtime);
        let taken = self.take(input, &wanted, late.as_ref(), Shape::Narrow);
        let spec = DedupSpec {
            key: key.iter().map(|c| taken.at(*c)).collect(),
            rowtime: taken.at(rowtime),
            key_holds_time: self.determines(&self.graph.fold(input), key, rowtime),
            ttl_ms: self.state_ttl_ms,
        };
        let schema = self.schema(taken.input);
        let step = self.step("dedup", &[taken.input], OperatorSpec::DedupFirst(spec), schema);
        self.late_output(step, late, &taken.late);
        Lowered { input: Input::Step(step), columns: taken.positions(width) }
    }

    /// Whether rows with equal keys have equal event times: the key holds the event time, or all
    /// columns that it is computed from (functions give the same result for the same arguments).
    fn determines(&self, folded: &Folded, key: &[usize], rowtime: usize) -> bool {
        let base_column = |column: usize| match folded.exprs[column].kind {
            ExprKind::Column(base) => Some(base),
            _ => None,
        };
        let held: Vec<usize> = key.iter().filter_map(|column| base_column(*column)).collect();
        let mut open: Vec<usize> = base_column(rowtime).into_iter().collect();
        if open.is_empty() {
            return key.contains(&rowtime);
        }
        let table = match self.graph.nodes[folded.base].kind {
            NodeKind::Scan(table) => Some(&self.tables[table]),
            _ => None,
        };
        while let Some(column) = open.pop() {
            if held.contains(&column) {
                continue;
            }
            let computed = table
                .and_then(|table| table.computed.get(column.checked_sub(table.decoded.len())?));
            let Some((_, expr)) = computed else { return false };
            each_column(expr, &mut |column| open.push(column));
        }
        true
    }
}
