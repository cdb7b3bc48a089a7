//! Values as JSON text, as Flink's JSON_OBJECT, JSON_ARRAY and JSON_STRING write them.
//!
//! Members are in the order of their names, numbers as Java's `BigDecimal` shows them, points in
//! time as ISO 8601, bytes in base 64. A DATE, a TIME and an INTERVAL have no such form.

use alloc::{string::String, vec::Vec};
use core::fmt::{self, Write};

use super::super::array::elements;
use super::super::encode::write_base64;
use super::super::map::entries;
use super::super::row::{Fields, fields};
use super::{number::Plain, string};
use crate::{
    calendar::{
        Moment,
        text::{TimestampStandard, write_json_timestamp},
    },
    context::Context,
    decimal,
    java_double::JavaText,
    slot::Datum,
    types::DataType,
};

/// Whether values of the type can be written.
pub(super) fn is_writable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Array(element) => is_writable(element),
        DataType::Map(key, value) => key.is_text() && is_writable(value),
        DataType::Row(fields) => fields.iter().all(|(_, t)| is_writable(t)),
        DataType::Boolean | DataType::Bytes => true,
        t => t.is_numeric() || t.is_text() || t.is_timestamp(),
    }
}

/// Appends a value.
pub(super) fn write(
    value: Datum,
    data_type: &DataType,
    cx: &mut Context,
    out: &mut String,
) -> fmt::Result {
    if value.is_null() {
        return out.write_str("null");
    }
    let slot = value.slot;
    match data_type {
        DataType::Boolean => out.write_str(if slot.as_bool() { "true" } else { "false" }),
        DataType::Float | DataType::Double => {
            let text = JavaText::of_f64(slot.as_f64());
            match slot.as_f64().is_finite() {
                true => Plain::of(text.as_str().as_bytes()).write(out),
                false => string::write(text.as_str(), out),
            }
        }
        DataType::Decimal { scale, .. } => {
            let mut text = String::new();
            decimal::write_to(&mut text, slot.as_i128(), *scale)?;
            Plain::of(text.as_bytes()).write(out)
        }
        DataType::Bytes => {
            out.write_char('"')?;
            write_base64(cx.bytes(slot), out)?;
            out.write_char('"')
        }
        t if t.is_text() => string::write(cx.text(slot), out),
        t if t.is_timestamp() => {
            let is_local = matches!(t, DataType::TimestampLtz(_));
            let moment = Moment { ms: slot.as_i64(), nanos: slot.nanos() };
            out.write_char('"')?;
            write_json_timestamp(out, moment, is_local, TimestampStandard::Iso8601)?;
            out.write_char('"')
        }
        DataType::Array(element) => {
            out.write_char('[')?;
            for (i, value) in elements(slot, element, cx).into_iter().enumerate() {
                if i > 0 {
                    out.write_char(',')?;
                }
                write(value, element, cx, out)?;
            }
            out.write_char(']')
        }
        DataType::Map(key, value) => {
            let types = ((**key).clone(), (**value).clone());
            write_map(entries(slot, &types, cx), value, cx, out)
        }
        DataType::Row(types) => write_row(&fields(slot, types, cx), types, cx, out),
        _ => write!(out, "{}", slot.as_i64()),
    }
}

/// Members in the order of their names.
fn write_row(values: &[Datum], types: &Fields, cx: &mut Context, out: &mut String) -> fmt::Result {
    let mut members: Vec<_> = types.iter().zip(values).collect();
    members.sort_by(|((a, _), _), ((b, _), _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.write_char('{')?;
    for (i, ((name, data_type), value)) in members.into_iter().enumerate() {
        if i > 0 {
            out.write_char(',')?;
        }
        string::write(name, out)?;
        out.write_char(':')?;
        write(*value, data_type, cx, out)?;
    }
    out.write_char('}')
}

/// Members in Java's order of texts.
fn write_map(
    mut entries: Vec<(Datum, Datum)>,
    data_type: &DataType,
    cx: &mut Context,
    out: &mut String,
) -> fmt::Result {
    entries.sort_by(|(a, _), (b, _)| {
        cx.text(a.slot).encode_utf16().cmp(cx.text(b.slot).encode_utf16())
    });
    out.write_char('{')?;
    for (i, (key, value)) in entries.into_iter().enumerate() {
        if i > 0 {
            out.write_char(',')?;
        }
        string::write(cx.text(key.slot), out)?;
        out.write_char(':')?;
        write(value, data_type, cx, out)?;
    }
    out.write_char('}')
}
