//! Rows to CSV. A text is quoted where it must be.

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

use super::CsvOptions;
use crate::format::text::{Utf8, write_base64, write_i64};

/// Encodes rows, one a line.
#[derive(Debug)]
pub struct CsvEncoder {
    options: CsvOptions,
    types: Vec<DataType>,
    field: Vec<u8>,
}

impl CsvEncoder {
    /// An encoder of rows of this schema.
    pub fn new(schema: &Schema, options: CsvOptions) -> Self {
        let types = schema.fields.iter().map(|field| field.data_type.clone()).collect();
        Self { options, types, field: Vec::new() }
    }

    /// Appends one row and a line end.
    pub fn encode(&mut self, row: &Row<'_>, context: &Context, out: &mut Vec<u8>) {
        for (index, data_type) in self.types.iter().enumerate() {
            if index > 0 {
                out.push(self.options.delimiter);
            }
            if row.is_null(index) {
                let literal = self.options.null_literal.as_deref().unwrap_or_default();
                out.extend_from_slice(literal.as_bytes());
                continue;
            }
            self.field.clear();
            let slot = row.slots[index];
            write_value(slot, data_type, context, &self.options, &mut self.field);
            quote(&self.field, &self.options, data_type.is_referring(), out);
        }
        out.push(b'\n');
    }
}

fn quote(field: &[u8], options: &CsvOptions, text: bool, out: &mut Vec<u8>) {
    let special = |byte: &u8| {
        *byte == options.delimiter
            || Some(*byte) == options.quote
            || Some(*byte) == options.escape
            || matches!(byte, b'\n' | b'\r')
    };
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte <= b' ' || *byte == b'#');
    let needed = text && (edge(field.first()) || edge(field.last()));
    let null = options.null_literal.as_deref().map(str::as_bytes) == Some(field);
    let Some(mark) = options.quote.filter(|_| needed || null || field.iter().any(special)) else {
        return out.extend_from_slice(field);
    };
    out.push(mark);
    for byte in field {
        if *byte == mark {
            out.push(options.escape.unwrap_or(mark));
        } else if Some(*byte) == options.escape {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(mark);
}

fn write_value(
    slot: Slot,
    data_type: &DataType,
    context: &Context,
    options: &CsvOptions,
    out: &mut Vec<u8>,
) {
    match data_type {
        DataType::Char(_) | DataType::Varchar(_) => out.extend_from_slice(context.bytes(slot)),
        DataType::Bytes => write_base64(context.bytes(slot), out),
        DataType::Array(element) => write_array(context.bytes(slot), element, options, out),
        // The planner lets no table of this format have one.
        DataType::Map(..) | DataType::Row(_) => {}
        _ => write_plain(slot, data_type, out),
    }
}

/// A value that lies in its slot.
fn write_plain(slot: Slot, data_type: &DataType, out: &mut Vec<u8>) {
    let infallible = "writing to memory does not fail";
    let sql = TimestampStandard::Sql;
    let moment = Moment { ms: slot.as_i64(), nanos: slot.nanos() };
    match data_type {
        DataType::Boolean if slot.as_bool() => out.extend_from_slice(b"true"),
        DataType::Boolean => out.extend_from_slice(b"false"),
        DataType::Double => {
            out.extend_from_slice(JavaText::of_f64(slot.as_f64()).as_str().as_bytes());
        }
        DataType::Float => {
            #[expect(clippy::cast_possible_truncation, reason = "a FLOAT slot holds an f32")]
            let text = JavaText::of_f32(slot.as_f64() as f32);
            out.extend_from_slice(text.as_str().as_bytes());
        }
        DataType::Decimal { scale, .. } => {
            decimal::write_to(&mut Utf8(out), slot.as_i128(), *scale).expect(infallible);
        }
        DataType::Date => write_json_date(&mut Utf8(out), slot.as_i64()).expect(infallible),
        DataType::Time(_) => write_json_time(&mut Utf8(out), slot.as_i64()).expect(infallible),
        DataType::Timestamp(_) | DataType::TimestampLtz(_) => {
            let local_zone = matches!(data_type, DataType::TimestampLtz(_));
            write_json_timestamp(&mut Utf8(out), moment, local_zone, sql).expect(infallible);
        }
        _ => write_i64(slot.as_i64(), out),
    }
}

/// Elements with the delimiter between them; nested arrays have no form in CSV and stay empty.
fn write_array(mut rest: &[u8], element: &DataType, options: &CsvOptions, out: &mut Vec<u8>) {
    let mut first = true;
    while let Some((present, left)) = rest.split_first() {
        rest = left;
        if !first {
            out.extend_from_slice(options.array_delimiter.as_bytes());
        }
        first = false;
        if *present == 0 {
            let literal = options.null_literal.as_deref().unwrap_or_default();
            out.extend_from_slice(literal.as_bytes());
        } else if !element.is_referring() {
            let Some(slot) = take_plain(&mut rest, element) else { return };
            write_plain(slot, element, out);
        } else {
            let length = take_u64(&mut rest).and_then(|head| usize::try_from(head >> 1).ok());
            let Some((taken, left)) = length.and_then(|length| rest.split_at_checked(length))
            else {
                return;
            };
            rest = left;
            match element {
                DataType::Bytes => write_base64(taken, out),
                DataType::Array(_) | DataType::Map(..) | DataType::Row(_) => {}
                _ => out.extend_from_slice(taken),
            }
        }
    }
}
