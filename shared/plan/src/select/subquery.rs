//! IN and EXISTS in WHERE: semi and anti joins; subqueries as values: joins with one row.
//!
//! Guarantees: NULLs count as in SQL: `NOT IN` keeps no row while the subquery has a NULL, and none
//! whose own value is NULL unless the subquery is empty. A subquery may name columns of the query
//! around it in its WHERE.

use headwater_engine::expr::{Expr as Bound, ExprKind};
use headwater_engine::fragment::JoinKind;
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{BinaryOp, Body, Expr, ExprKind as Written, Item, Query, Select, UnaryOp};
use crate::bind::{self, Binder, Entry, Scope, has_aggregate};
use crate::diagnostic::{Issue, Result};
use crate::logical::{NodeId, conjunction, conjuncts};
use crate::select::{Planner, is_aggregated, over};

/// A term of WHERE that asks a subquery.
struct Asked<'a> {
    /// What is to be IN the subquery; None for EXISTS.
    value: Option<&'a Expr>,
    query: &'a Query,
    negated: bool,
    span: Span,
}

/// The terms of an AND.
fn terms<'a>(from: &'a Expr, out: &mut Vec<&'a Expr>) {
    match &from.kind {
        Written::Binary(BinaryOp::And, left, right) => {
            terms(left, out);
            terms(right, out);
        }
        _ => out.push(from),
    }
}

fn asked(from: &Expr) -> Option<Asked<'_>> {
    let span = from.span;
    match &from.kind {
        Written::InQuery { arg, query, negated } => {
            Some(Asked { value: Some(arg), query, negated: *negated, span })
        }
        Written::Exists { query, negated } => {
            Some(Asked { value: None, query, negated: *negated, span })
        }
        Written::Unary(UnaryOp::Not, arg) => {
            let inner = asked(arg)?;
            Some(Asked { negated: !inner.negated, span, ..inner })
        }
        _ => None,
    }
}

/// The subqueries within an expression that are values.
pub(super) fn scalars(from: &Expr) -> Vec<&Query> {
    let mut found = Vec::new();
    from.each(&mut |e| {
        if let Written::Scalar(query) = &e.kind {
            found.push(&**query);
        }
    });
    found
}

impl Planner {
    /// The rows that WHERE keeps.
    pub(super) fn filtered(
        &mut self,
        node: NodeId,
        scope: &mut Scope,
        filter: &Expr,
    ) -> Result<NodeId> {
        let mut all = Vec::new();
        terms(filter, &mut all);
        let queries: Vec<Asked<'_>> = all.iter().filter_map(|term| asked(term)).collect();
        if queries.is_empty() && scalars(filter).is_empty() {
            let predicate = Binder::new(scope).predicate(filter, "WHERE")?;
            return self.restrict(node, scope, predicate);
        }
        let mut node = node;
        let (mut plain, mut valued) = (Vec::new(), Vec::new());
        for term in all.into_iter().filter(|term| asked(term).is_none()) {
            match scalars(term).is_empty() {
                true => plain.push(Binder::new(scope).predicate(term, "WHERE")?),
                false => valued.push(term),
            }
        }
        if let Some(predicate) = conjunction(plain) {
            node = self.restrict(node, scope, predicate)?;
        }
        for query in queries {
            node = self.semi_join(node, scope, &query)?;
        }
        for term in &valued {
            node = self.with_values(node, scope, scalars(term))?;
        }
        let bind = |term: &&Expr| Binder::new(scope).predicate(term, "WHERE");
        let valued = valued.iter().map(bind).collect::<Result<Vec<_>>>()?;
        Ok(match conjunction(valued) {
            Some(predicate) => self.keep(node, predicate),
            None => node,
        })
    }

    /// The rows beside the value of each subquery, NULL where it has no row.
    pub(super) fn with_values(
        &mut self,
        mut node: NodeId,
        scope: &mut Scope,
        queries: Vec<&Query>,
    ) -> Result<NodeId> {
        for query in queries {
            let value = self.value(query)?;
            node = self.beside(node, value, query.span)?;
            let width = scope.entries.len();
            let column = self.graph.columns(node)[width].clone();
            scope.planned.push((query.span, column.at(width)));
            scope.entries.push(Entry::new(None, column));
            self.take_roles(node, scope);
        }
        Ok(node)
    }

    /// The one row of a subquery that is a value, as a hidden column.
    pub(super) fn value(&mut self, query: &Query) -> Result<NodeId> {
        let node = self.query(query)?;
        let columns = self.graph.columns(node);
        let mut visible = columns.iter().enumerate().filter(|(_, column)| !column.hidden);
        let (Some((index, column)), None) = (visible.next(), visible.next()) else {
            let message = "a subquery that is a value does not have one column";
            return Err(Issue::new(query.span, message, "select the value alone"));
        };
        let value = column.at(index);
        if !self.graph.unique_keys(node, &self.tables).contains(&Vec::new()) {
            let message = "a subquery that is a value may have several rows";
            let remedy = "aggregate it without GROUP BY, such as MAX(…), or add LIMIT 1";
            return Err(Issue::new(query.span, message, remedy));
        }
        Ok(self.graph.project(node, vec![(vec!["$value".to_owned()], value, true)]))
    }

    /// Each row beside a value: a left join without a key, so that the rows change with it.
    pub(super) fn beside(&mut self, node: NodeId, value: NodeId, span: Span) -> Result<NodeId> {
        self.joined(JoinKind::Left, [node, value], Vec::new(), span)
    }

    fn semi_join(&mut self, left: NodeId, scope: &mut Scope, asked: &Asked<'_>) -> Result<NodeId> {
        let (right, found, mut terms) = match &asked.query.body {
            Body::Select(select) if is_plain(select, asked.query) => {
                self.correlated(scope, select, asked)?
            }
            _ => self.alone(scope, asked)?,
        };
        if let (Some(value), Some(found)) = (asked.value, found) {
            let value_bound = Binder::new(scope).bind(value)?;
            let equal = bind::call("=", vec![value_bound, found], value.span)?;
            terms.push(if asked.negated {
                self.equal_or_unknown(left, right, equal)
            } else {
                equal
            });
        }
        let kind = if asked.negated { JoinKind::Anti } else { JoinKind::Semi };
        let node = self.joined(kind, [left, right], terms, asked.span)?;
        for (entry, column) in scope.entries.iter_mut().zip(self.graph.columns(node)) {
            entry.column.role = column.role;
        }
        Ok(node)
    }

    /// A subquery whose WHERE may name columns of the query around it: its rows before that WHERE,
    /// the value that IN asks for, and its conditions over the columns of both.
    fn correlated(
        &mut self,
        scope: &Scope,
        select: &Select,
        asked: &Asked<'_>,
    ) -> Result<(NodeId, Option<Bound>, Vec<Bound>)> {
        let (right, inner) = self.from(&select.from)?;
        let mut both = Scope { inner_from: scope.entries.len(), ..scope.clone() };
        both.entries.extend(inner.entries);
        let mut terms = Vec::new();
        if let Some(filter) = &select.filter {
            conjuncts(&Binder::new(&both).predicate(filter, "WHERE")?, &mut terms);
        }
        let value = match (asked.value, select.items.as_slice()) {
            (None, _) => None,
            (Some(_), [Item::Expr { expr, alias: _ }]) => Some(Binder::new(&both).bind(expr)?),
            (Some(_), _) => return Err(one_column(asked)),
        };
        Ok((right, value, terms))
    }

    /// A subquery by itself.
    fn alone(
        &mut self,
        scope: &Scope,
        asked: &Asked<'_>,
    ) -> Result<(NodeId, Option<Bound>, Vec<Bound>)> {
        let right = self.query(asked.query)?;
        if asked.value.is_none() {
            return Ok((right, None, Vec::new()));
        }
        let columns = self.graph.columns(right);
        let mut visible = (0..columns.len()).filter(|index| !columns[*index].hidden);
        let (Some(index), None) = (visible.next(), visible.next()) else {
            return Err(one_column(asked));
        };
        let value = columns[index].at(scope.entries.len() + index);
        Ok((right, Some(value), Vec::new()))
    }

    /// The condition under which a row is not kept by NOT IN. Where neither side can be NULL it is
    /// a key.
    fn equal_or_unknown(&self, left: NodeId, right: NodeId, equal: Bound) -> Bound {
        let columns = [left, right].map(|node| self.graph.columns(node));
        let is_known = |e: &Bound| match e.kind {
            ExprKind::Column(index) => {
                columns.iter().copied().flatten().nth(index).is_some_and(|c| !c.nullable)
            }
            _ => false,
        };
        if let ExprKind::Call(_, args) = &equal.kind
            && args.iter().all(is_known)
        {
            return equal;
        }
        let unknown = ExprKind::IsNull(Box::new(equal.clone()));
        let unknown = Bound { kind: unknown, data_type: DataType::Boolean };
        Bound { kind: ExprKind::Or(vec![equal, unknown]), data_type: DataType::Boolean }
    }
}

/// Whether a subquery only filters, so that its conditions can be the join's.
fn is_plain(select: &Select, query: &Query) -> bool {
    query.order_by.is_empty()
        && query.limit.is_none()
        && select.group_by.is_none()
        && !is_aggregated(select)
        && over::find(select).is_empty()
        && !select.filter.as_ref().is_some_and(has_aggregate)
}

fn one_column(asked: &Asked<'_>) -> Issue {
    let message = "the subquery of IN does not have one column";
    Issue::new(asked.query.span, message, "select the value that is compared")
}
