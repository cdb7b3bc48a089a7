//! Decimals from and to text.

use super::wide::Wide;
use super::{DecimalType, PRECISION_MAX};

/// Longest text: sign, `0.`, 38 digits.
pub const TEXT_BYTES_MAX: usize = 42;

/// Digits beyond this many before and after the leading ones cannot matter.
const KEPT_DIGITS_MAX: u32 = 75;
const EXPONENT_MAX: i32 = 1_000_000;

/// A number read from text, before it has a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JavaNumber {
    value: Wide,
    scale: i32,
}

impl JavaNumber {
    /// The number in a type, rounded half up.
    #[must_use]
    pub fn into_type(self, to: DecimalType) -> Option<i128> {
        self.value.rescale(self.scale, to)
    }
}

/// Reads a number as Java's `BigDecimal` does (`-12`, `+.5`, `1.`, `12e-3`). None when it is not
/// one.
#[must_use]
pub fn parse_number(text: &str) -> Option<JavaNumber> {
    let (negative, unsigned) = sign(text.as_bytes());
    let mut value = Wide::of_magnitude(0);
    let (mut kept, mut scale, mut digits, mut after_point) = (0, 0_i32, 0, false);
    let mut bytes = unsigned.iter();
    let mut exponent = 0;
    for byte in bytes.by_ref() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                let digit = i128::from(byte - b'0');
                if kept < KEPT_DIGITS_MAX {
                    value = value.times(10).plus(Wide::of(digit));
                    kept += u32::from(kept > 0 || digit != 0);
                    scale += i32::from(after_point);
                } else {
                    scale -= i32::from(!after_point);
                }
            }
            b'.' if !after_point => after_point = true,
            b'e' | b'E' => {
                exponent = parse_exponent(bytes.as_slice())?;
                break;
            }
            _ => return None,
        }
    }
    let scale = scale.saturating_sub(exponent);
    (digits > 0).then(|| JavaNumber { value: value.negated_if(negative), scale })
}

/// Reads a number into a type, rounded half up. None when it is no number or does not fit.
/// Spaces, tabs and line ends around it are ignored, as Flink's CAST does.
#[must_use]
pub fn parse(text: &str, to: DecimalType) -> Option<i128> {
    parse_number(text.trim_matches([' ', '\t', '\n', '\r']))?.into_type(to)
}

/// The plain text of a number, as `BigDecimal.toPlainString`.
pub fn write(unscaled: i128, scale: u8, buffer: &mut [u8; TEXT_BYTES_MAX]) -> &str {
    let mut start = TEXT_BYTES_MAX;
    let mut rest = unscaled.unsigned_abs();
    let mut written = 0;
    while rest != 0 || written <= scale {
        if written == scale && scale > 0 {
            start -= 1;
            buffer[start] = b'.';
        }
        start -= 1;
        buffer[start] = b'0' + u8::try_from(rest % 10).expect("one digit");
        rest /= 10;
        written += 1;
    }
    if unscaled < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    core::str::from_utf8(&buffer[start..]).expect("ASCII")
}

/// Correctly rounded, through the text that `str::parse` reads.
pub(super) fn to_f64(unscaled: i128, scale: u8) -> f64 {
    let mut buffer = [0; TEXT_BYTES_MAX];
    write(unscaled, scale, &mut buffer).parse().expect("plain decimals are numbers")
}

fn sign(bytes: &[u8]) -> (bool, &[u8]) {
    match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    }
}

fn parse_exponent(bytes: &[u8]) -> Option<i32> {
    let (negative, digits) = sign(bytes);
    if digits.is_empty() {
        return None;
    }
    let mut exponent = 0_i32;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|d| *d <= 9)?;
        exponent = (exponent * 10 + i32::from(digit)).min(EXPONENT_MAX);
    }
    Some(if negative { -exponent } else { exponent })
}

const _: () = assert!(TEXT_BYTES_MAX > PRECISION_MAX as usize + 2);
