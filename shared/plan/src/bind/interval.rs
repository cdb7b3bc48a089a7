//! Interval literals: text, unit and precision to milliseconds or months.

use headwater_engine::expr::{Expr, Literal};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, Interval};
use crate::diagnostic::{Issue, Result};

/// The parts of a day-time interval from the largest, with their milliseconds and the largest
/// value that a part has when it is not the first.
const DAY_TIME: [(&str, i64, i64); 4] = [
    ("DAY", 86_400_000, i64::MAX),
    ("HOUR", 3_600_000, 23),
    ("MINUTE", 60_000, 59),
    ("SECOND", 1_000, 59),
];

/// Units that Flink reads as another one: what such an interval means there is not what it says.
const WRONG: [(&str, &str, &str); 2] =
    [("WEEK", "HOUR", "write INTERVAL '7' DAY"), ("QUARTER", "MONTH", "write INTERVAL '3' MONTH")];

/// Flink's limit of digits in the first part where the text states none.
const PRECISION_DEFAULT: u64 = 2;

/// An interval of milliseconds or of months.
pub(crate) fn parse_interval(from: &Interval, span: Span) -> Result<Expr> {
    let leading = singular(&from.leading);
    let last = from.last.as_deref().map_or(leading, singular);
    let bad = |message: String, remedy: &str| Err(Issue::new(span, message, remedy));
    if let Some((_, taken, remedy)) = WRONG.iter().find(|(unit, ..)| [leading, last].contains(unit))
    {
        return bad(format!("Flink takes an interval of {leading} for one of {taken}"), remedy);
    }
    let (negative, text) = match from.text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, from.text.strip_prefix('+').unwrap_or(&from.text)),
    };
    let is_range = from.last.is_none() || leading != last;
    let Some(parts) = split(text, leading, last).filter(|_| is_range) else {
        let message = format!("'{}' is no interval of {leading}", from.text);
        return bad(message, "write INTERVAL '10' SECOND or INTERVAL '1:30' HOUR TO MINUTE");
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let precision = from.precision.unwrap_or(PRECISION_DEFAULT);
    if u64::try_from(digits).unwrap_or(u64::MAX) > precision {
        let message = format!("'{}' has more than {precision} digits in its {leading}", from.text);
        let remedy = format!("write {leading}({digits}), or a larger unit");
        return bad(message, &remedy);
    }
    let sign = if negative { -1 } else { 1 };
    let (total, data_type) = match parts {
        Parts::Months(months) => (months, DataType::IntervalMonth),
        Parts::Millis(millis) => (millis, DataType::IntervalDay),
    };
    Ok(Expr::literal(Literal::Int(sign * total), data_type))
}

enum Parts {
    Months(i64),
    Millis(i64),
}

fn singular(unit: &str) -> &str {
    unit.strip_suffix('S').unwrap_or(unit)
}

fn split(text: &str, leading: &str, last: &str) -> Option<Parts> {
    match (leading, last) {
        ("YEAR", "YEAR") => Some(Parts::Months(number(text)?.checked_mul(12)?)),
        ("MONTH", "MONTH") => Some(Parts::Months(number(text)?)),
        ("YEAR", "MONTH") => {
            let (years, months) = text.split_once('-')?;
            let months = number(months).filter(|m| *m < 12)?;
            Some(Parts::Months(number(years)?.checked_mul(12)?.checked_add(months)?))
        }
        _ => day_time(text, leading, last).map(Parts::Millis),
    }
}

/// `days hours:minutes:seconds.fraction`, from the leading to the last part.
fn day_time(text: &str, leading: &str, last: &str) -> Option<i64> {
    let first = DAY_TIME.iter().position(|(unit, ..)| *unit == leading)?;
    let end = DAY_TIME.iter().position(|(unit, ..)| *unit == last)?;
    let parts = DAY_TIME.get(first..=end)?;
    let mut rest = text;
    let mut total = 0i64;
    for (i, (unit, millis, max)) in parts.iter().enumerate() {
        let separator = if *unit == "DAY" { ' ' } else { ':' };
        let part = if i + 1 == parts.len() {
            core::mem::take(&mut rest)
        } else {
            let (part, after) = rest.split_once(separator)?;
            rest = after;
            part
        };
        let (whole, fraction) = match part.split_once('.') {
            Some((whole, fraction)) if *unit == "SECOND" => (whole, fraction),
            Some(_) => return None,
            None => (part, ""),
        };
        let value = number(whole).filter(|n| i == 0 || n <= max)?;
        total = total.checked_add(value.checked_mul(*millis)?)?;
        if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        total = total.checked_add(format!("{fraction:0<3}").parse::<i64>().ok()?)?;
    }
    Some(total)
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The milliseconds of an interval that stands as an argument.
pub(crate) fn interval_ms(from: &ast::Expr, what: &str) -> Result<i64> {
    let remedy = "write INTERVAL '10' SECOND";
    let ast::ExprKind::Interval(interval) = &from.kind else {
        return Err(Issue::new(from.span, format!("{what} is no interval"), remedy));
    };
    let bound = parse_interval(interval, from.span)?;
    match (bound.as_literal(), &bound.data_type) {
        (Some(Literal::Int(millis)), DataType::IntervalDay) => Ok(*millis),
        _ => Err(Issue::new(from.span, format!("{what} has no fixed length"), remedy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str, leading: &str, precision: Option<u64>, last: Option<&str>) -> Option<i64> {
        let from = Interval {
            text: text.to_owned(),
            leading: leading.to_owned(),
            precision,
            last: last.map(str::to_owned),
        };
        match parse_interval(&from, Span::empty()).ok()?.as_literal() {
            Some(Literal::Int(n)) => Some(*n),
            _ => None,
        }
    }

    #[test]
    fn intervals() {
        assert_eq!(ms("10", "SECOND", None, None), Some(10_000));
        assert_eq!(ms("100", "SECOND", None, None), None);
        assert_eq!(ms("100", "SECOND", Some(3), None), Some(100_000));
        assert_eq!(ms("0.5", "SECOND", None, None), Some(500));
        assert_eq!(ms("1:30", "HOUR", None, Some("MINUTE")), Some(5_400_000));
        assert_eq!(ms("1 02:03:04", "DAY", None, Some("SECOND")), Some(93_784_000));
        assert_eq!(ms("-1", "DAY", None, None), Some(-86_400_000));
        assert_eq!(ms("1-6", "YEAR", None, Some("MONTH")), Some(18));
        assert_eq!(ms("1:70", "HOUR", None, Some("MINUTE")), None);
        assert_eq!(ms("1", "DAY", None, Some("DAY")), None);
        assert_eq!(ms("1", "WEEK", None, None), None);
    }
}
