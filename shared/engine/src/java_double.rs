//! Doubles and floats as text, as Java 19 and later write them (`Double.toString`).
//!
//! The shortest digits that read back as the same number, closest to it among those; plain between
//! 10^-3 and 10^7, else scientific as in `1.0E300`; `NaN`, `Infinity`, `-Infinity`. Nothing is
//! allocated. Reading text is not done here: `str::parse` is correctly rounded.

use core::fmt::{self, Write};

/// Longest text: sign, 17 digits, point, `E-324`.
pub const TEXT_BYTES_MAX: usize = 26;

/// What is written without an exponent.
const PLAIN: core::ops::Range<f64> = 1e-3..1e7;

/// A number's text on the stack.
#[derive(Clone, Copy, Debug)]
pub struct JavaText {
    bytes: [u8; TEXT_BYTES_MAX],
    len: usize,
}

impl JavaText {
    /// The text of a DOUBLE.
    #[must_use]
    pub fn of_f64(x: f64) -> Self {
        // Here ryu's form is Java's: plain, with one digit at least on both sides of the point.
        if PLAIN.contains(&x.abs()) {
            let mut text = Self { bytes: [0; TEXT_BYTES_MAX], len: 0 };
            text.push_str(ryu::Buffer::new().format_finite(x));
            return text;
        }
        Self::of(x.is_sign_negative(), special(x), || Digits::of_f64(x))
    }

    /// The text of a FLOAT.
    #[must_use]
    pub fn of_f32(x: f32) -> Self {
        Self::of(x.is_sign_negative(), special(f64::from(x)), || Digits::of_f32(x))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).expect("ASCII")
    }

    /// The same as bytes, all of them ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn of(negative: bool, special: Option<&str>, digits: impl FnOnce() -> Digits) -> Self {
        let mut text = Self { bytes: [0; TEXT_BYTES_MAX], len: 0 };
        if let Some(special) = special {
            text.push_str(special);
            return text;
        }
        if negative {
            text.push(b'-');
        }
        let digits = digits();
        let mut ascii = [b'0'; 20];
        let ascii = digits.ascii(&mut ascii);
        // The point stands after `whole` digits.
        let whole = digits.exponent + i32::try_from(ascii.len()).expect("few digits");
        match whole {
            1..=7 => text.plain(ascii, usize::try_from(whole).expect("positive")),
            -2..=0 => {
                text.push_str("0.");
                text.zeros(usize::try_from(-whole).expect("positive"));
                text.push_all(ascii);
            }
            _ if digits.mantissa == 0 => text.push_str("0.0"),
            _ => {
                text.plain(ascii, 1);
                text.push(b'E');
                write!(text, "{}", whole - 1).expect("room for three digits");
            }
        }
        text
    }

    /// Digits with the point after `whole` of them, and at least one digit after it.
    fn plain(&mut self, ascii: &[u8], whole: usize) {
        let (before, after) = ascii.split_at(whole.min(ascii.len()));
        self.push_all(before);
        self.zeros(whole - before.len());
        self.push(b'.');
        self.push_all(if after.is_empty() { b"0" } else { after });
    }

    fn zeros(&mut self, count: usize) {
        (0..count).for_each(|_| self.push(b'0'));
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push_all(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_str(&mut self, text: &str) {
        self.push_all(text.as_bytes());
    }
}

impl Write for JavaText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.len + text.len() > TEXT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.push_str(text);
        Ok(())
    }
}

/// The shortest decimal of a finite number's absolute value: mantissa · 10^exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    /// At most 17 digits, without zeros at the end; 0 for zero.
    pub mantissa: u64,
    /// Power of ten of the last digit.
    pub exponent: i32,
}

impl Digits {
    /// The digits of a finite DOUBLE.
    #[must_use]
    pub fn of_f64(x: f64) -> Self {
        let digits = Self::read(ryu::Buffer::new().format_finite(x.abs()));
        let is_subnormal = x.abs() < f64::MIN_POSITIVE;
        digits.with_two_digits(
            is_subnormal,
            x.to_bits() & (u64::MAX >> 1),
            4_940_656_458_412_465_442,
        )
    }

    /// The digits of a finite FLOAT.
    #[must_use]
    pub fn of_f32(x: f32) -> Self {
        let digits = Self::read(ryu::Buffer::new().format_finite(x.abs()));
        let is_subnormal = x.abs() < f32::MIN_POSITIVE;
        let units = u64::from(x.to_bits() & (u32::MAX >> 1));
        digits.with_two_digits(is_subnormal, units, 1_401_298_464_324_817_071)
    }

    /// Reads ryu's form, which is `1.5`, `0.001`, `1e16` or `1.5e-7`.
    fn read(text: &str) -> Self {
        let mut digits = Self { mantissa: 0, exponent: 0 };
        let mut bytes = text.bytes();
        let mut after_point = false;
        for byte in bytes.by_ref() {
            match byte {
                b'.' => after_point = true,
                b'e' => break,
                _ => {
                    digits.mantissa = digits.mantissa * 10 + u64::from(byte - b'0');
                    digits.exponent -= i32::from(after_point);
                }
            }
        }
        let mut power = 0_i32;
        let mut negative = false;
        for byte in bytes {
            match byte {
                b'-' => negative = true,
                _ => power = power * 10 + i32::from(byte - b'0'),
            }
        }
        digits.exponent += if negative { -power } else { power };
        while digits.mantissa != 0 && digits.mantissa.is_multiple_of(10) {
            digits.mantissa /= 10;
            digits.exponent += 1;
        }
        digits
    }

    /// Java writes two digits at least, and takes the closest two where one would do. That differs
    /// for numbers of few units in the last place: 4.9E-324, not 5.0E-324.
    fn with_two_digits(self, is_subnormal: bool, units: u64, unit: u64) -> Self {
        if !is_subnormal || self.mantissa == 0 || self.mantissa > 9 {
            return self;
        }
        let mut value = u128::from(units) * u128::from(unit);
        while value >= 1000 {
            value /= 10;
        }
        let two = u64::try_from((value + 5) / 10).expect("three digits");
        match two {
            100 => Self { mantissa: 1, ..self },
            _ if two % 10 == 0 => Self { mantissa: two / 10, ..self },
            // 9.9 in place of 10 has its first digit one place further down.
            _ if two / 10 == 9 && self.mantissa == 1 => {
                Self { mantissa: two, exponent: self.exponent - 2 }
            }
            _ => Self { mantissa: two, exponent: self.exponent - 1 },
        }
    }

    fn ascii<'a>(&self, buffer: &'a mut [u8; 20]) -> &'a [u8] {
        let mut start = buffer.len();
        let mut rest = self.mantissa;
        while rest != 0 {
            start -= 1;
            buffer[start] = b'0' + u8::try_from(rest % 10).expect("one digit");
            rest /= 10;
        }
        &buffer[start..]
    }
}

/// Writes a DOUBLE.
///
/// # Errors
/// Those of `out`.
pub fn write_f64(out: &mut (impl Write + ?Sized), x: f64) -> fmt::Result {
    out.write_str(JavaText::of_f64(x).as_str())
}

/// Writes a FLOAT.
///
/// # Errors
/// Those of `out`.
pub fn write_f32(out: &mut (impl Write + ?Sized), x: f32) -> fmt::Result {
    out.write_str(JavaText::of_f32(x).as_str())
}

fn special(x: f64) -> Option<&'static str> {
    match x {
        _ if x.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_java_writes_doubles() {
        for (x, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (0.00123, "0.00123"),
            (0.000_999, "9.99E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (2_147_483_647.0, "2.147483647E9"),
            (1e300, "1.0E300"),
            (2e-3, "0.002"),
            (1e23, "1.0E23"),
            (2.0_f64.powi(-44), "5.684341886080802E-14"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::from_bits(2), "9.9E-324"),
            (f64::from_bits(3), "1.5E-323"),
            (f64::from_bits(4), "2.0E-323"),
            (f64::from_bits(20), "9.9E-323"),
            (f64::from_bits(202), "1.0E-321"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(JavaText::of_f64(x).as_str(), text);
        }
    }

    #[test]
    fn as_java_writes_floats() {
        for (x, text) in [
            (0.1_f32, "0.1"),
            (3.4e38, "3.4E38"),
            (1.0e10, "1.0E10"),
            (f32::from_bits(1), "1.4E-45"),
            (f32::from_bits(2), "2.8E-45"),
            (16_777_216.0, "1.6777216E7"),
        ] {
            assert_eq!(JavaText::of_f32(x).as_str(), text);
        }
    }

    fn without_files() -> ProptestConfig {
        ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(without_files())]

        #[test]
        fn reads_back(bits in any::<u64>()) {
            let x = f64::from_bits(bits);
            let text = JavaText::of_f64(x);
            let back: f64 = text.as_str().parse().unwrap();
            prop_assert!(back.to_bits() == bits || x.is_nan());
        }

        #[test]
        fn small_ones_read_back(bits in 0_u64..5000) {
            let x = f64::from_bits(bits);
            prop_assert_eq!(JavaText::of_f64(x).as_str().parse::<f64>().unwrap(), x);
        }

        #[test]
        fn floats_read_back(bits in any::<u32>()) {
            let x = f32::from_bits(bits);
            let text = JavaText::of_f32(x);
            let back: f32 = text.as_str().parse().unwrap();
            prop_assert!(back.to_bits() == bits || x.is_nan());
        }
    }
}
