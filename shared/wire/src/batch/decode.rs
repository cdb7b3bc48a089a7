//! Reading a batch: checked as a whole first, then row by row.

use alloc::vec::Vec;

use headwater_engine::context::Context;
use headwater_engine::row::Change;
use headwater_engine::slot::Slot;
use headwater_engine::types::{DataType, Schema};

use super::bits::{packed_bytes, take, take_i64, take_len, take_u8, unpack};
use super::bytes::Texts;
use super::doubles::Doubles;
use super::ints::Ints;
use super::{BATCH_ROWS_MAX, NULLS_BITMAP, NULLS_NONE, VERSION};
use crate::error::WireError;
use crate::frame::at_most;

/// What comes next in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchItem {
    /// A row: its slots were written to where the caller said.
    Row {
        /// Bitmap of NULL columns.
        nulls: u64,
        /// Kind of change.
        change: Change,
    },
    /// The watermark rises to this time (ms).
    Watermark(i64),
}

/// Reads a batch in the order in which it was written.
#[derive(Debug)]
pub struct BatchDecoder<'a> {
    rows_count: usize,
    row: usize,
    watermarks: Watermarks<'a>,
    changes: Ints<'a>,
    columns: Vec<Column<'a>>,
}

impl<'a> BatchDecoder<'a> {
    /// Checks a payload as a whole, down to the last value.
    ///
    /// # Errors
    /// Any `WireError`; the payload does not hold rows of this schema then.
    pub fn new(payload: &'a [u8], schema: &Schema) -> Result<Self, WireError> {
        let mut bytes = payload;
        match take_u8(&mut bytes)? {
            VERSION => {}
            found => return Err(WireError::UnknownVersion { found }),
        }
        let rows_count = take_len(&mut bytes)?;
        at_most("number of rows", rows_count, BATCH_ROWS_MAX)?;
        if take_len(&mut bytes)? != schema.len() {
            return Err(WireError::malformed("number of columns"));
        }
        let watermarks = Watermarks::parse(&mut bytes, rows_count)?;
        let changes = Ints::parse(&mut bytes, rows_count)?;
        let mut all = changes.clone();
        for _ in 0..rows_count {
            change(all.next()?)?;
        }
        let mut columns = Vec::with_capacity(schema.len());
        for field in &schema.fields {
            let len = take_len(&mut bytes)?;
            let section = take(&mut bytes, len)?;
            columns.push(Column::parse(section, &field.data_type, rows_count)?);
        }
        if !bytes.is_empty() {
            return Err(WireError::malformed("end of the batch"));
        }
        Ok(Self { rows_count, row: 0, watermarks, changes, columns })
    }

    /// Rows in the batch.
    #[must_use]
    pub fn rows_count(&self) -> usize {
        self.rows_count
    }

    /// The next row or watermark; `None` at the end. Texts go to the arena, which the caller
    /// releases row by row; `slots` has one place a column.
    ///
    /// # Errors
    /// `TooLarge` when the arena has no room for the texts of one row.
    pub fn next(
        &mut self,
        slots: &mut [Slot],
        context: &mut Context,
    ) -> Result<Option<BatchItem>, WireError> {
        if let Some(watermark) = self.watermarks.due(self.row)? {
            return Ok(Some(BatchItem::Watermark(watermark)));
        }
        if self.row == self.rows_count {
            return Ok(None);
        }
        assert_eq!(slots.len(), self.columns.len(), "one slot a column");
        let mut nulls = 0;
        for (index, (column, slot)) in self.columns.iter_mut().zip(slots).enumerate() {
            if column.is_null(self.row) {
                nulls |= 1 << index;
                *slot = Slot::ZERO;
            } else {
                *slot = column.values.next(context)?;
            }
        }
        self.row += 1;
        Ok(Some(BatchItem::Row { nulls, change: change(self.changes.next()?)? }))
    }
}

#[derive(Debug)]
struct Watermarks<'a> {
    bytes: &'a [u8],
    left: usize,
    /// The next raise: rows before it.
    at: usize,
    value: i64,
}

impl<'a> Watermarks<'a> {
    fn parse(bytes: &mut &'a [u8], rows_count: usize) -> Result<Self, WireError> {
        let left = take_len(bytes)?;
        let start = *bytes;
        let mut rows = 0usize;
        for _ in 0..left {
            rows = rows.checked_add(take_len(bytes)?).ok_or(WireError::malformed("watermark"))?;
            take_i64(bytes)?;
        }
        if rows > rows_count {
            return Err(WireError::malformed("watermark"));
        }
        let mut watermarks = Self { bytes: start, left, at: 0, value: 0 };
        watermarks.load()?;
        Ok(watermarks)
    }

    fn load(&mut self) -> Result<(), WireError> {
        if self.left > 0 {
            self.at += take_len(&mut self.bytes)?;
            self.value = self.value.wrapping_add(take_i64(&mut self.bytes)?);
        }
        Ok(())
    }

    fn due(&mut self, row: usize) -> Result<Option<i64>, WireError> {
        if self.left == 0 || self.at > row {
            return Ok(None);
        }
        let value = self.value;
        self.left -= 1;
        self.load()?;
        Ok(Some(value))
    }
}

#[derive(Debug, Clone)]
struct Column<'a> {
    /// Empty when no value is NULL.
    nulls: &'a [u8],
    values: Values<'a>,
}

#[derive(Debug, Clone)]
enum Values<'a> {
    Ints(Ints<'a>),
    Stamps(Ints<'a>, Ints<'a>),
    NarrowDecimals(Ints<'a>),
    WideDecimals(&'a [u8]),
    Doubles(Doubles<'a>),
    Texts(Texts<'a>),
}

impl<'a> Column<'a> {
    /// Checks a column down to the last value.
    fn parse(
        section: &'a [u8],
        data_type: &DataType,
        rows_count: usize,
    ) -> Result<Self, WireError> {
        let mut bytes = section;
        let nulls = match take_u8(&mut bytes)? {
            NULLS_NONE => &[][..],
            NULLS_BITMAP => take(&mut bytes, packed_bytes(rows_count, 1))?,
            _ => return Err(WireError::malformed("form of NULLs")),
        };
        let nulls_count = (0..rows_count).filter(|&row| unpack(nulls, 1, row) == 1).count();
        let count = rows_count - nulls_count;
        let values = Values::parse(&mut bytes, data_type, count)?;
        if !bytes.is_empty() {
            return Err(WireError::malformed("end of a column"));
        }
        let mut all = values.clone();
        for _ in 0..count {
            all.check(data_type)?;
        }
        Ok(Self { nulls, values })
    }

    fn is_null(&self, row: usize) -> bool {
        unpack(self.nulls, 1, row) == 1
    }
}

impl<'a> Values<'a> {
    fn parse(bytes: &mut &'a [u8], data_type: &DataType, count: usize) -> Result<Self, WireError> {
        Ok(match data_type {
            DataType::Float | DataType::Double => Self::Doubles(Doubles::parse(bytes, count)?),
            DataType::Decimal { .. } if count == 0 => Self::WideDecimals(&[]),
            DataType::Decimal { .. } => match take_u8(bytes)? {
                NARROW => Self::NarrowDecimals(Ints::parse(bytes, count)?),
                WIDE => Self::WideDecimals(take(bytes, count * 16)?),
                _ => return Err(WireError::malformed("form of decimals")),
            },
            DataType::Timestamp(_) | DataType::TimestampLtz(_) => {
                Self::Stamps(Ints::parse(bytes, count)?, Ints::parse(bytes, count)?)
            }
            referring if referring.is_referring() => {
                Self::Texts(Texts::parse(bytes, count, referring.is_text())?)
            }
            _ => Self::Ints(Ints::parse(bytes, count)?),
        })
    }

    /// Reads one value and checks that the type can hold it.
    fn check(&mut self, data_type: &DataType) -> Result<(), WireError> {
        if let Self::Texts(texts) = self {
            return texts.next_code().map(|_| ());
        }
        let slot = self.plain()?;
        let fits = match data_type {
            DataType::Boolean => matches!(slot.as_i64(), 0 | 1),
            DataType::TinyInt => i8::try_from(slot.as_i64()).is_ok(),
            DataType::SmallInt => i16::try_from(slot.as_i64()).is_ok(),
            DataType::Int | DataType::Date => i32::try_from(slot.as_i64()).is_ok(),
            DataType::Time(_) => (0..MILLIS_PER_DAY).contains(&slot.as_i64()),
            DataType::Timestamp(_) | DataType::TimestampLtz(_) => slot.nanos() < 1_000_000,
            DataType::Decimal { precision, .. } => {
                slot.as_i128().unsigned_abs() < 10u128.pow(u32::from(*precision).min(38))
            }
            _ => true,
        };
        if fits { Ok(()) } else { Err(WireError::malformed("value")) }
    }

    fn next(&mut self, context: &mut Context) -> Result<Slot, WireError> {
        match self {
            Self::Texts(texts) => texts.next(context),
            _ => self.plain(),
        }
    }

    /// The next value that lies within its slot.
    fn plain(&mut self) -> Result<Slot, WireError> {
        Ok(match self {
            Self::Ints(ints) => Slot::i64(ints.next()?),
            Self::Stamps(millis, nanos) => {
                let nanos = u32::try_from(nanos.next()?);
                let nanos = nanos.map_err(|_| WireError::malformed("nanoseconds"))?;
                Slot::timestamp(millis.next()?, nanos)
            }
            Self::NarrowDecimals(ints) => Slot::i128(i128::from(ints.next()?)),
            Self::WideDecimals(bytes) => {
                let bytes = take(bytes, 16)?;
                Slot::i128(i128::from_le_bytes(*bytes.first_chunk().expect("16 bytes taken")))
            }
            Self::Doubles(doubles) => Slot::f64(f64::from_bits(doubles.next()?)),
            Self::Texts(_) => return Err(WireError::malformed("column")),
        })
    }
}

fn change(number: i64) -> Result<Change, WireError> {
    let change = u8::try_from(number).ok().and_then(Change::from_u8);
    change.ok_or(WireError::malformed("kind of change"))
}

pub(super) const NARROW: u8 = 0;
pub(super) const WIDE: u8 = 1;
const MILLIS_PER_DAY: i64 = 86_400_000;
