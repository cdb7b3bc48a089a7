//! ORDER BY the event time: rows wait for the watermark and leave in order, over all keys.
//!
//! Rows of equal time are ordered by the further columns, then by arrival. As in Flink a row is
//! late when its time is not after that of the last emitted row, so that one behind the watermark
//! may still count. Waiting rows are bounded by `rows_max`; at the limit a new row is set aside.

use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;

use crate::{
    codec,
    compare::compare_row,
    context::{Context, Fault},
    fragment::SortSpec,
    limits::Limits,
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX, WATERMARK_MIN,
    },
    row::Row,
    rows::{RowId, Rows},
    types::{DataType, Schema},
};

/// What the keys of entries begin with.
const ROWS: u8 = 0;
const LAST: u8 = 1;

/// The operator.
pub struct Sort {
    spec: SortSpec,
    types: Vec<DataType>,
    /// Under no key and time 0: their order is the heap's.
    rows: Rows,
    rows_max: usize,
    /// Event time, arrival number and number of waiting rows.
    waiting: BinaryHeap<Reverse<(Timestamp, u64, RowId)>>,
    /// Rows of one time that leave, the next one last.
    leaving: Vec<RowId>,
    last: Timestamp,
    /// `last` as the last checkpoint holds it.
    stored_last: Timestamp,
    is_stale: bool,
}

impl Sort {
    /// Sorts rows of schema `input`.
    pub fn new(spec: &SortSpec, input: &Schema, limits: &Limits) -> Self {
        let types: Vec<_> = input.fields.iter().map(|field| field.data_type.clone()).collect();
        Sort {
            rows: Rows::new(&types, &[], limits.rows_max),
            rows_max: limits.rows_max,
            types,
            spec: spec.clone(),
            waiting: BinaryHeap::new(),
            leaving: Vec::new(),
            last: WATERMARK_MIN,
            stored_last: WATERMARK_MIN,
            is_stale: false,
        }
    }

    fn time(&self, row: Row<'_>) -> Timestamp {
        row.slots[self.spec.rowtime].as_i64()
    }

    /// Takes the waiting rows of the earliest time, in their order.
    fn gather(&mut self, watermark: Timestamp, context: &Context) -> bool {
        let Some(&Reverse((first, ..))) = self.waiting.peek().filter(|w| w.0.0 <= watermark) else {
            return false;
        };
        while let Some(&Reverse((time, _, id))) = self.waiting.peek()
            && time == first
        {
            self.waiting.pop();
            self.leaving.push(id);
        }
        let (rows, order, types) = (&self.rows, &self.spec.order, &self.types);
        let place = |&id: &RowId| (rows.get(id), rows.seq(id));
        self.leaving.sort_unstable_by(|a, b| {
            let ((a, a_seq), (b, b_seq)) = (place(a), place(b));
            compare_row(b, a, order, types, context).then(b_seq.cmp(&a_seq))
        });
        self.last = first;
        true
    }

    #[cold]
    fn rebuild(&mut self) {
        self.is_stale = false;
        self.waiting.clear();
        for id in self.rows.by_arrival() {
            let time = self.time(self.rows.get(id));
            self.waiting.push(Reverse((time, self.rows.seq(id), id)));
        }
    }
}

impl Operator for Sort {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        if self.is_stale {
            self.rebuild();
        }
        let time = self.time(row);
        if time <= self.last {
            out.late(row);
            return;
        }
        match self.rows.insert(row, 0, 0, out.context) {
            Ok(id) => self.waiting.push(Reverse((time, self.rows.seq(id), id))),
            Err(_) => out.drop_row(Reason::Fault(Fault::StateFull), row),
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        if self.is_stale {
            self.rebuild();
        }
        loop {
            while let Some(&id) = self.leaving.last() {
                if !out.has_room() {
                    return Progress::More;
                }
                out.emit(self.rows.get(id));
                self.rows.remove(id, out.context);
                self.leaving.pop();
            }
            if !self.gather(watermark, out.context) {
                return Progress::Done;
            }
        }
    }

    fn due(&self) -> Timestamp {
        match self.is_stale || !self.leaving.is_empty() {
            true => WATERMARK_MIN,
            false => self.waiting.peek().map_or(WATERMARK_MAX, |&Reverse((time, ..))| time),
        }
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.rows.checkpoint(full, ROWS, context, write);
        if full || self.last != self.stored_last {
            self.stored_last = self.last;
            let mut value = Vec::new();
            codec::put_i64(&mut value, self.last);
            write.entry(&[LAST], Some(&value));
        }
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let broken = || RestoreError("an entry of a sort is unreadable".into());
        self.is_stale = true;
        let (&section, key) = key.split_first().ok_or_else(broken)?;
        if section == ROWS {
            return self.rows.restore(key, value, context);
        }
        if let Some(mut value) = value {
            self.last = codec::take_i64(&mut value).ok_or_else(broken)?;
            self.stored_last = self.last;
        }
        Ok(())
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>()
            + self.rows.memory_bytes_max()
            + memory::vec_bytes::<Reverse<(Timestamp, u64, RowId)>>(self.rows_max)
            + memory::vec_bytes::<RowId>(self.rows_max)
    }
}

#[cfg(test)]
mod tests;
