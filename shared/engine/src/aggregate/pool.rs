//! The bounds of aggregates that hold values: so many in one state, so many in all together.
//!
//! A row that would exceed one is set aside as `state-full`. States that are put together on the
//! way to a result are counted, but not refused: their values were let in before.

use crate::{
    context::{Context, Fault},
    limits::{STATE_BYTES_MAX, VALUES_MAX, VALUES_PER_PANE_MAX},
    slot::Datum,
    types::DataType,
};

/// How many values the states of one accumulator hold.
#[derive(Default)]
pub(super) struct Pool {
    count: usize,
}

impl Pool {
    /// Whether a state of `len` values can take one more, which makes it `bytes` long; if not, the
    /// row has a fault.
    pub(super) fn has_room(&self, len: usize, bytes: usize, cx: &mut Context) -> bool {
        let has_room =
            len < VALUES_PER_PANE_MAX && bytes <= STATE_BYTES_MAX && self.count < VALUES_MAX;
        if !has_room {
            cx.fail(Fault::StateFull);
        }
        has_room
    }

    pub(super) fn take(&mut self, count: usize) {
        self.count += count;
    }

    pub(super) fn give_back(&mut self, count: usize) {
        self.count = self.count.saturating_sub(count);
    }

    /// Bytes of all values at the limit: states grow by doubling, and a window is put together
    /// beside those that it is made of.
    pub(super) fn bytes_max(bytes_per_value: usize) -> usize {
        2 * VALUES_MAX * bytes_per_value
    }
}

/// The most that a value takes in an encoded state.
pub(super) fn bytes_of(value: Datum, data_type: &DataType, cx: &Context) -> usize {
    const FIXED: usize = 24;
    match value.is_null() || !data_type.is_referring() {
        true => FIXED,
        false => FIXED + cx.bytes(value.slot).len(),
    }
}
