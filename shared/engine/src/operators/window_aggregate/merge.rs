//! The core half: partials are added up; one that comes late corrects what has fired.

use super::{WindowAggregate, panes::PaneId};
use crate::{
    context::{Context, Fault},
    keys::KeyId,
    operator::{Emitter, Reason, Timestamp},
    row::{Change, Row},
};

/// A partial's place in time.
#[derive(Clone, Copy)]
struct Place {
    slice: Timestamp,
    /// End of the first window it counts in.
    from: Timestamp,
}

impl WindowAggregate {
    fn place(&self, row: Row<'_>) -> Place {
        let keys = self.spec.keys.len();
        Place { slice: row.slots[keys].as_i64(), from: row.slots[keys + 1].as_i64() }
    }

    /// Whether results of this slice can no longer be corrected.
    fn is_beyond(&self, slice: Timestamp, correction_ms: i64, watermark: Timestamp) -> bool {
        let end = slice.saturating_add(self.spec.window.size_ms);
        end.saturating_add(correction_ms) <= watermark && watermark != Timestamp::MAX
    }

    pub(super) fn push_partial(&mut self, row: Row<'_>, correction_ms: i64, out: &mut Emitter<'_>) {
        let place = self.place(row);
        if self.is_beyond(place.slice, correction_ms, out.watermark) {
            out.drop_row(Reason::BeyondCorrection, row);
            return;
        }
        let closed = self.closed_end(out.watermark);
        let last_end = place.slice + self.spec.window.size_ms;
        let Some(pane) = self.pane(row, place.slice, place.from, out) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        if place.from <= closed {
            self.correct(pane, place, closed.min(last_end), row, out);
        }
        self.add_partial(pane, row, out.context);
        self.panes.get_mut(pane).is_empty = false;
        if closed >= last_end
            && let Some(at) = self.panes.slice_at(place.slice)
        {
            self.panes.slices[at].is_closed = true;
            self.panes.slices[at].is_dirty = true;
            self.due = self.next_due();
        }
    }

    fn add_partial(&mut self, pane: PaneId, row: Row<'_>, context: &mut Context) {
        let at = self.spec.keys.len() + 2;
        for (index, accumulator) in self.panes.accumulators.iter_mut().enumerate() {
            accumulator.merge(pane as usize, row.datum(at + index), context);
        }
    }

    /// Emits the results that the partial changes: windows ending in `place.from ..= upto`.
    fn correct(
        &mut self,
        pane: PaneId,
        place: Place,
        upto: Timestamp,
        row: Row<'_>,
        out: &mut Emitter<'_>,
    ) {
        let key = self.panes.get(pane).key;
        let mut end = place.from;
        let mut was_fired = false;
        while end <= upto {
            was_fired |= self.correct_window(key, pane, end, row, out);
            end += self.spec.window.slide_ms;
        }
        if was_fired {
            self.panes.get_mut(pane).corrections += 1;
        }
    }

    /// One window: `-U` and `+U`, or `+I` where the key had no result. Tells which.
    fn correct_window(
        &mut self,
        key: KeyId,
        own: PaneId,
        end: Timestamp,
        row: Row<'_>,
        out: &mut Emitter<'_>,
    ) -> bool {
        let scratch = self.panes.scratch(key);
        let has_result = self.assemble_key(scratch, key, own, end, out.context);
        let revision = self.panes.get(scratch).corrections;
        if has_result {
            self.emit_result(scratch, end, revision, Change::UpdateBefore, out);
        }
        self.add_partial(scratch, row, out.context);
        let (change, revision) = match has_result {
            true => (Change::UpdateAfter, revision + 1),
            false => (Change::Insert, 0),
        };
        self.emit_result(scratch, end, revision, change, out);
        self.panes.release_scratch(scratch, out.context);
        has_result
    }

    /// Puts one key's window together in `scratch`; false when the key has nothing in it. `own` is
    /// the pane of the partial being added: new and still empty, it is no result.
    fn assemble_key(
        &mut self,
        scratch: PaneId,
        key: KeyId,
        own: PaneId,
        end: Timestamp,
        context: &mut Context,
    ) -> bool {
        let start = end - self.spec.window.size_ms;
        let mut found = false;
        for at in 0..self.panes.slices.len() {
            let slice = &self.panes.slices[at];
            if slice.start < start || slice.start >= end {
                continue;
            }
            for index in 0..slice.panes.len() {
                let source = self.panes.slices[at].panes[index];
                let pane = self.panes.get(source);
                let is_new = source == own && pane.is_empty;
                if pane.key == key && pane.from <= end && !is_new {
                    self.panes.merge(scratch, source, context);
                    self.panes.get_mut(scratch).corrections += pane.corrections;
                    found = true;
                }
            }
        }
        found
    }

    /// The first closed slice that correcting with `row` needs and that is not in memory.
    pub(super) fn first_cold(
        &self,
        row: Row<'_>,
        correction_ms: i64,
        watermark: Timestamp,
    ) -> Option<Timestamp> {
        let place = self.place(row);
        let closed = self.closed_end(watermark);
        if self.is_beyond(place.slice, correction_ms, watermark) || place.from > closed {
            return None;
        }
        let window = &self.spec.window;
        let upto = closed.min(place.slice + window.size_ms);
        let mut slice = place.from - window.size_ms;
        while slice < upto {
            let is_closed = slice + window.size_ms <= closed;
            if is_closed && self.panes.slice_at(slice).is_none() {
                return Some(slice);
            }
            slice += window.slide_ms;
        }
        None
    }
}
