//! Queries to nodes of the logical plan.
//!
//! Guarantees: what a query means is decided here and nowhere later; the parts of Flink SQL that
//! are not planned are refused with their name. Views are built once, where they are defined.

mod absence;
mod aggregate;
mod clock;
mod group;
pub(crate) mod join;
mod match_recognize;
mod order;
pub(crate) mod over;
pub(crate) mod rank;
mod relation;
mod set;
mod subquery;
mod values;
mod windowed;

use std::collections::BTreeMap;

use headwater_engine::expr::Expr;
use headwater_engine::fragment::SortKey;

use crate::ast::{self, Body, ExprKind, Item, OrderBy, Query, Select};
use crate::bind::{Binder, Scope, has_aggregate};
use crate::catalog::TableDef;
use crate::diagnostic::{Issue, Result};
use crate::logical::{Graph, NodeId};

/// A column that is selected: its name, its value, and whether it is hidden.
pub(crate) type Selected = (Vec<String>, Expr, bool);

/// What a name in FROM means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Table(usize),
    View(NodeId),
}

/// Builds the graph of a script.
#[derive(Default)]
pub(crate) struct Planner {
    pub(crate) graph: Graph,
    pub(crate) tables: Vec<TableDef>,
    pub(crate) names: BTreeMap<String, Source>,
    /// The node of each table that is read.
    pub(crate) scans: BTreeMap<usize, NodeId>,
    /// The session's time zone as the engine reads it; empty: UTC.
    pub(crate) zone: String,
    /// The node of each table that is looked up.
    pub(crate) lookups: BTreeMap<usize, NodeId>,
}

impl Planner {
    /// Plans a query; its columns are those of the node.
    pub(crate) fn query(&mut self, query: &Query) -> Result<NodeId> {
        let outer = (!query.with.is_empty()).then(|| self.names.clone());
        let node = self.with(query);
        if let Some(outer) = outer {
            self.names = outer;
        }
        node
    }

    /// A query whose WITH hides tables and views of the same names.
    fn with(&mut self, query: &Query) -> Result<NodeId> {
        for (at, (alias, inner)) in query.with.iter().enumerate() {
            let name = &alias.name;
            if query.with[..at].iter().any(|(before, _)| before.name.value == name.value) {
                let message = format!("WITH names '{}' twice", name.value);
                return Err(Issue::new(name.span, message, "give each query its own name"));
            }
            let node = self.query(inner)?;
            let node = self.rename(node, alias)?;
            self.names.insert(name.value.clone(), Source::View(node));
        }
        let (node, order) = match &query.body {
            // ORDER BY may name columns that are not selected.
            Body::Select(select) if !select.distinct => self.rows(select, &query.order_by)?,
            body => {
                let node = self.body(body)?;
                self.order_of_output(node, &query.order_by)?
            }
        };
        self.ordered(query, node, order)
    }

    fn body(&mut self, body: &Body) -> Result<NodeId> {
        match body {
            Body::Select(select) => self.select(select),
            Body::Query(query) => self.query(query),
            Body::Set(operation) => self.set_operation(operation),
            Body::Values(values) => self.values(values),
        }
    }

    fn select(&mut self, select: &Select) -> Result<NodeId> {
        let node = self.rows(select, &[])?.0;
        if !select.distinct {
            return Ok(node);
        }
        match self.distinct_in_windows(node, select.span)? {
            Some(node) => Ok(node),
            None => Ok(self.distinct(node)),
        }
    }

    /// A SELECT without its DISTINCT, and the columns that ORDER BY names.
    fn rows(&mut self, select: &Select, order: &[OrderBy]) -> Result<(NodeId, Vec<SortKey>)> {
        let (mut node, mut scope) = self.from(&select.from)?;
        if let Some(filter) = &select.filter {
            if has_aggregate(filter) {
                let message = "an aggregate stands in WHERE";
                return Err(Issue::new(filter.span, message, "move the condition to HAVING"));
            }
            node = self.filtered(node, &mut scope, filter)?;
        }
        if select.group_by.is_some() || is_aggregated(select) {
            let node = self.aggregate(select, node, &scope)?;
            return self.order_of_output(node, order);
        }
        let found = over::find(select);
        if let Some(at) = rank::find(select, &found) {
            let node = self.rank(select, node, &scope, found[0], at)?;
            return self.order_of_output(node, order);
        }
        if !found.is_empty() {
            let node = self.over(select, node, &scope, &found)?;
            return self.order_of_output(node, order);
        }
        for item in &select.items {
            if let Item::Expr { expr, .. } = item {
                node = self.with_values(node, &mut scope, subquery::scalars(expr))?;
            }
        }
        let mut items = Vec::new();
        for item in &select.items {
            self.item(item, &scope, &mut items)?;
        }
        let order = self.order_items(order, &scope, &mut items)?;
        Ok((self.graph.project(node, items), order))
    }

    /// One item of a SELECT list over plain rows.
    fn item(&self, item: &Item, scope: &Scope, out: &mut Vec<Selected>) -> Result<()> {
        match item {
            Item::Star { qualifier, span: _ } => {
                for index in scope.star(qualifier.as_ref())? {
                    let column = &scope.entries[index].column;
                    out.push((column.path.clone(), column.at(index), false));
                }
                for index in scope.fields(qualifier.as_ref()) {
                    let column = &scope.entries[index].column;
                    out.push((column.path.clone(), column.at(index), true));
                }
            }
            Item::Expr { expr, alias } => {
                let bound = match &expr.kind {
                    // Passed on, also if it is a time of arrival.
                    ExprKind::Column(path) => scope.column(path)?,
                    _ => Binder::new(scope).bind(expr)?,
                };
                let name = item_name(expr, alias.as_ref(), out.len());
                out.push((vec![name], bound, false));
            }
        }
        Ok(())
    }
}

/// The name of an item: its alias, its column's last name, or Flink's `EXPR$n`.
fn item_name(expr: &ast::Expr, alias: Option<&ast::Name>, position: usize) -> String {
    match (alias, &expr.kind) {
        (Some(alias), _) => alias.value.clone(),
        (None, ExprKind::Column(path)) => path.last().map_or(String::new(), |n| n.value.clone()),
        (None, _) => format!("EXPR${position}"),
    }
}

/// Whether a query without GROUP BY aggregates all the same.
fn is_aggregated(query: &Select) -> bool {
    let item = |item: &Item| match item {
        Item::Star { .. } => false,
        Item::Expr { expr, .. } => has_aggregate(expr),
    };
    query.having.is_some() || query.items.iter().any(item)
}
