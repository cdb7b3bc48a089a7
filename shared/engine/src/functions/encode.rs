//! Texts and numbers written in another alphabet: hexadecimal and binary digits, base 64, URLs.

use alloc::{format, string::String, vec, vec::Vec};
use core::fmt::Write;

use super::build::Builder;
use super::sig::{Bound, constant_text, count, strict, text};
use super::{Arg, Function};
use crate::{
    context::{Context, Fault},
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) const LIST: &[Function] = &[
    Function { name: "HEX", bind: hex },
    Function { name: "UNHEX", bind: unhex },
    Function { name: "BIN", bind: bin },
    Function { name: "TO_BASE64", bind: |args| of_text("TO_BASE64", args, to_base64) },
    Function { name: "FROM_BASE64", bind: |args| of_text("FROM_BASE64", args, from_base64) },
    Function { name: "URL_ENCODE", bind: |args| of_text("URL_ENCODE", args, url_encode) },
    Function { name: "URL_DECODE", bind: |args| of_text("URL_DECODE", args, url_decode) },
    Function { name: "ENCODE", bind: encode },
    Function { name: "DECODE", bind: decode },
];

fn of_text(name: &str, args: &[Arg<'_>], f: fn(Slot, &mut Context) -> Datum) -> Bound {
    count(name, args, 1, 1)?;
    strict(vec![text(name, &args[0])?], DataType::STRING, move |v, cx| f(v[0].slot, cx))
}

/// Writes without end: a builder notes what does not fit, and never refuses.
fn written(cx: &mut Context, write: impl FnOnce(&mut Builder<'_>) -> core::fmt::Result) -> Datum {
    let mut out = Builder::new(cx);
    let _ = write(&mut out);
    out.finish()
}

/// HEX of an integer (in 64 bits), or of a text's bytes.
fn hex(args: &[Arg<'_>]) -> Bound {
    count("HEX", args, 1, 1)?;
    match args[0].data_type {
        t if t.is_integer() => strict(vec![t.clone()], DataType::STRING, |v, cx| {
            let value = v[0].slot.as_i64();
            written(cx, |out| write!(out, "{value:X}"))
        }),
        t if t.is_text() || *t == DataType::Null => {
            strict(vec![text("HEX", &args[0])?], DataType::STRING, |v, cx| {
                written(cx, |out| {
                    let mut at = 0;
                    while let Some(byte) = out.bytes(v[0].slot).get(at).copied() {
                        write!(out, "{byte:02X}")?;
                        at += 1;
                    }
                    Ok(())
                })
            })
        }
        t => Err(format!("HEX needs an integer or a text, not {t}")),
    }
}

/// UNHEX: NULL for what is no digit. As in Flink, of an odd number of digits the first one makes a
/// zero byte, whatever it is.
fn unhex(args: &[Arg<'_>]) -> Bound {
    count("UNHEX", args, 1, 1)?;
    strict(vec![text("UNHEX", &args[0])?], DataType::Bytes, |v, cx| {
        let digits = cx.bytes(v[0].slot);
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Datum::NULL;
        }
        let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0);
        let pair = |pair: &[u8]| u8::try_from(value(pair[0]) << 4 | value(pair[1])).unwrap_or(0);
        let (first, pairs) = digits.split_at(digits.len() % 2);
        let bytes: Vec<u8> =
            first.iter().map(|_| 0).chain(pairs.chunks_exact(2).map(pair)).collect();
        cx.put_bytes(&bytes)
    })
}

fn bin(args: &[Arg<'_>]) -> Bound {
    count("BIN", args, 1, 1)?;
    let own = super::sig::integer("BIN", &args[0])?;
    strict(vec![own], DataType::STRING, |v, cx| {
        let value = v[0].slot.as_i64();
        written(cx, |out| write!(out, "{value:b}"))
    })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(source: Slot, cx: &mut Context) -> Datum {
    let mut text = String::new();
    let _ = write_base64(cx.bytes(source), &mut text);
    cx.put_text(&text)
}

/// Bytes in base 64, with padding.
pub(super) fn write_base64(bytes: &[u8], out: &mut impl Write) -> core::fmt::Result {
    for rest in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..rest.len()].copy_from_slice(rest);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for (i, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = BASE64[(bits >> shift & 63) as usize];
            out.write_char(if i <= rest.len() { char::from(digit) } else { '=' })?;
        }
    }
    Ok(())
}

/// A text that is no base 64, or that gives no text, is a fault, as it ends the job in Flink.
fn from_base64(source: Slot, cx: &mut Context) -> Datum {
    let text = base64_bytes(cx.bytes(source)).and_then(|bytes| String::from_utf8(bytes).ok());
    match text {
        Some(text) => cx.put_text(&text),
        None => cx.fail(Fault::InvalidArgument),
    }
}

/// The padding may be missing as a whole.
fn base64_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|b| **b == b'=').count();
    let digits = &text[..text.len() - padding];
    let is_padded = padding == 0 || padding <= 2 && text.len().is_multiple_of(4);
    if !is_padded || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let value = BASE64.iter().position(|d| d == digit)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        bits <<= 6 * (4 - group.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

/// As forms are encoded: a blank is `+`.
fn url_encode(source: Slot, cx: &mut Context) -> Datum {
    written(cx, |out| {
        let mut at = 0;
        while let Some(byte) = out.bytes(source).get(at).copied() {
            match byte {
                b' ' => out.push("+"),
                b'.' | b'-' | b'*' | b'_' => out.push_char(char::from(byte)),
                byte if byte.is_ascii_alphanumeric() => out.push_char(char::from(byte)),
                byte => write!(out, "%{byte:02X}")?,
            }
            at += 1;
        }
        Ok(())
    })
}

/// NULL where a `%` is not followed by two digits.
fn url_decode(source: Slot, cx: &mut Context) -> Datum {
    let (mut bytes, mut at) = (Vec::new(), 0);
    let text = cx.bytes(source);
    while let Some(byte) = text.get(at).copied() {
        let mut next = at + 1;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                next = at + 3;
                let digits = text.get(at + 1..next).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
                let digits = digits.and_then(|digits| core::str::from_utf8(digits).ok());
                match digits.map(|digits| u8::from_str_radix(digits, 16)) {
                    Some(Ok(byte)) => byte,
                    _ => return Datum::NULL,
                }
            }
            byte => byte,
        });
        at = next;
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    cx.put_text(&text)
}

#[derive(Clone, Copy)]
enum Charset {
    Utf8,
    Latin1,
    Ascii,
}

fn charset(name: &str, arg: &Arg<'_>) -> Result<Charset, String> {
    let text = constant_text(name, "its character set", arg)?;
    match text.to_ascii_uppercase().as_str() {
        "UTF-8" => Ok(Charset::Utf8),
        "ISO-8859-1" => Ok(Charset::Latin1),
        "US-ASCII" => Ok(Charset::Ascii),
        _ => Err(format!("{name} knows UTF-8, ISO-8859-1 and US-ASCII, not '{text}'")),
    }
}

/// ENCODE(text, character set): `?` for what the set does not have.
fn encode(args: &[Arg<'_>]) -> Bound {
    count("ENCODE", args, 2, 2)?;
    let charset = charset("ENCODE", &args[1])?;
    let types = vec![text("ENCODE", &args[0])?, text("ENCODE", &args[1])?];
    strict(types, DataType::Bytes, move |v, cx| {
        let last = match charset {
            Charset::Utf8 => return Datum::of(v[0].slot),
            Charset::Latin1 => 0xff,
            Charset::Ascii => 0x7f,
        };
        let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|b| *b <= last).unwrap_or(b'?');
        let bytes: Vec<u8> = cx.text(v[0].slot).chars().map(byte).collect();
        cx.put_bytes(&bytes)
    })
}

/// DECODE(bytes, character set): U+FFFD for what is no character.
fn decode(args: &[Arg<'_>]) -> Bound {
    count("DECODE", args, 2, 2)?;
    let charset = charset("DECODE", &args[1])?;
    if !matches!(args[0].data_type, DataType::Bytes | DataType::Null) {
        return Err(format!("DECODE needs BYTES here, not {}", args[0].data_type));
    }
    let types = vec![DataType::Bytes, text("DECODE", &args[1])?];
    strict(types, DataType::STRING, move |v, cx| {
        let bytes = cx.bytes(v[0].slot);
        if core::str::from_utf8(bytes).is_ok() && !matches!(charset, Charset::Latin1) {
            return match charset {
                Charset::Ascii if !bytes.is_ascii() => replaced(v[0].slot, cx),
                _ => Datum::of(v[0].slot),
            };
        }
        match charset {
            Charset::Utf8 => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                cx.put_text(&text)
            }
            Charset::Ascii => replaced(v[0].slot, cx),
            Charset::Latin1 => {
                let text: String = bytes.iter().copied().map(char::from).collect();
                cx.put_text(&text)
            }
        }
    })
}

/// ASCII with every other byte replaced.
fn replaced(source: Slot, cx: &mut Context) -> Datum {
    let shown = |b: &u8| if b.is_ascii() { char::from(*b) } else { char::REPLACEMENT_CHARACTER };
    let text: String = cx.bytes(source).iter().map(shown).collect();
    cx.put_text(&text)
}
