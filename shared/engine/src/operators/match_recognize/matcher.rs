//! One row after the other through the states, as Flink's CEP library does it.
//!
//! Guarantees: the same matches in the same order as there. A row extends every run of its
//! partition or ends it; of the runs that are complete the one that began first is taken, once no
//! run that began before it is open; each match taken removes the runs that AFTER MATCH skips.

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::{
    formula::{Formula, View},
    program::{FINAL, Program, State, StateId, Way},
    queue::{Entry, Queue},
    runs::{Part, Runs},
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
        let open = self.open.peek().filter(|entry| !entry.is_start());
        let first = open.into_iter().chain(self.complete.peek()).map(|entry| entry.start);
        first.min()
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
    program: Program,
    /// The most runs that come of one.
    runs_max_of_one: usize,
    defines: Vec<Option<Formula>>,
    after: AfterMatch,
    within_ms: Option<i64>,
    pub(super) runs: Runs,
    /// Matches of the partition that is at work.
    pub(super) found: VecDeque<Found>,
    /// Answers that hold for any row: variables without a condition.
    always: Answers,
    /// Answers that hold for the present row whatever the run, and those for the present run.
    plain: Answers,
    own: Answers,
    parts: Vec<Part>,
    edges: Vec<(StateId, u8)>,
    open: Vec<StateId>,
    next: Queue,
    done: Queue,
}

/// Conditions that have been asked: one bit a variable.
#[derive(Clone, Copy, Default)]
struct Answers {
    known: u64,
    yes: u64,
}

impl Answers {
    fn get(self, variable: u8) -> Option<bool> {
        (self.known >> variable & 1 == 1).then_some(self.yes >> variable & 1 == 1)
    }

    fn set(&mut self, variable: u8, yes: bool) {
        self.known |= 1 << variable;
        self.yes |= u64::from(yes) << variable;
    }
}

/// A run and the row that it is asked about.
struct Asked<'a> {
    rows: &'a Rows,
    partition: &'a Partition,
    entry: Entry,
    row: RowId,
}

/// What a condition of `variable` sees.
fn view<'a>(runs: &Runs, parts: &'a mut [Part], asked: &Asked<'a>, variable: u8) -> View<'a> {
    let Asked { rows, partition, entry, row } = *asked;
    let all = match entry.is_start() {
        true => Part { first: 0, count: 0 },
        false => {
            let run = runs.get(entry.run);
            Part { first: run.start, count: run.len }
        }
    };
    match entry.is_start() {
        true => parts.fill(all),
        false => (0..).zip(&mut *parts).for_each(|(at, part)| *part = runs.part(entry.run, at)),
    }
    View {
        rows,
        events: &partition.events,
        base: partition.base,
        all,
        parts,
        current: Some((row, usize::from(variable))),
        time: 0,
    }
}

impl Matcher {
    pub(super) fn new(spec: &MatchSpec) -> Result<Self, CompileError> {
        let define =
            |v: &crate::fragment::MatchVariable| v.define.as_ref().map(Formula::new).transpose();
        let program = Program::new(&spec.variables);
        let undefined = (0..).zip(&spec.variables).filter(|(_, v)| v.define.is_none());
        let always = undefined.fold(Answers::default(), |mut answers, (variable, _)| {
            answers.set(variable, true);
            answers
        });
        Ok(Matcher {
            runs_max_of_one: program.branches.iter().copied().max().unwrap_or(0),
            program,
            defines: spec.variables.iter().map(define).collect::<Result<_, _>>()?,
            after: spec.after,
            within_ms: spec.within_ms,
            runs: Runs::new(spec.variables.len()),
            found: VecDeque::new(),
            always,
            plain: always,
            own: Answers::default(),
            parts: vec![Part { first: 0, count: 0 }; spec.variables.len()],
            edges: Vec::new(),
            open: Vec::new(),
            next: Queue::default(),
            done: Queue::default(),
        })
    }

    pub(super) fn has_state(&self, state: StateId) -> bool {
        usize::from(state) < self.program.states.len()
    }

    /// The most places that a row needs while it extends these runs, beyond their own.
    pub(super) fn runs_needed(&self, open: &Queue) -> usize {
        let state = |entry: &Entry| match entry.is_start() {
            true => self.program.start,
            false => self.runs.get(entry.run).state,
        };
        let grown = |entry| self.program.branches[usize::from(state(entry))].saturating_sub(1);
        // Those of a run are there before it goes; the one without a row stays.
        open.0.iter().map(grown).sum::<usize>() + self.runs_max_of_one()
    }

    /// The most runs that come of one.
    pub(super) fn runs_max_of_one(&self) -> usize {
        self.runs_max_of_one
    }

    /// When the open run that began first runs out of time.
    pub(super) fn deadline(&self, partition: &Partition, rows: &Rows) -> Option<Timestamp> {
        let first = partition.open.peek().filter(|entry| !entry.is_start())?;
        let began = rows.time(partition.event(first.start));
        Some(began.saturating_add(self.within_ms?))
    }

    /// Ends the runs that are out of time at `time`.
    pub(super) fn expire(&mut self, partition: &mut Partition, rows: &Rows, time: Timestamp) {
        if self.deadline(partition, rows).is_none_or(|deadline| time < deadline) {
            return;
        }
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

    /// Takes the row that was added last to the partition's rows.
    pub(super) fn step(&mut self, partition: &mut Partition, rows: &Rows, cx: &mut Context) {
        if partition.open.0.is_empty() {
            partition.open.offer(Entry::START);
        }
        let row = *partition.events.back().expect("the row has been added");
        let event = partition.base + partition.events.len() as u64 - 1;
        self.plain = self.always;
        let old = core::mem::take(&mut partition.open);
        for &entry in &old.0 {
            self.own = Answers::default();
            let asked = Asked { rows, partition, entry, row };
            self.decide(&asked, cx);
            // Mostly a run has one way to go on: then it is the run itself that does.
            if let [(target, variable)] = self.edges[..]
                && target != FINAL
                && !entry.is_start()
            {
                let is_complete = self.completes(target, &asked, cx);
                self.runs.grow(entry, variable, target);
                self.next.offer(entry);
                if is_complete {
                    let done = self.runs.copy(entry, FINAL);
                    self.done.offer(done);
                }
                continue;
            }
            for index in 0..self.edges.len() {
                let (target, variable) = self.edges[index];
                let child = self.runs.extend(entry, event, variable, target);
                if target == FINAL {
                    self.done.offer(child);
                    continue;
                }
                self.next.offer(child);
                if self.completes(target, &asked, cx) {
                    let done = self.runs.copy(child, FINAL);
                    self.done.offer(done);
                }
            }
            if entry.is_start() {
                self.next.offer(entry);
            } else {
                self.runs.release(entry);
            }
        }
        // The old queue's memory becomes that of the next one.
        partition.open = core::mem::replace(&mut self.next, Queue(old.0));
        self.next.0.clear();
        for &entry in &self.done.0 {
            partition.complete.offer(entry);
        }
        self.done.0.clear();
        partition.is_dirty |= partition.open.0.len() > 1 || partition.stored.is_some();
        self.settle(partition, rows.time(row));
    }

    /// The takes of a run for the row, in Flink's order: of each state its own before those of the
    /// states that it leads to, and of the latter the last one first.
    fn decide(&mut self, asked: &Asked<'_>, cx: &mut Context) {
        self.edges.clear();
        let state = match asked.entry.is_start() {
            true => self.program.start,
            false => self.runs.get(asked.entry.run).state,
        };
        self.open.push(state);
        while let Some(state) = self.open.pop() {
            for index in 0..self.state(state).ways.len() {
                let way = self.state(state).ways[index];
                if !self.passes(state, index, way, asked, cx) {
                    continue;
                }
                if way.takes {
                    let variable = self.state(state).variable;
                    self.edges.push((way.target, variable));
                } else {
                    self.open.push(way.target);
                }
            }
        }
    }

    /// Whether a run that comes to `state` with the row is complete without a further one.
    fn completes(&mut self, state: StateId, asked: &Asked<'_>, cx: &mut Context) -> bool {
        if !self.state(state).may_end {
            return false;
        }
        self.open.push(state);
        let mut is_complete = false;
        while let Some(state) = self.open.pop() {
            for index in 0..self.state(state).ways.len() {
                let way = self.state(state).ways[index];
                if way.takes || !self.passes(state, index, way, asked, cx) {
                    continue;
                }
                if way.target == FINAL {
                    is_complete = true;
                } else {
                    self.open.push(way.target);
                }
            }
        }
        is_complete
    }

    #[inline]
    fn state(&self, state: StateId) -> &State {
        &self.program.states[usize::from(state)]
    }

    /// Whether all conditions of a way out of a state hold; what is known need not be asked.
    #[inline]
    fn passes(
        &mut self,
        state: StateId,
        index: usize,
        way: Way,
        asked: &Asked<'_>,
        cx: &mut Context,
    ) -> bool {
        let Answers { known, yes } = self.plain;
        if (way.yes | way.no) & !known == 0 {
            return yes & way.yes == way.yes && yes & way.no == 0;
        }
        self.passes_when_asked(state, index, asked, cx)
    }

    fn passes_when_asked(
        &mut self,
        state: StateId,
        index: usize,
        asked: &Asked<'_>,
        cx: &mut Context,
    ) -> bool {
        for at in 0..self.state(state).transitions[index].tests.len() {
            let test = self.state(state).transitions[index].tests[at];
            if self.holds(test.variable, asked, cx) == test.negated {
                return false;
            }
        }
        true
    }

    /// Whether the row may be one of a variable; what is not TRUE is no.
    fn holds(&mut self, variable: u8, asked: &Asked<'_>, cx: &mut Context) -> bool {
        let Some(define) = &mut self.defines[usize::from(variable)] else { return true };
        let answers = if define.is_plain { &mut self.plain } else { &mut self.own };
        if let Some(answer) = answers.get(variable) {
            return answer;
        }
        let mark = cx.arena.mark();
        let answer = match define.is_plain {
            true => define.holds_of(asked.rows.get(asked.row), cx),
            false => {
                let view = view(&self.runs, &mut self.parts, asked, variable);
                define.eval(&view, cx).is_true()
            }
        };
        cx.arena.release(mark);
        answers.set(variable, answer);
        answer
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
        let states = self.program.states.len() * size_of::<super::program::State>();
        // Queues: those of the partitions, the next one, complete ones.
        let queues = 3 * crate::memory::vec_bytes::<Entry>(runs_max);
        states + self.runs.memory_bytes_max(runs_max) + queues
    }
}
