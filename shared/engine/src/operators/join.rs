//! Regular join: all rows of both inputs are kept, as long as they are not taken back.
//!
//! Inputs are multisets that change. A result is always the join of what the inputs hold now: a
//! row that finds its first partner takes back what was emitted for it alone, and one that loses
//! its last partner comes alone again. The tag of a row counts its partners where that matters.
//! With a time to live a row is forgotten so long after it came: what it gave stays.

use alloc::vec::Vec;

use super::joined::{self, Joined};
use crate::{
    context::Context,
    expiry::Expiry,
    expr::CompileError,
    fragment::{JoinKind, RegularJoinSpec},
    limits::Limits,
    operator::{Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp},
    row::{Change, Row},
    rows::{RowId, Rows},
    types::{DataType, Schema},
};

struct Side {
    key: Vec<usize>,
    /// The number of a row's partners matters.
    counts: bool,
    rows: Rows,
    /// Rows by the watermark at which they came: their time, which keeps them in order of arrival.
    expiry: Expiry,
}

/// A row that is meeting the rows of the other side.
struct Job {
    side: usize,
    row: RowId,
    change: Change,
    /// The next row to meet.
    next: Option<RowId>,
    partners: u64,
}

/// The operator.
pub struct Join {
    kind: JoinKind,
    sides: [Side; 2],
    joined: Joined,
    job: Option<Job>,
    rows_max: usize,
    ttl_ms: Option<i64>,
}

/// Whether a row comes, and not goes.
fn comes(change: Change) -> bool {
    matches!(change, Change::Insert | Change::UpdateAfter)
}

impl Join {
    /// For inputs of these schemas.
    pub fn new(
        spec: &RegularJoinSpec,
        inputs: &[Schema],
        limits: &Limits,
    ) -> Result<Self, CompileError> {
        let RegularJoinSpec { join: spec, ttl_ms } = spec;
        let side = |side: usize| {
            let types: Vec<DataType> =
                inputs[side].fields.iter().map(|f| f.data_type.clone()).collect();
            Side {
                rows: Rows::new(&types, &spec.keys[side], limits.rows_max),
                key: spec.keys[side].clone(),
                counts: spec.kind.is_outer(side) || (spec.kind.is_left_only() && side == 0),
                expiry: Expiry::new(*ttl_ms),
            }
        };
        Ok(Join {
            kind: spec.kind,
            sides: [side(0), side(1)],
            joined: Joined::new(inputs, spec.condition.as_ref())?,
            job: None,
            rows_max: limits.rows_max,
            ttl_ms: *ttl_ms,
        })
    }

    /// The stored row that a change is about: a new one, or the one that goes.
    fn stored(&mut self, side: usize, row: Row<'_>, out: &mut Emitter<'_>) -> Option<RowId> {
        let Side { rows, key, expiry, .. } = &mut self.sides[side];
        if comes(row.change) {
            let time = self.ttl_ms.map_or(0, |_| out.watermark);
            return match rows.insert(row, time, 0, out.context) {
                Ok(id) => {
                    expiry.touch(id, out.watermark);
                    Some(id)
                }
                Err(fault) => {
                    out.drop_row(Reason::Fault(fault), row);
                    None
                }
            };
        }
        let key = rows.find(row, key, out.context);
        let found = key.and_then(|key| rows.find_equal(key, row, out.context));
        if found.is_none() {
            // It was set aside when it came, or is forgotten.
            out.drop_row(Reason::Unmatched, row);
        }
        found
    }

    fn work(&mut self, out: &mut Emitter<'_>) -> Progress {
        let Some(job) = &mut self.job else { return Progress::Done };
        let (own, other) = joined::split(&mut self.sides, job.side);
        let other_side = 1 - job.side;
        self.joined.put(job.side, own.rows.get(job.row));
        while let Some(partner) = job.next {
            if !out.has_room() {
                return Progress::More;
            }
            job.next = other.rows.next(partner);
            self.joined.put(other_side, other.rows.get(partner));
            if !self.joined.holds(out) {
                continue;
            }
            job.partners += 1;
            if self.kind.is_left_only() {
                if job.side == 1 {
                    let change = counted(&mut other.rows, partner, job.change);
                    if let Some(change) = left_change(self.kind, change) {
                        out.emit(Row { change, ..other.rows.get(partner) });
                    }
                }
                continue;
            }
            let change = if self.kind == JoinKind::Inner {
                job.change
            } else if comes(job.change) {
                Change::Insert
            } else {
                Change::Delete
            };
            let met =
                if other.counts { counted(&mut other.rows, partner, job.change) } else { None };
            if met == Some(Change::Insert) {
                self.joined.emit_alone(other_side, other.rows.get(partner), Change::Delete, out);
                self.joined.put(job.side, own.rows.get(job.row));
            }
            out.emit(self.joined.row(change));
            if met == Some(Change::Delete) {
                self.joined.emit_alone(other_side, other.rows.get(partner), Change::Insert, out);
                self.joined.put(job.side, own.rows.get(job.row));
            }
        }
        if !out.has_room() {
            return Progress::More;
        }
        self.finish(out);
        Progress::Done
    }

    /// The row has met all of the other side.
    fn finish(&mut self, out: &mut Emitter<'_>) {
        let Some(Job { side, row: id, change, partners, .. }) = self.job.take() else { return };
        let own = &mut self.sides[side];
        let row = Row { change, ..own.rows.get(id) };
        if self.kind.is_left_only() {
            let emits = if self.kind == JoinKind::Semi { partners > 0 } else { partners == 0 };
            if side == 0 && emits {
                out.emit(row);
            }
        } else if own.counts && partners == 0 {
            let change = if comes(change) { Change::Insert } else { Change::Delete };
            self.joined.emit_alone(side, row, change, out);
        }
        if !comes(change) {
            own.expiry.remove(id);
            own.rows.remove(id, out.context);
        } else if own.counts {
            own.rows.set_tag(id, partners);
        }
    }
}

/// Counts a partner that came or went; says whether it was the first (`Insert`) or the last
/// (`Delete`).
fn counted(rows: &mut Rows, id: RowId, change: Change) -> Option<Change> {
    let before = rows.tag(id);
    if comes(change) {
        rows.set_tag(id, before + 1);
        return (before == 0).then_some(Change::Insert);
    }
    rows.set_tag(id, before.saturating_sub(1));
    (before == 1).then_some(Change::Delete)
}

/// What becomes of a left row whose first partner came or whose last one went.
fn left_change(kind: JoinKind, change: Option<Change>) -> Option<Change> {
    match (kind, change?) {
        (JoinKind::Semi, Change::Insert) | (JoinKind::Anti, Change::Delete) => Some(Change::Insert),
        _ => Some(Change::Delete),
    }
}

impl Operator for Join {
    fn push(&mut self, port: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let side = usize::from(port.0);
        let has_null = joined::has_null(row, &self.sides[side].key);
        if has_null && !self.sides[side].counts {
            return;
        }
        let Some(id) = self.stored(side, row, out) else { return };
        let (own, other) = joined::split(&mut self.sides, side);
        let key = if has_null { None } else { other.rows.find(row, &own.key, out.context) };
        let next = key.and_then(|key| other.rows.first(key));
        self.job = Some(Job { side, row: id, change: row.change, next, partners: 0 });
        self.work(out);
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

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        for side in &mut self.sides {
            while let Some(id) = side.expiry.expired(watermark) {
                side.rows.remove(id, out.context);
            }
        }
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        self.sides[0].expiry.due().min(self.sides[1].expiry.due())
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        for (side, prefix) in self.sides.iter_mut().zip(0..) {
            side.rows.checkpoint(full, prefix, context, write);
        }
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        joined::restore(self.sides.each_mut().map(|side| &mut side.rows), key, value, context)
    }

    fn restored(&mut self, _: Timestamp, _: &mut Context) {
        // Called for each page of a checkpoint: what an earlier one held may be gone.
        for Side { rows, expiry, .. } in &mut self.sides {
            *expiry = Expiry::new(self.ttl_ms);
            rows.by_arrival().into_iter().for_each(|id| expiry.touch(id, rows.time(id)));
        }
    }

    fn memory_bytes_max(&self) -> usize {
        let side = |side: &Side| {
            side.rows.memory_bytes_max() + side.expiry.memory_bytes_max(self.rows_max)
        };
        let sides: usize = self.sides.iter().map(side).sum();
        size_of::<Self>() + self.joined.memory_bytes_max() + sides
    }
}

#[cfg(test)]
mod tests;
