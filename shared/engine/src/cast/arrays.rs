//! Arrays to arrays, element by element, and to text.

use alloc::vec::Vec;

use super::{find, to_text};
use crate::{
    context::Context,
    functions::arrays::{elements, put_array},
    functions::build::Builder,
    slot::Datum,
    types::DataType,
};

/// One element that cannot be converted makes the array one that cannot.
pub(super) fn between(
    value: Datum,
    from: &DataType,
    to: &DataType,
    cx: &mut Context,
) -> Option<Datum> {
    let (DataType::Array(from), DataType::Array(to)) = (from, to) else { return None };
    let convert = find(from, to).ok()?;
    let mut converted = Vec::new();
    for element in elements(value.slot, from, cx) {
        converted.push(if element.is_null() { element } else { convert(element, from, to, cx)? });
    }
    Some(put_array(&converted, to, cx))
}

/// `[1, NULL, 3]`
pub(super) fn to_text(
    value: Datum,
    from: &DataType,
    to: &DataType,
    cx: &mut Context,
) -> Option<Datum> {
    let DataType::Array(element_type) = from else { return None };
    let convert = find(element_type, &DataType::STRING).ok()?;
    let mut texts = Vec::new();
    for element in elements(value.slot, element_type, cx) {
        let text = match element.is_null() {
            true => element,
            false => convert(element, element_type, &DataType::STRING, cx)?,
        };
        texts.push(text);
    }
    let mut out = Builder::new(cx);
    out.push("[");
    for (i, text) in texts.into_iter().enumerate() {
        if i > 0 {
            out.push(", ");
        }
        match text.is_null() {
            true => out.push("NULL"),
            false => out.push_all(text.slot),
        }
    }
    out.push("]");
    let text = out.finish();
    Some(if text.is_null() { text } else { to_text::fit(text, to, cx) })
}
