//! Maps to maps, entry by entry, and to text.

use alloc::vec::Vec;

use super::{find, to_text};
use crate::{
    context::Context,
    functions::build::Builder,
    functions::maps::{Types, entries, put_map},
    slot::Datum,
    types::DataType,
};

fn types_of(data_type: &DataType) -> Option<Types> {
    match data_type {
        DataType::Map(key, value) => Some(((**key).clone(), (**value).clone())),
        _ => None,
    }
}

/// One key or value that cannot be converted makes the map one that cannot.
pub(super) fn between(
    value: Datum,
    from: &DataType,
    to: &DataType,
    cx: &mut Context,
) -> Option<Datum> {
    let converted = all(value, &types_of(from)?, &types_of(to)?, cx)?;
    Some(put_map(converted, &types_of(to)?, cx))
}

fn all(value: Datum, from: &Types, to: &Types, cx: &mut Context) -> Option<Vec<(Datum, Datum)>> {
    let (keys, values) = (find(&from.0, &to.0).ok()?, find(&from.1, &to.1).ok()?);
    let mut converted = Vec::new();
    for (key, value) in entries(value.slot, from, cx) {
        let key = keys(key, &from.0, &to.0, cx)?;
        let is_null = value.is_null();
        let value = if is_null { value } else { values(value, &from.1, &to.1, cx)? };
        converted.push((key, value));
    }
    Some(converted)
}

/// `{a=1, b=NULL}`
pub(super) fn to_text(
    value: Datum,
    from: &DataType,
    to: &DataType,
    cx: &mut Context,
) -> Option<Datum> {
    let texts = (DataType::STRING, DataType::STRING);
    let shown = all(value, &types_of(from)?, &texts, cx)?;
    let mut out = Builder::new(cx);
    out.push("{");
    for (i, (key, value)) in shown.into_iter().enumerate() {
        if i > 0 {
            out.push(", ");
        }
        out.push_all(key.slot);
        out.push("=");
        match value.is_null() {
            true => out.push("NULL"),
            false => out.push_all(value.slot),
        }
    }
    out.push("}");
    let text = out.finish();
    Some(if text.is_null() { text } else { to_text::fit(text, to, cx) })
}
