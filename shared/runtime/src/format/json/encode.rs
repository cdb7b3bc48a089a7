//! Rows to JSON as Flink's `json` format and Jackson write them: doubles as Java's, NaN and
//! infinities as text, characters beyond the first plane as two escapes.

use headwater_engine::calendar::Moment;
use headwater_engine::calendar::text::{
    TimestampStandard, write_json_date, write_json_time, write_json_timestamp,
};
use headwater_engine::codec::{take_plain, take_u64};
use headwater_engine::context::Context;
use headwater_engine::decimal;
use headwater_engine::java_double::JavaText;
use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_engine::types::{DataType, Schema};

use crate::format::text::{Utf8, write_base64, write_i64};

/// Options of the encoder, named as in Flink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonEncodeOptions {
    /// `json.timestamp-format.standard`
    pub timestamps: TimestampStandard,
    /// `json.encode.ignore-null-fields`
    pub ignore_null_fields: bool,
}

/// Encodes rows, one object a line.
#[derive(Debug)]
pub struct JsonEncoder {
    keys: Keys,
}

/// Names and types of the columns, the names as JSON.
#[derive(Debug)]
pub(in crate::format) struct Keys {
    columns: Vec<(Vec<u8>, DataType)>,
    options: JsonEncodeOptions,
}

impl JsonEncoder {
    /// An encoder of rows of this schema.
    pub fn new(schema: &Schema, options: JsonEncodeOptions) -> Self {
        Self { keys: Keys::new(schema, options) }
    }

    /// Appends one row and a line end.
    pub fn encode(&mut self, row: &Row<'_>, context: &Context, out: &mut Vec<u8>) {
        out.push(b'{');
        self.keys.write_fields(row, context, out);
        out.extend_from_slice(b"}\n");
    }

    /// Appends a line that says that the row of this key is gone: the columns `key`, and a mark.
    pub fn encode_gone(
        &mut self,
        row: &Row<'_>,
        key: impl Iterator<Item = usize>,
        context: &Context,
        out: &mut Vec<u8>,
    ) {
        out.push(b'{');
        for column in key {
            self.keys.write_field(column, row, context, out);
            out.push(b',');
        }
        out.extend_from_slice(b"\"__deleted\":true}\n");
    }
}

impl Keys {
    pub(in crate::format) fn new(schema: &Schema, options: JsonEncodeOptions) -> Self {
        let columns = schema.fields.iter().map(|field| {
            let mut key = Vec::new();
            write_text(&field.name, &mut key);
            key.push(b':');
            (key, field.data_type.clone())
        });
        Self { columns: columns.collect(), options }
    }

    /// Writes the fields with commas between them. Returns whether there was one.
    pub(in crate::format) fn write_fields(
        &self,
        row: &Row<'_>,
        context: &Context,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut first = true;
        for index in 0..self.columns.len() {
            if row.is_null(index) && self.options.ignore_null_fields {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            self.write_field(index, row, context, out);
        }
        !first
    }

    fn write_field(&self, index: usize, row: &Row<'_>, context: &Context, out: &mut Vec<u8>) {
        let (key, data_type) = &self.columns[index];
        out.extend_from_slice(key);
        match row.is_null(index) {
            true => out.extend_from_slice(b"null"),
            false => {
                write_value(row.slots[index], data_type, context, self.options, out);
            }
        }
    }
}

fn write_value(
    slot: Slot,
    data_type: &DataType,
    context: &Context,
    options: JsonEncodeOptions,
    out: &mut Vec<u8>,
) {
    if let DataType::Array(element) = data_type {
        return write_array(context.bytes(slot), element, context, options, out);
    }
    if let DataType::Map(key, value) = data_type {
        return write_map(context.bytes(slot), (key, value), context, options, out);
    }
    if let DataType::Row(fields) = data_type {
        return write_row(context.bytes(slot), fields, context, options, out);
    }
    if data_type.is_text() {
        return write_text(context.text(slot), out);
    }
    if *data_type == DataType::Bytes {
        out.push(b'"');
        write_base64(context.bytes(slot), out);
        return out.push(b'"');
    }
    write_plain(slot, data_type, options.timestamps, out);
}

/// A value that lies in its slot.
fn write_plain(slot: Slot, data_type: &DataType, timestamps: TimestampStandard, out: &mut Vec<u8>) {
    let infallible = "writing to memory does not fail";
    let moment = Moment { ms: slot.as_i64(), nanos: slot.nanos() };
    match data_type {
        DataType::Boolean if slot.as_bool() => out.extend_from_slice(b"true"),
        DataType::Boolean => out.extend_from_slice(b"false"),
        DataType::Double => write_double(slot.as_f64(), JavaText::of_f64(slot.as_f64()), out),
        DataType::Float => {
            #[expect(clippy::cast_possible_truncation, reason = "a FLOAT slot holds an f32")]
            let text = JavaText::of_f32(slot.as_f64() as f32);
            write_double(slot.as_f64(), text, out);
        }
        DataType::Decimal { scale, .. } => {
            decimal::write_to(&mut Utf8(out), slot.as_i128(), *scale).expect(infallible);
        }
        DataType::Date => {
            out.push(b'"');
            write_json_date(&mut Utf8(out), slot.as_i64()).expect(infallible);
            out.push(b'"');
        }
        DataType::Time(_) => {
            out.push(b'"');
            write_json_time(&mut Utf8(out), slot.as_i64()).expect(infallible);
            out.push(b'"');
        }
        DataType::Timestamp(_) | DataType::TimestampLtz(_) => {
            let local_zone = matches!(data_type, DataType::TimestampLtz(_));
            out.push(b'"');
            write_json_timestamp(&mut Utf8(out), moment, local_zone, timestamps).expect(infallible);
            out.push(b'"');
        }
        DataType::Null => out.extend_from_slice(b"null"),
        _ => write_i64(slot.as_i64(), out),
    }
}

fn write_double(value: f64, text: JavaText, out: &mut Vec<u8>) {
    if value.is_finite() {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn write_array(
    mut rest: &[u8],
    element: &DataType,
    context: &Context,
    options: JsonEncodeOptions,
    out: &mut Vec<u8>,
) {
    out.push(b'[');
    let mut first = true;
    while let Some((present, left)) = rest.split_first() {
        rest = left;
        if !first {
            out.push(b',');
        }
        first = false;
        if *present == 0 {
            out.extend_from_slice(b"null");
        } else if write_element(&mut rest, element, context, options, out).is_none() {
            break;
        }
    }
    out.push(b']');
}

/// Members in the order of their keys.
fn write_map(
    mut rest: &[u8],
    (key, value): (&DataType, &DataType),
    context: &Context,
    options: JsonEncodeOptions,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    let mut first = true;
    while let Some((_, left)) = rest.split_first() {
        rest = left;
        if !first {
            out.push(b',');
        }
        first = false;
        let member = |rest: &mut &[u8], out: &mut Vec<u8>| {
            write_element(rest, key, context, options, out)?;
            out.push(b':');
            let (present, left) = rest.split_first()?;
            *rest = left;
            if *present == 0 {
                out.extend_from_slice(b"null");
                return Some(());
            }
            write_element(rest, value, context, options, out)
        };
        if member(&mut rest, out).is_none() {
            break;
        }
    }
    out.push(b'}');
}

/// Members in the order of the fields.
fn write_row(
    mut rest: &[u8],
    fields: &[(String, DataType)],
    context: &Context,
    options: JsonEncodeOptions,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    let mut first = true;
    for (name, data_type) in fields {
        let Some((present, left)) = rest.split_first() else { break };
        rest = left;
        if *present == 0 && options.ignore_null_fields {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        write_text(name, out);
        out.push(b':');
        if *present == 0 {
            out.extend_from_slice(b"null");
        } else if write_element(&mut rest, data_type, context, options, out).is_none() {
            break;
        }
    }
    out.push(b'}');
}

/// An element whose marker was taken; `None` when the array is damaged.
fn write_element(
    rest: &mut &[u8],
    element: &DataType,
    context: &Context,
    options: JsonEncodeOptions,
    out: &mut Vec<u8>,
) -> Option<()> {
    if !element.is_referring() {
        let slot = take_plain(rest, element)?;
        write_plain(slot, element, options.timestamps, out);
        return Some(());
    }
    let bytes = take_inline(rest)?;
    match element {
        DataType::Array(inner) => write_array(bytes, inner, context, options, out),
        DataType::Map(key, value) => write_map(bytes, (key, value), context, options, out),
        DataType::Row(fields) => write_row(bytes, fields, context, options, out),
        DataType::Bytes => {
            out.push(b'"');
            write_base64(bytes, out);
            out.push(b'"');
        }
        _ => write_text(std::str::from_utf8(bytes).unwrap_or_default(), out),
    }
    Some(())
}

fn take_inline<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_u64(rest)? >> 1).ok()?;
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Appends a text in quotation marks.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape_into(text, true, out);
    out.push(b'"');
}

/// Appends a text escaped as Jackson does, with `planes` also what lies beyond the first plane.
pub(super) fn escape_into(text: &str, planes: bool, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape = match ESCAPES[usize::from(*byte)] {
            PLAIN => continue,
            PLANE if !planes => continue,
            escape => escape,
        };
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        match escape {
            PLANE => {
                let c = text[at..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write_unit(*unit, out);
                }
                written = at + c.len_utf8();
            }
            HEX => write_unit(u16::from(*byte), out),
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
    }
    out.extend_from_slice(&bytes[written..]);
}

fn write_unit(unit: u16, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |shift: u16| DIGITS[usize::from(unit >> shift & 15)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

const PLAIN: u8 = 0;
const HEX: u8 = 1;
const PLANE: u8 = 2;

/// What to do with a byte: nothing, a hexadecimal escape, a pair of them, or a letter's escape.
const ESCAPES: [u8; 256] = {
    let mut table = [PLAIN; 256];
    let mut byte = 0;
    while byte < 32 {
        table[byte] = HEX;
        byte += 1;
    }
    byte = 0xF0;
    while byte < 256 {
        table[byte] = PLANE;
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[0x22] = b'"';
    table[0x5C] = b'\\';
    table
};
