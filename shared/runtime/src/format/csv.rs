//! Format `csv`, as Flink's: one line a record, columns by position.
//!
//! A quoted field may hold delimiters and doubled quotation marks, but no line end: sources hand
//! over lines. An empty field is an empty text and no number; it is NULL where
//! `csv.null-literal` is the empty text. Arrays are elements between `csv.array-element-delimiter`.

mod encode;

use std::borrow::Cow;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use headwater_engine::calendar::Moment;
use headwater_engine::calendar::parse::{json_date, json_time, json_timestamp};
use headwater_engine::calendar::text::TimestampStandard;
use headwater_engine::codec::put_element;
use headwater_engine::context::Context;
use headwater_engine::decimal::{DecimalType, parse_number};
use headwater_engine::slot::{Datum, Slot};
use headwater_engine::types::DataType;

use crate::format::number::{parse_f32, parse_f64, parse_whole};
use crate::format::text::{java_bool, java_trim, read_base64};
use crate::format::{Column, DecodeError, Decoded, Reason};

pub use encode::CsvEncoder;

/// Options, named as in Flink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// `csv.field-delimiter`
    pub delimiter: u8,
    /// `csv.quote-character`; `None` with `csv.disable-quote-character`.
    pub quote: Option<u8>,
    /// `csv.escape-character`
    pub escape: Option<u8>,
    /// `csv.allow-comments`: lines that begin with `#` are skipped.
    pub comments: bool,
    /// `csv.ignore-parse-errors`
    pub ignore_parse_errors: bool,
    /// `csv.null-literal`
    pub null_literal: Option<String>,
    /// `csv.array-element-delimiter`
    pub array_delimiter: String,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comments: false,
            ignore_parse_errors: false,
            null_literal: None,
            array_delimiter: ";".into(),
        }
    }
}

/// Index of a column that nobody reads: its field is passed over.
pub const SKIPPED: usize = usize::MAX;

/// Decodes records; see the module's text.
#[derive(Debug)]
pub struct CsvDecoder {
    options: CsvOptions,
    columns: Vec<Column>,
    reader: Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

impl CsvDecoder {
    /// A decoder of these columns, in the order of the fields.
    pub fn new(columns: Vec<Column>, options: CsvOptions) -> Self {
        let reader = ReaderBuilder::new()
            .delimiter(options.delimiter)
            .quoting(options.quote.is_some())
            .quote(options.quote.unwrap_or(b'"'))
            .escape(options.escape)
            .comment(options.comments.then_some(b'#'))
            .build();
        let ends = vec![0; columns.len() + 1];
        Self { options, columns, reader, fields: Vec::new(), ends }
    }

    /// Decodes one record into a row that is all NULL.
    pub fn decode(
        &mut self,
        record: &[u8],
        slots: &mut [Slot],
        nulls: &mut u64,
        context: &mut Context,
    ) -> Result<Decoded, DecodeError> {
        let untouched = *nulls;
        match self.record(record, slots, nulls, context) {
            Err(error) if self.options.ignore_parse_errors && error.reason != Reason::NotNull => {
                *nulls = untouched;
                slots.fill(Slot::ZERO);
                Ok(Decoded::Skipped)
            }
            other => other,
        }
    }

    fn record(
        &mut self,
        record: &[u8],
        slots: &mut [Slot],
        nulls: &mut u64,
        context: &mut Context,
    ) -> Result<Decoded, DecodeError> {
        let wrong = |reason, at| DecodeError { reason, at, column: None };
        if self.options.comments && record.first() == Some(&b'#') {
            return Ok(Decoded::Skipped);
        }
        let count = self.split(record).ok_or(wrong(Reason::FieldCount, record.len()))?;
        if count != self.columns.len() {
            return Err(wrong(Reason::FieldCount, record.len()));
        }
        let mut start = 0;
        for (column, end) in self.columns.iter().zip(&self.ends) {
            if column.index == SKIPPED {
                start = *end;
                continue;
            }
            let column_wrong =
                |reason| DecodeError { reason, at: start, column: Some(column.index) };
            let field = std::str::from_utf8(&self.fields[start..*end])
                .map_err(|_| column_wrong(Reason::InvalidUtf8))?;
            let value = self.options.value(field, &column.data_type, context);
            let slot = match value {
                Err(Reason::Coercion) if self.options.ignore_parse_errors => None,
                other => other.map_err(column_wrong)?,
            };
            match slot {
                Some(slot) => {
                    slots[column.index] = slot;
                    *nulls &= !(1 << column.index);
                }
                None if !column.nullable => return Err(column_wrong(Reason::NotNull)),
                None => {}
            }
            start = *end;
        }
        Ok(Decoded::Row)
    }

    /// Splits into `fields` and `ends`; `None` when there are too many fields.
    fn split(&mut self, record: &[u8]) -> Option<usize> {
        self.reader.reset();
        if self.fields.len() < record.len() + 1 {
            self.fields.resize(record.len() + 1, 0);
        }
        let (mut taken, mut written, mut count) = (0, 0, 0);
        loop {
            // An empty input says that the record is at its end.
            let (result, input, output, ends) = self.reader.read_record(
                &record[taken..],
                &mut self.fields[written..],
                &mut self.ends[count..],
            );
            taken += input;
            written += output;
            count += ends;
            match result {
                ReadRecordResult::InputEmpty if taken >= record.len() => {}
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => return Some(count),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => return None,
            }
        }
    }
}

impl CsvOptions {
    /// The slot of a field's text; `None` is NULL.
    fn value(
        &self,
        field: &str,
        data_type: &DataType,
        context: &mut Context,
    ) -> Result<Option<Slot>, Reason> {
        if self.null_literal.as_deref() == Some(field) {
            return Ok(None);
        }
        let trimmed = java_trim(field);
        let whole = |min, max| parse_whole(trimmed, min, max).map(Slot::i64);
        let standard = TimestampStandard::Sql;
        let slot = match data_type {
            DataType::Char(_) | DataType::Varchar(_) => {
                let stored = context.arena.push(field.as_bytes()).ok_or(Reason::TextTooLarge)?;
                Some(Slot::arena(stored.0, stored.1))
            }
            DataType::Boolean => Some(Slot::bool(java_bool(field))),
            DataType::TinyInt => whole(i8::MIN.into(), i8::MAX.into()),
            DataType::SmallInt => whole(i16::MIN.into(), i16::MAX.into()),
            DataType::Int => whole(i32::MIN.into(), i32::MAX.into()),
            DataType::BigInt => whole(i64::MIN, i64::MAX),
            DataType::Double => parse_f64(trimmed).map(Slot::f64),
            DataType::Float => parse_f32(trimmed).map(|value| Slot::f64(f64::from(value))),
            DataType::Decimal { precision, scale } => {
                let parsed = parse_number(trimmed).ok_or(Reason::Coercion)?;
                return Ok(parsed.into_type(DecimalType::new(*precision, *scale)).map(Slot::i128));
            }
            DataType::Date => json_date(trimmed).map(Slot::i64),
            DataType::Time(_) => json_time(trimmed).map(Slot::i64),
            DataType::Timestamp(p) => {
                json_timestamp(trimmed, false, standard).map(|value| moment(value, *p))
            }
            DataType::TimestampLtz(p) => {
                json_timestamp(trimmed, true, standard).map(|value| moment(value, *p))
            }
            DataType::Array(element) => return self.array(field, element, context).map(Some),
            DataType::Bytes => return bytes(field, context).map(Some),
            DataType::Null
            | DataType::IntervalDay
            | DataType::IntervalMonth
            | DataType::Map(..)
            | DataType::Row(_) => None,
        };
        slot.map(Some).ok_or(Reason::Coercion)
    }

    fn array(
        &self,
        field: &str,
        element: &DataType,
        context: &mut Context,
    ) -> Result<Slot, Reason> {
        let mut encoded = Vec::new();
        let mut parts = field.split(self.array_delimiter.as_str());
        // An empty field is an array without elements.
        if field.is_empty() {
            parts.next();
        }
        for part in parts {
            let slot = self.value(part, element, context)?;
            put_element(&mut encoded, slot.map_or(Datum::NULL, Datum::of), element, context);
        }
        let (offset, length) = context.arena.push(&encoded).ok_or(Reason::TextTooLarge)?;
        Ok(Slot::arena(offset, length))
    }
}

fn moment(moment: Moment, precision: u8) -> Slot {
    let moment = moment.truncated(precision);
    Slot::timestamp(moment.ms, moment.nanos)
}

fn bytes(text: &str, context: &mut Context) -> Result<Slot, Reason> {
    let mut plain = Vec::new();
    read_base64(text, |piece| {
        plain.extend_from_slice(piece);
        true
    })
    .ok_or(Reason::Coercion)?;
    let (offset, length) = context.arena.push(&plain).ok_or(Reason::TextTooLarge)?;
    Ok(Slot::arena(offset, length))
}

/// The one byte that an option such as `csv.field-delimiter` names; `\t` is the tabulator.
pub fn option_byte(text: &str) -> Result<u8, String> {
    let text = match text {
        "\\t" => Cow::Borrowed("\t"),
        "\\\\" => Cow::Borrowed("\\"),
        other => Cow::Borrowed(other),
    };
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(format!("'{text}' is not one ASCII character")),
    }
}

#[cfg(test)]
mod tests;
