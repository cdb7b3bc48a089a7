//! Bytes of exact sums: a two-byte header, then the magnitude without zero bytes at either end.
//!
//! Header, little endian: bit 0 = counts of special values follow, bit 1 = negative, bits 2–11 =
//! position of the first byte (in bytes from the unit), bits 12–15 = number of bytes; 15 = 15+
//! a varint that follows. Only the one canonical form is accepted back.

use alloc::vec::Vec;

use super::accumulator::Accumulator;
use super::natural::{NARROW_DIGITS, Natural, WIDE_DIGITS};

const LENGTH_ESCAPE: usize = 15;
const POSITION_BITS: u32 = 10;

/// A decoded integer: sign, and magnitude bytes least significant first.
pub(super) struct Integer<'a> {
    pub(super) negative: bool,
    pub(super) special: bool,
    pub(super) position: usize,
    pub(super) bytes: &'a [u8],
}

/// Appends an accumulator's value.
pub(super) fn write_accumulator<const SMALL: usize, const WIDE: usize>(
    out: &mut Vec<u8>,
    value: &Accumulator<SMALL, WIDE>,
    special: bool,
) {
    let narrow = value.magnitude::<NARROW_DIGITS>();
    if narrow.0.overflows() {
        write_integer(out, &value.magnitude::<WIDE_DIGITS>(), special);
    } else {
        write_integer(out, &narrow, special);
    }
}

fn write_integer<const N: usize>(out: &mut Vec<u8>, value: &(Natural<N>, bool), special: bool) {
    let (position, bytes, len) = value.0.bytes();
    let header = usize::from(special)
        | usize::from(value.1) << 1
        | position << 2
        | len.min(LENGTH_ESCAPE) << (2 + POSITION_BITS);
    let header = u16::try_from(header).expect("positions stay below 1024");
    out.extend_from_slice(&header.to_le_bytes());
    if len >= LENGTH_ESCAPE {
        write_varint(out, (len - LENGTH_ESCAPE) as u64);
    }
    out.extend(bytes);
}

pub(super) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// A reader over untrusted bytes.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(self.take(1)?[0]);
            let part = byte & 0x7f;
            let too_wide = shift == 63 && part > 1;
            let padded = shift > 0 && byte == 0;
            if too_wide || padded {
                return None;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn integer(&mut self) -> Option<Integer<'a>> {
        let header = self.take(2)?;
        let header = usize::from(u16::from_le_bytes([header[0], header[1]]));
        let position = header >> 2 & ((1 << POSITION_BITS) - 1);
        let mut len = header >> (2 + POSITION_BITS);
        if len == LENGTH_ESCAPE {
            len = usize::try_from(self.varint()?).ok()?.checked_add(LENGTH_ESCAPE)?;
        }
        let bytes = self.take(len)?;
        let negative = header & 2 != 0;
        let canonical = match (bytes.first(), bytes.last()) {
            (Some(first), Some(last)) => *first != 0 && *last != 0,
            _ => position == 0 && !negative,
        };
        canonical.then_some(Integer { negative, special: header & 1 != 0, position, bytes })
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.used.checked_add(len)?;
        let taken = self.bytes.get(self.used..end)?;
        self.used = end;
        Some(taken)
    }
}
