//! The row that a join puts together: the left input's columns, then the right one's.

use alloc::{boxed::Box, vec};

use crate::{
    context::Context,
    expr::{CompileError, Expr, Program},
    operator::{Emitter, RestoreError},
    row::{Change, Row},
    rows::Rows,
    slot::Slot,
    types::Schema,
};

/// A buffer for pairs, with the condition that they must meet.
pub(super) struct Joined {
    slots: Box<[Slot]>,
    left: usize,
    nulls: [u64; 2],
    condition: Option<Program>,
}

impl Joined {
    /// For rows of these inputs.
    pub(super) fn new(inputs: &[Schema], condition: Option<&Expr>) -> Result<Self, CompileError> {
        Ok(Joined {
            slots: vec![Slot::ZERO; inputs[0].len() + inputs[1].len()].into(),
            left: inputs[0].len(),
            nulls: [0; 2],
            condition: condition.map(Program::compile).transpose()?,
        })
    }

    fn part(&mut self, side: usize) -> &mut [Slot] {
        let (left, right) = self.slots.split_at_mut(self.left);
        if side == 0 { left } else { right }
    }

    /// Puts a row in its place.
    pub(super) fn put(&mut self, side: usize, row: Row<'_>) {
        self.part(side).copy_from_slice(row.slots);
        self.nulls[side] = row.nulls;
    }

    /// Puts NULLs in place of a row.
    pub(super) fn pad(&mut self, side: usize) {
        let part = self.part(side);
        part.fill(Slot::ZERO);
        let width = u32::try_from(part.len()).expect("a row is narrow");
        self.nulls[side] = u64::MAX.checked_shl(width).map_or(u64::MAX, |unused| !unused);
    }

    /// The row as it stands.
    pub(super) fn row(&self, change: Change) -> Row<'_> {
        let left = u32::try_from(self.left).expect("a row is narrow");
        let nulls = self.nulls[0] | self.nulls[1].checked_shl(left).unwrap_or(0);
        Row { slots: &self.slots, nulls, change }
    }

    /// Whether the pair meets the condition. One that cannot be judged becomes a dead letter.
    pub(super) fn holds(&self, out: &mut Emitter<'_>) -> bool {
        let Some(condition) = &self.condition else { return true };
        let row = self.row(Change::Insert);
        let mark = out.context.arena.mark();
        let holds = condition.holds(row, out.context);
        out.context.arena.release(mark);
        !out.take_fault(row) && holds
    }

    /// A row beside NULLs.
    pub(super) fn emit_alone(
        &mut self,
        side: usize,
        row: Row<'_>,
        change: Change,
        out: &mut Emitter<'_>,
    ) {
        self.put(side, row);
        self.pad(1 - side);
        out.emit(self.row(change));
    }

    pub(super) fn memory_bytes_max(&self) -> usize {
        size_of_val(&*self.slots)
    }
}

/// Whether a key column is NULL: such a row has no partner.
pub(super) fn has_null(row: Row<'_>, key: &[usize]) -> bool {
    key.iter().any(|column| row.is_null(*column))
}

/// A side and the other one.
pub(super) fn split<T>(sides: &mut [T; 2], side: usize) -> (&mut T, &mut T) {
    let [left, right] = sides;
    if side == 0 { (left, right) } else { (right, left) }
}

/// Takes back an entry of a join: its key begins with the side's number.
pub(super) fn restore(
    sides: [&mut Rows; 2],
    key: &[u8],
    value: Option<&[u8]>,
    context: &mut Context,
) -> Result<(), RestoreError> {
    let side = key.split_first().map(|(side, key)| (usize::from(*side), key));
    let unknown = || RestoreError("an entry of a join is unreadable".into());
    let (side, key) = side.filter(|(side, _)| *side < 2).ok_or_else(unknown)?;
    let [left, right] = sides;
    let rows = if side == 0 { left } else { right };
    rows.restore(key, value, context)
}
