//! What a step reads: rows of another node with the columns it asks for somewhere in them.

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::expr::Expr;
use headwater_engine::fragment::{AggregateSpec, Input, OperatorSpec};
use headwater_engine::types::{Field, Schema};

use crate::compile::as_column;
use crate::logical::{Column, Folded, NodeId, conjunction, rewrite};
use crate::lower::need::Late;
use crate::lower::{Lowered, Lowering, field};

/// What the rows may hold besides the wanted columns.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// Anything: rows pass through, or only what the step names is kept.
    Wide,
    /// Nothing: rows are kept.
    Narrow,
    /// Nothing, and the columns stand in their order: rows meet those of another input.
    Exact,
}

/// Rows for a step.
pub(super) struct Taken {
    /// What gives them.
    pub(super) input: Input,
    /// Where each wanted column of the node is among theirs.
    columns: BTreeMap<usize, usize>,
    /// Where the columns of the late-row table are.
    pub(super) late: Vec<usize>,
}

impl Taken {
    /// Where a wanted column is.
    pub(super) fn at(&self, column: usize) -> usize {
        self.columns[&column]
    }

    /// An aggregate call over the rows.
    pub(super) fn call(&self, call: &AggregateSpec) -> AggregateSpec {
        let mut call = call.clone();
        call.arg = call.arg.map(|(column, data_type)| (self.at(column), data_type));
        call.filter = call.filter.map(|column| self.at(column));
        call.weight = call.weight.map(|column| self.at(column));
        call
    }

    /// Where a column is, if it is wanted.
    pub(super) fn find(&self, column: usize) -> Option<usize> {
        self.columns.get(&column).copied()
    }

    /// Where every column of a node of `width` columns is.
    pub(super) fn positions(&self, width: usize) -> Vec<Option<usize>> {
        (0..width).map(|column| self.columns.get(&column).copied()).collect()
    }
}

impl Lowering<'_> {
    /// The rows of `node` with the columns `wanted`.
    pub(super) fn take(
        &mut self,
        node: NodeId,
        wanted: &BTreeSet<usize>,
        late: Option<&Late>,
        shape: Shape,
    ) -> Taken {
        let folded = self.graph.fold(node);
        let names = self.graph.columns(node);
        let exprs: Vec<(Column, Expr)> =
            wanted.iter().map(|c| (names[*c].clone(), folded.exprs[*c].clone())).collect();
        let (input, mut positions) = self.provide(&folded, exprs, late, shape);
        let late = positions.split_off(wanted.len());
        Taken { input, columns: wanted.iter().copied().zip(positions).collect(), late }
    }

    /// The columns of `node` that others read, below `width`.
    pub(super) fn wanted(&self, node: NodeId, width: usize) -> BTreeSet<usize> {
        self.needs.columns(node).filter(|column| *column < width).collect()
    }

    /// A lowered step that appends columns to its input's.
    pub(super) fn appended(
        &mut self,
        kind: &str,
        node: NodeId,
        width: usize,
        taken: &Taken,
        operator: OperatorSpec,
    ) -> Lowered {
        let mut columns = taken.positions(width);
        let mut schema = self.schema(taken.input);
        for column in &self.graph.columns(node)[width..] {
            columns.push(Some(schema.fields.len()));
            schema.fields.push(field(column));
        }
        let step = self.step(kind, &[taken.input], operator, schema);
        Lowered { input: Input::Step(step), columns }
    }

    fn provide(
        &mut self,
        folded: &Folded,
        wanted: Vec<(Column, Expr)>,
        late: Option<&Late>,
        shape: Shape,
    ) -> (Input, Vec<usize>) {
        let (input, mut exprs) = self.filtered(folded, wanted.iter().map(|(_, e)| e));
        let mut fields: Vec<Field> = wanted.iter().map(|(c, _)| field(c)).collect();
        if let Some(late) = late {
            let passed = self.passed_late.get(&folded.base);
            for (i, (column, expr)) in late.columns.iter().enumerate() {
                exprs.push(match passed {
                    Some(at) => Expr::column(at[i], expr.data_type.clone()),
                    None => self.placed(folded.base, expr),
                });
                fields.push(field(column));
            }
        }
        let plain: Option<Vec<usize>> = exprs.iter().map(as_column).collect();
        if let Some(positions) = plain
            && fits(&positions, self.schema(input).len(), shape)
        {
            return (input, positions);
        }
        let positions = (0..exprs.len()).collect();
        let operator = OperatorSpec::Project(exprs);
        let step = self.step("project", &[input], operator, Schema::new(fields));
        (Input::Step(step), positions)
    }

    /// The base's rows after the predicates, and expressions over them.
    pub(super) fn filtered<'e>(
        &mut self,
        folded: &Folded,
        wanted: impl Iterator<Item = &'e Expr>,
    ) -> (Input, Vec<Expr>) {
        let base = self.lowered[folded.base].as_ref().expect("inputs are lowered first");
        let mut input = base.input;
        let exprs = wanted.map(|e| self.placed(folded.base, e)).collect();
        let terms = folded.predicates.iter().map(|p| self.placed(folded.base, p)).collect();
        if let Some(predicate) = conjunction(terms) {
            let schema = self.schema(input);
            let step = self.step("filter", &[input], OperatorSpec::Filter(predicate), schema);
            input = Input::Step(step);
        }
        (input, exprs)
    }

    /// An expression over a node's columns as one over its lowered rows.
    fn placed(&self, node: NodeId, expr: &Expr) -> Expr {
        let lowered = self.lowered[node].as_ref().expect("inputs are lowered first");
        rewrite(expr, &mut |index, ty| {
            let at = lowered.columns[index].expect("a column that is read is kept");
            Expr::column(at, ty.clone())
        })
    }
}

/// Whether rows of `width` columns will do as they are.
fn fits(positions: &[usize], width: usize, shape: Shape) -> bool {
    let distinct: BTreeSet<_> = positions.iter().collect();
    match shape {
        Shape::Wide => true,
        Shape::Narrow => distinct.len() == width,
        Shape::Exact => {
            positions.len() == width && positions.iter().enumerate().all(|(i, at)| i == *at)
        }
    }
}
