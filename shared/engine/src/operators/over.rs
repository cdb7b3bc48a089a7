//! OVER: columns computed over the rows of the same key around each row, in order of event time.
//!
//! A row waits until the watermark reaches the end of its frames, so that rows may come out of
//! order; then it is emitted with one more column for each call. RANGE: rows of equal time see each
//! other, bounds are inclusive. ROWS: one after the other, equal times in order of arrival.
//!
//! Late rows, as in Flink: where every frame reaches back a bounded way and ends at the present
//! row, a row is late when its time is not after that of the last row that was emitted of its key,
//! so that rows behind the watermark may still count. LAG, ROW_NUMBER, UNBOUNDED PRECEDING and
//! FOLLOWING: when its time is not after the watermark.
//!
//! Kept are rows that wait or that a frame still reaches, and for each key its last time and the
//! states of frames without a beginning. RANGE frames forget a key once the watermark is past the
//! reach of its rows (a half more, as in Flink), others after the TTL if there is one. Rows and
//! keys are bounded by `rows_max`; at the limit a new row is set aside.

use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};

use crate::{
    context::{Context, Fault},
    due::DueQueue,
    expr::CompileError,
    fragment::{AggregateSpec, Frame, OverFunction, OverSpec},
    keys::KeyId,
    limits::{FIELDS_MAX, Limits},
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX, WATERMARK_MIN,
    },
    row::Row,
    rows::{RowId, Rows},
    slot::{Datum, Slot},
    types::Schema,
};

mod deque;
mod frames;
mod state;
mod straight;
mod timers;

use frames::{FrameState, Place};
use straight::Straight;
use timers::{following, is_strict, kept_ms};

/// No row.
const NO_ROW: RowId = RowId::MAX;

/// What is known of a key besides its rows.
#[derive(Clone, Copy)]
struct Key {
    /// Names its entry in checkpoints; also tells a new key from an old one with its number.
    serial: u64,
    /// Time and arrival number of the last emitted row.
    last: (Timestamp, u64),
    /// The first row that waits.
    pending: RowId,
    /// The watermark at which the key is forgotten.
    forget: Timestamp,
    /// Arrival number of the row for which it is in `due`: keys of one time come in this order.
    rank: u64,
    is_used: bool,
    /// An earlier checkpoint holds it.
    is_stored: bool,
    /// The last checkpoint does not hold it as it is.
    is_dirty: bool,
    /// Its number is in `dirty`, for this key or for one before with the same number.
    is_listed: bool,
}

const UNUSED: Key = Key {
    serial: 0,
    last: (WATERMARK_MIN, 0),
    pending: NO_ROW,
    forget: WATERMARK_MAX,
    rank: 0,
    is_used: false,
    is_stored: false,
    is_dirty: false,
    is_listed: false,
};

/// How an appended column is computed.
enum Column {
    Call { frame: usize, place: Place },
    Edge { frame: usize, is_ahead: bool, column: usize, default: Option<usize> },
}

/// The operator.
struct Over {
    spec: OverSpec,
    frames: Vec<FrameState>,
    columns: Vec<Column>,
    /// Rows behind the watermark are late.
    is_strict: bool,
    /// How far a row waits beyond its own time: in ms, and in rows of its key.
    following: (i64, i64),
    /// How long a key is kept behind the watermark; `None` for ever.
    kept_ms: Option<i64>,
    rows: Rows,
    keys_max: usize,
    keys: Vec<Key>,
    next_serial: u64,
    /// Keys by the time at which their first waiting row is ready. Where rows wait for others of
    /// their key: rows by the time at which they may make one ready.
    due: DueQueue,
    /// What came of reading rows that are due soon; only that they are read matters.
    fetched: u64,
    /// Keys by a time at which they may have to be forgotten.
    forgets: DueQueue,
    dirty: Vec<KeyId>,
    /// Serial numbers of stored keys that are gone.
    deleted: Vec<u64>,
    restoring: BTreeMap<u64, KeyId>,
    /// Restored, and the frames are not yet built again.
    is_stale: bool,
    /// The watermark at which it was.
    restored_watermark: Timestamp,
    slots: Box<[Slot]>,
}

/// The frames of a step, each once, with the calls over each.
type Framed = Vec<(Frame, Vec<AggregateSpec>)>;

/// The number of a frame among those of the step.
fn frame_of(framed: &mut Framed, frame: &Frame) -> usize {
    framed.iter().position(|(held, _)| held == frame).unwrap_or_else(|| {
        framed.push((frame.clone(), Vec::new()));
        framed.len() - 1
    })
}

/// The operator of a step for rows of schema `input`.
pub fn build(
    spec: &OverSpec,
    input: &Schema,
    limits: &Limits,
) -> Result<Box<dyn Operator>, CompileError> {
    match Straight::new(spec, input, limits) {
        Some(straight) => Ok(Box::new(straight)),
        None => Ok(Box::new(Over::new(spec, input, limits)?)),
    }
}

impl Over {
    /// The operator for any frames.
    fn new(spec: &OverSpec, input: &Schema, limits: &Limits) -> Result<Self, CompileError> {
        let mut framed = Framed::new();
        for call in &spec.calls {
            if call.frame.preceding.is_none() && call.frame.following != 0 {
                return Err(CompileError("an unbounded frame ends at the current row".into()));
            }
            let frame = frame_of(&mut framed, &call.frame);
            if let OverFunction::Aggregate(aggregate) = &call.function {
                framed[frame].1.push(aggregate.clone());
            }
        }
        let mut frames = Vec::new();
        let mut places = Vec::new();
        for (frame, calls) in &framed {
            let (state, at) = FrameState::new(frame, calls)?;
            frames.push(state);
            places.push(at.into_iter());
        }
        let columns = spec.calls.iter().map(|call| {
            let frame = frame_of(&mut framed, &call.frame);
            match call.function {
                OverFunction::Aggregate(_) => {
                    let place = places[frame].next().expect("one for each aggregate");
                    Column::Call { frame, place }
                }
                OverFunction::Lag { column, default } => {
                    Column::Edge { frame, is_ahead: false, column, default }
                }
                OverFunction::Lead { column, default } => {
                    Column::Edge { frame, is_ahead: true, column, default }
                }
            }
        });
        let columns: Vec<Column> = columns.collect();
        let width = input.len() + columns.len();
        if width > FIELDS_MAX {
            return Err(CompileError("the rows of OVER are too wide".into()));
        }
        let types: Vec<_> = input.fields.iter().map(|field| field.data_type.clone()).collect();
        Ok(Over {
            frames,
            columns,
            is_strict: is_strict(spec),
            following: following(spec),
            kept_ms: kept_ms(spec),
            rows: Rows::new(&types, &spec.partition, limits.rows_max),
            spec: spec.clone(),
            keys_max: limits.rows_max + 1,
            keys: Vec::new(),
            next_serial: 0,
            due: DueQueue::new(),
            forgets: DueQueue::new(),
            fetched: 0,
            dirty: Vec::new(),
            deleted: Vec::new(),
            restoring: BTreeMap::new(),
            is_stale: false,
            restored_watermark: WATERMARK_MIN,
            slots: vec![Slot::ZERO; width].into(),
        })
    }

    fn start_key(&mut self, key: KeyId) {
        self.rows.hold(key);
        if self.keys.len() <= key as usize {
            self.keys.resize(key as usize + 1, UNUSED);
        }
        self.frames.iter_mut().for_each(|frame| frame.reserve(key as usize + 1));
        let serial = self.next_serial;
        self.next_serial += 1;
        let is_listed = self.keys[key as usize].is_listed;
        self.keys[key as usize] = Key { serial, is_used: true, is_listed, ..UNUSED };
        self.touch(key);
    }

    fn touch(&mut self, key: KeyId) {
        let state = &mut self.keys[key as usize];
        state.is_dirty = true;
        if !state.is_listed {
            state.is_listed = true;
            self.dirty.push(key);
        }
    }

    /// Forgets a key with all its rows.
    fn forget(&mut self, key: KeyId, context: &mut Context) {
        while let Some(id) = self.rows.first(key) {
            self.unwatch(id);
            self.rows.remove(id, context);
        }
        let Key { serial, is_stored, .. } = self.keys[key as usize];
        if is_stored {
            self.deleted.push(serial);
        }
        self.drop_key(key, context);
    }

    fn drop_key(&mut self, key: KeyId, context: &mut Context) {
        self.frames.iter_mut().for_each(|frame| frame.clear(key, context));
        self.disarm(key);
        if self.forgets.holds(key) {
            self.forgets.remove(key);
        }
        let is_listed = self.keys[key as usize].is_listed;
        self.keys[key as usize] = Key { is_listed, ..UNUSED };
        self.rows.let_go(key, context);
    }

    /// Emits the waiting rows of a key that are ready at `until`; false when the output is full.
    fn emit_ready(&mut self, key: KeyId, until: Timestamp, out: &mut Emitter<'_>) -> bool {
        loop {
            let row = self.keys[key as usize].pending;
            if row == NO_ROW {
                return true;
            }
            let stand = self.rows.stand(row);
            let ready = self.ready_at(row, stand.time);
            if ready > until {
                self.await_ready(row, ready);
                return true;
            }
            if !out.has_room() {
                self.await_ready(row, until);
                return false;
            }
            self.emit(key, row, out);
            self.unwatch(row);
            let state = &mut self.keys[key as usize];
            state.last = (stand.time, stand.seq);
            state.pending = stand.next.unwrap_or(NO_ROW);
            if !state.is_dirty {
                self.touch(key);
            }
            for frame in &mut self.frames {
                frame.pass(row, &self.rows, out.context);
            }
            self.trim(key, out.context);
        }
    }

    /// Emits the rows whose time has come.
    fn emit_due(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        if self.is_by_row() {
            return self.emit_due_by_row(watermark, out);
        }
        while let Some(key) = self.next_key(watermark) {
            if !self.emit_ready(key, self.due.time(key), out) {
                return Progress::More;
            }
            self.rearm(key);
        }
        Progress::Done
    }

    fn emit_due_by_row(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        while let Some(row) = self.next_row(watermark) {
            let time = self.due.time(row);
            if !self.emit_ready(self.rows.key(row), time, out) {
                return Progress::More;
            }
            // Still there when it waits for rows behind it, which come with times of their own.
            if self.due.holds(row) && self.due.time(row) == time {
                self.due.remove(row);
            }
        }
        Progress::Done
    }

    /// Emits the rows that wait for others of their key, at the end of time.
    fn emit_rest(&mut self, out: &mut Emitter<'_>) -> Progress {
        let keys: Vec<KeyId> =
            self.rows.by_arrival().into_iter().map(|row| self.rows.key(row)).collect();
        match keys.into_iter().all(|key| self.emit_ready(key, WATERMARK_MAX, out)) {
            true => Progress::Done,
            false => Progress::More,
        }
    }

    /// Emits a row with its columns.
    fn emit(&mut self, key: KeyId, row: RowId, out: &mut Emitter<'_>) {
        for frame in &mut self.frames {
            frame.slide(key, row, &self.rows, out.context);
        }
        let mark = out.context.arena.mark();
        let present = self.rows.get(row);
        let width = present.slots.len();
        let (passed, appended) = self.slots.split_at_mut(width);
        // Not copied as one: a call costs more than the few columns of most rows.
        passed.iter_mut().zip(present.slots).for_each(|(own, slot)| *own = *slot);
        let mut nulls = present.nulls;
        let columns = self.columns.iter().zip(appended);
        for (index, (column, slot)) in (width..).zip(columns) {
            let value = match *column {
                Column::Call { frame, place } => {
                    self.frames[frame].value(place, key, &self.rows, out.context)
                }
                Column::Edge { frame, is_ahead, column, default } => {
                    let found = match is_ahead {
                        true => self.frames[frame].lead(row, &self.rows),
                        false => self.frames[frame].lag(row, &self.rows),
                    };
                    match (found, default) {
                        (Ok(id), _) => self.rows.get(id).datum(column),
                        (Err(id), Some(default)) => self.rows.get(id).datum(default),
                        (Err(_), None) => Datum::NULL,
                    }
                }
            };
            *slot = value.slot;
            nulls |= u64::from(value.is_null()) << index;
        }
        if !out.take_fault(present) {
            out.emit(Row::insert(&self.slots, nulls));
        }
        out.context.arena.release(mark);
    }

    /// Removes the rows of a key that were emitted and that no frame reaches.
    fn trim(&mut self, key: KeyId, context: &mut Context) {
        let pending = self.keys[key as usize].pending;
        while let Some(id) = self.rows.first(key) {
            if id == pending || self.frames.iter().any(|frame| frame.holds(key, id)) {
                return;
            }
            self.rows.remove(id, context);
        }
    }
}

impl Operator for Over {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        self.rebuild_if_stale(out.context);
        let time = row.slots[self.spec.rowtime].as_i64();
        if self.is_strict && time <= out.watermark {
            out.late(row);
            return;
        }
        let (key, is_new) = match self.rows.key_of(row, out.context) {
            Ok(found) => found,
            Err(fault) => return out.drop_row(Reason::Fault(fault), row),
        };
        if is_new {
            self.start_key(key);
        } else if time <= self.keys[key as usize].last.0 {
            out.late(row);
            return;
        }
        let Ok(id) = self.rows.insert_at(key, row, time, 0, out.context) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            if is_new {
                self.forget(key, out.context);
            }
            return;
        };
        // A row that is not late stands behind all that were emitted.
        let state = &mut self.keys[key as usize];
        if state.pending == NO_ROW || self.rows.next(id) == Some(state.pending) {
            state.pending = id;
        }
        self.watch(id, out.watermark);
        self.keep(key, time);
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        self.rebuild_if_stale(out.context);
        if self.emit_due(watermark, out) == Progress::More {
            return Progress::More;
        }
        while let Some(key) = self.forgets.first(watermark, |_| {}) {
            let forget = self.keys[key as usize].forget;
            if forget <= watermark {
                // Rows that wait for others of their key wait no longer.
                if !self.emit_ready(key, WATERMARK_MAX, out) {
                    return Progress::More;
                }
                self.forget(key, out.context);
            } else {
                self.forgets.remove(key);
                self.forgets.insert(key, forget);
            }
        }
        if watermark == WATERMARK_MAX && self.following.1 > 0 {
            return self.emit_rest(out);
        }
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        match self.is_stale {
            true => WATERMARK_MIN,
            false => [&self.due, &self.forgets]
                .map(|queue| queue.next().unwrap_or(WATERMARK_MAX))
                .into_iter()
                .fold(WATERMARK_MAX, Timestamp::min),
        }
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.write_state(full, context, write);
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        self.read_state(key, value, context)
    }

    fn restored(&mut self, watermark: Timestamp, _: &mut Context) {
        self.restored_watermark = watermark;
    }

    fn memory_bytes_max(&self) -> usize {
        let frames = self.frames.iter();
        let rows_max = self.keys_max - 1;
        size_of::<Self>()
            + self.rows.memory_bytes_max()
            + frames.map(|f| f.memory_bytes_max(rows_max, self.keys_max)).sum::<usize>()
            + memory::vec_bytes::<Key>(self.keys_max)
            + match self.is_by_row() {
                true => DueQueue::memory_bytes_max(rows_max),
                false => DueQueue::ranked_bytes_max(self.keys_max),
            }
            + DueQueue::memory_bytes_max(self.keys_max)
            + memory::vec_bytes::<KeyId>(self.keys_max)
            + memory::vec_bytes::<u64>(self.keys_max)
    }
}

#[cfg(test)]
mod tests;
