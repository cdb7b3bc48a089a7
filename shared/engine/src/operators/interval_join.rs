//! Interval join: pairs of rows of equal key whose event times are within an interval.
//!
//! Flink's rules: a row meets the rows of the other side that are kept; it is kept itself while
//! rows within its interval may come that are not behind the watermark. What has expired leaves
//! when a row of the other side passes by, or at the key's timer, which is half an interval later;
//! until then a late row still meets it. A row of an outer side without partner comes beside NULLs
//! when it leaves. So results may be behind the watermark, by no more than [`delay_ms`].
//!
//! [`delay_ms`]: Operator::delay_ms

use alloc::vec::Vec;

use super::{
    joined::{self, Joined},
    timers::Timers,
};
use crate::{
    codec,
    context::{Context, Fault},
    expr::CompileError,
    fragment::IntervalJoinSpec,
    limits::Limits,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX,
    },
    row::{Change, Row},
    rows::{RowId, Rows},
    types::{DataType, Schema},
};

/// Key of the entry that holds the expirations; rows have their side's number.
const EXPIRATIONS: u8 = 2;
/// Tag of a row that had a partner.
const MATCHED: u64 = 1;

struct Side {
    key: Vec<usize>,
    rowtime: usize,
    is_outer: bool,
    /// Times of partners, from the row's own.
    low_ms: i64,
    high_ms: i64,
    rows: Rows,
    timers: Timers,
    /// Rows up to here have no more partners, as of the last look.
    expiration: Timestamp,
}

impl Side {
    fn next_timer(&mut self, watermark: Timestamp) -> Option<RowId> {
        self.timers.first(&self.rows, watermark)
    }

    fn expired_at(&self, watermark: Timestamp) -> Timestamp {
        match watermark {
            WATERMARK_MAX => Timestamp::MAX,
            watermark => watermark.saturating_sub(self.high_ms).saturating_sub(1),
        }
    }
}

/// A row that is meeting the rows of the other side.
struct Job {
    side: usize,
    row: RowId,
    /// The next row to meet.
    next: Option<RowId>,
    low: Timestamp,
    high: Timestamp,
    is_matched: bool,
    is_kept: bool,
}

/// The operator.
pub struct IntervalJoin {
    sides: [Side; 2],
    joined: Joined,
    job: Option<Job>,
    /// A timer is this much later than the expiration that it is for.
    slack_ms: i64,
    rows_max: usize,
    /// Expirations as the last checkpoint holds them.
    stored: [Timestamp; 2],
}

impl IntervalJoin {
    /// For inputs of these schemas.
    pub fn new(
        spec: &IntervalJoinSpec,
        inputs: &[Schema],
        limits: &Limits,
    ) -> Result<Self, CompileError> {
        let offsets = [(spec.low_ms, spec.high_ms), (-spec.high_ms, -spec.low_ms)];
        let side = |side: usize| {
            let types: Vec<DataType> =
                inputs[side].fields.iter().map(|f| f.data_type.clone()).collect();
            let key = spec.join.keys[side].clone();
            Side {
                rows: Rows::new(&types, &key, limits.rows_max),
                key,
                rowtime: spec.times[side],
                is_outer: spec.join.kind.is_outer(side),
                low_ms: offsets[side].0,
                high_ms: offsets[side].1,
                timers: Timers::new(),
                expiration: 0,
            }
        };
        Ok(IntervalJoin {
            sides: [side(0), side(1)],
            joined: Joined::new(inputs, spec.join.condition.as_ref())?,
            job: None,
            slack_ms: (spec.high_ms - spec.low_ms) / 2,
            rows_max: limits.rows_max,
            stored: [0; 2],
        })
    }

    /// Keeps a row and the timer of its key.
    fn keep(
        &mut self,
        side: usize,
        row: Row<'_>,
        time: Timestamp,
        is_kept: bool,
        cx: &mut Context,
    ) -> Result<RowId, Fault> {
        let timer = self.timer_for(side, time);
        let Side { rows, timers, .. } = &mut self.sides[side];
        let id = rows.insert(row, time, 0, cx)?;
        let has_timer = Timers::of(rows, rows.key(id)).is_some();
        if !is_kept || has_timer {
            return Ok(id);
        }
        timers.start(rows, row, timer, cx).map(|()| id).inspect_err(|_| rows.remove(id, cx))
    }

    fn timer_for(&self, side: usize, time: Timestamp) -> Timestamp {
        let wait = self.sides[side].high_ms.saturating_add(self.slack_ms).saturating_add(1);
        time.saturating_add(wait)
    }

    /// The row of the job meets the other side.
    fn work(&mut self, out: &mut Emitter<'_>) -> Progress {
        let Some(job) = &mut self.job else { return Progress::Done };
        let (own, other) = joined::split(&mut self.sides, job.side);
        let other_side = 1 - job.side;
        self.joined.put(job.side, own.rows.get(job.row));
        while let Some(id) = job.next {
            let time = other.rows.time(id);
            if time > job.high && time > other.expiration {
                break;
            }
            if !out.has_room() {
                return Progress::More;
            }
            job.next = other.rows.next(id);
            if (job.low..=job.high).contains(&time) {
                self.joined.put(other_side, other.rows.get(id));
                if self.joined.holds(out) {
                    out.emit(self.joined.row(Change::Insert));
                    job.is_matched = true;
                    if other.is_outer {
                        other.rows.set_tag(id, MATCHED);
                    }
                }
            }
            if time <= other.expiration {
                if other.is_outer && other.rows.tag(id) != MATCHED {
                    self.joined.emit_alone(other_side, other.rows.get(id), Change::Insert, out);
                    self.joined.put(job.side, own.rows.get(job.row));
                }
                other.rows.remove(id, out.context);
            }
        }
        job.next = None;
        if !job.is_kept {
            if own.is_outer && !job.is_matched {
                if !out.has_room() {
                    return Progress::More;
                }
                self.joined.emit_alone(job.side, own.rows.get(job.row), Change::Insert, out);
            }
            own.rows.remove(job.row, out.context);
        } else if own.is_outer && job.is_matched {
            own.rows.set_tag(job.row, MATCHED);
        }
        self.job = None;
        Progress::Done
    }

    /// A timer fires: the expired rows of its key leave.
    fn expire(
        &mut self,
        side: usize,
        timer: RowId,
        watermark: Timestamp,
        out: &mut Emitter<'_>,
    ) -> Progress {
        let own = &mut self.sides[side];
        own.expiration = own.expired_at(watermark);
        while let Some(id) = own.rows.next(timer)
            && own.rows.time(id) <= own.expiration
        {
            if own.is_outer && own.rows.tag(id) != MATCHED {
                if !out.has_room() {
                    return Progress::More;
                }
                self.joined.emit_alone(side, own.rows.get(id), Change::Insert, out);
            }
            own.rows.remove(id, out.context);
        }
        match own.rows.next(timer).map(|id| own.rows.time(id)) {
            Some(time) => {
                let again = self.timer_for(side, time);
                let Side { rows, timers, .. } = &mut self.sides[side];
                timers.restart(rows, timer, again);
            }
            None => own.timers.stop(&mut own.rows, timer, out.context),
        }
        Progress::Done
    }
}

impl Operator for IntervalJoin {
    fn push(&mut self, port: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let side = usize::from(port.0);
        let (own, other) = joined::split(&mut self.sides, side);
        if row.is_null(own.rowtime) {
            return out.drop_row(Reason::Fault(Fault::NullEventTime), row);
        }
        let has_null = joined::has_null(row, &own.key);
        if has_null && !own.is_outer {
            return;
        }
        let time = row.slots[own.rowtime].as_i64();
        let low = time.saturating_add(own.low_ms);
        let high = time.saturating_add(own.high_ms);
        let mut next = None;
        if other.expiration < high {
            other.expiration = other.expired_at(out.watermark);
            if !has_null {
                let key = other.rows.find(row, &own.key, out.context);
                next = key.and_then(|key| Timers::first_row(&other.rows, key));
            }
        }
        let is_kept = out.watermark < high;
        match self.keep(side, row, time, is_kept, out.context) {
            Ok(row) => {
                self.job = Some(Job { side, row, next, low, high, is_matched: false, is_kept });
                self.work(out);
            }
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
        self.work(out)
    }

    fn delay_ms(&self) -> i64 {
        self.sides[0].high_ms.max(self.sides[1].high_ms)
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        for side in 0..2 {
            while let Some(timer) = self.sides[side].next_timer(watermark) {
                if self.expire(side, timer, watermark, out) == Progress::More {
                    return Progress::More;
                }
            }
        }
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        let firsts = self.sides.iter().filter_map(|side| side.timers.next());
        firsts.min().unwrap_or(WATERMARK_MAX)
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        for (side, prefix) in self.sides.iter_mut().zip(0..) {
            side.rows.checkpoint(full, prefix, context, write);
        }
        let expirations = [self.sides[0].expiration, self.sides[1].expiration];
        if full || self.stored != expirations {
            self.stored = expirations;
            let mut value = Vec::new();
            expirations.iter().for_each(|time| codec::put_i64(&mut value, *time));
            write.entry(&[EXPIRATIONS], Some(&value));
        }
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let unknown = || RestoreError("an entry of a join is unreadable".into());
        match key.split_first() {
            Some((side @ (0 | 1), key)) => {
                self.sides[usize::from(*side)].rows.restore(key, value, context)
            }
            Some((&EXPIRATIONS, _)) => {
                let Some(mut value) = value else { return Ok(()) };
                for (side, stored) in self.sides.iter_mut().zip(&mut self.stored) {
                    side.expiration = codec::take_i64(&mut value).ok_or_else(unknown)?;
                    *stored = side.expiration;
                }
                Ok(())
            }
            _ => Err(unknown()),
        }
    }

    fn restored(&mut self, _: Timestamp, _: &mut Context) {
        for side in &mut self.sides {
            side.timers.restored(&side.rows);
        }
    }

    fn memory_bytes_max(&self) -> usize {
        let sides = self.sides.iter().map(|side| side.rows.memory_bytes_max());
        size_of::<Self>()
            + self.joined.memory_bytes_max()
            + sides.sum::<usize>()
            + 2 * Timers::memory_bytes_max(self.rows_max)
    }
}

#[cfg(test)]
mod tests;
