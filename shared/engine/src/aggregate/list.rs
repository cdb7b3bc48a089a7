//! Values in order of arrival, all of them: what LISTAGG and ARRAY_AGG are made of.
//!
//! They depend on the order of arrival, so partials of several gateways follow each other in the
//! order in which the core takes them. A state is bounded as [`super::values`] is.

use alloc::vec::Vec;

use super::{Accumulator, ordered, pool::Pool};
use crate::{
    codec,
    context::Context,
    slot::{Datum, Slot},
    types::DataType,
};

#[derive(Clone, Default)]
struct Held {
    values: Vec<Datum>,
    bytes: usize,
}

pub(super) struct List {
    arg: DataType,
    has_nulls: bool,
    panes: Vec<Held>,
    pool: Pool,
    scratch: core::cell::RefCell<Vec<u8>>,
}

impl List {
    /// `has_nulls`: NULL is a value like any other, else it is skipped.
    pub(super) fn new(arg: DataType, has_nulls: bool) -> Self {
        let scratch = core::cell::RefCell::default();
        List { arg, has_nulls, panes: Vec::new(), pool: Pool::default(), scratch }
    }

    fn push(&mut self, pane: usize, value: Datum, is_bounded: bool, cx: &mut Context) {
        if value.is_null() && !self.has_nulls {
            return;
        }
        let held = &mut self.panes[pane];
        let bytes = super::pool::bytes_of(value, &self.arg, cx);
        if is_bounded && !self.pool.has_room(held.values.len(), held.bytes + bytes, cx) {
            return;
        }
        let mut own = Datum::NULL;
        if !value.is_null() {
            ordered::replace(&mut own, value, &self.arg, cx);
            if own.is_null() {
                return;
            }
        }
        self.pool.take(1);
        held.values.push(own);
        held.bytes += bytes;
    }
}

impl Accumulator for List {
    fn reserve(&mut self, count: usize) {
        self.panes.resize_with(count.max(self.panes.len()), Held::default);
    }

    fn clear(&mut self, pane: usize, cx: &mut Context) {
        let held = core::mem::take(&mut self.panes[pane]);
        self.pool.give_back(held.values.len());
        for mut value in held.values {
            ordered::replace(&mut value, Datum::NULL, &self.arg, cx);
        }
    }

    fn add(&mut self, pane: usize, value: Datum, cx: &mut Context) {
        self.push(pane, value, true, cx);
    }

    fn merge(&mut self, pane: usize, partial: Datum, cx: &mut Context) {
        let mut position = 0;
        while !partial.is_null()
            && let Some((value, next)) =
                codec::element_at(partial.slot, position, &self.arg.clone(), cx)
        {
            position = next;
            self.push(pane, value, true, cx);
        }
    }

    fn merge_pane(&mut self, into: usize, from: usize, cx: &mut Context) {
        for value in self.panes[from].values.clone() {
            self.push(into, value, false, cx);
        }
    }

    fn partial(&self, pane: usize, cx: &mut Context) -> Datum {
        let mut bytes = self.scratch.borrow_mut();
        bytes.clear();
        for value in &self.panes[pane].values {
            codec::put_element(&mut bytes, *value, &self.arg, cx);
        }
        cx.put_bytes(&bytes)
    }

    /// As an array.
    fn value(&self, pane: usize, cx: &mut Context) -> Datum {
        if self.panes[pane].values.is_empty() {
            return Datum::NULL;
        }
        self.partial(pane, cx)
    }

    fn each(&self, pane: usize, visit: &mut dyn FnMut(Datum, i64)) {
        self.panes[pane].values.iter().for_each(|value| visit(*value, 1));
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Held>()
    }

    fn bytes_shared(&self) -> usize {
        Pool::bytes_max(size_of::<Slot>() * 2)
    }
}
