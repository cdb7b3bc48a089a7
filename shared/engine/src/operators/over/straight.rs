//! How rows are emitted where a step has one RANGE frame that ends at the present row, with
//! nothing but sums and counts over it: what the general way does, on a shorter path. A row is
//! ready at its own time, no text is made, nothing fails, and what leaves the frame is of no use.

use alloc::boxed::Box;

use super::{Column, FrameState, NO_ROW, Over, Place};
use crate::{
    keys::KeyId,
    operator::{Emitter, Timestamp},
    row::Row,
    rows::RowId,
};

/// The numbers of the sums, column by column, where the step is such a one.
pub(super) fn sums(frames: &[FrameState], columns: &[Column]) -> Option<Box<[usize]>> {
    let [frame] = frames else { return None };
    let sum = |column: &Column| match *column {
        Column::Call { place: Place::Sum(index), .. } => Some(index),
        _ => None,
    };
    columns.iter().map(sum).collect::<Option<_>>().filter(|_| frame.is_straight())
}

impl Over {
    /// Emits the waiting rows of a key that are ready at `until`; false when the output is full.
    pub(super) fn emit_ready(
        &mut self,
        key: KeyId,
        until: Timestamp,
        out: &mut Emitter<'_>,
    ) -> bool {
        match self.straight {
            Some(_) => self.emit_straight(key, until, out),
            None => self.emit_any(key, until, out),
        }
    }

    fn emit_straight(&mut self, key: KeyId, until: Timestamp, out: &mut Emitter<'_>) -> bool {
        loop {
            let row = self.keys[key as usize].pending;
            if row == NO_ROW {
                return true;
            }
            let stand = self.rows.stand(row);
            if stand.time > until {
                return true;
            }
            if !out.has_room() {
                return false;
            }
            let frame = &mut self.frames[0];
            frame.slide_straight(key, row, stand, &mut self.rows, out.context);
            let state = &mut self.keys[key as usize];
            state.last = (stand.time, stand.seq);
            state.pending = stand.next.unwrap_or(NO_ROW);
            if !state.is_dirty {
                self.touch(key);
            }
            self.emit_sums(key, row, out);
        }
    }

    #[inline(never)]
    fn emit_sums(&mut self, key: KeyId, row: RowId, out: &mut Emitter<'_>) {
        let Some(sums) = &self.straight else { return };
        let present = self.rows.get(row);
        let width = present.slots.len();
        let (passed, appended) = self.slots.split_at_mut(width);
        // Not copied as one: a call costs more than the few columns of most rows.
        passed.iter_mut().zip(present.slots).for_each(|(own, slot)| *own = *slot);
        let nulls = present.nulls | self.frames[0].sums(key, sums, appended) << width;
        out.emit(Row::insert(&self.slots, nulls));
    }
}
