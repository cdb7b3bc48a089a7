//! FIRST_VALUE and LAST_VALUE: by arrival, NULLs skipped.
//!
//! There is no order of arrival among gateways: their partials carry the event time of the row, and
//! the earliest (the latest) one is taken, of equal times the smaller (the larger) value. So the
//! order in which partials reach the core does not matter. At one gateway it is the arrival.

use alloc::{format, string::String, vec, vec::Vec};
use core::cmp::Ordering;

use super::{Accumulator, Aggregate, Binding, Finish, Kind};
use crate::{
    codec,
    compare::compare,
    context::{Context, Fault},
    slot::{BytesRef, Datum, Slot},
    types::DataType,
};

/// `FIRST_VALUE(x)`.
pub(super) const FIRST_VALUE: Aggregate =
    Aggregate { name: "FIRST_VALUE", bind: |call| bind(call.single()?, Kind::First) };
/// `LAST_VALUE(x)`.
pub(super) const LAST_VALUE: Aggregate =
    Aggregate { name: "LAST_VALUE", bind: |call| bind(call.single()?, Kind::Last) };

fn bind(arg: Option<&DataType>, kind: Kind) -> Result<Binding, String> {
    match arg {
        Some(t @ (DataType::Null | DataType::Array(_) | DataType::Map(..) | DataType::Row(_))) => {
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
    if !value.is_null() {
        let Some(id) = cx.intern(value.slot) else {
            cx.fail(Fault::StateFull);
            return;
        };
        cx.symbols.retain(id);
        value.slot = Slot::symbol(id);
    }
    let old = core::mem::replace(held, value);
    if let (false, BytesRef::Symbol(id)) = (old.is_null(), old.slot.bytes_ref()) {
        cx.symbols.release(id);
    }
}

pub(super) struct Ordered {
    arg: DataType,
    is_first: bool,
    values: Vec<Datum>,
    /// Event times of the rows that gave the values.
    times: Vec<i64>,
}

impl Ordered {
    pub(super) fn first(arg: DataType) -> Self {
        Ordered { arg, is_first: true, values: Vec::new(), times: Vec::new() }
    }

    pub(super) fn last(arg: DataType) -> Self {
        Ordered { arg, is_first: false, values: Vec::new(), times: Vec::new() }
    }

    /// Takes over what another pane or place found, if it stands before (after) what is held.
    fn take(&mut self, pane: usize, time: i64, value: Datum, context: &mut Context) {
        if value.is_null() {
            return;
        }
        let held = self.values[pane];
        let order = time
            .cmp(&self.times[pane])
            .then_with(|| compare(value.slot, held.slot, &self.arg, context));
        let wanted = if self.is_first { Ordering::Less } else { Ordering::Greater };
        if held.is_null() || order == wanted {
            replace(&mut self.values[pane], value, &self.arg, context);
            self.times[pane] = time;
        }
    }
}

impl Accumulator for Ordered {
    fn reserve(&mut self, count: usize) {
        self.values.resize(count.max(self.values.len()), Datum::NULL);
        self.times.resize(self.values.len(), 0);
    }

    fn clear(&mut self, pane: usize, context: &mut Context) {
        replace(&mut self.values[pane], Datum::NULL, &self.arg, context);
    }

    fn add(&mut self, pane: usize, value: Datum, context: &mut Context) {
        if !value.is_null() && (!self.is_first || self.values[pane].is_null()) {
            replace(&mut self.values[pane], value, &self.arg, context);
            self.times[pane] = context.event_time;
        }
    }

    fn merge(&mut self, pane: usize, partial: Datum, context: &mut Context) {
        if partial.is_null() {
            return;
        }
        let mut bytes = context.bytes(partial.slot);
        let length = bytes.len();
        let Some(time) = codec::take_i64(&mut bytes) else { return };
        let position = length - bytes.len();
        if let Some((value, _)) = codec::element_at(partial.slot, position, &self.arg, context) {
            self.take(pane, time, value, context);
        }
    }

    fn merge_pane(&mut self, into: usize, from: usize, context: &mut Context) {
        self.take(into, self.times[from], self.values[from], context);
    }

    fn partial(&self, pane: usize, context: &mut Context) -> Datum {
        let value = self.values[pane];
        if value.is_null() {
            return Datum::NULL;
        }
        let mut bytes = Vec::new();
        codec::put_i64(&mut bytes, self.times[pane]);
        codec::put_element(&mut bytes, value, &self.arg, context);
        context.put_bytes(&bytes)
    }

    fn value(&self, pane: usize, _: &mut Context) -> Datum {
        self.values[pane]
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Datum>() + size_of::<i64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    /// What one gateway hands over: rows of event time and text, in the order of their arrival.
    fn partial(rows: &[(i64, &str)], is_first: bool, cx: &mut Context) -> Datum {
        let mut held = ordered(is_first);
        for (time, text) in rows {
            cx.event_time = *time;
            let value = cx.put_text(text);
            held.add(0, value, cx);
        }
        held.partial(0, cx)
    }

    fn ordered(is_first: bool) -> Ordered {
        let arg = DataType::STRING;
        let mut held = if is_first { Ordered::first(arg) } else { Ordered::last(arg) };
        held.reserve(1);
        held
    }

    fn merged(partials: &[Datum], is_first: bool, cx: &mut Context) -> String {
        let mut held = ordered(is_first);
        partials.iter().for_each(|partial| held.merge(0, *partial, cx));
        let value = held.value(0, cx);
        cx.text(value.slot).into()
    }

    #[test]
    fn the_order_of_gateways_does_not_matter() {
        for (is_first, expected) in [(true, "c"), (false, "a")] {
            let cx = &mut Context::new(&Limits::default());
            let gateways: [&[(i64, &str)]; 4] =
                [&[(30, "x"), (20, "b")], &[(10, "d"), (30, "a")], &[(10, "c")], &[]];
            let gateways = gateways.map(|rows| partial(rows, is_first, cx));
            for turn in 0..gateways.len() {
                let mut order = gateways;
                order.rotate_left(turn);
                assert_eq!(merged(&order, is_first, cx), expected);
                order.reverse();
                assert_eq!(merged(&order, is_first, cx), expected);
            }
        }
    }

    #[test]
    fn at_one_gateway_it_is_the_arrival() {
        let cx = &mut Context::new(&Limits::default());
        let rows = [(30, "late"), (10, "early"), (20, "middle")];
        for (is_first, expected) in [(true, "late"), (false, "middle")] {
            let only = partial(&rows, is_first, cx);
            assert_eq!(merged(&[only], is_first, cx), expected);
        }
    }
}
