//! Count, exact sum and exact sum of squares: mean, variance and standard deviation.

use alloc::vec::Vec;

use super::accumulator::Accumulator;
use super::natural::{NARROW_DIGITS, Natural, WIDE_DIGITS, quotient, quotient_root};
use super::{ExactSum, UNIT_EXPONENT, encoding};

/// n, Σx and Σx², all exact.
///
/// Variances come from the integer n·Σx² − (Σx)², divided and rounded once: there is no
/// cancellation, and equal values have variance 0. A NaN or an infinity among the values makes the
/// variance NaN.
#[derive(Clone, Debug, Default)]
pub struct ExactMoments {
    n: u64,
    sum: ExactSum,
    squares: Accumulator<8, 140>,
}

impl ExactMoments {
    /// No values.
    #[must_use]
    pub const fn new() -> Self {
        Self { n: 0, sum: ExactSum::new(), squares: Accumulator::new() }
    }

    /// Adds one value.
    #[inline]
    pub fn add(&mut self, x: f64) {
        self.n = self.n.wrapping_add(1);
        self.sum.add(x);
        // Values that are not finite have no square here; the sum has counted them.
        self.squares.add_square(x, false);
    }

    /// Takes one value away that was added before, here or in a merged part.
    #[inline]
    pub fn sub(&mut self, x: f64) {
        self.n = self.n.wrapping_sub(1);
        self.sum.sub(x);
        self.squares.add_square(x, true);
    }

    /// Adds another group's values.
    pub fn merge(&mut self, other: &Self) {
        self.n = self.n.wrapping_add(other.n);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// Back to no values.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// How many values.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// Their sum.
    #[must_use]
    pub const fn sum(&self) -> &ExactSum {
        &self.sum
    }

    /// Their mean, rounded once; None without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum.mean(self.n))
    }

    /// Population variance; None without values.
    #[must_use]
    pub fn var_pop(&self) -> Option<f64> {
        self.finish(0, quotient, quotient)
    }

    /// Sample variance; None with fewer than two values.
    #[must_use]
    pub fn var_samp(&self) -> Option<f64> {
        self.finish(1, quotient, quotient)
    }

    /// Population standard deviation; None without values.
    #[must_use]
    pub fn stddev_pop(&self) -> Option<f64> {
        self.finish(0, quotient_root, quotient_root)
    }

    /// Sample standard deviation; None with fewer than two values.
    #[must_use]
    pub fn stddev_samp(&self) -> Option<f64> {
        self.finish(1, quotient_root, quotient_root)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.sum.heap_bytes() + self.squares.heap_bytes()
    }

    /// Appends the compact, canonical form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encoding::write_varint(out, self.n);
        self.sum.encode(out);
        encoding::write_accumulator(out, &self.squares, false);
    }

    /// Reads what `encode` wrote: the moments and how many bytes they took.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut input = encoding::Input::new(bytes);
        let n = input.varint()?;
        let start = input.used();
        let (sum, sum_len) = ExactSum::decode(&bytes[start..])?;
        let rest = &bytes[start + sum_len..];
        let mut input = encoding::Input::new(rest);
        let integer = input.integer()?;
        if integer.special {
            return None;
        }
        let squares = Accumulator::from_integer(&integer)?;
        Some((Self { n, sum, squares }, start + sum_len + input.used()))
    }

    /// Divides n·Σx² − (Σx)², in few digits where that is enough.
    fn finish(
        &self,
        fewer: u64,
        narrow: Divide<NARROW_DIGITS>,
        wide: Divide<WIDE_DIGITS>,
    ) -> Option<f64> {
        if self.n <= fewer {
            return None;
        }
        if self.sum.special_value().is_some() {
            return Some(f64::NAN);
        }
        let divisor = u128::from(self.n) * u128::from(self.n - fewer);
        let spread = self.spread();
        Some(if spread.overflows() {
            wide(&self.spread(), 2 * UNIT_EXPONENT, divisor)
        } else {
            narrow(&spread, 2 * UNIT_EXPONENT, divisor)
        })
    }

    /// n·Σx² − (Σx)²
    fn spread<const N: usize>(&self) -> Natural<N> {
        let squares = self.squares.magnitude::<N>().0.times(self.n);
        squares.minus(&self.sum.finite.magnitude::<N>().0.square())
    }
}

type Divide<const N: usize> = fn(&Natural<N>, i32, u128) -> f64;
