//! Joins: who is a partner of whom, and what kind of join that makes.
//!
//! Guarantees: conditions are taken apart as Flink does. Equal terms of both sides are keys; bounds
//! of both event times make an interval join, equal windows a window join; what remains is asked
//! of each pair. What WHERE says of an inner join is part of its condition. An interval join keeps
//! the event times of both sides, a regular join has none.

use headwater_engine::expr::{Expr, ExprKind};
use headwater_engine::fragment::{JoinKind, WindowSpec};
use sqlparser::tokenizer::Span;

use crate::ast::{Join as Written, JoinKind as WrittenKind, JoinOn, Name, Relation};
use crate::bind::{self, Binder, Entry, Scope, has_aggregate};
use crate::diagnostic::{Issue, Result};
use crate::logical::{
    By, Column, Join, NodeId, NodeKind, Role, conjunction, conjuncts, rewrite, substitute,
};
use crate::select::{Planner, Selected};

pub(crate) mod lookup;
mod temporal;
mod terms;

use terms::Terms;

impl Planner {
    /// Adds the right side of a join to the rows so far.
    pub(super) fn join(
        &mut self,
        left: NodeId,
        scope: &mut Scope,
        join: &Written,
    ) -> Result<NodeId> {
        if let (Relation::Unnest(array), WrittenKind::Cross, JoinOn::Nothing) =
            (&join.right.relation, join.kind, &join.on)
        {
            return self.unnest(left, array, join.right.alias.as_ref(), scope);
        }
        if let Some(asked) = temporal::asked(join) {
            return self.temporal_join(left, scope, join, &asked);
        }
        let span = join.right.span;
        let kind = match join.kind {
            WrittenKind::Inner | WrittenKind::Cross => JoinKind::Inner,
            WrittenKind::Left => JoinKind::Left,
            WrittenKind::Right => JoinKind::Right,
            WrittenKind::Full => JoinKind::Full,
        };
        let (right, right_scope) = self.factor(&join.right)?;
        let width = scope.entries.len();
        scope.entries.extend(right_scope.entries);
        let mut merged = Merged::new();
        let terms = self.condition(join, width, scope, &mut merged)?;
        let node = self.joined(kind, [left, right], terms, span)?;
        self.take_roles(node, scope);
        Ok(self.merge(node, kind, merged, scope))
    }

    /// The terms of a join's condition over both sides; `width` columns of `scope` are the left's.
    fn condition(
        &self,
        join: &Written,
        width: usize,
        scope: &mut Scope,
        merged: &mut Merged,
    ) -> Result<Vec<Expr>> {
        let span = join.right.span;
        match &join.on {
            JoinOn::Nothing if join.kind == WrittenKind::Cross => Ok(Vec::new()),
            JoinOn::Nothing => {
                let message = format!("{} without a condition", join.kind.as_str());
                Err(Issue::new(span, message, "write ON …, or CROSS JOIN"))
            }
            JoinOn::Condition(written) => {
                if has_aggregate(written) {
                    let message = "an aggregate stands in ON";
                    return Err(Issue::new(written.span, message, "aggregate in a subquery first"));
                }
                let bound = Binder::new(scope).predicate(written, "ON")?;
                let mut terms = Vec::new();
                conjuncts(&bound, &mut terms);
                Ok(terms)
            }
            JoinOn::Using(names) => using(names, width, scope, merged),
            JoinOn::Natural => using(&common(width, scope, span)?, width, scope, merged),
        }
    }

    /// One column for each pair that USING makes equal: they stand before the others.
    fn merge(&mut self, node: NodeId, kind: JoinKind, merged: Merged, scope: &mut Scope) -> NodeId {
        let columns = self.graph.columns(node).to_vec();
        let mut items: Vec<Selected> =
            columns.iter().enumerate().map(|(i, c)| (c.path.clone(), c.at(i), c.hidden)).collect();
        let ranks = scope.entries.iter_mut().filter_map(|entry| entry.using.as_mut());
        ranks.for_each(|rank| *rank += merged.len());
        for (rank, (name, [left, right], either)) in merged.into_iter().enumerate() {
            let is_plain = columns[left].data_type == columns[right].data_type;
            let seen = match kind {
                JoinKind::Right if is_plain => right,
                kind if is_plain && kind != JoinKind::Full => left,
                _ => {
                    let column = Column::new(&name, either.data_type.clone());
                    scope.entries.push(Entry::new(None, column));
                    items.push((vec![name], either, false));
                    items.len() - 1
                }
            };
            for column in [left, right].into_iter().filter(|column| *column != seen) {
                scope.entries[column].is_merged = true;
                scope.entries[column].using = None;
            }
            scope.entries[seen].using = Some(rank);
        }
        if items.len() == columns.len() {
            return node;
        }
        self.graph.project(node, items)
    }

    /// The rows of a condition over a whole FROM.
    pub(super) fn restrict(
        &mut self,
        node: NodeId,
        scope: &mut Scope,
        predicate: Expr,
    ) -> Result<NodeId> {
        let folded = self.graph.fold(node);
        let NodeKind::Join(join) = &self.graph.nodes[folded.base].kind else {
            return Ok(self.keep(node, predicate));
        };
        // A version is found before anything is asked of it.
        if join.kind != JoinKind::Inner || matches!(join.by, By::Temporal { .. } | By::Lookup) {
            return Ok(self.keep(node, predicate));
        }
        let Join { inputs, mut terms, span, .. } = (**join).clone();
        terms.extend(folded.predicates);
        conjuncts(&substitute(&predicate, &folded.exprs), &mut terms);
        let rejoined = self.joined(JoinKind::Inner, inputs, terms, span)?;
        let outer = self.graph.columns(node).to_vec();
        let items = outer.into_iter().zip(folded.exprs).map(|(c, e)| (c.path, e, c.hidden));
        let node = self.graph.project(rejoined, items.collect());
        self.take_roles(node, scope);
        Ok(node)
    }

    /// What a join has made of the event times.
    pub(super) fn take_roles(&self, node: NodeId, scope: &mut Scope) {
        for (entry, column) in scope.entries.iter_mut().zip(self.graph.columns(node)) {
            entry.column.role = column.role;
            entry.column.nullable = column.nullable;
        }
    }

    /// A join; its columns are those of the left input, then those of the right one.
    pub(super) fn joined(
        &mut self,
        kind: JoinKind,
        inputs: [NodeId; 2],
        terms: Vec<Expr>,
        span: Span,
    ) -> Result<NodeId> {
        let (inputs, terms) = self.push_down(kind, inputs, terms)?;
        let widths = inputs.map(|input| self.graph.columns(input).len());
        let columns: Vec<Column> =
            inputs.iter().flat_map(|i| self.graph.columns(*i)).cloned().collect();
        let apart = terms::take_apart(&terms, &columns, widths[0], span)?;
        if apart.by == By::Window {
            self.same_windows(inputs, span)?;
        }
        Ok(self.paired(kind, inputs, apart, &terms, span))
    }

    /// A join whose terms are taken apart.
    fn paired(
        &mut self,
        kind: JoinKind,
        inputs: [NodeId; 2],
        Terms { keys, by, rest }: Terms,
        terms: &[Expr],
        span: Span,
    ) -> NodeId {
        let widths = inputs.map(|input| self.graph.columns(input).len());
        let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = keys.into_iter().unzip();
        let (left, left_keys) = self.keyed(inputs[0], left_keys);
        let (right, right_keys) = self.keyed(inputs[1], right_keys);
        let shift = self.graph.columns(left).len() - widths[0];
        let shifted = |e: &Expr| {
            rewrite(e, &mut |index, ty| {
                let index = if index < widths[0] { index } else { index + shift };
                Expr::column(index, ty.clone())
            })
        };
        let join = Join {
            inputs: [left, right],
            kind,
            keys: [left_keys, right_keys],
            condition: conjunction(rest.iter().map(shifted).collect()),
            by,
            terms: terms.iter().map(shifted).collect(),
            span,
        };
        let columns = self.join_columns(&join);
        let node = self.graph.push(NodeKind::Join(Box::new(join)), columns);
        self.unkeyed(node, kind, widths, shift)
    }

    /// Conditions on one side go there, where that changes nothing.
    fn push_down(
        &mut self,
        kind: JoinKind,
        [mut left, mut right]: [NodeId; 2],
        terms: Vec<Expr>,
    ) -> Result<([NodeId; 2], Vec<Expr>)> {
        let width = self.graph.columns(left).len();
        let to_left = matches!(kind, JoinKind::Inner | JoinKind::Right | JoinKind::Semi);
        let to_right = !matches!(kind, JoinKind::Right | JoinKind::Full);
        let (mut of_left, mut of_right, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for term in terms {
            match terms::side_of(&term, width) {
                Some(0) if to_left => of_left.push(term),
                Some(1) if to_right => of_right.push(terms::moved(&term, width)),
                _ => rest.push(term),
            }
        }
        if let Some(predicate) = conjunction(of_left) {
            left = self.restrict(left, &mut Scope::default(), predicate)?;
        }
        if let Some(predicate) = conjunction(of_right) {
            right = self.restrict(right, &mut Scope::default(), predicate)?;
        }
        Ok(([left, right], rest))
    }

    /// The columns of these expressions; computed ones are appended.
    fn keyed(&mut self, node: NodeId, keys: Vec<Expr>) -> (NodeId, Vec<usize>) {
        let columns = self.graph.columns(node).to_vec();
        let mut items: Vec<(Vec<String>, Expr, bool)> =
            columns.iter().enumerate().map(|(i, c)| (c.path.clone(), c.at(i), c.hidden)).collect();
        let mut positions = Vec::new();
        for key in keys {
            if let ExprKind::Column(index) = key.kind {
                positions.push(index);
                continue;
            }
            positions.push(items.len());
            items.push((vec![format!("$key_{}", items.len())], key, true));
        }
        if items.len() == columns.len() {
            return (node, positions);
        }
        (self.graph.project(node, items), positions)
    }

    /// The columns of a join without those that were appended for its keys.
    fn unkeyed(
        &mut self,
        node: NodeId,
        kind: JoinKind,
        [left, right]: [usize; 2],
        shift: usize,
    ) -> NodeId {
        let mut kept: Vec<usize> = (0..left).collect();
        if !kind.is_left_only() {
            kept.extend((0..right).map(|i| left + shift + i));
        }
        let columns = self.graph.columns(node).to_vec();
        if kept.len() == columns.len() {
            return node;
        }
        let item = |i: usize| (columns[i].path.clone(), columns[i].at(i), columns[i].hidden);
        self.graph.project(node, kept.into_iter().map(item).collect())
    }

    /// Both sides are of the same windows, or their rows could not meet as Flink's do.
    fn same_windows(&self, inputs: [NodeId; 2], span: Span) -> Result<()> {
        let [left, right] = inputs.map(|input| self.windows_of(input));
        if left.is_some() && left == right {
            return Ok(());
        }
        let message = "the windows of the two sides of this join differ";
        Err(Issue::new(span, message, "use the same window function, size and offset on both"))
    }

    /// The windows of a node's window columns, with the event time left out.
    fn windows_of(&self, node: NodeId) -> Option<WindowSpec> {
        let base = self.graph.fold(node).base;
        match &self.graph.nodes[base].kind {
            NodeKind::Windows(_, window) | NodeKind::Aggregate { window, .. } => {
                Some(WindowSpec { rowtime: 0, ..window.clone() })
            }
            NodeKind::Join(join) if join.by == By::Window => self.windows_of(join.inputs[0]),
            _ => None,
        }
    }

    fn join_columns(&self, join: &Join) -> Vec<Column> {
        let mut out = Vec::new();
        for (side, input) in join.inputs.iter().enumerate() {
            if side == 1 && join.kind.is_left_only() {
                break;
            }
            // Rows of this side come as NULLs where the other one's come alone.
            let is_padded = join.kind.is_outer(1 - side);
            out.extend(self.graph.columns(*input).iter().map(|column| Column {
                nullable: column.nullable || is_padded,
                role: match join.by {
                    By::Interval { .. } | By::Window => column.role,
                    By::Temporal { .. } | By::Lookup if side == 0 => column.role,
                    _ if column.role == Role::Proctime => column.role,
                    By::Temporal { .. } | By::Lookup | By::Equality => Role::Plain,
                },
                ..column.clone()
            }));
        }
        out
    }
}

/// Pairs of columns that USING makes equal: name, positions, and the value of either.
type Merged = Vec<(String, [usize; 2], Expr)>;

/// `USING (a, b)`: equal columns, of which one is seen.
fn using(names: &[Name], width: usize, scope: &Scope, merged: &mut Merged) -> Result<Vec<Expr>> {
    let mut terms = Vec::new();
    for name in names {
        let path = core::slice::from_ref(name);
        let left = scope.part(..width).position(path)?;
        let right = width + scope.part(width..).position(path)?;
        let columns = [left, right].map(|i| scope.entries[i].column.at(i));
        let either = bind::special::either(columns.clone(), name.span)?;
        terms.push(bind::call("=", columns.into(), name.span)?);
        merged.push((name.value.clone(), [left, right], either));
    }
    Ok(terms)
}

/// `NATURAL`: the columns of equal names, in the order of the left side.
fn common(width: usize, scope: &Scope, span: Span) -> Result<Vec<Name>> {
    let seen = |entry: &&Entry| !entry.is_merged && !entry.column.hidden;
    let (left, right) = scope.entries.split_at(width);
    let mut names: Vec<Name> = Vec::new();
    for entry in left.iter().filter(seen) {
        let path = &entry.column.path;
        if !right.iter().filter(seen).any(|other| other.column.path[0] == path[0]) {
            continue;
        }
        if path.len() > 1 {
            return Err(Issue::unsupported(span, "NATURAL JOIN by a column of type ROW"));
        }
        names.push(Name { value: path[0].clone(), span });
    }
    Ok(names)
}
