//! MIN and MAX of anything that has an order.

use alloc::{format, string::String, vec, vec::Vec};
use core::cmp::Ordering;

use super::{Accumulator, Aggregate, Binding, Finish, Kind, ordered};
use crate::{
    compare::{compare, compare_doubles},
    context::Context,
    slot::Datum,
    types::DataType,
};

/// `MIN(x)`.
pub(super) const MIN: Aggregate =
    Aggregate { name: "MIN", bind: |call| bind(call.single()?, Kind::Min) };
/// `MAX(x)`.
pub(super) const MAX: Aggregate =
    Aggregate { name: "MAX", bind: |call| bind(call.single()?, Kind::Max) };

fn bind(arg: Option<&DataType>, kind: Kind) -> Result<Binding, String> {
    match arg {
        Some(
            t @ (DataType::Bytes
            | DataType::Array(_)
            | DataType::Map(..)
            | DataType::Row(_)
            | DataType::Null),
        ) => Err(format!("MIN and MAX take a type with an order, not {t}")),
        Some(t) => Ok(Binding { kinds: vec![kind], finish: Finish::Value, result: t.clone() }),
        None => Err("MIN and MAX take one argument".into()),
    }
}

pub(super) struct Extreme {
    arg: DataType,
    /// Compared in place and held without a symbol: what sensors give.
    is_approximate: bool,
    wanted: Ordering,
    values: Vec<Datum>,
}

impl Extreme {
    pub(super) fn min(arg: DataType) -> Self {
        Extreme::new(arg, Ordering::Less)
    }

    pub(super) fn max(arg: DataType) -> Self {
        Extreme::new(arg, Ordering::Greater)
    }

    fn new(arg: DataType, wanted: Ordering) -> Self {
        Extreme { is_approximate: arg.is_approximate(), arg, wanted, values: Vec::new() }
    }
}

impl Accumulator for Extreme {
    fn reserve(&mut self, count: usize) {
        self.values.resize(count.max(self.values.len()), Datum::NULL);
    }

    fn clear(&mut self, pane: usize, context: &mut Context) {
        ordered::replace(&mut self.values[pane], Datum::NULL, &self.arg, context);
    }

    fn add(&mut self, pane: usize, value: Datum, context: &mut Context) {
        if value.is_null() {
            return;
        }
        let held = self.values[pane];
        if self.is_approximate {
            let order = || compare_doubles(value.slot.as_f64(), held.slot.as_f64());
            if held.is_null() || order() == self.wanted {
                self.values[pane] = value;
            }
            return;
        }
        if held.is_null() || compare(value.slot, held.slot, &self.arg, context) == self.wanted {
            ordered::replace(&mut self.values[pane], value, &self.arg, context);
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
