//! Window join: pairs of rows of equal key in the same window, emitted when the window closes.
//!
//! Flink's rule: a row is late iff its window's last millisecond is not after the watermark. Rows
//! of a window are kept until then, so that rows without partner are known when it closes. A row
//! that is taken back before that leaves again.

use alloc::{collections::BTreeSet, vec::Vec};

use super::joined::{self, Joined};
use crate::{
    context::{Context, Fault},
    expr::CompileError,
    fragment::{JoinKind, WindowJoinSpec},
    keys::KeyId,
    limits::Limits,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX,
    },
    row::{Change, Row},
    rows::{RowId, Rows},
    types::{DataType, Schema},
};

/// Tag of a row that had a partner.
const MATCHED: u64 = 1;

struct Side {
    /// Columns that are equal in a pair; the window's among them.
    key: Vec<usize>,
    end: usize,
    /// Rows without partner matter.
    keeps_all: bool,
    rows: Rows,
}

/// The keys of a window that is closing.
struct Job {
    keys: [Option<KeyId>; 2],
    /// The left row at work, and the right one it meets next.
    left: Option<RowId>,
    right: Option<RowId>,
    is_matched: bool,
}

/// End of the window, side, arrival number and number of a key's first row.
type Due = (Timestamp, usize, u64, RowId);

/// The operator.
pub struct WindowJoin {
    kind: JoinKind,
    sides: [Side; 2],
    joined: Joined,
    due: BTreeSet<Due>,
    job: Option<Job>,
    rows_max: usize,
}

impl WindowJoin {
    /// For inputs of these schemas.
    pub fn new(
        spec: &WindowJoinSpec,
        inputs: &[Schema],
        limits: &Limits,
    ) -> Result<Self, CompileError> {
        let kind = spec.join.kind;
        let side = |side: usize| {
            let types: Vec<DataType> =
                inputs[side].fields.iter().map(|f| f.data_type.clone()).collect();
            let key = spec.join.keys[side].clone();
            Side {
                rows: Rows::new(&types, &key, limits.rows_max),
                key,
                end: spec.ends[side],
                keeps_all: kind.is_outer(side) || (kind == JoinKind::Anti && side == 0),
            }
        };
        Ok(WindowJoin {
            kind,
            sides: [side(0), side(1)],
            joined: Joined::new(inputs, spec.join.condition.as_ref())?,
            due: BTreeSet::new(),
            job: None,
            rows_max: limits.rows_max,
        })
    }

    fn due_of(&self, side: usize, id: RowId) -> Due {
        let rows = &self.sides[side].rows;
        (rows.time(id), side, rows.seq(id), id)
    }

    fn remove(&mut self, side: usize, id: RowId, cx: &mut Context) {
        let due = self.due_of(side, id);
        let was_first = self.due.remove(&due);
        let next = self.sides[side].rows.next(id);
        if let Some(next) = next.filter(|_| was_first) {
            let due = self.due_of(side, next);
            self.due.insert(due);
        }
        self.sides[side].rows.remove(id, cx);
    }

    fn keep(&mut self, side: usize, row: Row<'_>, end: Timestamp, out: &mut Emitter<'_>) {
        let rows = &mut self.sides[side].rows;
        match rows.insert(row, end, 0, out.context) {
            Ok(id) if rows.count(rows.key(id)) == 1 => {
                let due = self.due_of(side, id);
                self.due.insert(due);
            }
            Ok(_) => {}
            Err(fault) => out.drop_row(Reason::Fault(fault), row),
        }
    }

    fn take_back(&mut self, side: usize, row: Row<'_>, out: &mut Emitter<'_>) {
        let Side { rows, key, .. } = &mut self.sides[side];
        let key = rows.find(row, key, out.context);
        match key.and_then(|key| rows.find_equal(key, row, out.context)) {
            Some(id) => self.remove(side, id, out.context),
            None => out.drop_row(Reason::Late, row),
        }
    }

    fn start(&mut self, side: usize, id: RowId, cx: &mut Context) {
        let (own, other) = joined::split(&mut self.sides, side);
        let row = own.rows.get(id);
        let partners = match joined::has_null(row, &own.key) {
            true => None,
            false => other.rows.find(row, &own.key, cx),
        };
        let mut keys = [Some(own.rows.key(id)), partners];
        keys.rotate_left(side);
        let left = keys[0].and_then(|key| self.sides[0].rows.first(key));
        let right = keys[1].and_then(|key| self.sides[1].rows.first(key));
        self.job = Some(Job { keys, left, right, is_matched: false });
    }

    /// Emits the pairs of a window's key, then the rows without partner, and forgets all of them.
    fn work(&mut self, out: &mut Emitter<'_>) -> Progress {
        let Some(job) = &mut self.job else { return Progress::Done };
        let [left, right] = &mut self.sides;
        let first = job.keys[1].and_then(|key| right.rows.first(key));
        while let Some(id) = job.left {
            self.joined.put(0, left.rows.get(id));
            while let Some(partner) = job.right {
                if !out.has_room() {
                    return Progress::More;
                }
                job.right = right.rows.next(partner);
                self.joined.put(1, right.rows.get(partner));
                if !self.joined.holds(out) {
                    continue;
                }
                job.is_matched = true;
                right.rows.set_tag(partner, MATCHED);
                match self.kind {
                    JoinKind::Semi | JoinKind::Anti => job.right = None,
                    _ => out.emit(self.joined.row(Change::Insert)),
                }
            }
            if !out.has_room() {
                return Progress::More;
            }
            let row = left.rows.get(id);
            match (self.kind, job.is_matched) {
                (JoinKind::Semi, true) | (JoinKind::Anti, false) => out.emit(row),
                (kind, false) if kind.is_outer(0) => {
                    self.joined.emit_alone(0, row, Change::Insert, out);
                }
                _ => {}
            }
            (job.left, job.right, job.is_matched) = (left.rows.next(id), first, false);
        }
        self.forget(out)
    }

    fn forget(&mut self, out: &mut Emitter<'_>) -> Progress {
        let Some(job) = &self.job else { return Progress::Done };
        let keys = job.keys;
        if let Some(key) = keys[1] {
            while let Some(id) = self.sides[1].rows.first(key) {
                let rows = &self.sides[1].rows;
                if self.kind.is_outer(1) && rows.tag(id) != MATCHED {
                    if !out.has_room() {
                        return Progress::More;
                    }
                    self.joined.emit_alone(1, rows.get(id), Change::Insert, out);
                }
                self.remove(1, id, out.context);
            }
        }
        if let Some(key) = keys[0] {
            while let Some(id) = self.sides[0].rows.first(key) {
                self.remove(0, id, out.context);
            }
        }
        self.job = None;
        Progress::Done
    }
}

impl Operator for WindowJoin {
    fn push(&mut self, port: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let side = usize::from(port.0);
        let Side { key, end, keeps_all, .. } = &self.sides[side];
        if row.is_null(*end) {
            return out.drop_row(Reason::Fault(Fault::NullEventTime), row);
        }
        let end = row.slots[*end].as_i64();
        if end.saturating_sub(1) <= out.watermark {
            return out.late(row);
        }
        if !keeps_all && joined::has_null(row, key) {
            return;
        }
        match row.change {
            Change::Insert | Change::UpdateAfter => self.keep(side, row, end, out),
            Change::UpdateBefore | Change::Delete => self.take_back(side, row, out),
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        loop {
            if self.work(out) == Progress::More {
                return Progress::More;
            }
            match self.due.first() {
                Some(&(end, side, _, id)) if end.saturating_sub(1) <= watermark => {
                    self.start(side, id, out.context);
                }
                _ => return Progress::Done,
            }
        }
    }

    fn due(&self) -> Timestamp {
        self.due.first().map_or(WATERMARK_MAX, |(end, ..)| end.saturating_sub(1))
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
        self.due.clear();
        for side in 0..2 {
            let rows = &self.sides[side].rows;
            let is_first = |id: &RowId| rows.first(rows.key(*id)) == Some(*id);
            for id in rows.by_arrival().into_iter().filter(is_first) {
                self.due.insert(self.due_of(side, id));
            }
        }
    }

    fn memory_bytes_max(&self) -> usize {
        let sides = self.sides.iter().map(|side| side.rows.memory_bytes_max());
        size_of::<Self>()
            + self.joined.memory_bytes_max()
            + sides.sum::<usize>()
            + 4 * self.rows_max * size_of::<Due>()
    }
}

#[cfg(test)]
mod tests;
