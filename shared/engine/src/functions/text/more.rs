//! Less common functions of text: other characters for some, a part put over, one of several,
//! what a text consists of.

use alloc::{format, string::String, vec, vec::Vec};

use regex::Regex;

use super::super::array::put_array;
use super::super::build::Builder;
use super::super::sig::{Bound, common_type, count, integer, lenient, strict, text};
use super::super::{Arg, Function};
use super::{byte_of, chars_count, texts};
use crate::{slot::Datum, types::DataType};

pub(in super::super) const LIST: &[Function] = &[
    Function { name: "TRANSLATE", bind: translate },
    Function { name: "OVERLAY", bind: overlay },
    Function { name: "ELT", bind: elt },
    Function { name: "SPLIT", bind: split },
    Function { name: "IS_ALPHA", bind: is_alpha },
    Function { name: "IS_DIGIT", bind: is_digit },
    Function { name: "IS_DECIMAL", bind: is_decimal },
];

/// TRANSLATE(text, from, to): each character of `from` becomes the one at its place in `to`, or
/// nothing where `to` is shorter.
fn translate(args: &[Arg<'_>]) -> Bound {
    strict(texts("TRANSLATE", args, 3)?, DataType::STRING, |v, cx| {
        let mut out = Builder::new(cx);
        let mut at = 0;
        while let Some(c) = out.char_at(v[0].slot, at).filter(|_| out.fits()) {
            at += c.len_utf8();
            match out.text(v[1].slot).chars().position(|from| from == c) {
                None => out.push_char(c),
                Some(place) => {
                    if let Some(other) = out.text(v[2].slot).chars().nth(place) {
                        out.push_char(other);
                    }
                }
            }
        }
        out.finish()
    })
}

/// OVERLAY(text PLACING part FROM start [FOR length]): a start outside changes nothing; a length
/// that is not positive, or goes beyond the end, takes the rest away.
fn overlay(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "OVERLAY";
    count(NAME, args, 3, 4)?;
    let mut types = texts(NAME, &args[..2], 2)?;
    for arg in &args[2..] {
        types.push(integer(NAME, arg)?);
    }
    strict(types, DataType::STRING, |v, cx| {
        let (source, placed) = (v[0].slot, v[1].slot);
        let (chars, start) = (chars_count(cx.bytes(source)), v[2].slot.as_i64());
        if start <= 0 || start > chars {
            return Datum::of(source);
        }
        let length = v.get(3).map_or(chars_count(cx.bytes(placed)), |v| v.slot.as_i64());
        let bytes = cx.bytes(source);
        let from = byte_of(bytes, 0, start - 1);
        let goes_on = length > 0 && (start - 1).saturating_add(length) <= chars;
        let to = if goes_on { byte_of(bytes, from, length) } else { bytes.len() };
        let end = bytes.len();
        let mut out = Builder::new(cx);
        out.push_part(source, 0..from);
        out.push_all(placed);
        out.push_part(source, to..end);
        out.finish()
    })
}

/// ELT(index, a, b, …): the value at the index, from 1; NULL outside.
fn elt(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "ELT";
    count(NAME, args, 2, usize::MAX)?;
    let mut types = vec![integer(NAME, &args[0])?];
    let mut common = DataType::Null;
    for arg in &args[1..] {
        types.push(text(NAME, arg)?);
        common = common_type(&common, arg.data_type).unwrap_or(DataType::STRING);
    }
    lenient(types, common, |v, _| {
        let index = usize::try_from(v[0].slot.as_i64()).ok().filter(|i| *i > 0 && !v[0].is_null());
        index.and_then(|index| v.get(index)).copied().unwrap_or(Datum::NULL)
    })
}

/// SPLIT(text, separator): an array of the parts; an empty separator gives the characters,
/// an empty text no parts.
fn split(args: &[Arg<'_>]) -> Bound {
    let result = DataType::Array(DataType::STRING.into());
    strict(texts("SPLIT", args, 2)?, result, |v, cx| {
        let (text, separator) = (cx.text(v[0].slot), cx.text(v[1].slot));
        let whole: Vec<String> = match separator {
            _ if text.is_empty() => Vec::new(),
            "" => text.chars().map(String::from).collect(),
            _ => text.split(separator).map(String::from).collect(),
        };
        let mut parts = Vec::with_capacity(whole.len());
        for part in whole {
            parts.push(cx.put_text(&part));
        }
        put_array(&parts, &DataType::STRING, cx)
    })
}

/// Whether a text holds to something; NULL does not. Of a number its type decides, also where it
/// is NULL: an integer holds to `numbers.0`, a DOUBLE to `numbers.1`, a DECIMAL to nothing.
fn holds(
    name: &str,
    args: &[Arg<'_>],
    numbers: (bool, bool),
    test: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Bound {
    if let [Arg { data_type, .. }] = args
        && data_type.is_numeric()
    {
        let answer = match data_type.is_integer() {
            true => numbers.0,
            false => numbers.1 && data_type.is_approximate(),
        };
        let types = vec![(*data_type).clone()];
        return lenient(types, DataType::Boolean, move |_, _| Datum::bool(answer));
    }
    lenient(texts(name, args, 1)?, DataType::Boolean, move |v, cx| {
        Datum::bool(!v[0].is_null() && test(cx.text(v[0].slot)))
    })
}

/// Whether there are letters only; as in Java none of those beyond 16 bits.
fn is_alpha(args: &[Arg<'_>]) -> Bound {
    let is_letter = |c: char| c.is_alphabetic() && !c.is_numeric() && c <= '\u{ffff}';
    holds("IS_ALPHA", args, (false, false), move |text| {
        !text.is_empty() && text.chars().all(is_letter)
    })
}

/// Whether there are decimal digits only, of any script.
fn is_digit(args: &[Arg<'_>]) -> Bound {
    let digits = Regex::new(r"\A\d+\z").map_err(|e| format!("{e}"))?;
    holds("IS_DIGIT", args, (true, false), move |text| {
        digits.is_match(text) && text.chars().all(|c| c <= '\u{ffff}')
    })
}

/// What Java reads as a DOUBLE, or as a whole number in the digits of any script.
const DECIMAL: &str = concat!(
    r"\A(?:[\x00-\x20]*[+-]?(?:NaN|Infinity|(?:",
    r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    r"|0[xX](?:[0-9a-fA-F]+\.?|[0-9a-fA-F]*\.[0-9a-fA-F]+)[pP][+-]?[0-9]+",
    r")[fFdD]?)[\x00-\x20]*|[+-]?\d{1,18})\z",
);

fn is_decimal(args: &[Arg<'_>]) -> Bound {
    let decimal = Regex::new(DECIMAL).map_err(|e| format!("{e}"))?;
    holds("IS_DECIMAL", args, (true, true), move |text| decimal.is_match(text))
}
