//! JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON and JSON_QUOTE: texts out of values.
//!
//! The first argument of JSON_OBJECT and JSON_ARRAY is a word that says what becomes of NULLs,
//! `NULL` or `ABSENT`; then come names and values in turn, or values. A value that one of these
//! functions makes is put in as it is, any other text as a string.

use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

use super::super::sig::{Bound, constant_text, count, lenient, strict, text};
use super::super::{Arg, Function};
use super::tree::Tree;
use super::{Scanner, string, write};
use crate::{
    context::{Context, Fault},
    functions::build::Builder,
    slot::Datum,
    types::DataType,
};

pub(in super::super) const LIST: &[Function] = &[
    Function { name: "JSON_OBJECT", bind: object },
    Function { name: "JSON_ARRAY", bind: array },
    Function { name: "JSON_STRING", bind: to_json },
    Function { name: "JSON", bind: json },
    Function { name: "JSON_QUOTE", bind: quote },
];

/// Functions whose results are put into others as they are.
pub(crate) const MAKERS: &[&str] = &["JSON_OBJECT", "JSON_ARRAY", "JSON"];

/// A value on its way into a text.
struct Part {
    data_type: DataType,
    is_json: bool,
}

impl Part {
    fn of(name: &str, arg: &Arg<'_>) -> Result<Self, String> {
        let data_type = arg.data_type.clone();
        if !write::is_writable(&data_type) {
            return Err(format!("{name} cannot write a {data_type}: cast it"));
        }
        Ok(Self { data_type, is_json: arg.is_json })
    }

    fn write(&self, value: Datum, cx: &mut Context, out: &mut String) {
        // A String never refuses.
        let _ = match self.is_json && !value.is_null() {
            true => out.write_str(cx.text(value.slot)),
            false => write::write(value, &self.data_type, cx, out),
        };
    }
}

/// Whether NULLs are left out.
fn leaves_nulls_out(name: &str, args: &[Arg<'_>]) -> Result<bool, String> {
    let word = args.first().ok_or_else(|| format!("{name} needs a word for NULLs"))?;
    match constant_text(name, "the word before ON NULL", word)? {
        "NULL" => Ok(false),
        "ABSENT" => Ok(true),
        other => Err(format!("{name} has no {other} ON NULL")),
    }
}

fn types_of(args: &[Arg<'_>]) -> Vec<DataType> {
    args.iter().map(|arg| arg.data_type.clone()).collect()
}

fn object(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "JSON_OBJECT";
    let is_absent = leaves_nulls_out(NAME, args)?;
    if args.len().is_multiple_of(2) {
        return Err(format!("{NAME} needs a value for each name"));
    }
    // Name, position of its value, and the value: in the order of the names, as Flink writes them.
    let mut members = Vec::new();
    for (i, pair) in args[1..].chunks_exact(2).enumerate() {
        let name = constant_text(NAME, "its names", &pair[0])?;
        let mut quoted = String::new();
        let _ = string::write(name, &mut quoted);
        members.push((String::from(name), quoted, 2 * i + 2, Part::of(NAME, &pair[1])?));
    }
    members.sort_by(|(a, ..), (b, ..)| a.encode_utf16().cmp(b.encode_utf16()));
    lenient(types_of(args), DataType::STRING, move |v, cx| {
        let mut out = String::from("{");
        for (i, (name, quoted, position, part)) in members.iter().enumerate() {
            let is_left_out = |position: &usize| is_absent && v[*position].is_null();
            let mut later = members[i + 1..].iter().take_while(|(n, ..)| n == name);
            if is_left_out(position) || later.any(|(_, _, position, _)| !is_left_out(position)) {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(quoted);
            out.push(':');
            part.write(v[*position], cx, &mut out);
        }
        out.push('}');
        cx.put_text(&out)
    })
}

fn array(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "JSON_ARRAY";
    let is_absent = leaves_nulls_out(NAME, args)?;
    let parts = args[1..].iter().map(|arg| Part::of(NAME, arg)).collect::<Result<Vec<_>, _>>()?;
    lenient(types_of(args), DataType::STRING, move |v, cx| {
        let mut out = String::from("[");
        for (part, value) in parts.iter().zip(&v[1..]) {
            if is_absent && value.is_null() {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            part.write(*value, cx, &mut out);
        }
        out.push(']');
        cx.put_text(&out)
    })
}

/// JSON_STRING(value): the value as JSON; NULL of a NULL.
fn to_json(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "JSON_STRING";
    count(NAME, args, 1, 1)?;
    let part = Part::of(NAME, &args[0])?;
    strict(types_of(args), DataType::STRING, move |v, cx| {
        let mut out = String::new();
        part.write(v[0], cx, &mut out);
        cx.put_text(&out)
    })
}

/// JSON(text): a text that is JSON, written anew. One that is none is a fault.
fn json(args: &[Arg<'_>]) -> Bound {
    count("JSON", args, 1, 1)?;
    strict(alloc::vec![text("JSON", &args[0])?], DataType::STRING, |v, cx| {
        let Some(range) = Scanner::new(cx.text(v[0].slot)).find(&[]).flatten() else {
            return cx.fail(Fault::InvalidArgument);
        };
        let tree = Tree::of(cx.bytes(v[0].slot), range);
        let mut out = Builder::new(cx);
        tree.write(0, v[0].slot, &mut out);
        out.finish()
    })
}

/// JSON_QUOTE(text): as a JSON string, with everything beyond ASCII escaped. As in Flink, a
/// character beyond 16 bits is its number in five digits, and then the second half of its pair.
fn quote(args: &[Arg<'_>]) -> Bound {
    count("JSON_QUOTE", args, 1, 1)?;
    strict(alloc::vec![text("JSON_QUOTE", &args[0])?], DataType::STRING, |v, cx| {
        let mut out = String::from("\"");
        for c in cx.text(v[0].slot).chars() {
            let short = match c {
                '"' => "\\\"",
                '\\' => "\\\\",
                '/' => "\\/",
                '\u{8}' => "\\b",
                '\u{c}' => "\\f",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                _ => "",
            };
            // A String never refuses.
            let _ = match c {
                _ if !short.is_empty() => out.write_str(short),
                '\0'..='\u{7f}' => out.write_char(c),
                c => {
                    let mut units = [0; 2];
                    let second = c.encode_utf16(&mut units).get(1).copied();
                    let written = write!(out, "\\u{:04x}", u32::from(c));
                    second.map_or(written, |unit| write!(out, "\\u{unit:04x}"))
                }
            };
        }
        out.push('"');
        cx.put_text(&out)
    })
}
