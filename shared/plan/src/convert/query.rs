//! SELECT, clause by clause.

use sqlparser::ast::{self as sql, Spanned};
use sqlparser::tokenizer::Span;

use crate::ast::{Alias, Body, Item, Limit, OrderBy, Query, Select, SetOp, SetOperation};
use crate::convert::call::order_term;
use crate::convert::{expr, grouping, name, over, relation, simple_name, values};
use crate::diagnostic::{Issue, Result};

/// Converts a query, or names what in it is not planned.
pub(crate) fn query(from: sql::Query) -> Result<Query> {
    let span = from.span();
    let sql::Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = from;
    let with = with.map(convert_with).transpose()?.unwrap_or_default();
    let foreign = !locks.is_empty()
        || for_clause.is_some()
        || settings.is_some()
        || format_clause.is_some()
        || !pipe_operators.is_empty();
    if foreign {
        return Err(Issue::not_flink(span, "the clause at the end of this query", "remove it"));
    }
    let order_by = convert_order_by(order_by, span)?;
    let limit = convert_limit(limit_clause, fetch, span)?;
    let body = convert_body(*body, span)?;
    Ok(Query { span: body_span(&body, span), with, body, order_by, limit })
}

fn convert_with(from: sql::With) -> Result<Vec<(Alias, Query)>> {
    let sql::With { with_token, recursive, cte_tables } = from;
    if recursive {
        return Err(Issue::unsupported(with_token.0.span, "WITH RECURSIVE"));
    }
    let named = |cte: sql::Cte| {
        let sql::Cte { alias, query: inner, from, materialized, closing_paren_token: _ } = cte;
        let span = alias.name.span;
        if from.is_some() || materialized.is_some() {
            return Err(Issue::not_flink(span, "MATERIALIZED", "write name AS (query)"));
        }
        Ok((relation::alias(alias)?, query(*inner)?))
    };
    cte_tables.into_iter().map(named).collect()
}

fn body_span(body: &Body, span: Span) -> Span {
    match body {
        Body::Select(select) if span == Span::empty() => select.span,
        Body::Values(values) if span == Span::empty() => values.span,
        _ => span,
    }
}

fn convert_body(from: sql::SetExpr, span: Span) -> Result<Body> {
    match from {
        sql::SetExpr::Select(select) => Ok(Body::Select(Box::new(convert_select(*select, span)?))),
        sql::SetExpr::Query(inner) => {
            let inner = query(*inner)?;
            let is_plain =
                inner.with.is_empty() && inner.order_by.is_empty() && inner.limit.is_none();
            Ok(if is_plain { inner.body } else { Body::Query(Box::new(inner)) })
        }
        sql::SetExpr::SetOperation { left, op, set_quantifier, right } => {
            let span = right.span();
            let op = set_operator(op, span)?;
            let all = match set_quantifier {
                sql::SetQuantifier::All => true,
                sql::SetQuantifier::None | sql::SetQuantifier::Distinct => false,
                _ => return Err(Issue::not_flink(span, "BY NAME", "name the columns in order")),
            };
            let (left, right) = (convert_body(*left, span)?, convert_body(*right, span)?);
            Ok(Body::Set(Box::new(SetOperation { op, all, left, right, span })))
        }
        sql::SetExpr::Values(rows) => Ok(Body::Values(Box::new(values::convert(rows, span)?))),
        sql::SetExpr::Table(_) => Err(Issue::not_flink(span, "this", "write SELECT * FROM …")),
        sql::SetExpr::Insert(_)
        | sql::SetExpr::Update(_)
        | sql::SetExpr::Delete(_)
        | sql::SetExpr::Merge(_) => Err(Issue::not_flink(span, "this", "write SELECT …")),
    }
}

fn set_operator(op: sql::SetOperator, span: Span) -> Result<SetOp> {
    match op {
        sql::SetOperator::Union => Ok(SetOp::Union),
        sql::SetOperator::Intersect => Ok(SetOp::Intersect),
        sql::SetOperator::Except => Ok(SetOp::Except),
        sql::SetOperator::Minus => Err(Issue::not_flink(span, "MINUS", "write EXCEPT")),
    }
}

fn convert_order_by(from: Option<sql::OrderBy>, span: Span) -> Result<Vec<OrderBy>> {
    let Some(sql::OrderBy { kind, interpolate }) = from else { return Ok(Vec::new()) };
    match (kind, interpolate) {
        (sql::OrderByKind::Expressions(terms), None) => terms.into_iter().map(order_term).collect(),
        _ => Err(Issue::not_flink(span, "this ORDER BY", "name the columns")),
    }
}

/// `LIMIT n [OFFSET m]` and `[OFFSET m ROWS] FETCH FIRST n ROWS ONLY`.
fn convert_limit(
    limit: Option<sql::LimitClause>,
    fetch: Option<sql::Fetch>,
    span: Span,
) -> Result<Option<Limit>> {
    let foreign = || Issue::not_flink(span, "this LIMIT", "write LIMIT 10");
    let (limit, offset) = match limit {
        None => (None, None),
        Some(sql::LimitClause::LimitOffset { limit, offset, limit_by }) => {
            if !limit_by.is_empty() {
                return Err(Issue::not_flink(span, "LIMIT BY", "number the rows by ROW_NUMBER"));
            }
            (limit, offset)
        }
        Some(sql::LimitClause::OffsetCommaLimit { .. }) => return Err(foreign()),
    };
    let count = match (limit, fetch) {
        (Some(count), None) => count,
        (None, Some(sql::Fetch { with_ties: false, percent: false, quantity: Some(count) })) => {
            count
        }
        (None, None) => {
            let Some(sql::Offset { value, rows: _ }) = offset else { return Ok(None) };
            let (_, at) = whole_number(&value, "OFFSET", span)?;
            let message = "OFFSET stands without LIMIT";
            return Err(Issue::new(at, message, "add LIMIT 10 before it"));
        }
        _ => return Err(foreign()),
    };
    let (count, at) = whole_number(&count, "LIMIT", span)?;
    let offset = match offset {
        Some(sql::Offset { value, rows: _ }) => whole_number(&value, "OFFSET", span)?.0,
        None => 0,
    };
    Ok(Some(Limit { count, offset, span: at }))
}

/// A number that stands behind a word, and its place.
fn whole_number(from: &sql::Expr, word: &str, span: Span) -> Result<(u64, Span)> {
    let at = from.span();
    let at = if at == Span::empty() { span } else { at };
    let digits = match from {
        sql::Expr::Value(sql::ValueWithSpan { value: sql::Value::Number(digits, _), .. }) => {
            digits.parse().ok()
        }
        _ => None,
    };
    let wrong =
        || Issue::new(at, format!("{word} takes a whole number"), format!("write {word} 10"));
    Ok((digits.ok_or_else(wrong)?, at))
}

fn convert_select(from: sql::Select, span: Span) -> Result<Select> {
    let sql::Select {
        select_token,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from: tables,
        lateral_views,
        prewhere,
        selection,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = from;
    let at = select_token.0.span;
    let foreign = [
        (top.is_some(), "TOP"),
        (!optimizer_hints.is_empty(), "a hint"),
        (select_modifiers.is_some(), "this modifier of SELECT"),
        (exclude.is_some(), "EXCLUDE"),
        (into.is_some(), "SELECT … INTO"),
        (!lateral_views.is_empty(), "LATERAL VIEW"),
        (prewhere.is_some(), "PREWHERE"),
        (!connect_by.is_empty(), "CONNECT BY"),
        (!cluster_by.is_empty(), "CLUSTER BY"),
        (!distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!sort_by.is_empty(), "SORT BY"),
        (value_table_mode.is_some(), "SELECT AS"),
        (flavor != sql::SelectFlavor::Standard, "FROM before SELECT"),
    ];
    if let Some((_, what)) = foreign.into_iter().find(|(present, _)| *present) {
        return Err(Issue::not_flink(at, what, "docs/reference/sql.md has the grammar"));
    }
    if let Some(qualify) = qualify {
        return Err(Issue::unsupported(qualify.span(), "QUALIFY"));
    }
    let mut items = Vec::new();
    for item in projection {
        items.push(convert_item(item, at)?);
    }
    if tables.is_empty() && selection.is_some() {
        let message = "WHERE stands in a SELECT without FROM";
        return Err(Issue::new(at, message, "remove it, or read from a table"));
    }
    let from = relation::from(tables, at)?;
    let (group_by, sets) = grouping::convert(group_by, at)?;
    Ok(Select {
        span: if span == Span::empty() { at } else { span },
        distinct: is_distinct(distinct, at)?,
        items,
        from,
        filter: selection.map(expr).transpose()?,
        group_by,
        sets,
        having: having.map(expr).transpose()?,
        windows: over::windows(named_window)?,
    })
}

fn is_distinct(distinct: Option<sql::Distinct>, at: Span) -> Result<bool> {
    match distinct {
        None | Some(sql::Distinct::All) => Ok(false),
        Some(sql::Distinct::Distinct) => Ok(true),
        Some(sql::Distinct::On(_)) => {
            Err(Issue::not_flink(at, "DISTINCT ON", "number the rows with ROW_NUMBER"))
        }
    }
}

fn convert_item(item: sql::SelectItem, at: Span) -> Result<Item> {
    match item {
        sql::SelectItem::UnnamedExpr(value) => Ok(Item::Expr { expr: expr(value)?, alias: None }),
        sql::SelectItem::ExprWithAlias { expr: value, alias } => {
            Ok(Item::Expr { expr: expr(value)?, alias: Some(name(alias)?) })
        }
        sql::SelectItem::ExprWithAliases { expr: value, aliases: _ } => {
            Err(Issue::not_flink(value.span(), "an alias of several names", "name one"))
        }
        sql::SelectItem::Wildcard(options) => star(None, options, at),
        sql::SelectItem::QualifiedWildcard(kind, options) => match kind {
            sql::SelectItemQualifiedWildcardKind::ObjectName(object) => {
                star(Some(simple_name(object)?), options, at)
            }
            sql::SelectItemQualifiedWildcardKind::Expr(value) => {
                Err(Issue::unsupported(value.span(), "the fields of a value by '.*'"))
            }
        },
    }
}

fn star(
    qualifier: Option<crate::ast::Name>,
    options: sql::WildcardAdditionalOptions,
    at: Span,
) -> Result<Item> {
    let sql::WildcardAdditionalOptions {
        wildcard_token,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let own = wildcard_token.0.span;
    let span = if own == Span::empty() { at } else { own };
    let foreign = opt_ilike.is_some()
        || opt_exclude.is_some()
        || opt_except.is_some()
        || opt_replace.is_some()
        || opt_rename.is_some()
        || opt_alias.is_some();
    if foreign {
        return Err(Issue::not_flink(span, "an option after '*'", "name the columns"));
    }
    Ok(Item::Star { qualifier, span })
}
