//! Checkpoint, restore and cold state of a window step.
//!
//! An entry is a pane. Panes that a watermark has fired or handed over are not deleted one by one:
//! the watermark stored with each checkpoint tells which they are ([`WindowAggregate::prune`]).
//! Phase `Merge` moves closed slices to cold state at each checkpoint and keeps none in memory.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{WindowAggregate, panes::PaneId};
use crate::{
    codec,
    context::Context,
    fragment::Phase,
    limits::FIELDS_MAX,
    operator::{RestoreError, StateWriter, Timestamp},
    row::Row,
    slot::{Datum, Slot},
    types::DataType,
};

/// Entries by number, while a checkpoint is being restored.
pub(super) type Restoring = BTreeMap<u64, PaneId>;

fn broken() -> RestoreError {
    RestoreError("a window pane is unreadable".into())
}

impl WindowAggregate {
    pub(super) fn write_state(
        &mut self,
        full: bool,
        context: &mut Context,
        write: &mut dyn StateWriter,
    ) {
        self.restoring.clear();
        if !self.keeps_fired() {
            self.write_cold(context, write);
        }
        let types = self.calls.partial_types();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        codec::put_u64(&mut value, self.panes.next_seq);
        write.entry(&[], Some(&value));
        let mut changed = core::mem::take(&mut self.panes.spare_list);
        self.panes.take_changed(full, &mut changed);
        for &pane in &changed {
            key.clear();
            codec::put_u64(&mut key, self.panes.get(pane).seq);
            value.clear();
            self.encode(pane, &types, true, context, &mut value);
            write.entry(&key, Some(&value));
        }
        self.panes.spare_list = changed;
    }

    /// Writes a pane. In entries texts are symbols; cold state outlives the symbol table, so there
    /// they are written out.
    fn encode(
        &self,
        pane: PaneId,
        types: &[DataType],
        as_symbols: bool,
        context: &mut Context,
        out: &mut Vec<u8>,
    ) {
        let info = self.panes.get(pane);
        codec::put_u64(out, info.seq);
        codec::put_i64(out, info.slice);
        codec::put_i64(out, info.from);
        codec::put_u64(out, u64::from(info.corrections));
        let mark = context.arena.mark();
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let keys = self.spec.keys.len();
        slots[..keys].copy_from_slice(self.panes.keys.key(info.key));
        let mut nulls = self.panes.keys.nulls(info.key);
        for (index, accumulator) in self.panes.accumulators.iter().enumerate() {
            let value = accumulator.partial(pane as usize, context);
            slots[keys + index] = value.slot;
            nulls |= u64::from(value.is_null()) << (keys + index);
        }
        let all = || self.spec.key_types.iter().chain(types);
        if !as_symbols {
            for (index, data_type) in all().enumerate() {
                if data_type.is_referring() && nulls >> index & 1 == 0 {
                    slots[index] = context.inline(slots[index]);
                }
            }
        }
        codec::put_row(out, &slots[..keys + types.len()], nulls, all(), context);
        context.arena.release(mark);
    }

    fn decode(
        &mut self,
        bytes: &mut &[u8],
        types: &[DataType],
        context: &mut Context,
    ) -> Option<PaneId> {
        let seq = codec::take_u64(bytes)?;
        let slice = codec::take_i64(bytes)?;
        let from = codec::take_i64(bytes)?;
        let corrections = u32::try_from(codec::take_u64(bytes)?).ok()?;
        let mark = context.arena.mark();
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let keys = self.spec.keys.len();
        let all: Vec<_> = self.spec.key_types.iter().chain(types).cloned().collect();
        let nulls = codec::take_row(bytes, &mut slots[..all.len()], &all, context)?;
        let row = Row::insert(&slots[..all.len()], nulls);
        let leading = super::panes::leading(keys);
        let next_seq = self.panes.next_seq.max(seq + 1);
        let (pane, _) = self.panes.find_or_insert(row, leading, slice, from, context)?;
        self.panes.next_seq = next_seq;
        for (index, accumulator) in self.panes.accumulators.iter_mut().enumerate() {
            let value = row.datum(keys + index);
            let value = if value.is_null() { Datum::NULL } else { value };
            accumulator.merge(pane as usize, value, context);
        }
        let info = self.panes.get_mut(pane);
        (info.seq, info.corrections) = (seq, corrections);
        (info.is_dirty, info.is_empty) = (false, false);
        context.arena.release(mark);
        Some(pane)
    }

    pub(super) fn read_state(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let mut key = key;
        if key.is_empty() {
            if let Some(mut value) = value {
                self.panes.next_seq = codec::take_u64(&mut value).ok_or_else(broken)?;
            }
            return Ok(());
        }
        let seq = codec::take_u64(&mut key).ok_or_else(broken)?;
        let Some(mut value) = value else {
            if let Some(pane) = self.restoring.remove(&seq)
                && self.panes.get(pane).is_used
                && self.panes.get(pane).seq == seq
            {
                self.panes.unlink(pane);
                self.panes.remove(pane, context);
            }
            return Ok(());
        };
        let types = self.calls.partial_types();
        let pane = self.decode(&mut value, &types, context).ok_or_else(broken)?;
        self.restoring.insert(seq, pane);
        Ok(())
    }

    /// Drops what a watermark has fired or handed over and puts panes in order again.
    pub(super) fn prune(&mut self, watermark: Timestamp, context: &mut Context) {
        let closed = self.windows.closed_end(watermark);
        for at in (0..self.panes.slices.len()).rev() {
            let start = self.panes.slices[at].start;
            let is_closed = self.windows.last_end(start) <= closed;
            self.panes.slices[at].is_closed = is_closed && self.keeps_fired();
            let is_over = match self.keeps_fired() {
                true => self.is_expired(start, watermark),
                false => is_closed,
            };
            if is_over {
                self.panes.remove_slice(at, context);
                continue;
            }
            if matches!(self.spec.phase, Phase::Partial | Phase::Coarsen) {
                self.drop_flushed(at, watermark, context);
            }
            self.panes.sort_slice(at);
        }
        let mut changed = core::mem::take(&mut self.panes.spare_list);
        self.panes.take_changed(false, &mut changed);
        self.panes.spare_list = changed;
    }

    fn drop_flushed(&mut self, at: usize, watermark: Timestamp, context: &mut Context) {
        let mut panes = core::mem::take(&mut self.panes.slices[at].panes);
        panes.retain(|&pane| {
            let is_kept = self.panes.get(pane).from - 1 > watermark;
            if !is_kept {
                self.panes.remove(pane, context);
            }
            is_kept
        });
        let first_from = panes.iter().map(|&p| self.panes.get(p).from).min();
        self.panes.slices[at].panes = panes;
        self.panes.slices[at].first_from = first_from.unwrap_or(Timestamp::MAX);
    }

    /// Writes closed slices to cold state and drops them.
    fn write_cold(&mut self, context: &mut Context, write: &mut dyn StateWriter) {
        let types = self.calls.partial_types();
        let mut value = Vec::new();
        for at in (0..self.panes.slices.len()).rev() {
            let slice = &self.panes.slices[at];
            if !slice.is_closed {
                continue;
            }
            if slice.is_dirty {
                value.clear();
                for &pane in &slice.panes {
                    self.encode(pane, &types, false, context, &mut value);
                }
                write.cold(slice.start, &value);
            }
            self.panes.remove_slice(at, context);
        }
    }

    pub(super) fn load_cold(
        &mut self,
        time: Timestamp,
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let types = self.calls.partial_types();
        let mut bytes = value.unwrap_or_default();
        let at = self.panes.slice_or_insert(time);
        self.panes.slices[at].is_closed = true;
        while !bytes.is_empty() {
            self.decode(&mut bytes, &types, context).ok_or_else(broken)?;
        }
        Ok(())
    }
}
