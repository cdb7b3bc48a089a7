//! JSON_VALUE and JSON_EXISTS: one value out of a text, without building a tree.
//!
//! Arguments of JSON_VALUE are the text, the path and, all three or none, a NULL of the type that
//! RETURNING names, the value if empty, and the value on error (NULL for both by default).
//!
//! Paths are constants: `$.a.b[0]`, `$['a']`, with `lax` or `strict` before; Flink's default is
//! strict: a path that leads nowhere and a text that is no JSON are errors, a JSON null is empty.
//! Wildcards, filters and slices are refused. Of equal names the last counts.

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

mod number;
mod path;
mod scan;
mod string;

pub(super) const LIST: &[Function] = &[
    Function { name: "JSON_VALUE", bind: value },
    Function { name: "JSON_EXISTS", bind: exists },
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
    /// JSON null; in lax mode also nothing.
    Empty,
    /// No JSON, or nothing at the path.
    Error,
}

fn follow(text: &str, path: &Path) -> Found {
    let found = Scanner::new(text).find(&path.steps);
    match found {
        Some(Some(range)) if &text[range.clone()] != "null" => Found::Value(range),
        // Flink refuses a document that is nothing but null.
        Some(Some(_)) if path.is_lax || !path.steps.is_empty() => Found::Empty,
        _ if path.is_lax => Found::Empty,
        _ => Found::Error,
    }
}

fn path_of(name: &str, arg: &Arg<'_>) -> Result<Path, String> {
    let text = constant_text(name, "its path", arg)?;
    Path::parse(text).ok_or_else(|| {
        format!("the JSON path '{text}' has a form that is not supported: write $.name[0].name")
    })
}

fn exists(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "JSON_EXISTS";
    count(NAME, args, 2, 2)?;
    let path = path_of(NAME, &args[1])?;
    let types = vec![text(NAME, &args[0])?, text(NAME, &args[1])?];
    strict(types, DataType::Boolean, move |v, cx| {
        Datum::bool(matches!(follow(cx.text(v[0].slot), &path), Found::Value(_)))
    })
}

/// IS JSON of a NULL is FALSE, as a predicate has it.
fn is_json(name: &str, args: &[Arg<'_>], first: fn(u8) -> bool) -> Bound {
    count(name, args, 1, 1)?;
    sig::lenient(vec![text(name, &args[0])?], DataType::Boolean, move |v, cx| {
        let text = if v[0].null { "" } else { cx.text(v[0].slot) };
        let found = Scanner::new(text).find(&[]).flatten();
        Datum::bool(found.is_some_and(|range| first(text.as_bytes()[range.start])))
    })
}

fn value(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "JSON_VALUE";
    if args.len() != 2 {
        count(NAME, args, 5, 5)?;
    }
    let path = path_of(NAME, &args[1])?;
    let returning = args.get(2).map_or(DataType::STRING, |a| a.data_type.clone());
    let mut types: Vec<_> = vec![text(NAME, &args[0])?, text(NAME, &args[1])?];
    types.extend(args.iter().skip(2).map(|_| returning.clone()));
    let read: Read = match &returning {
        t if t.is_text() => read_text,
        DataType::Boolean => read_boolean,
        DataType::Int => read_int,
        DataType::Double => read_double,
        t => return Err(format!("{NAME} does not return {t}; cast its text")),
    };
    sig::lenient(types, returning, move |v, cx| {
        if v[0].null || v[1].null {
            return Datum::NULL;
        }
        let default = |i: usize| v.get(i).copied().unwrap_or(Datum::NULL);
        let text = cx.text(v[0].slot);
        match follow(text, &path) {
            Found::Empty => default(EMPTY),
            Found::Error => default(ERROR),
            Found::Value(range) => match text.as_bytes()[range.start] {
                b'{' | b'[' if path.is_lax => default(EMPTY),
                b'{' | b'[' => default(ERROR),
                _ => read(v[0].slot, range, cx),
            },
        }
    })
}

/// Positions of the defaults among JSON_VALUE's arguments.
const EMPTY: usize = 3;
const ERROR: usize = 4;

type Read = fn(Slot, Range<usize>, &mut Context) -> Datum;

fn read_text(source: Slot, range: Range<usize>, cx: &mut Context) -> Datum {
    match cx.bytes(source)[range.start] {
        b'"' => string::unescaped(source, range, cx),
        b't' | b'f' => super::build::part(cx, source, range),
        _ => {
            let number = number::Plain::of(&cx.bytes(source)[range]);
            let mut out = Builder::new(cx);
            number.write(&mut out);
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
