//! Expressions, node by node.

use sqlparser::ast::{self as sql, Spanned, Value};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Tokenizer};

use crate::ast::{BinaryOp, Expr, ExprKind, Interval, Is, UnaryOp};
use crate::convert::{call, name};
use crate::diagnostic::{Issue, Result};
use crate::dialect::FlinkDialect;
use crate::types::{self, SqlType};

/// Converts an expression, or names what in it is not let through.
pub(crate) fn expr(from: sql::Expr) -> Result<Expr> {
    refuse_depth(&from)?;
    let span = from.span();
    let kind = match from {
        sql::Expr::Identifier(ident) => ExprKind::Column(vec![name(ident)?]),
        sql::Expr::CompoundIdentifier(parts) => {
            ExprKind::Column(parts.into_iter().map(name).collect::<Result<_>>()?)
        }
        sql::Expr::Nested(inner) => return expr(*inner),
        sql::Expr::Value(value) => literal(value)?,
        sql::Expr::TypedString(typed) => typed_string(typed)?,
        sql::Expr::Interval(interval) => ExprKind::Interval(convert_interval(interval, span)?),
        sql::Expr::UnaryOp { op, expr: arg } => {
            ExprKind::Unary(unary_op(op, span)?, Box::new(expr(*arg)?))
        }
        sql::Expr::BinaryOp { left, op: sql::BinaryOperator::Overlaps, right } => {
            overlaps(*left, *right, span)?
        }
        sql::Expr::BinaryOp { left, op, right } => {
            let op = binary_op(op, span)?;
            ExprKind::Binary(op, Box::new(expr(*left)?), Box::new(expr(*right)?))
        }
        sql::Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
            convert_case(operand, conditions, else_result)?
        }
        sql::Expr::Cast { kind, expr: arg, data_type, format } => {
            if format.is_some() {
                return Err(Issue::not_flink(span, "CAST … FORMAT", "use DATE_FORMAT"));
            }
            let safe = match kind {
                sql::CastKind::Cast => false,
                sql::CastKind::TryCast => true,
                sql::CastKind::SafeCast | sql::CastKind::DoubleColon => {
                    return Err(Issue::not_flink(span, "this cast", "write CAST(… AS type)"));
                }
            };
            ExprKind::Cast { arg: Box::new(expr(*arg)?), to: decode_type(data_type, span)?, safe }
        }
        sql::Expr::Function(function) => call::function(function, span)?,
        sql::Expr::Array(sql::Array { elem, named }) if named => call::plain("ARRAY", span, elem)?,
        sql::Expr::CompoundFieldAccess { root, access_chain } => access(*root, access_chain)?,
        sql::Expr::Tuple(fields) => call::plain("ROW", span, fields)?,
        other => return predicate(other, span),
    };
    Ok(Expr { kind, span })
}

/// Longest chain of operators without brackets: the parser makes a tree of it that is as deep.
const CHAIN_MAX: usize = 250;

/// Follows the left side, the only one that the parser's own bound on nesting does not hold.
fn refuse_depth(from: &sql::Expr) -> Result<()> {
    let mut at = from;
    for _ in 0..CHAIN_MAX {
        at = match at {
            sql::Expr::BinaryOp { left, .. } => left,
            sql::Expr::IsNull(arg)
            | sql::Expr::IsNotNull(arg)
            | sql::Expr::IsTrue(arg)
            | sql::Expr::IsNotTrue(arg)
            | sql::Expr::IsFalse(arg)
            | sql::Expr::IsNotFalse(arg)
            | sql::Expr::IsUnknown(arg)
            | sql::Expr::IsNotUnknown(arg)
            | sql::Expr::InList { expr: arg, .. }
            | sql::Expr::Between { expr: arg, .. }
            | sql::Expr::Like { expr: arg, .. }
            | sql::Expr::CompoundFieldAccess { root: arg, .. } => arg,
            _ => return Ok(()),
        };
    }
    let message = format!("an expression chains more than {CHAIN_MAX} operators");
    Err(Issue::new(leftmost(at), message, "split it by a view, or write IN (…)"))
}

/// The place of the innermost operand, found without recursion.
fn leftmost(from: &sql::Expr) -> Span {
    let mut at = from;
    while let sql::Expr::BinaryOp { left, .. } = at {
        at = left;
    }
    at.span()
}

/// Predicates.
fn predicate(from: sql::Expr, span: Span) -> Result<Expr> {
    let is = |arg: Box<sql::Expr>, what, negated| -> Result<ExprKind> {
        Ok(ExprKind::Is { arg: Box::new(expr(*arg)?), what, negated })
    };
    let kind = match from {
        sql::Expr::IsNull(arg) => is(arg, Is::Null, false)?,
        sql::Expr::IsNotNull(arg) => is(arg, Is::Null, true)?,
        sql::Expr::IsTrue(arg) => is(arg, Is::True, false)?,
        sql::Expr::IsNotTrue(arg) => is(arg, Is::True, true)?,
        sql::Expr::IsFalse(arg) => is(arg, Is::False, false)?,
        sql::Expr::IsNotFalse(arg) => is(arg, Is::False, true)?,
        sql::Expr::IsUnknown(arg) => is(arg, Is::Unknown, false)?,
        sql::Expr::IsNotUnknown(arg) => is(arg, Is::Unknown, true)?,
        sql::Expr::IsDistinctFrom(left, right) => distinct_from(*left, *right, false)?,
        sql::Expr::IsNotDistinctFrom(left, right) => distinct_from(*left, *right, true)?,
        sql::Expr::InList { expr: arg, list, negated } => ExprKind::In {
            arg: Box::new(expr(*arg)?),
            list: list.into_iter().map(expr).collect::<Result<_>>()?,
            negated,
        },
        sql::Expr::InSubquery { expr: arg, subquery, negated } => ExprKind::InQuery {
            arg: Box::new(expr(*arg)?),
            query: Box::new(crate::convert::query(*subquery)?),
            negated,
        },
        sql::Expr::Exists { subquery, negated } => {
            ExprKind::Exists { query: Box::new(crate::convert::query(*subquery)?), negated }
        }
        sql::Expr::Subquery(query) => ExprKind::Scalar(Box::new(crate::convert::query(*query)?)),
        sql::Expr::Between { expr: arg, negated, low, high } => ExprKind::Between {
            arg: Box::new(expr(*arg)?),
            low: Box::new(expr(*low)?),
            high: Box::new(expr(*high)?),
            negated,
        },
        sql::Expr::Like { negated, any, expr: arg, pattern, escape_char } => {
            if any {
                return Err(Issue::not_flink(span, "LIKE ANY", "join the patterns with OR"));
            }
            ExprKind::Like {
                arg: Box::new(expr(*arg)?),
                pattern: Box::new(expr(*pattern)?),
                escape: escape_char.map(|e| expr(*e)).transpose()?.map(Box::new),
                negated,
            }
        }
        other => return form(other, span),
    };
    Ok(Expr { kind, span })
}

/// The functions with a grammar of their own.
fn form(from: sql::Expr, span: Span) -> Result<Expr> {
    let kind = match from {
        sql::Expr::Extract { field, syntax, expr: arg } => {
            call::extract(field, syntax, *arg, span)?
        }
        sql::Expr::Ceil { expr: arg, field } => call::rounding("CEIL", *arg, field, span)?,
        sql::Expr::Floor { expr: arg, field } => call::rounding("FLOOR", *arg, field, span)?,
        sql::Expr::Position { expr: arg, r#in } => {
            call::plain("POSITION", span, vec![*arg, *r#in])?
        }
        sql::Expr::Substring {
            expr: arg,
            substring_from,
            substring_for,
            special: _,
            shorthand: _,
        } => {
            let parts = [Some(arg), substring_from, substring_for];
            call::plain("SUBSTRING", span, parts.into_iter().flatten().map(|e| *e).collect())?
        }
        sql::Expr::Trim { trim_where, trim_what, expr: arg, trim_characters } => {
            if trim_characters.is_some() {
                return Err(Issue::not_flink(span, "TRIM with a list", "TRIM(BOTH x FROM y)"));
            }
            call::trim(trim_where, trim_what, *arg, span)?
        }
        sql::Expr::Overlay { expr: arg, overlay_what, overlay_from, overlay_for } => {
            let parts = [Some(arg), Some(overlay_what), Some(overlay_from), overlay_for];
            call::plain("OVERLAY", span, parts.into_iter().flatten().map(|e| *e).collect())?
        }
        sql::Expr::SimilarTo { negated, expr: arg, pattern, escape_char } => {
            let parts = [Some(arg), Some(pattern), escape_char].into_iter().flatten();
            let test = call::plain("SIMILAR TO", span, parts.map(|e| *e).collect())?;
            return Ok(negated_if(negated, test, span));
        }
        sql::Expr::IsJson { expr: arg, kind, unique_keys, negated } => {
            if unique_keys.is_some() {
                return Err(Issue::unsupported(span, "IS JSON … UNIQUE KEYS"));
            }
            let test = call::plain(json_test(kind), span, vec![*arg])?;
            return Ok(negated_if(negated, test, span));
        }
        other => return Err(refuse(&other, span)),
    };
    Ok(Expr { kind, span })
}

fn negated_if(negated: bool, test: ExprKind, span: Span) -> Expr {
    let test = Expr { kind: test, span };
    if !negated {
        return test;
    }
    Expr { kind: ExprKind::Unary(UnaryOp::Not, Box::new(test)), span }
}

fn json_test(kind: Option<sql::JsonPredicateType>) -> &'static str {
    match kind {
        None => "IS JSON",
        Some(sql::JsonPredicateType::Value) => "IS JSON VALUE",
        Some(sql::JsonPredicateType::Scalar) => "IS JSON SCALAR",
        Some(sql::JsonPredicateType::Array) => "IS JSON ARRAY",
        Some(sql::JsonPredicateType::Object) => "IS JSON OBJECT",
    }
}

/// Names what is not let through.
fn refuse(from: &sql::Expr, span: Span) -> Issue {
    match from {
        sql::Expr::GroupingSets(_) => Issue::unsupported(span, "GROUPING SETS"),
        sql::Expr::Cube(_) => Issue::unsupported(span, "CUBE"),
        sql::Expr::Rollup(_) => Issue::unsupported(span, "ROLLUP"),
        sql::Expr::AnyOp { .. } => Issue::unsupported(span, "a comparison with ANY or SOME"),
        sql::Expr::AllOp { .. } => Issue::unsupported(span, "a comparison with ALL"),
        sql::Expr::Map(_) => Issue::unsupported(span, "a MAP value"),
        sql::Expr::Struct { .. } => Issue::unsupported(span, "a ROW value"),
        sql::Expr::AtTimeZone { .. } => {
            Issue::not_flink(span, "AT TIME ZONE", "use CONVERT_TZ or DATE_FORMAT")
        }
        sql::Expr::ILike { .. } => Issue::not_flink(span, "ILIKE", "write LOWER(…) LIKE LOWER(…)"),
        sql::Expr::RLike { .. } => Issue::not_flink(span, "RLIKE", "use REGEXP(text, pattern)"),
        sql::Expr::Collate { .. } => Issue::not_flink(span, "COLLATE", "remove it"),
        sql::Expr::Prefixed { prefix, value: _ } => Issue::new(
            prefix.span,
            "a table stands where a value is expected",
            "TABLE t is an argument of a window function in FROM",
        ),
        sql::Expr::Wildcard(_) | sql::Expr::QualifiedWildcard(..) => Issue::new(
            span,
            "'*' stands where a value is expected",
            "name the columns, or write COUNT(*)",
        ),
        _ => Issue::not_flink(span, "this expression", "docs/reference/sql.md has the grammar"),
    }
}

fn literal(value: sql::ValueWithSpan) -> Result<ExprKind> {
    let sql::ValueWithSpan { value, span } = value;
    match value {
        Value::Number(digits, false) => Ok(ExprKind::Number(digits)),
        Value::SingleQuotedString(text) => {
            if text.contains("${secret:") {
                let message = "a secret may stand only in the value of a table option";
                return Err(Issue::new(span, message, "use a variable from [vars]"));
            }
            Ok(ExprKind::Text(text))
        }
        Value::Boolean(b) => Ok(ExprKind::Boolean(b)),
        Value::Null => Ok(ExprKind::Null),
        // Bytes have no literal of their own in the engine.
        Value::HexStringLiteral(digits) => {
            if digits.len() % 2 != 0 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                let message = format!("'{digits}' is no binary value");
                return Err(Issue::new(span, message, "write pairs of hexadecimal digits"));
            }
            Ok(call::called("UNHEX", span, Expr { kind: ExprKind::Text(digits), span }))
        }
        _ => Err(Issue::not_flink(span, "this literal", "quote texts with '")),
    }
}

fn typed_string(typed: sql::TypedString) -> Result<ExprKind> {
    let sql::TypedString { data_type, value, uses_odbc_syntax } = typed;
    let span = value.span;
    let Value::SingleQuotedString(text) = value.value else {
        return Err(Issue::not_flink(span, "this literal", "quote the text with '"));
    };
    match data_type {
        _ if uses_odbc_syntax => Err(Issue::not_flink(span, "{ts '…'}", "write TIMESTAMP '…'")),
        sql::DataType::Date => Ok(ExprKind::Date(text)),
        sql::DataType::Time(None, sql::TimezoneInfo::None) => Ok(ExprKind::Time(text)),
        sql::DataType::Timestamp(None, sql::TimezoneInfo::None) => Ok(ExprKind::Timestamp(text)),
        _ => Err(Issue::not_flink(span, "this typed literal", "write CAST('…' AS type)")),
    }
}

fn convert_interval(from: sql::Interval, span: Span) -> Result<Interval> {
    let sql::Interval {
        value,
        leading_field,
        leading_precision,
        last_field,
        fractional_seconds_precision,
    } = from;
    let remedy = "write INTERVAL '10' SECOND";
    let (sign, value) = match *value {
        sql::Expr::UnaryOp { op: sql::UnaryOperator::Minus, expr } => ("-", *expr),
        sql::Expr::UnaryOp { op: sql::UnaryOperator::Plus, expr } => ("", *expr),
        value => ("", value),
    };
    let sql::Expr::Value(sql::ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = value
    else {
        return Err(Issue::not_flink(span, "an interval without quotes", remedy));
    };
    let text = match text.strip_prefix('-').filter(|_| sign == "-") {
        Some(rest) => rest.to_owned(),
        None => sign.to_owned() + &text,
    };
    if fractional_seconds_precision.is_some() {
        return Err(Issue::unsupported(span, "a precision of fractional seconds in an interval"));
    }
    let Some(leading) = leading_field else {
        return Err(Issue::new(span, "the interval has no unit", remedy));
    };
    let unit = |field: &sql::DateTimeField| field.to_string().to_uppercase();
    Ok(Interval {
        text,
        leading: unit(&leading),
        precision: leading_precision,
        last: last_field.as_ref().map(unit),
    })
}

fn unary_op(op: sql::UnaryOperator, span: Span) -> Result<UnaryOp> {
    match op {
        sql::UnaryOperator::Plus => Ok(UnaryOp::Plus),
        sql::UnaryOperator::Minus => Ok(UnaryOp::Minus),
        sql::UnaryOperator::Not => Ok(UnaryOp::Not),
        other => Err(Issue::not_flink(span, &format!("'{other}'"), "remove it")),
    }
}

fn binary_op(op: sql::BinaryOperator, span: Span) -> Result<BinaryOp> {
    Ok(match op {
        sql::BinaryOperator::Plus => BinaryOp::Plus,
        sql::BinaryOperator::Minus => BinaryOp::Minus,
        sql::BinaryOperator::Multiply => BinaryOp::Multiply,
        sql::BinaryOperator::Divide => BinaryOp::Divide,
        sql::BinaryOperator::Modulo => BinaryOp::Modulo,
        sql::BinaryOperator::StringConcat => BinaryOp::Concat,
        sql::BinaryOperator::Eq => BinaryOp::Eq,
        sql::BinaryOperator::NotEq => BinaryOp::NotEq,
        sql::BinaryOperator::Lt => BinaryOp::Lt,
        sql::BinaryOperator::LtEq => BinaryOp::LtEq,
        sql::BinaryOperator::Gt => BinaryOp::Gt,
        sql::BinaryOperator::GtEq => BinaryOp::GtEq,
        sql::BinaryOperator::And => BinaryOp::And,
        sql::BinaryOperator::Or => BinaryOp::Or,
        other => return Err(Issue::not_flink(span, &format!("'{other}'"), "remove it")),
    })
}

fn distinct_from(left: sql::Expr, right: sql::Expr, negated: bool) -> Result<ExprKind> {
    let (left, right) = (Box::new(expr(left)?), Box::new(expr(right)?));
    Ok(ExprKind::DistinctFrom { left, right, negated })
}

/// `(start, end) OVERLAPS (start, end)`: the four in order.
fn overlaps(left: sql::Expr, right: sql::Expr, span: Span) -> Result<ExprKind> {
    let mut all = Vec::new();
    for period in [left, right] {
        let sql::Expr::Tuple(bounds) = period else {
            let remedy = "write (start, end) OVERLAPS (start, end)";
            return Err(Issue::new(span, "OVERLAPS stands between two periods", remedy));
        };
        all.extend(bounds);
    }
    call::plain("OVERLAPS", span, all)
}

fn convert_case(
    operand: Option<Box<sql::Expr>>,
    conditions: Vec<sql::CaseWhen>,
    else_result: Option<Box<sql::Expr>>,
) -> Result<ExprKind> {
    let boxed = |e: Option<Box<sql::Expr>>| e.map(|e| expr(*e)).transpose();
    let operand = boxed(operand)?.map(Box::new);
    let branch = |sql::CaseWhen { condition, result }| Ok((expr(condition)?, expr(result)?));
    let branches = conditions.into_iter().map(branch).collect::<Result<_>>()?;
    Ok(ExprKind::Case { operand, branches, otherwise: boxed(else_result)?.map(Box::new) })
}

/// `a.b.c` after an index, and `array[index]`.
fn access(root: sql::Expr, chain: Vec<sql::AccessExpr>) -> Result<ExprKind> {
    let mut at = expr(root)?;
    for step in chain {
        match step {
            sql::AccessExpr::Subscript(sql::Subscript::Index { index }) => {
                let index = Box::new(expr(index)?);
                let span = at.span.union(&index.span);
                at = Expr { kind: ExprKind::Element { array: Box::new(at), index }, span };
            }
            sql::AccessExpr::Dot(sql::Expr::Identifier(ident)) => {
                let name = name(ident)?;
                let span = at.span.union(&name.span);
                let kind = match at.kind {
                    ExprKind::Column(path) => ExprKind::Column([path, vec![name]].concat()),
                    _ => ExprKind::Field { row: Box::new(at), name },
                };
                at = Expr { kind, span };
            }
            other => {
                let span = other.span();
                return Err(Issue::unsupported(span, "this access to a part of a value"));
            }
        }
    }
    Ok(at.kind)
}

/// Reads back what the dialect encoded.
pub(crate) fn decode_type(data_type: sql::DataType, span: Span) -> Result<SqlType> {
    let lost = || Issue::not_flink(span, "this type", "docs/reference/sql.md lists the types");
    let sql::DataType::Custom(object, arguments) = data_type else { return Err(lost()) };
    let Some(ident) = object.0.first().and_then(|part| part.as_ident()) else {
        return Err(lost());
    };
    if !arguments.is_empty() {
        return Err(lost());
    }
    let mut tokens = Vec::new();
    for token in Tokenizer::new(&FlinkDialect, &ident.value).tokenize().map_err(|_| lost())? {
        match token {
            // Nested types end in `>>`.
            sqlparser::tokenizer::Token::ShiftRight => {
                tokens.push(sqlparser::tokenizer::Token::Gt);
                tokens.push(sqlparser::tokenizer::Token::Gt);
            }
            other => tokens.push(other),
        }
    }
    let mut parser = Parser::new(&FlinkDialect).with_tokens(tokens);
    types::parse_type(&mut parser).map_err(|_| lost())
}
