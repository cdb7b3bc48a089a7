//! What a row says to the conditions of DEFINE.
//!
//! Guarantees: a condition that may fail is computed only when a run asks for it, and once for a
//! row if it sees nothing else, else once for a row and a run.

use alloc::{vec, vec::Vec};

use super::{
    checks::Checks,
    formula::{Formula, View},
    program::{Transition, Way},
    queue::Entry,
    runs::{Part, Runs},
};
use crate::{
    context::Context,
    expr::CompileError,
    fragment::MatchVariable,
    row::Row,
    rows::{RowId, Rows},
};

/// Conditions that have been asked: one bit a variable.
#[derive(Clone, Copy, Default)]
pub(super) struct Answers {
    pub(super) known: u64,
    pub(super) yes: u64,
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
pub(super) struct Asked<'a> {
    pub(super) rows: &'a Rows,
    pub(super) runs: &'a Runs,
    /// Rows of the partition that are kept, and the number of the first one.
    pub(super) events: &'a alloc::collections::VecDeque<RowId>,
    pub(super) base: u64,
    pub(super) entry: Entry,
    pub(super) row: RowId,
}

/// What a condition of `variable` sees.
fn view<'a>(parts: &'a mut [Part], asked: &Asked<'a>, variable: u8) -> View<'a> {
    let Asked { rows, runs, events, base, entry, row } = *asked;
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
    let current = Some((row, usize::from(variable)));
    View { rows, events, base, all, parts, current, time: 0 }
}

/// The conditions, and what is known of the present row.
pub(super) struct Conditions {
    defines: Vec<Option<Formula>>,
    checks: Checks,
    /// What is known of any row: that variables without a condition take it, and the answers of
    /// `checks`, which are no here.
    always: Answers,
    /// Answers that hold for the present row whatever the run, and those for the present run.
    plain: Answers,
    own: Answers,
    parts: Vec<Part>,
}

impl Conditions {
    pub(super) fn new(variables: &[MatchVariable]) -> Result<Self, CompileError> {
        let (mut checks, mut always) = (Checks::default(), Answers::default());
        for (index, variable) in (0..).zip(variables) {
            match &variable.define {
                Some(define) => checks.add(index, define),
                None => always.set(index, true),
            }
        }
        always.known |= checks.variables;
        let define = |v: &MatchVariable| v.define.as_ref().map(Formula::new).transpose();
        Ok(Conditions {
            defines: variables.iter().map(define).collect::<Result<_, _>>()?,
            checks,
            always,
            plain: always,
            own: Answers::default(),
            parts: vec![Part { first: 0, count: 0 }; variables.len()],
        })
    }

    /// What is known of every row before a run asks: `known`, and the least of `yes`.
    pub(super) fn always(&self) -> Answers {
        self.always
    }

    /// Turns to the next row: what is known of it, one bit for each variable that it may be of.
    #[inline]
    pub(super) fn turn_to(&mut self, row: Row<'_>, cx: &Context) -> u64 {
        self.plain.known = self.always.known;
        self.plain.yes = self.always.yes | self.checks.hold_of(row, cx);
        self.plain.yes
    }

    /// Turns to the next run that asks.
    pub(super) fn turn_to_run(&mut self) {
        self.own = Answers::default();
    }

    /// Whether all conditions of a way out of a state hold; what is known need not be asked.
    pub(super) fn pass(
        &mut self,
        transition: &Transition,
        way: &Way,
        asked: &Asked<'_>,
        cx: &mut Context,
    ) -> bool {
        let Answers { known, yes } = self.plain;
        if (way.yes | way.no) & !known == 0 {
            return way.is_open(yes);
        }
        let mut tests = transition.tests.iter();
        tests.all(|test| self.holds(test.variable, asked, cx) != test.negated)
    }

    /// Whether the row may be one of a variable; what is not TRUE is no.
    fn holds(&mut self, variable: u8, asked: &Asked<'_>, cx: &mut Context) -> bool {
        let known = self.plain.get(variable).or_else(|| self.own.get(variable));
        if let Some(answer) = known {
            return answer;
        }
        let Some(define) = &mut self.defines[usize::from(variable)] else { return true };
        let mark = cx.arena.mark();
        let (answer, answers) = match define.is_plain {
            true => (define.holds_of(asked.rows.get(asked.row), cx), &mut self.plain),
            false => {
                let view = view(&mut self.parts, asked, variable);
                (define.eval(&view, cx).is_true(), &mut self.own)
            }
        };
        cx.arena.release(mark);
        answers.set(variable, answer);
        answer
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.checks.memory_bytes()
    }
}
