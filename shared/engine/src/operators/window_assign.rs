//! Window table function without aggregation: appends `window_start`, `window_end`, `window_time`.
//!
//! As in Flink it holds no state and drops nothing: a late row gets its windows too.

use alloc::{boxed::Box, vec};

use crate::{
    fragment::WindowSpec,
    operator::{Emitter, Operator, Port},
    row::Row,
    slot::Slot,
    windows::Windows,
};

/// Columns appended to the input.
pub const COLUMNS_COUNT: usize = 3;

/// The operator.
pub struct WindowAssign {
    rowtime: usize,
    windows: Windows,
    slots: Box<[Slot]>,
}

impl WindowAssign {
    /// Assigns windows to rows of `columns_count` columns.
    pub fn new(spec: &WindowSpec, columns_count: usize) -> Self {
        let slots = vec![Slot::ZERO; columns_count + COLUMNS_COUNT].into();
        WindowAssign { rowtime: spec.rowtime, windows: Windows::new(spec), slots }
    }
}

impl Operator for WindowAssign {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let count = row.slots.len();
        let time = row.slots[self.rowtime].as_i64();
        self.slots[..count].copy_from_slice(row.slots);
        let slice = self.windows.slice_of(time);
        let mut end = self.windows.last_end(slice);
        // Where the slide is longer than the windows a row may be in none.
        let first = self.windows.first_end(slice);
        while end >= first {
            self.slots[count] = Slot::timestamp(self.windows.start_of(end), 0);
            self.slots[count + 1] = Slot::timestamp(end, 0);
            self.slots[count + 2] = Slot::timestamp(end - 1, 0);
            out.emit(Row { slots: &self.slots, nulls: row.nulls, change: row.change });
            end -= self.windows.slide_ms();
        }
    }

    fn fanout_max(&self) -> usize {
        usize::try_from(self.windows.windows_per_slice()).unwrap_or(usize::MAX)
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.slots)
    }
}
