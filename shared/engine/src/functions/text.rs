//! Functions of text. Characters are Unicode code points, counted from 1.
//!
//! A result that is a part of its argument refers to it; others are written into the arena. Text
//! that would exceed the arena is a fault, however long the result was meant to be.

use alloc::{format, vec, vec::Vec};
use core::ops::Range;

use super::build::{Builder, char_at, part};
use super::sig::{Bound, count, integer, lenient, strict, text};
use super::{Arg, Function};
use crate::{
    context::Context,
    slot::{Datum, Slot},
    types::DataType,
};

mod change;
pub(super) mod more;
mod search;
mod trim;

pub(super) const LIST: &[Function] = &[
    Function { name: "UPPER", bind: |args| of_text("UPPER", args, change::upper) },
    Function { name: "LOWER", bind: |args| of_text("LOWER", args, change::lower) },
    Function { name: "INITCAP", bind: |args| of_text("INITCAP", args, change::initcap) },
    Function { name: "REVERSE", bind: |args| of_text("REVERSE", args, change::reverse) },
    Function { name: "REPLACE", bind: replace },
    Function { name: "REPEAT", bind: |args| with_int("REPEAT", args, change::repeat) },
    Function { name: "LPAD", bind: |args| pad("LPAD", args, true) },
    Function { name: "RPAD", bind: |args| pad("RPAD", args, false) },
    Function { name: "CHAR_LENGTH", bind: |args| length("CHAR_LENGTH", args) },
    Function { name: "CHARACTER_LENGTH", bind: |args| length("CHARACTER_LENGTH", args) },
    Function { name: "ASCII", bind: ascii },
    Function { name: "CHR", bind: chr },
    Function { name: "SUBSTRING", bind: |args| substring("SUBSTRING", args) },
    Function { name: "SUBSTR", bind: |args| substring("SUBSTR", args) },
    Function { name: "LEFT", bind: |args| with_int("LEFT", args, left) },
    Function { name: "RIGHT", bind: |args| with_int("RIGHT", args, right) },
    Function { name: "||", bind: |args| concat("||", args) },
    Function { name: "CONCAT", bind: |args| concat("CONCAT", args) },
    Function { name: "CONCAT_WS", bind: concat_ws },
    Function { name: "TRIM", bind: trim::trim },
    Function { name: "BTRIM", bind: |args| trim::one_side("BTRIM", args, (true, true)) },
    Function { name: "LTRIM", bind: |args| trim::one_side("LTRIM", args, (true, false)) },
    Function { name: "RTRIM", bind: |args| trim::one_side("RTRIM", args, (false, true)) },
    Function { name: "POSITION", bind: search::position },
    Function { name: "LOCATE", bind: search::locate },
    Function { name: "INSTR", bind: search::instr },
    Function { name: "STARTSWITH", bind: search::starts_with },
    Function { name: "ENDSWITH", bind: search::ends_with },
    Function { name: "SPLIT_INDEX", bind: search::split_index },
];

/// Checks that there are exactly `n` texts; their types.
fn texts(name: &str, args: &[Arg<'_>], n: usize) -> Result<Vec<DataType>, alloc::string::String> {
    count(name, args, n, n)?;
    args.iter().map(|a| text(name, a)).collect()
}

fn of_text(name: &str, args: &[Arg<'_>], f: fn(Slot, &mut Context) -> Datum) -> Bound {
    strict(texts(name, args, 1)?, DataType::STRING, move |v, cx| f(v[0].slot, cx))
}

fn with_int(name: &str, args: &[Arg<'_>], f: fn(Slot, i64, &mut Context) -> Datum) -> Bound {
    count(name, args, 2, 2)?;
    let types = vec![text(name, &args[0])?, integer(name, &args[1])?];
    strict(types, DataType::STRING, move |v, cx| f(v[0].slot, v[1].slot.as_i64(), cx))
}

fn replace(args: &[Arg<'_>]) -> Bound {
    strict(texts("REPLACE", args, 3)?, DataType::STRING, |v, cx| {
        change::replace(v[0].slot, v[1].slot, v[2].slot, cx)
    })
}

fn pad(name: &str, args: &[Arg<'_>], is_left: bool) -> Bound {
    count(name, args, 3, 3)?;
    let types = vec![text(name, &args[0])?, integer(name, &args[1])?, text(name, &args[2])?];
    strict(types, DataType::STRING, move |v, cx| {
        change::pad(v[0].slot, v[1].slot.as_i64(), v[2].slot, is_left, cx)
    })
}

fn length(name: &str, args: &[Arg<'_>]) -> Bound {
    strict(texts(name, args, 1)?, DataType::Int, |v, cx| {
        Datum::i64(chars_count(cx.bytes(v[0].slot)))
    })
}

/// The first byte; as in Flink, negative where it is not ASCII.
fn ascii(args: &[Arg<'_>]) -> Bound {
    strict(texts("ASCII", args, 1)?, DataType::Int, |v, cx| {
        let first = cx.bytes(v[0].slot).first().copied().unwrap_or(0);
        Datum::i64(i64::from(i8::from_ne_bytes([first])))
    })
}

/// The Latin-1 character of the number's low byte; nothing for negative numbers.
fn chr(args: &[Arg<'_>]) -> Bound {
    count("CHR", args, 1, 1)?;
    strict(vec![integer("CHR", &args[0])?], DataType::STRING, |v, cx| {
        let code = v[0].slot.as_i64();
        let low = u8::try_from(code & 0xff).expect("one byte");
        let mut buffer = [0; 4];
        let text = if code < 0 { "" } else { char::from(low).encode_utf8(&mut buffer) };
        cx.put_text(text)
    })
}

/// SUBSTRING(text, start[, length]): a negative start counts from the end; 0 is 1.
fn substring(name: &str, args: &[Arg<'_>]) -> Bound {
    count(name, args, 2, 3)?;
    let mut types = vec![text(name, &args[0])?, integer(name, &args[1])?];
    types.extend(args.get(2).map(|a| integer(name, a)).transpose()?);
    strict(types, DataType::STRING, |v, cx| {
        let length = v.get(2).map_or(i64::MAX, |v| v.slot.as_i64());
        if length < 0 {
            return Datum::NULL;
        }
        slice(v[0].slot, v[1].slot.as_i64(), length, cx)
    })
}

fn left(source: Slot, n: i64, cx: &mut Context) -> Datum {
    slice(source, 1, n.max(0), cx)
}

fn right(source: Slot, n: i64, cx: &mut Context) -> Datum {
    let chars = chars_count(cx.bytes(source));
    if n <= 0 { slice(source, 1, 0, cx) } else { slice(source, (-n).max(-chars), n, cx) }
}

fn slice(source: Slot, start: i64, length: i64, cx: &mut Context) -> Datum {
    let bytes = cx.bytes(source);
    let skipped = match start {
        1.. => start - 1,
        0 => 0,
        _ => chars_count(bytes).saturating_add(start),
    };
    if skipped < 0 {
        return part(cx, source, 0..0);
    }
    let from = byte_of(bytes, 0, skipped);
    let to = byte_of(bytes, from, length);
    part(cx, source, from..to)
}

/// Characters of a text.
fn chars_count(bytes: &[u8]) -> i64 {
    let count = bytes.iter().filter(|b| **b & 0xc0 != 0x80).count();
    i64::try_from(count).expect("texts are bounded")
}

/// The byte where the character `chars` after the one at byte `from` begins, or the end.
fn byte_of(bytes: &[u8], from: usize, chars: i64) -> usize {
    let mut at = from;
    let mut left = chars;
    while left > 0 && at < bytes.len() {
        at += char_at(bytes, at).map_or(1, char::len_utf8);
        left -= 1;
    }
    at
}

/// NULL where any part is.
fn concat(name: &str, args: &[Arg<'_>]) -> Bound {
    count(name, args, 1, usize::MAX)?;
    let types = args.iter().map(|a| text(name, a)).collect::<Result<_, _>>()?;
    strict(types, DataType::STRING, |v, cx| {
        let mut out = Builder::new(cx);
        v.iter().for_each(|v| out.push_all(v.slot));
        out.finish()
    })
}

/// NULLs are left out, but not a NULL separator.
fn concat_ws(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "CONCAT_WS";
    count(NAME, args, 1, usize::MAX)?;
    let types = args.iter().map(|a| text(NAME, a)).collect::<Result<_, _>>()?;
    lenient(types, DataType::STRING, |v, cx| {
        let (separator, parts) = (v[0], &v[1..]);
        if separator.is_null() {
            return Datum::NULL;
        }
        let mut out = Builder::new(cx);
        for (i, value) in parts.iter().filter(|v| !v.is_null()).enumerate() {
            if i > 0 {
                out.push_all(separator.slot);
            }
            out.push_all(value.slot);
        }
        out.finish()
    })
}

/// A range of bytes that is the whole text gives the text itself.
fn trimmed(source: Slot, range: Range<usize>, cx: &mut Context) -> Datum {
    if range.len() == cx.bytes(source).len() {
        return Datum::of(source);
    }
    part(cx, source, range)
}

/// A refusal that names an argument.
fn wrong(name: &str, what: &str, data_type: &DataType) -> alloc::string::String {
    format!("{name} needs {what}, not {data_type}")
}
