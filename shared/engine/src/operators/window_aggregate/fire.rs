//! Firing: closed windows become rows, closed slices become partials.

use alloc::vec::Vec;

use super::{WindowAggregate, panes::PaneId};
use crate::{
    aggregate::{self, Finish},
    context::Context,
    fragment::Phase,
    operator::{Emitter, Progress, Timestamp},
    row::{Change, Row},
    slot::{Datum, Slot},
};

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
        let window = &self.spec.window;
        let start = end - window.size_ms;
        if window.size_ms == window.slide_ms {
            let at = self.panes.slice_at(start)?;
            let panes = core::mem::take(&mut self.panes.slices[at].panes);
            return Some(Firing { end, panes, is_scratch: false, next: 0 });
        }
        Some(Firing { end, panes: self.assemble(start, end, context), is_scratch: true, next: 0 })
    }

    /// Merges the slices of a hopping window into one scratch pane for each key, in order of the
    /// keys' first panes.
    fn assemble(&mut self, start: Timestamp, end: Timestamp, cx: &mut Context) -> Vec<PaneId> {
        let in_window = |slice: &&super::panes::Slice| slice.start >= start && slice.start < end;
        let slices = self.panes.slices.iter().filter(in_window);
        let sources: Vec<PaneId> = slices.flat_map(|s| s.panes.iter().copied()).collect();
        let mut of_key: Vec<Option<PaneId>> = Vec::new();
        let mut result = Vec::new();
        for source in sources {
            let pane = self.panes.get(source);
            if pane.from > end {
                continue;
            }
            let key = pane.key as usize;
            if of_key.len() <= key {
                of_key.resize(key + 1, None);
            }
            let scratch = match of_key[key] {
                Some(scratch) => scratch,
                None => {
                    let scratch = self.panes.scratch(pane.key);
                    result.push(scratch);
                    of_key[key] = Some(scratch);
                    scratch
                }
            };
            self.panes.merge(scratch, source, cx);
            self.panes.get_mut(scratch).corrections += pane.corrections;
        }
        result
    }

    /// The slice that no later window needs is dropped, or kept for corrections.
    fn after_firing(&mut self, firing: Firing, context: &mut Context) {
        self.fired = firing.end;
        let Some(at) = self.panes.slice_at(firing.end - self.spec.window.size_ms) else {
            return;
        };
        let slice = &mut self.panes.slices[at];
        if !firing.is_scratch {
            slice.panes = firing.panes;
        }
        if matches!(self.spec.phase, Phase::Merge { .. }) {
            slice.is_closed = true;
            slice.is_dirty = true;
        } else {
            self.panes.remove_slice(at, context);
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
            let value = self.finish(index, pane, out.context);
            self.slots[keys + index] = value.slot;
            nulls |= u64::from(value.null) << (keys + index);
        }
        let at = keys + self.calls.len();
        let start = end - self.spec.window.size_ms;
        self.slots[at] = Slot::timestamp(start, 0);
        self.slots[at + 1] = Slot::timestamp(end, 0);
        self.slots[at + 2] = Slot::timestamp(end - 1, 0);
        self.slots[at + 3] = Slot::i64(i64::from(revision));
        out.emit(Row { slots: &self.slots[..at + 4], nulls, change });
        out.context.arena.release(mark);
    }

    fn finish(&self, index: usize, pane: PaneId, context: &mut Context) -> Datum {
        let call = &self.calls[index];
        let pane = pane as usize;
        let part = |n: usize| &self.panes.accumulators[call.parts[n]];
        match call.finish {
            Finish::Value => part(0).value(pane, context),
            Finish::Mean => {
                let arg = self.parts[call.parts[0]].arg.as_ref().map(|(_, t)| t);
                let total = part(0).total(pane, context);
                let count = part(1).value(pane, context).slot.as_i64();
                aggregate::mean(total, count, arg, &call.result)
            }
            finish => part(0).moment(pane, finish),
        }
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

    fn emit_partial(&mut self, pane: PaneId, out: &mut Emitter<'_>) {
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
            nulls |= u64::from(value.null) << (keys + 2 + index);
        }
        let width = keys + 2 + self.panes.accumulators.len();
        out.emit(Row::insert(&self.slots[..width], nulls));
        out.context.arena.release(mark);
    }
}
