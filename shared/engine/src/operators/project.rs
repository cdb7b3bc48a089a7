//! Project: computes new columns from those of a row.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    context::Context,
    expr::{CompileError, Expr, ExprKind, Program},
    operator::{Emitter, Operator, Port},
    row::Row,
    slot::Slot,
};

/// Copies these columns of a row; returns their NULL bitmap.
#[inline]
pub(crate) fn pass_on(columns: &[usize], row: Row<'_>, slots: &mut [Slot]) -> u64 {
    for (slot, &column) in slots.iter_mut().zip(columns) {
        *slot = row.slots[column];
    }
    if row.nulls == 0 {
        return 0;
    }
    let columns = columns.iter().enumerate();
    columns.fold(0, |nulls, (index, column)| nulls | (row.nulls >> column & 1) << index)
}

/// The columns of a projection.
pub(crate) struct Columns {
    programs: Vec<Program>,
    /// Where each comes from, when all are passed on as they are.
    plain: Option<Box<[usize]>>,
}

impl Columns {
    /// Computes `columns`.
    pub(crate) fn new(columns: &[Expr]) -> Result<Self, CompileError> {
        let programs = columns.iter().map(Program::compile).collect::<Result<Vec<_>, _>>()?;
        Ok(Columns { programs, plain: Self::plain(columns) })
    }

    /// Where each comes from, when all are passed on as they are.
    pub(crate) fn plain(columns: &[Expr]) -> Option<Box<[usize]>> {
        let plain = |column: &Expr| match column.kind {
            ExprKind::Column(index) => Some(index),
            _ => None,
        };
        columns.iter().map(plain).collect()
    }

    /// Evaluates them over `row` into `slots`; returns the NULL bitmap. A fault stays pending in
    /// the context.
    #[inline]
    pub(crate) fn eval(&self, row: Row<'_>, context: &mut Context, slots: &mut [Slot]) -> u64 {
        match &self.plain {
            Some(plain) => pass_on(plain, row, slots),
            None => self.compute(row, context, slots),
        }
    }

    fn compute(&self, row: Row<'_>, context: &mut Context, slots: &mut [Slot]) -> u64 {
        let mut nulls = 0;
        for (index, (column, slot)) in self.programs.iter().zip(slots).enumerate() {
            let value = column.eval(row, context);
            *slot = value.slot;
            nulls |= u64::from(value.is_null()) << index;
        }
        nulls
    }
}

/// The operator.
pub struct Project {
    columns: Columns,
    slots: Box<[Slot]>,
}

impl Project {
    /// Computes `columns`.
    pub fn new(columns: &[Expr]) -> Result<Self, CompileError> {
        let slots = vec![Slot::ZERO; columns.len()].into();
        Ok(Project { columns: Columns::new(columns)?, slots })
    }
}

impl Operator for Project {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        if let Some(plain) = &self.columns.plain {
            // No text is made, and nothing fails.
            let nulls = pass_on(plain, row, &mut self.slots);
            return out.emit(Row { slots: &self.slots, nulls, change: row.change });
        }
        let mark = out.context.arena.mark();
        let nulls = self.columns.eval(row, out.context, &mut self.slots);
        if !out.take_fault(row) {
            out.emit(Row { slots: &self.slots, nulls, change: row.change });
        }
        out.context.arena.release(mark);
    }

    fn memory_bytes_max(&self) -> usize {
        const COLUMN_BYTES: usize = size_of::<Slot>() + size_of::<Program>() + size_of::<usize>();
        size_of::<Self>() + self.slots.len() * COLUMN_BYTES
    }
}
