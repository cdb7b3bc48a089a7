//! The rows of all keys and what they add up to.

use alloc::{boxed::Box, vec::Vec};

use super::{
    Key, NONE,
    kept::Kept,
    waiting::{Head, Waiting},
};
use crate::{aggregate::Sums, context::Context, keys::KeyId, operator::Emitter, row::Row};

/// See the module.
pub(super) struct Frames {
    /// How far a frame goes back, in ms.
    pub(super) preceding: i64,
    /// Columns of a row without its results.
    pub(super) width: usize,
    /// The number of the sum of each appended column.
    pub(super) calls: Box<[usize]>,
    /// Of each key.
    pub(super) sums: Sums,
    pub(super) waiting: Waiting,
    pub(super) kept: Kept,
    /// Arrival numbers of stored rows that are gone.
    pub(super) deleted_rows: Vec<u64>,
}

impl Frames {
    /// Rows that wait or are kept.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.kept.len()
    }

    /// Emits the first waiting row of a key.
    #[inline]
    pub(super) fn emit(&mut self, state: &mut Key, key: KeyId, head: Head, out: &mut Emitter<'_>) {
        let place = state.waiting.first;
        if head.time > state.last.0 {
            self.slide(state, key, head, out.context);
        }
        state.last = (head.time, head.seq);
        self.waiting.take_first(&mut state.waiting, head);
        let (slots, nulls) = self.waiting.with_results(place);
        let (values, results) = slots.split_at_mut(self.width);
        let of = (head.time, head.seq, head.is_stored);
        self.kept.push(&mut state.kept, key, of, Row::insert(values, nulls), &self.sums);
        let nulls = nulls | self.sums.values(key as usize, &self.calls, results) << self.width;
        out.emit(Row::insert(slots, nulls));
        self.waiting.free(place);
    }

    /// Moves the frame of a key on to the time of its next row: in come the rows of that time.
    #[inline]
    fn slide(&mut self, state: &mut Key, key: KeyId, head: Head, cx: &mut Context) {
        let pane = key as usize;
        self.sums.add(pane, self.waiting.row(state.waiting.first));
        let mut at = head.next;
        while at != NONE {
            let peer = self.waiting.head(at);
            if peer.time != head.time {
                break;
            }
            self.sums.add(pane, self.waiting.row(at));
            at = peer.next;
        }
        let start = head.time.saturating_sub(self.preceding);
        while state.kept.first != NONE {
            let kept = self.kept.get(state.kept.first);
            if kept.time >= start {
                break;
            }
            let (first, nulls) = kept.arguments();
            self.sums.take_away(pane, first, nulls, self.kept.rest(state.kept.first));
            if kept.is_stored() {
                self.deleted_rows.push(kept.seq());
            }
            self.kept.remove_first(&mut state.kept, cx);
        }
    }
}
