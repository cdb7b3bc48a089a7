//! CAST and TRY_CAST with Flink's rules.
//!
//! Integers wrap as in Java, doubles truncate and saturate, decimals round half up and are NULL
//! where they do not fit; text that cannot be read is a failure (a fault for CAST, NULL for
//! TRY_CAST). Conversions that Flink refuses are refused.

use alloc::{format, string::String};

use crate::{
    context::Context,
    slot::{Datum, Slot},
    types::DataType,
};

mod arrays;
mod from_text;
mod maps;
mod numbers;
mod points;
mod rows;
#[cfg(test)]
mod tests;
mod to_text;

/// A conversion of values that are not NULL; `None` when this value cannot be converted.
pub type Convert = fn(Datum, &DataType, &DataType, &mut Context) -> Option<Datum>;

/// The conversion between two types, or why Flink has none.
///
/// # Errors
/// A lower-case sentence for the user.
pub fn find(from: &DataType, to: &DataType) -> Result<Convert, String> {
    let is_point =
        |t: &DataType| t.is_timestamp() || matches!(t, DataType::Date | DataType::Time(_));
    let convert: Option<Convert> = match (from, to) {
        (from, to) if from == to || *from == DataType::Null => Some(|value, _, _, _| Some(value)),
        (from, to) if from.is_text() && to.is_text() => to_text::between_texts(from, to),
        (DataType::Array(element), to) if to.is_text() => {
            find(element, &DataType::STRING).ok().map(|_| arrays::to_text as Convert)
        }
        (DataType::Map(key, value), to) if to.is_text() => {
            let shown = |t: &DataType| find(t, &DataType::STRING).is_ok();
            (shown(key) && shown(value)).then_some(maps::to_text as Convert)
        }
        (DataType::Row(fields), to) if to.is_text() => {
            let mut types = fields.iter().map(|(_, t)| t);
            types.all(|t| find(t, &DataType::STRING).is_ok()).then_some(rows::to_text as Convert)
        }
        (from, to) if to.is_text() => to_text::find(from),
        (from, to) if from.is_text() => from_text::find(to),
        (from, to) if from.is_numeric() && to.is_numeric() => Some(numbers::convert),
        (from, DataType::Boolean) if from.is_integer() => {
            Some(|value, _, _, _| Some(Datum::bool(value.slot.as_i64() != 0)))
        }
        (DataType::Boolean, to) if to.is_numeric() => {
            Some(|value, _, to, cx| numbers::convert(value, &DataType::Int, to, cx))
        }
        (from, to) if is_point(from) && is_point(to) => points::find(from, to),
        (DataType::Array(from), DataType::Array(to)) => {
            find(from, to)?;
            Some(arrays::between)
        }
        (DataType::Map(k, v), DataType::Map(to_k, to_v)) => {
            find(k, to_k)?;
            find(v, to_v)?;
            Some(maps::between)
        }
        (DataType::Row(from), DataType::Row(to)) if from.len() == to.len() => {
            from.iter().zip(to).try_for_each(|((_, from), (_, to))| find(from, to).map(drop))?;
            Some(rows::between)
        }
        _ => None,
    };
    convert.ok_or_else(|| format!("a {from} cannot be cast to {to}"))
}

/// NULL where a decimal does not fit.
fn decimal_or_null(value: Option<i128>) -> Datum {
    value.map_or(Datum::NULL, |v| Datum::of(Slot::i128(v)))
}
