//! Everything to text, cut to VARCHAR's length and filled up to CHAR's.

use core::fmt::{self, Write};

use super::{Convert, points};
use crate::{
    calendar::text,
    context::Context,
    decimal,
    functions::build::{Builder, char_at, part},
    java_double::JavaText,
    slot::Datum,
    types::{DataType, LENGTH_MAX},
};

pub(super) fn find(from: &DataType) -> Option<Convert> {
    let shown = matches!(
        from,
        DataType::Boolean
            | DataType::Date
            | DataType::Time(_)
            | DataType::IntervalDay
            | DataType::IntervalMonth
    );
    if *from == DataType::Bytes {
        return Some(|value, _, to, cx| {
            core::str::from_utf8(cx.bytes(value.slot)).ok()?;
            Some(fit(value, to, cx))
        });
    }
    (shown || from.is_numeric() || from.is_timestamp()).then_some(|value, from, to, cx| {
        let value = match from.is_timestamp() {
            // What an interval has added beyond the type's digits is not shown, as in Flink.
            true => {
                let shown = points::shown(value, from, cx);
                points::timestamp(shown.truncated(points::precision(from)))
            }
            false => value,
        };
        let mut out = Builder::new(cx);
        write(&mut out, value, from).ok()?;
        let text = out.finish();
        Some(if text.is_null() { text } else { fit(text, to, cx) })
    })
}

pub(super) fn between_texts(from: &DataType, to: &DataType) -> Option<Convert> {
    let wider = match (from, to) {
        (DataType::Char(n) | DataType::Varchar(n), DataType::Varchar(m)) => m >= n,
        _ => false,
    };
    Some(if wider {
        |value, _, _, _| Some(value)
    } else {
        |value, _, to, cx| Some(fit(value, to, cx))
    })
}

fn write(out: &mut Builder<'_>, value: Datum, from: &DataType) -> fmt::Result {
    let slot = value.slot;
    match from {
        DataType::Boolean => out.write_str(if slot.as_bool() { "TRUE" } else { "FALSE" }),
        DataType::Double => out.write_str(JavaText::of_f64(slot.as_f64()).as_str()),
        #[expect(clippy::cast_possible_truncation, reason = "a FLOAT is an f32 exactly")]
        DataType::Float => out.write_str(JavaText::of_f32(slot.as_f64() as f32).as_str()),
        DataType::Decimal { scale, .. } => decimal::write_to(out, slot.as_i128(), *scale),
        DataType::Date => text::write_date(out, slot.as_i64()),
        DataType::Time(p) => text::write_time(out, slot.as_i64(), *p),
        DataType::Timestamp(p) | DataType::TimestampLtz(p) => {
            text::write_timestamp(out, points::moment(value), *p)
        }
        DataType::IntervalDay => text::write_interval_day(out, slot.as_i64()),
        DataType::IntervalMonth => text::write_interval_month(out, slot.as_i64()),
        _ => write!(out, "{}", slot.as_i64()),
    }
}

/// Cut to the type's number of characters, and filled with blanks when it is CHAR.
pub(super) fn fit(value: Datum, to: &DataType, cx: &mut Context) -> Datum {
    let (max, pads) = match to {
        DataType::Char(n) => (*n, true),
        DataType::Varchar(n) => (*n, false),
        _ => return value,
    };
    if max == LENGTH_MAX {
        return value;
    }
    let bytes = cx.bytes(value.slot);
    let (mut end, mut chars) = (0, 0);
    while chars < max
        && let Some(c) = char_at(bytes, end)
    {
        end += c.len_utf8();
        chars += 1;
    }
    if end < bytes.len() {
        return part(cx, value.slot, 0..end);
    }
    if !pads || chars == max {
        return value;
    }
    let mut out = Builder::new(cx);
    out.push_all(value.slot);
    for _ in chars..max {
        if !out.fits() {
            break;
        }
        out.push(" ");
    }
    out.finish()
}
