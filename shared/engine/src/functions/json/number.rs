//! JSON numbers as text: whole ones as they are, others as Java's `BigDecimal` writes them.

use core::cmp::Ordering;
use core::fmt::{self, Write};

/// Digits that a number keeps; Jackson refuses longer ones.
const DIGITS_MAX: usize = 1000;
const EXPONENT_MAX: i64 = 1_000_000_000;

/// A number taken apart.
pub(super) struct Plain {
    negative: bool,
    digits: heapless::Vec<u8, DIGITS_MAX>,
    /// Digits after the point; negative for zeros before it.
    scale: i64,
}

impl Plain {
    /// Takes a checked number apart; digits beyond the limit are dropped.
    pub(super) fn of(number: &[u8]) -> Self {
        let (mut scale, mut after_point) = (0, false);
        let mut digits = heapless::Vec::new();
        let mut rest = number.iter();
        let negative = number.first() == Some(&b'-');
        for byte in rest.by_ref() {
            match byte {
                b'.' => after_point = true,
                b'e' | b'E' => break,
                b'-' => {}
                digit => {
                    let leads = digits.is_empty() && *digit == b'0';
                    let kept = leads || digits.push(*digit).is_ok();
                    scale += i64::from(after_point && kept);
                }
            }
        }
        let exponent = core::str::from_utf8(rest.as_slice()).unwrap_or("");
        let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
        let exponent = exponent.parse::<i64>().unwrap_or(0).clamp(-EXPONENT_MAX, EXPONENT_MAX);
        if digits.is_empty() {
            digits.push(b'0').expect("room for one digit");
        }
        Self { negative, digits, scale: scale - exponent }
    }

    /// By value, whatever the digits after the point.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match number.digits.iter().all(|digit| *digit == b'0') {
            true => 0,
            false if number.negative => -1,
            false => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign.is_ne() || sign(self) == 0 {
            return by_sign;
        }
        let before_point = |n: &Self| i64::try_from(n.digits.len()).unwrap_or(0) - n.scale;
        let digit = |n: &Self, i: usize| n.digits.get(i).copied().unwrap_or(b'0');
        let count = self.digits.len().max(other.digits.len());
        let size = before_point(self).cmp(&before_point(other)).then_with(|| {
            let digits = (0..count).map(|i| digit(self, i).cmp(&digit(other, i)));
            digits.fold(Ordering::Equal, Ordering::then)
        });
        if self.negative { size.reverse() } else { size }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> fmt::Result {
        let digits = core::str::from_utf8(&self.digits).unwrap_or("0");
        let count = i64::try_from(digits.len()).unwrap_or(1);
        let adjusted = count - 1 - self.scale;
        if self.negative && digits != "0" {
            out.write_str("-")?;
        }
        if self.scale == 0 {
            return out.write_str(digits);
        }
        if self.scale > 0 && adjusted >= -6 {
            let whole = usize::try_from(count - self.scale).unwrap_or(0);
            out.write_str(if whole == 0 { "0" } else { &digits[..whole] })?;
            out.write_str(".")?;
            (count..self.scale).try_for_each(|_| out.write_str("0"))?;
            return out.write_str(&digits[whole..]);
        }
        out.write_str(&digits[..1])?;
        if count > 1 {
            out.write_str(".")?;
            out.write_str(&digits[1..])?;
        }
        if adjusted == 0 { Ok(()) } else { write!(out, "E{adjusted:+}") }
    }
}
