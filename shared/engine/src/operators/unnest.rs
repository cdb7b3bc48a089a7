//! `CROSS JOIN UNNEST(array)`: one row for each element, appended as the last column.

use alloc::{boxed::Box, vec};

use crate::{
    codec,
    operator::{Emitter, Operator, Port},
    row::Row,
    slot::Slot,
    types::{DataType, Schema},
};

/// Elements of one array; a JSON payload is bounded, so this is never the first limit met.
pub const ELEMENTS_MAX: usize = 1 << 20;

/// The operator.
pub struct Unnest {
    column: usize,
    element: DataType,
    slots: Box<[Slot]>,
}

impl Unnest {
    /// Unnests `column` of rows of schema `input`.
    pub fn new(column: usize, input: &Schema) -> Self {
        let element = match input.data_type(column) {
            DataType::Array(element) => (**element).clone(),
            other => other.clone(),
        };
        Unnest { column, element, slots: vec![Slot::ZERO; input.len() + 1].into() }
    }
}

impl Operator for Unnest {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        if row.is_null(self.column) {
            return;
        }
        let count = row.slots.len();
        self.slots[..count].copy_from_slice(row.slots);
        let array = row.slots[self.column];
        let mut position = 0;
        loop {
            let mark = out.context.arena.mark();
            let element = codec::element_at(array, position, &self.element, out.context);
            let Some((value, next)) = element else {
                return;
            };
            position = next;
            self.slots[count] = value.slot;
            let nulls = row.nulls | u64::from(value.is_null()) << count;
            out.emit(Row { slots: &self.slots, nulls, change: row.change });
            out.context.arena.release(mark);
        }
    }

    fn fanout_max(&self) -> usize {
        ELEMENTS_MAX
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.slots)
    }
}
