//! Filter: keeps rows for which the predicate is TRUE (not FALSE, not NULL).
//!
//! The halves of a change, `-U` and the `+U` right after it, are judged one by one. Where only the
//! `+U` is kept it is a new row, `+I`; a `-U` that is kept alone is what goes away.

use crate::{
    expr::{CompileError, Expr, Program},
    operator::{Emitter, Operator, Port},
    row::{Change, Row},
};

/// The operator.
pub struct Filter {
    predicate: Program,
    /// The row before this one was a `-U` that was not kept.
    has_dropped_before: bool,
}

impl Filter {
    /// Keeps what `predicate` says TRUE to.
    pub fn new(predicate: &Expr) -> Result<Self, CompileError> {
        Ok(Filter { predicate: Program::compile(predicate)?, has_dropped_before: false })
    }
}

impl Filter {
    fn evaluate(&self, row: Row<'_>, out: &mut Emitter<'_>) -> bool {
        let mark = out.context.arena.mark();
        let keep = self.predicate.holds(row, out.context);
        out.context.arena.release(mark);
        !out.take_fault(row) && keep
    }
}

impl Operator for Filter {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let checked = self.predicate.check(row, out.context);
        let is_kept = checked.unwrap_or_else(|| self.evaluate(row, out));
        let is_dropped_before = !is_kept && row.change == Change::UpdateBefore;
        let is_new = core::mem::replace(&mut self.has_dropped_before, is_dropped_before);
        if is_kept {
            let is_new = is_new && row.change == Change::UpdateAfter;
            out.emit(if is_new { Row { change: Change::Insert, ..row } } else { row });
        }
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>()
    }
}
