//! Firing: closed windows become rows, closed slices become partials.

use alloc::vec::Vec;

use super::{WindowAggregate, panes::PaneId};
use crate::{
    context::Context,
    fragment::Phase,
    operator::{Emitter, Progress, Timestamp},
    row::{Change, Row},
    slot::Slot,
};

/// Panes that are added up in one call of each accumulator.
const PAIRS_MAX: usize = 128;

/// A window of which some rows are emitted.
pub(super) struct Firing {
    end: Timestamp,
    /// Panes of the results: the window's own, or scratch panes of a hopping window.
    panes: Vec<PaneId>,
    is_scratch: bool,
    next: usize,
}

impl WindowAggregate {
    /// Fires all windows that `watermark` closes, in order of their ends.
    pub(super) fn fire(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        loop {
            let firing = match self.firing.take() {
                Some(firing) => firing,
                None => match self.next_window(watermark, out.context) {
                    Some(firing) => firing,
                    None => return Progress::Done,
                },
            };
            if let Some(unfinished) = self.fire_rows(firing, out) {
                self.firing = Some(unfinished);
                return Progress::More;
            }
        }
    }

    /// Emits the rows of a window; gives it back when the output is full.
    fn fire_rows(&mut self, mut firing: Firing, out: &mut Emitter<'_>) -> Option<Firing> {
        while let Some(&pane) = firing.panes.get(firing.next) {
            if !out.has_room() {
                return Some(firing);
            }
            let revision = self.panes.get(pane).corrections;
            self.emit_result(pane, firing.end, revision, Change::Insert, out);
            if firing.is_scratch {
                self.panes.release_scratch(pane, out.context);
            }
            firing.next += 1;
        }
        self.after_firing(firing, out.context);
        None
    }

    /// The next window to fire at `watermark`, its panes put together.
    fn next_window(&mut self, watermark: Timestamp, context: &mut Context) -> Option<Firing> {
        let end = self.next_end(self.panes.first_open()?);
        if end - 1 > watermark {
            return None;
        }
        let start = self.windows.start_of(end);
        if self.windows.is_tumbling() {
            let at = self.panes.slice_at(start)?;
            let panes = core::mem::take(&mut self.panes.slices[at].panes);
            return Some(Firing { end, panes, is_scratch: false, next: 0 });
        }
        Some(Firing { end, panes: self.assemble(start, end, context), is_scratch: true, next: 0 })
    }

    /// Merges the slices of a hopping window into one scratch pane for each key, in order of the
    /// keys' first panes.
    fn assemble(&mut self, start: Timestamp, end: Timestamp, cx: &mut Context) -> Vec<PaneId> {
        let counts_from = self.counts_from();
        let panes = &mut self.panes;
        let mut result = core::mem::take(&mut panes.spare_list);
        result.clear();
        let mut of_key = core::mem::take(&mut self.scratch_of_key);
        let mut pairs = heapless::Vec::<_, PAIRS_MAX>::new();
        let first = panes.slices.partition_point(|slice| slice.start < start);
        for at in first..panes.slices.len() {
            if panes.slices[at].start >= end {
                break;
            }
            for index in 0..panes.slices[at].panes.len() {
                let source = panes.slices[at].panes[index];
                let pane = panes.get(source);
                if counts_from && pane.from > end {
                    continue;
                }
                let key = pane.key as usize;
                if of_key.len() <= key {
                    of_key.resize(key + 1, PaneId::MAX);
                }
                if of_key[key] == PaneId::MAX {
                    of_key[key] = panes.scratch(pane.key);
                    result.push(of_key[key]);
                }
                panes.get_mut(of_key[key]).corrections += pane.corrections;
                if pairs.push((of_key[key], source)).is_err() {
                    panes.merge(&pairs, cx);
                    pairs.clear();
                    pairs.push((of_key[key], source)).expect("it is empty now");
                }
            }
        }
        panes.merge(&pairs, cx);
        for &pane in &result {
            of_key[panes.get(pane).key as usize] = PaneId::MAX;
        }
        self.scratch_of_key = of_key;
        result
    }

    /// Slices that no later window needs are dropped, or kept for corrections.
    fn after_firing(&mut self, firing: Firing, context: &mut Context) {
        let Firing { end, panes, is_scratch, .. } = firing;
        self.fired = end;
        if is_scratch {
            self.panes.spare_list = panes;
        } else if let Some(at) = self.panes.slice_at(self.windows.start_of(end)) {
            self.panes.slices[at].panes = panes;
        }
        let mut at = 0;
        while let Some(slice) = self.panes.slices.get_mut(at) {
            if slice.is_closed {
                at += 1;
                continue;
            }
            if self.windows.last_end(slice.start) > end {
                break;
            }
            if self.spec.lateness_ms > 0 || matches!(self.spec.phase, Phase::Merge { .. }) {
                slice.is_closed = true;
                slice.is_dirty = true;
            } else {
                self.panes.remove_slice(at, context);
            }
        }
    }

    /// Emits one result row: keys, aggregates, window columns, revision.
    pub(super) fn emit_result(
        &mut self,
        pane: PaneId,
        end: Timestamp,
        revision: u32,
        change: Change,
        out: &mut Emitter<'_>,
    ) {
        let mark = out.context.arena.mark();
        let key = self.panes.get(pane).key;
        let keys = self.spec.keys.len();
        self.slots[..keys].copy_from_slice(self.panes.keys.key(key));
        let mut nulls = self.panes.keys.nulls(key);
        for index in 0..self.calls.len() {
            let states = &self.panes.accumulators;
            let value = self.calls.finish(states, index, pane as usize, out.context);
            self.slots[keys + index] = value.slot;
            nulls |= u64::from(value.is_null()) << (keys + index);
        }
        let at = keys + self.calls.len();
        let start = self.windows.start_of(end);
        self.slots[at] = Slot::timestamp(start, 0);
        self.slots[at + 1] = Slot::timestamp(end, 0);
        self.slots[at + 2] = Slot::timestamp(end - 1, 0);
        self.slots[at + 3] = Slot::i64(i64::from(revision));
        out.emit(Row { slots: &self.slots[..at + 4], nulls, change });
        out.context.arena.release(mark);
    }

    /// Hands over all panes whose first window `watermark` closes, slice by slice.
    pub(super) fn flush_partials(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<'_>,
    ) -> Progress {
        let mut at = 0;
        while at < self.panes.slices.len() {
            if self.panes.slices[at].first_from - 1 > watermark {
                at += 1;
                continue;
            }
            if self.flush_slice(at, watermark, out) == Progress::More {
                return Progress::More;
            }
            if self.panes.slices[at].panes.is_empty() {
                self.panes.remove_slice(at, out.context);
            }
        }
        Progress::Done
    }

    fn flush_slice(&mut self, at: usize, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        let mut panes = core::mem::take(&mut self.panes.slices[at].panes);
        let mut progress = Progress::Done;
        let mut first_from = Timestamp::MAX;
        panes.retain(|&pane| {
            let from = self.panes.get(pane).from;
            let is_due = from - 1 <= watermark;
            if !is_due || progress == Progress::More || !out.has_room() {
                if is_due {
                    progress = Progress::More;
                }
                first_from = first_from.min(from);
                return true;
            }
            self.emit_partial(pane, out);
            self.panes.remove(pane, out.context);
            false
        });
        self.panes.slices[at].panes = panes;
        self.panes.slices[at].first_from = first_from;
        progress
    }

    pub(super) fn emit_partial(&mut self, pane: PaneId, out: &mut Emitter<'_>) {
        let mark = out.context.arena.mark();
        let info = self.panes.get(pane);
        let keys = self.spec.keys.len();
        self.slots[..keys].copy_from_slice(self.panes.keys.key(info.key));
        let mut nulls = self.panes.keys.nulls(info.key);
        self.slots[keys] = Slot::timestamp(info.slice, 0);
        self.slots[keys + 1] = Slot::timestamp(info.from, 0);
        for (index, accumulator) in self.panes.accumulators.iter().enumerate() {
            let value = accumulator.partial(pane as usize, out.context);
            self.slots[keys + 2 + index] = value.slot;
            nulls |= u64::from(value.is_null()) << (keys + 2 + index);
        }
        let width = keys + 2 + self.panes.accumulators.len();
        out.emit(Row::insert(&self.slots[..width], nulls));
        out.context.arena.release(mark);
    }
}
