//! FIRST_VALUE and LAST_VALUE: by arrival, NULLs skipped. They depend on the order of arrival, so
//! partials of several gateways merge in the order in which the core takes them.

use alloc::{format, string::String, vec, vec::Vec};

use super::{Accumulator, Aggregate, Binding, Finish, Kind};
use crate::{
    context::{Context, Fault},
    slot::{BytesRef, Datum, Slot},
    types::DataType,
};

/// `FIRST_VALUE(x)`.
pub(super) const FIRST_VALUE: Aggregate =
    Aggregate { name: "FIRST_VALUE", bind: |arg| bind(arg, Kind::First) };
/// `LAST_VALUE(x)`.
pub(super) const LAST_VALUE: Aggregate =
    Aggregate { name: "LAST_VALUE", bind: |arg| bind(arg, Kind::Last) };

fn bind(arg: Option<&DataType>, kind: Kind) -> Result<Binding, String> {
    match arg {
        Some(t @ (DataType::Null | DataType::Array(_))) => {
            Err(format!("FIRST_VALUE and LAST_VALUE do not take {t} here"))
        }
        Some(t) => Ok(Binding { kinds: vec![kind], finish: Finish::Value, result: t.clone() }),
        None => Err("FIRST_VALUE and LAST_VALUE take one argument".into()),
    }
}

/// Puts `value` in the place of `held`: its text becomes a symbol, the old one is given back. At
/// the limit of the symbol table the old value stays and a fault is noted.
pub(super) fn replace(held: &mut Datum, value: Datum, data_type: &DataType, cx: &mut Context) {
    if !data_type.is_referring() {
        *held = value;
        return;
    }
    let mut value = value;
    if !value.null {
        let id = match value.slot.bytes_ref() {
            BytesRef::Symbol(id) => Some(id),
            BytesRef::Arena(offset, len) => cx.symbols.intern(cx.arena.get(offset, len)),
        };
        let Some(id) = id else {
            cx.fail(Fault::StateFull);
            return;
        };
        cx.symbols.retain(id);
        value.slot = Slot::symbol(id);
    }
    let old = core::mem::replace(held, value);
    if let (false, BytesRef::Symbol(id)) = (old.null, old.slot.bytes_ref()) {
        cx.symbols.release(id);
    }
}

pub(super) struct Ordered {
    arg: DataType,
    is_first: bool,
    values: Vec<Datum>,
}

impl Ordered {
    pub(super) fn first(arg: DataType) -> Self {
        Ordered { arg, is_first: true, values: Vec::new() }
    }

    pub(super) fn last(arg: DataType) -> Self {
        Ordered { arg, is_first: false, values: Vec::new() }
    }
}

impl Accumulator for Ordered {
    fn reserve(&mut self, count: usize) {
        self.values.resize(count.max(self.values.len()), Datum::NULL);
    }

    fn clear(&mut self, pane: usize, context: &mut Context) {
        replace(&mut self.values[pane], Datum::NULL, &self.arg, context);
    }

    fn add(&mut self, pane: usize, value: Datum, context: &mut Context) {
        if !value.null && (!self.is_first || self.values[pane].null) {
            replace(&mut self.values[pane], value, &self.arg, context);
        }
    }

    fn merge(&mut self, pane: usize, partial: Datum, context: &mut Context) {
        self.add(pane, partial, context);
    }

    fn merge_pane(&mut self, into: usize, from: usize, context: &mut Context) {
        self.add(into, self.values[from], context);
    }

    fn partial(&self, pane: usize, _: &mut Context) -> Datum {
        self.values[pane]
    }

    fn value(&self, pane: usize, _: &mut Context) -> Datum {
        self.values[pane]
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Datum>()
    }
}
