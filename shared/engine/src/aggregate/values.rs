//! All values of a pane, each with its count: what MIN and MAX need where rows are taken away.
//!
//! Also what DISTINCT and PERCENTILE are made of. Values lie sorted, so that both ends are at hand.
//! A pane holds so many different ones, and so do all panes: [`super::pool`] has the bounds.

use alloc::vec::Vec;

use super::{
    Accumulator, Finish, ordered,
    pool::{self, Pool},
};
use crate::{
    codec,
    compare::compare,
    context::Context,
    slot::{Datum, Slot},
    types::DataType,
};

/// A value and how often it is there: negative when it was taken away before it came.
type Counted = (Datum, i64);

#[derive(Clone, Default)]
struct Held {
    values: Vec<Counted>,
    bytes: usize,
}

pub(super) struct Values {
    arg: DataType,
    panes: Vec<Held>,
    pool: Pool,
    scratch: core::cell::RefCell<Vec<u8>>,
}

impl Values {
    pub(super) fn new(arg: DataType) -> Self {
        let scratch = core::cell::RefCell::default();
        Values { arg, panes: Vec::new(), pool: Pool::default(), scratch }
    }

    fn change(&mut self, pane: usize, value: Datum, by: i64, is_bounded: bool, cx: &mut Context) {
        if value.is_null() || by == 0 {
            return;
        }
        let arg = &self.arg;
        let bytes = pool::bytes_of(value, arg, cx);
        let Held { values, bytes: held_bytes } = &mut self.panes[pane];
        let order = |held: &Counted| compare(held.0.slot, value.slot, arg, cx);
        match values.binary_search_by(order) {
            Ok(at) => {
                values[at].1 += by;
                if values[at].1 == 0 {
                    let (mut gone, _) = values.remove(at);
                    ordered::replace(&mut gone, Datum::NULL, arg, cx);
                    *held_bytes = held_bytes.saturating_sub(bytes);
                    self.pool.give_back(1);
                }
            }
            Err(at) => {
                if is_bounded && !self.pool.has_room(values.len(), *held_bytes + bytes, cx) {
                    return;
                }
                let mut held = Datum::NULL;
                ordered::replace(&mut held, value, arg, cx);
                if !held.is_null() {
                    values.insert(at, (held, by));
                    *held_bytes += bytes;
                    self.pool.take(1);
                }
            }
        }
    }

    fn merge_bytes(&mut self, pane: usize, partial: Slot, cx: &mut Context) -> Option<()> {
        let mut position = 0;
        while let Some((value, next)) = codec::element_at(partial, position, &self.arg, cx) {
            let all = cx.bytes(partial);
            let mut rest = all.get(next..)?;
            let by = codec::take_i64(&mut rest)?;
            position = all.len() - rest.len();
            self.change(pane, value, by, true, cx);
        }
        Some(())
    }
}

impl Accumulator for Values {
    fn reserve(&mut self, count: usize) {
        self.panes.resize_with(count.max(self.panes.len()), Held::default);
    }

    fn clear(&mut self, pane: usize, cx: &mut Context) {
        let held = core::mem::take(&mut self.panes[pane]);
        self.pool.give_back(held.values.len());
        for (mut value, _) in held.values {
            ordered::replace(&mut value, Datum::NULL, &self.arg, cx);
        }
    }

    fn add(&mut self, pane: usize, value: Datum, cx: &mut Context) {
        self.change(pane, value, 1, true, cx);
    }

    fn add_times(&mut self, pane: usize, value: Datum, times: i64, cx: &mut Context) {
        self.change(pane, value, times, true, cx);
    }

    fn remove(&mut self, pane: usize, value: Datum, cx: &mut Context) {
        self.change(pane, value, -1, true, cx);
    }

    fn merge(&mut self, pane: usize, partial: Datum, cx: &mut Context) {
        if !partial.is_null() {
            let _ = self.merge_bytes(pane, partial.slot, cx);
        }
    }

    fn merge_pane(&mut self, into: usize, from: usize, cx: &mut Context) {
        for (value, by) in self.panes[from].values.clone() {
            self.change(into, value, by, false, cx);
        }
    }

    fn partial(&self, pane: usize, cx: &mut Context) -> Datum {
        let mut bytes = self.scratch.borrow_mut();
        bytes.clear();
        for (value, by) in &self.panes[pane].values {
            codec::put_element(&mut bytes, *value, &self.arg, cx);
            codec::put_i64(&mut bytes, *by);
        }
        cx.put_bytes(&bytes)
    }

    /// The smallest value.
    fn value(&self, pane: usize, _: &mut Context) -> Datum {
        self.moment(pane, Finish::Smallest)
    }

    fn moment(&self, pane: usize, finish: Finish) -> Datum {
        let mut there = self.panes[pane].values.iter().filter(|(_, count)| *count > 0);
        let found = match finish {
            Finish::Largest => there.next_back(),
            _ => there.next(),
        };
        found.map_or(Datum::NULL, |(value, _)| *value)
    }

    fn each(&self, pane: usize, visit: &mut dyn FnMut(Datum, i64)) {
        let there = self.panes[pane].values.iter().filter(|(_, count)| *count > 0);
        there.for_each(|(value, count)| visit(*value, *count));
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Held>()
    }

    fn bytes_shared(&self) -> usize {
        Pool::bytes_max(size_of::<Counted>())
    }
}
