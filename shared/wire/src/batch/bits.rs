//! Numbers packed to a fixed count of bits, lowest bit first; and a reader of plain bytes.
//!
//! Guarantees: reading beyond the end gives an error. Does not know what the numbers mean.

use alloc::vec::Vec;

use headwater_engine::codec;

use crate::error::WireError;

/// Bits needed for `range`.
pub(super) fn width(range: u64) -> u32 {
    u64::BITS - range.leading_zeros()
}

/// Bytes that `count` numbers of `width` bits take.
pub(super) fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends numbers of `width` bits.
pub(super) fn pack(out: &mut Vec<u8>, width: u32, values: impl Iterator<Item = u64>) {
    let (mut pending, mut held) = (0u128, 0);
    for value in values {
        pending |= u128::from(value) << held;
        held += width;
        while held >= 8 {
            out.push(pending.to_le_bytes()[0]);
            pending >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        out.push(pending.to_le_bytes()[0]);
    }
}

/// Number `index` of those packed into `bytes`; bits beyond the end are 0.
pub(super) fn unpack(bytes: &[u8], width: u32, index: usize) -> u64 {
    if width == 0 {
        return 0;
    }
    let bit = index * width as usize;
    let rest = bytes.get(bit / 8..).unwrap_or_default();
    let window = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut last = [0u8; 16];
        let len = rest.len().min(16);
        last[..len].copy_from_slice(&rest[..len]);
        last
    });
    let shifted = u128::from_le_bytes(window) >> (bit % 8);
    let low = u64::from_le_bytes(*shifted.to_le_bytes().first_chunk().expect("16 bytes"));
    low & (u64::MAX >> (u64::BITS - width))
}

/// Reads one byte.
pub(super) fn take_u8(bytes: &mut &[u8]) -> Result<u8, WireError> {
    let (&byte, rest) = bytes.split_first().ok_or(WireError::CutShort)?;
    *bytes = rest;
    Ok(byte)
}

/// Reads a slice.
pub(super) fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], WireError> {
    let (head, rest) = bytes.split_at_checked(len).ok_or(WireError::CutShort)?;
    *bytes = rest;
    Ok(head)
}

/// Reads a varint that counts or measures something.
pub(super) fn take_len(bytes: &mut &[u8]) -> Result<usize, WireError> {
    let value = codec::take_u64(bytes).ok_or(WireError::CutShort)?;
    usize::try_from(value).map_err(|_| WireError::malformed("length"))
}

/// Reads a zigzag varint.
pub(super) fn take_i64(bytes: &mut &[u8]) -> Result<i64, WireError> {
    codec::take_i64(bytes).ok_or(WireError::CutShort)
}
