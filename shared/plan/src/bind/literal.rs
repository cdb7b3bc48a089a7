//! Literals and their types: `1` INT, `1.5` DECIMAL, `1e0` DOUBLE, `'a'` CHAR.

use headwater_engine::expr::{Expr, Literal};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::diagnostic::{Issue, Result};

/// A number as Flink types it: by its size, its point and its exponent.
pub(crate) fn number(digits: &str, negative: bool, span: Span) -> Result<Expr> {
    let too_large = || {
        let message = format!("the number {digits} has no type that holds it");
        Issue::new(span, message, "DECIMAL holds 38 digits; write larger ones as 1e40")
    };
    if digits.contains(['e', 'E']) {
        let value: f64 = digits.parse().map_err(|_| too_large())?;
        let value = if negative { -value } else { value };
        return Ok(Expr::literal(Literal::Double(value), DataType::Double));
    }
    let sign: i128 = if negative { -1 } else { 1 };
    if let Some((whole, fraction)) = digits.split_once('.').filter(|(_, f)| !f.is_empty()) {
        let unscaled: i128 = format!("{whole}{fraction}").parse().map_err(|_| too_large())?;
        // Leading zeros count, as in Calcite: 0.5 is DECIMAL(2, 1).
        let narrow = |n: usize| u8::try_from(n).ok().filter(|n| *n <= 38).ok_or_else(too_large);
        let precision = narrow(whole.len() + fraction.len())?;
        let scale = narrow(fraction.len())?;
        let data_type = DataType::Decimal { precision, scale };
        return Ok(Expr::literal(Literal::Decimal(sign * unscaled), data_type));
    }
    let whole: i128 = digits.trim_end_matches('.').parse().map_err(|_| too_large())?;
    let value = i64::try_from(sign * whole).map_err(|_| too_large())?;
    // The sign is an operator in Flink: -2147483648 is the BIGINT 2147483648, negated.
    let data_type = match i32::try_from(whole) {
        Ok(_) => DataType::Int,
        Err(_) => DataType::BigInt,
    };
    Ok(Expr::literal(Literal::Int(value), data_type))
}

/// A text is CHAR of its own length.
pub(crate) fn text(text: &str) -> Expr {
    let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX >> 1);
    Expr::literal(Literal::Text(text.to_owned()), DataType::Char(length))
}

/// `DATE '2022-01-31'`
pub(crate) fn date(text: &str, span: Span) -> Result<Expr> {
    let days = parse_date(text).ok_or_else(|| {
        Issue::new(span, format!("'{text}' is no date"), "write DATE '2022-01-31'")
    })?;
    Ok(Expr::literal(Literal::Int(days), DataType::Date))
}

/// `TIME '12:30:00'`
pub(crate) fn time(text: &str, span: Span) -> Result<Expr> {
    let parsed =
        parse_time(text).filter(|(_, nanos, digits)| *nanos % 1_000_000 == 0 && *digits == 0);
    let (millis, _, _) = parsed
        .ok_or_else(|| Issue::new(span, format!("'{text}' is no time"), "write TIME '12:30:00'"))?;
    Ok(Expr::literal(Literal::Int(millis), DataType::Time(0)))
}

/// `TIMESTAMP '2022-01-31 12:30:00.5'`; the fraction gives the precision.
pub(crate) fn timestamp(text: &str, span: Span) -> Result<Expr> {
    let bad = || {
        let message = format!("'{text}' is no timestamp");
        Issue::new(span, message, "write TIMESTAMP '2022-01-31 12:30:00'")
    };
    let (date, time) = text.split_once(' ').ok_or_else(bad)?;
    let days = parse_date(date).ok_or_else(bad)?;
    let (millis, nanos, digits) = parse_time(time).ok_or_else(bad)?;
    let at = days * 86_400_000 + millis;
    Ok(Expr::literal(Literal::Timestamp(at, nanos), DataType::Timestamp(digits)))
}

/// Days since the epoch of `year-month-day`.
fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut next = |length: usize| {
        let part = parts.next()?;
        let right = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        right.then(|| part.parse::<i64>().ok()).flatten()
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=days_in_month).contains(&day) {
        return None;
    }
    // Days from civil, counted in years that begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Milliseconds of the day, nanoseconds of the millisecond, digits of the fraction.
fn parse_time(text: &str) -> Option<(i64, u32, u8)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let mut next = |max: i64| {
        let part = parts.next()?;
        let right = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        right.then(|| part.parse().ok()).flatten().filter(|n: &i64| *n <= max)
    };
    let (hour, minute, second) = (next(23)?, next(59)?, next(59)?);
    if parts.next().is_some() || fraction.len() > 9 {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    let millis = ((hour * 60 + minute) * 60 + second) * 1_000 + i64::from(nanos / 1_000_000);
    Some((millis, nanos % 1_000_000, u8::try_from(fraction.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_flinks_types() {
        let of = |s| number(s, false, Span::empty()).unwrap().data_type.to_string();
        assert_eq!(of("1"), "INT");
        assert_eq!(of("2147483648"), "BIGINT");
        assert_eq!(of("0.5"), "DECIMAL(2, 1)");
        assert_eq!(of("1e0"), "DOUBLE");
        assert!(number("9223372036854775808", false, Span::empty()).is_err());
    }

    #[test]
    fn dates_and_timestamps() {
        assert_eq!(parse_date("1970-01-01"), Some(0));
        assert_eq!(parse_date("2000-02-29"), Some(11_016));
        assert_eq!(parse_date("1900-02-29"), None);
        assert_eq!(parse_time("00:00:10.0005"), Some((10_000, 500_000, 4)));
        assert_eq!(parse_time("24:00:00"), None);
    }
}
