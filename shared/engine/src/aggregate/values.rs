//! All values of a pane, each with its count: what MIN and MAX need where rows are taken away.
//!
//! Values lie sorted, so that both ends are at hand. A pane holds at most
//! [`VALUES_PER_PANE_MAX`] different ones: one more is a fault of the row.

use alloc::vec::Vec;

use super::{Accumulator, Finish, ordered};
use crate::{
    codec,
    compare::compare,
    context::{Context, Fault},
    limits::VALUES_PER_PANE_MAX,
    slot::{Datum, Slot},
    types::DataType,
};

/// A value and how often it is there: negative when it was taken away before it came.
type Counted = (Datum, i64);

pub(super) struct Values {
    arg: DataType,
    panes: Vec<Vec<Counted>>,
    scratch: core::cell::RefCell<Vec<u8>>,
}

impl Values {
    pub(super) fn new(arg: DataType) -> Self {
        Values { arg, panes: Vec::new(), scratch: core::cell::RefCell::default() }
    }

    fn change(&mut self, pane: usize, value: Datum, by: i64, cx: &mut Context) {
        if value.null || by == 0 {
            return;
        }
        let arg = &self.arg;
        let values = &mut self.panes[pane];
        let order = |held: &Counted| compare(held.0.slot, value.slot, arg, cx);
        match values.binary_search_by(order) {
            Ok(at) => {
                values[at].1 += by;
                if values[at].1 == 0 {
                    let (mut gone, _) = values.remove(at);
                    ordered::replace(&mut gone, Datum::NULL, arg, cx);
                }
            }
            Err(_) if values.len() >= VALUES_PER_PANE_MAX => {
                cx.fail(Fault::StateFull);
            }
            Err(at) => {
                let mut held = Datum::NULL;
                ordered::replace(&mut held, value, arg, cx);
                if !held.null {
                    values.insert(at, (held, by));
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
            self.change(pane, value, by, cx);
        }
        Some(())
    }
}

impl Accumulator for Values {
    fn reserve(&mut self, count: usize) {
        self.panes.resize_with(count.max(self.panes.len()), Vec::new);
    }

    fn clear(&mut self, pane: usize, cx: &mut Context) {
        for (mut value, _) in core::mem::take(&mut self.panes[pane]) {
            ordered::replace(&mut value, Datum::NULL, &self.arg, cx);
        }
    }

    fn add(&mut self, pane: usize, value: Datum, cx: &mut Context) {
        self.change(pane, value, 1, cx);
    }

    fn remove(&mut self, pane: usize, value: Datum, cx: &mut Context) {
        self.change(pane, value, -1, cx);
    }

    fn merge(&mut self, pane: usize, partial: Datum, cx: &mut Context) {
        if !partial.null {
            let _ = self.merge_bytes(pane, partial.slot, cx);
        }
    }

    fn merge_pane(&mut self, into: usize, from: usize, cx: &mut Context) {
        let values = self.panes[from].clone();
        for (value, by) in values {
            self.change(into, value, by, cx);
        }
    }

    fn partial(&self, pane: usize, cx: &mut Context) -> Datum {
        let mut bytes = self.scratch.borrow_mut();
        bytes.clear();
        for (value, by) in &self.panes[pane] {
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
        let mut there = self.panes[pane].iter().filter(|(_, count)| *count > 0);
        let found = match finish {
            Finish::Largest => there.next_back(),
            _ => there.next(),
        };
        found.map_or(Datum::NULL, |(value, _)| *value)
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Vec<Counted>>() + VALUES_PER_PANE_MAX * size_of::<Counted>()
    }
}
