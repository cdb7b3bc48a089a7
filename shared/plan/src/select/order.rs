//! ORDER BY and LIMIT at the end of a query.

use headwater_engine::fragment::SortKey;

use crate::ast::{ExprKind, OrderBy, Query};
use crate::bind::{Binder, Scope};
use crate::diagnostic::{Issue, Result};
use crate::logical::{NodeId, NodeKind, Top};
use crate::select::clock::check_order;
use crate::select::over::Extended;
use crate::select::{Planner, Selected, rank};

impl Planner {
    /// Puts the rows of a query in order, and keeps the first ones.
    pub(crate) fn ordered(
        &mut self,
        query: &Query,
        input: NodeId,
        order: Vec<SortKey>,
    ) -> Result<NodeId> {
        if let Some(limit) = &query.limit {
            if limit.count == 0 {
                let message = "LIMIT 0 keeps no row";
                return Err(Issue::new(limit.span, message, "write LIMIT 1 or more"));
            }
            let (latest, improving, window_end) = (false, false, None);
            let first = limit.offset.saturating_add(1);
            let (key, last) = (Vec::new(), limit.offset.saturating_add(limit.count));
            let top = Top { input, key, order, first, last, window_end, latest, improving };
            return Ok(self.top(top));
        }
        let mut order = order.into_iter();
        let (Some(time), Some(term)) = (order.next(), query.order_by.first()) else {
            return Ok(input);
        };
        let columns = self.graph.columns(input).to_vec();
        check_order(&columns[time.column], term.expr.span)?;
        if !columns[time.column].role.is_time() || time.descending {
            let message = "ORDER BY without LIMIT begins with the event time, rising";
            let remedy = "write ORDER BY rt, …, or keep the first rows with LIMIT";
            return Err(Issue::new(term.expr.span, message, remedy));
        }
        let kind = NodeKind::Sort { input, rowtime: time.column, order: order.collect() };
        Ok(self.graph.push(kind, columns))
    }

    /// Binds ORDER BY over the columns of a query that is already planned.
    pub(crate) fn order_of_output(
        &mut self,
        node: NodeId,
        terms: &[OrderBy],
    ) -> Result<(NodeId, Vec<SortKey>)> {
        let scope = Scope::new(None, self.graph.columns(node));
        let mut extended = Extended::new(scope.entries.len());
        let order = rank::sort_keys(terms, &scope, &mut extended)?;
        Ok((self.extend(node, extended), order))
    }

    /// Binds ORDER BY of a plain SELECT: a name of the SELECT list first, else what FROM gives,
    /// which becomes a hidden item.
    pub(crate) fn order_items(
        &self,
        terms: &[OrderBy],
        scope: &Scope,
        items: &mut Vec<Selected>,
    ) -> Result<Vec<SortKey>> {
        let mut keys = Vec::new();
        for term in terms {
            let named = match &term.expr.kind {
                ExprKind::Column(path) if path.len() == 1 => {
                    let is_named =
                        |(own, ..): &&Selected| own.len() == 1 && own[0] == path[0].value;
                    items.iter().find(is_named).map(|(_, expr, _)| expr.clone())
                }
                _ => None,
            };
            let bound = match named {
                Some(expr) => expr,
                None => Binder::new(scope).bind(&term.expr)?,
            };
            let at = items.iter().position(|(_, expr, _)| *expr == bound).unwrap_or_else(|| {
                items.push((vec![format!("$order_{}", items.len())], bound.clone(), true));
                items.len() - 1
            });
            let mut none = Extended::new(0);
            let key = rank::sort_key(term, &bound, &mut none)?;
            keys.push(SortKey { column: at, ..key });
        }
        Ok(keys)
    }
}
