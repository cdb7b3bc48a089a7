//! The short way for values as nearly all records have them: a text without escapes, a whole
//! number of up to 15 digits, a decimal fraction that one division gives exactly.
//!
//! Eight bytes at a time, without a loop over digits. Whatever else comes, wrong or only unusual,
//! is `None`, and the general way decides: so the two never differ.

use headwater_engine::arena::Arena;
use headwater_engine::slot::Slot;
use headwater_engine::types::DataType;

use super::scan::stop;
use crate::format::number::POWERS;

/// Which short way a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    Text,
    Long,
    Int,
    Double,
    None,
}

impl Quick {
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Char(_) | DataType::Varchar(_) => Quick::Text,
            DataType::BigInt => Quick::Long,
            DataType::Int => Quick::Int,
            DataType::Double => Quick::Double,
            _ => Quick::None,
        }
    }

    /// The value that begins at `at`, and the position after it.
    #[inline]
    pub(super) fn value(self, bytes: &[u8], at: usize, arena: &mut Arena) -> Option<(Slot, usize)> {
        match self {
            Quick::Text => text(bytes, at, arena),
            Quick::Long => long(bytes, at).map(|(value, at)| (Slot::i64(value), at)),
            Quick::Int => {
                let (value, at) = long(bytes, at)?;
                i32::try_from(value).ok().map(|_| (Slot::i64(value), at))
            }
            Quick::Double => double(bytes, at),
            Quick::None => None,
        }
    }
}

/// A text without escapes whose quotation mark is next. What it is made of is not checked.
#[inline]
pub(super) fn text(bytes: &[u8], at: usize, arena: &mut Arena) -> Option<(Slot, usize)> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let start = at + 1;
    let end = stop(bytes, start)?;
    if bytes[end] != b'"' {
        return None;
    }
    let (offset, length) = match bytes[start..].first_chunk() {
        Some(chunk) if end - start <= chunk.len() => arena.push_prefix(chunk, end - start)?,
        _ => arena.push(&bytes[start..end])?,
    };
    Some((Slot::arena(offset, length), end + 1))
}

/// The high bit of each byte that ends a text, is escaped or is not ASCII. Only the first one
/// counts: a borrow spoils later bytes.
#[inline]
pub(super) fn marks(word: u64) -> u64 {
    let quotes = word ^ (ONES * b'"' as u64);
    let escapes = word ^ (ONES * b'\\' as u64);
    let hits = (quotes.wrapping_sub(ONES) & !quotes) | (escapes.wrapping_sub(ONES) & !escapes);
    (hits | word) & (ONES << 7)
}

/// A whole number of up to 15 digits.
#[inline]
pub(super) fn long(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    let (value, at) = whole(bytes, at + usize::from(negative))?;
    if matches!(bytes.get(at), Some(b'.' | b'e' | b'E')) {
        return None;
    }
    let value = i64::try_from(value).expect("up to 15 digits");
    Some((if negative { -value } else { value }, at))
}

/// A decimal fraction that one division gives exactly.
#[inline]
pub(super) fn double(bytes: &[u8], at: usize) -> Option<(Slot, usize)> {
    let negative = bytes.get(at) == Some(&b'-');
    if let Some((value, end)) = few_digits(word(bytes, at + usize::from(negative))) {
        let value = Slot::f64(if negative { -value } else { value });
        return Some((value, at + usize::from(negative) + end));
    }
    long_double(bytes, at + usize::from(negative), negative)
}

/// The same for any number of digits that is still exact.
#[inline(never)]
#[expect(clippy::cast_precision_loss, reason = "checked: it is exact")]
fn long_double(bytes: &[u8], at: usize, negative: bool) -> Option<(Slot, usize)> {
    let (mut mantissa, mut at) = whole(bytes, at)?;
    let mut power = 0;
    if bytes.get(at) == Some(&b'.') {
        let (fraction, end) = digits(bytes, at + 1)?;
        power = end - at - 1;
        mantissa = mantissa.checked_mul(TENS[power])?.checked_add(fraction)?;
        at = end;
    }
    if mantissa > 1 << 53 || matches!(bytes.get(at), Some(b'e' | b'E')) {
        return None;
    }
    // Both operands are exact doubles, so one rounding gives the nearest.
    let value = mantissa as f64 / POWERS[power];
    Some((Slot::f64(if negative { -value } else { value }), at))
}

/// Up to six digits with a point between them, which lie in one word with what ends them, and how
/// many bytes they are.
#[inline]
fn few_digits(word: u64) -> Option<(f64, usize)> {
    let before = digits_count(word);
    if !(1..=6).contains(&before) || word >> (8 * before) & 0xff != u64::from(b'.') {
        return None;
    }
    if before > 1 && word & 0xff == u64::from(b'0') {
        return None;
    }
    // Without the point; behind the last byte a zero, which is no digit.
    let behind = u64::MAX << (8 * before);
    let (mantissa, count) = up_to_eight(word & !behind | word >> 8 & behind);
    if count > 6 || count == before || word >> (8 * count + 8) & 0xdf == u64::from(b'E') {
        return None;
    }
    // Both operands are exact doubles, so one rounding gives the nearest.
    let mantissa = f64::from(u32::try_from(mantissa).ok()?);
    Some((mantissa / POWERS[count - before], count + 1))
}

/// Digits before a point: no needless zero in front.
#[inline]
fn whole(bytes: &[u8], start: usize) -> Option<(u64, usize)> {
    let (value, end) = digits(bytes, start)?;
    (end == start + 1 || bytes[start] != b'0').then_some((value, end))
}

/// One to 15 digits.
#[inline]
fn digits(bytes: &[u8], start: usize) -> Option<(u64, usize)> {
    let (value, count) = up_to_eight(word(bytes, start));
    if count == 0 {
        return None;
    }
    if count < 8 {
        return Some((value, start + count));
    }
    let (low, more) = up_to_eight(word(bytes, start + 8));
    (more < 8).then(|| (value * TENS[more] + low, start + 8 + more))
}

/// A byte of ones in each place of a word.
const ONES: u64 = u64::MAX / 255;

/// How many digits a word begins with.
#[inline]
fn digits_count(word: u64) -> usize {
    let values = word ^ (ONES * b'0' as u64);
    // The high bit of each byte that is no digit; a carry spoils later bytes only.
    let others = (values.wrapping_add(ONES * 0x76) | values) & (ONES << 7);
    others.trailing_zeros() as usize / 8
}

/// The value of the digits at the begin of a word, and how many there are.
#[inline]
fn up_to_eight(word: u64) -> (u64, usize) {
    let count = digits_count(word);
    let values = word ^ (ONES * b'0' as u64);
    // The digits at the top, zeros before them: always eight.
    let shift = u64::BITS - 8 * u32::try_from(count).unwrap_or_default();
    let pairs = values.checked_shl(shift).unwrap_or(0);
    let pairs = pairs.wrapping_mul(1 + (10 << 8)) >> 8 & (u64::MAX / 0xffff * 0xff);
    let fours = pairs.wrapping_mul(1 + (100 << 16)) >> 16 & (u64::MAX / 0xffff_ffff * 0xffff);
    let value = fours.wrapping_mul(1 + (10_000 << 32)) >> 32;
    (value, count)
}

/// Eight bytes from `at` on; zeros beyond the end.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(chunk) = rest.first_chunk() {
        return u64::from_le_bytes(*chunk);
    }
    match bytes.last_chunk() {
        Some(last) => u64::from_le_bytes(*last).checked_shr(shift(rest.len())).unwrap_or(0),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// Bits by which the last word of a text is moved when `left` bytes of it are wanted.
#[inline]
fn shift(left: usize) -> u32 {
    64 - 8 * u32::try_from(left).expect("fewer than eight")
}

const TENS: [u64; 16] = {
    let mut tens = [1; 16];
    let mut i = 1;
    while i < tens.len() {
        tens[i] = tens[i - 1] * 10;
        i += 1;
    }
    tens
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quick(quick: Quick, text: &str) -> Option<(Slot, usize)> {
        let mut arena = Arena::new(64);
        quick.value(text.as_bytes(), 0, &mut arena)
    }

    #[test]
    fn what_is_unusual_is_left_to_the_general_way() {
        for text in ["", "-", "01", "1.", ".5", "1e3", "1.5e3", "1234567890123456", "null", "+1"] {
            assert_eq!(quick(Quick::Double, text), None, "{text}");
            assert_eq!(quick(Quick::Long, text), None, "{text}");
        }
        assert_eq!(quick(Quick::Long, "1.5"), None);
        assert_eq!(quick(Quick::Int, "2147483648"), None);
        assert_eq!(quick(Quick::Double, "123456789012345.123456"), None);
        for text in ["\"a\\n\"", "\"a", "7", "\"a\\\"\""] {
            assert_eq!(quick(Quick::Text, text), None, "{text}");
        }
    }

    #[test]
    fn what_is_usual_is_read() {
        assert_eq!(quick(Quick::Int, "-2147483648,"), Some((Slot::i64(-2_147_483_648), 11)));
        assert_eq!(
            quick(Quick::Long, "123456789012345 "),
            Some((Slot::i64(123_456_789_012_345), 15))
        );
        assert_eq!(quick(Quick::Double, "-0.0"), Some((Slot::f64(0.0), 4)));
        assert_eq!(quick(Quick::Double, "0.001}"), Some((Slot::f64(0.001), 5)));
        for text in ["", "d0123", "sixteen bytes...", "more than sixteen bytes"] {
            let mut arena = Arena::new(64);
            let quoted = format!("\"{text}\",");
            let (slot, end) = Quick::Text.value(quoted.as_bytes(), 0, &mut arena).unwrap();
            let headwater_engine::slot::BytesRef::Arena(offset, length) = slot.bytes_ref() else {
                panic!("a text is in the arena");
            };
            assert_eq!((arena.get(offset, length), end), (text.as_bytes(), text.len() + 2));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
        #[test]
        fn numbers_mean_the_same_as_to_a_library(
            value in any::<i64>(),
            shift in 0..64,
            places in 0_usize..18,
            behind in "[,} ]{0,9}",
        ) {
            let value = value >> shift;
            let text = format!("{value}{behind}");
            if let Some((slot, end)) = quick(Quick::Long, &text) {
                prop_assert_eq!((slot.as_i64(), end), (value, text.len() - behind.len()));
            } else {
                prop_assert!(value.unsigned_abs() >= 1_000_000_000_000_000);
            }
            let text = format!("{}.{:0places$}", value >> 20, value & 0xfffff);
            if let Some((slot, end)) = quick(Quick::Double, &format!("{text}{behind}")) {
                let nearest: f64 = text.parse().unwrap();
                prop_assert_eq!((slot.as_f64(), end), (nearest, text.len()));
            }
        }

        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            for kind in [Quick::Text, Quick::Long, Quick::Int, Quick::Double] {
                for at in 0..=bytes.len() {
                    let _ = kind.value(&bytes, at, &mut Arena::new(16));
                }
            }
        }
    }
}
