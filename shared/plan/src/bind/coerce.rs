//! Types that meet: casts that Flink inserts, casts that are written, and the common type of
//! several values.

use headwater_engine::cast;
use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::functions;
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::bind::typed_null;
use crate::diagnostic::{Issue, Result};
use crate::types::SqlType;

/// The engine's type of a written one.
pub(crate) fn data_type(from: &SqlType) -> DataType {
    match from {
        SqlType::Boolean => DataType::Boolean,
        SqlType::TinyInt => DataType::TinyInt,
        SqlType::SmallInt => DataType::SmallInt,
        SqlType::Int => DataType::Int,
        SqlType::BigInt => DataType::BigInt,
        SqlType::Float => DataType::Float,
        SqlType::Double => DataType::Double,
        SqlType::Decimal(precision, scale) => {
            DataType::Decimal { precision: *precision, scale: *scale }
        }
        SqlType::Char(n) => DataType::Char(*n),
        SqlType::Varchar(n) => DataType::Varchar(*n),
        // As those of texts, lengths are not enforced where rows are read and written.
        SqlType::Varbinary(_) | SqlType::Binary(_) => DataType::Bytes,
        SqlType::Date => DataType::Date,
        SqlType::Time(p) => DataType::Time(*p),
        SqlType::Timestamp(p) => DataType::Timestamp(*p),
        SqlType::TimestampLtz(p) => DataType::TimestampLtz(*p),
        SqlType::Array(element) => DataType::Array(Box::new(data_type(element))),
        SqlType::NotNull(inner) => data_type(inner),
        SqlType::Row(fields) => {
            DataType::Row(fields.iter().map(|(name, ty)| (name.clone(), data_type(ty))).collect())
        }
        SqlType::Map(key, value) => {
            DataType::Map(Box::new(data_type(key)), Box::new(data_type(value)))
        }
    }
}

/// A cast that the language inserts.
pub(crate) fn implicit_cast(from: Expr, to: DataType, span: Span) -> Result<Expr> {
    if from.data_type == to || to == DataType::Null {
        return Ok(from);
    }
    if let Some(folded) = fold(&from, &to) {
        return Ok(folded);
    }
    // A text is a text: lengths are not enforced, as in Flink by default.
    if from.data_type.is_text() && to.is_text() {
        return Ok(from);
    }
    checked(from, to, false, span)
}

/// CAST and TRY_CAST.
pub(crate) fn explicit_cast(from: Expr, to: DataType, safe: bool, span: Span) -> Result<Expr> {
    if from.data_type == to {
        return Ok(from);
    }
    if let Some(folded) = fold(&from, &to) {
        return Ok(folded);
    }
    checked(from, to, safe, span)
}

fn checked(from: Expr, to: DataType, safe: bool, span: Span) -> Result<Expr> {
    cast::find(&from.data_type, &to)
        .map_err(|e| Issue::new(span, e, "docs/reference/sql.md has the table of casts"))?;
    Ok(Expr { kind: ExprKind::Cast(Box::new(from), safe), data_type: to })
}

/// A constant in its new type, where that loses nothing.
fn fold(from: &Expr, to: &DataType) -> Option<Expr> {
    let literal = from.as_literal()?;
    if *literal == Literal::Null {
        return Some(typed_null(to.clone()));
    }
    let folded = match (literal, &from.data_type, to) {
        (Literal::Text(text), _, DataType::Varchar(n)) => {
            let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            (length <= *n).then(|| Literal::Text(text.clone()))
        }
        (Literal::Int(n), source, to) if source.is_integer() => match to {
            DataType::TinyInt => i8::try_from(*n).is_ok().then_some(Literal::Int(*n)),
            DataType::SmallInt => i16::try_from(*n).is_ok().then_some(Literal::Int(*n)),
            DataType::Int => i32::try_from(*n).is_ok().then_some(Literal::Int(*n)),
            DataType::BigInt => Some(Literal::Int(*n)),
            // Doubles hold all integers up to 2^53.
            DataType::Double if n.unsigned_abs() <= 1 << 53 => {
                n.to_string().parse().ok().map(Literal::Double)
            }
            DataType::Decimal { precision, scale } => {
                rescale(i128::from(*n), 0, *precision, *scale)
            }
            _ => None,
        },
        (Literal::Decimal(unscaled), DataType::Decimal { scale, .. }, to) => match to {
            DataType::Double => format!("{unscaled}e-{scale}").parse().ok().map(Literal::Double),
            DataType::Decimal { precision, scale: wanted } => {
                rescale(*unscaled, *scale, *precision, *wanted)
            }
            _ => None,
        },
        (
            Literal::Timestamp(millis, nanos),
            DataType::Timestamp(p),
            DataType::Timestamp(wanted),
        ) if p <= wanted => Some(Literal::Timestamp(*millis, *nanos)),
        _ => None,
    };
    folded.map(|literal| Expr::literal(literal, to.clone()))
}

/// The unscaled value at a larger scale, if it fits the precision.
fn rescale(unscaled: i128, scale: u8, precision: u8, wanted: u8) -> Option<Literal> {
    let factor = 10i128.checked_pow(u32::from(wanted.checked_sub(scale)?))?;
    let value = unscaled.checked_mul(factor)?;
    let limit = 10u128.checked_pow(u32::from(precision))?;
    (value.unsigned_abs() < limit).then_some(Literal::Decimal(value))
}

/// Whether a text is cut or filled up where INSERT casts it, as Flink does: not where its type is
/// the column's.
pub(crate) fn changes_length(from: &DataType, to: &DataType) -> bool {
    match to {
        DataType::Char(_) => from.is_text() && from != to,
        DataType::Varchar(n) => text_length(from) > *n,
        _ => false,
    }
}

/// Whether INSERT may cast between the types by itself (Flink's `supportsImplicitCast`).
pub(crate) fn sink_cast_allowed(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let from_integer = from.is_integer();
    match (from, to) {
        (T::Null, _) => true,
        (a, b) if a == b => true,
        (_, T::Varchar(_)) => from.is_text(),
        (T::Char(_), T::Char(_)) => true,
        (T::TinyInt, T::SmallInt | T::Int | T::BigInt)
        | (T::SmallInt, T::Int | T::BigInt)
        | (T::Int, T::BigInt) => true,
        (_, T::Float) => from_integer || matches!(from, T::Decimal { .. }),
        (_, T::Double | T::Decimal { .. }) => from.is_numeric(),
        (T::Time(_), T::Time(_)) => true,
        (T::Timestamp(_), T::Date | T::Time(_)) => true,
        (_, T::Timestamp(_) | T::TimestampLtz(_)) => from.is_timestamp(),
        (T::Array(a), T::Array(b)) => sink_cast_allowed(a, b),
        (T::Map(k, v), T::Map(to_k, to_v)) => {
            sink_cast_allowed(k, to_k) && sink_cast_allowed(v, to_v)
        }
        (T::Row(a), T::Row(b)) => {
            let mut fields = a.iter().zip(b);
            a.len() == b.len() && fields.all(|((_, a), (_, b))| sink_cast_allowed(a, b))
        }
        _ => false,
    }
}

/// Whether a type is a date, a time or a timestamp.
pub(crate) fn is_temporal(ty: &DataType) -> bool {
    ty.is_timestamp() || matches!(ty, DataType::Date | DataType::Time(_))
}

/// The type of timestamps with and without a zone. Flink makes points in time of them, but for
/// CASE: there it is the first one's of two with as many digits, and the second one's otherwise.
pub(crate) fn mixed_timestamps(types: &[&DataType], is_case: bool) -> Option<DataType> {
    use DataType::{Timestamp, TimestampLtz};
    let mut known = types.iter().copied().filter(|ty| **ty != DataType::Null);
    let first = known.next()?.clone();
    let digits = |ty: &DataType| match ty {
        Timestamp(p) | TimestampLtz(p) => Some(*p),
        _ => None,
    };
    let (mut mixed, mut differs) = (first, false);
    for ty in known {
        let (p, q) = (digits(&mixed)?, digits(ty)?);
        let is_zoned = |ty: &DataType| matches!(ty, TimestampLtz(_));
        differs |= is_zoned(&mixed) != is_zoned(ty);
        let zoned = match is_case {
            true => is_zoned(if p == q { &mixed } else { ty }),
            false => is_zoned(&mixed) || is_zoned(ty),
        };
        mixed = if zoned { TimestampLtz(p.max(q)) } else { Timestamp(p.max(q)) };
    }
    differs.then_some(mixed)
}

/// The type to which several values merge (Flink's, for COALESCE).
pub(crate) fn merged_type(types: &[&DataType]) -> Option<DataType> {
    use DataType as T;
    let mut merged = DataType::Null;
    for ty in types {
        merged = match (&merged, ty) {
            (T::Float, T::Double) | (T::Decimal { .. }, T::Float) => {
                functions::merged_type(&merged, ty)?
            }
            // Flink makes a DATE of both if the DATE comes first.
            (T::Date, _) if ty.is_timestamp() => return None,
            (_, T::Date) if merged.is_timestamp() => return None,
            _ => pair(&merged, ty)?,
        };
    }
    Some(merged)
}

/// The type that holds all of several values (Calcite's least restrictive type).
pub(crate) fn common_type(types: &[&DataType]) -> Option<DataType> {
    let mut common = DataType::Null;
    for ty in types {
        common = pair(&common, ty)?;
    }
    Some(common)
}

fn pair(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    let mixed = match (a, b) {
        _ if a == b => a.clone(),
        (T::Null, other) | (other, T::Null) => other.clone(),
        _ if a.is_text() && b.is_text() => T::Varchar(text_length(a).max(text_length(b))),
        _ if a.is_integer() && b.is_integer() => {
            if integer_digits(a) >= integer_digits(b) {
                a.clone()
            } else {
                b.clone()
            }
        }
        (T::Float, other) | (other, T::Float) if other.is_integer() => T::Float,
        // Of the approximate ones the first.
        (T::Float, T::Double) => T::Float,
        _ if a.is_numeric() && b.is_numeric() && (a.is_approximate() || b.is_approximate()) => {
            T::Double
        }
        _ if a.is_numeric() && b.is_numeric() => {
            let ((pa, sa), (pb, sb)) = (decimal_of(a)?, decimal_of(b)?);
            let scale = sa.max(sb);
            let whole = (pa - sa).max(pb - sb);
            // Digits before the point are kept when 38 do not hold both.
            let precision = (whole + scale).min(38);
            T::Decimal { precision, scale: scale.min(38 - whole.min(38)) }
        }
        (T::Timestamp(p), T::Timestamp(q)) => T::Timestamp(*p.max(q)),
        (T::TimestampLtz(p), T::TimestampLtz(q)) => T::TimestampLtz(*p.max(q)),
        (T::Time(p), T::Time(q)) => T::Time(*p.max(q)),
        (T::Date, T::Timestamp(p)) | (T::Timestamp(p), T::Date) => T::Timestamp(*p),
        (T::Array(x), T::Array(y)) => T::Array(Box::new(pair(x, y)?)),
        (T::Map(k, v), T::Map(l, w)) => T::Map(Box::new(pair(k, l)?), Box::new(pair(v, w)?)),
        (T::Row(x), T::Row(y)) if x.len() == y.len() => {
            let fields = x.iter().zip(y);
            let one = |((name, a), (_, b)): (&(String, T), &(String, T))| {
                Some((name.clone(), pair(a, b)?))
            };
            T::Row(fields.map(one).collect::<Option<_>>()?)
        }
        _ => return None,
    };
    Some(mixed)
}

fn text_length(ty: &DataType) -> u32 {
    match ty {
        DataType::Char(n) | DataType::Varchar(n) => *n,
        _ => 0,
    }
}

fn integer_digits(ty: &DataType) -> u8 {
    match ty {
        DataType::TinyInt => 3,
        DataType::SmallInt => 5,
        DataType::Int => 10,
        _ => 19,
    }
}

/// Precision and scale of an exact number.
fn decimal_of(ty: &DataType) -> Option<(u8, u8)> {
    match ty {
        DataType::Decimal { precision, scale } => Some((*precision, *scale)),
        _ if ty.is_integer() => Some((integer_digits(ty), 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types() {
        let decimal = |precision, scale| DataType::Decimal { precision, scale };
        let of = |a: &DataType, b: &DataType| common_type(&[a, b]).map(|t| t.to_string());
        assert_eq!(of(&DataType::Int, &DataType::BigInt).as_deref(), Some("BIGINT"));
        assert_eq!(of(&DataType::Double, &decimal(3, 1)).as_deref(), Some("DOUBLE"));
        assert_eq!(of(&DataType::Int, &decimal(3, 1)).as_deref(), Some("DECIMAL(11, 1)"));
        assert_eq!(of(&DataType::Char(3), &DataType::Char(4)).as_deref(), Some("VARCHAR(4)"));
        assert_eq!(of(&DataType::STRING, &DataType::Int), None);
    }
}
