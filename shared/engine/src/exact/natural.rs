//! Natural numbers of bounded length on the stack, and correctly rounded quotients and roots.
//!
//! Just what finishing a sum needs: times, minus, and the top bits divided. Rounding is done once,
//! half to even, from 64 leading bits and a sticky bit that says whether anything follows.

/// Digits that are enough for the square of a sum and for n times a sum of squares.
pub(super) const WIDE_DIGITS: usize = 144;
/// Digits that are enough for inline sums of readings of one kind.
pub(super) const NARROW_DIGITS: usize = 24;

/// A natural number in digits of 32 bits. Digit `i` of the number is `digits[i - offset]`; those
/// outside `low..high` are 0.
#[derive(Clone, Debug)]
pub(super) struct Natural<const N: usize> {
    digits: [u32; N],
    offset: usize,
    low: usize,
    high: usize,
    /// Whether a digit did not fit: the number is not to be used.
    overflows: bool,
}

impl<const N: usize> Natural<N> {
    /// Zero, with room for digits from `offset` on.
    pub(super) const fn zero(offset: usize) -> Self {
        Self { digits: [0; N], offset, low: 0, high: 0, overflows: false }
    }

    /// Whether it is not to be used, because it needs more digits.
    pub(super) const fn overflows(&self) -> bool {
        self.overflows
    }

    /// Sets a digit that is still 0.
    pub(super) fn set(&mut self, i: usize, digit: u32) {
        if digit == 0 {
            return;
        }
        match i.checked_sub(self.offset).and_then(|at| self.digits.get_mut(at)) {
            Some(place) => *place = digit,
            None => self.overflows = true,
        }
        self.low = if self.high == 0 { i } else { self.low.min(i) };
        self.high = self.high.max(i + 1);
    }

    fn digit(&self, i: usize) -> u32 {
        let at = i.wrapping_sub(self.offset);
        self.digits.get(at).copied().unwrap_or(0)
    }

    pub(super) const fn is_zero(&self) -> bool {
        self.high == 0
    }

    /// Where the bytes in use begin (least significant first, no zeros at either end), the bytes,
    /// and how many.
    pub(super) fn bytes(&self) -> (usize, impl Iterator<Item = u8> + '_, usize) {
        let (start, end) = if self.is_zero() {
            (0, 0)
        } else {
            let zeros = self.digit(self.low).trailing_zeros() as usize / 8;
            let leading = self.digit(self.high - 1).leading_zeros() as usize / 8;
            (self.low * 4 + zeros, self.high * 4 - leading)
        };
        let bytes = (start..end).map(|at| self.digit(at / 4).to_le_bytes()[at % 4]);
        (start, bytes, end - start)
    }

    /// self · n
    pub(super) fn times(&self, n: u64) -> Self {
        let mut product = Self::zero(self.low);
        let mut carry = 0_u128;
        let mut i = self.low;
        while i < self.high || carry != 0 {
            let sum = u128::from(self.digit(i)) * u128::from(n) + carry;
            product.set(i, low_u32(sum));
            carry = sum >> 32;
            i += 1;
        }
        product.overflows |= self.overflows;
        product
    }

    /// self²
    pub(super) fn square(&self) -> Self {
        let len = self.high - self.low;
        let mut product = Self::zero(2 * self.low);
        product.overflows = self.overflows || 2 * len > N;
        if product.overflows {
            return product;
        }
        for i in 0..len {
            let mut carry = 0_u64;
            for j in 0..len {
                let factors =
                    u64::from(self.digit(self.low + i)) * u64::from(self.digit(self.low + j));
                let sum = factors + u64::from(product.digits[i + j]) + carry;
                product.digits[i + j] = low_u32(u128::from(sum));
                carry = sum >> 32;
            }
            product.digits[i + len] = low_u32(u128::from(carry));
        }
        product.found_bounds()
    }

    /// self − other, or 0 where other is larger.
    pub(super) fn minus(&self, other: &Self) -> Self {
        let mut difference = Self::zero(self.low.min(other.low));
        difference.overflows = self.overflows || other.overflows;
        if difference.overflows || other.is_zero() {
            return if difference.overflows { difference } else { self.clone() };
        }
        let mut borrow = 0_i64;
        for i in self.low.min(other.low)..self.high.max(other.high) {
            let sum = i64::from(self.digit(i)) - i64::from(other.digit(i)) + borrow;
            borrow = sum >> 32;
            difference.set(i, u32::try_from(sum - (borrow << 32)).expect("one digit"));
        }
        if borrow == 0 || difference.overflows { difference } else { Self::zero(0) }
    }

    fn found_bounds(mut self) -> Self {
        self.low = self.digits.iter().position(|d| *d != 0).map_or(0, |at| self.offset + at);
        self.high = self.digits.iter().rposition(|d| *d != 0).map_or(0, |at| self.offset + at + 1);
        self
    }

    /// The leading 256 bits (most significant word first, top bit set), the weight of their last
    /// bit as a power of two, and whether anything follows. The number is not 0.
    fn leading(&self) -> ([u64; 4], i32, bool) {
        let shift = self.digit(self.high - 1).leading_zeros();
        let mut words = [0_u64; 4];
        let digit = |k: usize| self.high.checked_sub(k + 1).map_or(0, |i| self.digit(i));
        for (w, word) in words.iter_mut().enumerate() {
            let high = u128::from(digit(2 * w)) << 64;
            let mid = u128::from(digit(2 * w + 1)) << 32;
            let all = (high | mid | u128::from(digit(2 * w + 2))) << shift;
            *word = low_u64(all >> 32);
        }
        let below = u64::from(digit(8)) << shift;
        let sticky = low_u32(u128::from(below)) != 0 || self.high > self.low + 9;
        let bits = i32::try_from(self.high * 32).expect("few digits");
        let shift = i32::try_from(shift).expect("below 32");
        (words, bits - shift - 256, sticky)
    }
}

impl<const N: usize> PartialEq for Natural<N> {
    fn eq(&self, other: &Self) -> bool {
        let bounds = (self.low, self.high) == (other.low, other.high);
        bounds && (self.low..self.high).all(|i| self.digit(i) == other.digit(i))
    }
}

/// number · 2^exponent ÷ divisor, correctly rounded.
pub(super) fn quotient<const N: usize>(number: &Natural<N>, exponent: i32, divisor: u128) -> f64 {
    if number.is_zero() {
        return 0.0;
    }
    let (bits, weight, sticky) = leading_quotient(number, divisor);
    let sticky = sticky || low_u64(bits) != 0;
    compose(low_u64(bits >> 64), weight + exponent + 64, sticky)
}

/// The square root of number · 2^exponent ÷ divisor, correctly rounded.
pub(super) fn quotient_root<const N: usize>(
    number: &Natural<N>,
    exponent: i32,
    divisor: u128,
) -> f64 {
    if number.is_zero() {
        return 0.0;
    }
    let (mut bits, weight, mut sticky) = leading_quotient(number, divisor);
    let mut weight = weight + exponent;
    if weight % 2 != 0 {
        sticky |= bits % 2 != 0;
        bits >>= 1;
        weight += 1;
    }
    let root = bits.isqrt();
    compose(low_u64(root), weight / 2, sticky || root * root != bits)
}

/// −x where asked for; zero stays +0.0.
pub(super) fn signed(x: f64, negative: bool) -> f64 {
    if negative && x != 0.0 { -x } else { x }
}

/// The leading 128 bits of number ÷ divisor (top bit set), the weight of the last one, sticky.
fn leading_quotient<const N: usize>(number: &Natural<N>, divisor: u128) -> (u128, i32, bool) {
    let (words, weight, sticky) = number.leading();
    let (quotient, remainder) = match u64::try_from(divisor) {
        Ok(1) => (words, 0),
        Ok(small) => divide_by_word(words, small),
        Err(_) => divide_by_double_word(words, divisor),
    };
    let sticky = sticky || remainder != 0;
    let skip = quotient.iter().take_while(|word| **word == 0).count();
    let word = |i: usize| u128::from(quotient.get(skip + i).copied().unwrap_or(0));
    let shift = quotient[skip].leading_zeros();
    let high = word(0) << 64 | word(1);
    let spill = if shift == 0 { 0 } else { word(2) >> (64 - shift) };
    let rest_first = low_u64(word(2) << shift);
    let rest = rest_first != 0 || word(3) != 0;
    let kept = i32::try_from(64 * skip).expect("small") + i32::try_from(shift).expect("small");
    (high << shift | spill, weight + 128 - kept, sticky || rest)
}

fn divide_by_word(words: [u64; 4], divisor: u64) -> ([u64; 4], u128) {
    let mut remainder = 0_u128;
    let quotient = words.map(|word| {
        let part = remainder << 64 | u128::from(word);
        remainder = part % u128::from(divisor);
        low_u64(part / u128::from(divisor))
    });
    (quotient, remainder)
}

/// Bit by bit: only groups of more than 4 billion values come here.
fn divide_by_double_word(words: [u64; 4], divisor: u128) -> ([u64; 4], u128) {
    let mut remainder = 0_u128;
    let quotient = words.map(|word| {
        let mut digit = 0_u64;
        for bit in (0..64).rev() {
            let overflow = remainder >> 127 != 0;
            remainder = remainder << 1 | u128::from(word >> bit & 1);
            digit <<= 1;
            if overflow || remainder >= divisor {
                remainder = remainder.wrapping_sub(divisor);
                digit |= 1;
            }
        }
        digit
    });
    (quotient, remainder)
}

/// mantissa · 2^exponent (plus something smaller than its last bit, if sticky), rounded half to
/// even. A sticky mantissa has its top bit or the next one set.
fn compose(mantissa: u64, exponent: i32, sticky: bool) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let shift = mantissa.leading_zeros();
    let mantissa = u128::from(mantissa << shift);
    let magnitude = exponent - i32::try_from(shift).expect("below 64") + 63;
    if magnitude > 1023 {
        return f64::INFINITY;
    }
    let below_normal = (-1022 - magnitude).max(0);
    let dropped = 11 + below_normal;
    if dropped > 64 {
        return 0.0;
    }
    let kept = low_u64(mantissa >> dropped);
    let rest = mantissa & ((1_u128 << dropped) - 1);
    let half = 1_u128 << (dropped - 1);
    let up = rest > half || (rest == half && (sticky || kept % 2 == 1));
    // A carry out of the fraction raises the exponent field, up to the pattern of infinity.
    let exponent_field = u64::try_from(magnitude + 1022).unwrap_or(0);
    let field = if below_normal > 0 { 0 } else { exponent_field << 52 };
    f64::from_bits(field + kept + u64::from(up))
}

#[expect(clippy::cast_possible_truncation, reason = "the low word is what is asked for")]
const fn low_u64(x: u128) -> u64 {
    x as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the low digit is what is asked for")]
const fn low_u32(x: u128) -> u32 {
    x as u32
}
