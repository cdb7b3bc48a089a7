//! Checkpoints of an OVER step: its rows, and one entry a key.
//!
//! Frames over kept rows are not written: they are built again from the rows and the last emitted
//! one, before the first call that needs them.

use alloc::vec::Vec;

use super::{Key, NO_ROW, Over, UNUSED};
use crate::{
    codec,
    context::Context,
    keys::KeyId,
    limits::FIELDS_MAX,
    operator::{RestoreError, StateWriter, WATERMARK_MAX},
    rows::RowId,
    slot::{Datum, Slot},
    types::DataType,
};

/// What the keys of entries begin with.
pub(super) const ROWS: u8 = 0;
pub(super) const KEYS: u8 = 1;

pub(super) fn broken() -> RestoreError {
    RestoreError("an entry of OVER is unreadable".into())
}

pub(super) fn entry_name(name: &mut Vec<u8>, serial: u64) {
    name.clear();
    name.push(KEYS);
    codec::put_u64(name, serial);
}

impl Over {
    pub(super) fn write_state(
        &mut self,
        full: bool,
        context: &mut Context,
        write: &mut dyn StateWriter,
    ) {
        self.rebuild_if_stale(context);
        self.rows.checkpoint(full, ROWS, context, write);
        let (mut name, mut value) = (Vec::new(), Vec::new());
        codec::put_u64(&mut value, self.next_serial);
        write.entry(&[KEYS], Some(&value));
        self.deleted.sort_unstable();
        for serial in self.deleted.drain(..).filter(|_| !full) {
            entry_name(&mut name, serial);
            write.entry(&name, None);
        }
        let mut keys = core::mem::take(&mut self.dirty);
        for &key in &keys {
            self.keys[key as usize].is_listed = false;
        }
        if full {
            keys.clear();
            keys.extend((0..).take(self.keys.len()));
        }
        let states = &self.keys;
        keys.retain(|&key| states[key as usize].is_used && (full || states[key as usize].is_dirty));
        // By age, so that the bytes do not depend on which numbers keys were given.
        keys.sort_unstable_by_key(|&key| states[key as usize].serial);
        for &key in &keys {
            entry_name(&mut name, self.keys[key as usize].serial);
            value.clear();
            self.encode(key, context, &mut value);
            write.entry(&name, Some(&value));
            let state = &mut self.keys[key as usize];
            (state.is_stored, state.is_dirty) = (true, false);
        }
        keys.clear();
        self.dirty = keys;
    }

    fn encode(&mut self, key: KeyId, context: &mut Context, value: &mut Vec<u8>) {
        let Key { last, forget, .. } = self.keys[key as usize];
        let (slots, nulls) = self.rows.key_values(key);
        codec::put_row(value, slots, nulls, self.rows.key_types(), context);
        codec::put_i64(value, last.0);
        codec::put_u64(value, last.1);
        codec::put_i64(value, forget);
        for frame in &mut self.frames {
            let types = frame.partial_types();
            for (state, data_type) in frame.unbounded().iter().zip(&types) {
                let mark = context.arena.mark();
                let partial = state.partial(key as usize, context);
                value.push(u8::from(!partial.is_null()));
                if !partial.is_null() {
                    codec::put_slot(value, partial.slot, data_type, context);
                }
                context.arena.release(mark);
            }
        }
    }

    pub(super) fn read_state(
        &mut self,
        name: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        self.is_stale = true;
        let (&section, mut name) = name.split_first().ok_or_else(broken)?;
        if section == ROWS {
            return self.rows.restore(name, value, context);
        }
        if name.is_empty() {
            if let Some(mut value) = value {
                self.next_serial = codec::take_u64(&mut value).ok_or_else(broken)?;
            }
            return Ok(());
        }
        let serial = codec::take_u64(&mut name).ok_or_else(broken)?;
        if let Some(key) = self.restoring.remove(&serial) {
            self.drop_key(key, context);
        }
        match value {
            Some(mut value) => self.decode(serial, &mut value, context).ok_or_else(broken),
            None => Ok(()),
        }
    }

    fn decode(&mut self, serial: u64, value: &mut &[u8], context: &mut Context) -> Option<()> {
        let types: Vec<DataType> = self.rows.key_types().to_vec();
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let nulls = codec::take_row(value, &mut slots[..types.len()], &types, context)?;
        let key = self.rows.restore_key(&slots[..types.len()], nulls, context)?;
        if self.keys.len() <= key as usize {
            self.keys.resize(key as usize + 1, UNUSED);
        }
        self.frames.iter_mut().for_each(|frame| frame.reserve(key as usize + 1));
        let last = (codec::take_i64(value)?, codec::take_u64(value)?);
        let forget = codec::take_i64(value)?;
        let stored = Key { serial, last, forget, is_used: true, is_stored: true, ..UNUSED };
        self.keys[key as usize] = stored;
        self.restoring.insert(serial, key);
        for frame in &mut self.frames {
            let types = frame.partial_types();
            for (state, data_type) in frame.unbounded().iter_mut().zip(&types) {
                let (&is_there, rest) = value.split_first()?;
                *value = rest;
                let partial = match is_there {
                    0 => Datum::NULL,
                    _ => Datum::of(codec::take_slot(value, data_type, context)?),
                };
                state.merge(key as usize, partial, context);
            }
        }
        Some(())
    }

    /// Builds again what a checkpoint does not hold.
    #[inline]
    pub(super) fn rebuild_if_stale(&mut self, context: &mut Context) {
        if self.is_stale {
            self.rebuild(context);
        }
    }

    #[cold]
    fn rebuild(&mut self, context: &mut Context) {
        self.is_stale = false;
        self.restoring.clear();
        for key in (0..).take(self.keys.len()) {
            let state = self.keys[key as usize];
            if !state.is_used {
                continue;
            }
            let place = |id: RowId| (self.rows.time(id), self.rows.seq(id));
            let pending = self.rows.of(key).find(|&id| place(id) > state.last);
            let before = match pending {
                Some(pending) => self.rows.previous(pending),
                None => self.rows.last(key),
            };
            let kept = self.rows.first(key).zip(before);
            for frame in &mut self.frames {
                frame.rebuild(key, state.last, kept, &self.rows, context);
            }
            self.keys[key as usize].pending = pending.unwrap_or(NO_ROW);
            if state.forget != WATERMARK_MAX {
                self.forgets.insert(key, state.forget);
            }
        }
        for id in self.rows.by_arrival() {
            let last = self.keys[self.rows.key(id) as usize].last;
            if (self.rows.time(id), self.rows.seq(id)) > last {
                self.watch(id, self.restored_watermark);
            }
        }
    }
}
