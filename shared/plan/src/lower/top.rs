//! Rankings and sorts: they keep rows, so only what is read is in them.

use std::collections::BTreeSet;

use headwater_engine::fragment::{Input, OperatorSpec, RankMode, RankSpec, SortKey, SortSpec};

use crate::changes::Changes;
use crate::logical::{NodeId, Top};
use crate::lower::provide::{Shape, Taken};
use crate::lower::{Lowered, Lowering, field};

/// The columns that are read of the input of a ranking of `width` columns.
pub(super) fn reads(own: &BTreeSet<usize>, width: usize, top: &Top) -> BTreeSet<usize> {
    let own = own.iter().copied().filter(|column| *column < width);
    own.chain(top.key.iter().copied())
        .chain(top.order.iter().map(|key| key.column))
        .chain(top.window_end)
        .collect()
}

/// The columns that are read of the input of a sort.
pub(super) fn sort_reads(
    own: &BTreeSet<usize>,
    rowtime: usize,
    order: &[SortKey],
) -> BTreeSet<usize> {
    own.iter().copied().chain([rowtime]).chain(order.iter().map(|key| key.column)).collect()
}

fn placed(order: &[SortKey], taken: &Taken) -> Vec<SortKey> {
    order.iter().map(|key| SortKey { column: taken.at(key.column), ..key.clone() }).collect()
}

impl Lowering<'_> {
    pub(super) fn top(&mut self, node: NodeId, top: &Top) -> Lowered {
        let all = self.graph.columns(node);
        let width = self.graph.columns(top.input).len();
        let own = self.wanted(node, all.len());
        let late = self.needs.late(node);
        let wanted = reads(&own, width, top);
        let taken = self.take(top.input, &wanted, late.as_ref(), Shape::Narrow);
        let appends = self.graph.changes(top.input) == Changes::Appends;
        let mode = match top.window_end {
            Some(end) => RankMode::Window { end: taken.at(end), latest: top.latest },
            None if top.latest => RankMode::Latest,
            None if top.improving => RankMode::Improving,
            None if appends => RankMode::Append,
            None => RankMode::Retract,
        };
        let with_number = own.contains(&width);
        let spec = RankSpec {
            partition: top.key.iter().map(|column| taken.at(*column)).collect(),
            order: placed(&top.order, &taken),
            first: top.first,
            last: top.last,
            with_number,
            mode,
            ttl_ms: self.state_ttl_ms.filter(|_| top.window_end.is_none()),
        };
        let mut columns = taken.positions(width);
        let mut schema = self.schema(taken.input);
        columns.push(with_number.then_some(schema.fields.len()));
        if with_number {
            schema.fields.push(field(&all[width]));
        }
        let step = self.step("rank", &[taken.input], OperatorSpec::Rank(spec), schema);
        self.late_output(step, late, &taken.late);
        Lowered { input: Input::Step(step), columns }
    }

    pub(super) fn sort(
        &mut self,
        node: NodeId,
        input: NodeId,
        rowtime: usize,
        order: &[SortKey],
    ) -> Lowered {
        let width = self.graph.columns(input).len();
        let late = self.needs.late(node);
        let wanted = sort_reads(&self.wanted(node, width), rowtime, order);
        let taken = self.take(input, &wanted, late.as_ref(), Shape::Narrow);
        let spec = SortSpec { rowtime: taken.at(rowtime), order: placed(order, &taken) };
        let schema = self.schema(taken.input);
        let step = self.step("sort", &[taken.input], OperatorSpec::Sort(spec), schema);
        self.late_output(step, late, &taken.late);
        Lowered { input: Input::Step(step), columns: taken.positions(width) }
    }
}
