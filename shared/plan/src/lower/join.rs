//! Joins: of each side the columns that are read, the keys and what the condition asks.

use std::collections::BTreeSet;

use headwater_engine::expr::Expr;
use headwater_engine::fragment::{
    Input, IntervalJoinSpec, JoinSpec, OperatorSpec, RegularJoinSpec, TemporalJoinSpec,
    WindowJoinSpec,
};
use headwater_engine::types::{Field, Schema};

use crate::logical::{By, Join, NodeId, Role, each_column, rewrite};
use crate::lower::provide::{Shape, Taken};
use crate::lower::{Lowered, Lowering};

/// The columns that are read of both inputs, given those that others read of the join; `width`
/// columns are the left input's.
pub(super) fn reads(own: &BTreeSet<usize>, join: &Join, width: usize) -> [BTreeSet<usize>; 2] {
    let mut reads = [0, 1].map(|side| join.keys[side].iter().copied().collect::<BTreeSet<_>>());
    let mut read = |column: usize| {
        match column.checked_sub(width) {
            None => reads[0].insert(column),
            Some(column) => reads[1].insert(column),
        };
    };
    own.iter().for_each(|column| read(*column));
    if let Some(condition) = &join.condition {
        each_column(condition, &mut read);
    }
    if let By::Interval { times, .. } | By::Temporal { times } = &join.by {
        reads[0].insert(times[0]);
        reads[1].insert(times[1]);
    }
    reads
}

impl Lowering<'_> {
    pub(super) fn join(&mut self, node: NodeId, join: &Join) -> Lowered {
        let count = self.graph.columns(node).len();
        let width = self.graph.columns(join.inputs[0]).len();
        let wanted = reads(&self.wanted(node, count), join, width);
        let taken: [Taken; 2] =
            [0, 1].map(|side| self.take(join.inputs[side], &wanted[side], None, Shape::Narrow));
        let schemas = [0, 1].map(|side| self.schema(taken[side].input));
        let placed = |column: usize| match column.checked_sub(width) {
            None => taken[0].at(column),
            Some(column) => schemas[0].len() + taken[1].at(column),
        };
        let condition = join.condition.as_ref().map(|condition| {
            rewrite(condition, &mut |column, ty| Expr::column(placed(column), ty.clone()))
        });
        let keys = [0, 1].map(|side| join.keys[side].iter().map(|c| taken[side].at(*c)).collect());
        let spec = JoinSpec { kind: join.kind, keys, condition };
        let (name, operator) = match &join.by {
            By::Interval { times, low_ms, high_ms } => {
                let times = [0, 1].map(|side| taken[side].at(times[side]));
                let (low_ms, high_ms) = (*low_ms, *high_ms);
                let spec = IntervalJoinSpec { join: spec, times, low_ms, high_ms };
                ("interval-join", OperatorSpec::IntervalJoin(spec))
            }
            By::Window => {
                let ends = [0, 1].map(|side| taken[side].at(self.window_end(join, side)));
                ("window-join", OperatorSpec::WindowJoin(WindowJoinSpec { join: spec, ends }))
            }
            By::Temporal { times } => {
                let times = [0, 1].map(|side| taken[side].at(times[side]));
                let spec = TemporalJoinSpec { join: spec, times };
                ("temporal-join", OperatorSpec::TemporalJoin(spec))
            }
            By::Lookup => ("lookup-join", OperatorSpec::LookupJoin(spec)),
            By::Equality => {
                let spec = RegularJoinSpec { join: spec, ttl_ms: self.state_ttl_ms };
                ("join", OperatorSpec::Join(spec))
            }
        };
        let columns = (0..count)
            .map(|column| match column.checked_sub(width) {
                None => taken[0].find(column),
                Some(column) => taken[1].find(column).map(|at| schemas[0].len() + at),
            })
            .collect();
        let inputs = [taken[0].input, taken[1].input];
        let step = self.step(name, &inputs, operator, joined_schema(join, &schemas));
        Lowered { input: Input::Step(step), columns }
    }

    /// The column of one side with the end of its windows.
    fn window_end(&self, join: &Join, side: usize) -> usize {
        let columns = self.graph.columns(join.inputs[side]);
        let is_end = |column: &&usize| columns[**column].role == Role::WindowEnd;
        *join.keys[side].iter().find(is_end).expect("a window join has it among its keys")
    }
}

fn joined_schema(join: &Join, schemas: &[Schema; 2]) -> Schema {
    let sides = if join.kind.is_left_only() { 1 } else { 2 };
    let mut fields = Vec::new();
    for (side, schema) in schemas.iter().enumerate().take(sides) {
        let is_padded = join.kind.is_outer(1 - side);
        let field = |f: &Field| Field { nullable: f.nullable || is_padded, ..f.clone() };
        fields.extend(schema.fields.iter().map(field));
    }
    Schema::new(fields)
}
