//! Exact sums of doubles that merge bit for bit.
//!
//! [`ExactSum`] holds the sum of any number of doubles without rounding, as one wide integer in
//! units of 2^-1074. [`ExactMoments`] adds the count and the sum of squares. Adding and merging
//! are integer additions: they are associative and commutative, so a sum does not depend on how
//! readings were split over gateways or in which order they came. Only reading a result rounds,
//! once, half to even.
//!
//! Guarantees: equal sums encode to equal bytes; `decode` never panics; NaN and infinities are
//! counted, so that they can be retracted too; −0.0 does not exist here (an empty sum is +0.0).
//!
//! It does not count the values of an [`ExactSum`] and knows no NULL: that is the aggregate's job.

use alloc::boxed::Box;
use alloc::vec::Vec;

use accumulator::Accumulator;
use natural::{NARROW_DIGITS, Natural, WIDE_DIGITS};

mod accumulator;
mod encoding;
mod moments;
mod natural;
#[cfg(test)]
mod tests;
mod word;

pub use moments::ExactMoments;

/// Largest number of bytes that [`ExactSum::encode`] writes.
pub const SUM_ENCODED_BYTES_MAX: usize = 320;

/// How many NaN and infinities are in a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Specials {
    nan: u64,
    plus_infinity: u64,
    minus_infinity: u64,
}

impl Specials {
    fn counter(&mut self, x: f64) -> &mut u64 {
        if x.is_nan() {
            &mut self.nan
        } else if x > 0.0 {
            &mut self.plus_infinity
        } else {
            &mut self.minus_infinity
        }
    }
}

/// The exact sum of doubles; see the module.
///
/// Six inline limbs hold about 160 bits of range between the smallest and the largest reading;
/// only a stream that needs more allocates the full range (560 bytes), and keeps it.
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    finite: Accumulator<6, 70>,
    specials: Option<Box<Specials>>,
}

impl ExactSum {
    /// The empty sum.
    #[must_use]
    pub const fn new() -> Self {
        Self { finite: Accumulator::new(), specials: None }
    }

    /// Adds one value.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if !self.finite.add_f64(x) {
            self.count_special(x, 1);
        }
    }

    /// Counts NaN and infinities; one less is 2^64 - 1 more.
    #[cold]
    fn count_special(&mut self, x: f64, more: u64) {
        let specials = self.specials.get_or_insert_default();
        let counter = specials.counter(x);
        *counter = counter.wrapping_add(more);
    }

    /// Takes one value away that was added before, here or in a merged part.
    #[inline]
    pub fn sub(&mut self, x: f64) {
        if !self.finite.add_f64(-x) {
            self.count_special(x, u64::MAX);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.finite.merge(&other.finite);
        if let Some(theirs) = &other.specials {
            let ours = self.specials.get_or_insert_default();
            ours.nan = ours.nan.wrapping_add(theirs.nan);
            ours.plus_infinity = ours.plus_infinity.wrapping_add(theirs.plus_infinity);
            ours.minus_infinity = ours.minus_infinity.wrapping_add(theirs.minus_infinity);
        }
    }

    /// Back to the empty sum. Memory of a spilled sum is freed.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// The sum, correctly rounded (half to even); beyond the range of a double ±Infinity.
    #[must_use]
    #[inline]
    pub fn value(&self) -> f64 {
        self.divided(1)
    }

    /// The sum divided by `n`, rounded once; NaN when `n` is 0.
    #[must_use]
    pub fn mean(&self, n: u64) -> f64 {
        if n == 0 { f64::NAN } else { self.divided(n) }
    }

    #[inline]
    fn divided(&self, n: u64) -> f64 {
        if self.specials.is_none()
            && let Some((word, position)) = self.finite.unsettled_word()
            && let Some(quotient) = word::quotient(word, position, n)
        {
            return quotient;
        }
        self.divided_wide(n)
    }

    /// The same for sums of any width, and with NaN and infinities.
    #[inline(never)]
    fn divided_wide(&self, n: u64) -> f64 {
        if let Some(special) = self.special_value() {
            return special;
        }
        if let Some((word, position)) = self.finite.word()
            && let Some(quotient) = word::quotient(word, position, n)
        {
            return quotient;
        }
        let narrow = self.finite.magnitude::<NARROW_DIGITS>();
        if narrow.0.overflows() {
            quotient(&self.finite.magnitude::<WIDE_DIGITS>(), n)
        } else {
            quotient(&narrow, n)
        }
    }

    /// Whether the sum is the exact zero (also: nothing was added).
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.counts() == Specials::default() && self.magnitude().0.is_zero()
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.finite.heap_bytes() + self.specials.as_ref().map_or(0, |_| size_of::<Specials>())
    }

    /// Appends the compact, canonical form (at most [`SUM_ENCODED_BYTES_MAX`] bytes).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let counts = self.counts();
        let special = counts != Specials::default();
        encoding::write_accumulator(out, &self.finite, special);
        if special {
            for count in [counts.nan, counts.plus_infinity, counts.minus_infinity] {
                encoding::write_varint(out, count);
            }
        }
    }

    /// Reads what `encode` wrote: the sum and how many bytes it took. None for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut input = encoding::Input::new(bytes);
        let integer = input.integer()?;
        let mut sum = Self { finite: Accumulator::from_integer(&integer)?, specials: None };
        if integer.special {
            let nan = input.varint()?;
            let plus_infinity = input.varint()?;
            let minus_infinity = input.varint()?;
            let specials = Specials { nan, plus_infinity, minus_infinity };
            if specials == Specials::default() {
                return None;
            }
            sum.specials = Some(Box::new(specials));
        }
        Some((sum, input.used()))
    }

    fn counts(&self) -> Specials {
        self.specials.as_deref().copied().unwrap_or_default()
    }

    fn special_value(&self) -> Option<f64> {
        let counts = self.specials.as_deref()?;
        match (counts.nan != 0, counts.plus_infinity != 0, counts.minus_infinity != 0) {
            (false, false, false) => None,
            (false, true, false) => Some(f64::INFINITY),
            (false, false, true) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    fn magnitude(&self) -> (Natural<WIDE_DIGITS>, bool) {
        self.finite.magnitude()
    }
}

fn quotient<const N: usize>(value: &(Natural<N>, bool), n: u64) -> f64 {
    natural::signed(natural::quotient(&value.0, UNIT_EXPONENT, u128::from(n)), value.1)
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.counts() == other.counts() && self.magnitude() == other.magnitude()
    }
}

/// An accumulator's unit is 2^UNIT_EXPONENT, the smallest subnormal double.
const UNIT_EXPONENT: i32 = -1074;

const _: () = assert!(size_of::<ExactSum>() <= 72);
