//! Rows that wait for a step whose row before is unfinished: in order, with the texts they hold.
//!
//! Bounded by what one call of an earlier step can emit: an operator that can stop is told that
//! there is no room as soon as a row waits. Empty whenever a row or a checkpoint may come in.

use alloc::vec::Vec;

use crate::{
    codec,
    context::{Context, Fault},
    limits::FIELDS_MAX,
    operator::Port,
    row::{Change, Row},
    slot::{Datum, Slot},
    types::{DataType, Schema},
};

/// The queue of one step.
pub(crate) struct Inbox {
    types: Vec<Vec<DataType>>,
    bytes: Vec<u8>,
    taken: usize,
    /// The step has an unfinished row, or rows wait for it.
    pub(crate) is_busy: bool,
}

impl Inbox {
    /// For a step with inputs of these schemas.
    pub(crate) fn new(inputs: &[Schema]) -> Self {
        let types = |schema: &Schema| schema.fields.iter().map(|f| f.data_type.clone()).collect();
        Inbox {
            types: inputs.iter().map(types).collect(),
            bytes: Vec::new(),
            taken: 0,
            is_busy: false,
        }
    }

    /// Adds a row. Its texts are copied: their symbols may be gone when its turn comes.
    pub(crate) fn put(&mut self, port: Port, row: Row<'_>, context: &Context) {
        self.bytes.extend([port.0, row.change as u8]);
        for (column, data_type) in self.types[usize::from(port.0)].iter().enumerate() {
            codec::put_element(&mut self.bytes, row.datum(column), data_type, context);
        }
    }

    /// The first row: where it came in, width, NULLs and change. Its texts go to the arena; where
    /// they do not fit the fault is set.
    pub(crate) fn take(
        &mut self,
        slots: &mut [Slot; FIELDS_MAX],
        context: &mut Context,
    ) -> Option<(Port, usize, u64, Change)> {
        let mut rest = &self.bytes[self.taken..];
        let Some((&[port, change], tail)) = rest.split_first_chunk() else {
            self.bytes.clear();
            self.taken = 0;
            return None;
        };
        rest = tail;
        let mut nulls = 0;
        let types = &self.types[usize::from(port)];
        for (column, data_type) in types.iter().enumerate() {
            let value = take_value(&mut rest, data_type, context);
            slots[column] = value.slot;
            nulls |= u64::from(value.is_null()) << column;
        }
        self.taken = self.bytes.len() - rest.len();
        let change = Change::from_u8(change).expect("put as a change");
        Some((Port(port), types.len(), nulls, change))
    }
}

fn take_value(bytes: &mut &[u8], data_type: &DataType, context: &mut Context) -> Datum {
    let (&marker, rest) = bytes.split_first().expect("put as a whole row");
    *bytes = rest;
    if marker == 0 {
        return Datum::NULL;
    }
    match codec::take_slot(bytes, data_type, context) {
        Some(slot) => Datum::of(slot),
        None => context.fail(Fault::TextTooLarge),
    }
}
