//! Formats: bytes of a record to the slots of a row, and rows to bytes.
//!
//! Guarantees: any bytes at all give a row or an error with a reason, never a panic; after warm-up
//! neither decoding nor encoding a row allocates, unless the record is an error. Coercion is that
//! of Flink's formats of the same name. Does not evaluate computed columns.

pub mod changelog_json;
pub mod csv;
pub mod json;
mod number;
mod text;

use headwater_engine::context::Context;
use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_engine::types::DataType;

/// Every format: the value of the option `format`.
pub const KINDS: &[&str] = &["changelog-json", "csv", "json"];

/// A column that a decoder fills.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name in the record; with more than one entry, the way into nested objects (JSON only).
    pub path: Vec<String>,
    /// Type of the slot.
    pub data_type: DataType,
    /// Whether NULL may be stored.
    pub nullable: bool,
    /// Position in the row.
    pub index: usize,
}

/// Why a record is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not in the format's syntax.
    Malformed,
    /// A value cannot become the column's type.
    Coercion,
    /// A field is missing and must not be.
    MissingField,
    /// NULL in a NOT NULL column.
    NotNull,
    /// Nested deeper than the limit.
    TooDeep,
    /// Not UTF-8.
    InvalidUtf8,
    /// The texts of the row exceed the arena.
    TextTooLarge,
    /// Too many or too few fields (CSV).
    FieldCount,
}

impl Reason {
    /// The word used in counters, side outputs and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Coercion => "not-coercible",
            Reason::MissingField => "missing-field",
            Reason::NotNull => "not-null-violated",
            Reason::TooDeep => "nested-too-deep",
            Reason::InvalidUtf8 => "invalid-utf8",
            Reason::TextTooLarge => "text-too-large",
            Reason::FieldCount => "field-count",
        }
    }
}

/// Why and where a record is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Why.
    pub reason: Reason,
    /// Byte within the record.
    pub at: usize,
    /// Position in the row of the column concerned, if one is.
    pub column: Option<usize>,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.reason.as_str(), self.at)?;
        match self.column {
            Some(column) => write!(f, ", column {}", column + 1),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DecodeError {}

/// What a record has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A row.
    Row,
    /// Nothing, as an option asked for (`ignore-parse-errors`, comments).
    Skipped,
}

/// A decoder of any format.
#[derive(Debug)]
pub enum Decoder {
    /// `json`
    Json(json::JsonDecoder),
    /// `csv`
    Csv(Box<csv::CsvDecoder>),
}

impl Decoder {
    /// Decodes one record into a row that is all NULL (see the engine's `row_buffer`).
    pub fn decode(
        &mut self,
        record: &[u8],
        slots: &mut [Slot],
        nulls: &mut u64,
        context: &mut Context,
    ) -> Result<Decoded, DecodeError> {
        match self {
            Decoder::Json(decoder) => decoder.decode(record, slots, nulls, context),
            Decoder::Csv(decoder) => decoder.decode(record, slots, nulls, context),
        }
    }
}

/// An encoder of any format.
#[derive(Debug)]
pub enum Encoder {
    /// `json`
    Json(json::JsonEncoder),
    /// `csv`
    Csv(csv::CsvEncoder),
    /// `changelog-json`
    ChangelogJson(changelog_json::ChangelogJsonEncoder),
}

impl Encoder {
    /// Appends one row as one line.
    pub fn encode(&mut self, row: &Row<'_>, context: &Context, out: &mut Vec<u8>) {
        match self {
            Encoder::Json(encoder) => encoder.encode(row, context, out),
            Encoder::Csv(encoder) => encoder.encode(row, context, out),
            Encoder::ChangelogJson(encoder) => encoder.encode(row, context, out),
        }
    }

    /// Appends one line that says that the row of this key is gone; false if the format cannot.
    pub fn encode_gone(
        &mut self,
        row: &Row<'_>,
        key: impl Iterator<Item = usize>,
        context: &Context,
        out: &mut Vec<u8>,
    ) -> bool {
        match self {
            Encoder::Json(encoder) => encoder.encode_gone(row, key, context, out),
            Encoder::Csv(_) | Encoder::ChangelogJson(_) => return false,
        }
        true
    }

    /// Whether the format can say that a row replaces or removes another.
    pub fn takes_changes(&self) -> bool {
        matches!(self, Encoder::ChangelogJson(_))
    }
}

#[cfg(test)]
mod bench;
