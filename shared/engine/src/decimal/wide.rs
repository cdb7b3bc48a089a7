//! Signed 256-bit integers: what decimal arithmetic needs before it rounds.

use core::cmp::Ordering;

use super::{DecimalType, PRECISION_MAX, power_of_ten};

/// Sign and magnitude; zero is not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide {
    negative: bool,
    high: u128,
    low: u128,
}

impl Wide {
    pub(super) const fn of(x: i128) -> Self {
        Self { negative: x < 0, high: 0, low: x.unsigned_abs() }
    }

    pub(super) const fn of_magnitude(x: u128) -> Self {
        Self { negative: false, high: 0, low: x }
    }

    const fn is_zero(self) -> bool {
        self.high == 0 && self.low == 0
    }

    pub(super) const fn negated_if(self, condition: bool) -> Self {
        Self { negative: (self.negative != condition) && !self.is_zero(), ..self }
    }

    /// self · x; the product must fit.
    pub(super) fn times(self, x: u128) -> Self {
        let (low, carry) = widening_mul(self.low, x);
        let high = self.high.wrapping_mul(x).wrapping_add(carry);
        Self { high, low, ..self }.negated_if(false)
    }

    /// self · 10^n; the product must fit.
    pub(super) fn times_power_of_ten(self, n: i32) -> Self {
        let n = u8::try_from(n).expect("below 77");
        let first = n.min(PRECISION_MAX);
        self.times(power_of_ten(first).unsigned_abs()).times(power_of_ten(n - first).unsigned_abs())
    }

    pub(super) fn plus(self, other: Self) -> Self {
        if self.negative == other.negative {
            let (low, carry) = self.low.overflowing_add(other.low);
            return Self { high: self.high + other.high + u128::from(carry), low, ..self };
        }
        let (larger, smaller) = match self.compare_magnitude(&other) {
            Ordering::Less => (other, self),
            _ => (self, other),
        };
        let (low, borrow) = larger.low.overflowing_sub(smaller.low);
        Self { high: larger.high - smaller.high - u128::from(borrow), low, ..larger }
            .negated_if(false)
    }

    /// Quotient toward zero, and the remainder's magnitude.
    pub(super) fn divided(self, divisor: u128) -> (Self, u128) {
        if self.high == 0 {
            let quotient = Self { low: self.low / divisor, ..self }.negated_if(false);
            return (quotient, self.low % divisor);
        }
        let mut remainder = self.high % divisor;
        let high = self.high / divisor;
        let mut low = 0_u128;
        for bit in (0..u128::BITS).rev() {
            let overflow = remainder >> 127 != 0;
            remainder = remainder << 1 | (self.low >> bit & 1);
            low <<= 1;
            if overflow || remainder >= divisor {
                remainder = remainder.wrapping_sub(divisor);
                low |= 1;
            }
        }
        (Self { high, low, ..self }.negated_if(false), remainder)
    }

    /// Quotient rounded half up.
    pub(super) fn divided_half_up(self, divisor: u128) -> Self {
        let negative = self.negative;
        let (quotient, rest) = self.divided(divisor);
        if rest >= divisor - rest {
            // A quotient of 0 has lost its sign.
            return Self { negative, ..quotient }.away_from_zero();
        }
        quotient
    }

    pub(super) fn away_from_zero(self) -> Self {
        let (low, carry) = self.low.overflowing_add(1);
        Self { high: self.high + u128::from(carry), low, ..self }
    }

    pub(super) fn digits_exceed(self, digits: u8) -> bool {
        self.high != 0 || self.low >= power_of_ten(digits).unsigned_abs()
    }

    /// The number with `scale` digits after the point (or zeros before it, when negative) in the
    /// type `to`.
    pub(super) fn rescale(self, scale: i32, to: DecimalType) -> Option<i128> {
        let dropped = scale - i32::from(to.scale);
        let max = i32::from(PRECISION_MAX);
        let value = if dropped > 2 * max || self.is_zero() {
            return Some(0);
        } else if dropped > max {
            // All but the first digits go: toward zero first, as half up looks at one digit only.
            let first = u8::try_from(dropped - max).expect("at most 38");
            let (value, _) = self.divided(power_of_ten(first).unsigned_abs());
            Self { negative: self.negative, ..value }
                .divided_half_up(power_of_ten(PRECISION_MAX).unsigned_abs())
        } else if dropped >= 0 {
            let dropped = u8::try_from(dropped).expect("at most 38");
            self.divided_half_up(power_of_ten(dropped).unsigned_abs())
        } else if -dropped > max || self.digits_exceed(PRECISION_MAX) {
            return None;
        } else {
            self.times_power_of_ten(-dropped)
        };
        if value.digits_exceed(to.precision) {
            return None;
        }
        let magnitude = i128::try_from(value.low).expect("at most 38 digits");
        Some(if value.negative { -magnitude } else { magnitude })
    }

    fn compare_magnitude(&self, other: &Self) -> Ordering {
        (self.high, self.low).cmp(&(other.high, other.low))
    }
}

impl PartialOrd for Wide {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wide {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.compare_magnitude(other),
            (true, true) => other.compare_magnitude(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

/// The low and the high half of a · b.
fn widening_mul(a: u128, b: u128) -> (u128, u128) {
    const MASK: u128 = u64::MAX as u128;
    let (a_high, a_low) = (a >> 64, a & MASK);
    let (b_high, b_low) = (b >> 64, b & MASK);
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 64);
    let other = a_low * b_high + (middle & MASK);
    let high = a_high * b_high + (middle >> 64) + (other >> 64);
    ((other << 64) | (low & MASK), high)
}
