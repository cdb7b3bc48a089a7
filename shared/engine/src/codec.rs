//! Compact encoding of values in state: varints, typed values, key tuples.
//!
//! Texts that are symbols are written as symbol numbers, so an entry is only readable beside the
//! symbol table of the same checkpoint. Frames have their own encoding (`headwater-wire`).

use alloc::vec::Vec;

use crate::{
    context::Context,
    slot::{BytesRef, Datum, Slot},
    symbols::SymbolId,
    types::DataType,
};

/// Appends an unsigned number, seven bits a byte, low bits first.
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

/// Reads what [`put_u64`] wrote and moves `bytes` past it.
pub fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends a signed number, zigzag.
#[expect(clippy::cast_sign_loss, reason = "zigzag works on bit patterns")]
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Reads what [`put_i64`] wrote.
#[expect(clippy::cast_possible_wrap, reason = "zigzag works on bit patterns")]
pub fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let value = take_u64(bytes)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Appends bytes with their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what [`put_bytes`] wrote.
pub fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_u64(bytes)?).ok()?;
    take(bytes, len)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(head)
}

/// Appends a value that is not NULL.
pub fn put_slot(out: &mut Vec<u8>, slot: Slot, data_type: &DataType, context: &Context) {
    match data_type {
        DataType::Float | DataType::Double => out.extend_from_slice(&slot.0.to_le_bytes()),
        DataType::Decimal { .. } => out.extend_from_slice(&slot.as_i128().to_le_bytes()),
        DataType::Timestamp(_) | DataType::TimestampLtz(_) => {
            put_i64(out, slot.as_i64());
            put_u64(out, u64::from(slot.nanos()));
        }
        t if t.is_referring() => match slot.bytes_ref() {
            BytesRef::Symbol(id) => put_u64(out, u64::from(id.0) << 1 | 1),
            BytesRef::Arena(..) => {
                let bytes = context.bytes(slot);
                put_u64(out, (bytes.len() as u64) << 1);
                out.extend_from_slice(bytes);
            }
        },
        _ => put_i64(out, slot.as_i64()),
    }
}

/// Reads a value of a type that lies within the slot.
pub fn take_plain(bytes: &mut &[u8], data_type: &DataType) -> Option<Slot> {
    Some(match data_type {
        DataType::Float | DataType::Double => {
            let bits = u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?);
            Slot::f64(f64::from_bits(bits))
        }
        DataType::Decimal { .. } => {
            Slot::i128(i128::from_le_bytes(take(bytes, 16)?.try_into().ok()?))
        }
        DataType::Timestamp(_) | DataType::TimestampLtz(_) => {
            let millis = take_i64(bytes)?;
            Slot::timestamp(millis, u32::try_from(take_u64(bytes)?).ok()?)
        }
        _ => Slot::i64(take_i64(bytes)?),
    })
}

/// Reads what [`put_slot`] wrote; inline bytes go to the arena, symbols are not yet retained.
pub fn take_slot(bytes: &mut &[u8], data_type: &DataType, context: &mut Context) -> Option<Slot> {
    if !data_type.is_referring() {
        return take_plain(bytes, data_type);
    }
    let head = take_u64(bytes)?;
    if head & 1 == 1 {
        let id = SymbolId(u32::try_from(head >> 1).ok()?);
        return context.symbols.is_live(id).then(|| Slot::symbol(id));
    }
    let text = take(bytes, usize::try_from(head >> 1).ok()?)?;
    let (offset, len) = context.arena.push(text)?;
    Some(Slot::arena(offset, len))
}

/// Appends a row's NULL bitmap and the values that are not NULL.
pub fn put_row<'a>(
    out: &mut Vec<u8>,
    slots: &[Slot],
    nulls: u64,
    types: impl IntoIterator<Item = &'a DataType>,
    context: &Context,
) {
    put_u64(out, nulls);
    for (index, (slot, data_type)) in slots.iter().zip(types).enumerate() {
        if nulls >> index & 1 == 0 {
            put_slot(out, *slot, data_type, context);
        }
    }
}

/// Reads what [`put_row`] wrote into `slots`; gives the NULL bitmap.
pub fn take_row<'a>(
    bytes: &mut &[u8],
    slots: &mut [Slot],
    types: impl IntoIterator<Item = &'a DataType>,
    context: &mut Context,
) -> Option<u64> {
    let nulls = take_u64(bytes)?;
    for (index, (slot, data_type)) in slots.iter_mut().zip(types).enumerate() {
        *slot = if nulls >> index & 1 == 1 {
            Slot::ZERO
        } else {
            take_slot(bytes, data_type, context)?
        };
    }
    Some(nulls)
}

/// Appends one element of an array: a marker for NULL, then the value. Texts are inline.
pub fn put_element(out: &mut Vec<u8>, value: Datum, data_type: &DataType, context: &Context) {
    out.push(u8::from(!value.is_null()));
    if value.is_null() {
        return;
    }
    if data_type.is_referring() {
        let bytes = context.bytes(value.slot);
        put_u64(out, (bytes.len() as u64) << 1);
        out.extend_from_slice(bytes);
    } else {
        put_slot(out, value.slot, data_type, context);
    }
}

/// The element at byte `position` of an array, and the position of the next one; `None` at the
/// end. A text element refers into the array where that is in the arena, else it is copied there.
pub fn element_at(
    array: Slot,
    position: usize,
    data_type: &DataType,
    context: &mut Context,
) -> Option<(Datum, usize)> {
    let all = context.bytes(array);
    let mut rest = all.get(position + 1..)?;
    if all[position] == 0 {
        return Some((Datum::NULL, position + 1));
    }
    if !data_type.is_referring() {
        let slot = take_plain(&mut rest, data_type)?;
        return Some((Datum::of(slot), all.len() - rest.len()));
    }
    let len = usize::try_from(take_u64(&mut rest)? >> 1).ok()?;
    let start = all.len() - rest.len();
    rest.get(..len)?;
    let len_u32 = u32::try_from(len).ok()?;
    let datum = match array.bytes_ref() {
        BytesRef::Arena(offset, _) => {
            Datum::of(Slot::arena(offset + u32::try_from(start).ok()?, len_u32))
        }
        BytesRef::Symbol(id) => {
            let text = &context.symbols.text(id)[start..start + len];
            let (offset, len) = context.arena.push(text)?;
            Datum::of(Slot::arena(offset, len))
        }
    };
    Some((datum, start + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut out = Vec::new();
        let numbers = [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN, 1_700_000_000_000];
        numbers.iter().for_each(|&n| put_i64(&mut out, n));
        let mut bytes = &out[..];
        for n in numbers {
            assert_eq!(take_i64(&mut bytes), Some(n));
        }
        assert_eq!(take_u64(&mut bytes), None);
        assert_eq!(take_u64(&mut &[0xff; 10][..]), None, "more than 64 bits");
    }
}
