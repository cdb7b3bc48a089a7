//! Window table function without aggregation: appends `window_start`, `window_end`, `window_time`.
//!
//! As in Flink it holds no state and drops nothing: a late row gets its windows too.

use alloc::{boxed::Box, vec};

use crate::{
    fragment::WindowSpec,
    operator::{Emitter, Operator, Port},
    row::Row,
    slot::Slot,
};

/// Columns appended to the input.
pub const COLUMNS_COUNT: usize = 3;

/// The operator.
pub struct WindowAssign {
    spec: WindowSpec,
    slots: Box<[Slot]>,
}

impl WindowAssign {
    /// Assigns windows to rows of `columns_count` columns.
    pub fn new(spec: &WindowSpec, columns_count: usize) -> Self {
        let slots = vec![Slot::ZERO; columns_count + COLUMNS_COUNT].into();
        WindowAssign { spec: spec.clone(), slots }
    }
}

/// Start of the last window, by `slide`, that holds `time`: aligned downward, also before 1970.
pub fn window_start(time: i64, spec: &WindowSpec) -> i64 {
    time - (time - spec.offset_ms).rem_euclid(spec.slide_ms)
}

impl Operator for WindowAssign {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let count = row.slots.len();
        let time = row.slots[self.spec.rowtime].as_i64();
        self.slots[..count].copy_from_slice(row.slots);
        let mut start = window_start(time, &self.spec);
        while start + self.spec.size_ms > time {
            let end = start + self.spec.size_ms;
            self.slots[count] = Slot::timestamp(start, 0);
            self.slots[count + 1] = Slot::timestamp(end, 0);
            self.slots[count + 2] = Slot::timestamp(end - 1, 0);
            out.emit(Row { slots: &self.slots, nulls: row.nulls, change: row.change });
            start -= self.spec.slide_ms;
        }
    }

    fn fanout_max(&self) -> usize {
        usize::try_from(self.spec.size_ms / self.spec.slide_ms + 1).unwrap_or(usize::MAX)
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.slots)
    }
}
