//! Expressions as text, with the names of columns.

use core::fmt;

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::functions::{FIELD, OR_NAN};
use headwater_engine::types::{DataType, Schema};

/// An expression over rows of a schema; prints with every bracket and every cast.
pub(crate) struct Shown<'a>(pub(crate) &'a Expr, pub(crate) &'a Schema);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(expr, schema) = self;
        let sub = |e| Shown(e, schema);
        match &expr.kind {
            ExprKind::Column(index) => match schema.fields.get(*index) {
                Some(field) => f.write_str(&field.name),
                None => write!(f, "#{index}"),
            },
            ExprKind::Literal(literal) => write_literal(f, literal, &expr.data_type),
            ExprKind::Call(name, args) => match (args.as_slice(), is_sign(name)) {
                ([row, position], _) if name == FIELD => write_field(f, sub(row), position),
                ([left, right], true) => {
                    let sign = name.trim_end_matches(OR_NAN);
                    write!(f, "({} {sign} {})", sub(left), sub(right))
                }
                _ => {
                    write!(f, "{name}")?;
                    list(f, args, schema, ", ")
                }
            },
            ExprKind::And(args) => list(f, args, schema, " AND "),
            ExprKind::Or(args) => list(f, args, schema, " OR "),
            ExprKind::Not(arg) => write!(f, "NOT ({})", sub(arg)),
            ExprKind::IsNull(arg) => write!(f, "({} IS NULL)", sub(arg)),
            ExprKind::IsBool(arg, true) => write!(f, "({} IS TRUE)", sub(arg)),
            ExprKind::IsBool(arg, false) => write!(f, "({} IS FALSE)", sub(arg)),
            ExprKind::Coalesce(args) => {
                f.write_str("COALESCE")?;
                list(f, args, schema, ", ")
            }
            ExprKind::Case(branches, otherwise) => {
                f.write_str("CASE")?;
                for (condition, value) in branches {
                    write!(f, " WHEN {} THEN {}", sub(condition), sub(value))?;
                }
                write!(f, " ELSE {} END", sub(otherwise))
            }
            ExprKind::In(arg, values) => {
                write!(f, "({} IN ", sub(arg))?;
                list(f, values, schema, ", ")?;
                f.write_str(")")
            }
            ExprKind::Cast(arg, safe) => {
                let word = if *safe { "TRY_CAST" } else { "CAST" };
                write!(f, "{word}({} AS {})", sub(arg), expr.data_type)
            }
        }
    }
}

/// `row.name`
fn write_field(f: &mut fmt::Formatter<'_>, row: Shown<'_>, position: &Expr) -> fmt::Result {
    let DataType::Row(fields) = &row.0.data_type else { return Err(fmt::Error) };
    let Some(Literal::Int(at)) = position.as_literal() else { return Err(fmt::Error) };
    let field = usize::try_from(*at).ok().and_then(|at| fields.get(at));
    write!(f, "{row}.{}", field.map_or("?", |(name, _)| name))
}

fn is_sign(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn list(
    f: &mut fmt::Formatter<'_>,
    args: &[Expr],
    schema: &Schema,
    separator: &str,
) -> fmt::Result {
    f.write_str("(")?;
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{}", Shown(arg, schema))?;
    }
    f.write_str(")")
}

fn write_literal(
    f: &mut fmt::Formatter<'_>,
    literal: &Literal,
    data_type: &DataType,
) -> fmt::Result {
    match (literal, data_type) {
        (Literal::Null, _) => f.write_str("NULL"),
        (Literal::Bool(value), _) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
        (Literal::Int(value), DataType::IntervalDay) => write!(f, "INTERVAL {value} ms"),
        (Literal::Int(value), DataType::IntervalMonth) => write!(f, "INTERVAL {value} months"),
        (Literal::Int(value), _) => write!(f, "{value}"),
        (Literal::Double(value), _) => write!(f, "{value:e}"),
        (Literal::Decimal(value), DataType::Decimal { scale: 0, .. }) => write!(f, "{value}"),
        (Literal::Decimal(value), DataType::Decimal { scale, .. }) => {
            let digits = format!("{:0>1$}", value.unsigned_abs(), usize::from(*scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(*scale));
            let sign = if *value < 0 { "-" } else { "" };
            write!(f, "{sign}{whole}.{fraction}")
        }
        (Literal::Decimal(value), _) => write!(f, "{value}"),
        (Literal::Text(text), _) => write!(f, "'{}'", text.replace('\'', "''")),
        (Literal::Timestamp(millis, nanos), _) => write!(f, "{data_type} {millis} ms {nanos} ns"),
    }
}
