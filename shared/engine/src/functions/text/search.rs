//! Finding text in text.

use alloc::vec;

use super::super::Arg;
use super::super::build::part;
use super::super::sig::{Bound, count, integer, strict, text};
use super::{byte_of, change::find, chars_count, texts, wrong};
use crate::{
    context::{Context, Fault},
    slot::{Datum, Slot},
    types::DataType,
};

/// POSITION(needle IN text): 0 when it is not there.
pub(super) fn position(args: &[Arg<'_>]) -> Bound {
    strict(texts("POSITION", args, 2)?, DataType::Int, |v, cx| {
        Datum::i64(position_from(v[0].slot, v[1].slot, 1, cx))
    })
}

/// LOCATE(needle, text[, start]).
pub(super) fn locate(args: &[Arg<'_>]) -> Bound {
    count("LOCATE", args, 2, 3)?;
    let mut types = texts("LOCATE", &args[..2], 2)?;
    types.extend(args.get(2).map(|a| integer("LOCATE", a)).transpose()?);
    strict(types, DataType::Int, |v, cx| {
        let start = v.get(2).map_or(1, |v| v.slot.as_i64());
        Datum::i64(position_from(v[0].slot, v[1].slot, start, cx))
    })
}

/// INSTR(text, needle[, start[, nth]]): a negative start searches backward from there.
pub(super) fn instr(args: &[Arg<'_>]) -> Bound {
    count("INSTR", args, 2, 4)?;
    let mut types = texts("INSTR", &args[..2], 2)?;
    for arg in &args[2..] {
        types.push(integer("INSTR", arg)?);
    }
    strict(types, DataType::Int, |v, cx| {
        let number = |i: usize| v.get(i).map_or(1, |v| v.slot.as_i64());
        let (start, nth) = (number(2), number(3));
        if nth <= 0 {
            return cx.fail(Fault::InvalidArgument);
        }
        let (text, needle) = (v[0].slot, v[1].slot);
        Datum::i64(match start {
            0 => 0,
            1.. => nth_forward(text, needle, start, nth, cx),
            _ => nth_backward(text, needle, start, nth, cx),
        })
    })
}

fn nth_forward(text: Slot, needle: Slot, start: i64, nth: i64, cx: &Context) -> i64 {
    let (mut start, mut found) = (start, 0);
    for _ in 0..nth {
        found = position_from(needle, text, start, cx);
        if found == 0 {
            return 0;
        }
        start = found + 1;
    }
    found
}

/// The nth occurrence whose end is at or before the character `-start` from the end.
fn nth_backward(text: Slot, needle: Slot, start: i64, nth: i64, cx: &Context) -> i64 {
    let (text, needle) = (cx.bytes(text), cx.bytes(needle));
    let chars = chars_count(text);
    let last_end = chars.saturating_add(start).saturating_add(1);
    if last_end < 0 || needle.is_empty() {
        return 0;
    }
    let mut end = byte_of(text, 0, last_end);
    for i in 0..nth {
        let window = text[..end].windows(needle.len()).rposition(|w| w == needle);
        let Some(at) = window else { return 0 };
        if i + 1 == nth {
            return chars_count(&text[..at]) + 1;
        }
        // The next one may overlap this one but for its last character.
        end = at + needle.len();
        end = text[..end].iter().rposition(|b| *b & 0xc0 != 0x80).unwrap_or(0);
    }
    0
}

/// Character position of `needle` at or after `start`; 0 when it is not there.
fn position_from(needle: Slot, text: Slot, start: i64, cx: &Context) -> i64 {
    let (text, needle) = (cx.bytes(text), cx.bytes(needle));
    if needle.is_empty() {
        return 1;
    }
    let from = byte_of(text, 0, start.saturating_sub(1));
    find(&text[from..], needle).map_or(0, |at| chars_count(&text[..from + at]) + 1)
}

pub(super) fn starts_with(args: &[Arg<'_>]) -> Bound {
    strict(texts("STARTSWITH", args, 2)?, DataType::Boolean, |v, cx| {
        Datum::bool(cx.bytes(v[0].slot).starts_with(cx.bytes(v[1].slot)))
    })
}

pub(super) fn ends_with(args: &[Arg<'_>]) -> Bound {
    strict(texts("ENDSWITH", args, 2)?, DataType::Boolean, |v, cx| {
        Datum::bool(cx.bytes(v[0].slot).ends_with(cx.bytes(v[1].slot)))
    })
}

/// SPLIT_INDEX(text, separator or its character code, index from 0): NULL when there is none.
pub(super) fn split_index(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "SPLIT_INDEX";
    count(NAME, args, 3, 3)?;
    let by_code = args[1].data_type.is_integer();
    let separator = match args[1].data_type {
        t if by_code => t.clone(),
        t if t.is_text() || *t == DataType::Null => text(NAME, &args[1])?,
        t => return Err(wrong(NAME, "a separator as text or as a character code", t)),
    };
    let types = vec![text(NAME, &args[0])?, separator, integer(NAME, &args[2])?];
    strict(types, DataType::STRING, move |v, cx| {
        let index = v[2].slot.as_i64();
        let mut buffer = [0; 4];
        let (text, separator) = if by_code {
            let code = u8::try_from(v[1].slot.as_i64()).ok().filter(|c| *c > 0);
            let Some(code) = code else { return Datum::NULL };
            (cx.text(v[0].slot), &*char::from(code).encode_utf8(&mut buffer))
        } else {
            (cx.text(v[0].slot), cx.text(v[1].slot))
        };
        match usize::try_from(index).ok().and_then(|i| nth_part(text, separator, i)) {
            Some((from, to)) => part(cx, v[0].slot, from..to),
            None => Datum::NULL,
        }
    })
}

/// An empty text has no parts; an empty separator is white space.
fn nth_part(text: &str, separator: &str, index: usize) -> Option<(usize, usize)> {
    let part = match separator {
        _ if text.is_empty() => None,
        "" => text.split(char::is_whitespace).nth(index),
        _ => text.split(separator).nth(index),
    }?;
    let from = part.as_ptr().addr() - text.as_ptr().addr();
    Some((from, from + part.len()))
}
