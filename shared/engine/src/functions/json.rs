//! The functions of JSON: values out of a text, and texts out of values (`make`).
//!
//! Arguments of JSON_VALUE are the text, the path and, all three or none, a NULL of the type that
//! RETURNING names, the value if empty, and the value on error (NULL for both by default); after
//! them, if need be, two words that say `ERROR` where a case is to be a fault. Those of
//! JSON_EXISTS are the text, the path and, if need be, the word for errors.
//!
//! Paths are constants: `$.a.b[0]`, `$['a']`, with `lax` or `strict` before; Flink's default is
//! strict: a path that leads nowhere, a JSON null and a text that is no JSON are errors. In lax
//! mode they are empty. Paths with `[*]`, `.*`, `[a:b]`, `[a, b]`, `[?(…)]` or `..name` lead to a
//! list, be it empty. Functions and a second `..` are refused. Of equal names the last counts.

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::Range;

use super::build::Builder;
use super::sig::{Bound, constant_text, count, strict, text};
use super::{Arg, Function, sig};
use crate::{
    context::{Context, Fault},
    slot::{Datum, Slot},
    types::DataType,
};
use path::Path;
use scan::Scanner;
use tree::Tree;

mod filter;
pub(super) mod make;
mod number;
mod path;
mod query;
mod scan;
mod string;
mod tree;
mod write;

pub(super) const LIST: &[Function] = &[
    Function { name: "JSON_VALUE", bind: value },
    Function { name: "JSON_QUERY", bind: query::query },
    Function { name: "JSON_EXISTS", bind: exists },
    Function { name: "JSON_UNQUOTE", bind: unquote },
    Function { name: "IS JSON", bind: |args| is_json("IS JSON", args, |_| true) },
    Function { name: "IS JSON VALUE", bind: |args| is_json("IS JSON VALUE", args, |_| true) },
    Function {
        name: "IS JSON OBJECT",
        bind: |args| is_json("IS JSON OBJECT", args, |c| c == b'{'),
    },
    Function { name: "IS JSON ARRAY", bind: |args| is_json("IS JSON ARRAY", args, |c| c == b'[') },
    Function {
        name: "IS JSON SCALAR",
        bind: |args| is_json("IS JSON SCALAR", args, |c| c != b'{' && c != b'['),
    },
];

/// What a path leads to.
enum Found {
    /// A value, by its place in the text.
    Value(Range<usize>),
    /// The values that a path with wildcards leads to.
    List(Vec<Range<usize>>),
    /// In lax mode: JSON null, nothing, or no JSON.
    Empty,
    /// In strict mode: JSON null, nothing, or no JSON. In any mode: a document that is only null.
    Error,
    /// A filter asks an object or an array for its value, at which Flink's job fails.
    Fails,
}

fn follow(text: &str, path: &Path) -> Found {
    let nothing = if path.is_lax { Found::Empty } else { Found::Error };
    // Where a list could be, lax mode finds an empty one.
    let nothing_there = if path.is_lax { Found::List(Vec::new()) } else { Found::Error };
    // Flink refuses a document that is nothing but null, in both modes.
    if text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with("null")
        && matches!(Scanner::new(text).find(&[]), Some(Some(_)))
    {
        return Found::Error;
    }
    let found = Scanner::new(text).find(&path.steps);
    if !path.many.is_empty() {
        return match found {
            None => nothing,
            Some(Some(range)) => listed(text, range, &path.many, nothing_there),
            Some(None) => nothing_there,
        };
    }
    match found {
        Some(Some(range)) if &text[range.clone()] != "null" => Found::Value(range),
        _ => nothing,
    }
}

fn listed(text: &str, range: Range<usize>, steps: &[path::Step], nothing_there: Found) -> Found {
    let is_scalar = !matches!(text.as_bytes()[range.start], b'{' | b'[');
    if is_scalar && matches!(steps[0], path::Step::Filter(_)) {
        return Found::Error;
    }
    let tree = Tree::of(text.as_bytes(), range);
    match tree.follow(text.as_bytes(), steps) {
        Ok(Some(nodes)) => Found::List(nodes.into_iter().map(|node| tree.range(node)).collect()),
        Ok(None) => nothing_there,
        Err(_) => Found::Fails,
    }
}

fn path_of(name: &str, arg: &Arg<'_>) -> Result<Path, String> {
    let text = constant_text(name, "its path", arg)?;
    Path::parse(text).ok_or_else(|| {
        format!("the JSON path '{text}' has a form that is not supported: write $.name[0].name")
    })
}

/// What happens on an error, or where nothing is found.
fn word<'a>(name: &str, arg: Option<&Arg<'a>>) -> Result<&'a str, String> {
    arg.map_or(Ok(""), |arg| constant_text(name, "the word before ON", arg))
}

fn exists(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "JSON_EXISTS";
    count(NAME, args, 2, 3)?;
    let path = path_of(NAME, &args[1])?;
    let on_error = match word(NAME, args.get(2))? {
        "" | "FALSE" => Some(Datum::bool(false)),
        "TRUE" => Some(Datum::bool(true)),
        "UNKNOWN" => Some(Datum::NULL),
        "ERROR" => None,
        other => return Err(format!("{NAME} has no {other} ON ERROR")),
    };
    let types = args.iter().map(|arg| text(NAME, arg)).collect::<Result<_, _>>()?;
    strict(types, DataType::Boolean, move |v, cx| {
        match (follow(cx.text(v[0].slot), &path), on_error) {
            (Found::Value(_) | Found::List(_), _) => Datum::bool(true),
            (Found::Empty, _) => Datum::bool(false),
            (Found::Error, Some(value)) => value,
            (Found::Error, None) | (Found::Fails, _) => cx.fail(Fault::InvalidArgument),
        }
    })
}

/// JSON_UNQUOTE: the characters of a JSON string; every other text as it is.
fn unquote(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "JSON_UNQUOTE";
    count(NAME, args, 1, 1)?;
    strict(vec![text(NAME, &args[0])?], DataType::STRING, |v, cx| {
        let source = cx.text(v[0].slot);
        let is_string = source.starts_with('"')
            && Scanner::new(source).find(&[]) == Some(Some(0..source.len()));
        let length = source.len();
        if is_string { string::unescaped(v[0].slot, 0..length, cx) } else { v[0] }
    })
}

/// IS JSON of a NULL is FALSE, as a predicate has it.
fn is_json(name: &str, args: &[Arg<'_>], first: fn(u8) -> bool) -> Bound {
    count(name, args, 1, 1)?;
    sig::lenient(vec![text(name, &args[0])?], DataType::Boolean, move |v, cx| {
        let text = if v[0].is_null() { "" } else { cx.text(v[0].slot) };
        let found = Scanner::new(text).find(&[]).flatten();
        Datum::bool(found.is_some_and(|range| first(text.as_bytes()[range.start])))
    })
}

fn value(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "JSON_VALUE";
    if !matches!(args.len(), 2 | 5) {
        count(NAME, args, 7, 7)?;
    }
    let path = path_of(NAME, &args[1])?;
    let returning = args.get(2).map_or(DataType::STRING, |a| a.data_type.clone());
    let mut types: Vec<_> = vec![text(NAME, &args[0])?, text(NAME, &args[1])?];
    types.extend(args.iter().skip(2).take(3).map(|_| returning.clone()));
    types.extend(args.iter().skip(5).map(|_| DataType::STRING));
    let fails = [word(NAME, args.get(5))? == "ERROR", word(NAME, args.get(6))? == "ERROR"];
    let read: Read = match &returning {
        t if t.is_text() => read_text,
        DataType::Boolean => read_boolean,
        DataType::Int => read_int,
        DataType::Double => read_double,
        t => return Err(format!("{NAME} does not return {t}; cast its text")),
    };
    sig::lenient(types, returning, move |v, cx| {
        if v[0].is_null() || v[1].is_null() {
            return Datum::NULL;
        }
        let text = cx.text(v[0].slot);
        let case = match follow(text, &path) {
            Found::Empty => 0,
            Found::Error => 1,
            Found::Fails => return cx.fail(Fault::InvalidArgument),
            Found::List(_) => usize::from(!path.is_lax),
            Found::Value(range) => match text.as_bytes()[range.start] {
                b'{' | b'[' => usize::from(!path.is_lax),
                _ => return read(v[0].slot, range, cx),
            },
        };
        if fails[case] {
            return cx.fail(Fault::InvalidArgument);
        }
        v.get(DEFAULTS + case).copied().unwrap_or(Datum::NULL)
    })
}

/// Position of the first default among JSON_VALUE's arguments.
const DEFAULTS: usize = 3;

type Read = fn(Slot, Range<usize>, &mut Context) -> Datum;

fn read_text(source: Slot, range: Range<usize>, cx: &mut Context) -> Datum {
    match cx.bytes(source)[range.start] {
        b'"' => string::unescaped(source, range, cx),
        b't' | b'f' => super::build::part(cx, source, range),
        _ => {
            let number = number::Plain::of(&cx.bytes(source)[range]);
            let mut out = Builder::new(cx);
            // A builder never refuses: it notes what does not fit.
            let _ = number.write(&mut out);
            out.finish()
        }
    }
}

/// As in Flink, a value of another JSON type fails.
fn read_boolean(source: Slot, range: Range<usize>, cx: &mut Context) -> Datum {
    match &cx.bytes(source)[range] {
        b"true" => Datum::bool(true),
        b"false" => Datum::bool(false),
        _ => cx.fail(Fault::InvalidArgument),
    }
}

fn read_int(source: Slot, range: Range<usize>, cx: &mut Context) -> Datum {
    match cx.text(source)[range].parse::<i32>() {
        Ok(value) => Datum::i64(i64::from(value)),
        Err(_) => cx.fail(Fault::InvalidArgument),
    }
}

/// Only a number with a fraction or an exponent: Flink fails for a whole one.
fn read_double(source: Slot, range: Range<usize>, cx: &mut Context) -> Datum {
    let text = &cx.text(source)[range];
    let has_fraction = text.contains(['.', 'e', 'E']) && !text.starts_with('"');
    match text.parse::<f64>() {
        Ok(value) if has_fraction => Datum::f64(value),
        _ => cx.fail(Fault::InvalidArgument),
    }
}
