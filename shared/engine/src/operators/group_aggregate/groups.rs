//! The groups: key, states of the aggregates, number of rows; and their checkpoints.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use crate::{
    aggregate::{Accumulator, Calls},
    codec,
    context::Context,
    expiry::Expiry,
    keys::{KeyId, KeyTable},
    limits::FIELDS_MAX,
    memory,
    operator::{RestoreError, StateWriter, Timestamp},
    row::Row,
    slot::Slot,
    types::DataType,
};

/// What is known of a group besides key and states, which have the same number.
#[derive(Clone, Copy, Default)]
struct Group {
    rows: i64,
    /// Order of creation; names the group in checkpoints.
    seq: u64,
    is_used: bool,
    is_stored: bool,
    is_dirty: bool,
    /// Its number is in `dirty`, for this group or for one before in the same place.
    is_listed: bool,
}

pub(super) struct Groups {
    pub(super) keys: KeyTable,
    pub(super) states: Vec<Box<dyn Accumulator>>,
    /// Types of key and states in checkpoints.
    types: Vec<DataType>,
    groups: Vec<Group>,
    groups_max: usize,
    expiry: Expiry,
    next_seq: u64,
    dirty: Vec<KeyId>,
    /// Numbers of stored groups that are gone.
    deleted: Vec<u64>,
    /// Groups by number while a checkpoint is being restored.
    restoring: BTreeMap<u64, KeyId>,
}

fn broken() -> RestoreError {
    RestoreError("a stored group is unreadable".into())
}

impl Groups {
    pub(super) fn new(
        key_types: &[DataType],
        calls: &Calls,
        ttl_ms: Option<i64>,
        groups_max: usize,
    ) -> Self {
        Groups {
            keys: KeyTable::new(key_types.to_vec(), groups_max),
            states: calls.accumulators(),
            types: key_types.iter().cloned().chain(calls.partial_types()).collect(),
            groups: Vec::new(),
            groups_max,
            expiry: Expiry::new(ttl_ms),
            next_seq: 0,
            dirty: Vec::new(),
            deleted: Vec::new(),
            restoring: BTreeMap::new(),
        }
    }

    /// A group for the key that was looked for last; `None` at the limit.
    pub(super) fn insert(&mut self, cx: &mut Context) -> Option<KeyId> {
        let id = self.keys.insert(cx)?;
        self.keys.retain(id);
        let at = id as usize;
        if self.groups.len() <= at {
            self.groups.resize(at + 1, Group::default());
            let count = self.groups.capacity().min(self.groups_max).max(at + 1);
            self.states.iter_mut().for_each(|state| state.reserve(count));
        }
        let is_listed = self.groups[at].is_listed;
        let seq = self.next_seq;
        self.groups[at] = Group { seq, is_used: true, is_listed, ..Group::default() };
        self.next_seq += 1;
        Some(id)
    }

    /// Counts rows that came or went; the rows there are now.
    pub(super) fn count(&mut self, id: KeyId, by: i64, watermark: Timestamp) -> i64 {
        let group = &mut self.groups[id as usize];
        group.rows += by;
        group.is_dirty = true;
        if !group.is_listed {
            group.is_listed = true;
            self.dirty.push(id);
        }
        let rows = group.rows;
        self.expiry.touch(id, watermark);
        rows
    }

    pub(super) fn remove(&mut self, id: KeyId, cx: &mut Context) {
        let group = self.groups[id as usize];
        if group.is_stored {
            self.deleted.push(group.seq);
        }
        self.take_out(id, cx);
    }

    fn take_out(&mut self, id: KeyId, cx: &mut Context) {
        let is_listed = self.groups[id as usize].is_listed;
        self.groups[id as usize] = Group { is_listed, ..Group::default() };
        self.states.iter_mut().for_each(|state| state.clear(id as usize, cx));
        self.expiry.remove(id);
        self.keys.release(id, cx);
    }

    pub(super) fn expire(&mut self, watermark: Timestamp, cx: &mut Context) {
        while let Some(id) = self.expiry.expired(watermark) {
            self.remove(id, cx);
        }
    }

    pub(super) fn due(&self) -> Timestamp {
        self.expiry.due()
    }

    fn take_changed(&mut self, full: bool) -> Vec<KeyId> {
        let mut changed = Vec::new();
        for id in self.dirty.drain(..) {
            let group = &mut self.groups[id as usize];
            group.is_listed = false;
            if core::mem::take(&mut group.is_dirty) && group.is_used {
                changed.push(id);
            }
        }
        if full {
            let all = (0..).take(self.groups.len());
            changed = all.filter(|&id: &KeyId| self.groups[id as usize].is_used).collect();
        }
        changed.sort_unstable_by_key(|&id| self.groups[id as usize].seq);
        changed
    }

    pub(super) fn checkpoint(&mut self, full: bool, cx: &mut Context, write: &mut dyn StateWriter) {
        self.restoring.clear();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        codec::put_u64(&mut value, self.next_seq);
        write.entry(&[], Some(&value));
        for seq in self.deleted.drain(..).filter(|_| !full) {
            key.clear();
            codec::put_u64(&mut key, seq);
            write.entry(&key, None);
        }
        for id in self.take_changed(full) {
            key.clear();
            codec::put_u64(&mut key, self.groups[id as usize].seq);
            value.clear();
            self.encode(id, cx, &mut value);
            write.entry(&key, Some(&value));
            self.groups[id as usize].is_stored = true;
        }
    }

    fn encode(&self, id: KeyId, cx: &mut Context, out: &mut Vec<u8>) {
        codec::put_i64(out, self.groups[id as usize].rows);
        codec::put_i64(out, self.expiry.time(id));
        let mark = cx.arena.mark();
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let keys = self.keys.types().len();
        slots[..keys].copy_from_slice(self.keys.key(id));
        let mut nulls = self.keys.nulls(id);
        for (at, state) in (keys..).zip(&self.states) {
            let value = state.partial(id as usize, cx);
            slots[at] = value.slot;
            nulls |= u64::from(value.is_null()) << at;
        }
        codec::put_row(out, &slots[..self.types.len()], nulls, &self.types, cx);
        cx.arena.release(mark);
    }

    pub(super) fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        cx: &mut Context,
    ) -> Result<(), RestoreError> {
        let mut key = key;
        if key.is_empty() {
            if let Some(mut value) = value {
                self.next_seq = codec::take_u64(&mut value).ok_or_else(broken)?;
            }
            return Ok(());
        }
        let seq = codec::take_u64(&mut key).ok_or_else(broken)?;
        if let Some(id) = self.restoring.remove(&seq) {
            self.take_out(id, cx);
        }
        let Some(mut value) = value else { return Ok(()) };
        let id = self.decode(seq, &mut value, cx).ok_or_else(broken)?;
        self.restoring.insert(seq, id);
        Ok(())
    }

    fn decode(&mut self, seq: u64, value: &mut &[u8], cx: &mut Context) -> Option<KeyId> {
        let rows = codec::take_i64(value)?;
        let time = codec::take_i64(value)?;
        let mark = cx.arena.mark();
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let width = self.types.len();
        let nulls = codec::take_row(value, &mut slots[..width], &self.types, cx)?;
        let row = Row::insert(&slots[..width], nulls);
        let keys = self.keys.types().len();
        let columns: Vec<usize> = (0..keys).collect();
        if self.keys.find(row, &columns, cx).ok()?.is_some() {
            return None;
        }
        let next_seq = self.next_seq;
        let id = self.insert(cx)?;
        self.next_seq = next_seq;
        for (at, state) in (keys..).zip(&mut self.states) {
            state.merge(id as usize, row.datum(at), cx);
        }
        let group = &mut self.groups[id as usize];
        (group.seq, group.rows, group.is_stored) = (seq, rows, true);
        self.expiry.touch(id, time);
        cx.arena.release(mark);
        Some(id)
    }

    pub(super) fn restored(&mut self) {
        self.expiry.restored();
    }

    pub(super) fn memory_bytes_max(&self) -> usize {
        let groups = self.groups_max;
        let states: usize = self.states.iter().map(|state| state.bytes_per_pane()).sum();
        let shared: usize = self.states.iter().map(|state| state.bytes_shared()).sum();
        self.keys.memory_bytes_max()
            + shared
            + memory::vec_bytes::<Group>(groups)
            + memory::vec_bytes::<KeyId>(groups)
            + memory::vec_bytes::<u64>(groups)
            + self.expiry.memory_bytes_max(groups)
            + states * groups
    }
}
