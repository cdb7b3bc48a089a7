//! What bindings have in common: argument checks, result types, and the common type of two.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use super::{Arg, Binding, direct::Direct};
use crate::{
    context::Context,
    decimal::{self, DecimalType},
    expr::Literal,
    slot::Datum,
    types::{DataType, LENGTH_MAX},
};

pub(super) type Bound = Result<Binding, String>;

/// A function that is NULL where an argument is.
pub(super) fn strict(
    args: Vec<DataType>,
    result: DataType,
    eval: impl Fn(&[Datum], &mut Context) -> Datum + Send + Sync + 'static,
) -> Bound {
    Ok(Binding { args, result, is_strict: true, eval: Box::new(eval), direct: None })
}

/// A function of two values that is NULL where one is, and needs no call through a box.
pub(super) fn direct(args: Vec<DataType>, result: DataType, direct: Direct) -> Bound {
    let bound = strict(args, result, move |v, cx| {
        let mut is_null = false;
        let slot = direct.apply(v[0].slot, v[1].slot, cx, &mut is_null);
        if is_null { Datum::NULL } else { Datum::of(slot) }
    })?;
    Ok(Binding { direct: Some(direct), ..bound })
}

/// A function that sees NULLs.
pub(super) fn lenient(
    args: Vec<DataType>,
    result: DataType,
    eval: impl Fn(&[Datum], &mut Context) -> Datum + Send + Sync + 'static,
) -> Bound {
    Ok(Binding { args, result, is_strict: false, eval: Box::new(eval), direct: None })
}

/// Checks the number of arguments.
pub(super) fn count(name: &str, args: &[Arg<'_>], min: usize, max: usize) -> Result<(), String> {
    if (min..=max).contains(&args.len()) {
        return Ok(());
    }
    let wanted = match (min, max) {
        (1, 1) => "1 argument".into(),
        (min, usize::MAX) => format!("at least {min} arguments"),
        (min, max) if min == max => format!("{min} arguments"),
        (min, max) => format!("{min} to {max} arguments"),
    };
    Err(format!("{name} takes {wanted}, not {}", args.len()))
}

/// The argument as text of any length.
pub(super) fn text(name: &str, arg: &Arg<'_>) -> Result<DataType, String> {
    match arg.data_type {
        DataType::Null => Ok(DataType::STRING),
        t if t.is_text() => Ok(t.clone()),
        t => Err(format!("{name} needs text here, not {t}")),
    }
}

/// The argument as an integer of any width.
pub(super) fn integer(name: &str, arg: &Arg<'_>) -> Result<DataType, String> {
    match arg.data_type {
        DataType::Null => Ok(DataType::Int),
        t if t.is_integer() => Ok(t.clone()),
        t => Err(format!("{name} needs an integer here, not {t}")),
    }
}

/// The argument as DOUBLE.
pub(super) fn double(name: &str, arg: &Arg<'_>) -> Result<DataType, String> {
    match arg.data_type {
        t if t.is_numeric() || *t == DataType::Null => Ok(DataType::Double),
        t => Err(format!("{name} needs a number here, not {t}")),
    }
}

/// The argument as a number of its own type.
pub(super) fn number(name: &str, arg: &Arg<'_>) -> Result<DataType, String> {
    match arg.data_type {
        DataType::Null => Ok(DataType::Int),
        t if t.is_numeric() => Ok(t.clone()),
        t => Err(format!("{name} needs a number here, not {t}")),
    }
}

/// The constant text of an argument.
pub(super) fn constant_text<'a>(name: &str, what: &str, arg: &Arg<'a>) -> Result<&'a str, String> {
    match arg.literal {
        Some(Literal::Text(text)) => Ok(text),
        _ => Err(format!("{name} needs {what} as a constant text")),
    }
}

/// The constant integer of an argument.
pub(super) fn constant_int(name: &str, what: &str, arg: &Arg<'_>) -> Result<i64, String> {
    match arg.literal {
        Some(Literal::Int(value)) if arg.data_type.is_integer() => Ok(*value),
        _ => Err(format!("{name} needs {what} as a constant integer")),
    }
}

/// An exact number's type as a decimal: Flink gives integers these precisions.
pub(crate) fn as_decimal(data_type: &DataType) -> Option<DecimalType> {
    Some(match data_type {
        DataType::TinyInt => DecimalType::new(3, 0),
        DataType::SmallInt => DecimalType::new(5, 0),
        DataType::Int => DecimalType::new(10, 0),
        DataType::BigInt => DecimalType::new(19, 0),
        DataType::Decimal { precision, scale } => DecimalType::new(*precision, *scale),
        _ => return None,
    })
}

/// A decimal's type as a column type.
pub(crate) const fn decimal_type(of: DecimalType) -> DataType {
    DataType::Decimal { precision: of.precision, scale: of.scale }
}

/// An exact number's unscaled value, whatever its type.
pub(super) fn unscaled(value: Datum, data_type: &DataType) -> i128 {
    match data_type {
        DataType::Decimal { .. } => value.slot.as_i128(),
        _ => i128::from(value.slot.as_i64()),
    }
}

/// The value cut to an integer type's width, as Java casts.
#[expect(clippy::cast_possible_truncation, reason = "Flink's integers wrap")]
pub(crate) const fn wrapped(value: i64, data_type: &DataType) -> i64 {
    match data_type {
        DataType::TinyInt => value as i8 as i64,
        DataType::SmallInt => value as i16 as i64,
        DataType::Int => value as i32 as i64,
        _ => value,
    }
}

/// A double as the type's precision has it.
#[expect(clippy::cast_possible_truncation, reason = "FLOAT is single precision")]
pub(crate) fn rounded(value: f64, data_type: &DataType) -> f64 {
    if *data_type == DataType::Float { f64::from(value as f32) } else { value }
}

/// The type that values of both types can take (Calcite's least restrictive type): for arithmetic,
/// CASE, ARRAY, UNION. Of FLOAT and DOUBLE it is the one that comes first. None when there is none.
#[must_use]
pub fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Char, Date, Double, Null, Time, Timestamp, TimestampLtz, Varchar};
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Null, t) | (t, Null) => t.clone(),
        (Char(m), Char(n) | Varchar(n)) | (Varchar(m), Char(n) | Varchar(n)) => {
            Varchar((*m).max(*n).min(LENGTH_MAX))
        }
        (a, b) if a.is_integer() && b.is_integer() => {
            if rank(a) >= rank(b) {
                a.clone()
            } else {
                b.clone()
            }
        }
        (a, b) if a.is_numeric() && b.is_numeric() => match (as_decimal(a), as_decimal(b)) {
            (Some(a), Some(b)) => decimal_type(a.of_common(b)),
            (Some(_), None) if a.is_integer() => b.clone(),
            (None, Some(_)) if b.is_integer() => a.clone(),
            (None, None) => a.clone(),
            _ => Double,
        },
        (Time(p), Time(q)) => Time(*p.max(q)),
        (Timestamp(p), Timestamp(q)) => Timestamp(*p.max(q)),
        (TimestampLtz(p) | Timestamp(p), TimestampLtz(q) | Timestamp(q)) => TimestampLtz(*p.max(q)),
        (Date, t) | (t, Date) if t.is_timestamp() => t.clone(),
        (DataType::Array(a), DataType::Array(b)) => DataType::Array(alike(a, b)?.into()),
        (DataType::Map(k, v), DataType::Map(l, w)) => {
            DataType::Map(alike(k, l)?.into(), alike(v, w)?.into())
        }
        (DataType::Row(a), DataType::Row(b)) if a.len() == b.len() => {
            let pair = |((name, a), (_, b)): (&(String, DataType), &(String, DataType))| {
                Some((name.clone(), common_type(a, b)?))
            };
            DataType::Row(a.iter().zip(b).map(pair).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The type that two values merge to (Flink's LogicalTypeMerging): for COALESCE, GREATEST and
/// LEAST. Other than the common type it is DOUBLE where one of
/// the two is, and FLOAT for a DECIMAL that a FLOAT follows.
#[must_use]
pub fn merged_type(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Float, DataType::Double) => Some(DataType::Double),
        (DataType::Decimal { .. }, DataType::Float) => Some(DataType::Float),
        _ => common_type(a, b),
    }
}

/// The common type of what arrays or maps hold: of texts of any length, and of equal types.
fn alike(a: &DataType, b: &DataType) -> Option<DataType> {
    let is_alike = a == b || a.is_text() && b.is_text() || a.is_nested() && b.is_nested();
    is_alike.then(|| common_type(a, b)).flatten()
}

const fn rank(data_type: &DataType) -> u8 {
    match data_type {
        DataType::TinyInt => 0,
        DataType::SmallInt => 1,
        DataType::Int => 2,
        _ => 3,
    }
}

/// A decimal result, NULL where it does not fit.
pub(super) fn decimal_or_null(value: Option<i128>) -> Datum {
    value.map_or(Datum::NULL, |v| Datum::of(crate::slot::Slot::i128(v)))
}

/// Digits as a number: ±mantissa · 10^exponent, correctly rounded.
pub(super) fn double_of(negative: bool, mantissa: u128, exponent: i32) -> f64 {
    let mut text = heapless::String::<64>::new();
    let sign = if negative { "-" } else { "" };
    core::fmt::write(&mut text, format_args!("{sign}{mantissa}e{exponent}")).expect("64 bytes");
    text.parse().expect("a number")
}

const _: () = assert!(decimal::PRECISION_MAX == 38);
