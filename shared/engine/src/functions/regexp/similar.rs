//! SIMILAR TO: SQL's own patterns, written as Java's and translated from there, as Flink does.
//!
//! `%` is any text, `_` one character that is no line end; `| * + ? { } ( ) [ ]` mean what they
//! mean in regular expressions. So does the dot, and `^` outside of brackets, as in Flink: the
//! standard takes them for characters. An escape character makes each of them plain.

use alloc::{format, string::String, vec};

use super::super::sig::{Bound, constant_text, count, strict, text};
use super::super::{Arg, Function};
use super::compiled;
use crate::{slot::Datum, types::DataType};

/// See the module.
pub(super) const SIMILAR: Function = Function { name: "SIMILAR TO", bind: similar };

/// What an escape character may stand before, besides itself.
const SPECIALS: &str = "_%^-[]|+*(){}?";

fn similar(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "SIMILAR TO";
    count(NAME, args, 2, 3)?;
    let mut types = vec![text(NAME, &args[0])?, text(NAME, &args[1])?];
    types.extend(args.get(2).map(|_| DataType::STRING));
    let pattern = constant_text(NAME, "its pattern", &args[1])?;
    let escape = args.get(2).map(|arg| constant_text(NAME, "its escape character", arg));
    let escape = match escape.transpose()?.map(|e| (e.chars().next(), e.chars().count())) {
        None => None,
        Some((Some(c), 1)) => Some(c),
        Some(_) => return Err(format!("{NAME} needs one escape character")),
    };
    let java = java_of(pattern, escape)
        .ok_or_else(|| format!("'{pattern}' is no pattern of {NAME} that is supported"))?;
    let whole = compiled(pattern, &java, |inner| format!(r"\A(?:{inner})\z"))?;
    strict(types, DataType::Boolean, move |v, cx| Datum::bool(whole.is_match(cx.text(v[0].slot))))
}

/// The pattern as Java has it.
fn java_of(pattern: &str, escape: Option<char>) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            c if Some(c) == escape => {
                let next = rest.next().filter(|n| SPECIALS.contains(*n) || Some(*n) == escape)?;
                if !next.is_alphanumeric() && next != '_' && next != '%' {
                    out.push('\\');
                }
                out.push(next);
            }
            '_' => out.push('.'),
            '%' => out.push_str(r"[\s\S]*"),
            '\\' | '$' => out.extend(['\\', c]),
            '[' => {
                let (inner, after) = rest
                    .as_str()
                    .split_once(']')
                    .filter(|(inner, _)| !inner.contains("[:"))
                    .or_else(|| named_class(rest.as_str()))?;
                class(inner, &mut out)?;
                rest = after.chars();
            }
            ']' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

/// The inside of brackets that hold classes by name, and what comes after them.
fn named_class(text: &str) -> Option<(&str, &str)> {
    let end = text.find(":]]")? + 2;
    Some((&text[..end], &text[end + 1..]))
}

/// Characters, ranges and classes by name; nothing that is special elsewhere.
fn class(inner: &str, out: &mut String) -> Option<()> {
    out.push('[');
    let mut rest = inner;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("[:") {
            let (name, after) = after.split_once(":]")?;
            out.push_str(match name {
                "ALPHA" | "alpha" => "A-Za-z",
                "UPPER" | "upper" => "A-Z",
                "LOWER" | "lower" => "a-z",
                "DIGIT" | "digit" => "0-9",
                "ALNUM" | "alnum" => "A-Za-z0-9",
                "SPACE" | "space" => " ",
                _ => return None,
            });
            rest = after;
            continue;
        }
        let is_plain = c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | ':' | '/' | '#' | '@');
        if !is_plain && (c != '-' || out.ends_with(['[', '^']) || rest.len() == 1) {
            return None;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    (!out.ends_with(['[', '^'])).then(|| out.push(']'))
}
