//! Rows to rows, field by field in their order, and to text.

use alloc::vec::Vec;

use super::{find, to_text};
use crate::{
    context::Context,
    functions::build::Builder,
    functions::rows::{Fields, fields, put_row},
    slot::Datum,
    types::DataType,
};

fn fields_of(data_type: &DataType) -> Option<&Fields> {
    match data_type {
        DataType::Row(fields) => Some(fields),
        _ => None,
    }
}

/// One field that cannot be converted makes the row one that cannot.
pub(super) fn between(
    value: Datum,
    from: &DataType,
    to: &DataType,
    cx: &mut Context,
) -> Option<Datum> {
    let to = fields_of(to)?;
    let converted = all(value, fields_of(from)?, to.iter().map(|(_, t)| t), cx)?;
    Some(put_row(&converted, to.iter().map(|(_, t)| t), cx))
}

fn all<'a>(
    value: Datum,
    from: &Fields,
    to: impl Iterator<Item = &'a DataType>,
    cx: &mut Context,
) -> Option<Vec<Datum>> {
    let mut converted = Vec::with_capacity(from.len());
    for ((field, (_, from)), to) in fields(value.slot, from, cx).into_iter().zip(from).zip(to) {
        let convert = find(from, to).ok()?;
        converted.push(if field.is_null() { field } else { convert(field, from, to, cx)? });
    }
    Some(converted)
}

/// `(1, NULL, abc)`
pub(super) fn to_text(
    value: Datum,
    from: &DataType,
    to: &DataType,
    cx: &mut Context,
) -> Option<Datum> {
    let texts = all(value, fields_of(from)?, core::iter::repeat(&DataType::STRING), cx)?;
    let mut out = Builder::new(cx);
    out.push("(");
    for (i, text) in texts.into_iter().enumerate() {
        if i > 0 {
            out.push(", ");
        }
        match text.is_null() {
            true => out.push("NULL"),
            false => out.push_all(text.slot),
        }
    }
    out.push(")");
    let text = out.finish();
    Some(if text.is_null() { text } else { to_text::fit(text, to, cx) })
}
