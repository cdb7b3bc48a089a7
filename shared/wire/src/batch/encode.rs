//! Collecting rows and writing them as columns.

use alloc::vec::Vec;

use headwater_engine::codec::{put_i64, put_u64};
use headwater_engine::context::Context;
use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_engine::types::{DataType, Schema};

use super::bits::pack;
use super::bytes::BytesColumn;
use super::{BATCH_ROWS_MAX, NULLS_BITMAP, NULLS_NONE, VERSION, doubles, ints};

/// Collects the rows of one channel until they make a frame.
#[derive(Debug)]
pub struct BatchEncoder {
    columns: Vec<Column>,
    changes: Vec<i64>,
    /// (rows before it, watermark in ms), ascending in both.
    watermarks: Vec<(usize, i64)>,
    bytes_max: usize,
}

#[derive(Debug)]
struct Column {
    values: Values,
    nulls: Vec<bool>,
}

#[derive(Debug)]
enum Values {
    Ints(Vec<i64>),
    Stamps(Vec<i64>, Vec<i64>),
    Decimals(Vec<i128>),
    Doubles(Vec<u64>),
    Bytes(BytesColumn),
}

impl BatchEncoder {
    /// An empty batch of rows of this schema.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let columns = schema
            .fields
            .iter()
            .map(|field| Column { values: Values::of(&field.data_type), nulls: Vec::new() });
        let columns = columns.collect();
        let (changes, watermarks) = (Vec::new(), Vec::new());
        Self { columns, changes, watermarks, bytes_max: HEAD_BYTES_MAX }
    }

    /// Adds a row of the schema.
    pub fn push(&mut self, row: Row<'_>, context: &Context) {
        assert_eq!(row.slots.len(), self.columns.len(), "a row has the columns of its schema");
        for (index, (column, &slot)) in self.columns.iter_mut().zip(row.slots).enumerate() {
            let is_null = row.is_null(index);
            column.nulls.push(is_null);
            if !is_null {
                self.bytes_max += column.values.push(slot, context);
            }
        }
        self.changes.push(row.change as i64);
        // A bit of each bitmap, and the change.
        self.bytes_max += self.columns.len().div_ceil(8) + 1;
    }

    /// Adds a raise of the watermark after the rows so far; anything else changes nothing.
    pub fn watermark(&mut self, watermark: i64) {
        if self.watermarks.last().is_some_and(|&(_, last)| watermark <= last) {
            return;
        }
        let rows = self.changes.len();
        match self.watermarks.last_mut() {
            Some(last) if last.0 == rows => last.1 = watermark,
            _ => {
                self.watermarks.push((rows, watermark));
                self.bytes_max += WATERMARK_BYTES_MAX;
            }
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn rows_count(&self) -> usize {
        self.changes.len()
    }

    /// Whether there is neither a row nor a watermark.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.watermarks.is_empty()
    }

    /// Whether no further row may be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.changes.len() >= BATCH_ROWS_MAX
    }

    /// An upper bound of what `finish` returns, in bytes: split before it passes the frame's
    /// limit. Before compression, and two to four times too high for ordinary rows.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes_max + self.columns.len() * COLUMN_HEAD_BYTES_MAX
    }

    /// Writes the batch and begins an empty one; memory is kept for it.
    pub fn finish(&mut self) -> Vec<u8> {
        assert!(self.changes.len() <= BATCH_ROWS_MAX, "the caller asks is_full");
        let mut out = Vec::new();
        out.push(VERSION);
        put_u64(&mut out, self.changes.len() as u64);
        put_u64(&mut out, self.columns.len() as u64);
        put_u64(&mut out, self.watermarks.len() as u64);
        let (mut rows, mut watermark) = (0, 0i64);
        for &(at, value) in &self.watermarks {
            put_u64(&mut out, (at - rows) as u64);
            put_i64(&mut out, value.wrapping_sub(watermark));
            (rows, watermark) = (at, value);
        }
        ints::encode(&mut out, &self.changes);
        let mut section = Vec::new();
        for column in &mut self.columns {
            section.clear();
            column.encode(&mut section);
            put_u64(&mut out, section.len() as u64);
            out.extend_from_slice(&section);
            column.clear();
        }
        self.changes.clear();
        self.watermarks.clear();
        self.bytes_max = HEAD_BYTES_MAX;
        out
    }
}

impl Column {
    fn encode(&self, out: &mut Vec<u8>) {
        if self.nulls.contains(&true) {
            out.push(NULLS_BITMAP);
            pack(out, 1, self.nulls.iter().map(|&null| u64::from(null)));
        } else {
            out.push(NULLS_NONE);
        }
        match &self.values {
            Values::Ints(values) => ints::encode(out, values),
            Values::Stamps(millis, nanos) => {
                ints::encode(out, millis);
                ints::encode(out, nanos);
            }
            Values::Decimals(values) => encode_decimals(out, values),
            Values::Doubles(values) => doubles::encode(out, values),
            Values::Bytes(values) => values.encode(out),
        }
    }

    fn clear(&mut self) {
        self.nulls.clear();
        match &mut self.values {
            Values::Ints(values) => values.clear(),
            Values::Stamps(millis, nanos) => {
                millis.clear();
                nanos.clear();
            }
            Values::Decimals(values) => values.clear(),
            Values::Doubles(values) => values.clear(),
            Values::Bytes(values) => values.clear(),
        }
    }
}

impl Values {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float | DataType::Double => Self::Doubles(Vec::new()),
            DataType::Decimal { .. } => Self::Decimals(Vec::new()),
            DataType::Timestamp(_) | DataType::TimestampLtz(_) => {
                Self::Stamps(Vec::new(), Vec::new())
            }
            referring if referring.is_referring() => Self::Bytes(BytesColumn::default()),
            _ => Self::Ints(Vec::new()),
        }
    }

    /// Adds a value; returns the bytes that it may add to the payload at most.
    fn push(&mut self, slot: Slot, context: &Context) -> usize {
        match self {
            Self::Ints(values) => values.push(slot.as_i64()),
            Self::Stamps(millis, nanos) => {
                millis.push(slot.as_i64());
                nanos.push(i64::from(slot.nanos()));
                return VALUE_BYTES_MAX + NANOS_BYTES_MAX;
            }
            Self::Decimals(values) => {
                values.push(slot.as_i128());
                return 16;
            }
            Self::Doubles(values) => values.push(slot.as_f64().to_bits()),
            Self::Bytes(values) => return values.push(context.bytes(slot)),
        }
        VALUE_BYTES_MAX
    }
}

fn encode_decimals(out: &mut Vec<u8>, values: &[i128]) {
    if values.is_empty() {
        return;
    }
    let narrow: Result<Vec<i64>, _> = values.iter().map(|&value| i64::try_from(value)).collect();
    match narrow {
        Ok(narrow) => {
            out.push(super::decode::NARROW);
            ints::encode(out, &narrow);
        }
        Err(_) => {
            out.push(super::decode::WIDE);
            values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        }
    }
}

/// Integers never take more than packed 64 bits; listed doubles a varint more.
const VALUE_BYTES_MAX: usize = 10;
const NANOS_BYTES_MAX: usize = 4;
const WATERMARK_BYTES_MAX: usize = 15;
const HEAD_BYTES_MAX: usize = 64;
const COLUMN_HEAD_BYTES_MAX: usize = 64;
