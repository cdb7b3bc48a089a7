//! Filter: keeps rows for which the predicate is TRUE (not FALSE, not NULL).

use crate::{
    expr::{CompileError, Expr, Program},
    operator::{Emitter, Operator, Port},
    row::Row,
};

/// The operator.
pub struct Filter {
    predicate: Program,
}

impl Filter {
    /// Keeps what `predicate` says TRUE to.
    pub fn new(predicate: &Expr) -> Result<Self, CompileError> {
        Ok(Filter { predicate: Program::compile(predicate)? })
    }
}

impl Operator for Filter {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let mark = out.context.arena.mark();
        let keep = self.predicate.eval(row, out.context).is_true();
        out.context.arena.release(mark);
        if !out.take_fault(row) && keep {
            out.emit(row);
        }
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>()
    }
}
