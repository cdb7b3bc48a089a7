//! PRINTF with the conversions `%s %d %x %X %f %%` of Java's `Formatter`.
//!
//! The format is a constant. Where Flink answers NULL because a value does not suit its conversion
//! (`%d` of a DOUBLE, `%f` of a DECIMAL), and for conversions that Java has besides, binding is
//! refused.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt::Write;

use super::sig::{Bound, constant_text, count, lenient};
use super::{Arg, Function};
use crate::{
    context::Context, decimal, java_double::Digits, java_double::JavaText, slot::Datum,
    types::DataType,
};

pub(super) const LIST: &[Function] = &[Function { name: "PRINTF", bind: printf }];

/// Widths and precisions beyond it are refused.
const SIZE_MAX: usize = 1000;

#[derive(Default)]
struct Flags {
    left: bool,
    zeros: bool,
    groups: bool,
    plus: bool,
    blank: bool,
}

enum Piece {
    Text(String),
    Value { arg: usize, flags: Flags, width: usize, precision: Option<usize>, conversion: char },
}

fn printf(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "PRINTF";
    count(NAME, args, 1, usize::MAX)?;
    let written = constant_text(NAME, "its format", &args[0])?;
    let pieces = pieces(written, args)
        .ok_or_else(|| format!("{NAME} cannot use the format '{written}' for these values"))?;
    let types: Vec<DataType> = args.iter().map(|arg| arg.data_type.clone()).collect();
    let own = types.clone();
    lenient(types, DataType::STRING, move |v, cx| {
        let mut out = String::new();
        for piece in &pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value { arg, flags, width, precision, conversion } => {
                    let shown = shown(v[*arg], &own[*arg], *conversion, *precision, flags, cx);
                    padded(&shown, v[*arg], flags, *width, &mut out);
                }
            }
        }
        cx.put_text(&out)
    })
}

/// The parts of a format; None for what is refused.
fn pieces(format: &str, args: &[Arg<'_>]) -> Option<Vec<Piece>> {
    let (mut pieces, mut rest, mut next) = (Vec::new(), format, 1);
    while let Some((before, after)) = rest.split_once('%') {
        pieces.push(Piece::Text(before.to_owned()));
        rest = after;
        if let Some(after) = rest.strip_prefix('%') {
            pieces.push(Piece::Text("%".to_owned()));
            rest = after;
            continue;
        }
        let digits = digits(rest);
        let mut position = None;
        if let Some(after) = rest[digits.len()..].strip_prefix('$') {
            position = Some(digits.parse().ok().filter(|n| *n > 0)?);
            rest = after;
        }
        let arg = position.unwrap_or(next);
        next += usize::from(position.is_none());
        let (piece, after) = value(rest, arg, args)?;
        pieces.push(piece);
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Some(pieces)
}

fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

/// Flags, width, precision and conversion.
fn value<'a>(text: &'a str, arg: usize, args: &[Arg<'_>]) -> Option<(Piece, &'a str)> {
    let (mut flags, mut rest) = (Flags::default(), text);
    loop {
        let flag = match rest.bytes().next()? {
            b'-' => &mut flags.left,
            b'0' => &mut flags.zeros,
            b',' => &mut flags.groups,
            b'+' => &mut flags.plus,
            b' ' => &mut flags.blank,
            _ => break,
        };
        if core::mem::replace(flag, true) {
            return None;
        }
        rest = &rest[1..];
    }
    let size = |digits: &str| digits.parse().ok().filter(|n| *n <= SIZE_MAX);
    let written = digits(rest);
    rest = &rest[written.len()..];
    let width = if written.is_empty() { 0 } else { size(written)? };
    let mut precision = None;
    if let Some(after) = rest.strip_prefix('.') {
        let written = digits(after);
        precision = Some(size(written)?);
        rest = &after[written.len()..];
    }
    let conversion = rest.chars().next()?;
    let data_type = args.get(arg)?.data_type;
    let fits = match conversion {
        's' => {
            let plain = !flags.zeros && !flags.groups && !flags.plus && !flags.blank;
            let shown = data_type.is_text() || data_type.is_numeric();
            plain && (shown || *data_type == DataType::Boolean)
        }
        'd' => data_type.is_integer() && precision.is_none(),
        'x' | 'X' => {
            let plain = !flags.groups && !flags.plus && !flags.blank;
            data_type.is_integer() && precision.is_none() && plain
        }
        'f' => data_type.is_approximate(),
        _ => false,
    };
    let agree = !(flags.left && flags.zeros || flags.plus && flags.blank);
    let has_width = width > 0 || !(flags.left || flags.zeros);
    let piece = Piece::Value { arg, flags, width, precision, conversion };
    (fits && agree && has_width).then(|| (piece, &rest[1..]))
}

/// The value without padding; a number without its sign is never padded before it.
fn shown(
    value: Datum,
    data_type: &DataType,
    conversion: char,
    precision: Option<usize>,
    flags: &Flags,
    cx: &Context,
) -> String {
    let slot = value.slot;
    let mut out = String::new();
    // A String never refuses.
    let _ = match (conversion, data_type) {
        _ if value.is_null() => out.write_str("null"),
        ('d', _) => return signed(slot.as_i64() < 0, &digits_of(slot.as_i64()), "", flags),
        ('x' | 'X', _) => {
            let bits = match data_type {
                DataType::TinyInt => 8,
                DataType::SmallInt => 16,
                DataType::Int => 32,
                _ => 64,
            };
            let value = slot.0 & (u64::MAX >> (64 - bits));
            return if conversion == 'x' { format!("{value:x}") } else { format!("{value:X}") };
        }
        ('f', _) => return fixed(slot.as_f64(), precision.unwrap_or(6), flags),
        (_, DataType::Boolean) => write!(out, "{}", slot.as_bool()),
        (_, DataType::Double) => out.write_str(JavaText::of_f64(slot.as_f64()).as_str()),
        #[expect(clippy::cast_possible_truncation, reason = "a FLOAT is an f32 exactly")]
        (_, DataType::Float) => out.write_str(JavaText::of_f32(slot.as_f64() as f32).as_str()),
        (_, DataType::Decimal { scale, .. }) => decimal::write_to(&mut out, slot.as_i128(), *scale),
        (_, t) if t.is_text() => out.write_str(cx.text(slot)),
        _ => write!(out, "{}", slot.as_i64()),
    };
    match precision {
        Some(length) => out.chars().take(length).collect(),
        None => out,
    }
}

fn digits_of(value: i64) -> String {
    format!("{}", value.unsigned_abs())
}

/// Rounded half up from the digits that Java shows.
fn fixed(value: f64, precision: usize, flags: &Flags) -> String {
    if !value.is_finite() {
        let sign = if value < 0.0 {
            "-"
        } else if flags.plus && value > 0.0 {
            "+"
        } else {
            ""
        };
        return format!("{sign}{}", if value.is_nan() { "NaN" } else { "Infinity" });
    }
    let Digits { mantissa, exponent } = Digits::of_f64(value.abs());
    let shift = i64::from(exponent) + i64::try_from(precision).unwrap_or(0);
    let mut all = match u32::try_from(shift) {
        Ok(zeros) => format!("{mantissa}{:01$}", 0, zeros as usize + 1),
        Err(_) => {
            let cut = u32::try_from(-shift).unwrap_or(u32::MAX);
            let unit = 10_u128.checked_pow(cut).unwrap_or(u128::MAX);
            format!("{}0", (u128::from(mantissa) + unit / 2) / unit)
        }
    };
    // One zero too many was written in either case.
    all.pop();
    let all = format!("{all:0>0$}", precision + 1);
    let (whole, fraction) = all.split_at(all.len() - precision);
    let whole = whole.trim_start_matches('0');
    let fraction = if precision == 0 { String::new() } else { format!(".{fraction}") };
    let whole = if whole.is_empty() { "0" } else { whole };
    signed(value < 0.0, whole, &fraction, flags)
}

fn signed(is_negative: bool, whole: &str, fraction: &str, flags: &Flags) -> String {
    let sign = match is_negative {
        true => "-",
        false if flags.plus => "+",
        false if flags.blank => " ",
        false => "",
    };
    let mut out = String::from(sign);
    for (i, digit) in whole.chars().enumerate() {
        if flags.groups && i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

fn padded(shown: &str, value: Datum, flags: &Flags, width: usize, out: &mut String) {
    let missing = width.saturating_sub(shown.chars().count());
    let is_number = !value.is_null() && shown.ends_with(|c: char| c.is_ascii_hexdigit());
    if flags.zeros && is_number {
        let digits = shown.trim_start_matches(['-', '+', ' ']);
        out.push_str(&shown[..shown.len() - digits.len()]);
        out.extend(core::iter::repeat_n('0', missing));
        out.push_str(digits);
    } else if flags.left {
        out.push_str(shown);
        out.extend(core::iter::repeat_n(' ', missing));
    } else {
        out.extend(core::iter::repeat_n(' ', missing));
        out.push_str(shown);
    }
}
