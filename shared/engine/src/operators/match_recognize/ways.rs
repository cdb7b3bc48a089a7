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

    /// The ways on of a run in `state`, if they are known of every row.
    #[inline]
    pub(super) fn known(&self, state: StateId) -> Option<&[Edge]> {
        self.moves.get(state, self.yes)
    }

    /// The ways on of a run in `state`. Asked for again, with `is_again`, the answer is the same
    /// and costs little.
    #[inline(never)]
    pub(super) fn ask(
        &mut self,
        state: StateId,
        asked: &Asked<'_>,
        is_again: bool,
        cx: &mut Context,
    ) -> &[Edge] {
        self.edges.clear();
        let conditions = &mut self.conditions;
        if !is_again {
            conditions.turn_to_run();
        }
        self.program.edges(state, &mut self.open, &mut self.edges, |transition, way| {
            conditions.pass(transition, way, asked, cx)
        });
        &self.edges
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let states = self.program.states.len() * size_of::<super::program::State>();
        states + self.conditions.memory_bytes() + self.moves.memory_bytes()
    }
}
