//! LISTAGG: texts with a separator between them, in order of arrival; NULLs are skipped.

use alloc::{format, string::String, vec};

use super::{Accumulator, Aggregate, Arguments, Binding, Finish, Kind};
use crate::{
    context::{Context, Fault},
    expr::Literal,
    slot::{Datum, Slot},
    types::DataType,
};

/// `LISTAGG(text [, separator])`.
pub(super) const LISTAGG: Aggregate = Aggregate { name: "LISTAGG", bind };

fn bind(call: &Arguments<'_>) -> Result<Binding, String> {
    match (call.arg, call.params) {
        (Some(t), [] | [Literal::Text(_)]) if t.is_text() => Ok(Binding {
            kinds: vec![Kind::List],
            finish: Finish::Joined,
            result: DataType::STRING,
        }),
        (Some(t), [] | [Literal::Text(_)]) => Err(format!("LISTAGG takes a text, not {t}")),
        _ => Err("LISTAGG takes a text, and a text literal as separator".into()),
    }
}

/// The texts of a state in one.
pub(super) fn finish(
    state: &dyn Accumulator,
    pane: usize,
    params: &[Literal],
    cx: &mut Context,
) -> Datum {
    let separator = match params {
        [Literal::Text(separator)] => separator.as_bytes(),
        _ => b",",
    };
    let start = cx.arena.begin();
    let (mut is_first, mut fits) = (true, true);
    state.each(pane, &mut |value, _| {
        if !core::mem::take(&mut is_first) {
            fits &= cx.arena.append(separator);
        }
        fits &= match value.slot.bytes_ref() {
            crate::slot::BytesRef::Symbol(id) => cx.arena.append(cx.symbols.text(id)),
            crate::slot::BytesRef::Arena(offset, len) => {
                cx.arena.append_within(offset as usize, len as usize)
            }
        };
    });
    if is_first {
        return Datum::NULL;
    }
    match cx.arena.finish(start) {
        Some((offset, len)) if fits => Datum::of(Slot::arena(offset, len)),
        _ => cx.fail(Fault::TextTooLarge),
    }
}
