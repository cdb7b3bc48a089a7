//! First-row deduplication: of each key the row with the smallest event time, once.
//!
//! Flink's `ROW_NUMBER() OVER (PARTITION BY key ORDER BY rowtime ASC) = 1`: a row waits until the
//! watermark reaches its event time, so that an earlier row of the key can still take its place;
//! equal times, the first to arrive. A row behind the watermark is late, also for a key never seen.
//! A repeat of a remembered key is counted as a repeat, whenever it comes.
//!
//! Memory is bounded by `dedup_entries_max`: when it is reached the oldest emitted key is forgotten
//! and counted as evicted; when all keys are still waiting, the new row is set aside.

use alloc::{
    collections::{BTreeMap, BinaryHeap, VecDeque},
    vec::Vec,
};
use core::cmp::Reverse;

use crate::{
    codec,
    context::{Context, Fault},
    fragment::DedupSpec,
    keys::{self, KeyId, KeyTable},
    limits::Limits,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX,
    },
    row::Row,
    slot::{BytesRef, Slot},
    types::{DataType, Schema},
};

const NO_ROW: u32 = u32::MAX;

/// What is known of a key besides its values.
#[derive(Clone, Copy, Default)]
struct Entry {
    time: Timestamp,
    /// Arrival number: orders rows of equal time and names the entry in checkpoints.
    seq: u64,
    /// Where the waiting row is, or `NO_ROW` once it was emitted.
    row: u32,
    is_dirty: bool,
}

/// The operator.
pub struct DedupFirst {
    spec: DedupSpec,
    types: Vec<DataType>,
    entries_max: usize,
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
}

impl DedupFirst {
    /// Deduplicates rows of schema `input`.
    pub fn new(spec: &DedupSpec, input: &Schema, limits: &Limits) -> Self {
        let key_types = spec.key.iter().map(|&c| input.data_type(c).clone()).collect();
        let types: Vec<_> = input.fields.iter().map(|f| f.data_type.clone()).collect();
        DedupFirst {
            spec: spec.clone(),
            entries_max: limits.dedup_entries_max,
            keys: KeyTable::new(key_types, limits.dedup_entries_max),
            entries: Vec::new(),
            waiting: Waiting::new(types.len()),
            types,
            due: BinaryHeap::new(),
            emitted: VecDeque::new(),
            next_seq: 0,
            dirty: Vec::new(),
            deleted: Vec::new(),
            restoring: BTreeMap::new(),
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
        if !entry.is_dirty {
            self.deleted.push(entry.seq);
        }
        self.waiting.release(entry.row, &self.types, out.context);
        self.wait(key, row, entry.is_dirty, out);
        out.drop_row(Reason::Repeat, row);
    }

    fn push_new(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        if self.time(row) < out.watermark {
            self.keys.discard_probe(out.context);
            out.late(row);
            return;
        }
        if self.keys.len() >= self.entries_max && !self.evict(out) {
            self.keys.discard_probe(out.context);
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        }
        let Some(key) = self.keys.insert(out.context) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        self.keys.retain(key);
        if self.entries.len() <= key as usize {
            self.entries.resize(key as usize + 1, Entry::default());
        }
        self.wait(key, row, false, out);
    }

    /// Forgets the key that was emitted longest ago.
    fn evict(&mut self, out: &mut Emitter<'_>) -> bool {
        while let Some((key, seq)) = self.emitted.pop_front() {
            if self.entries[key as usize].seq == seq {
                if !self.entries[key as usize].is_dirty {
                    self.deleted.push(seq);
                }
                let (slots, nulls) = (self.keys.key(key), self.keys.nulls(key));
                out.drop_row(Reason::Evicted, Row::insert(slots, nulls));
                self.forget(key, out.context);
                return true;
            }
        }
        false
    }

    fn wait(&mut self, key: KeyId, row: Row<'_>, is_dirty: bool, out: &mut Emitter<'_>) {
        let Some(place) = self.waiting.store(row, &self.types, out.context) else {
            self.forget(key, out.context);
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        let time = self.time(row);
        let seq = self.next_seq;
        self.next_seq += 1;
        self.entries[key as usize] = Entry { time, seq, row: place, is_dirty: true };
        self.due.push(Reverse((time, seq, key)));
        if !is_dirty {
            self.dirty.push(key);
        }
    }

    fn forget(&mut self, key: KeyId, context: &mut Context) {
        self.entries[key as usize].seq = u64::MAX;
        self.entries[key as usize].is_dirty = false;
        self.entries[key as usize].row = NO_ROW;
        self.keys.release(key, context);
    }

    /// Called when the row of `key` has been emitted, or was before the checkpoint.
    fn settle(&mut self, key: KeyId, context: &mut Context) {
        let entry = &mut self.entries[key as usize];
        let (row, seq) = (entry.row, entry.seq);
        entry.row = NO_ROW;
        self.waiting.release(row, &self.types, context);
        if self.spec.key_holds_time {
            self.forget(key, context);
        } else {
            self.emitted.push_back((key, seq));
        }
    }

    fn expire(&mut self, watermark: Timestamp, context: &mut Context) {
        let Some(ttl) = self.spec.ttl_ms else {
            return;
        };
        while let Some(&(key, seq)) = self.emitted.front() {
            let entry = self.entries[key as usize];
            if entry.seq == seq {
                if entry.time.saturating_add(ttl) >= watermark {
                    return;
                }
                self.forget(key, context);
            }
            self.emitted.pop_front();
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
        self.due.peek().map_or(WATERMARK_MAX, |&Reverse((time, ..))| time)
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.restoring.clear();
        let mut key_bytes = Vec::new();
        let mut value = Vec::new();
        for seq in self.deleted.drain(..).filter(|_| !full) {
            key_bytes.clear();
            codec::put_u64(&mut key_bytes, seq);
            write.entry(&key_bytes, None);
        }
        let dirty = core::mem::take(&mut self.dirty);
        let live = 0..if full { self.entries.len() } else { 0 };
        let all = live.map(|k| KeyId::try_from(k).expect("keys fit 32 bits"));
        for key in all.chain(dirty.iter().copied().filter(|_| !full)) {
            let entry = self.entries[key as usize];
            if entry.seq == u64::MAX || (!full && !entry.is_dirty) {
                continue;
            }
            key_bytes.clear();
            codec::put_u64(&mut key_bytes, entry.seq);
            value.clear();
            self.encode(key, entry, context, &mut value);
            write.entry(&key_bytes, Some(&value));
            self.entries[key as usize].is_dirty = false;
        }
        self.dirty = dirty;
        self.dirty.clear();
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let broken = || RestoreError("a deduplication entry is unreadable".into());
        let mut key = key;
        let seq = codec::take_u64(&mut key).ok_or_else(broken)?;
        self.next_seq = self.next_seq.max(seq + 1);
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
        let entries = &self.entries;
        self.emitted.retain(|&(key, seq)| entries[key as usize].seq == seq);
        self.emitted
            .make_contiguous()
            .sort_unstable_by_key(|&(key, seq)| (entries[key as usize].time, seq));
        self.expire(watermark, context);
    }

    fn memory_bytes_max(&self) -> usize {
        let due = size_of::<Reverse<(Timestamp, u64, KeyId)>>();
        let per_entry = size_of::<Entry>() + 2 * due + size_of::<(KeyId, u64)>();
        let per_row = self.types.len() * size_of::<Slot>() + size_of::<u64>();
        self.keys.memory_bytes_max() + self.entries_max * (per_entry + per_row)
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
            self.entries.resize(key as usize + 1, Entry::default());
        }
        let mut row = NO_ROW;
        if !value.is_empty() {
            let width = self.types.len();
            let nulls = codec::take_row(value, &mut slots[..width], &self.types, context)?;
            let stored = Row::insert(&slots[..width], nulls);
            row = self.waiting.store(stored, &self.types, context)?;
            self.due.push(Reverse((time, seq, key)));
        } else {
            self.emitted.push_back((key, seq));
        }
        self.entries[key as usize] = Entry { time, seq, row, is_dirty: false };
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
                self.waiting.release(entry.row, &self.types, context);
            }
            self.forget(key, context);
        }
    }
}

/// Rows that wait for the watermark, in places that are used again.
struct Waiting {
    width: usize,
    slots: Vec<Slot>,
    nulls: Vec<u64>,
    free: Vec<u32>,
}

impl Waiting {
    fn new(width: usize) -> Self {
        Waiting { width, slots: Vec::new(), nulls: Vec::new(), free: Vec::new() }
    }

    fn get(&self, place: u32) -> (&[Slot], u64) {
        let at = place as usize * self.width;
        (&self.slots[at..at + self.width], self.nulls[place as usize])
    }

    /// Keeps a row, its texts as symbols; `None` when the symbol table is full.
    fn store(&mut self, row: Row<'_>, types: &[DataType], cx: &mut Context) -> Option<u32> {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.resize(self.slots.len() + self.width, Slot::ZERO);
            self.nulls.push(0);
            u32::try_from(self.nulls.len() - 1).expect("waiting rows fit 32 bits")
        });
        let at = place as usize * self.width;
        self.nulls[place as usize] = row.nulls;
        for (index, data_type) in types.iter().enumerate() {
            let mut slot = row.slots[index];
            if data_type.is_referring() && !row.is_null(index) {
                let id = match slot.bytes_ref() {
                    BytesRef::Symbol(id) => Some(id),
                    BytesRef::Arena(offset, len) => cx.symbols.intern(cx.arena.get(offset, len)),
                };
                let Some(id) = id else {
                    self.give_back(place, index, types, cx);
                    return None;
                };
                cx.symbols.retain(id);
                slot = Slot::symbol(id);
            }
            self.slots[at + index] = slot;
        }
        Some(place)
    }

    fn release(&mut self, place: u32, types: &[DataType], cx: &mut Context) {
        self.give_back(place, types.len(), types, cx);
    }

    /// Frees a place of which the first `stored` columns are filled.
    fn give_back(&mut self, place: u32, stored: usize, types: &[DataType], cx: &mut Context) {
        let (slots, nulls) = self.get(place);
        for symbol in keys::symbols(&types[..stored], &slots[..stored], nulls) {
            cx.symbols.release(symbol);
        }
        self.free.push(place);
    }
}
