//! What a row that enters or leaves a ranking changes in its result.

use super::Rank;
use crate::{
    keys::KeyId,
    operator::Emitter,
    row::{Change, Row},
    rows::RowId,
    slot::Slot,
};

impl Rank {
    /// A row was put in at `position`; the one that it pushes out is still in the list.
    pub(super) fn emit_added(&mut self, key: KeyId, position: usize, out: &mut Emitter<'_>) {
        let (first, end) = self.range;
        let at = |this: &Self, position: usize| this.lists[key as usize].get(position).copied();
        if position >= end {
            return;
        }
        if !self.spec.with_number {
            let entered = at(self, position.max(first));
            let left = at(self, end);
            self.exchange(left, entered, out);
            return;
        }
        for position in position.max(first)..end {
            let Some(now) = at(self, position) else { return };
            match at(self, position + 1) {
                Some(before) => {
                    self.emit(before, Some(position), Change::UpdateBefore, out);
                    self.emit(now, Some(position), Change::UpdateAfter, out);
                }
                None => self.emit(now, Some(position), Change::Insert, out),
            }
        }
    }

    /// The row at `position` is about to be taken out.
    pub(super) fn emit_taken(&mut self, key: KeyId, position: usize, out: &mut Emitter<'_>) {
        let (first, end) = self.range;
        let at = |this: &Self, position: usize| this.lists[key as usize].get(position).copied();
        if position >= end {
            return;
        }
        if !self.spec.with_number {
            let left = at(self, position.max(first));
            let entered = at(self, end);
            self.exchange(left, entered, out);
            return;
        }
        for position in position.max(first)..end {
            let Some(before) = at(self, position) else { return };
            match at(self, position + 1) {
                Some(now) => {
                    self.emit(before, Some(position), Change::UpdateBefore, out);
                    self.emit(now, Some(position), Change::UpdateAfter, out);
                }
                None => self.emit(before, Some(position), Change::Delete, out),
            }
        }
    }

    /// One row leaves the result and one enters it; the only row of a key is updated.
    fn exchange(&mut self, left: Option<RowId>, entered: Option<RowId>, out: &mut Emitter<'_>) {
        let is_update = self.range.1 - self.range.0 == 1 && left.is_some() && entered.is_some();
        let (leaves, enters) = match is_update {
            true => (Change::UpdateBefore, Change::UpdateAfter),
            false => (Change::Delete, Change::Insert),
        };
        if let Some(id) = left {
            self.emit(id, None, leaves, out);
        }
        if let Some(id) = entered {
            self.emit(id, None, enters, out);
        }
    }

    /// Emits a row, with its rank where that is a column.
    pub(super) fn emit(
        &mut self,
        id: RowId,
        position: Option<usize>,
        change: Change,
        out: &mut Emitter<'_>,
    ) {
        let row = self.rows.get(id);
        let width = row.slots.len();
        self.slots[..width].copy_from_slice(row.slots);
        if self.spec.with_number {
            let number = position.and_then(|at| i64::try_from(at + 1).ok()).unwrap_or(1);
            self.slots[width] = Slot::i64(number);
        }
        out.emit(Row { slots: &self.slots, nulls: row.nulls, change });
    }
}
