//! The 16-byte value cell of a row.
//!
//! A slot has no type tag and no NULL: the schema gives the type, the row's bitmap the NULL. Text
//! and bytes lie outside, in the arena of the row being processed or in the symbol table; the slot
//! refers to them.

use crate::symbols::SymbolId;

/// An untagged value of 16 bytes. Two words and not an array of two: so it is passed and returned
/// in registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Slot(pub u64, pub u64);

const _: () = assert!(core::mem::size_of::<Slot>() == 16);

/// Where the bytes of a text slot are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesRef {
    /// In the arena: offset and length in bytes.
    Arena(u32, u32),
    /// In the symbol table.
    Symbol(SymbolId),
}

#[expect(clippy::cast_possible_truncation, reason = "halves of words are taken on purpose")]
#[expect(clippy::cast_sign_loss, reason = "bit patterns, not quantities")]
impl Slot {
    /// All bits zero: the canonical content of a NULL.
    pub const ZERO: Slot = Slot(0, 0);

    /// A truth value.
    pub fn bool(value: bool) -> Self {
        Slot(u64::from(value), 0)
    }

    /// An integer, a date, a time, an interval or the milliseconds of a timestamp.
    pub fn i64(value: i64) -> Self {
        Slot(value as u64, 0)
    }

    /// A double; NaN and −0.0 are made canonical so that equal values have equal bytes.
    pub fn f64(value: f64) -> Self {
        let canonical = if value.is_nan() {
            f64::NAN
        } else if value == 0.0 {
            0.0
        } else {
            value
        };
        Slot(canonical.to_bits(), 0)
    }

    /// The unscaled value of a decimal.
    pub fn i128(value: i128) -> Self {
        Slot(value as u64, (value >> 64) as u64)
    }

    /// A timestamp: milliseconds since the epoch and nanoseconds of the millisecond.
    pub fn timestamp(millis: i64, nanos: u32) -> Self {
        Slot(millis as u64, u64::from(nanos))
    }

    /// Bytes in the arena.
    pub fn arena(offset: u32, len: u32) -> Self {
        Slot(u64::from(offset) | u64::from(len) << 32, 0)
    }

    /// Bytes in the symbol table.
    pub fn symbol(id: SymbolId) -> Self {
        Slot(0, u64::from(id.0) + 1)
    }

    /// Reads a truth value.
    pub fn as_bool(self) -> bool {
        self.0 != 0
    }

    /// Reads an integer, date, time, interval or the milliseconds of a timestamp.
    pub fn as_i64(self) -> i64 {
        self.0 as i64
    }

    /// Reads a double.
    pub fn as_f64(self) -> f64 {
        f64::from_bits(self.0)
    }

    /// Reads an unscaled decimal.
    pub fn as_i128(self) -> i128 {
        i128::from(self.0) | (self.1 as i128) << 64
    }

    /// Nanoseconds of the millisecond of a timestamp.
    pub fn nanos(self) -> u32 {
        self.1 as u32
    }

    /// Where the bytes of a text or bytes slot are.
    pub fn bytes_ref(self) -> BytesRef {
        match self.1 {
            0 => BytesRef::Arena(self.0 as u32, (self.0 >> 32) as u32),
            id => BytesRef::Symbol(SymbolId((id - 1) as u32)),
        }
    }
}

/// A slot that may be NULL: the value of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datum {
    /// The value; [`Slot::ZERO`] when NULL.
    pub slot: Slot,
    presence: Presence,
}

/// Whether there is a value. A whole word: a `bool` beside padding is written as a byte and copied
/// as a word, and for that the CPU waits until the byte has reached the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Presence {
    Value,
    Null,
}

impl Datum {
    /// SQL's NULL.
    pub const NULL: Datum = Datum { slot: Slot::ZERO, presence: Presence::Null };

    /// A slot, and whether it is NULL.
    pub fn new(slot: Slot, is_null: bool) -> Self {
        Datum { slot, presence: if is_null { Presence::Null } else { Presence::Value } }
    }

    /// A value that is not NULL.
    pub fn of(slot: Slot) -> Self {
        Datum { slot, presence: Presence::Value }
    }

    /// A truth value.
    pub fn bool(value: bool) -> Self {
        Datum::of(Slot::bool(value))
    }

    /// An integer.
    pub fn i64(value: i64) -> Self {
        Datum::of(Slot::i64(value))
    }

    /// A double.
    pub fn f64(value: f64) -> Self {
        Datum::of(Slot::f64(value))
    }

    /// Whether it is NULL.
    pub fn is_null(self) -> bool {
        self.presence == Presence::Null
    }

    /// Whether this is TRUE: neither FALSE nor NULL.
    pub fn is_true(self) -> bool {
        !self.is_null() && self.slot.as_bool()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_sign() {
        for v in [0, 1, -1, i128::MAX, i128::MIN, -(1 << 70)] {
            assert_eq!(Slot::i128(v).as_i128(), v);
        }
    }

    #[test]
    fn zero_and_nan_are_canonical() {
        assert_eq!(Slot::f64(-0.0), Slot::f64(0.0));
        assert_eq!(Slot::f64(f64::from_bits(0x7ff8_0000_0000_0001)), Slot::f64(f64::NAN));
    }
}
