//! Absence: a row for each key that falls silent.
//!
//! A row starts a wait; a later row of its key, in order of event time and not later than the
//! deadline, ends it. When the watermark reaches the deadline and none came, the row that started
//! the wait is emitted with the deadline, once: only another row starts a wait again. Which rows
//! start and which end a wait can be narrowed by two columns; a row that starts while one is
//! waiting changes nothing. A row at or behind the watermark is late.
//!
//! Rows wait for the watermark, so an answer does not depend on the order of arrival. At most
//! `rows_max` rows are held (each waits for no longer than the gap, or for the watermark); one more
//! is set aside. In a checkpoint a row is an entry, its tag says whether it has started a wait.

use alloc::{boxed::Box, vec, vec::Vec};

use super::agenda::{Agenda, Appointment};
use crate::{
    context::Context,
    fragment::AbsenceSpec,
    keys::KeyId,
    limits::Limits,
    operator::{Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp},
    row::Row,
    rows::{RowId, Rows},
    slot::Slot,
    types::{DataType, Schema},
};

#[cfg(test)]
mod tests;

/// Tag of a row that has started a wait; 0 for one that itself waits for the watermark.
const STARTED: u64 = 1;

/// The operator.
pub struct Absence {
    spec: AbsenceSpec,
    rows_max: usize,
    rows: Rows,
    agenda: Agenda,
    /// The key that a watermark has reached.
    current: Option<KeyId>,
    slots: Box<[Slot]>,
}

/// What a key has to do next.
#[derive(Clone, Copy)]
enum Next {
    /// Look at a row.
    Row(RowId),
    /// Tell that this row was the last one until its deadline.
    Absent(RowId, Timestamp),
}

impl Absence {
    /// Watches rows of schema `input`.
    pub fn new(spec: &AbsenceSpec, input: &Schema, limits: &Limits) -> Self {
        let types: Vec<DataType> = input.fields.iter().map(|f| f.data_type.clone()).collect();
        Absence {
            rows_max: limits.rows_max,
            rows: Rows::new(&types, &spec.key, limits.rows_max),
            agenda: Agenda::new(),
            current: None,
            slots: vec![Slot::ZERO; types.len() + 1].into(),
            spec: spec.clone(),
        }
    }

    fn next(&self, key: KeyId) -> Option<(Timestamp, Next)> {
        let first = self.rows.first(key)?;
        let time = self.rows.time(first);
        if self.rows.tag(first) != STARTED {
            return Some((time, Next::Row(first)));
        }
        let deadline = time.saturating_add(self.spec.gap_ms);
        let second = self.rows.next(first).map(|id| (self.rows.time(id), Next::Row(id)));
        let in_time = second.filter(|(time, _)| *time <= deadline);
        Some(in_time.unwrap_or((deadline, Next::Absent(first, deadline))))
    }

    /// When it has to do that, for the row that it is for.
    fn appointment(&self, key: KeyId) -> Option<Appointment> {
        let (time, next) = self.next(key)?;
        let (Next::Row(id) | Next::Absent(id, _)) = next;
        Some((time, self.rows.seq(id)))
    }

    fn arm(&mut self, key: KeyId) {
        self.agenda.arm(key, self.appointment(key));
    }

    /// A row in its turn: ends the wait of the row before it, starts one of its own.
    fn look_at(&mut self, key: KeyId, id: RowId, cx: &mut Context) {
        let row = self.rows.get(id);
        let says = |column: Option<usize>| column.is_none_or(|c| row.datum(c).is_true());
        let (starts, ends) = (says(self.spec.starts), says(self.spec.ends));
        let waiting = self.rows.first(key).filter(|first| *first != id);
        if let Some(waiting) = waiting.filter(|_| ends) {
            self.rows.remove(waiting, cx);
        }
        if starts && (ends || waiting.is_none()) {
            self.rows.set_tag(id, STARTED);
        } else {
            self.rows.remove(id, cx);
        }
    }

    fn emit(&mut self, id: RowId, deadline: Timestamp, out: &mut Emitter<'_>) {
        let row = self.rows.get(id);
        let width = row.slots.len();
        self.slots[..width].copy_from_slice(row.slots);
        self.slots[width] = Slot::timestamp(deadline, 0);
        out.emit(Row::insert(&self.slots, row.nulls));
    }
}

impl Operator for Absence {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let time = row.slots[self.spec.rowtime].as_i64();
        if time <= out.watermark {
            return out.late(row);
        }
        match self.rows.insert(row, time, 0, out.context) {
            Ok(id) => self.arm(self.rows.key(id)),
            Err(fault) => out.drop_row(Reason::Fault(fault), row),
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        while let Some(key) = self.current.or_else(|| self.agenda.first(watermark, |_| {})) {
            self.current = Some(key);
            match self.next(key).filter(|(time, _)| *time <= watermark) {
                Some((_, Next::Row(id))) => self.look_at(key, id, out.context),
                Some((_, Next::Absent(id, deadline))) => {
                    if !out.has_room() {
                        return Progress::More;
                    }
                    self.emit(id, deadline, out);
                    self.rows.remove(id, out.context);
                }
                None => {
                    self.current = None;
                    self.agenda.leave(key, self.appointment(key));
                }
            }
        }
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        self.agenda.next()
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.rows.checkpoint(full, 0, context, write);
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let (_, rest) = key.split_first().ok_or_else(|| RestoreError("an empty key".into()))?;
        self.rows.restore(rest, value, context)
    }

    fn restored(&mut self, _: Timestamp, _: &mut Context) {
        self.agenda = Agenda::new();
        for id in self.rows.by_arrival() {
            self.arm(self.rows.key(id));
        }
    }

    fn memory_bytes_max(&self) -> usize {
        self.rows.memory_bytes_max() + Agenda::memory_bytes_max(self.rows_max + 1)
    }
}
