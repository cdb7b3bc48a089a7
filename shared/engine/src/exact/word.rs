//! Quotients of sums that fit a word of the machine or two: what readings of one kind add up to.
//!
//! Rounded once, half to even, as in [`super::natural`]: the quotient has at least 63 bits, of
//! which the last also says whether anything follows, and turning it into a double rounds.

use super::UNIT_EXPONENT;

/// Exponents between which nothing underflows or overflows.
const EXPONENTS: core::ops::RangeInclusive<i32> = -900..=800;
const BIAS: i32 = 1023;
const FRACTION_BITS: u32 = 52;

/// `word` · 2^(`position` + [`UNIT_EXPONENT`]) ÷ `n`, correctly rounded; `None` for `n` = 0 and
/// near the ends of the range of doubles.
#[inline]
pub(super) fn quotient(word: i128, position: usize, n: u64) -> Option<f64> {
    let exponent = i32::try_from(position).ok()? + UNIT_EXPONENT;
    if n == 0 || !EXPONENTS.contains(&exponent) {
        return None;
    }
    let magnitude = word.unsigned_abs();
    let value = match n {
        1 => narrowed(magnitude, exponent),
        _ if magnitude == 0 => 0.0,
        _ => {
            let shift = magnitude.leading_zeros();
            let exponent = exponent - i32::try_from(shift).ok()?;
            if !EXPONENTS.contains(&exponent) {
                return None;
            }
            let (dividend, n) = (magnitude << shift, u128::from(n));
            let quotient = dividend / n;
            let follows = quotient * n != dividend;
            rounded(quotient | u128::from(follows)) * power(exponent)
        }
    };
    Some(if word < 0 { -value } else { value })
}

/// `magnitude` · 2^`exponent`, rounded: the 64 highest bits, of which the last also says whether
/// anything follows, are more than a double has, and the machine converts one word by itself.
#[inline]
fn narrowed(magnitude: u128, exponent: i32) -> f64 {
    let shift = (u64::BITS - magnitude.leading_zeros().min(u64::BITS)).cast_signed();
    let follows = magnitude & ((1 << shift) - 1) != 0;
    #[expect(clippy::cast_possible_truncation, reason = "what is above it was shifted out")]
    let word = (magnitude >> shift) as u64 | u64::from(follows);
    #[expect(clippy::cast_precision_loss, reason = "rounding half to even is asked for")]
    let rounded = word as f64;
    rounded * power(exponent + shift)
}

#[expect(clippy::cast_precision_loss, reason = "rounding half to even is what is asked for")]
fn rounded(bits: u128) -> f64 {
    bits as f64
}

/// 2^exponent, of a normal number.
fn power(exponent: i32) -> f64 {
    let biased = u64::try_from(exponent + BIAS).expect("a normal number");
    f64::from_bits(biased << FRACTION_BITS)
}
