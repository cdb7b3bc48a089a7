//! A row on its way through the operators: borrowed slots, a NULL bitmap and a change kind.

use crate::slot::{Datum, Slot};

/// What a row means for the result it belongs to, as in Flink's changelog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Change {
    /// `+I`: a new row.
    #[default]
    Insert = 0,
    /// `-U`: the row before an update.
    UpdateBefore = 1,
    /// `+U`: the row after an update.
    UpdateAfter = 2,
    /// `-D`: the row is gone.
    Delete = 3,
}

impl Change {
    /// Flink's short text, as in the `changelog-json` format.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Insert => "+I",
            Change::UpdateBefore => "-U",
            Change::UpdateAfter => "+U",
            Change::Delete => "-D",
        }
    }

    /// The change with this number, if there is one.
    pub fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Change::Insert),
            1 => Some(Change::UpdateBefore),
            2 => Some(Change::UpdateAfter),
            3 => Some(Change::Delete),
            _ => None,
        }
    }
}

/// The record of the engine. Bit `i` of `nulls` says that column `i` is NULL; its slot is then
/// [`Slot::ZERO`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// One slot a column.
    pub slots: &'a [Slot],
    /// NULL bitmap.
    pub nulls: u64,
    /// Kind of change.
    pub change: Change,
}

impl<'a> Row<'a> {
    /// An inserted row.
    pub fn insert(slots: &'a [Slot], nulls: u64) -> Self {
        Row { slots, nulls, change: Change::Insert }
    }

    /// Whether column `index` is NULL.
    pub fn is_null(&self, index: usize) -> bool {
        self.nulls >> index & 1 == 1
    }

    /// Value of column `index`.
    pub fn datum(&self, index: usize) -> Datum {
        Datum::new(self.slots[index], self.is_null(index))
    }
}
