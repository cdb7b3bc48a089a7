//! First-row deduplication: of each key the row with the smallest event time, once.
//!
//! Flink's `ROW_NUMBER() OVER (PARTITION BY key ORDER BY rowtime ASC) = 1`: a row waits until the
//! watermark reaches its event time, so that an earlier row of the key can still take its place;
//! equal times, the first to arrive. A row behind the watermark is late, also for a key never seen.
//! A repeat of a remembered key is counted as a repeat, whenever it comes.
//!
//! Where the key holds the event time, no earlier row can take a row's place: it waits for the sake
//! of the order alone. Where what follows does not depend on that
//! ([`Fragment::steps_at_once`](crate::fragment::Fragment::steps_at_once)) it goes on at once and
//! its key alone is kept: less memory, smaller checkpoints, the same results. What is late further
//! on is so in both cases: in front of all watermarks that the row would wait for, its time is.
//! Rows that wait in a checkpoint of a step that held them still do, and those that come no later
//! in time wait behind them.
//!
//! Memory is bounded by `dedup_entries_max`: when it is reached the oldest emitted key is forgotten
//! and counted as evicted; when all keys are still waiting, the new row is set aside.
//!
//! In a checkpoint an entry is a row by arrival number. That it has been emitted or forgotten since
//! is not written: the watermark of each later page tells.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    vec,
    vec::Vec,
};

use crate::{
    codec,
    context::{Context, Fault},
    due::DueQueue,
    fragment::DedupSpec,
    limits::Limits,
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX, WATERMARK_MIN,
    },
    row::{Change, Row},
    slot::Slot,
    types::Schema,
};

mod entries;
mod places;
mod probe;
mod recent;

use entries::{Entries, EntryId};
use places::{DIRTY, EMITTED};
use recent::Recent;

/// In a checkpoint, behind the next arrival number: keys are forgotten by stretches of time.
const STRETCHED: u8 = 1;

/// An entry whose row was emitted: its event time, arrival number and place.
type Emitted = (Timestamp, u64, EntryId);

/// The operator.
pub struct DedupFirst {
    spec: DedupSpec,
    entries_max: usize,
    /// How far behind the watermark emitted keys are remembered; `None` for ever.
    kept_ms: Option<i64>,
    entries: Entries,
    /// Where rows go on at once: their keys, and room for a row whose texts are looked up.
    at_once: Option<(Recent, Box<[Slot]>)>,
    /// The latest time of a restored row that waits where others go on at once.
    waits_until: Timestamp,
    /// Rows that wait.
    due: DueQueue,
    /// Emitted keys in order of emission; where rows go on at once, those of a checkpoint.
    emitted: VecDeque<Emitted>,
    next_seq: u64,
    /// Arrival numbers of stored entries that are gone and cannot be told from the watermark.
    deleted: Vec<u64>,
    /// What came of reading rows that are due soon; only that they are read matters.
    touched: u64,
    /// For use by one checkpoint at a time.
    changed: Vec<EntryId>,
    /// Entries by arrival number while a checkpoint is being restored.
    restoring: BTreeMap<u64, EntryId>,
    /// Watermark of the page restored last.
    restored_watermark: Timestamp,
    /// Whether its keys were forgotten by stretches of time.
    is_stretched: bool,
}

impl DedupFirst {
    /// Deduplicates rows of schema `input`; `is_at_once` tells that none need wait
    /// for the sake of their order.
    pub fn new(spec: &DedupSpec, input: &Schema, is_at_once: bool, limits: &Limits) -> Self {
        let types: Vec<_> = input.fields.iter().map(|field| field.data_type.clone()).collect();
        let at_once = (is_at_once && spec.key_holds_time).then(|| {
            let row = vec![Slot::ZERO; input.len()].into();
            (Recent::new(&types, &spec.key, limits.dedup_entries_max), row)
        });
        DedupFirst {
            at_once,
            waits_until: WATERMARK_MIN,
            entries_max: limits.dedup_entries_max,
            // A repeat of the watermark's own time is not late, so its key is still needed then.
            kept_ms: if spec.key_holds_time { Some(0) } else { spec.ttl_ms },
            entries: Entries::new(types, &spec.key),
            spec: spec.clone(),
            due: DueQueue::new(),
            emitted: VecDeque::new(),
            next_seq: 0,
            deleted: Vec::new(),
            touched: 0,
            changed: Vec::new(),
            restoring: BTreeMap::new(),
            restored_watermark: WATERMARK_MIN,
            is_stretched: false,
        }
    }

    fn time(&self, row: Row<'_>) -> Timestamp {
        row.slots[self.spec.rowtime].as_i64()
    }

    fn push_known(&mut self, old: EntryId, row: Row<'_>, out: &mut Emitter<'_>) {
        let time = self.time(row);
        let entry = self.entries.header(old);
        if entry.has(EMITTED) || entry.time <= time || time < out.watermark {
            out.drop_row(Reason::Repeat, row);
            return;
        }
        // An earlier row of a waiting key takes its place; the one that waited is the repeat.
        if !self.wait(row, Some(old), out) {
            return;
        }
        if !entry.has(DIRTY) {
            self.deleted.push(entry.seq);
        }
        out.drop_row(Reason::Repeat, self.entries.row(old));
        self.due.remove(old);
        self.entries.release(old, out.context);
    }

    fn push_new(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        if self.time(row) < out.watermark {
            self.entries.probe.discard(out.context);
            out.late(row);
            return;
        }
        if self.entries.len() >= self.entries_max && self.emitted.is_empty() {
            self.entries.probe.discard(out.context);
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        }
        // The new entry is there before the old one goes: they may share texts.
        if self.wait(row, None, out) && self.entries.len() > self.entries_max {
            self.evict(row, out);
        }
    }

    /// Lets a row go on at once, unless it is late or its key is known.
    fn give_on(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        let time = self.time(row);
        if time < out.watermark {
            return out.late(row);
        }
        let Some((recent, _)) = &mut self.at_once else { return };
        if let Err(fault) = recent.seek(row, out.context) {
            return out.drop_row(Reason::Fault(fault), row);
        }
        let known = recent.len() + self.entries.len();
        if (recent.len() < known || known >= self.entries_max) && !self.is_new(row, time, out) {
            return;
        }
        let Some((recent, slots)) = &mut self.at_once else { return };
        if !recent.insert(time, self.next_seq, out.context) {
            return out.drop_row(Reason::Repeat, row);
        }
        self.next_seq += 1;
        if recent.has_short_texts() {
            return out.emit(row);
        }
        slots.copy_from_slice(row.slots);
        recent.put(slots);
        out.emit(Row::insert(slots, row.nulls));
    }

    /// Whether a row may go on at once where entries of a checkpoint are known too, or all room is
    /// taken; otherwise it waits behind them or is set aside.
    #[cold]
    fn is_new(&mut self, row: Row<'_>, time: Timestamp, out: &mut Emitter<'_>) -> bool {
        let probed = self.entries.take_probe(row, out.context);
        let Some((recent, _)) = &mut self.at_once else { return false };
        let is_known = recent.holds(time) || probed.is_ok() && self.entries.find().is_some();
        let is_full = recent.len() + self.entries.len() >= self.entries_max;
        let may_go_on = probed.is_ok() && !is_known && !is_full;
        if may_go_on && time > self.waits_until {
            return true;
        }
        match probed {
            _ if is_known => out.drop_row(Reason::Repeat, row),
            // All keys that are known are still needed.
            Ok(()) if is_full => out.drop_row(Reason::Fault(Fault::StateFull), row),
            Ok(()) => {
                self.wait(row, None, out);
            }
            Err(fault) => out.drop_row(Reason::Fault(fault), row),
        }
        if !may_go_on {
            self.entries.probe.discard(out.context);
        }
        if let Some((recent, _)) = &mut self.at_once {
            recent.discard(out.context);
        }
        false
    }

    /// Lets a row whose key is the probe wait for the watermark, instead of the entry `old` if its
    /// key has one; false, and the row set aside, when its texts find no room.
    fn wait(&mut self, row: Row<'_>, old: Option<EntryId>, out: &mut Emitter<'_>) -> bool {
        let time = self.time(row);
        let Some(id) = self.entries.insert(row, old, (time, self.next_seq), out.context) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return false;
        };
        self.next_seq += 1;
        self.entries.touch(id);
        self.due.insert(id, time);
        true
    }

    /// Forgets the key that was emitted longest ago, to make room for `row`.
    fn evict(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        let (_, seq, id) = self.emitted.pop_front().expect("one was seen before the row came");
        if !self.entries.header(id).has(DIRTY) {
            self.deleted.push(seq);
        }
        out.drop_row(Reason::Evicted, row);
        self.entries.remove(id, out.context);
    }

    /// The next waiting row that is due at `watermark`.
    fn next_due(&mut self, watermark: Timestamp) -> Option<EntryId> {
        let (entries, touched) = (&self.entries, &mut self.touched);
        self.due.first(watermark, |id| *touched ^= entries.touch_row(id))
    }

    /// Called when the row of `id` has been emitted, or was before the checkpoint.
    fn settle(&mut self, id: EntryId, context: &mut Context) {
        self.due.remove(id);
        let header = self.entries.header(id);
        // A key that goes with the next watermark need not move.
        let id = self.entries.emitted(id, self.kept_ms != Some(0), context);
        self.emitted.push_back((header.time, header.seq, id));
        if let Some(restored) = self.restoring.get_mut(&header.seq) {
            *restored = id;
        }
    }

    /// The watermark at which the oldest emitted key is forgotten.
    fn expiry(&self) -> Timestamp {
        if let Some((recent, _)) = &self.at_once {
            let restored = self.emitted.front().map(|&(time, ..)| recent::end(time));
            let due = recent.due().unwrap_or(WATERMARK_MAX);
            return due.min(restored.unwrap_or(WATERMARK_MAX));
        }
        match (self.kept_ms, self.emitted.front()) {
            (Some(kept_ms), Some(&(time, ..))) => expiry(time, kept_ms),
            _ => WATERMARK_MAX,
        }
    }

    fn expire(&mut self, watermark: Timestamp, context: &mut Context) {
        if let Some((recent, _)) = &mut self.at_once {
            recent.expire(watermark, context);
            return self.expire_until(recent::end, watermark, context);
        }
        if let Some(kept_ms) = self.kept_ms {
            self.expire_until(|time| expiry(time, kept_ms), watermark, context);
        }
    }

    /// Forgets emitted keys from the oldest on, whose watermark `until` has come.
    fn expire_until(
        &mut self,
        until: impl Fn(Timestamp) -> Timestamp,
        watermark: Timestamp,
        context: &mut Context,
    ) {
        while let Some(&(time, _, id)) = self.emitted.front()
            && until(time) <= watermark
        {
            self.emitted.pop_front();
            self.entries.remove(id, context);
        }
    }
}

/// The watermark at which the key of a row is forgotten.
fn expiry(time: Timestamp, kept_ms: i64) -> Timestamp {
    time.saturating_add(kept_ms).saturating_add(1)
}

impl Operator for DedupFirst {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        if row.change != Change::Insert {
            // A correction of an earlier window: what was seen first has gone on.
            return out.drop_row(Reason::Correction, row);
        }
        if self.at_once.is_some() {
            return self.give_on(row, out);
        }
        if let Err(fault) = self.entries.take_probe(row, out.context) {
            return out.drop_row(Reason::Fault(fault), row);
        }
        match self.entries.find() {
            Some(known) => self.push_known(known, row, out),
            None => self.push_new(row, out),
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        while let Some(id) = self.next_due(watermark) {
            if !out.has_room() {
                return Progress::More;
            }
            out.emit(self.entries.row(id));
            self.settle(id, out.context);
        }
        self.expire(watermark, out.context);
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        self.due.next().unwrap_or(WATERMARK_MAX).min(self.expiry())
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.restoring.clear();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        codec::put_u64(&mut value, self.next_seq);
        if self.at_once.is_some() {
            value.push(STRETCHED);
        }
        write.entry(&[], Some(&value));
        for seq in self.deleted.drain(..).filter(|_| !full) {
            key.clear();
            codec::put_u64(&mut key, seq);
            write.entry(&key, None);
        }
        self.entries.take_changed(full, &mut self.changed);
        for &id in &self.changed {
            let header = self.entries.header(id);
            key.clear();
            codec::put_u64(&mut key, header.seq);
            value.clear();
            codec::put_i64(&mut value, header.time);
            self.entries.encode(id, &mut value, context);
            write.entry(&key, Some(&value));
        }
        if let Some((recent, _)) = &mut self.at_once {
            recent.take_changed(full, &mut value, context, |seq, value| {
                key.clear();
                codec::put_u64(&mut key, seq);
                write.entry(&key, Some(value));
            });
        }
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
                self.is_stretched = value == [STRETCHED];
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
            while let Some(id) = self.next_due(watermark) {
                self.settle(id, context);
            }
        }
        if self.at_once.is_some() {
            let all = self.restoring.iter().map(|(seq, &id)| (*seq, self.entries.header(id)));
            let waiting = all.filter(|(seq, header)| header.seq == *seq && !header.has(EMITTED));
            let latest = waiting.map(|(_, header)| header.time).max();
            self.waits_until = latest.unwrap_or(WATERMARK_MIN);
        }
        let entries = &self.entries;
        self.emitted.retain(|&(_, seq, id)| entries.header(id).seq == seq);
        self.emitted.make_contiguous().sort_unstable();
        match self.kept_ms {
            // As the step that wrote the page did.
            Some(_) if self.is_stretched => self.expire_until(recent::end, watermark, context),
            Some(kept_ms) => {
                self.expire_until(|time| expiry(time, kept_ms), watermark, context);
            }
            None => {}
        }
    }

    fn memory_bytes_max(&self) -> usize {
        let entries = self.entries_max + 1;
        let emitted = match &self.at_once {
            Some((recent, _)) => recent.memory_bytes_max(entries),
            None => memory::vec_bytes::<Emitted>(entries),
        };
        self.entries.memory_bytes_max(entries)
            + DueQueue::memory_bytes_max(entries + 1)
            + emitted
            + memory::vec_bytes::<u64>(entries)
            + memory::vec_bytes::<EntryId>(entries)
    }
}

impl DedupFirst {
    fn decode(&mut self, seq: u64, value: &mut &[u8], context: &mut Context) -> Option<()> {
        let time = codec::take_i64(value)?;
        let (id, old) = self.entries.decode((time, seq), value, context)?;
        if let Some(old) = old {
            self.drop_waiting(old);
            self.entries.release(old, context);
        }
        match self.entries.header(id).has(EMITTED) {
            true => self.emitted.push_back((time, seq, id)),
            false => self.due.insert(id, time),
        }
        self.restoring.insert(seq, id);
        Some(())
    }

    fn remove_restored(&mut self, seq: u64, context: &mut Context) {
        if let Some(id) = self.restoring.remove(&seq)
            && self.entries.header(id).seq == seq
        {
            self.drop_waiting(id);
            self.entries.remove(id, context);
        }
    }

    fn drop_waiting(&mut self, id: EntryId) {
        if !self.entries.header(id).has(EMITTED) {
            self.due.remove(id);
        }
    }
}

#[cfg(test)]
mod tests;
