//! Numbers from text: JSON's grammar, and what Java's `parseInt` and `parseDouble` accept.
//! Doubles are correctly rounded.

/// A number of JSON, scanned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// Its digits without the point; meaningless when not `exact`.
    mantissa: u64,
    /// Power of ten that the mantissa is to be multiplied by.
    exponent: i32,
    negative: bool,
    /// It has a point or an exponent.
    pub(super) is_float: bool,
    /// The mantissa holds all digits.
    exact: bool,
}

impl<'a> Number<'a> {
    /// Scans the number at the begin of `text`; what follows is not looked at.
    #[inline]
    pub(super) fn scan(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(negative);
        let mut mantissa = 0_u64;
        let mut at = digits(bytes, start, &mut mantissa);
        let whole = at - start;
        if whole == 0 || (whole > 1 && bytes[start] == b'0') {
            return None;
        }
        let mut count = whole;
        let mut exponent = 0_i32;
        let mut is_float = false;
        if bytes.get(at) == Some(&b'.') {
            let end = digits(bytes, at + 1, &mut mantissa);
            let fraction = end - at - 1;
            if fraction == 0 {
                return None;
            }
            exponent = -i32::try_from(fraction).ok()?;
            count += fraction;
            is_float = true;
            at = end;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let (end, power) = power(bytes, at + 1)?;
            exponent = exponent.saturating_add(power);
            is_float = true;
            at = end;
        }
        // 19 digits fit 64 bits; more wrap around and are read from the text when needed.
        let exact = count <= 19;
        Some(Self { text: &text[..at], mantissa, exponent, negative, is_float, exact })
    }

    /// The nearest double.
    #[inline]
    pub(super) fn to_f64(self) -> f64 {
        let power = usize::try_from(self.exponent.unsigned_abs()).unwrap_or(usize::MAX);
        if self.exact && self.mantissa <= 1 << 53 && power < POWERS.len() {
            // Both operands are exact doubles, so one rounding gives the nearest.
            let mantissa = self.mantissa as f64;
            let power = POWERS[power];
            let value = if self.exponent < 0 { mantissa / power } else { mantissa * power };
            return if self.negative { -value } else { value };
        }
        self.text.parse().unwrap_or(f64::NAN)
    }

    /// The whole number within bounds, a fraction cut off; `None` beyond.
    #[inline]
    pub(super) fn to_i64(self, min: i64, max: i64) -> Option<i64> {
        if self.is_float {
            return whole_of(self.to_f64(), min, max);
        }
        if !self.exact {
            return None;
        }
        let value = i128::from(self.mantissa);
        let value = i64::try_from(if self.negative { -value } else { value }).ok()?;
        (min <= value && value <= max).then_some(value)
    }
}

/// A double cut to a whole number, as Java's cast after Jackson's check of the range.
#[expect(clippy::cast_possible_truncation, reason = "checked; beyond 2^63 it saturates as in Java")]
fn whole_of(value: f64, min: i64, max: i64) -> Option<i64> {
    (value >= min as f64 && value <= max as f64).then_some(value as i64)
}

#[inline]
fn digits(bytes: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    let mut value = *mantissa;
    while let Some(byte) = bytes.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    *mantissa = value;
    at
}

fn power(bytes: &[u8], mut at: usize) -> Option<(usize, i32)> {
    let negative = bytes.get(at) == Some(&b'-');
    if matches!(bytes.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    let start = at;
    let mut value = 0_i32;
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        value = value.saturating_mul(10).saturating_add(i32::from(digit));
        at += 1;
    }
    (at > start).then_some((at, if negative { -value } else { value }))
}

/// What Java's `Long.parseLong` accepts, within bounds.
pub(super) fn parse_whole(text: &str, min: i64, max: i64) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    (min <= value && value <= max).then_some(value)
}

/// What Java's `Double.parseDouble` accepts, without hexadecimal.
pub(super) fn parse_f64(text: &str) -> Option<f64> {
    java_float(text, |text| text.parse().ok())
}

/// What Java's `Float.parseFloat` accepts, without hexadecimal.
pub(super) fn parse_f32(text: &str) -> Option<f32> {
    java_float(text, |text| text.parse().ok())
}

fn java_float<F: From<f32>>(text: &str, parse: impl Fn(&str) -> Option<F>) -> Option<F> {
    let unsigned = text.trim_start_matches(['+', '-']);
    if text.len() - unsigned.len() > 1 {
        return None;
    }
    let negative = text.starts_with('-');
    match unsigned {
        "NaN" => return Some(F::from(f32::NAN)),
        "Infinity" => {
            return Some(F::from(if negative { f32::NEG_INFINITY } else { f32::INFINITY }));
        }
        _ => {}
    }
    // Java writes and reads a type's letter after a number; Rust also reads words.
    let plain = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    if !plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    parse(plain)
}

/// Powers of ten that a double holds exactly.
pub(super) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar_is_that_of_json() {
        for (text, taken) in
            [("0", "0"), ("-1.5e3,", "-1.5e3"), ("12]", "12"), ("1E+2", "1E+2"), ("0.10 ", "0.10")]
        {
            assert_eq!(Number::scan(text).unwrap().text, taken);
        }
        for text in ["", "-", "01", "+1", ".5", "1.", "1e", "1e+", "NaN", "-a"] {
            assert_eq!(Number::scan(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_have_bounds() {
        let long = |text| Number::scan(text).unwrap().to_i64(i64::MIN, i64::MAX);
        assert_eq!(long("9223372036854775807"), Some(i64::MAX));
        assert_eq!(long("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(long("9223372036854775808"), None);
        assert_eq!(long("99999999999999999999999"), None);
        assert_eq!(long("-3.9"), Some(-3));
        assert_eq!(long("1e3"), Some(1000));
        assert_eq!(long("1e300"), None);
        let int = |text| Number::scan(text).unwrap().to_i64(i32::MIN.into(), i32::MAX.into());
        assert_eq!((int("2147483647"), int("2147483648")), (Some(2_147_483_647), None));
    }

    #[test]
    fn texts_are_read_as_java_reads_them() {
        assert_eq!(parse_f64("1e3"), Some(1000.0));
        assert_eq!(parse_f64("1.5d"), Some(1.5));
        assert_eq!(parse_f64("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(parse_f64("NaN").unwrap().is_nan());
        for text in ["", "inf", "nan", "infinity", "--1", "1x", "e", "0x1p3"] {
            assert_eq!(parse_f64(text), None, "{text}");
        }
        assert_eq!(parse_whole("+5", -9, 9), Some(5));
        assert_eq!(parse_whole("5.0", -9, 9), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
        #[test]
        fn doubles_are_the_nearest(bits in any::<u64>(), m in any::<u64>(), e in -30..30_i32) {
            let value = f64::from_bits(bits);
            for text in [format!("{value:e}"), format!("{m}e{e}"), format!("{}.{m}", m % 1000)] {
                if let Some(number) = Number::scan(&text) {
                    prop_assert_eq!(number.to_f64(), text.parse::<f64>().unwrap());
                }
            }
        }
    }
}
