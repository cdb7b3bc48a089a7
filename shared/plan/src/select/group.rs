//! GROUP BY without a window, and DISTINCT: results that change with every row, as in Flink.

use headwater_engine::aggregate::Calls;
use headwater_engine::expr::Expr;
use headwater_engine::fragment::AggregateSpec;
use headwater_engine::limits::AGGREGATES_MAX;

use crate::ast::{self, Item, Select};
use crate::bind::{AggregateCall, Binder, Grouping, Scope, Sets, value_misplaced};
use crate::changes::Changes;
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind, Role, each_column, rewrite};
use crate::select::aggregate::{call_span, column_of};
use crate::select::subquery::scalars;
use crate::select::windowed::check_sets;
use crate::select::{Planner, item_name};

impl Planner {
    /// Aggregates by the terms of GROUP BY, or all rows when there are none.
    pub(crate) fn group(&mut self, query: &Select, node: NodeId, scope: &Scope) -> Result<NodeId> {
        let (keys, members) = keys(query, scope)?;
        let sets = (!members.is_empty()).then(|| Sets { at: keys.len(), members: members.clone() });
        let first = keys.len() + usize::from(sets.is_some());
        let known = keys.iter().cloned().zip(0..).collect();
        let grouping = Grouping { keys: known, calls: Vec::new(), first, window: None, sets };
        // Values of subqueries are joined to the groups: their columns are moved there later.
        let (mut scope, mut values) = (scope.clone(), Vec::new());
        for written in items_of(query).chain(&query.having).flat_map(scalars) {
            let value = self.value(written)?;
            let column = self.graph.columns(value)[0].at(VALUES_AT + values.len());
            scope.planned.push((written.span, column));
            values.push((value, written.span));
        }
        let mut binder = Binder { grouping: Some(grouping), ..Binder::new(&scope) };
        let having = query.having.as_ref().map(|h| binder.predicate(h, "HAVING")).transpose()?;
        let mut items = Vec::new();
        for item in &query.items {
            match item {
                Item::Star { span, .. } => {
                    let message = "'*' stands in a query with GROUP BY";
                    return Err(Issue::new(*span, message, "name the columns"));
                }
                Item::Expr { expr, alias } => {
                    let bound = binder.bind(expr)?;
                    items.push((vec![item_name(expr, alias.as_ref(), items.len())], bound, false));
                }
            }
        }
        let calls = binder.grouping.expect("given above").calls;
        let (node, keys) = if members.is_empty() {
            (node, keys)
        } else {
            let named = keys.into_iter().enumerate();
            let named = named.map(|(i, key)| (vec![self.key_name(node, &key, i)], key, false));
            let (node, keys) = self.expanded(node, named.collect(), &members);
            (node, keys.into_iter().map(|(_, key, _)| key).collect())
        };
        for call in &calls {
            let parts = [&call.arg, &call.filter, &call.weight].into_iter().flatten();
            let mut is_valued = false;
            parts.for_each(|e| each_column(e, &mut |index| is_valued |= index >= VALUES_AT));
            if is_valued {
                return Err(value_misplaced(call_span(query, &call.function)));
            }
        }
        let mut grouped = self.grouped(query, node, keys, &calls)?;
        let width = self.graph.columns(grouped).len();
        for (value, span) in values {
            grouped = self.beside(grouped, value, span)?;
        }
        let moved = |e: &Expr| {
            rewrite(e, &mut |index, ty| {
                let value = index.checked_sub(VALUES_AT).map(|value| width + value);
                Expr::column(value.unwrap_or(index), ty.clone())
            })
        };
        let grouped = self.graph.filter(grouped, having.iter().map(moved).collect());
        let items = items.into_iter().map(|(name, e, hidden)| (name, moved(&e), hidden));
        Ok(self.graph.project(grouped, items.collect()))
    }

    /// The projection to keys and arguments, and the aggregation.
    fn grouped(
        &mut self,
        query: &Select,
        node: NodeId,
        keys: Vec<Expr>,
        calls: &[AggregateCall],
    ) -> Result<NodeId> {
        if calls.len() > AGGREGATES_MAX {
            let message = format!("the query has more than {AGGREGATES_MAX} aggregates");
            return Err(Issue::new(query.span, message, "split it into two INSERTs"));
        }
        let count = keys.len();
        let named = keys.into_iter().enumerate();
        let named = named.map(|(i, key)| (vec![self.key_name(node, &key, i)], key, false));
        let mut items: Vec<(Vec<String>, Expr, bool)> = named.collect();
        let mut aggregates = Vec::new();
        for call in calls {
            let mut column = |e: &Expr| column_of(&mut items, e.clone());
            let arg = call.arg.as_ref().map(|a| (column(a), a.data_type.clone()));
            let filter = call.filter.as_ref().map(&mut column);
            let weight = call.weight.as_ref().map(&mut column);
            aggregates.push(AggregateSpec {
                function: call.function.clone(),
                arg,
                filter,
                distinct: call.distinct,
                params: call.params.clone(),
                weight,
            });
        }
        let input = self.graph.project(node, items);
        if self.graph.changes(input) != Changes::Appends {
            follows_changes(query, &aggregates)?;
        }
        let keyed = self.graph.columns(input)[..count].iter();
        let mut columns: Vec<Column> = keyed.map(|c| c.clone().with_role(Role::Plain)).collect();
        for (i, call) in calls.iter().enumerate() {
            let column = Column::new(format!("${}_{i}", call.function), call.result.clone());
            columns.push(Column { nullable: call.function != "COUNT", ..column });
        }
        let kind = NodeKind::Group { input, keys: (0..count).collect(), aggregates };
        Ok(self.graph.push(kind, columns))
    }

    /// SELECT DISTINCT: the visible columns are the key.
    pub(crate) fn distinct(&mut self, node: NodeId) -> NodeId {
        let all = self.graph.columns(node).iter().enumerate();
        let visible = all.filter(|(_, column)| !column.hidden);
        let items = visible.map(|(i, column)| (column.path.clone(), column.at(i), false)).collect();
        let input = self.graph.project(node, items);
        let plain = |column: &Column| column.clone().with_role(Role::Plain);
        let columns: Vec<Column> = self.graph.columns(input).iter().map(plain).collect();
        let keys = (0..columns.len()).collect();
        self.graph.push(NodeKind::Group { input, keys, aggregates: Vec::new() }, columns)
    }
}

/// Where the values of subqueries stand until it is known how many columns the groups have.
const VALUES_AT: usize = 1 << 20;

/// The expressions of a SELECT list.
fn items_of(query: &Select) -> impl Iterator<Item = &ast::Expr> {
    query.items.iter().filter_map(|item| match item {
        Item::Star { .. } => None,
        Item::Expr { expr, alias: _ } => Some(expr),
    })
}

/// The keys of GROUP BY, and those of each grouping set by their positions.
fn keys(query: &Select, scope: &Scope) -> Result<(Vec<Expr>, Vec<Vec<usize>>)> {
    let mut keys: Vec<Expr> = Vec::new();
    let mut bind = |terms: &[ast::Expr]| {
        let mut members = Vec::new();
        for term in terms {
            let bound = Binder::new(scope).bind(term)?;
            if bound.as_literal().is_some() {
                let message = "GROUP BY names a constant";
                return Err(Issue::new(term.span, message, "name columns or expressions"));
            }
            let known = keys.iter().position(|key| *key == bound);
            members.push(known.unwrap_or_else(|| {
                keys.push(bound);
                keys.len() - 1
            }));
        }
        Ok(members)
    };
    bind(query.group_by.as_deref().unwrap_or_default())?;
    let sets = query.sets.iter().map(|set| bind(set)).collect::<Result<Vec<_>>>()?;
    check_sets(&sets, keys.len(), query.span)?;
    Ok((keys, sets))
}

/// Whether each aggregate can take rows away again.
fn follows_changes(query: &Select, aggregates: &[AggregateSpec]) -> Result<()> {
    for call in aggregates {
        if let Err(why) = Calls::bind_changing(core::slice::from_ref(call)) {
            let remedy = "aggregate a query that only appends rows";
            return Err(Issue::new(call_span(query, &call.function), why.0, remedy));
        }
    }
    Ok(())
}
