//! Text to everything else. What cannot be read is `None`.

use super::{Convert, points};
use crate::{
    calendar::parse,
    decimal::{self, DecimalType},
    functions::numbers::rounded,
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) fn find(to: &DataType) -> Option<Convert> {
    Some(match to {
        DataType::Boolean => |value, _, _, cx| boolean(cx.text(value.slot)).map(Datum::bool),
        t if t.is_integer() => |value, _, to, cx| integer(cx.text(value.slot), to).map(Datum::i64),
        DataType::Float | DataType::Double => {
            |value, _, to, cx| double(cx.text(value.slot), to).map(Datum::f64)
        }
        DataType::Decimal { .. } => |value, _, to, cx| {
            let DataType::Decimal { precision, scale } = to else { return None };
            let to = DecimalType::new(*precision, *scale);
            decimal::parse(cx.text(value.slot), to).map(|v| Datum::of(Slot::i128(v)))
        },
        DataType::Date => |value, _, _, cx| parse::date(cx.text(value.slot)).map(Datum::i64),
        DataType::Time(_) => |value, _, _, cx| parse::time(cx.text(value.slot)).map(Datum::i64),
        DataType::Timestamp(_) | DataType::TimestampLtz(_) => |value, _, to, cx| {
            let found = parse::timestamp(cx.text(value.slot), points::precision(to));
            found.map(|local| points::timestamp(points::read(local, to, cx)))
        },
        DataType::Bytes => |value, _, _, _| Some(value),
        _ => return None,
    })
}

fn boolean(text: &str) -> Option<bool> {
    let is_in = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(text));
    match text {
        _ if is_in(&["t", "true", "y", "yes", "1"]) => Some(true),
        _ if is_in(&["f", "false", "n", "no", "0"]) => Some(false),
        _ => None,
    }
}

/// Digits with an optional sign; a fraction of digits is cut off. Blanks around are ignored.
fn integer(text: &str, to: &DataType) -> Option<i64> {
    let text = text.trim_matches(' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let only_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if unsigned.is_empty() || !only_digits(whole) || !only_digits(fraction) {
        return None;
    }
    let negative = text.starts_with('-');
    let mut value = 0_i64;
    for digit in whole.bytes().map(|b| i64::from(b - b'0')) {
        let digit = if negative { -digit } else { digit };
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    (crate::functions::numbers::wrapped(value, to) == value).then_some(value)
}

/// What Java's `Double.parseDouble` reads, but for hexadecimal numbers.
fn double(text: &str, to: &DataType) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let special = match text.strip_prefix(['+', '-']).unwrap_or(text) {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        _ => None,
    };
    if let Some(x) = special {
        return Some(if text.starts_with('-') { -x } else { x });
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust also reads words such as `inf`.
    let plain = number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
    if !plain {
        return None;
    }
    if *to == DataType::Float {
        return number.parse::<f32>().ok().map(f64::from);
    }
    number.parse().ok().map(|x| rounded(x, to))
}
