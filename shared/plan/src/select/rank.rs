//! ROW_NUMBER as the only call with OVER. Without a filter it is a running number; a filter on it
//! makes a ranking: the first or last row of each key, the first N, the first N of each window.

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::fragment::SortKey;
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, Item, OrderBy, Select};
use crate::bind::{Binder, Scope};
use crate::changes::Changes;
use crate::compile::as_column;
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind, Role, Top, conjuncts, substitute};
use crate::select::Planner;
use crate::select::clock::check_order;
use crate::select::over::{self, Extended};

/// The item that is ROW_NUMBER() OVER (…), if that is the only call with OVER.
pub(crate) fn find(query: &Select, found: &[(&ast::Call, Span)]) -> Option<usize> {
    let [(call, _)] = found else { return None };
    let is_number = |item: &Item| {
        matches!(item, Item::Expr { expr: ast::Expr { kind: ast::ExprKind::Call(own), .. }, .. }
            if own.name.span == call.name.span)
    };
    query.items.iter().position(is_number).filter(|_| call.name.value == "ROW_NUMBER")
}

impl Planner {
    /// A SELECT with a row number among its items.
    pub(crate) fn rank(
        &mut self,
        query: &Select,
        input: NodeId,
        scope: &Scope,
        (call, span): (&ast::Call, Span),
        at: usize,
    ) -> Result<NodeId> {
        let over = over::spec(call, query)?;
        if over.frame.is_some() || !call.args.is_empty() || call.star {
            let message = "ROW_NUMBER takes no arguments and no frame";
            return Err(Issue::new(span, message, "ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)"));
        }
        if over.order_by.is_empty() {
            let message = "ROW_NUMBER has no ORDER BY";
            return Err(Issue::new(span, message, "ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)"));
        }
        let mut extended = Extended::new(self.graph.columns(input).len());
        let key = over::partition(over, scope, &mut extended)?;
        let order = sort_keys(&over.order_by, scope, &mut extended)?;
        let input = self.extend(input, extended);
        let mut columns = self.graph.columns(input).to_vec();
        if let [term] = order.as_slice() {
            check_order(&columns[term.column], over.order_by[0].expr.span)?;
        }
        let number = columns.len();
        columns.push(Column::new("$row_number", DataType::BigInt));
        let node = self.graph.push(NodeKind::Rank { input, key, order, span }, columns);
        let mut items = Vec::new();
        for (i, item) in query.items.iter().enumerate() {
            if i == at {
                let Item::Expr { expr, alias } = item else { continue };
                let name = super::item_name(expr, alias.as_ref(), items.len());
                items.push((vec![name], Expr::column(number, DataType::BigInt), false));
            } else {
                self.item(item, scope, &mut items)?;
            }
        }
        Ok(self.graph.project(node, items))
    }

    /// WHERE: a condition on the row number makes a ranking of it.
    pub(crate) fn keep(&mut self, node: NodeId, predicate: Expr) -> NodeId {
        let folded = self.graph.fold(node);
        let NodeKind::Rank { input, key, order, .. } = self.graph.nodes[folded.base].kind.clone()
        else {
            return self.graph.filter(node, vec![predicate]);
        };
        let columns = self.graph.columns(input).to_vec();
        let number = columns.len();
        let mut terms = folded.predicates.clone();
        conjuncts(&substitute(&predicate, &folded.exprs), &mut terms);
        let (mut first, mut last) = (1, None);
        terms.retain(|term| match bounds(term, number) {
            Some((from, to)) => {
                first = first.max(from);
                last = last.into_iter().chain(to).min();
                false
            }
            None => true,
        });
        let falls_by_arrival = order
            .first()
            .is_some_and(|term| term.descending && columns[term.column].role == Role::Proctime);
        // The last rows to arrive but one cannot be told without keeping all.
        let is_ranked =
            |last: &u64| *last >= first && first >= 1 && (!falls_by_arrival || *last == 1);
        let Some(last) = last.filter(is_ranked) else {
            return self.graph.filter(node, vec![predicate]);
        };
        let kept = self.ranking(input, key, order, (first, last));
        let own = columns.iter().enumerate().map(|(i, c)| c.at(i));
        // The number of every row that is left is known where only one is.
        let rank = match (first == last, i64::try_from(first)) {
            (true, Ok(first)) => Expr::literal(Literal::Int(first), DataType::BigInt),
            _ => Expr::column(number, DataType::BigInt),
        };
        let replaced: Vec<Expr> = own.chain([rank]).collect();
        let terms = terms.iter().map(|t| substitute(t, &replaced)).collect();
        let kept = self.graph.filter(kept, terms);
        let outer = self.graph.columns(node).to_vec();
        let items = outer
            .iter()
            .zip(&folded.exprs)
            .map(|(c, e)| (c.path.clone(), substitute(e, &replaced), c.hidden))
            .collect();
        self.graph.project(kept, items)
    }

    /// The node that keeps these ranks.
    fn ranking(
        &mut self,
        input: NodeId,
        key: Vec<usize>,
        order: Vec<SortKey>,
        (first, last): (u64, u64),
    ) -> NodeId {
        let columns = self.graph.columns(input).to_vec();
        let role_at = |role: Role| key.iter().copied().find(|c| columns[*c].role == role);
        let start = role_at(Role::WindowStart);
        let window_end = role_at(Role::WindowEnd).filter(|_| start.is_some());
        let only_first = (first, last) == (1, 1);
        let appends = self.graph.changes(input) == Changes::Appends;
        let time = match order.as_slice() {
            [one] => self.is_time(input, one.column).then_some(one),
            _ => None,
        };
        if let Some(SortKey { column, descending: false, .. }) = time
            && only_first
            && appends
            && window_end.is_none()
        {
            let kind = NodeKind::Dedup { input, key, rowtime: *column };
            return self.graph.push(kind, columns);
        }
        if let [SortKey { column, descending, .. }] = order.as_slice()
            && columns[*column].role == Role::Proctime
        {
            // Rows stand in order of arrival without any order.
            let (order, latest) = (Vec::new(), *descending);
            let top = Top { input, key, order, first, last, window_end, latest, improving: false };
            return self.top(top);
        }
        let falls = matches!(order.as_slice(), [SortKey { descending: true, .. }]);
        let top = Top {
            input,
            latest: only_first && appends && falls && time.is_some(),
            improving: only_first && appends && !falls && window_end.is_none(),
            key,
            order,
            first,
            last,
            window_end,
        };
        self.top(top)
    }

    /// The node of a ranking: the input's columns and the rank.
    pub(crate) fn top(&mut self, top: Top) -> NodeId {
        let mut columns = self.graph.columns(top.input).to_vec();
        columns.push(Column::new("$row_number", DataType::BigInt).hide());
        self.graph.push(NodeKind::Top(Box::new(top)), columns)
    }

    /// Whether a column is an event time, or was the one that a window is made of.
    fn is_time(&self, input: NodeId, column: usize) -> bool {
        if self.graph.columns(input)[column].role.is_time() {
            return true;
        }
        let folded = self.graph.fold(input);
        let NodeKind::Windows(_, window) = &self.graph.nodes[folded.base].kind else {
            return false;
        };
        as_column(&folded.exprs[column]) == Some(window.rowtime)
    }
}

/// The terms of ORDER BY as columns.
pub(crate) fn sort_keys(
    terms: &[OrderBy],
    scope: &Scope,
    extended: &mut Extended,
) -> Result<Vec<SortKey>> {
    let mut keys = Vec::new();
    for term in terms {
        let bound = match arrival(term, scope).filter(|_| terms.len() == 1) {
            Some(column) => scope.entries[column].column.at(column),
            None => Binder::new(scope).bind(&term.expr)?,
        };
        keys.push(sort_key(term, &bound, extended)?);
    }
    Ok(keys)
}

/// The column of a term that is the time of arrival.
fn arrival(term: &OrderBy, scope: &Scope) -> Option<usize> {
    let ast::ExprKind::Column(path) = &term.expr.kind else { return None };
    let column = scope.position(path).ok()?;
    (scope.entries[column].column.role == Role::Proctime).then_some(column)
}

/// One term of ORDER BY: NULLs are the smallest values unless it says otherwise.
pub(crate) fn sort_key(term: &OrderBy, bound: &Expr, extended: &mut Extended) -> Result<SortKey> {
    if bound.as_literal().is_some() {
        let message = "ORDER BY names a constant";
        return Err(Issue::new(term.expr.span, message, "name a column or an expression"));
    }
    if bound.data_type.is_nested() || matches!(bound.data_type, DataType::Bytes | DataType::Null) {
        let message = format!("values of type {} have no order", bound.data_type);
        return Err(Issue::new(term.expr.span, message, "order by another column"));
    }
    Ok(SortKey {
        column: extended.column(bound.clone()),
        descending: term.descending,
        nulls_first: term.nulls_first.unwrap_or(!term.descending),
    })
}

/// The ranks that a condition on the row number leaves: from the first one, and to the last one
/// if there is one.
fn bounds(term: &Expr, number: usize) -> Option<(u64, Option<u64>)> {
    let ExprKind::Call(name, args) = &term.kind else { return None };
    let [left, right] = args.as_slice() else { return None };
    let is_number = |e: &Expr| matches!(strip(e).kind, ExprKind::Column(i) if i == number);
    let value = |e: &Expr| match strip(e).as_literal() {
        Some(Literal::Int(n)) => u64::try_from(*n).ok(),
        _ => None,
    };
    let (name, limit) = if is_number(left) {
        (name.as_str(), value(right)?)
    } else if is_number(right) {
        let mirrored = match name.as_str() {
            ">=" => "<=",
            ">" => "<",
            "<=" => ">=",
            "<" => ">",
            "=" => "=",
            _ => return None,
        };
        (mirrored, value(left)?)
    } else {
        return None;
    };
    match name {
        "=" => Some((limit, Some(limit))),
        "<=" => Some((1, Some(limit))),
        "<" => Some((1, Some(limit.checked_sub(1)?))),
        ">=" => Some((limit, None)),
        ">" => Some((limit.checked_add(1)?, None)),
        _ => None,
    }
}

fn strip(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Cast(inner, false) => strip(inner),
        _ => expr,
    }
}

/// The last rows to arrive: each row changes the number of all before it.
pub(crate) fn last_arrivals(span: Span) -> Issue {
    Issue {
        remedy: "keep the last one: … WHERE rn = 1, or order by the event time".to_owned(),
        ..Issue::unsupported(span, "more than the last row by time of arrival")
    }
}

/// A row number in the order of something that no watermark speaks of, without a filter on it.
pub(crate) fn unfiltered(span: Span) -> Issue {
    Issue {
        remedy: "keep the first rows of each key: … WHERE rn <= 10 around this query".to_owned(),
        ..Issue::unsupported(span, "ROW_NUMBER by anything but rising event time without a filter")
    }
}
