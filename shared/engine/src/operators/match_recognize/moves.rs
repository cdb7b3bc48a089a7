//! What a row does to a run, in advance: for each state and each set of variables that the row may
//! be of. Only states whose conditions are known of every row are in the table.

use alloc::vec::Vec;

use super::{
    conditions::Answers,
    program::{Edge, Program, StateId},
};

/// The most pairs of a state and a set of variables; beyond them there is no table.
const PAIRS_MAX: usize = 1 << 12;

/// The table.
pub(super) struct Moves {
    variables: usize,
    /// Where the edges of each pair stand; nowhere if they are not known in advance.
    spans: Vec<Option<Span>>,
    edges: Vec<Edge>,
}

#[derive(Clone, Copy)]
struct Span {
    from: u32,
    len: u16,
}

impl Moves {
    /// Of a pattern of so many variables, where `always` is known of every row.
    pub(super) fn new(program: &Program, variables: usize, always: Answers) -> Self {
        let mut moves = Moves { variables, spans: Vec::new(), edges: Vec::new() };
        let states = program.states.len();
        if variables >= usize::BITS as usize || states > PAIRS_MAX >> variables {
            return moves;
        }
        for state in 0..states {
            let is_known = program.asks(state) & !always.known == 0;
            for yes in 0..1 << variables {
                let is_possible = yes & always.yes == always.yes && yes & !always.known == 0;
                let span = (is_known && is_possible).then(|| moves.add(program, state, yes));
                moves.spans.push(span.flatten());
            }
        }
        moves
    }

    fn add(&mut self, program: &Program, state: usize, yes: u64) -> Option<Span> {
        let (from, state) = (self.edges.len(), StateId::try_from(state).ok()?);
        let passes = |_: &_, way: &super::program::Way| way.is_open(yes);
        program.edges(state, &mut Vec::new(), &mut self.edges, passes);
        let len = u16::try_from(self.edges.len() - from).ok()?;
        Some(Span { from: u32::try_from(from).ok()?, len })
    }

    /// The ways on of a run in `state` with a row of which `yes` is known.
    #[inline]
    pub(super) fn get(&self, state: StateId, yes: u64) -> Option<&[Edge]> {
        let pair = usize::from(state) << self.variables | usize::try_from(yes).ok()?;
        let Span { from, len } = (*self.spans.get(pair)?)?;
        self.edges.get(from as usize..from as usize + usize::from(len))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Option<Span>>()
            + self.edges.capacity() * size_of::<Edge>()
    }
}
