//! JSON_QUERY: an object or array at a path, as text or as an array of texts.
//!
//! Arguments are the text, the path, the wrapper (`WITHOUT`, `CONDITIONAL`, `UNCONDITIONAL`), what
//! comes if nothing is there and what on an error (`NULL`, `EMPTY ARRAY`, `EMPTY OBJECT`, `ERROR`),
//! and a NULL of the type that RETURNING names. As Flink writes JSON anew, so does this: no blanks,
//! names in order, numbers and escapes in one form.

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::Range;

use super::super::Arg;
use super::super::array::put_array;
use super::super::build::{Builder, part};
use super::super::sig::{Bound, constant_text, count, lenient, text};
use super::path::Path;
use super::tree::Tree;
use super::{Found, follow, path_of, read_text};
use crate::{
    context::{Context, Fault},
    slot::{Datum, Slot},
    types::DataType,
};

const NAME: &str = "JSON_QUERY";

#[derive(Clone, Copy, PartialEq)]
enum Wrapper {
    Without,
    Conditional,
    Unconditional,
}

/// What comes instead of a value.
#[derive(Clone, Copy)]
enum Instead {
    Null,
    Array,
    Object,
    Fault,
}

impl Instead {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "NULL" => Instead::Null,
            "EMPTY ARRAY" => Instead::Array,
            "EMPTY OBJECT" => Instead::Object,
            "ERROR" => Instead::Fault,
            _ => return None,
        })
    }

    fn value(self, is_array: bool, cx: &mut Context) -> Datum {
        match self {
            Instead::Null => Datum::NULL,
            Instead::Array if is_array => cx.put_bytes(&[]),
            Instead::Array => cx.put_text("[]"),
            Instead::Object => cx.put_text("{}"),
            Instead::Fault => cx.fail(Fault::InvalidArgument),
        }
    }
}

/// The checked constants of a call.
struct Spec {
    path: Path,
    wrapper: Wrapper,
    /// If empty, and on an error.
    instead: [Instead; 2],
    is_array: bool,
}

pub(super) fn query(args: &[Arg<'_>]) -> Bound {
    if args.len() != 2 {
        count(NAME, args, 6, 6)?;
    }
    let returning = args.get(5).map_or(DataType::STRING, |a| a.data_type.clone());
    let spec = spec(args, &returning)?;
    let mut types = vec![text(NAME, &args[0])?, text(NAME, &args[1])?];
    types.extend(args.iter().skip(2).take(3).map(|_| DataType::STRING));
    types.extend(args.get(5).map(|_| returning.clone()));
    // The NULL that RETURNING gives its type by makes nothing NULL.
    lenient(types, returning, move |v, cx| {
        if v[0].is_null() || v[1].is_null() { Datum::NULL } else { spec.value(v[0].slot, cx) }
    })
}

fn spec(args: &[Arg<'_>], returning: &DataType) -> Result<Spec, String> {
    let path = path_of(NAME, &args[1])?;
    let words = args.iter().skip(2).take(3).map(|arg| constant_text(NAME, "a word", arg));
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let wrapper = match words.first() {
        None | Some(&"WITHOUT") => Wrapper::Without,
        Some(&"CONDITIONAL") => Wrapper::Conditional,
        Some(&"UNCONDITIONAL") => Wrapper::Unconditional,
        Some(other) => return Err(format!("{NAME} has no wrapper {other}")),
    };
    let mut instead = [Instead::Null; 2];
    for (instead, word) in instead.iter_mut().zip(words.iter().skip(1)) {
        *instead = Instead::of(word).ok_or_else(|| format!("{NAME} has no {word} ON …"))?;
    }
    let is_array = match returning {
        t if *t == DataType::STRING => false,
        DataType::Array(element) if **element == DataType::STRING => true,
        t => return Err(format!("{NAME} returns STRING or ARRAY<STRING>, not {t}")),
    };
    if is_array && instead.iter().any(|i| matches!(i, Instead::Object)) {
        return Err(format!("{NAME} has no EMPTY OBJECT where it returns an array"));
    }
    Ok(Spec { path, wrapper, instead, is_array })
}

impl Spec {
    fn value(&self, source: Slot, cx: &mut Context) -> Datum {
        let instead = |case: usize, cx: &mut Context| self.instead[case].value(self.is_array, cx);
        let found = match follow(cx.text(source), &self.path) {
            Found::Value(range) => range,
            Found::List(found) => return self.list(source, &found, cx),
            Found::Empty => return instead(0, cx),
            Found::Error => return instead(1, cx),
            Found::Fails => return cx.fail(Fault::InvalidArgument),
        };
        let first = cx.bytes(source)[found.start];
        let (is_list, is_scalar) = (first == b'[', !matches!(first, b'{' | b'['));
        if self.wrapper == Wrapper::Without && is_scalar {
            return instead(usize::from(!self.path.is_lax), cx);
        }
        let wraps = match self.wrapper {
            Wrapper::Without => false,
            Wrapper::Conditional => !is_list,
            Wrapper::Unconditional => true,
        };
        match (self.is_array, wraps || is_list) {
            (true, true) => texts(source, found, wraps, cx),
            // Only an array is one.
            (true, false) => instead(1, cx),
            (false, _) => written(source, found, wraps, cx),
        }
    }

    /// What a path with wildcards leads to is an array of its own.
    fn list(&self, source: Slot, found: &[Range<usize>], cx: &mut Context) -> Datum {
        let wraps = self.wrapper == Wrapper::Unconditional;
        if self.is_array && !wraps {
            let elements: Vec<_> = found.iter().map(|r| element(source, r.clone(), cx)).collect();
            return put_array(&elements, &DataType::STRING, cx);
        }
        let depth = usize::from(wraps && !self.is_array) + 1;
        let text = bracketed(source, found, depth, cx);
        if self.is_array { put_array(&[text], &DataType::STRING, cx) } else { text }
    }
}

/// The value as JSON, within `[` and `]` if it is wrapped.
fn written(source: Slot, found: Range<usize>, wraps: bool, cx: &mut Context) -> Datum {
    bracketed(source, &[found], usize::from(wraps), cx)
}

/// The values as JSON, within `depth` pairs of `[` and `]`.
fn bracketed(source: Slot, found: &[Range<usize>], depth: usize, cx: &mut Context) -> Datum {
    let trees = found.iter().map(|range| Tree::of(cx.bytes(source), range.clone()));
    let trees: Vec<_> = trees.collect();
    let mut out = Builder::new(cx);
    (0..depth).for_each(|_| out.push("["));
    for (i, tree) in trees.iter().enumerate() {
        if i > 0 {
            out.push(",");
        }
        tree.write(0, source, &mut out);
    }
    (0..depth).for_each(|_| out.push("]"));
    out.finish()
}

/// The elements as texts.
fn texts(source: Slot, found: Range<usize>, wraps: bool, cx: &mut Context) -> Datum {
    let tree = Tree::of(cx.bytes(source), found);
    let nodes = if wraps { vec![0] } else { tree.children(0) };
    let elements: Vec<_> =
        nodes.into_iter().map(|node| element(source, tree.range(node), cx)).collect();
    put_array(&elements, &DataType::STRING, cx)
}

/// A string without quotes, JSON null as NULL, everything else as JSON.
fn element(source: Slot, range: Range<usize>, cx: &mut Context) -> Datum {
    match cx.bytes(source)[range.start] {
        b'n' => Datum::NULL,
        b'{' | b'[' => written(source, range, false, cx),
        b't' | b'f' => part(cx, source, range),
        _ => read_text(source, range, cx),
    }
}
