//! Temporal join: each left row meets the version of its key that is valid at the row's own time.
//!
//! Flink's rules: a version holds from its own event time, inclusive, until the next one of its
//! key; one of the same time replaces it. A left row waits until the watermarks of both inputs have
//! reached it, and the rows of a key that come due together leave in order of arrival. Each key has
//! one timer, for the earliest of what came since it fired last. When it fires, the versions before
//! the one that is valid at the watermark are forgotten. A row behind the watermark is asked for
//! when the watermark rises again: it meets what is kept then. One that finds nothing is counted as
//! late where it does not come beside NULLs.
//!
//! Left rows are bounded by the watermark, versions by `rows_max`: each key keeps one for good. At
//! the limit a new row is set aside.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{
    joined::{self, Joined},
    timers::Timers,
};
use crate::{
    context::{Context, Fault},
    expr::CompileError,
    fragment::TemporalJoinSpec,
    keys::KeyId,
    limits::{FIELDS_MAX, Limits},
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX, WATERMARK_MIN,
    },
    row::{Change, Row},
    rows::{RowId, Rows},
    slot::Slot,
    types::{DataType, Schema},
};

/// Key of the entries of timers; rows have their side's number.
const TIMERS: u8 = 2;
/// Tag of a left row that was behind the watermark when it came.
const LATE: u64 = 1;

struct Side {
    key: Vec<usize>,
    rowtime: usize,
    rows: Rows,
}

/// A key whose timer has fired. Its due rows are in `due`.
struct Job {
    timer: RowId,
    versions: Option<KeyId>,
    watermark: Timestamp,
}

/// The operator.
pub struct TemporalJoin {
    is_left: bool,
    left: Side,
    right: Side,
    joined: Joined,
    /// A row of key values for each key that has a timer.
    keys: Rows,
    timers: Timers,
    /// Columns of `keys`.
    key: Vec<usize>,
    job: Option<Job>,
    /// Rows of the job, the next one last.
    due: Vec<RowId>,
    /// Timers up to here have fired, but for those of rows that came behind it.
    fired: Timestamp,
    rows_max: usize,
}

fn side(spec: &TemporalJoinSpec, inputs: &[Schema], side: usize, rows_max: usize) -> Side {
    let types: Vec<DataType> = inputs[side].fields.iter().map(|f| f.data_type.clone()).collect();
    let key = spec.join.keys[side].clone();
    Side { rows: Rows::new(&types, &key, rows_max), key, rowtime: spec.times[side] }
}

impl TemporalJoin {
    /// For inputs of these schemas.
    pub fn new(
        spec: &TemporalJoinSpec,
        inputs: &[Schema],
        limits: &Limits,
    ) -> Result<Self, CompileError> {
        let rows_max = limits.rows_max;
        let column_type = |column: &usize| inputs[0].data_type(*column).clone();
        let key_types: Vec<DataType> = spec.join.keys[0].iter().map(column_type).collect();
        let key: Vec<usize> = (0..key_types.len()).collect();
        Ok(TemporalJoin {
            is_left: spec.join.kind.is_outer(0),
            left: side(spec, inputs, 0, rows_max),
            right: side(spec, inputs, 1, rows_max),
            joined: Joined::new(inputs, spec.join.condition.as_ref())?,
            // Rows of both sides have a key, so that there is always room.
            keys: Rows::new(&key_types, &key, 2 * rows_max),
            timers: Timers::new(),
            key,
            job: None,
            due: Vec::new(),
            fired: WATERMARK_MIN,
            rows_max,
        })
    }

    /// Keeps a left row.
    fn wait(&mut self, row: Row<'_>, time: Timestamp, out: &mut Emitter<'_>) -> Result<(), Fault> {
        let tag = if time <= out.watermark { LATE } else { 0 };
        let id = self.left.rows.insert(row, time, tag, out.context)?;
        self.arm(0, row, time, out.context).inspect_err(|_| self.left.rows.remove(id, out.context))
    }

    /// Keeps a version.
    fn put(&mut self, row: Row<'_>, time: Timestamp, out: &mut Emitter<'_>) -> Result<(), Fault> {
        let Side { rows, key, .. } = &mut self.right;
        let versions = rows.find(row, key, out.context);
        if let Some(same) = versions.and_then(|key| version_from(rows, key, time)) {
            rows.remove(same, out.context);
        }
        let id = self.right.rows.insert(row, time, 0, out.context)?;
        self.arm(1, row, time, out.context).inspect_err(|_| self.right.rows.remove(id, out.context))
    }

    /// Sets the timer of a row's key, unless it has an earlier one.
    fn arm(
        &mut self,
        side: usize,
        row: Row<'_>,
        time: Timestamp,
        cx: &mut Context,
    ) -> Result<(), Fault> {
        let columns = if side == 0 { &self.left.key } else { &self.right.key };
        let found = self.keys.find(row, columns, cx);
        if let Some(timer) = found.and_then(|key| Timers::of(&self.keys, key)) {
            if time < Timers::time(&self.keys, timer) {
                self.timers.restart(&mut self.keys, timer, time);
            }
            return Ok(());
        }
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let mut nulls = 0;
        for (at, column) in columns.iter().enumerate() {
            slots[at] = row.slots[*column];
            nulls |= u64::from(row.is_null(*column)) << at;
        }
        let key = Row::insert(&slots[..columns.len()], nulls);
        self.timers.start(&mut self.keys, key, time, cx)
    }

    /// A timer fires: collects the rows of its key that are due.
    fn start(&mut self, timer: RowId, watermark: Timestamp, cx: &mut Context) {
        self.due.clear();
        if let Some(key) = self.left.rows.find(self.keys.get(timer), &self.key, cx) {
            let rows = &self.left.rows;
            self.due.extend(rows.of(key).take_while(|id| rows.time(*id) <= watermark));
        }
        self.due.sort_unstable_by_key(|id| Reverse(self.left.rows.seq(*id)));
        let versions = self.right.rows.find(self.keys.get(timer), &self.key, cx);
        self.job = Some(Job { timer, versions, watermark });
    }

    fn work(&mut self, out: &mut Emitter<'_>) -> Progress {
        let Some(Job { timer, versions, watermark }) = self.job else { return Progress::Done };
        while let Some(id) = self.due.last().copied() {
            if !out.has_room() {
                return Progress::More;
            }
            self.due.pop();
            self.meet(id, versions, out);
            self.left.rows.remove(id, out.context);
        }
        if let Some(key) = versions {
            let rows = &mut self.right.rows;
            while let Some(first) = rows.first(key)
                && rows.next(first).is_some_and(|next| rows.time(next) <= watermark)
            {
                rows.remove(first, out.context);
            }
        }
        let waiting = self.left.rows.find(self.keys.get(timer), &self.key, out.context);
        match waiting.and_then(|key| self.left.rows.first(key)) {
            Some(first) => {
                self.timers.restart(&mut self.keys, timer, self.left.rows.time(first));
            }
            None => self.timers.stop(&mut self.keys, timer, out.context),
        }
        self.job = None;
        Progress::Done
    }

    /// A left row meets the version that is valid at its time.
    fn meet(&mut self, id: RowId, versions: Option<KeyId>, out: &mut Emitter<'_>) {
        let (left, right) = (&self.left.rows, &self.right.rows);
        self.joined.put(0, left.get(id));
        let version = versions.and_then(|key| version_at(right, key, left.time(id)));
        if let Some(version) = version {
            self.joined.put(1, right.get(version));
            if self.joined.holds(out) {
                return out.emit(self.joined.row(Change::Insert));
            }
        }
        if self.is_left {
            self.joined.emit_alone(0, left.get(id), Change::Insert, out);
        } else if version.is_none() && left.tag(id) == LATE {
            out.drop_row(Reason::Late, left.get(id));
        }
    }
}

/// The version of a key that is valid at a time. Sought from the first one on: those that are kept
/// may reach far ahead of the watermark, and hardly behind it.
fn version_at(rows: &Rows, key: KeyId, time: Timestamp) -> Option<RowId> {
    rows.of(key).take_while(|id| rows.time(*id) <= time).last()
}

/// The version of a key that begins at a time: most are the latest.
fn version_from(rows: &Rows, key: KeyId, time: Timestamp) -> Option<RowId> {
    let from_last = core::iter::successors(rows.last(key), |id| rows.previous(*id));
    let mut later = from_last.skip_while(|id| rows.time(*id) > time);
    later.next().filter(|id| rows.time(*id) == time)
}

impl Operator for TemporalJoin {
    fn push(&mut self, port: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        // A timer that is due already waits for the next watermark, as in Flink.
        self.fired = self.fired.max(out.watermark);
        let is_left = port.0 == 0;
        let Side { key, rowtime, .. } = if is_left { &self.left } else { &self.right };
        if row.is_null(*rowtime) {
            return out.drop_row(Reason::Fault(Fault::NullEventTime), row);
        }
        if joined::has_null(row, key) && !(is_left && self.is_left) {
            return;
        }
        let time = row.slots[*rowtime].as_i64();
        let kept = match row.change {
            // A version ends with the next one.
            Change::UpdateBefore | Change::Delete => Ok(()),
            Change::Insert | Change::UpdateAfter if is_left => self.wait(row, time, out),
            Change::Insert | Change::UpdateAfter => self.put(row, time, out),
        };
        if let Err(fault) = kept {
            out.drop_row(Reason::Fault(fault), row);
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        if watermark <= self.fired {
            return Progress::Done;
        }
        loop {
            if self.work(out) == Progress::More {
                return Progress::More;
            }
            match self.timers.first(&self.keys, watermark) {
                Some(timer) => self.start(timer, watermark, out.context),
                None => break,
            }
        }
        self.fired = watermark;
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        let first = self.timers.next();
        first.map_or(WATERMARK_MAX, |time| time.max(self.fired.saturating_add(1)))
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.left.rows.checkpoint(full, 0, context, write);
        self.right.rows.checkpoint(full, 1, context, write);
        self.keys.checkpoint(full, TIMERS, context, write);
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        match key.split_first() {
            Some((0, key)) => self.left.rows.restore(key, value, context),
            Some((1, key)) => self.right.rows.restore(key, value, context),
            Some((&TIMERS, key)) => self.keys.restore(key, value, context),
            _ => Err(RestoreError("an entry of a join is unreadable".into())),
        }
    }

    fn restored(&mut self, watermark: Timestamp, _: &mut Context) {
        self.timers.restored(&self.keys);
        self.fired = watermark;
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>()
            + self.joined.memory_bytes_max()
            + self.left.rows.memory_bytes_max()
            + self.right.rows.memory_bytes_max()
            + self.keys.memory_bytes_max()
            + Timers::memory_bytes_max(2 * self.rows_max)
            + memory::vec_bytes::<RowId>(self.rows_max)
    }
}

#[cfg(test)]
mod tests;
