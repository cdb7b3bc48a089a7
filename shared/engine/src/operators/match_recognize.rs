//! Pattern detection: MATCH_RECOGNIZE over rows in order of event time, one partition a key.
//!
//! Guarantees: the matches of Apache Flink, in its order (see [`program`], [`queue`], [`matcher`]).
//! A row waits until the watermark reaches its time; one at or behind the watermark is late. Rows
//! of one time stand in the order of the other ORDER BY columns, then of arrival.
//!
//! Memory is bounded by `rows_max` (rows that wait or belong to an open match) and `matches_max`
//! (open matches). At either limit the open matches that began first are given up, counted as
//! evicted; a row that finds no room because all rows are waiting is set aside.
//!
//! A checkpoint holds rows by arrival number, and of each partition with open matches one entry,
//! under the arrival number of its first row. Which rows have been looked at follows from the
//! watermark.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    vec,
    vec::Vec,
};
use core::cmp::Ordering;

use super::agenda::{Agenda, Appointment};
use crate::{
    compare::compare,
    context::{Context, Fault},
    expr::CompileError,
    fragment::{MatchSpec, OrderTerm},
    keys::KeyId,
    limits::Limits,
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX,
    },
    row::Row,
    rows::{RowId, Rows},
    slot::Slot,
    types::{DataType, Schema},
};

mod checks;
mod conditions;
mod formula;
mod matcher;
mod moves;
mod program;
mod queue;
mod runs;
mod state;
#[cfg(test)]
mod tests;
mod ways;

use formula::Formula;
use matcher::{Found, Matcher, Partition};

/// The operator.
pub struct MatchRecognize {
    spec: MatchSpec,
    types: Vec<DataType>,
    rows_max: usize,
    matches_max: usize,
    rows: Rows,
    partitions: Vec<Partition>,
    matcher: Matcher,
    measures: Vec<Formula>,
    slots: Box<[Slot]>,
    agenda: Agenda,
    /// What came of reading rows that are due soon; only that they are read matters.
    fetched: u64,
    /// The partition that a watermark has reached, and its rows of one time, in order.
    current: Option<KeyId>,
    batch: VecDeque<RowId>,
    /// Partitions whose runs changed since the last checkpoint.
    dirty: Vec<KeyId>,
    /// Entries of the last checkpoint that are gone.
    deleted: Vec<u64>,
    /// Entries while a checkpoint is being restored.
    restoring: BTreeMap<u64, state::StoredRuns>,
}

impl MatchRecognize {
    /// Finds matches among rows of schema `input`.
    pub fn new(spec: &MatchSpec, input: &Schema, limits: &Limits) -> Result<Self, CompileError> {
        let types: Vec<DataType> = input.fields.iter().map(|f| f.data_type.clone()).collect();
        Ok(MatchRecognize {
            rows_max: limits.rows_max,
            matches_max: limits.matches_max,
            rows: Rows::new(&types, &spec.key, limits.rows_max),
            types,
            partitions: Vec::new(),
            matcher: Matcher::new(spec)?,
            measures: spec.measures.iter().map(Formula::new).collect::<Result<_, _>>()?,
            slots: vec![Slot::ZERO; spec.key.len() + spec.measures.len()].into(),
            agenda: Agenda::new(),
            fetched: 0,
            current: None,
            batch: VecDeque::new(),
            dirty: Vec::new(),
            deleted: Vec::new(),
            restoring: BTreeMap::new(),
            spec: spec.clone(),
        })
    }

    /// When a partition has something to do next: its next row or this deadline.
    fn appointment(
        &self,
        partition: &Partition,
        deadline: Option<Timestamp>,
    ) -> Option<Appointment> {
        let row = partition.pending.map(|id| {
            let row = self.rows.stand(id);
            (row.time, row.seq)
        });
        let deadline = deadline.map(|deadline| {
            let first = partition.open.peek().expect("it has a deadline");
            (deadline, self.rows.seq(partition.event(first.start)))
        });
        match (row, deadline) {
            (Some(row), Some(deadline)) => Some(row.min(deadline)),
            (row, deadline) => row.or(deadline),
        }
    }

    /// Sees that a partition is looked at then.
    fn arm(&mut self, key: KeyId) {
        let partition = &self.partitions[key as usize];
        let deadline = self.matcher.deadline(partition, &self.rows);
        self.agenda.arm(key, self.appointment(partition, deadline));
    }

    /// The next partition that has something to do. Rows that come soon are read already.
    fn next_due(&mut self, watermark: Timestamp) -> Option<KeyId> {
        let (rows, partitions, fetched) = (&self.rows, &self.partitions, &mut self.fetched);
        self.agenda.first(watermark, |key| {
            let Partition { pending, events, .. } = &partitions[key as usize];
            *fetched ^= pending.map_or(0, |row| rows.fetch_one(row));
            *fetched ^= events.front().map_or(0, |row| rows.seq(*row));
        })
    }

    /// Works in the present partition until it has found a match or has nothing left to do.
    fn work(&mut self, key: KeyId, watermark: Timestamp, out: &mut Emitter<'_>) {
        while self.matcher.found.is_empty() {
            let partition = &mut self.partitions[key as usize];
            let next = self.batch.front().copied().or(partition.pending);
            let time = next.map(|id| self.rows.time(id));
            let Some(time) = time.filter(|time| *time <= watermark) else {
                let deadline = self.matcher.deadline(partition, &self.rows);
                let Some(deadline) = deadline.filter(|deadline| *deadline <= watermark) else {
                    self.current = None;
                    let next = self.appointment(&self.partitions[key as usize], deadline);
                    return self.agenda.leave(key, next);
                };
                // The end of input is no time that a match could carry.
                let time = if watermark == WATERMARK_MAX { deadline } else { watermark };
                self.matcher.expire(partition, &self.rows, time);
                self.settled(key, out.context);
                continue;
            };
            self.matcher.expire(partition, &self.rows, time);
            if self.matcher.found.is_empty() {
                let id = self.next_row(key, time, out.context);
                self.make_room(key, out);
                self.take(key, id, out);
            }
        }
    }

    /// Lets the runs of a partition meet a row.
    fn take(&mut self, key: KeyId, id: RowId, out: &mut Emitter<'_>) {
        let partition = &mut self.partitions[key as usize];
        self.matcher.step(partition, id, &self.rows, out.context);
        if out.context.fault.is_some() {
            // What cannot be computed is not TRUE: the row is no row of that variable.
            out.take_fault(self.rows.get(id));
        }
        let has_found = !self.matcher.found.is_empty();
        if partition.events.is_empty() && partition.first_used().is_none() && !has_found {
            // No run has begun with it.
            return self.rows.remove(id, out.context);
        }
        partition.events.push_back(id);
        self.settled(key, out.context);
    }

    /// Sees to a partition whose runs have changed. Rows of what was found are needed until that is
    /// emitted.
    fn settled(&mut self, key: KeyId, cx: &mut Context) {
        self.note(key);
        if self.matcher.found.is_empty() {
            self.trim(key, cx);
        }
    }

    /// Takes the next waiting row; all those of its time are put into order first.
    fn next_row(&mut self, key: KeyId, time: Timestamp, cx: &Context) -> RowId {
        if let Some(id) = self.batch.pop_front() {
            return id;
        }
        let rows = &self.rows;
        let partition = &mut self.partitions[key as usize];
        let first = partition.pending.expect("called with a row that waits");
        partition.pending = rows.next(first);
        if self.spec.order.is_empty() {
            return first;
        }
        self.batch.push_back(first);
        while let Some(id) = partition.pending.filter(|id| rows.time(*id) == time) {
            self.batch.push_back(id);
            partition.pending = rows.next(id);
        }
        let (order, types) = (&self.spec.order, &self.types);
        let by = |a: &RowId, b: &RowId| by_order(rows.get(*a), rows.get(*b), order, types, cx);
        self.batch.make_contiguous().sort_by(by);
        self.batch.pop_front().expect("it holds the first one")
    }

    fn note(&mut self, key: KeyId) {
        let partition = &mut self.partitions[key as usize];
        if partition.is_dirty && !partition.is_listed {
            partition.is_listed = true;
            self.dirty.push(key);
        }
    }

    /// Forgets rows that no run refers to any more.
    fn trim(&mut self, key: KeyId, cx: &mut Context) {
        let partition = &mut self.partitions[key as usize];
        let first_used = partition.first_used().unwrap_or(u64::MAX);
        while partition.base < first_used
            && let Some(id) = partition.events.pop_front()
        {
            partition.base += 1;
            self.rows.remove(id, cx);
        }
        if partition.events.is_empty()
            && let Some(stored) = partition.stored.take()
        {
            self.deleted.push(stored);
        }
    }

    /// Sees that one more row of a partition finds places for its runs.
    fn make_room(&mut self, key: KeyId, out: &mut Emitter<'_>) {
        loop {
            let open = &self.partitions[key as usize].open;
            // Far from the limit nothing need be counted.
            let at_most = self.matcher.runs_max_of_one() * (open.0.len() + 1);
            if self.matcher.runs.len() + at_most <= self.matches_max {
                return;
            }
            let needed = self.matcher.runs_needed(open);
            if self.matcher.runs.len() + needed <= self.matches_max || !self.evict(out) {
                return;
            }
        }
    }

    /// Gives up the open matches that began first; false when there is none.
    fn evict(&mut self, out: &mut Emitter<'_>) -> bool {
        let rows = &self.rows;
        let first = |partition: &Partition| {
            let id = partition.event(partition.first_used()?);
            Some((rows.time(id), rows.seq(id)))
        };
        let partitions = (0..).zip(&self.partitions);
        let oldest = partitions.filter_map(|(key, p)| Some((first(p)?, key))).min();
        let Some((_, key)) = oldest else { return false };
        let partition = &mut self.partitions[key as usize];
        let start = partition.first_used().expect("chosen by it");
        out.drop_row(Reason::Evicted, rows.get(partition.event(start)));
        let runs = &mut self.matcher.runs;
        let mut is_first = |entry: queue::Entry| {
            let is_first = entry.start == start;
            if is_first {
                runs.release(entry);
            }
            is_first
        };
        partition.open.remove_all(&mut is_first);
        partition.complete.remove_all(&mut is_first);
        partition.is_dirty = true;
        self.note(key);
        self.trim(key, out.context);
        if self.current != Some(key) {
            self.arm(key);
        }
        true
    }

    /// Emits a match and gives its run back.
    fn emit(&mut self, key: KeyId, found: Found, out: &mut Emitter<'_>) {
        let partition = &self.partitions[key as usize];
        let run = self.matcher.runs.get(found.entry.run);
        let last = self.rows.get(partition.event(run.start + u64::from(run.len) - 1));
        if found.is_astray {
            out.drop_row(Reason::Fault(Fault::InvalidArgument), last);
            return self.matcher.runs.release(found.entry);
        }
        let mark = out.context.arena.mark();
        let first = self.rows.get(partition.event(run.start));
        let (slots, measures) = (&mut self.slots, &mut self.measures);
        let keys = self.spec.key.iter().map(|column| first.datum(*column));
        let nulls = self.matcher.measured(partition, &self.rows, found, |view| {
            let measures = measures.iter_mut().map(|measure| measure.eval(view, out.context));
            keys.chain(measures).zip(slots.iter_mut()).enumerate().fold(0, |nulls, (i, (d, s))| {
                *s = d.slot;
                nulls | u64::from(d.is_null()) << i
            })
        });
        if !out.take_fault(last) {
            out.emit(Row::insert(&self.slots, nulls));
        }
        out.context.arena.release(mark);
        self.matcher.runs.release(found.entry);
    }

    /// The most runs; a limit that is smaller than what one row needs does not hold.
    fn runs_max(&self) -> usize {
        self.matches_max.max(self.matcher.runs_max_of_one())
    }
}

fn by_order(
    a: Row<'_>,
    b: Row<'_>,
    order: &[OrderTerm],
    types: &[DataType],
    cx: &Context,
) -> Ordering {
    let term = |term: &OrderTerm| {
        let OrderTerm { column, descending, nulls_first } = *term;
        match (a.is_null(column), b.is_null(column)) {
            (true, true) => Ordering::Equal,
            (true, false) if nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let order = compare(a.slots[column], b.slots[column], &types[column], cx);
                if descending { order.reverse() } else { order }
            }
        }
    };
    order.iter().map(term).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}

impl Operator for MatchRecognize {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let time = row.slots[self.spec.rowtime].as_i64();
        if time <= out.watermark {
            return out.late(row);
        }
        if self.rows.is_full() {
            // Some more than one, as each look for the oldest goes over all partitions.
            let wanted = self.rows_max - self.rows_max / 64;
            while self.rows.len() >= wanted.max(1) && self.evict(out) {}
        }
        let key = self.rows.key_of(row, out.context);
        let stored = key
            .and_then(|(key, _)| Ok((key, self.rows.insert_at(key, row, time, 0, out.context)?)));
        let (key, id) = match stored {
            Ok(stored) => stored,
            Err(fault) => return out.drop_row(Reason::Fault(fault), row),
        };
        if self.partitions.len() <= key as usize {
            self.partitions.resize_with(key as usize + 1, Partition::default);
        }
        let partition = &mut self.partitions[key as usize];
        // Earlier than all that wait.
        if partition.pending.is_none() || partition.pending == self.rows.next(id) {
            partition.pending = Some(id);
            self.arm(key);
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        loop {
            let Some(key) = self.current else {
                let Some(key) = self.next_due(watermark) else { return Progress::Done };
                // Nothing was found in it that is not emitted, and it was trimmed when it was left.
                self.current = Some(key);
                self.work(key, watermark, out);
                continue;
            };
            while let Some(found) = self.matcher.found.front().copied() {
                if !out.has_room() {
                    return Progress::More;
                }
                self.matcher.found.pop_front();
                self.emit(key, found, out);
            }
            self.trim(key, out.context);
            self.work(key, watermark, out);
        }
    }

    fn due(&self) -> Timestamp {
        self.agenda.next()
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.write(full, context, write);
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        self.take_back(key, value, context)
    }

    fn restored(&mut self, watermark: Timestamp, context: &mut Context) {
        self.rebuild(watermark, context);
    }

    fn memory_bytes_max(&self) -> usize {
        // Each partition begins its two lists with room for four.
        const LISTS_BYTES: usize = 4 * (size_of::<queue::Entry>() + size_of::<RowId>());
        let partitions = self.rows_max + 1;
        self.rows.memory_bytes_max()
            + memory::vec_bytes::<Partition>(partitions)
            + partitions * LISTS_BYTES
            + memory::vec_bytes::<RowId>(self.rows_max)
            + self.matcher.memory_bytes_max(self.runs_max())
            + Agenda::memory_bytes_max(partitions)
            + memory::vec_bytes::<KeyId>(partitions)
            + memory::vec_bytes::<u64>(partitions)
    }
}
