//! LIKE, without allocation: `%` any text, `_` one character that is no line end, an escape
//! character makes either plain.

use alloc::{format, string::String, vec};
use core::str::Chars;

use super::sig::{Bound, constant_text, count, strict, text};
use super::{Arg, Function};
use crate::{context::Fault, slot::Datum, types::DataType};

pub(super) const LIST: &[Function] = &[Function { name: "LIKE", bind: like }];

/// Java's line ends, which a dot does not match.
pub(super) const LINE_ENDS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

/// LIKE(text, pattern[, escape]).
fn like(args: &[Arg<'_>]) -> Bound {
    count("LIKE", args, 2, 3)?;
    let mut types = vec![text("LIKE", &args[0])?, text("LIKE", &args[1])?];
    let escape = args.get(2).map(escape_of).transpose()?;
    types.extend(escape.map(|_| DataType::STRING));
    if let Ok(pattern) = constant_text("LIKE", "its pattern", &args[1]) {
        let mut items = pattern.chars();
        while let Some(item) = next(&mut items, escape) {
            item.map_err(|Invalid| format!("the LIKE pattern '{pattern}' ends its escape badly"))?;
        }
    }
    strict(types, DataType::Boolean, move |v, cx| {
        match matches(cx.text(v[0].slot), cx.text(v[1].slot), escape) {
            Ok(found) => Datum::bool(found),
            Err(Invalid) => cx.fail(Fault::InvalidArgument),
        }
    })
}

fn escape_of(arg: &Arg<'_>) -> Result<char, String> {
    let text = constant_text("LIKE", "its escape character", arg)?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(format!("LIKE needs one escape character, not '{text}'")),
    }
}

enum Item {
    Plain(char),
    One,
    Many,
}

/// An escape character before anything but `%`, `_` and itself.
struct Invalid;

fn next(pattern: &mut Chars<'_>, escape: Option<char>) -> Option<Result<Item, Invalid>> {
    let c = pattern.next()?;
    if Some(c) == escape {
        return Some(match pattern.next() {
            Some(c) if c == '%' || c == '_' || Some(c) == escape => Ok(Item::Plain(c)),
            _ => Err(Invalid),
        });
    }
    Some(Ok(match c {
        '%' => Item::Many,
        '_' => Item::One,
        c => Item::Plain(c),
    }))
}

/// After a mismatch only the last `%` takes one character more.
fn matches(text: &str, pattern: &str, escape: Option<char>) -> Result<bool, Invalid> {
    let (mut text, mut pattern) = (text.chars(), pattern.chars());
    let mut last_many: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (text_before, mut after) = (text.clone(), pattern.clone());
        let matched = match next(&mut after, escape).transpose()? {
            Some(Item::Many) => {
                last_many = Some((after.clone(), text_before));
                true
            }
            Some(Item::One) => text.next().is_some_and(|c| !LINE_ENDS.contains(&c)),
            Some(Item::Plain(wanted)) => text.next() == Some(wanted),
            None if text.as_str().is_empty() => return Ok(true),
            None => false,
        };
        if matched {
            pattern = after;
            continue;
        }
        let Some((after_many, at_many)) = &mut last_many else { return Ok(false) };
        if at_many.next().is_none() {
            return Ok(false);
        }
        (pattern, text) = (after_many.clone(), at_many.clone());
    }
}
