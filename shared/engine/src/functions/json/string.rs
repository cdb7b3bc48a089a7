//! JSON strings, already checked: compared, written without escapes, and with those that they need.

use alloc::string::String;
use core::fmt::{self, Write};
use core::ops::Range;

use super::super::build::{Builder, part};
use crate::{
    context::Context,
    slot::{Datum, Slot},
};

/// The character that stands for half of a pair without its other half.
const REPLACEMENT: char = '?';

/// Whether a string (with quotes) is the name.
pub(super) fn equals(quoted: &str, name: &str) -> bool {
    let inner = &quoted[1..quoted.len() - 1];
    if !inner.contains('\\') {
        return inner == name;
    }
    let (mut at, mut wanted) = (0, name.chars());
    while let Some((c, next)) = char_at(inner.as_bytes(), at) {
        if wanted.next() != Some(c) {
            return false;
        }
        at = next;
    }
    wanted.next().is_none()
}

/// The string's characters; a string without escapes is a part of its source.
pub(super) fn unescaped(source: Slot, quoted: Range<usize>, cx: &mut Context) -> Datum {
    let inner = quoted.start + 1..quoted.end - 1;
    if !cx.bytes(source)[inner.clone()].contains(&b'\\') {
        return part(cx, source, inner);
    }
    let mut out = Builder::new(cx);
    let mut at = 0;
    while let Some((c, next)) = char_at(&out.bytes(source)[inner.clone()], at) {
        out.push_char(c);
        at = next;
    }
    out.finish()
}

/// The characters of a string (with quotes) of `text`.
pub(super) fn decoded(text: &[u8], quoted: Range<usize>) -> String {
    let inner = &text[quoted.start + 1..quoted.end - 1];
    let (mut out, mut at) = (String::with_capacity(inner.len()), 0);
    while let Some((c, next)) = char_at(inner, at) {
        out.push(c);
        at = next;
    }
    out
}

/// A text as a JSON string, with only those escapes that it needs.
pub(super) fn write(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\u{8}' => out.write_str("\\b"),
            '\u{c}' => out.write_str("\\f"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            '\0'..='\u{1f}' => write!(out, "\\u{:04X}", u32::from(c)),
            c => out.write_char(c),
        }?;
    }
    out.write_char('"')
}

/// The character at a byte, escaped or not, and where the next one begins.
fn char_at(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    if *bytes.get(at)? != b'\\' {
        let c = super::super::build::char_at(bytes, at)?;
        return Some((c, at + c.len_utf8()));
    }
    let c = match bytes.get(at + 1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return Some(unicode(bytes, at)),
        other => char::from(*other),
    };
    Some((c, at + 2))
}

/// `\uXXXX`, or two of them for a character beyond 16 bits.
fn unicode(bytes: &[u8], at: usize) -> (char, usize) {
    let first = code(bytes, at).unwrap_or(0);
    let (end, second_at) = (at + 6, at + 6);
    if (0xd800..0xdc00).contains(&first)
        && let Some(second @ 0xdc00..0xe000) = code(bytes, second_at)
    {
        let pair = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(pair).unwrap_or(REPLACEMENT), end + 6);
    }
    (char::from_u32(first).unwrap_or(REPLACEMENT), end)
}

fn code(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}
