//! Lookup join: each left row meets, as it comes, the rows that a table holds at that moment.
//!
//! The right input is the content of a table, which is loaded again when it has changed. What comes
//! in there belongs to the load that is under way, and is not met before the load is complete:
//! [`loaded`](Operator::loaded) then makes it the table's content in one step. A load that a
//! restart has cut off begins again.
//!
//! A table has at most `rows_max` rows, and so has the load that replaces it; a row that finds no
//! room is set aside.

use alloc::vec::Vec;

use super::joined::{self, Joined};
use crate::{
    codec,
    context::{Context, Fault},
    expr::CompileError,
    fragment::JoinSpec,
    limits::Limits,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX, WATERMARK_MIN,
    },
    row::{Change, Row},
    rows::{RowId, Rows},
    types::{DataType, Schema},
};

/// Keys of entries begin with one of these.
const TABLE: u8 = 0;
const LOADS: u8 = 1;

/// What is left to do for a left row.
#[derive(Clone, Copy)]
struct Job {
    /// The next row of the table to meet.
    next: Option<RowId>,
    is_matched: bool,
}

/// The operator.
pub struct LookupJoin {
    is_left: bool,
    keys: [Vec<usize>; 2],
    joined: Joined,
    /// Rows of the table; the tag of each is the number of its load.
    table: Rows,
    rows_max: usize,
    /// Number of the last complete load.
    load: u64,
    /// Rows of the load that is under way.
    loading: usize,
    /// The last load that was told of.
    told: Timestamp,
    /// Restored, perhaps with rows of a load that was cut off.
    is_stale: bool,
    /// `load` and `told` are not as the last checkpoint holds them.
    is_dirty: bool,
    /// The left row that waits for room.
    held: Rows,
    job: Option<(RowId, Job)>,
}

fn types(schema: &Schema) -> Vec<DataType> {
    schema.fields.iter().map(|f| f.data_type.clone()).collect()
}

impl LookupJoin {
    /// For inputs of these schemas.
    pub fn new(spec: &JoinSpec, inputs: &[Schema], limits: &Limits) -> Result<Self, CompileError> {
        Ok(LookupJoin {
            is_left: spec.kind.is_outer(0),
            keys: spec.keys.clone(),
            joined: Joined::new(inputs, spec.condition.as_ref())?,
            table: Rows::new(&types(&inputs[1]), &spec.keys[1], 2 * limits.rows_max),
            rows_max: limits.rows_max,
            load: 0,
            loading: 0,
            told: WATERMARK_MIN,
            is_stale: false,
            is_dirty: false,
            held: Rows::new(&types(&inputs[0]), &[], 1),
            job: None,
        })
    }

    fn fill(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        self.refresh(out.context);
        if joined::has_null(row, &self.keys[1]) {
            return;
        }
        let stored = match self.loading < self.rows_max {
            true => self.table.insert(row, 0, self.load + 1, out.context).map(|_| ()),
            false => Err(Fault::StateFull),
        };
        match stored {
            Ok(()) => self.loading += 1,
            Err(fault) => out.drop_row(Reason::Fault(fault), row),
        }
    }

    /// The left row meets rows of the table while there is room; gives what is left to do.
    fn meet(&mut self, row: Row<'_>, mut job: Job, out: &mut Emitter<'_>) -> Option<Job> {
        self.joined.put(0, row);
        while let Some(id) = job.next {
            if !out.has_room() {
                return Some(job);
            }
            job.next = self.table.next(id);
            if self.table.tag(id) != self.load {
                continue;
            }
            self.joined.put(1, self.table.get(id));
            if self.joined.holds(out) {
                out.emit(self.joined.row(Change::Insert));
                job.is_matched = true;
            }
        }
        if self.is_left && !job.is_matched {
            if !out.has_room() {
                return Some(job);
            }
            self.joined.emit_alone(0, row, Change::Insert, out);
        }
        None
    }

    /// Forgets what a load that was cut off has left.
    fn refresh(&mut self, context: &mut Context) {
        if core::mem::take(&mut self.is_stale) {
            self.loading = 0;
            self.forget(context);
        }
    }

    /// Forgets all rows but those of the last complete load.
    #[cold]
    fn forget(&mut self, context: &mut Context) {
        for id in self.table.by_arrival() {
            if self.table.tag(id) != self.load {
                self.table.remove(id, context);
            }
        }
    }
}

impl Operator for LookupJoin {
    fn push(&mut self, port: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        if port.0 == 1 {
            return self.fill(row, out);
        }
        let key = match joined::has_null(row, &self.keys[0]) {
            true => None,
            false => self.table.find(row, &self.keys[0], out.context),
        };
        let next = key.and_then(|key| self.table.first(key));
        let Some(rest) = self.meet(row, Job { next, is_matched: false }, out) else { return };
        match self.held.insert(row, 0, 0, out.context) {
            Ok(id) => self.job = Some((id, rest)),
            Err(fault) => out.drop_row(Reason::Fault(fault), row),
        }
    }

    fn is_resumable(&self) -> bool {
        true
    }

    fn is_unfinished(&self) -> bool {
        self.job.is_some()
    }

    fn resume(&mut self, out: &mut Emitter<'_>) -> Progress {
        let Some((id, job)) = self.job else { return Progress::Done };
        // Taken out for the call, which needs both.
        let held = core::mem::replace(&mut self.held, Rows::new(&[], &[], 0));
        let rest = self.meet(held.get(id), job, out);
        self.held = held;
        self.job = rest.map(|job| (id, job));
        if self.job.is_some() {
            return Progress::More;
        }
        self.held.remove(id, out.context);
        Progress::Done
    }

    fn loaded(&mut self, load: Timestamp, context: &mut Context) {
        // The end of the table's source is no load.
        if load <= self.told || load == WATERMARK_MAX {
            return;
        }
        self.refresh(context);
        self.told = load;
        self.load += 1;
        self.loading = 0;
        self.is_dirty = true;
        self.forget(context);
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.table.checkpoint(full, TABLE, context, write);
        if full || core::mem::take(&mut self.is_dirty) {
            self.is_dirty = false;
            let mut value = Vec::new();
            codec::put_u64(&mut value, self.load);
            codec::put_i64(&mut value, self.told);
            write.entry(&[LOADS], Some(&value));
        }
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let unknown = || RestoreError("an entry of a lookup join is unreadable".into());
        match (key.split_first(), value) {
            (Some((&TABLE, key)), value) => self.table.restore(key, value, context),
            (Some((&LOADS, _)), Some(mut value)) => {
                self.load = codec::take_u64(&mut value).ok_or_else(unknown)?;
                self.told = codec::take_i64(&mut value).ok_or_else(unknown)?;
                Ok(())
            }
            (Some((&LOADS, _)), None) => Ok(()),
            _ => Err(unknown()),
        }
    }

    fn restored(&mut self, _: Timestamp, _: &mut Context) {
        self.is_stale = true;
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>()
            + self.joined.memory_bytes_max()
            + self.table.memory_bytes_max()
            + self.held.memory_bytes_max()
    }
}

#[cfg(test)]
mod tests;
