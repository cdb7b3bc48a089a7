//! First-row deduplication: of each key the row with the smallest event time, once.
//!
//! Flink's `ROW_NUMBER() OVER (PARTITION BY key ORDER BY rowtime ASC) = 1`: a row waits until the
//! watermark reaches its event time, so that an earlier row of the key can still take its place;
//! equal times, the first to arrive. A row behind the watermark is late, also for a key never seen.
//! A repeat of a remembered key is counted as a repeat, whenever it comes.
//!
//! Memory is bounded by `dedup_entries_max`: when it is reached the oldest emitted key is forgotten
//! and counted as evicted; when all keys are still waiting, the new row is set aside.
//!
//! In a checkpoint an entry is a row by arrival number. That it has been emitted or forgotten since
//! is not written: the watermark of each later page tells.

use alloc::{
    collections::{BTreeMap, BinaryHeap, VecDeque},
    vec::Vec,
};
use core::cmp::Reverse;

use crate::{
    codec,
    context::{Context, Fault},
    fragment::DedupSpec,
    keys::{KeyId, KeyTable},
    limits::Limits,
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX, WATERMARK_MIN,
    },
    row::Row,
    slot::Slot,
    types::{DataType, Schema},
};

mod waiting;

use waiting::Waiting;

/// Arrival number of an entry that is not in use.
const NO_SEQ: u64 = u64::MAX;
const NO_ROW: u32 = u32::MAX;

/// What is known of a key besides its values.
#[derive(Clone, Copy)]
struct Entry {
    time: Timestamp,
    /// Arrival number: orders rows of equal time and names the entry in checkpoints.
    seq: u64,
    /// Where the waiting row is, or `NO_ROW` once it was emitted.
    row: u32,
    /// Not in the last checkpoint.
    is_dirty: bool,
    /// Its number is in `dirty`, for this entry or for one before in the same place.
    is_listed: bool,
}

const UNUSED: Entry =
    Entry { time: 0, seq: NO_SEQ, row: NO_ROW, is_dirty: false, is_listed: false };

/// The operator.
pub struct DedupFirst {
    spec: DedupSpec,
    types: Vec<DataType>,
    entries_max: usize,
    /// How far behind the watermark emitted keys are remembered; `None` for ever.
    kept_ms: Option<i64>,
    keys: KeyTable,
    entries: Vec<Entry>,
    waiting: Waiting,
    /// Event time, arrival number and key of waiting rows; entries replaced since are skipped.
    due: BinaryHeap<Reverse<(Timestamp, u64, KeyId)>>,
    /// Emitted keys in order of emission.
    emitted: VecDeque<(KeyId, u64)>,
    next_seq: u64,
    dirty: Vec<KeyId>,
    /// Arrival numbers of stored entries that are gone and cannot be told from the watermark.
    deleted: Vec<u64>,
    /// Keys by arrival number while a checkpoint is being restored.
    restoring: BTreeMap<u64, KeyId>,
    /// Watermark of the page restored last.
    restored_watermark: Timestamp,
}

impl DedupFirst {
    /// Deduplicates rows of schema `input`.
    pub fn new(spec: &DedupSpec, input: &Schema, limits: &Limits) -> Self {
        let key_types: Vec<_> = spec.key.iter().map(|&c| input.data_type(c).clone()).collect();
        let types: Vec<_> = input.fields.iter().map(|f| f.data_type.clone()).collect();
        DedupFirst {
            entries_max: limits.dedup_entries_max,
            // A repeat of the watermark's own time is not late, so its key is still needed then.
            kept_ms: if spec.key_holds_time { Some(0) } else { spec.ttl_ms },
            // A new key goes in before the oldest one goes out.
            keys: KeyTable::new(key_types, limits.dedup_entries_max + 1),
            entries: Vec::new(),
            waiting: Waiting::new(&types, &spec.key),
            types,
            spec: spec.clone(),
            due: BinaryHeap::new(),
            emitted: VecDeque::new(),
            next_seq: 0,
            dirty: Vec::new(),
            deleted: Vec::new(),
            restoring: BTreeMap::new(),
            restored_watermark: WATERMARK_MIN,
        }
    }

    fn time(&self, row: Row<'_>) -> Timestamp {
        row.slots[self.spec.rowtime].as_i64()
    }

    fn push_known(&mut self, key: KeyId, row: Row<'_>, out: &mut Emitter<'_>) {
        let time = self.time(row);
        let entry = self.entries[key as usize];
        if entry.row == NO_ROW || entry.time <= time || time < out.watermark {
            out.drop_row(Reason::Repeat, row);
            return;
        }
        // An earlier row of a waiting key takes its place; the one that waited is the repeat.
        let Some(place) = self.waiting.store(row, self.keys.key(key), out.context) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        if !entry.is_dirty {
            self.deleted.push(entry.seq);
        }
        let (slots, nulls) = self.waiting.get(entry.row);
        out.drop_row(Reason::Repeat, Row::insert(slots, nulls));
        self.waiting.release(entry.row, out.context);
        self.wait(key, time, place);
    }

    fn push_new(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        let time = self.time(row);
        if time < out.watermark {
            self.keys.discard_probe(out.context);
            out.late(row);
            return;
        }
        let Some(key) = self.keys.insert(out.context) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        self.keys.retain(key);
        if self.entries.len() <= key as usize {
            self.entries.resize(key as usize + 1, UNUSED);
        }
        let has_room = self.keys.len() <= self.entries_max || self.evict(row, out);
        let place = match has_room {
            true => self.waiting.store(row, self.keys.key(key), out.context),
            false => None,
        };
        let Some(place) = place else {
            self.keys.release(key, out.context);
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        self.wait(key, time, place);
    }

    /// Forgets the key that was emitted longest ago, to make room for `row`.
    fn evict(&mut self, row: Row<'_>, out: &mut Emitter<'_>) -> bool {
        while let Some((key, seq)) = self.emitted.pop_front() {
            let entry = self.entries[key as usize];
            if entry.seq == seq {
                if !entry.is_dirty {
                    self.deleted.push(seq);
                }
                out.drop_row(Reason::Evicted, row);
                self.forget(key, out.context);
                return true;
            }
        }
        false
    }

    /// Lets the row stored at `place` wait for the watermark.
    fn wait(&mut self, key: KeyId, time: Timestamp, place: u32) {
        let seq = self.next_seq;
        self.next_seq += 1;
        let entry = &mut self.entries[key as usize];
        if !entry.is_listed {
            self.dirty.push(key);
        }
        *entry = Entry { time, seq, row: place, is_dirty: true, is_listed: true };
        // Rows of one key that come in falling order of time would leave any number of these
        // behind.
        if self.due.len() >= self.due_max() {
            let entries = &self.entries;
            self.due.retain(|&Reverse((_, seq, key))| entries[key as usize].seq == seq);
        }
        self.due.push(Reverse((time, seq, key)));
    }

    /// Numbers in `due` at which those of replaced rows are cleared out.
    fn due_max(&self) -> usize {
        2 * (self.entries_max + 1)
    }

    fn forget(&mut self, key: KeyId, context: &mut Context) {
        let is_listed = self.entries[key as usize].is_listed;
        self.entries[key as usize] = Entry { is_listed, ..UNUSED };
        self.keys.release(key, context);
    }

    /// Called when the row of `key` has been emitted, or was before the checkpoint.
    fn settle(&mut self, key: KeyId, context: &mut Context) {
        let entry = &mut self.entries[key as usize];
        self.waiting.release(entry.row, context);
        entry.row = NO_ROW;
        self.emitted.push_back((key, entry.seq));
    }

    /// The watermark at which the oldest emitted key is forgotten.
    fn expiry(&self) -> Timestamp {
        match (self.kept_ms, self.emitted.front()) {
            (Some(kept_ms), Some(&(key, _))) => {
                self.entries[key as usize].time.saturating_add(kept_ms).saturating_add(1)
            }
            _ => WATERMARK_MAX,
        }
    }

    fn expire(&mut self, watermark: Timestamp, context: &mut Context) {
        while self.kept_ms.is_some() && self.expiry() <= watermark {
            let Some((key, seq)) = self.emitted.pop_front() else {
                return;
            };
            if self.entries[key as usize].seq == seq {
                self.forget(key, context);
            }
        }
    }

    /// The next waiting row that is due at `watermark`.
    fn next_due(&self, watermark: Timestamp) -> Option<(u64, KeyId)> {
        let &Reverse((time, seq, key)) = self.due.peek()?;
        (time <= watermark).then_some((seq, key))
    }
}

impl Operator for DedupFirst {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        match self.keys.find(row, &self.spec.key, out.context) {
            Ok(Some(key)) => self.push_known(key, row, out),
            Ok(None) => self.push_new(row, out),
            Err(fault) => out.drop_row(Reason::Fault(fault), row),
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        while let Some((seq, key)) = self.next_due(watermark) {
            if self.entries[key as usize].seq == seq {
                if !out.has_room() {
                    return Progress::More;
                }
                let (slots, nulls) = self.waiting.get(self.entries[key as usize].row);
                out.emit(Row::insert(slots, nulls));
                self.settle(key, out.context);
            }
            self.due.pop();
        }
        self.expire(watermark, out.context);
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        let waiting = self.due.peek().map_or(WATERMARK_MAX, |&Reverse((time, ..))| time);
        waiting.min(self.expiry())
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.restoring.clear();
        let (mut key_bytes, mut value) = (Vec::new(), Vec::new());
        codec::put_u64(&mut value, self.next_seq);
        write.entry(&[], Some(&value));
        for seq in self.deleted.drain(..).filter(|_| !full) {
            key_bytes.clear();
            codec::put_u64(&mut key_bytes, seq);
            write.entry(&key_bytes, None);
        }
        let mut keys = core::mem::take(&mut self.dirty);
        for &key in &keys {
            self.entries[key as usize].is_listed = false;
        }
        if full {
            keys.clear();
            keys.extend((0..).take(self.entries.len()));
        }
        let entries = &self.entries;
        keys.retain(|&key| {
            let entry = entries[key as usize];
            entry.seq != NO_SEQ && (full || entry.is_dirty)
        });
        // By arrival, so that the bytes do not depend on which numbers keys were given.
        keys.sort_unstable_by_key(|&key| entries[key as usize].seq);
        for &key in &keys {
            let entry = self.entries[key as usize];
            key_bytes.clear();
            codec::put_u64(&mut key_bytes, entry.seq);
            value.clear();
            self.encode(key, entry, context, &mut value);
            write.entry(&key_bytes, Some(&value));
            self.entries[key as usize].is_dirty = false;
        }
        keys.clear();
        self.dirty = keys;
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let broken = || RestoreError("a deduplication entry is unreadable".into());
        let mut key = key;
        if key.is_empty() {
            if let Some(mut value) = value {
                self.next_seq = codec::take_u64(&mut value).ok_or_else(broken)?;
            }
            return Ok(());
        }
        let seq = codec::take_u64(&mut key).ok_or_else(broken)?;
        match value {
            Some(mut value) => {
                let mark = context.arena.mark();
                let done = self.decode(seq, &mut value, context);
                context.arena.release(mark);
                done.ok_or_else(broken)
            }
            None => {
                self.remove_restored(seq, context);
                Ok(())
            }
        }
    }

    fn restored(&mut self, watermark: Timestamp, context: &mut Context) {
        // What was here before the watermark rose to its present value has been emitted. A row of
        // just this time that came afterwards still waits for the next rise.
        if watermark > self.restored_watermark {
            self.restored_watermark = watermark;
            let mut order: Vec<_> = self.due.drain().map(|Reverse(due)| due).collect();
            order.sort_unstable();
            for (time, seq, key) in order {
                if self.entries[key as usize].seq != seq {
                    continue;
                }
                if time <= watermark {
                    self.settle(key, context);
                } else {
                    self.due.push(Reverse((time, seq, key)));
                }
            }
        }
        let entries = &self.entries;
        self.emitted.retain(|&(key, seq)| entries[key as usize].seq == seq);
        self.emitted
            .make_contiguous()
            .sort_unstable_by_key(|&(key, seq)| (entries[key as usize].time, seq));
        self.expire(watermark, context);
    }

    fn memory_bytes_max(&self) -> usize {
        let entries = self.entries_max + 1;
        let due = memory::vec_bytes::<Reverse<(Timestamp, u64, KeyId)>>(self.due_max());
        let emitted = memory::vec_bytes::<(KeyId, u64)>(entries);
        let numbers = memory::vec_bytes::<KeyId>(entries) + memory::vec_bytes::<u64>(entries);
        self.keys.memory_bytes_max()
            + self.waiting.memory_bytes_max(entries)
            + memory::vec_bytes::<Entry>(entries)
            + due
            + emitted
            + numbers
    }
}

impl DedupFirst {
    fn encode(&self, key: KeyId, entry: Entry, context: &Context, value: &mut Vec<u8>) {
        codec::put_i64(value, entry.time);
        let (slots, nulls) = (self.keys.key(key), self.keys.nulls(key));
        codec::put_row(value, slots, nulls, self.keys.types(), context);
        if entry.row != NO_ROW {
            let (slots, nulls) = self.waiting.get(entry.row);
            codec::put_row(value, slots, nulls, &self.types, context);
        }
    }

    fn decode(&mut self, seq: u64, value: &mut &[u8], context: &mut Context) -> Option<()> {
        let time = codec::take_i64(value)?;
        let mut slots = [Slot::ZERO; crate::limits::FIELDS_MAX];
        let width = self.spec.key.len();
        let types = self.keys.types().to_vec();
        let nulls = codec::take_row(value, &mut slots[..width], &types, context)?;
        let key = self.keys.restore(&slots[..width], nulls, context)?;
        self.keys.retain(key);
        if self.entries.len() <= key as usize {
            self.entries.resize(key as usize + 1, UNUSED);
        }
        let mut row = NO_ROW;
        if !value.is_empty() {
            let width = self.types.len();
            let nulls = codec::take_row(value, &mut slots[..width], &self.types, context)?;
            let stored = Row::insert(&slots[..width], nulls);
            row = self.waiting.store(stored, self.keys.key(key), context)?;
            self.due.push(Reverse((time, seq, key)));
        } else {
            self.emitted.push_back((key, seq));
        }
        self.entries[key as usize] = Entry { time, seq, row, ..UNUSED };
        self.restoring.insert(seq, key);
        Some(())
    }

    fn remove_restored(&mut self, seq: u64, context: &mut Context) {
        let Some(key) = self.restoring.remove(&seq) else {
            return;
        };
        let entry = self.entries[key as usize];
        if entry.seq == seq {
            if entry.row != NO_ROW {
                self.waiting.release(entry.row, context);
            }
            self.forget(key, context);
        }
    }
}

#[cfg(test)]
mod tests;
