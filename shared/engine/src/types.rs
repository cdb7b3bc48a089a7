//! Column types and schemas.
//!
//! A type says how the 16 bytes of a [`Slot`](crate::slot::Slot) are read; slots themselves carry
//! no tag. The names are Flink SQL's.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

/// Length of an unbounded text or binary column (`STRING`, `BYTES`), as Flink writes it.
pub const LENGTH_MAX: u32 = i32::MAX as u32;

/// A SQL data type and, with it, the reading of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// The type of a bare `NULL` literal; never the type of a column.
    Null,
    /// `BOOLEAN`: word 0 is 0 or 1.
    Boolean,
    /// `TINYINT`: i64 within i8.
    TinyInt,
    /// `SMALLINT`: i64 within i16.
    SmallInt,
    /// `INT`: i64 within i32.
    Int,
    /// `BIGINT`: i64.
    BigInt,
    /// `FLOAT`: an f64 that is exactly an f32.
    Float,
    /// `DOUBLE`: f64 bits.
    Double,
    /// `DECIMAL(precision, scale)`: unscaled i128.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// `CHAR(n)`: text.
    Char(u32),
    /// `VARCHAR(n)`, `STRING` with [`LENGTH_MAX`]: text.
    Varchar(u32),
    /// `BYTES`: bytes, also the unfinished form of an aggregate.
    Bytes,
    /// `DATE`: days since 1970-01-01.
    Date,
    /// `TIME(p)`: milliseconds of the day.
    Time(u8),
    /// `TIMESTAMP(p)`: milliseconds since the epoch in word 0, nanoseconds of the millisecond in
    /// word 1.
    Timestamp(u8),
    /// `TIMESTAMP_LTZ(p)`: as [`DataType::Timestamp`], an instant in UTC.
    TimestampLtz(u8),
    /// `INTERVAL DAY TO SECOND`: milliseconds.
    IntervalDay,
    /// `INTERVAL YEAR TO MONTH`: months.
    IntervalMonth,
    /// `ARRAY<t>`: bytes, elements as [`crate::codec`] writes them.
    Array(Box<DataType>),
    /// `MAP<k, v>`: bytes, keys and values in turn as elements of arrays, in the order of the keys.
    Map(Box<DataType>, Box<DataType>),
    /// `ROW<name type, …>`: bytes, the fields in their order as elements of arrays.
    Row(Vec<(String, DataType)>),
}

impl DataType {
    /// The type `STRING`.
    pub const STRING: DataType = DataType::Varchar(LENGTH_MAX);

    /// Text of any length.
    pub fn is_text(&self) -> bool {
        matches!(self, DataType::Char(_) | DataType::Varchar(_))
    }

    /// Whether the slot refers to bytes outside of it (arena or symbol table).
    pub fn is_referring(&self) -> bool {
        self.is_text() || self.is_nested() || matches!(self, DataType::Bytes)
    }

    /// A value made of values: `ARRAY`, `MAP` or `ROW`. It has no order.
    pub fn is_nested(&self) -> bool {
        matches!(self, DataType::Array(_) | DataType::Map(..) | DataType::Row(_))
    }

    /// One of the four integer types.
    pub fn is_integer(&self) -> bool {
        matches!(self, DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt)
    }

    /// A number of any kind.
    pub fn is_numeric(&self) -> bool {
        self.is_integer()
            || matches!(self, DataType::Float | DataType::Double | DataType::Decimal { .. })
    }

    /// `FLOAT` or `DOUBLE`.
    pub fn is_approximate(&self) -> bool {
        matches!(self, DataType::Float | DataType::Double)
    }

    /// `TIMESTAMP` or `TIMESTAMP_LTZ`.
    pub fn is_timestamp(&self) -> bool {
        matches!(self, DataType::Timestamp(_) | DataType::TimestampLtz(_))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Null => f.write_str("NULL"),
            DataType::Boolean => f.write_str("BOOLEAN"),
            DataType::TinyInt => f.write_str("TINYINT"),
            DataType::SmallInt => f.write_str("SMALLINT"),
            DataType::Int => f.write_str("INT"),
            DataType::BigInt => f.write_str("BIGINT"),
            DataType::Float => f.write_str("FLOAT"),
            DataType::Double => f.write_str("DOUBLE"),
            DataType::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            DataType::Char(n) => write!(f, "CHAR({n})"),
            DataType::Varchar(LENGTH_MAX) => f.write_str("STRING"),
            DataType::Varchar(n) => write!(f, "VARCHAR({n})"),
            DataType::Bytes => f.write_str("BYTES"),
            DataType::Date => f.write_str("DATE"),
            DataType::Time(p) => write!(f, "TIME({p})"),
            DataType::Timestamp(p) => write!(f, "TIMESTAMP({p})"),
            DataType::TimestampLtz(p) => write!(f, "TIMESTAMP_LTZ({p})"),
            DataType::IntervalDay => f.write_str("INTERVAL DAY TO SECOND"),
            DataType::IntervalMonth => f.write_str("INTERVAL YEAR TO MONTH"),
            DataType::Array(t) => write!(f, "ARRAY<{t}>"),
            DataType::Map(k, v) => write!(f, "MAP<{k}, {v}>"),
            DataType::Row(fields) => {
                f.write_str("ROW<")?;
                for (i, (name, t)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}` {t}", name.replace('`', "``"))?;
                }
                f.write_str(">")
            }
        }
    }
}

/// A named column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Column name as the user wrote it.
    pub name: String,
    /// Column type.
    pub data_type: DataType,
    /// Whether NULL may occur.
    pub nullable: bool,
}

impl Field {
    /// A nullable column.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Field { name: name.into(), data_type, nullable: true }
    }
}

/// Columns of a row, in order; at most [`crate::limits::FIELDS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The columns.
    pub fields: Vec<Field>,
}

impl Schema {
    /// A schema of these columns.
    pub fn new(fields: Vec<Field>) -> Self {
        Schema { fields }
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Position of the column with exactly this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }

    /// Type of column `index`.
    pub fn data_type(&self, index: usize) -> &DataType {
        &self.fields[index].data_type
    }
}
