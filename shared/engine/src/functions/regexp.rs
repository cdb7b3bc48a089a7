//! REGEXP and the functions REGEXP_*: Java's patterns on the `regex` crate.
//!
//! Patterns are constants, translated and compiled once; what Java has and the crate has not
//! (look-around, back references, possessive quantifiers) is refused by name. `\d`, `\w` and `\s`
//! are ASCII, as in Java. One known difference: `$` matches at the very end only, not before a
//! final line end too.

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::Range;

use regex::{Regex, RegexBuilder};

use super::array::put_array;
use super::build::{Builder, part};
use super::sig::{Bound, constant_text, count, integer, strict, text};
use super::{Arg, Function};
use crate::{slot::Datum, types::DataType};

mod similar;
mod translate;

pub(super) const LIST: &[Function] = &[
    Function { name: "REGEXP", bind: regexp },
    Function { name: "REGEXP_EXTRACT", bind: extract },
    Function { name: "REGEXP_REPLACE", bind: replace },
    Function { name: "REGEXP_SUBSTR", bind: substr },
    Function { name: "REGEXP_INSTR", bind: instr },
    Function { name: "REGEXP_COUNT", bind: occurrences },
    Function { name: "REGEXP_EXTRACT_ALL", bind: extract_all },
    similar::SIMILAR,
];

/// Memory of one compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Nested groups of a pattern.
const NESTING_MAX: u32 = 50;

fn compile(name: &str, arg: &Arg<'_>) -> Result<Regex, String> {
    let pattern = constant_text(name, "its pattern", arg)?;
    compiled(pattern, pattern, |translated| translated)
}

/// A pattern of Java compiled, with something around it; `written` is what the user knows it by.
fn compiled(
    written: &str,
    pattern: &str,
    around: impl FnOnce(String) -> String,
) -> Result<Regex, String> {
    let translated = translate::translate(pattern)
        .map_err(|what| format!("the regular expression has {what}, which is not supported"))?;
    RegexBuilder::new(&around(translated))
        .size_limit(COMPILED_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|_| format!("'{written}' is no regular expression"))
}

/// REGEXP(text, pattern): whether it is found; an empty pattern never is.
fn regexp(args: &[Arg<'_>]) -> Bound {
    count("REGEXP", args, 2, 2)?;
    let types = vec![text("REGEXP", &args[0])?, text("REGEXP", &args[1])?];
    let pattern = compile("REGEXP", &args[1])?;
    let is_empty = pattern.as_str().is_empty();
    strict(types, DataType::Boolean, move |v, cx| {
        Datum::bool(!is_empty && pattern.is_match(cx.text(v[0].slot)))
    })
}

/// REGEXP_EXTRACT(text, pattern[, group]): NULL without a match, and for a group that is not there.
fn extract(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "REGEXP_EXTRACT";
    count(NAME, args, 2, 3)?;
    let mut types = vec![text(NAME, &args[0])?, text(NAME, &args[1])?];
    types.extend(args.get(2).map(|a| integer(NAME, a)).transpose()?);
    let pattern = compile(NAME, &args[1])?;
    strict(types, DataType::STRING, move |v, cx| {
        let group = usize::try_from(v.get(2).map_or(0, |v| v.slot.as_i64()));
        let text = cx.text(v[0].slot);
        let found = match group {
            Ok(0) => pattern.find(text).map(|m| m.range()),
            Ok(group) => pattern.captures(text).and_then(|c| c.get(group).map(|m| m.range())),
            Err(_) => None,
        };
        found.map_or(Datum::NULL, |range| part(cx, v[0].slot, range))
    })
}

/// REGEXP_REPLACE(text, pattern, replacement): every match; the replacement is plain text.
fn replace(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "REGEXP_REPLACE";
    count(NAME, args, 3, 3)?;
    let types = vec![text(NAME, &args[0])?, text(NAME, &args[1])?, text(NAME, &args[2])?];
    let pattern = compile(NAME, &args[1])?;
    strict(types, DataType::STRING, move |v, cx| {
        let mut out = Builder::new(cx);
        let (mut from, mut at) = (0, 0);
        while out.fits() {
            let Some((found, next)) = next_match(&pattern, out.text(v[0].slot), at) else { break };
            out.push_part(v[0].slot, from..found.start);
            out.push_all(v[2].slot);
            (from, at) = (found.end, next);
        }
        let len = out.bytes(v[0].slot).len();
        out.push_part(v[0].slot, from..len);
        out.finish()
    })
}

/// The next match from byte `at` on, and where the search goes on after it. As in Java, an empty
/// match may follow a match at once; after it the search goes on one character further.
fn next_match(pattern: &Regex, text: &str, at: usize) -> Option<(Range<usize>, usize)> {
    if at > text.len() {
        return None;
    }
    let found = pattern.find_at(text, at)?.range();
    let mut next = found.end;
    if found.is_empty() {
        next += text[next..].chars().next().map_or(1, char::len_utf8);
    }
    Some((found, next))
}

/// A text and a pattern.
fn of_two(name: &str, args: &[Arg<'_>]) -> Result<(Vec<DataType>, Regex), String> {
    count(name, args, 2, 2)?;
    let types = vec![text(name, &args[0])?, text(name, &args[1])?];
    Ok((types, compile(name, &args[1])?))
}

/// REGEXP_SUBSTR(text, pattern): the first match; NULL without one.
fn substr(args: &[Arg<'_>]) -> Bound {
    let (types, pattern) = of_two("REGEXP_SUBSTR", args)?;
    strict(types, DataType::STRING, move |v, cx| {
        let found = pattern.find(cx.text(v[0].slot)).map(|m| m.range());
        found.map_or(Datum::NULL, |range| part(cx, v[0].slot, range))
    })
}

/// REGEXP_INSTR(text, pattern): the character where the first match begins, from 1; 0 without one.
fn instr(args: &[Arg<'_>]) -> Bound {
    let (types, pattern) = of_two("REGEXP_INSTR", args)?;
    strict(types, DataType::Int, move |v, cx| {
        let text = cx.text(v[0].slot);
        let before = pattern.find(text).map(|m| text[..m.start()].chars().count() + 1);
        Datum::i64(i64::try_from(before.unwrap_or(0)).unwrap_or(0))
    })
}

/// REGEXP_COUNT(text, pattern): how many matches there are.
fn occurrences(args: &[Arg<'_>]) -> Bound {
    let (types, pattern) = of_two("REGEXP_COUNT", args)?;
    strict(types, DataType::Int, move |v, cx| {
        let (mut at, mut matches) = (0, 0);
        while let Some((_, next)) = next_match(&pattern, cx.text(v[0].slot), at) {
            at = next;
            matches += 1;
        }
        Datum::i64(matches)
    })
}

/// REGEXP_EXTRACT_ALL(text, pattern[, group]): the group, by default the first one, of every match;
/// NULL for a group that the pattern does not have.
fn extract_all(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "REGEXP_EXTRACT_ALL";
    count(NAME, args, 2, 3)?;
    let mut types = vec![text(NAME, &args[0])?, text(NAME, &args[1])?];
    types.extend(args.get(2).map(|a| integer(NAME, a)).transpose()?);
    let pattern = compile(NAME, &args[1])?;
    strict(types, DataType::Array(DataType::STRING.into()), move |v, cx| {
        let group = usize::try_from(v.get(2).map_or(1, |v| v.slot.as_i64()));
        let Some(group) = group.ok().filter(|group| *group < pattern.captures_len()) else {
            return Datum::NULL;
        };
        let mut parts = Vec::new();
        let mut at = 0;
        while at <= cx.text(v[0].slot).len() {
            let text = cx.text(v[0].slot);
            let Some(found) = pattern.captures_at(text, at) else { break };
            let Some((_, next)) = next_match(&pattern, text, at) else { break };
            at = next;
            let range = found.get(group).map(|m| m.range());
            parts.push(range.map_or(Datum::NULL, |range| part(cx, v[0].slot, range)));
        }
        put_array(&parts, &DataType::STRING, cx)
    })
}
