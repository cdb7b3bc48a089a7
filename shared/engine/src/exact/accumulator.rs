//! A wide signed integer, sparse: a window of `SMALL` limbs inline, or all `WIDE` on the heap.
//!
//! Limbs have radix 2^32 in `i64`: an addition touches its limbs only and leaves carries standing
//! (carry-save); they are settled after 65,535 additions at the latest. Settled digits lie in
//! −2^31..2^31: that form is unique, and does not fill upper digits with ones for small negative
//! numbers as two's complement would.

use alloc::boxed::Box;

use super::encoding::Integer;
use super::natural::Natural;

/// Inline limbs and one for their carry, whatever `SMALL` is.
const INLINE_DIGITS: usize = 10;

const DIGIT_BITS: usize = 32;
/// Settled digits that fit an `i128`, with a bit to spare.
const WORD_DIGITS: usize = 3;
const DIGIT_HALF: i64 = 1 << 31;
const FRACTION_BITS: u32 = 52;
const FRACTION_MASK: u64 = (1 << FRACTION_BITS) - 1;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Accumulator<const SMALL: usize, const WIDE: usize> {
    limbs: [i64; SMALL],
    wide: Option<Box<[i64; WIDE]>>,
    /// Additions since the digits were settled.
    pending: u16,
    /// Index of `limbs[0]` among all limbs. Meaningless when `wide` is there.
    base: u8,
    /// Whether `base` has been chosen.
    placed: bool,
}

impl<const SMALL: usize, const WIDE: usize> Accumulator<SMALL, WIDE> {
    pub(super) const fn new() -> Self {
        Self { limbs: [0; SMALL], wide: None, pending: 0, base: 0, placed: false }
    }

    /// Adds `x` in units of 2^-1074; false (and nothing added) when it is not finite.
    #[inline]
    pub(super) fn add_f64(&mut self, x: f64) -> bool {
        let Some((mantissa, position)) = parts(x) else { return false };
        // Zero has the lowest position: it would stretch the window over all limbs.
        if mantissa == 0 {
            return true;
        }
        let spread = u128::from(mantissa) << (position % DIGIT_BITS);
        let digits = [low_digit(spread), low_digit(spread >> 32), low_digit(spread >> 64)];
        self.add_digits(digits, position / DIGIT_BITS, x.is_sign_negative());
        true
    }

    /// Adds or takes away `x`² in units of 2^-2148; false when `x` is not finite.
    #[inline]
    pub(super) fn add_square(&mut self, x: f64, negative: bool) -> bool {
        let Some((mantissa, position)) = parts(x) else { return false };
        if mantissa == 0 {
            return true;
        }
        let square = u128::from(mantissa) * u128::from(mantissa);
        let position = 2 * position;
        let shift = position % DIGIT_BITS;
        let low = (square & u128::from(u64::MAX)) << shift;
        let high = ((square >> 64) << shift) + (low >> 64);
        let digits = [
            low_digit(low),
            low_digit(low >> 32),
            low_digit(high),
            low_digit(high >> 32),
            low_digit(high >> 64),
        ];
        self.add_digits(digits, position / DIGIT_BITS, negative);
        true
    }

    #[inline]
    fn add_digits<const K: usize>(&mut self, digits: [i64; K], index: usize, negative: bool) {
        let sign = -i64::from(negative);
        // Nearly always the window is where the digits belong.
        let offset = index.wrapping_sub(usize::from(self.base));
        let is_there = self.placed && self.wide.is_none() && offset <= SMALL - K;
        if is_there && self.pending < u16::MAX {
            self.pending += 1;
            for (limb, digit) in self.limbs[offset..offset + K].iter_mut().zip(digits) {
                *limb += (digit ^ sign) - sign;
            }
            return;
        }
        let signed = digits.map(|digit| (digit ^ sign) - sign);
        self.add_anywhere(&signed, index);
    }

    #[cold]
    fn add_anywhere(&mut self, digits: &[i64], index: usize) {
        if self.pending == u16::MAX {
            self.settle();
        }
        self.pending += 1;
        let window = self.window(index, digits.len());
        for (limb, digit) in window.iter_mut().zip(digits) {
            *limb += digit;
        }
    }

    /// The `len` limbs from `index` on, after making room for them.
    #[inline]
    fn window(&mut self, index: usize, len: usize) -> &mut [i64] {
        if self.wide.is_none() {
            let offset = index.wrapping_sub(usize::from(self.base));
            if !self.placed && len <= SMALL {
                self.place(index, index + len);
            } else if offset > SMALL - len {
                self.make_room(index, len);
            }
        }
        match &mut self.wide {
            Some(wide) => &mut wide[index..index + len],
            None => {
                let offset = index - usize::from(self.base);
                &mut self.limbs[offset..offset + len]
            }
        }
    }

    /// Moves the window so that it covers the digits in use and `index..index + len`, or spills.
    #[cold]
    fn make_room(&mut self, index: usize, len: usize) {
        let (digits, low, high) = self.settled();
        let (low, high) = if low == high {
            (index, index + len)
        } else {
            (low.min(index), high.max(index + len))
        };
        if high - low > SMALL {
            self.wide = Some(Box::new(digits));
            self.limbs = [0; SMALL];
        } else {
            self.place(low, high);
            let base = usize::from(self.base);
            self.limbs = [0; SMALL];
            let end = (base + SMALL).min(WIDE);
            self.limbs[..end - base].copy_from_slice(&digits[base..end]);
        }
        self.pending = 0;
    }

    /// Sets the window for digits in `low..high`: one limb of slack below, the rest above, as sums
    /// grow.
    fn place(&mut self, low: usize, high: usize) {
        let base = low - usize::from(high - low < SMALL && low > 0);
        self.base = u8::try_from(base).expect("fewer than 256 limbs");
        self.placed = true;
    }

    fn settle(&mut self) {
        let (digits, low, high) = self.settled();
        self.pending = 0;
        if let Some(wide) = &mut self.wide {
            **wide = digits;
        } else if high > low {
            self.make_room(low, high - low);
        } else {
            self.limbs = [0; SMALL];
        }
    }

    /// All digits in −2^31..2^31, and the range `low..high` outside of which all are 0.
    fn settled(&self) -> ([i64; WIDE], usize, usize) {
        let mut digits = [0_i64; WIDE];
        let (from, to) = match &self.wide {
            Some(wide) => {
                digits = **wide;
                (0, WIDE)
            }
            None => {
                let from = usize::from(self.base);
                let to = (from + SMALL).min(WIDE);
                digits[from..to].copy_from_slice(&self.limbs[..to - from]);
                (from, to)
            }
        };
        let mut carry = 0_i64;
        let mut range = (0, 0);
        for (i, digit) in digits.iter_mut().enumerate().skip(from) {
            if i >= to && carry == 0 {
                break;
            }
            let sum = *digit + carry;
            carry = (sum + DIGIT_HALF) >> DIGIT_BITS;
            *digit = sum - (carry << DIGIT_BITS);
            if *digit != 0 {
                range = (if range.1 == 0 { i } else { range.0 }, i + 1);
            }
        }
        (digits, range.0, range.1)
    }

    /// The settled digits of the inline form, from `base` on, and the range that is in use.
    fn inline(&self) -> ([i64; INLINE_DIGITS], usize, usize) {
        let mut digits = [0_i64; INLINE_DIGITS];
        let (mut carry, mut low, mut high) = (0_i64, 0, 0);
        for (i, digit) in digits.iter_mut().enumerate().take(SMALL + 1) {
            let sum = self.limbs.get(i).copied().unwrap_or(0) + carry;
            carry = (sum + DIGIT_HALF) >> DIGIT_BITS;
            *digit = sum - (carry << DIGIT_BITS);
            if *digit != 0 {
                low = if high == 0 { i } else { low };
                high = i + 1;
            }
        }
        (digits, low, high)
    }

    /// Adds another accumulator.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.wide.is_some() {
            let (digits, low, high) = other.settled();
            self.merge_digits(&digits[low..high], low);
        } else {
            let (digits, low, high) = other.inline();
            self.merge_digits(&digits[low..high], usize::from(other.base) + low);
        }
    }

    fn merge_digits(&mut self, digits: &[i64], index: usize) {
        if digits.is_empty() {
            return;
        }
        if self.pending == u16::MAX {
            self.settle();
        }
        if self.wide.is_none() && digits.len() > SMALL {
            self.make_room(index, digits.len());
        }
        let window = self.window(index, digits.len());
        for (limb, digit) in window.iter_mut().zip(digits) {
            *limb += digit;
        }
        self.pending += 1;
    }

    /// The absolute value, and whether the value is negative. Check that it fits `N` digits.
    pub(super) fn magnitude<const N: usize>(&self) -> (Natural<N>, bool) {
        if self.wide.is_some() {
            let (digits, low, high) = self.settled();
            magnitude_of(&digits[low..high], low)
        } else {
            let (digits, low, high) = self.inline();
            magnitude_of(&digits[low..high], usize::from(self.base) + low)
        }
    }

    /// The value as an integer and the number of its lowest bit, when its digits in use are few.
    pub(super) fn word(&self) -> Option<(i128, usize)> {
        if self.wide.is_some() {
            return None;
        }
        let (digits, low, high) = self.inline();
        if high - low > WORD_DIGITS {
            return None;
        }
        let upwards = digits[low..high].iter().rev();
        let value = upwards.fold(0_i128, |value, digit| (value << DIGIT_BITS) + i128::from(*digit));
        Some((value, (usize::from(self.base) + low) * DIGIT_BITS))
    }

    /// The same while few limbs are in use, with the carries that stand in them: sums of readings
    /// of one kind. A limb is less than 2^48, so that three of them fit.
    #[inline]
    pub(super) fn unsettled_word(&self) -> Option<(i128, usize)> {
        if self.wide.is_some() {
            return None;
        }
        let low = self.limbs.iter().position(|limb| *limb != 0)?;
        let (word, higher) = self.limbs[low..].split_at_checked(WORD_DIGITS)?;
        if higher.iter().any(|limb| *limb != 0) {
            return None;
        }
        let upwards = word.iter().rev();
        let value = upwards.fold(0_i128, |value, limb| (value << DIGIT_BITS) + i128::from(*limb));
        Some((value, (usize::from(self.base) + low) * DIGIT_BITS))
    }

    /// The accumulator that holds a decoded integer; None when it is too wide.
    pub(super) fn from_integer(integer: &Integer<'_>) -> Option<Self> {
        let mut this = Self::new();
        let bytes_max = (WIDE - 1) * size_of::<u32>();
        if integer.bytes.len() + integer.position > bytes_max {
            return None;
        }
        let (mut digit, mut at) = (0, integer.position);
        for byte in integer.bytes {
            digit |= i64::from(*byte) << (8 * (at % 4));
            at += 1;
            if at % 4 == 0 {
                this.add_digits([digit], at / 4 - 1, integer.negative);
                digit = 0;
            }
        }
        if digit != 0 {
            this.add_digits([digit], at / 4, integer.negative);
        }
        Some(this)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.wide.as_ref().map_or(0, |wide| size_of_val(&**wide))
    }
}

impl<const SMALL: usize, const WIDE: usize> Default for Accumulator<SMALL, WIDE> {
    fn default() -> Self {
        Self::new()
    }
}

/// Settled digits, of which the last is not 0, as a magnitude and a sign.
fn magnitude_of<const N: usize>(digits: &[i64], index: usize) -> (Natural<N>, bool) {
    let mut magnitude = Natural::zero(index);
    let negative = digits.last().is_some_and(|digit| *digit < 0);
    let sign = -i64::from(negative);
    let mut borrow = 0_i64;
    for (i, digit) in (index..).zip(digits) {
        let sum = ((digit ^ sign) - sign) + borrow;
        borrow = sum >> DIGIT_BITS;
        magnitude.set(i, u32::try_from(sum - (borrow << DIGIT_BITS)).expect("one digit"));
    }
    (magnitude, negative)
}

/// |x| as mantissa · 2^(position − 1074); None when `x` is not finite.
#[inline]
fn parts(x: f64) -> Option<(u64, usize)> {
    let bits = x.to_bits();
    let exponent = usize::from(u16::try_from((bits >> FRACTION_BITS) & 0x7ff).unwrap_or(0));
    let fraction = bits & FRACTION_MASK;
    match exponent {
        0x7ff => None,
        0 => Some((fraction, 0)),
        _ => Some((fraction | (1 << FRACTION_BITS), exponent - 1)),
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low digit is what is asked for")]
fn low_digit(x: u128) -> i64 {
    i64::from(x as u32)
}
