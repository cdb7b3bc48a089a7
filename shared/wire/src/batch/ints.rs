//! Integers: all equal, packed above a base, packed steps, or steps of any size.

use alloc::vec::Vec;

use headwater_engine::codec::{put_i64, put_u64};

use super::bits::{pack, packed_bytes, take, take_i64, take_len, take_u8, unpack, width};
use crate::error::WireError;

/// Appends the shortest form; nothing for no values.
pub(super) fn encode(out: &mut Vec<u8>, values: &[i64]) {
    let Some(&first) = values.first() else { return };
    let steps = || values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    let (low, range) = span(values.iter().copied());
    let (step_low, step_range) = span(steps());
    if range == 0 {
        out.push(EQUAL);
        return put_i64(out, first);
    }
    let base_bytes = packed_bytes(values.len(), width(range));
    let step_bytes = packed_bytes(values.len() - 1, width(step_range)) + varint_bytes(step_low);
    let free_bytes: usize = steps().map(varint_bytes).sum();
    if base_bytes <= step_bytes.min(free_bytes) {
        out.push(ABOVE_BASE);
        put_i64(out, low);
        put_width(out, range);
        pack(out, width(range), values.iter().map(|v| v.wrapping_sub(low).cast_unsigned()));
    } else if step_bytes <= free_bytes {
        out.push(PACKED_STEPS);
        put_i64(out, first);
        put_i64(out, step_low);
        put_width(out, step_range);
        pack(out, width(step_range), steps().map(|s| s.wrapping_sub(step_low).cast_unsigned()));
    } else {
        out.push(FREE_STEPS);
        put_i64(out, first);
        put_u64(out, free_bytes as u64);
        steps().for_each(|step| put_i64(out, step));
    }
}

/// Reads the values one after the other.
#[derive(Debug, Clone)]
pub(super) struct Ints<'a> {
    form: u8,
    bytes: &'a [u8],
    /// Base, or the value before.
    value: i64,
    step_low: i64,
    width: u32,
    index: usize,
}

impl<'a> Ints<'a> {
    /// Finds the `count` values at the front of `bytes`.
    pub(super) fn parse(bytes: &mut &'a [u8], count: usize) -> Result<Self, WireError> {
        let mut ints = Self { form: EQUAL, bytes: &[], value: 0, step_low: 0, width: 0, index: 0 };
        if count == 0 {
            return Ok(ints);
        }
        ints.form = take_u8(bytes)?;
        ints.value = take_i64(bytes)?;
        match ints.form {
            EQUAL => {}
            ABOVE_BASE => {
                ints.width = take_width(bytes)?;
                ints.bytes = take(bytes, packed_bytes(count, ints.width))?;
            }
            PACKED_STEPS => {
                ints.step_low = take_i64(bytes)?;
                ints.width = take_width(bytes)?;
                ints.bytes = take(bytes, packed_bytes(count - 1, ints.width))?;
            }
            FREE_STEPS => {
                let len = take_len(bytes)?;
                ints.bytes = take(bytes, len)?;
            }
            _ => return Err(WireError::malformed("form of integers")),
        }
        Ok(ints)
    }

    pub(super) fn next(&mut self) -> Result<i64, WireError> {
        let index = self.index;
        self.index += 1;
        match self.form {
            ABOVE_BASE => {
                let above = unpack(self.bytes, self.width, index);
                return Ok(self.value.wrapping_add(above.cast_signed()));
            }
            PACKED_STEPS if index > 0 => {
                let above = unpack(self.bytes, self.width, index - 1).cast_signed();
                self.value = self.value.wrapping_add(self.step_low.wrapping_add(above));
            }
            FREE_STEPS if index > 0 => {
                self.value = self.value.wrapping_add(take_i64(&mut self.bytes)?);
            }
            _ => {}
        }
        Ok(self.value)
    }
}

/// Smallest value and the distance to the largest.
fn span(values: impl Iterator<Item = i64>) -> (i64, u64) {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for value in values {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high { (0, 0) } else { (low, high.wrapping_sub(low).cast_unsigned()) }
}

fn varint_bytes(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    (width(zigzag).max(1) as usize).div_ceil(7)
}

fn put_width(out: &mut Vec<u8>, range: u64) {
    out.push(width(range).to_le_bytes()[0]);
}

fn take_width(bytes: &mut &[u8]) -> Result<u32, WireError> {
    match take_u8(bytes)? {
        width @ 0..=64 => Ok(u32::from(width)),
        _ => Err(WireError::malformed("width of integers")),
    }
}

const EQUAL: u8 = 0;
const ABOVE_BASE: u8 = 1;
const PACKED_STEPS: u8 = 2;
const FREE_STEPS: u8 = 3;
