//! Checkpoints: the entries that [`Over`](crate::operators::over::Over) writes, rows by arrival
//! number and one entry a key. Of a kept row the columns that are neither of its key nor texts nor
//! arguments are NULL. Sums are built again from the rows, before the first call that needs them.

use alloc::vec::Vec;

use super::{
    super::state::{KEYS, ROWS, broken, entry_name},
    Key, KeyId, NONE, Place, Straight, UNUSED, Waiting,
    waiting::Head,
};
use crate::{
    codec,
    context::Context,
    limits::FIELDS_MAX,
    operator::{RestoreError, StateWriter, WATERMARK_MAX},
    row::Row,
    rows::state::{entry_key, put_entry, take_entry},
    slot::Slot,
};

/// Where a row is that has to be written.
enum Where {
    Waiting(Place),
    Kept(Place),
}

impl Straight {
    pub(super) fn write_state(
        &mut self,
        full: bool,
        cx: &mut Context,
        write: &mut dyn StateWriter,
    ) {
        self.rebuild_if_stale(cx);
        self.write_rows(full, cx, write);
        let (mut name, mut value) = (Vec::new(), Vec::new());
        codec::put_u64(&mut value, self.next_serial);
        write.entry(&[KEYS], Some(&value));
        self.deleted.sort_unstable();
        for serial in self.deleted.drain(..).filter(|_| !full) {
            entry_name(&mut name, serial);
            write.entry(&name, None);
        }
        for key in self.changed_keys(full) {
            let Key { serial, last, forget, .. } = self.states[key as usize];
            entry_name(&mut name, serial);
            value.clear();
            let (slots, nulls) = (self.keys.key(key), self.keys.nulls(key));
            codec::put_row(&mut value, slots, nulls, self.keys.types(), cx);
            codec::put_i64(&mut value, last.0);
            codec::put_u64(&mut value, last.1);
            codec::put_i64(&mut value, forget);
            write.entry(&name, Some(&value));
            let state = &mut self.states[key as usize];
            (state.is_stored, state.is_dirty) = (true, false);
        }
    }

    /// Keys to write, by age, so that the bytes do not depend on which numbers they were given.
    fn changed_keys(&mut self, full: bool) -> Vec<KeyId> {
        let mut keys: Vec<KeyId> = self.dirty.drain(..).collect();
        for &key in &keys {
            self.states[key as usize].is_listed = false;
        }
        if full {
            keys = (0..).take(self.states.len()).collect();
        }
        let states = &self.states;
        keys.retain(|&key| states[key as usize].is_used && (full || states[key as usize].is_dirty));
        keys.sort_unstable_by_key(|&key| states[key as usize].serial);
        keys
    }

    fn write_rows(&mut self, full: bool, cx: &mut Context, write: &mut dyn StateWriter) {
        let (mut name, mut value) = (Vec::new(), Vec::new());
        if full || self.next_seq != self.stored_seq {
            self.stored_seq = self.next_seq;
            codec::put_u64(&mut value, self.next_seq);
            write.entry(&[ROWS], Some(&value));
        }
        self.frames.deleted_rows.sort_unstable();
        for seq in self.frames.deleted_rows.drain(..).filter(|_| !full) {
            entry_key(&mut name, ROWS, seq);
            write.entry(&name, None);
        }
        let mut row = [Slot::ZERO; FIELDS_MAX];
        for (seq, place) in self.changed_rows(full) {
            entry_key(&mut name, ROWS, seq);
            value.clear();
            let (time, row) = match place {
                Where::Waiting(place) => {
                    (self.frames.waiting.head(place).time, self.frames.waiting.row(place))
                }
                Where::Kept(place) => {
                    (self.frames.kept.get(place).time, self.kept_row(place, &mut row))
                }
            };
            put_entry(&mut value, time, 0, row, self.frames.waiting.types(), cx);
            write.entry(&name, Some(&value));
        }
    }

    /// Rows to write, in order of arrival.
    fn changed_rows(&mut self, full: bool) -> Vec<(u64, Where)> {
        let mut rows = Vec::new();
        self.frames.waiting.take_fresh(|seq, place| rows.push((seq, Where::Waiting(place))));
        self.frames.kept.take_fresh(|seq, place| rows.push((seq, Where::Kept(place))));
        if full {
            rows.clear();
            for state in &self.states {
                let waiting = self.frames.waiting.of(state.waiting);
                rows.extend(
                    waiting.map(|at| (self.frames.waiting.head(at).seq, Where::Waiting(at))),
                );
                let kept = self.frames.kept.of(state.kept);
                rows.extend(kept.map(|at| (self.frames.kept.get(at).seq(), Where::Kept(at))));
            }
        }
        rows.sort_unstable_by_key(|&(seq, _)| seq);
        rows
    }

    /// What is known of a kept row, as a row.
    fn kept_row<'a>(&self, place: Place, slots: &'a mut [Slot; FIELDS_MAX]) -> Row<'a> {
        let slots = &mut slots[..self.frames.width];
        let mut nulls = u64::MAX >> (64 - self.frames.width.max(1));
        self.frames.kept.put_back(place, &self.frames.sums, slots, &mut nulls);
        let key = self.frames.kept.get(place).key;
        let (key, key_nulls) = (self.keys.key(key), self.keys.nulls(key));
        for (index, (&column, slot)) in self.partition.iter().zip(key).enumerate() {
            slots[column] = *slot;
            nulls = nulls & !(1 << column) | (key_nulls >> index & 1) << column;
        }
        Row::insert(slots, nulls)
    }

    pub(super) fn read_state(
        &mut self,
        name: &[u8],
        value: Option<&[u8]>,
        cx: &mut Context,
    ) -> Result<(), RestoreError> {
        self.is_stale = true;
        let (&section, mut name) = name.split_first().ok_or_else(broken)?;
        if name.is_empty() {
            let Some(mut value) = value else { return Ok(()) };
            let next = codec::take_u64(&mut value).ok_or_else(broken)?;
            match section {
                ROWS => (self.next_seq, self.stored_seq) = (next, next),
                _ => self.next_serial = next,
            }
            return Ok(());
        }
        let number = codec::take_u64(&mut name).ok_or_else(broken)?;
        if section == ROWS {
            self.read_row(number, value, cx).ok_or_else(broken)
        } else {
            self.read_key(number, value, cx).ok_or_else(broken)
        }
    }

    /// Every row waits at first; its key is counted with it.
    fn read_row(&mut self, seq: u64, value: Option<&[u8]>, cx: &mut Context) -> Option<()> {
        if let Some((key, place)) = self.restoring_rows.remove(&seq) {
            self.frames.waiting.remove(&mut self.states[key as usize].waiting, place, cx);
            self.keys.release(key, cx);
        }
        let Some(mut value) = value else { return Some(()) };
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let (time, _, row) = take_entry(&mut value, &mut slots, self.frames.waiting.types(), cx)?;
        let key = match self.keys.find(row, &self.partition, cx).ok()? {
            Some(key) => key,
            None => self.keys.insert(cx)?,
        };
        self.keys.retain(key);
        self.reserve(key);
        let list = &mut self.states[key as usize].waiting;
        let place =
            self.frames.waiting.insert(list, row, self.keys.key(key), (time, seq, true), cx)?;
        self.restoring_rows.insert(seq, (key, place));
        Some(())
    }

    fn read_key(&mut self, serial: u64, value: Option<&[u8]>, cx: &mut Context) -> Option<()> {
        if let Some(key) = self.restoring.remove(&serial) {
            let Key { waiting, is_listed, .. } = self.states[key as usize];
            self.states[key as usize] = Key { waiting, is_listed, ..UNUSED };
            self.keys.release(key, cx);
        }
        let Some(mut value) = value else { return Some(()) };
        let types = self.keys.types().to_vec();
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let slots = &mut slots[..types.len()];
        let nulls = codec::take_row(&mut value, slots, &types, cx)?;
        let key = self.keys.restore(slots, nulls, cx)?;
        self.keys.retain(key);
        self.reserve(key);
        let last = (codec::take_i64(&mut value)?, codec::take_u64(&mut value)?);
        let forget = codec::take_i64(&mut value)?;
        let waiting = self.states[key as usize].waiting;
        self.states[key as usize] =
            Key { serial, last, forget, waiting, is_used: true, is_stored: true, ..UNUSED };
        self.restoring.insert(serial, key);
        Some(())
    }

    /// Builds again what a checkpoint does not hold.
    #[inline]
    pub(super) fn rebuild_if_stale(&mut self, cx: &mut Context) {
        if self.is_stale {
            self.rebuild(cx);
        }
    }

    #[cold]
    fn rebuild(&mut self, cx: &mut Context) {
        self.is_stale = false;
        self.restoring.clear();
        self.restoring_rows.clear();
        let fresh =
            Waiting::new(self.frames.waiting.types(), &self.partition, self.frames.calls.len());
        let restored = core::mem::replace(&mut self.frames.waiting, fresh);
        self.regroup(restored, cx);
        let mut waiting: Vec<_> = (0..)
            .zip(&self.states)
            .flat_map(|(key, state)| self.frames.waiting.of(state.waiting).map(move |at| (key, at)))
            .map(|(key, at)| {
                (self.frames.waiting.head(at).seq, self.frames.waiting.head(at).time, key)
            })
            .collect();
        waiting.sort_unstable();
        for (seq, time, key) in waiting {
            self.watch(key, time, seq, self.restored_watermark);
        }
    }

    /// Parts the rows that were emitted from those that wait, which move to a place of their own:
    /// they are few.
    fn regroup(&mut self, mut restored: Waiting, cx: &mut Context) {
        for key in (0..).take(self.states.len()) {
            let pane = key as usize;
            let mut list = core::mem::replace(&mut self.states[pane].waiting, super::EMPTY);
            while list.first != NONE {
                let place = list.first;
                let head = restored.head(place);
                if self.states[pane].is_used && self.put_back(key, head, restored.row(place), cx) {
                    restored.take_first(&mut list, head);
                    restored.free(place);
                } else {
                    restored.remove(&mut list, place, cx);
                }
                self.keys.release(key, cx);
            }
            let Key { is_used, forget, .. } = self.states[pane];
            if is_used && forget != WATERMARK_MAX {
                self.forgets.insert(key, forget);
            }
        }
    }

    /// True when it is kept, false when it waits.
    fn put_back(&mut self, key: KeyId, head: Head, row: Row<'_>, cx: &mut Context) -> bool {
        let state = &mut self.states[key as usize];
        let of = (head.time, head.seq, true);
        if head.time <= state.last.0 {
            self.frames.sums.add(key as usize, row);
        }
        if (head.time, head.seq) <= state.last {
            self.frames.kept.push(&mut state.kept, key, of, row, &self.frames.sums);
            return true;
        }
        let place = self.frames.waiting.insert(&mut state.waiting, row, self.keys.key(key), of, cx);
        assert!(place.is_some(), "its texts are symbols already");
        false
    }
}
