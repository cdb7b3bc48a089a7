//! GROUPING and GROUPING_ID: which keys the grouping set of a row lacks.

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast;
use crate::bind::{Binder, Grouping, Scope, call as function};
use crate::compile::as_column;
use crate::diagnostic::{Issue, Result};

/// A number with one bit for each argument, the first one highest: 1 where the key is not in the
/// row's set.
pub(super) fn grouping_id(
    scope: &Scope,
    grouping: &Grouping,
    call: &ast::Call,
    span: Span,
) -> Result<Expr> {
    if call.args.is_empty() || call.star || call.args.len() > 60 {
        let message = format!("{} takes keys of GROUP BY", call.name.value);
        return Err(Issue::new(span, message, "name one key or several"));
    }
    let mut keys = Vec::new();
    for arg in &call.args {
        let bound = Binder::new(scope).bind(&arg.value)?;
        let Some((_, at)) = grouping.keys.iter().find(|(key, _)| *key == bound) else {
            let message = format!("an argument of {} is no key of GROUP BY", call.name.value);
            let keys = grouping.keys.iter().filter_map(|(key, _)| as_column(key));
            let keys: Vec<String> = keys.map(|at| scope.entries[at].column.name()).collect();
            let remedy = format!("the keys here: {}", keys.join(", "));
            return Err(Issue::new(arg.value.span, message, remedy));
        };
        keys.push(*at);
    }
    let number = |id: i64| Expr::literal(Literal::Int(id), DataType::BigInt);
    let Some(sets) = &grouping.sets else { return Ok(number(0)) };
    let mut branches = Vec::new();
    for (set, members) in (0..).zip(&sets.members) {
        let bit = |id: i64, key: &usize| {
            let is_plain = !sets.members.iter().flatten().any(|member| member == key);
            id << 1 | i64::from(!is_plain && !members.contains(key))
        };
        let id = keys.iter().fold(0, bit);
        let at = Expr::column(sets.at, DataType::BigInt);
        branches.push((function("=", vec![at, number(set)], span)?, number(id)));
    }
    let kind = ExprKind::Case(branches, Box::new(number(0)));
    Ok(Expr { kind, data_type: DataType::BigInt })
}
