//! Checkpoints of a row store: entries by arrival number, each with time, tag and values.
//!
//! `deleted` is bounded by the rows that the last checkpoint holds.

use alloc::vec::Vec;

use super::{Entry, RowId, Rows, UNUSED};
use crate::{
    codec,
    context::Context,
    limits::FIELDS_MAX,
    operator::{RestoreError, StateWriter, Timestamp},
    row::Row,
    slot::Slot,
    types::DataType,
};

fn broken() -> RestoreError {
    RestoreError("a stored row is unreadable".into())
}

impl Rows {
    /// Writes what changed since the last call, or everything. Keys of entries begin with `prefix`:
    /// an operator with several stores gives each its own.
    pub fn checkpoint(
        &mut self,
        full: bool,
        prefix: u8,
        cx: &mut Context,
        write: &mut dyn StateWriter,
    ) {
        self.restoring.clear();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut ids = self.take_changed(full);
        if full || self.next_seq != self.stored_seq {
            self.stored_seq = self.next_seq;
            codec::put_u64(&mut value, self.next_seq);
            write.entry(&[prefix], Some(&value));
        }
        // In an order that does not depend on when it was that each went.
        self.deleted.sort_unstable();
        for seq in self.deleted.drain(..).filter(|_| !full) {
            entry_key(&mut key, prefix, seq);
            write.entry(&key, None);
        }
        ids.sort_unstable_by_key(|&id| self.entries[id as usize].seq);
        for id in ids {
            let Entry { time, seq, .. } = self.entries[id as usize];
            entry_key(&mut key, prefix, seq);
            value.clear();
            put_entry(&mut value, time, self.tag(id), self.slab.get(id), self.slab.types(), cx);
            write.entry(&key, Some(&value));
            self.entries[id as usize].is_stored = true;
        }
    }

    fn take_changed(&mut self, full: bool) -> Vec<RowId> {
        let mut changed = Vec::new();
        for id in self.dirty.drain(..) {
            let entry = &mut self.entries[id as usize];
            entry.is_listed = false;
            if core::mem::take(&mut entry.is_dirty) && entry.is_used {
                changed.push(id);
            }
        }
        if full {
            return self.by_arrival();
        }
        changed
    }

    /// Takes back one entry; `key` is without its prefix.
    pub fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        cx: &mut Context,
    ) -> Result<(), RestoreError> {
        let mut key = key;
        if key.is_empty() {
            if let Some(mut value) = value {
                self.next_seq = codec::take_u64(&mut value).ok_or_else(broken)?;
                self.stored_seq = self.next_seq;
            }
            return Ok(());
        }
        let seq = codec::take_u64(&mut key).ok_or_else(broken)?;
        if let Some(id) = self.restoring.remove(&seq) {
            self.take_out(id, cx);
        }
        let Some(mut value) = value else { return Ok(()) };
        let id = self.take_back(seq, &mut value, cx).ok_or_else(broken)?;
        self.restoring.insert(seq, id);
        Ok(())
    }

    fn take_back(&mut self, seq: u64, value: &mut &[u8], cx: &mut Context) -> Option<RowId> {
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let (time, tag, row) = take_entry(value, &mut slots, self.slab.types(), cx)?;
        let key = match self.keys.find(row, &self.key, cx).ok()? {
            Some(key) => key,
            None => self.keys.insert(cx)?,
        };
        let entry = Entry { time, seq, is_stored: true, ..UNUSED };
        self.put(key, row, entry, tag, cx).ok()
    }
}

/// Appends time, tag and values of a row.
pub(crate) fn put_entry(
    value: &mut Vec<u8>,
    time: Timestamp,
    tag: u64,
    row: Row<'_>,
    types: &[DataType],
    cx: &Context,
) {
    codec::put_i64(value, time);
    codec::put_u64(value, tag);
    codec::put_row(value, row.slots, row.nulls, types, cx);
}

/// Reads them back; the row lies in `slots`.
pub(crate) fn take_entry<'a>(
    value: &mut &[u8],
    slots: &'a mut [Slot; FIELDS_MAX],
    types: &[DataType],
    cx: &mut Context,
) -> Option<(Timestamp, u64, Row<'a>)> {
    let time = codec::take_i64(value)?;
    let tag = codec::take_u64(value)?;
    let nulls = codec::take_row(value, &mut slots[..types.len()], types, cx)?;
    Some((time, tag, Row::insert(&slots[..types.len()], nulls)))
}

/// The key of the entry of a row.
pub(crate) fn entry_key(key: &mut Vec<u8>, prefix: u8, seq: u64) {
    key.clear();
    key.push(prefix);
    codec::put_u64(key, seq);
}
