//! Partial matches. In a pattern without gaps the rows of a match are neighbours, so a run is its
//! first row, its length, and where among them each variable begins: its size does not grow with
//! the rows that it spans.

use alloc::vec::Vec;

use super::{program::StateId, queue::Entry};
use crate::memory;

/// Number of a run.
pub(super) type RunId = u32;

/// What is known of a run besides where its variables begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The state it is in.
    pub(super) state: StateId,
    /// The variable of its last row.
    pub(super) last: u8,
    /// Number of its first row within its partition.
    pub(super) start: u64,
    /// Its rows.
    pub(super) len: u32,
}

/// The rows of a variable in a run: number of the first one, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) count: u32,
}

/// All runs of all partitions, in places that are used again.
pub(super) struct Runs {
    variables: usize,
    runs: Vec<Run>,
    /// For each run and variable the rows of the run before the variable's own.
    bounds: Vec<u32>,
    free: Vec<RunId>,
}

impl Runs {
    pub(super) fn new(variables: usize) -> Self {
        Runs { variables, runs: Vec::new(), bounds: Vec::new(), free: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        *self = Runs::new(self.variables);
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len() - self.free.len()
    }

    pub(super) fn get(&self, id: RunId) -> Run {
        self.runs[id as usize]
    }

    pub(super) fn state(&self, id: RunId) -> StateId {
        self.runs[id as usize].state
    }

    pub(super) fn bounds(&self, id: RunId) -> &[u32] {
        let at = id as usize * self.variables;
        &self.bounds[at..at + self.variables]
    }

    pub(super) fn insert(&mut self, run: Run, bounds: &[u32]) -> RunId {
        let id = self.place();
        let at = id as usize * self.variables;
        self.runs[id as usize] = run;
        self.bounds[at..at + bounds.len()].copy_from_slice(bounds);
        id
    }

    fn place(&mut self) -> RunId {
        self.free.pop().unwrap_or_else(|| {
            let id = RunId::try_from(self.runs.len()).expect("matches_max fits 32 bits");
            self.runs.push(Run { state: 0, last: 0, start: 0, len: 0 });
            self.bounds.resize(self.bounds.len() + self.variables, 0);
            id
        })
    }

    /// A new run: this one and row `event` as `variable`.
    pub(super) fn extend(
        &mut self,
        from: Entry,
        event: u64,
        variable: u8,
        state: StateId,
    ) -> Entry {
        let id = self.place();
        let at = id as usize * self.variables;
        if from.is_start() {
            self.runs[id as usize] = Run { state, last: variable, start: event, len: 1 };
            self.bounds[at..=at + usize::from(variable)].fill(0);
            return Entry { start: event, run: id };
        }
        let run = self.runs[from.run as usize];
        let old = from.run as usize * self.variables;
        self.bounds.copy_within(old..=old + usize::from(run.last), at);
        let new = at + usize::from(run.last) + 1..at + usize::from(variable) + 1;
        if !new.is_empty() {
            self.bounds[new].fill(run.len);
        }
        self.runs[id as usize] = Run { state, last: variable, start: run.start, len: run.len + 1 };
        Entry { start: run.start, run: id }
    }

    /// The run itself with one more row, as `variable`.
    #[inline]
    pub(super) fn grow(&mut self, entry: Entry, variable: u8, state: StateId) -> Entry {
        let run = &mut self.runs[entry.run as usize];
        let at = entry.run as usize * self.variables;
        let new = at + usize::from(run.last) + 1..at + usize::from(variable) + 1;
        if !new.is_empty() {
            self.bounds[new].fill(run.len);
        }
        (run.state, run.last, run.len) = (state, variable, run.len + 1);
        entry
    }

    /// The same run in another state.
    pub(super) fn copy(&mut self, from: Entry, state: StateId) -> Entry {
        let id = self.place();
        let (at, old) = (id as usize * self.variables, from.run as usize * self.variables);
        self.bounds.copy_within(old..old + self.variables, at);
        self.runs[id as usize] = Run { state, ..self.runs[from.run as usize] };
        Entry { start: from.start, run: id }
    }

    pub(super) fn release(&mut self, entry: Entry) {
        self.free.push(entry.run);
    }

    /// The rows of a variable.
    pub(super) fn part(&self, id: RunId, variable: usize) -> Part {
        let Run { last, start, len, .. } = self.get(id);
        let bounds = self.bounds(id);
        let bound = |v: usize| if v <= usize::from(last) { bounds[v] } else { len };
        let (from, to) = (bound(variable), bound(variable + 1));
        Part { first: start + u64::from(from), count: to - from }
    }

    pub(super) fn memory_bytes_max(&self, runs_max: usize) -> usize {
        memory::vec_bytes::<Run>(runs_max)
            + memory::vec_bytes::<u32>(runs_max * self.variables)
            + memory::vec_bytes::<RunId>(runs_max)
    }
}
