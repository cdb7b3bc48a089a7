//! One row after the other through the states, as Flink's CEP library does it.
//!
//! Guarantees: the same matches in the same order as there. A row extends every run of its
//! partition or ends it; of the runs that are complete the one that began first is taken, once no
//! run that began before it is open; each match taken removes the runs that AFTER MATCH skips.

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::{
    conditions::Asked,
    formula::View,
    program::{Edge, FINAL, StateId},
    queue::{Entry, Queue},
    runs::{Part, Runs},
    ways::Ways,
};
use crate::{
    context::Context,
    expr::CompileError,
    fragment::{AfterMatch, MatchSpec},
    operator::Timestamp,
    rows::{RowId, Rows},
};

/// What is known of one partition.
#[derive(Default)]
pub(super) struct Partition {
    /// Rows that runs refer to, in order, without a gap.
    pub(super) events: VecDeque<RowId>,
    /// Number of the first of them.
    pub(super) base: u64,
    /// Open runs, among them the one that has no row yet.
    pub(super) open: Queue,
    /// Complete runs that wait for open ones that began earlier.
    pub(super) complete: Queue,
    /// The first row that waits for the watermark.
    pub(super) pending: Option<RowId>,
    /// The last checkpoint holds its runs under the arrival number of the first row then.
    pub(super) stored: Option<u64>,
    /// The last checkpoint does not hold its runs as they are.
    pub(super) is_dirty: bool,
    /// It is in the list of those.
    pub(super) is_listed: bool,
}

impl Partition {
    /// The number of the first row that a run refers to.
    pub(super) fn first_used(&self) -> Option<u64> {
        // The run that has no row yet comes after all others.
        let start = |queue: &Queue| queue.peek().unwrap_or(Entry::START).start;
        let first = start(&self.open).min(start(&self.complete));
        (first != Entry::START.start).then_some(first)
    }

    /// The number of the row after those that are kept.
    fn next_event(&self) -> u64 {
        self.base + self.events.len() as u64
    }

    pub(super) fn event(&self, number: u64) -> RowId {
        self.events[usize::try_from(number - self.base).expect("kept rows fit the memory")]
    }
}

/// A match to be emitted; its run is released then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) entry: Entry,
    pub(super) time: Timestamp,
    /// The row to skip to is not there: Flink's job would fail.
    pub(super) is_astray: bool,
}

/// The pattern and all runs.
pub(super) struct Matcher {
    ways: Ways,
    /// The most runs that come of one.
    runs_max_of_one: usize,
    after: AfterMatch,
    within_ms: Option<i64>,
    pub(super) runs: Runs,
    /// Matches of the partition that is at work.
    pub(super) found: VecDeque<Found>,
    parts: Vec<Part>,
    /// Scratch: runs that a row has not met yet, and those that it made complete.
    rest: Vec<Entry>,
    done: Queue,
}

impl Matcher {
    pub(super) fn new(spec: &MatchSpec) -> Result<Self, CompileError> {
        let ways = Ways::new(&spec.variables)?;
        Ok(Matcher {
            runs_max_of_one: ways.program.branches.iter().copied().max().unwrap_or(0),
            ways,
            after: spec.after,
            within_ms: spec.within_ms,
            runs: Runs::new(spec.variables.len()),
            found: VecDeque::new(),
            parts: vec![Part { first: 0, count: 0 }; spec.variables.len()],
            rest: Vec::new(),
            done: Queue::default(),
        })
    }

    pub(super) fn has_state(&self, state: StateId) -> bool {
        usize::from(state) < self.ways.program.states.len()
    }

    /// The most places that a row needs while it extends these runs, beyond their own.
    pub(super) fn runs_needed(&self, open: &Queue) -> usize {
        let branches = &self.ways.program.branches;
        let grown = |entry: &Entry| branches[usize::from(self.state(*entry))].saturating_sub(1);
        // Those of a run are there before it goes; the one without a row stays.
        open.0.iter().map(grown).sum::<usize>() + self.runs_max_of_one()
    }

    #[inline]
    fn state(&self, entry: Entry) -> StateId {
        match entry.is_start() {
            true => self.ways.program.start,
            false => self.runs.state(entry.run),
        }
    }

    /// The most runs that come of one.
    pub(super) fn runs_max_of_one(&self) -> usize {
        self.runs_max_of_one
    }

    /// When the open run that began first runs out of time.
    #[inline]
    pub(super) fn deadline(&self, partition: &Partition, rows: &Rows) -> Option<Timestamp> {
        let first = partition.open.peek().filter(|entry| !entry.is_start())?;
        let began = rows.time(partition.event(first.start));
        Some(began.saturating_add(self.within_ms?))
    }

    /// Ends the runs that are out of time at `time`.
    #[inline]
    pub(super) fn expire(&mut self, partition: &mut Partition, rows: &Rows, time: Timestamp) {
        if self.deadline(partition, rows).is_some_and(|deadline| deadline <= time) {
            self.end_runs(partition, rows, time);
        }
    }

    fn end_runs(&mut self, partition: &mut Partition, rows: &Rows, time: Timestamp) {
        let within_ms = self.within_ms.unwrap_or(i64::MAX);
        let old = core::mem::take(&mut partition.open);
        for &entry in &old.0 {
            let is_over = !entry.is_start() && {
                let began = rows.time(partition.event(entry.start));
                time >= began.saturating_add(within_ms)
            };
            if is_over {
                self.runs.release(entry);
            } else {
                partition.open.offer(entry);
            }
        }
        partition.is_dirty = true;
        self.settle(partition, time);
    }

    /// Takes a row, the next one of the partition, which is not among its rows yet.
    pub(super) fn step(
        &mut self,
        partition: &mut Partition,
        row: RowId,
        rows: &Rows,
        cx: &mut Context,
    ) {
        if partition.open.0.is_empty() {
            partition.open.offer(Entry::START);
        }
        self.ways.turn_to(rows.get(row), cx);
        // Mostly each run goes on alone; then the queue stays as it is.
        let mut at = 0;
        while let Some(&entry) = partition.open.0.get(at) {
            let state = self.state(entry);
            let edges = match self.ways.known(state) {
                Some(edges) => edges,
                None => {
                    let Partition { events, base, .. } = &*partition;
                    let asked = Asked { rows, runs: &self.runs, events, base: *base, entry, row };
                    self.ways.ask(state, &asked, false, cx)
                }
            };
            match *edges {
                [] if entry.is_start() => {}
                [Edge { target, variable, completes: false }]
                    if target != FINAL && !entry.is_start() =>
                {
                    self.runs.grow(entry, variable, target);
                }
                _ => {
                    self.branch(partition, at, row, rows, cx);
                    break;
                }
            }
            at += 1;
        }
        partition.is_dirty |= partition.open.0.len() > 1 || partition.stored.is_some();
        if partition.complete.peek().is_some() {
            self.settle(partition, rows.time(row));
        }
    }

    /// Lets the runs from the one at `first` on meet a row: they are put into the queue anew, in
    /// the order in which they stood. The first one was asked already.
    fn branch(
        &mut self,
        partition: &mut Partition,
        first: usize,
        row: RowId,
        rows: &Rows,
        cx: &mut Context,
    ) {
        let event = partition.next_event();
        let Partition { open, complete, events, base, .. } = partition;
        self.rest.clear();
        self.rest.extend(open.0.drain(first..));
        for (index, &entry) in self.rest.iter().enumerate() {
            let state = self.state(entry);
            let edges = match self.ways.known(state) {
                Some(edges) => edges,
                None => {
                    let asked = Asked { rows, runs: &self.runs, events, base: *base, entry, row };
                    self.ways.ask(state, &asked, index == 0, cx)
                }
            };
            // A run with one way to go on is itself what goes on.
            let goes_on = matches!(edges, [edge] if edge.target != FINAL) && !entry.is_start();
            for edge in edges {
                let &Edge { target, variable, completes } = edge;
                let child = match goes_on {
                    true => self.runs.grow(entry, variable, target),
                    false => self.runs.extend(entry, event, variable, target),
                };
                if target == FINAL {
                    self.done.offer(child);
                    continue;
                }
                open.offer(child);
                if completes {
                    self.done.offer(self.runs.copy(child, FINAL));
                }
            }
            if entry.is_start() {
                open.offer(entry);
            } else if !goes_on {
                self.runs.release(entry);
            }
        }
        for &entry in &self.done.0 {
            complete.offer(entry);
        }
        self.done.0.clear();
    }

    /// Takes the complete runs whose turn it is.
    pub(super) fn settle(&mut self, partition: &mut Partition, time: Timestamp) {
        while let Some(first) = partition.complete.peek() {
            if partition.open.peek().is_some_and(|open| open.start < first.start) {
                return;
            }
            partition.complete.poll();
            let target = self.skip_to(first);
            let to = target.unwrap_or(first.start + 1);
            let runs = &mut self.runs;
            let mut is_skipped = |entry: Entry| {
                let is_skipped = !entry.is_start() && entry.start < to;
                if is_skipped {
                    runs.release(entry);
                }
                is_skipped
            };
            partition.open.remove_all(&mut is_skipped);
            partition.complete.remove_all(&mut is_skipped);
            self.found.push_back(Found { entry: first, time, is_astray: target.is_none() });
        }
    }

    /// The number of the first row with which the next match may begin.
    fn skip_to(&self, entry: Entry) -> Option<u64> {
        let run = self.runs.get(entry.run);
        let to = match self.after {
            AfterMatch::NextRow => run.start + 1,
            AfterMatch::PastLastRow => run.start + u64::from(run.len),
            AfterMatch::First(variable) => {
                let part = self.runs.part(entry.run, variable);
                (part.count > 0).then_some(part.first)?
            }
            AfterMatch::Last(variable) => {
                let part = self.runs.part(entry.run, variable);
                (part.count > 0).then(|| part.first + u64::from(part.count) - 1)?
            }
        };
        (to > run.start).then_some(to)
    }

    /// Calls `with` with what MEASURES sees of a match.
    pub(super) fn measured<T>(
        &mut self,
        partition: &Partition,
        rows: &Rows,
        found: Found,
        with: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let run = self.runs.get(found.entry.run);
        for (index, part) in self.parts.iter_mut().enumerate() {
            *part = self.runs.part(found.entry.run, index);
        }
        with(&View {
            rows,
            events: &partition.events,
            base: partition.base,
            all: Part { first: run.start, count: run.len },
            parts: &self.parts,
            current: None,
            time: found.time,
        })
    }

    pub(super) fn memory_bytes_max(&self, runs_max: usize) -> usize {
        // Queues: those of the partitions, those that a row has not met yet, complete ones.
        let queues = 3 * crate::memory::vec_bytes::<Entry>(runs_max);
        self.ways.memory_bytes() + self.runs.memory_bytes_max(runs_max) + queues
    }
}
