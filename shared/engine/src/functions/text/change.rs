//! Texts made from texts, character by character.

use super::super::build::Builder;
use super::chars_count;
use crate::{
    context::Context,
    slot::{Datum, Slot},
};

/// Bytes that are copied out of the source at once.
const CHUNK_BYTES: usize = 64;

pub(super) fn upper(source: Slot, cx: &mut Context) -> Datum {
    let ascii = <[u8]>::make_ascii_uppercase;
    map_case(source, ascii, |c, out| c.to_uppercase().for_each(|c| out.push_char(c)), cx)
}

pub(super) fn lower(source: Slot, cx: &mut Context) -> Datum {
    let ascii = <[u8]>::make_ascii_lowercase;
    map_case(source, ascii, |c, out| c.to_lowercase().for_each(|c| out.push_char(c)), cx)
}

/// Runs of ASCII go through a small buffer, the rest one by one.
fn map_case(
    source: Slot,
    ascii: fn(&mut [u8]),
    other: fn(char, &mut Builder<'_>),
    cx: &mut Context,
) -> Datum {
    let mut out = Builder::new(cx);
    let len = out.bytes(source).len();
    let mut at = 0;
    while at < len && out.fits() {
        let mut chunk = [0; CHUNK_BYTES];
        let bytes = &out.bytes(source)[at..];
        let run = bytes.iter().take(CHUNK_BYTES).take_while(|b| b.is_ascii()).count();
        if run > 0 {
            let chunk = &mut chunk[..run];
            chunk.copy_from_slice(&bytes[..run]);
            ascii(chunk);
            out.push(core::str::from_utf8(chunk).expect("ASCII"));
            at += run;
        } else {
            let Some(c) = out.char_at(source, at) else { break };
            other(c, &mut out);
            at += c.len_utf8();
        }
    }
    out.finish()
}

/// Each word's first ASCII letter upper, its others lower case; words consist of ASCII letters and
/// digits.
pub(super) fn initcap(source: Slot, cx: &mut Context) -> Datum {
    let mut out = Builder::new(cx);
    let (mut at, mut in_word) = (0, false);
    while let Some(c) = out.char_at(source, at) {
        out.push_char(if in_word { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
        in_word = c.is_ascii_alphanumeric();
        at += c.len_utf8();
    }
    out.finish()
}

pub(super) fn reverse(source: Slot, cx: &mut Context) -> Datum {
    let mut out = Builder::new(cx);
    let mut end = out.bytes(source).len();
    while end > 0 {
        let start = out.bytes(source)[..end].iter().rposition(|b| *b & 0xc0 != 0x80).unwrap_or(0);
        out.push_part(source, start..end);
        end = start;
    }
    out.finish()
}

pub(super) fn repeat(source: Slot, n: i64, cx: &mut Context) -> Datum {
    let mut out = Builder::new(cx);
    let len = out.bytes(source).len();
    let mut left = if len == 0 { 0 } else { n };
    while left > 0 && out.fits() {
        out.push_all(source);
        left -= 1;
    }
    out.finish()
}

/// Every `old` becomes `new`; an empty `old` stands between all characters, as in Java.
pub(super) fn replace(source: Slot, old: Slot, new: Slot, cx: &mut Context) -> Datum {
    let old_len = cx.bytes(old).len();
    let mut out = Builder::new(cx);
    let len = out.bytes(source).len();
    let (mut from, mut at) = (0, 0);
    while out.fits() {
        let found = if old_len == 0 {
            (at <= len).then_some(at)
        } else {
            find(&out.bytes(source)[at..], out.bytes(old)).map(|i| at + i)
        };
        let Some(start) = found else { break };
        out.push_part(source, from..start);
        out.push_all(new);
        from = start + old_len;
        at = if old_len == 0 {
            start + out.char_at(source, start).map_or(1, char::len_utf8)
        } else {
            from
        };
    }
    out.push_part(source, from..len);
    out.finish()
}

/// Cut or filled to `length` characters; NULL where that cannot be.
pub(super) fn pad(source: Slot, length: i64, with: Slot, is_left: bool, cx: &mut Context) -> Datum {
    if length < 0 || cx.bytes(with).is_empty() {
        return Datum::NULL;
    }
    let missing = length - chars_count(cx.bytes(source));
    if missing <= 0 {
        return super::slice(source, 1, length, cx);
    }
    let mut out = Builder::new(cx);
    if !is_left {
        out.push_all(source);
    }
    let (mut left, mut at) = (missing, 0);
    while left > 0 && out.fits() {
        let c = out.char_at(with, at).or_else(|| {
            at = 0;
            out.char_at(with, 0)
        });
        let Some(c) = c else { break };
        out.push_char(c);
        at += c.len_utf8();
        left -= 1;
    }
    if is_left {
        out.push_all(source);
    }
    out.finish()
}

/// Where `needle`, which is not empty, first stands.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
