//! The core half: partials are added up; one that comes late corrects what has fired.

use super::{
    WindowAggregate,
    panes::{PaneId, Panes},
};
use crate::{
    context::{Context, Fault},
    fragment::Phase,
    keys::KeyId,
    operator::{Emitter, Reason, Timestamp},
    pipeline::{TIME_MAX, TIME_MIN},
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

    /// Whether an agent that runs the same plan can have sent this.
    fn is_valid(&self, place: Place) -> bool {
        let Place { slice, from } = place;
        let windows = &self.windows;
        let earliest = TIME_MIN - windows.slice_ms();
        (earliest..=TIME_MAX).contains(&slice)
            && windows.slice_of(slice) == slice
            && (windows.first_end(slice)..=windows.last_end(slice)).contains(&from)
            && windows.is_end(from)
    }

    /// Whether results of this slice can no longer be corrected.
    fn is_beyond(&self, slice: Timestamp, correction_ms: i64, watermark: Timestamp) -> bool {
        let end = self.windows.last_end(slice);
        end.saturating_add(correction_ms) <= watermark && watermark != Timestamp::MAX
    }

    pub(super) fn push_partial(&mut self, row: Row<'_>, correction_ms: i64, out: &mut Emitter<'_>) {
        let place = self.place(row);
        if !self.is_valid(place) {
            out.drop_row(Reason::Fault(Fault::EventTimeOutOfRange), row);
            return;
        }
        if self.is_beyond(place.slice, correction_ms, out.watermark) {
            out.drop_row(Reason::BeyondCorrection, row);
            return;
        }
        let closed = self.windows.closed_end(out.watermark);
        let last_end = self.windows.last_end(place.slice);
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

    /// A partial of a window that lies in one of these: none is late.
    pub(super) fn push_finer(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        let slice = self.windows.slice_of(self.place(row).slice);
        let Some(pane) = self.pane(row, slice, self.windows.first_end(slice), out) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        self.add_partial(pane, row, out.context);
        self.panes.get_mut(pane).is_empty = false;
    }

    /// A late row within the allowed lateness; `from` is the end of the first window that takes it.
    pub(super) fn push_late(
        &mut self,
        row: Row<'_>,
        slice: Timestamp,
        from: Timestamp,
        out: &mut Emitter<'_>,
    ) {
        let Some(pane) = self.pane(row, slice, from, out) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        let closed = self.windows.closed_end(out.watermark);
        let last_end = self.windows.last_end(slice);
        if self.spec.phase == Phase::Complete {
            let place = Place { slice, from };
            self.correct(pane, place, closed.min(last_end), row, out);
        }
        self.calls.add(&mut self.panes.accumulators, pane as usize, row, out.context);
        self.panes.get_mut(pane).is_empty = false;
        if self.spec.phase == Phase::Partial {
            self.emit_partial(pane, out);
            self.panes.unlink(pane);
            self.panes.remove(pane, out.context);
        }
        if let Some(at) = self.panes.slice_at(slice) {
            if self.panes.slices[at].panes.is_empty() {
                self.panes.remove_slice(at, out.context);
            } else if closed >= last_end {
                self.panes.slices[at].is_closed = true;
            }
        }
        self.due = self.next_due();
    }

    /// Forgets slices for which no late row can come any more.
    pub(super) fn drop_expired(&mut self, watermark: Timestamp, context: &mut Context) {
        if !self.keeps_fired() {
            return;
        }
        while let Some(first) = self.panes.slices.front()
            && first.is_closed
            && self.is_expired(first.start, watermark)
        {
            self.panes.remove_slice(0, context);
        }
    }

    fn add_partial(&mut self, pane: PaneId, row: Row<'_>, context: &mut Context) {
        let at = self.spec.keys.len() + 2;
        for (index, accumulator) in self.panes.accumulators.iter_mut().enumerate() {
            accumulator.merge(pane as usize, row.datum(at + index), context);
        }
    }

    /// Emits the results that the partial changes: windows ending in `place.from ..= upto`.
    ///
    /// The revision of a result is the sum of what its panes count as corrections. So it rises with
    /// each correction and a retraction carries the revision that it retracts. For a hopping window
    /// the number may start above 0: its slices were corrected for windows before.
    fn correct(
        &mut self,
        pane: PaneId,
        place: Place,
        upto: Timestamp,
        row: Row<'_>,
        out: &mut Emitter<'_>,
    ) {
        let slide = usize::try_from(self.windows.slide_ms()).expect("slides are positive");
        let key = self.panes.get(pane).key;
        let mut has_result = false;
        for end in (place.from..=upto).step_by(slide) {
            has_result |= self.gather(key, pane, end, |_, _| {});
        }
        for end in (place.from..=upto).step_by(slide) {
            self.correct_window(key, pane, end, u32::from(has_result), row, out);
        }
        self.panes.get_mut(pane).corrections += u32::from(has_result);
    }

    /// One window: `-U` and `+U`, or `+I` where the key had no result.
    fn correct_window(
        &mut self,
        key: KeyId,
        own: PaneId,
        end: Timestamp,
        step: u32,
        row: Row<'_>,
        out: &mut Emitter<'_>,
    ) {
        let scratch = self.panes.scratch(key);
        let has_result = self.gather(key, own, end, |panes, source| {
            panes.merge(&[(scratch, source)], out.context);
            let corrections = panes.get(source).corrections;
            panes.get_mut(scratch).corrections += corrections;
        });
        let revision = self.panes.get(scratch).corrections;
        if has_result {
            self.emit_result(scratch, end, revision, Change::UpdateBefore, out);
        }
        match self.spec.phase {
            Phase::Merge { .. } => self.add_partial(scratch, row, out.context),
            _ => {
                let states = &mut self.panes.accumulators;
                self.calls.add(states, scratch as usize, row, out.context);
            }
        }
        let change = if has_result { Change::UpdateAfter } else { Change::Insert };
        self.emit_result(scratch, end, revision + step, change, out);
        self.panes.release_scratch(scratch, out.context);
    }

    /// Calls `take` for the panes of one key in the window that ends at `end`; tells whether there
    /// is one. `own` is the pane of the partial being added: new and still empty, it is no result.
    fn gather(
        &mut self,
        key: KeyId,
        own: PaneId,
        end: Timestamp,
        mut take: impl FnMut(&mut Panes, PaneId),
    ) -> bool {
        let (start, slide) = (self.windows.start_of(end), self.windows.slide_ms());
        let panes = &mut self.panes;
        let mut found = false;
        let first = panes.slices.partition_point(|slice| slice.start < start);
        for at in first..panes.slices.len() {
            let slice = panes.slices[at].start;
            if slice >= end {
                break;
            }
            // The key has at most one pane for each window in which the slice may begin to count.
            let count = panes.slices[at].panes.len();
            let is_few = (end - slice) / slide <= i64::try_from(count).unwrap_or(i64::MAX);
            let mut visit = |panes: &mut Panes, source: PaneId| {
                let pane = panes.get(source);
                let is_new = source == own && pane.is_empty;
                if pane.key == key && pane.from <= end && !is_new {
                    take(panes, source);
                    found = true;
                }
            };
            if is_few {
                let mut from = self.windows.first_end(slice);
                while from <= end {
                    if let Some(source) = panes.find(slice, from, key) {
                        visit(panes, source);
                    }
                    from += slide;
                }
            } else {
                for index in 0..count {
                    visit(panes, panes.slices[at].panes[index]);
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
        let closed = self.windows.closed_end(watermark);
        if !self.is_valid(place)
            || self.is_beyond(place.slice, correction_ms, watermark)
            || place.from > closed
        {
            return None;
        }
        let windows = &self.windows;
        let upto = closed.min(windows.last_end(place.slice));
        let mut slice = windows.start_of(place.from);
        while slice < upto {
            let is_closed = windows.last_end(slice) <= closed;
            if is_closed && self.panes.slice_at(slice).is_none() {
                return Some(slice);
            }
            slice += windows.slice_ms();
        }
        None
    }
}
