//! PATTERN as states and transitions, as Flink's CEP library builds them.
//!
//! Guarantees: the transitions of a state stand in Flink's order, and a greedy variable keeps rows
//! that it would take from the state behind it, as there; both decide which match is found first.

use alloc::{vec, vec::Vec};

use crate::fragment::MatchVariable;

/// Number of a state.
pub(super) type StateId = u16;
/// The state of a complete match.
pub(super) const FINAL: StateId = 0;

/// A condition that a transition asks: that of a variable, or its contrary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) variable: u8,
    pub(super) negated: bool,
}

/// A way out of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) target: StateId,
    /// Takes the row; else the row is looked at in the target.
    pub(super) takes: bool,
    /// All of them must hold.
    pub(super) tests: Vec<Test>,
}

/// A transition in short: its tests as one bit a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) target: StateId,
    pub(super) takes: bool,
    /// Variables whose condition must hold, and those whose condition must not.
    pub(super) yes: u64,
    pub(super) no: u64,
}

/// A way on of a run with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) target: StateId,
    /// What the row becomes a row of.
    pub(super) variable: u8,
    /// From the target the end is reached without a further row.
    pub(super) completes: bool,
}

/// A state: the variable whose row it waits for, and the ways out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) variable: u8,
    pub(super) transitions: Vec<Transition>,
    /// The same transitions.
    pub(super) ways: Vec<Way>,
    /// Whether the end may be reached from here without a row; then conditions must be asked.
    pub(super) may_end: bool,
}

/// The states of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) states: Vec<State>,
    /// Where a match begins.
    pub(super) start: StateId,
    /// For each state, the most runs that a run in it can become with one row.
    pub(super) branches: Vec<usize>,
}

impl Transition {
    fn way(&self) -> Way {
        let bits = |negated: bool| {
            let tests = self.tests.iter().filter(|test| test.negated == negated);
            tests.fold(0, |bits, test| bits | 1 << test.variable)
        };
        Way { target: self.target, takes: self.takes, yes: bits(false), no: bits(true) }
    }
}

impl Way {
    /// Whether all its conditions hold of a row that may be one of the variables `yes`.
    #[inline]
    pub(super) fn is_open(&self, yes: u64) -> bool {
        yes & self.yes == self.yes && yes & self.no == 0
    }
}

struct Builder {
    states: Vec<State>,
}

impl Program {
    /// Compiles the variables of a pattern; the planner bounds their number and repetitions.
    pub(super) fn new(variables: &[MatchVariable]) -> Self {
        let mut builder = Builder { states: vec![State::default()] };
        let mut next = FINAL;
        for (index, variable) in variables.iter().enumerate().rev() {
            let index = u8::try_from(index).expect("the planner bounds the variables");
            next = builder.variable(index, variable, next);
        }
        let mut program = Program { states: builder.states, start: next, branches: Vec::new() };
        program.branches = (0..program.states.len()).map(|s| program.branches_of(s)).collect();
        for state in 0..program.states.len() {
            let may_end = program.may_end(state);
            let state = &mut program.states[state];
            state.ways = state.transitions.iter().map(Transition::way).collect();
            state.may_end = may_end;
        }
        program
    }

    /// Puts the takes of a run in `state` into `edges`, in Flink's order: of each state its own
    /// before those of the states that it leads to, and of the latter the last one first.
    /// `open` is empty before and after.
    pub(super) fn edges(
        &self,
        state: StateId,
        open: &mut Vec<StateId>,
        edges: &mut Vec<Edge>,
        mut passes: impl FnMut(&Transition, &Way) -> bool,
    ) {
        let first = edges.len();
        open.push(state);
        while let Some(state) = open.pop() {
            let State { variable, ways, transitions, .. } = &self.states[usize::from(state)];
            for (way, transition) in ways.iter().zip(transitions) {
                if !passes(transition, way) {
                    continue;
                }
                let target = way.target;
                match way.takes {
                    true => edges.push(Edge { target, variable: *variable, completes: false }),
                    false => open.push(target),
                }
            }
        }
        for edge in &mut edges[first..] {
            edge.completes = edge.target != FINAL && self.completes(edge.target, open, &mut passes);
        }
    }

    /// Whether a run that comes to `state` with the row is complete without a further one.
    fn completes(
        &self,
        state: StateId,
        open: &mut Vec<StateId>,
        mut passes: impl FnMut(&Transition, &Way) -> bool,
    ) -> bool {
        if !self.states[usize::from(state)].may_end {
            return false;
        }
        open.push(state);
        let mut is_complete = false;
        while let Some(state) = open.pop() {
            let State { ways, transitions, .. } = &self.states[usize::from(state)];
            for (way, transition) in ways.iter().zip(transitions) {
                if way.takes || !passes(transition, way) {
                    continue;
                }
                if way.target == FINAL {
                    is_complete = true;
                } else {
                    open.push(way.target);
                }
            }
        }
        is_complete
    }

    /// The variables whose conditions [`edges`](Program::edges) may ask for.
    pub(super) fn asks(&self, state: usize) -> u64 {
        let (mut open, mut asked) = (vec![(state, true)], 0);
        while let Some((state, may_take)) = open.pop() {
            for way in self.states[state].ways.iter().filter(|way| may_take || !way.takes) {
                asked |= way.yes | way.no;
                open.push((usize::from(way.target), may_take && !way.takes));
            }
        }
        asked
    }

    /// Whether a way out without a row leads to the end or asks for a condition, which may fail.
    fn may_end(&self, state: usize) -> bool {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            for transition in self.states[state].transitions.iter().filter(|t| !t.takes) {
                if transition.target == FINAL || !transition.tests.is_empty() {
                    return true;
                }
                open.push(usize::from(transition.target));
            }
        }
        false
    }

    /// Takes that can be reached without a row; one that may complete the match too counts twice.
    fn branches_of(&self, state: usize) -> usize {
        let (takes, _) = self.reach(state);
        takes.iter().map(|target| 1 + usize::from(self.reach(usize::from(*target)).1)).sum()
    }

    /// Targets of the takes that can be reached without a row, and whether the end can.
    fn reach(&self, state: usize) -> (Vec<StateId>, bool) {
        let (mut open, mut takes, mut is_end) = (vec![state], Vec::new(), false);
        while let Some(state) = open.pop() {
            for transition in &self.states[state].transitions {
                match (transition.takes, transition.target) {
                    (true, target) => takes.push(target),
                    (false, FINAL) => is_end = true,
                    (false, target) => open.push(usize::from(target)),
                }
            }
        }
        (takes, is_end)
    }
}

impl Builder {
    /// The states of one variable, before `next`; gives the first of them.
    fn variable(&mut self, index: u8, variable: &MatchVariable, next: StateId) -> StateId {
        let MatchVariable { min, max, greedy, .. } = *variable;
        // `?` and `{n}` are not greedy in Flink, whatever is written.
        let is_greedy = greedy && max != Some(min) && (min, max) != (0, Some(1));
        let from = min.max(1);
        let Some(max) = max else {
            let looping = self.looping(index, is_greedy, next);
            return self.chain(index, from, from, min == 0, looping, next);
        };
        if is_greedy {
            self.keep_from(next, index);
        }
        self.chain(index, from, max.max(from), min == 0, next, next)
    }

    fn state(&mut self, variable: u8, transitions: Vec<Transition>) -> StateId {
        self.states.push(State { variable, transitions, ..State::default() });
        StateId::try_from(self.states.len() - 1).expect("the planner bounds the repetitions")
    }

    fn looping(&mut self, variable: u8, is_greedy: bool, next: StateId) -> StateId {
        if is_greedy {
            self.keep_from(next, variable);
        }
        let own = self.state(variable, vec![proceed(next)]);
        self.states[usize::from(own)].transitions.push(take(variable, own));
        own
    }

    /// States for `from` to `to` rows before `sink`; those above `from` may be left out.
    fn chain(
        &mut self,
        variable: u8,
        from: u32,
        to: u32,
        is_optional: bool,
        sink: StateId,
        next: StateId,
    ) -> StateId {
        let mut last = sink;
        for _ in from..to {
            last = self.state(variable, vec![take(variable, last), proceed(next)]);
        }
        for _ in 1..from {
            last = self.state(variable, vec![take(variable, last)]);
        }
        let mut transitions = vec![take(variable, last)];
        if is_optional {
            transitions.push(proceed(next));
        }
        self.state(variable, transitions)
    }

    /// The ways out of a state are closed for rows that a greedy variable before it takes.
    fn keep_from(&mut self, state: StateId, variable: u8) {
        for transition in &mut self.states[usize::from(state)].transitions {
            transition.tests.push(Test { variable, negated: true });
        }
    }
}

fn take(variable: u8, target: StateId) -> Transition {
    Transition { target, takes: true, tests: vec![Test { variable, negated: false }] }
}

fn proceed(target: StateId) -> Transition {
    Transition { target, takes: false, tests: Vec::new() }
}
