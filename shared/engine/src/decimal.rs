//! DECIMAL(precision, scale) as Flink computes it.
//!
//! A value is an unscaled `i128`; its scale is in its type. Results are rounded half up (away from
//! zero at the half) to the result type that Flink derives, and are None where they do not fit:
//! Flink answers NULL. Intermediate results are exact in 256 bits. Nothing is allocated.
//!
//! It does not know NULL, and division by zero is None like an overflow: who calls it decides
//! whether that is a fault.

use core::cmp::Ordering;
use core::fmt::{self, Write};

use crate::java_double::Digits;
use wide::Wide;

#[cfg(test)]
mod tests;
mod text;
mod wide;

pub use text::{JavaNumber, TEXT_BYTES_MAX, parse, parse_number, write};

/// Largest precision: what fits `i128`.
pub const PRECISION_MAX: u8 = 38;

/// The precision up to which Flink keeps a value in 64 bits.
const COMPACT_PRECISION_MAX: u8 = 18;
/// Where a result's precision exceeds the largest one, this many fraction digits are kept.
const ADJUSTED_SCALE_MIN: u8 = 6;

/// Precision (digits in all, 1–38) and scale (digits after the point, 0–precision).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecimalType {
    /// Digits in all.
    pub precision: u8,
    /// Digits after the point.
    pub scale: u8,
}

impl DecimalType {
    /// DECIMAL(precision, scale).
    #[must_use]
    pub const fn new(precision: u8, scale: u8) -> Self {
        Self { precision, scale }
    }

    /// The type of e1 + e2 and e1 − e2.
    #[must_use]
    pub fn of_sum(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        let whole = self.whole().max(other.whole());
        Self::adjusted(u16::from(whole) + u16::from(scale) + 1, u16::from(scale))
    }

    /// The type of e1 · e2.
    #[must_use]
    pub fn of_product(self, other: Self) -> Self {
        let precision = u16::from(self.precision) + u16::from(other.precision) + 1;
        Self::adjusted(precision, u16::from(self.scale) + u16::from(other.scale))
    }

    /// The type of e1 ÷ e2.
    #[must_use]
    pub fn of_quotient(self, other: Self) -> Self {
        let scale = (u16::from(self.scale) + u16::from(other.precision) + 1)
            .max(u16::from(ADJUSTED_SCALE_MIN));
        Self::adjusted(u16::from(self.whole()) + u16::from(other.scale) + scale, scale)
    }

    /// The type of e1 % e2.
    #[must_use]
    pub fn of_remainder(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        let whole = self.whole().min(other.whole());
        Self::adjusted(u16::from(whole) + u16::from(scale), u16::from(scale))
    }

    /// The type of SUM.
    #[must_use]
    pub const fn of_total(self) -> Self {
        Self::new(PRECISION_MAX, self.scale)
    }

    /// The type of AVG.
    #[must_use]
    pub fn of_average(self) -> Self {
        Self::new(PRECISION_MAX, self.scale).of_quotient(Self::new(20, 0))
    }

    /// The type of ROUND and TRUNCATE to `places` digits after the point.
    #[must_use]
    pub fn of_round(self, places: i32) -> Self {
        match u8::try_from(places) {
            Err(_) if places > 0 => self,
            Err(_) => Self::new((1 + self.whole()).min(PRECISION_MAX), 0),
            Ok(places) if places >= self.scale => self,
            Ok(places) => Self::new(1 + self.whole() + places, places),
        }
    }

    /// The type that holds every value of both (for CASE, COALESCE, UNION and comparison).
    #[must_use]
    pub fn of_common(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        let precision = self.whole().max(other.whole()) + scale;
        Self::new(precision.min(PRECISION_MAX), scale)
    }

    const fn whole(self) -> u8 {
        self.precision - self.scale
    }

    /// Beyond 38 digits the fraction gives way, down to six digits, before the whole part does.
    fn adjusted(precision: u16, scale: u16) -> Self {
        let max = u16::from(PRECISION_MAX);
        let (precision, scale) = if precision <= max {
            (precision, scale)
        } else {
            let kept = scale.min(u16::from(ADJUSTED_SCALE_MIN));
            (max, max.saturating_sub(precision - scale).max(kept))
        };
        let narrow = |x| u8::try_from(x).expect("at most 38");
        Self::new(narrow(precision), narrow(scale))
    }
}

/// 10^n, for n up to 38.
#[must_use]
pub const fn power_of_ten(n: u8) -> i128 {
    10_i128.pow(n as u32)
}

/// The value itself if its digits fit `precision`.
#[must_use]
pub const fn checked(unscaled: i128, precision: u8) -> Option<i128> {
    if unscaled.unsigned_abs() < power_of_ten(precision).unsigned_abs() {
        Some(unscaled)
    } else {
        None
    }
}

/// The same number in another type, rounded half up.
#[must_use]
pub fn rescale(unscaled: i128, scale: u8, to: DecimalType) -> Option<i128> {
    if scale == to.scale {
        return checked(unscaled, to.precision);
    }
    Wide::of(unscaled).rescale(i32::from(scale), to)
}

/// a + b
#[must_use]
pub fn add(a: i128, a_scale: u8, b: i128, b_scale: u8, to: DecimalType) -> Option<i128> {
    if a_scale == b_scale && a_scale == to.scale {
        return checked(a.checked_add(b)?, to.precision);
    }
    let scale = a_scale.max(b_scale);
    let aligned = |x, from: u8| Wide::of(x).times(power_of_ten(scale - from).unsigned_abs());
    aligned(a, a_scale).plus(aligned(b, b_scale)).rescale(i32::from(scale), to)
}

/// a − b
#[must_use]
pub fn sub(a: i128, a_scale: u8, b: i128, b_scale: u8, to: DecimalType) -> Option<i128> {
    add(a, a_scale, -b, b_scale, to)
}

/// a · b
#[must_use]
pub fn mul(a: i128, a_scale: u8, b: i128, b_scale: u8, to: DecimalType) -> Option<i128> {
    let scale = i32::from(a_scale) + i32::from(b_scale);
    if scale == i32::from(to.scale)
        && let Some(product) = a.checked_mul(b)
    {
        return checked(product, to.precision);
    }
    let product = Wide::of(a).times(b.unsigned_abs()).negated_if(b < 0);
    product.rescale(scale, to)
}

/// a ÷ b; None when b is 0.
///
/// Flink rounds to 38 significant digits first, then to the result's scale; so does this.
#[must_use]
pub fn div(a: i128, a_scale: u8, b: i128, b_scale: u8, to: DecimalType) -> Option<i128> {
    if b == 0 {
        return None;
    }
    // The quotient gets 38 or 39 digits.
    let more = i32::from(PRECISION_MAX) + digits_count(b) - digits_count(a);
    let scale = i32::from(a_scale) - i32::from(b_scale) + more;
    let divisor = b.unsigned_abs();
    let (quotient, rest) = Wide::of(a).times_power_of_ten(more).divided(divisor);
    let quotient = if quotient.digits_exceed(PRECISION_MAX) {
        return quotient.divided_half_up(10).negated_if(b < 0).rescale(scale - 1, to);
    } else if rest >= divisor - rest {
        quotient.away_from_zero()
    } else {
        quotient
    };
    quotient.negated_if(b < 0).rescale(scale, to)
}

/// a % b, with the sign of a; None when b is 0.
#[must_use]
pub fn rem(a: i128, a_scale: u8, b: i128, b_scale: u8, to: DecimalType) -> Option<i128> {
    if b == 0 {
        return None;
    }
    let scale = a_scale.max(b_scale);
    let dividend = Wide::of(a).times(power_of_ten(scale - a_scale).unsigned_abs());
    // A divisor beyond 128 bits is larger than any dividend of the same scale.
    let rest = match b.unsigned_abs().checked_mul(power_of_ten(scale - b_scale).unsigned_abs()) {
        None => dividend,
        Some(divisor) => Wide::of_magnitude(dividend.divided(divisor).1).negated_if(a < 0),
    };
    rest.rescale(i32::from(scale), to)
}

/// Compares numbers of any scales.
#[must_use]
pub fn compare(a: i128, a_scale: u8, b: i128, b_scale: u8) -> Ordering {
    if a_scale == b_scale {
        return a.cmp(&b);
    }
    let scale = a_scale.max(b_scale);
    let left = Wide::of(a).times(power_of_ten(scale - a_scale).unsigned_abs());
    let right = Wide::of(b).times(power_of_ten(scale - b_scale).unsigned_abs());
    left.cmp(&right)
}

/// ROUND to `places` digits after the point; the result has the type `of_round`.
#[must_use]
pub fn round(unscaled: i128, from: DecimalType, places: i32) -> Option<i128> {
    shorten(unscaled, from, places, Wide::divided_half_up)
}

/// TRUNCATE to `places` digits after the point; the result has the type `of_round`.
#[must_use]
pub fn truncate(unscaled: i128, from: DecimalType, places: i32) -> Option<i128> {
    shorten(unscaled, from, places, |x, divisor| x.divided(divisor).0)
}

fn shorten(
    unscaled: i128,
    from: DecimalType,
    places: i32,
    divide: fn(Wide, u128) -> Wide,
) -> Option<i128> {
    if places >= i32::from(from.scale) {
        return Some(unscaled);
    }
    let dropped = i32::from(from.scale).saturating_sub(places);
    let to = from.of_round(places);
    if dropped > i32::from(PRECISION_MAX) {
        return Some(0);
    }
    let dropped = u8::try_from(dropped).expect("at most 38");
    let kept = divide(Wide::of(unscaled), power_of_ten(dropped).unsigned_abs());
    kept.rescale(places, to)
}

/// The largest whole number that is not above; scale 0.
#[must_use]
pub const fn floor(unscaled: i128, scale: u8) -> i128 {
    unscaled.div_euclid(power_of_ten(scale))
}

/// The smallest whole number that is not below; scale 0.
#[must_use]
pub const fn ceil(unscaled: i128, scale: u8) -> i128 {
    -(-unscaled).div_euclid(power_of_ten(scale))
}

/// Toward zero, then the low 64 bits, as Flink casts to integers.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "Flink wraps: BigDecimal.longValue")]
pub const fn to_i64(unscaled: i128, scale: u8) -> i64 {
    (unscaled / power_of_ten(scale)) as i64
}

/// As Flink casts to DOUBLE: up to 18 digits a division of doubles, else correctly rounded.
#[must_use]
pub fn to_f64(unscaled: i128, from: DecimalType) -> f64 {
    if from.precision <= COMPACT_PRECISION_MAX {
        #[expect(clippy::cast_precision_loss, reason = "Flink rounds here")]
        let (value, divisor) = (unscaled as f64, power_of_ten(from.scale) as f64);
        return value / divisor;
    }
    text::to_f64(unscaled, from.scale)
}

/// A whole number in another type.
#[must_use]
pub fn from_i64(value: i64, to: DecimalType) -> Option<i128> {
    rescale(i128::from(value), 0, to)
}

/// A double's shortest decimal, rounded half up; None for NaN and infinities.
#[must_use]
pub fn from_f64(x: f64, to: DecimalType) -> Option<i128> {
    if !x.is_finite() {
        return None;
    }
    let digits = Digits::of_f64(x);
    let value = Wide::of_magnitude(u128::from(digits.mantissa)).negated_if(x < 0.0);
    value.rescale(-digits.exponent, to)
}

/// Writes the number in plain notation.
///
/// # Errors
/// Those of `out`.
pub fn write_to(out: &mut (impl Write + ?Sized), unscaled: i128, scale: u8) -> fmt::Result {
    let mut buffer = [0; TEXT_BYTES_MAX];
    out.write_str(write(unscaled, scale, &mut buffer))
}

fn digits_count(x: i128) -> i32 {
    let digits = x.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    i32::try_from(digits).expect("at most 39")
}
