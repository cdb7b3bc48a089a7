//! First-row deduplication: ROW_NUMBER over an event time, and the filter `= 1` around it.

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::types::DataType;

use crate::ast::{self, Item, Select};
use crate::bind::{Binder, Scope};
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind, Role, conjuncts, substitute};
use crate::select::Planner;

/// The item that is ROW_NUMBER() OVER (…), if the query has one.
pub(crate) fn find(query: &Select) -> Option<usize> {
    query.items.iter().position(|item| over(item).is_some())
}

fn over(item: &Item) -> Option<&ast::Call> {
    let Item::Expr { expr: ast::Expr { kind: ast::ExprKind::Call(call), .. }, .. } = item else {
        return None;
    };
    (call.name.value == "ROW_NUMBER" && call.over.is_some()).then_some(call)
}

impl Planner {
    /// A SELECT with a row number among its items.
    pub(crate) fn rank(
        &mut self,
        query: &Select,
        input: NodeId,
        scope: &Scope,
        at: usize,
    ) -> Result<NodeId> {
        let call = over(&query.items[at]).expect("found by the caller");
        let Item::Expr { expr, .. } = &query.items[at] else { unreachable!("a call is no star") };
        let span = expr.span;
        let over = call.over.as_ref().expect("checked by over()");
        if over.framed || !call.args.is_empty() || call.star {
            let message = "ROW_NUMBER takes no arguments and no frame";
            return Err(Issue::new(span, message, "ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)"));
        }
        let rowtime = event_time(over, scope, span)?;
        let (input, key) = self.partition(over, input, scope)?;
        let issue = Issue {
            remedy: "keep the first row of each key: … WHERE rn = 1 around this query".to_owned(),
            ..Issue::unsupported(span, "ROW_NUMBER without a filter '= 1' around it")
        };
        let mut columns = self.graph.columns(input).to_vec();
        let number = columns.len();
        columns.push(Column::new("$row_number", DataType::BigInt));
        let kind = NodeKind::Rank { input, key, rowtime, issue: Box::new(issue) };
        let node = self.graph.push(kind, columns);
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

    /// The key columns of PARTITION BY; expressions become columns after the input's own.
    fn partition(
        &mut self,
        over: &ast::Over,
        input: NodeId,
        scope: &Scope,
    ) -> Result<(NodeId, Vec<usize>)> {
        let mut extra = Vec::new();
        let width = self.graph.columns(input).len();
        let mut key = Vec::new();
        for term in &over.partition_by {
            let bound = Binder::new(scope).bind(term)?;
            match bound.kind {
                ExprKind::Column(index) => {
                    let role = scope.entries[index].column.role;
                    if matches!(role, Role::WindowStart | Role::WindowEnd) {
                        return Err(Issue::unsupported(term.span, "window deduplication"));
                    }
                    key.push(index);
                }
                _ => {
                    key.push(width + extra.len());
                    extra.push(bound);
                }
            }
        }
        if extra.is_empty() {
            return Ok((input, key));
        }
        let columns = self.graph.columns(input).to_vec();
        let own = columns.iter().enumerate();
        let mut items: Vec<_> = own.map(|(i, c)| (c.path.clone(), c.at(i), c.hidden)).collect();
        items.extend(extra.into_iter().map(|e| (vec!["$key".to_owned()], e, true)));
        Ok((self.graph.project(input, items), key))
    }

    /// WHERE: a condition on the row number makes a deduplication of it.
    pub(crate) fn keep(&mut self, node: NodeId, predicate: Expr) -> NodeId {
        let folded = self.graph.fold(node);
        let NodeKind::Rank { input, key, rowtime, .. } = self.graph.nodes[folded.base].kind.clone()
        else {
            return self.graph.filter(node, vec![predicate]);
        };
        let number = self.graph.columns(input).len();
        let mut terms = folded.predicates.clone();
        conjuncts(&substitute(&predicate, &folded.exprs), &mut terms);
        let count = terms.len();
        terms.retain(|term| !is_first(term, number));
        if terms.len() == count {
            return self.graph.filter(node, vec![predicate]);
        }
        let columns = self.graph.columns(input).to_vec();
        let dedup = self.graph.push(NodeKind::Dedup { input, key, rowtime }, columns.clone());
        // The number of every row that is left is 1.
        let own = columns.iter().enumerate().map(|(i, c)| c.at(i));
        let one = Expr::literal(Literal::Int(1), DataType::BigInt);
        let replaced: Vec<Expr> = own.chain([one]).collect();
        let terms = terms.iter().map(|t| substitute(t, &replaced)).collect();
        let kept = self.graph.filter(dedup, terms);
        let outer = self.graph.columns(node).to_vec();
        let items = outer
            .iter()
            .zip(&folded.exprs)
            .map(|(c, e)| (c.path.clone(), substitute(e, &replaced), c.hidden))
            .collect();
        self.graph.project(kept, items)
    }
}

/// The event-time column of `ORDER BY rt [ASC]`; anything else is another construct.
fn event_time(over: &ast::Over, scope: &Scope, span: sqlparser::tokenizer::Span) -> Result<usize> {
    let [term] = over.order_by.as_slice() else {
        let what = match over.order_by.len() {
            0 => "ROW_NUMBER without ORDER BY",
            _ => "Top-N (ROW_NUMBER ordered by several columns)",
        };
        return Err(Issue::unsupported(span, what));
    };
    let bound = Binder::new(scope).bind(&term.expr)?;
    let column = match bound.kind {
        ExprKind::Column(index) => Some(index),
        _ => None,
    };
    let time = column.filter(|index| scope.entries[*index].column.role.is_time());
    if let Some(partitioned) = window_partition(over, scope) {
        return Err(Issue::unsupported(partitioned, "window deduplication and window Top-N"));
    }
    let Some(index) = time else {
        return Err(Issue::unsupported(
            term.expr.span,
            "Top-N (ROW_NUMBER not ordered by the event time)",
        ));
    };
    if term.descending {
        let what = "deduplication that keeps the last row (ORDER BY … DESC)";
        return Err(Issue::unsupported(term.expr.span, what));
    }
    if term.nulls_first.is_some() {
        return Err(Issue::unsupported(term.expr.span, "NULLS FIRST and NULLS LAST"));
    }
    Ok(index)
}

fn window_partition(over: &ast::Over, scope: &Scope) -> Option<sqlparser::tokenizer::Span> {
    over.partition_by.iter().find_map(|term| {
        let ast::ExprKind::Column(path) = &term.kind else { return None };
        let role = scope.entries[scope.position(path).ok()?].column.role;
        matches!(role, Role::WindowStart | Role::WindowEnd).then_some(term.span)
    })
}

/// `rn = 1`, `1 = rn`, `rn <= 1`, `rn < 2` and their mirror images.
fn is_first(term: &Expr, number: usize) -> bool {
    let ExprKind::Call(name, args) = &term.kind else { return false };
    let [left, right] = args.as_slice() else { return false };
    let is_number = |e: &Expr| matches!(strip(e).kind, ExprKind::Column(i) if i == number);
    let value = |e: &Expr| match strip(e).as_literal() {
        Some(Literal::Int(n)) => Some(*n),
        _ => None,
    };
    let (name, limit) = if is_number(left) {
        (name.as_str(), value(right))
    } else if is_number(right) {
        let mirrored = match name.as_str() {
            ">=" => "<=",
            ">" => "<",
            "=" => "=",
            _ => "",
        };
        (mirrored, value(left))
    } else {
        return false;
    };
    matches!((name, limit), ("=" | "<=", Some(1)) | ("<", Some(2)))
}

fn strip(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Cast(inner, false) => strip(inner),
        _ => expr,
    }
}
