//! REGEXP, REGEXP_EXTRACT, REGEXP_REPLACE: Java's patterns on the `regex` crate.
//!
//! Patterns are constants, translated and compiled once; what Java has and the crate has not
//! (look-around, back references, possessive quantifiers) is refused by name. `\d`, `\w` and `\s`
//! are ASCII, as in Java. One known difference: `$` matches at the very end only, not before a
//! final line end too.

use alloc::{format, string::String, vec};

use regex::{Regex, RegexBuilder};

use super::build::{Builder, part};
use super::sig::{Bound, constant_text, count, integer, strict, text};
use super::{Arg, Function};
use crate::{slot::Datum, types::DataType};

mod translate;

pub(super) const LIST: &[Function] = &[
    Function { name: "REGEXP", bind: regexp },
    Function { name: "REGEXP_EXTRACT", bind: extract },
    Function { name: "REGEXP_REPLACE", bind: replace },
];

/// Memory of one compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Nested groups of a pattern.
const NESTING_MAX: u32 = 50;

fn compile(name: &str, arg: &Arg<'_>) -> Result<Regex, String> {
    let pattern = constant_text(name, "its pattern", arg)?;
    let translated = translate::translate(pattern)
        .map_err(|what| format!("the regular expression has {what}, which is not supported"))?;
    RegexBuilder::new(&translated)
        .size_limit(COMPILED_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|_| format!("'{pattern}' is no regular expression"))
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
            let text = out.text(v[0].slot);
            if at > text.len() {
                break;
            }
            let Some(found) = pattern.find_at(text, at).map(|m| m.range()) else { break };
            // As in Java, an empty match may follow a match at once; after it the search goes on
            // one character further.
            at = found.end;
            if found.is_empty() {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
            out.push_part(v[0].slot, from..found.start);
            out.push_all(v[2].slot);
            from = found.end;
        }
        let len = out.bytes(v[0].slot).len();
        out.push_part(v[0].slot, from..len);
        out.finish()
    })
}
