//! Which ways a run may go on with a row: looked up where that is known in advance, else asked.

use alloc::vec::Vec;

use super::{
    conditions::{Asked, Conditions},
    moves::Moves,
    program::{Edge, Program, StateId},
};
use crate::{context::Context, expr::CompileError, fragment::MatchVariable, row::Row};

/// The pattern, its conditions, and what they say of the present row.
pub(super) struct Ways {
    pub(super) program: Program,
    conditions: Conditions,
    moves: Moves,
    /// The variables that the present row is known to be of, whatever the run.
    yes: u64,
    /// Scratch: ways that were asked for, and states to be looked at.
    edges: Vec<Edge>,
    open: Vec<StateId>,
}

impl Ways {
    pub(super) fn new(variables: &[MatchVariable]) -> Result<Self, CompileError> {
        let program = Program::new(variables);
        let conditions = Conditions::new(variables)?;
        let moves = Moves::new(&program, variables.len(), conditions.always());
        let (edges, open) = (Vec::new(), Vec::new());
        Ok(Ways { program, conditions, moves, yes: 0, edges, open })
    }

    /// Turns to the next row.
    #[inline]
    pub(super) fn turn_to(&mut self, row: Row<'_>, cx: &Context) {
        self.yes = self.conditions.turn_to(row, cx);
    }

    /// The ways on of a run. Asked for again before [`leave`](Ways::leave) the answer is the same
    /// and costs little.
    #[inline]
    pub(super) fn of(&mut self, asked: &Asked<'_>, cx: &mut Context) -> &[Edge] {
        let state = match asked.entry.is_start() {
            true => self.program.start,
            false => asked.runs.state(asked.entry.run),
        };
        if self.moves.get(state, self.yes).is_none() {
            self.ask(state, asked, cx);
        }
        self.moves.get(state, self.yes).unwrap_or(&self.edges)
    }

    #[inline(never)]
    fn ask(&mut self, state: StateId, asked: &Asked<'_>, cx: &mut Context) {
        self.edges.clear();
        let conditions = &mut self.conditions;
        self.program.edges(state, &mut self.open, &mut self.edges, |transition, way| {
            conditions.pass(transition, way, asked, cx)
        });
    }

    /// Leaves a run for the next one.
    #[inline]
    pub(super) fn leave(&mut self) {
        self.conditions.leave_run();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let states = self.program.states.len() * size_of::<super::program::State>();
        states + self.conditions.memory_bytes() + self.moves.memory_bytes()
    }
}
