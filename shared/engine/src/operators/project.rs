//! Project: computes new columns from those of a row.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    context::Context,
    expr::{CompileError, Expr, Program},
    operator::{Emitter, Operator, Port},
    row::Row,
    slot::Slot,
};

/// The operator.
pub struct Project {
    columns: Vec<Program>,
    slots: Box<[Slot]>,
}

impl Project {
    /// Computes `columns`.
    pub fn new(columns: &[Expr]) -> Result<Self, CompileError> {
        let slots = vec![Slot::ZERO; columns.len()].into();
        let columns = columns.iter().map(Program::compile).collect::<Result<_, _>>()?;
        Ok(Project { columns, slots })
    }
}

/// Evaluates `columns` over `row` into `slots`; returns the NULL bitmap. A fault stays pending in
/// the context.
pub fn eval_into(
    columns: &[Program],
    row: Row<'_>,
    context: &mut Context,
    slots: &mut [Slot],
) -> u64 {
    let mut nulls = 0;
    for (index, (column, slot)) in columns.iter().zip(slots).enumerate() {
        let value = column.eval(row, context);
        *slot = value.slot;
        nulls |= u64::from(value.is_null()) << index;
    }
    nulls
}

impl Operator for Project {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let mark = out.context.arena.mark();
        let nulls = eval_into(&self.columns, row, out.context, &mut self.slots);
        if !out.take_fault(row) {
            out.emit(Row { slots: &self.slots, nulls, change: row.change });
        }
        out.context.arena.release(mark);
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>() + self.slots.len() * (size_of::<Slot>() + size_of::<Program>())
    }
}
