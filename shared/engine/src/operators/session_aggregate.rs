//! Aggregation per session and key.
//!
//! A session of a key lasts from its first row to its last row and the gap; rows exactly one gap
//! apart are of one session. A row out of order extends sessions and puts two into one, so
//! accumulators are merged. As in Flink a row is late when it joins no open session and its own
//! would have ended: `time + gap - 1 <= watermark`; a session that has fired is not opened again.
//! Sessions fire in order of their ends, equal ends in order of creation.
//!
//! At most [`Limits::panes_max`] sessions are open; the row of one more is set aside. Rows of the
//! same key must meet in one place: sessions of parts of them are no sessions of the whole.

use alloc::{boxed::Box, collections::BinaryHeap, format, vec, vec::Vec};
use core::cmp::Reverse;

use crate::{
    aggregate::{Accumulator, Calls},
    context::{Context, Fault},
    expr::CompileError,
    fragment::SessionSpec,
    keys::{KeyId, KeyTable},
    limits::{AGGREGATES_MAX, FIELDS_MAX, Limits},
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX,
    },
    row::{Change, Row},
    slot::Slot,
    types::{DataType, Field, Schema},
};

mod state;

/// Columns that follow keys and aggregates in a result: start, end, time.
pub const RESULT_COLUMNS_COUNT: usize = 3;

/// Number of a session.
type SessionId = u32;
/// No session.
const NONE: SessionId = SessionId::MAX;

/// What is known of a session besides its accumulators, which have the same number.
#[derive(Clone, Copy)]
struct Session {
    start: Timestamp,
    /// Time of the last row.
    last: Timestamp,
    key: KeyId,
    /// Order of creation; names the session in checkpoints.
    seq: u64,
    /// The next session of the same key.
    next: SessionId,
    is_used: bool,
    /// The last checkpoint does not hold it as it is.
    is_dirty: bool,
    /// Its number is in `dirty`, for this session or for one before in the same place.
    is_listed: bool,
    /// An earlier checkpoint holds it.
    is_stored: bool,
}

const UNUSED: Session = Session {
    start: 0,
    last: 0,
    key: 0,
    seq: 0,
    next: NONE,
    is_used: false,
    is_dirty: false,
    is_listed: false,
    is_stored: false,
};

/// When a session may end, its order of creation, its number. A session has one entry; its end may
/// have moved on since.
type Due = Reverse<(Timestamp, u64, SessionId)>;

/// The operator.
pub struct SessionAggregate {
    spec: SessionSpec,
    calls: Calls,
    sessions_max: usize,
    keys: KeyTable,
    states: Vec<Box<dyn Accumulator>>,
    sessions: Vec<Session>,
    /// The first session of each key.
    heads: Vec<SessionId>,
    free: Vec<SessionId>,
    count: usize,
    due: BinaryHeap<Due>,
    next_seq: u64,
    dirty: Vec<SessionId>,
    /// Sessions in a checkpoint that are now part of another one.
    merged: Vec<u64>,
    slots: Box<[Slot]>,
    restoring: state::Restoring,
}

/// Columns of the results of `spec`.
pub fn result_schema(
    spec: &SessionSpec,
    key_names: &[&str],
    aggregate_names: &[&str],
) -> Result<Schema, CompileError> {
    let calls = Calls::bind(&spec.aggregates)?;
    let keys = spec.key_types.iter().zip(key_names);
    let mut fields: Vec<_> = keys.map(|(t, name)| Field::new(*name, t.clone())).collect();
    for (result, name) in calls.results().zip(aggregate_names) {
        fields.push(Field::new(*name, result.clone()));
    }
    fields.push(Field::new("window_start", DataType::Timestamp(3)));
    fields.push(Field::new("window_end", DataType::Timestamp(3)));
    fields.push(Field::new("window_time", spec.time_type.clone()));
    Ok(Schema::new(fields))
}

impl SessionAggregate {
    /// The operator for `spec`.
    pub fn new(spec: &SessionSpec, limits: &Limits) -> Result<Self, CompileError> {
        let calls = Calls::bind(&spec.aggregates)?;
        let width = spec.keys.len() + calls.parts().len().max(calls.len()) + RESULT_COLUMNS_COUNT;
        if calls.len() > AGGREGATES_MAX || width > FIELDS_MAX {
            return Err(CompileError(format!("one step has at most {AGGREGATES_MAX} aggregates")));
        }
        Ok(SessionAggregate {
            spec: spec.clone(),
            states: calls.accumulators(),
            calls,
            sessions_max: limits.panes_max,
            keys: KeyTable::new(spec.key_types.clone(), limits.panes_max),
            sessions: Vec::new(),
            heads: Vec::new(),
            free: Vec::new(),
            count: 0,
            due: BinaryHeap::new(),
            next_seq: 0,
            dirty: Vec::new(),
            merged: Vec::new(),
            slots: vec![Slot::ZERO; width].into(),
            restoring: state::Restoring::new(),
        })
    }

    fn get(&self, id: SessionId) -> &Session {
        &self.sessions[id as usize]
    }

    fn end(&self, id: SessionId) -> Timestamp {
        self.get(id).last.saturating_add(self.spec.gap_ms)
    }

    /// The session that a row belongs to, after putting together what it joins; `None` when it
    /// joins none.
    fn join(&mut self, key: KeyId, time: Timestamp, cx: &mut Context) -> Option<SessionId> {
        let gap = self.spec.gap_ms;
        let mut found = NONE;
        let mut id = self.heads.get(key as usize).copied().unwrap_or(NONE);
        while id != NONE {
            let Session { start, last, next, .. } = *self.get(id);
            if start.saturating_sub(gap) <= time && time <= last.saturating_add(gap) {
                found = match found {
                    NONE => id,
                    other => self.merge(other, id, cx),
                };
            }
            id = next;
        }
        if found == NONE {
            return None;
        }
        let session = &mut self.sessions[found as usize];
        session.start = session.start.min(time);
        session.last = session.last.max(time);
        self.touch(found);
        Some(found)
    }

    /// Makes two sessions one: the later one becomes part of the earlier.
    fn merge(&mut self, a: SessionId, b: SessionId, cx: &mut Context) -> SessionId {
        let (into, from) = if self.get(a).start <= self.get(b).start { (a, b) } else { (b, a) };
        for state in &mut self.states {
            state.merge_pane(into as usize, from as usize, cx);
        }
        let Session { last, seq, is_stored, .. } = *self.get(from);
        let session = &mut self.sessions[into as usize];
        session.last = session.last.max(last);
        if is_stored {
            self.merged.push(seq);
        }
        self.remove(from, cx);
        into
    }

    fn touch(&mut self, id: SessionId) {
        let session = &mut self.sessions[id as usize];
        session.is_dirty = true;
        if !session.is_listed {
            session.is_listed = true;
            self.dirty.push(id);
        }
    }

    /// A new session of a key, of one row at `time`.
    fn open(&mut self, key: KeyId, time: Timestamp) -> SessionId {
        let seq = self.next_seq;
        self.next_seq += 1;
        let id = self.put(Session { start: time, last: time, key, seq, ..UNUSED });
        self.touch(id);
        id
    }

    fn put(&mut self, session: Session) -> SessionId {
        let id = self.free.pop().unwrap_or_else(|| {
            let id = SessionId::try_from(self.sessions.len()).expect("panes_max fits 32 bits");
            self.sessions.push(UNUSED);
            for state in &mut self.states {
                state.reserve(self.sessions.len());
            }
            id
        });
        let key = session.key as usize;
        if self.heads.len() <= key {
            self.heads.resize(key + 1, NONE);
        }
        let next = core::mem::replace(&mut self.heads[key], id);
        let is_listed = self.get(id).is_listed;
        self.sessions[id as usize] = Session { next, is_used: true, is_listed, ..session };
        self.keys.retain(session.key);
        self.count += 1;
        self.schedule(id);
        id
    }

    fn schedule(&mut self, id: SessionId) {
        if self.due.len() > 2 * self.count + 16 {
            // Sessions that became part of others have left their entries behind.
            let sessions = &self.sessions;
            self.due.retain(|Reverse((_, seq, id))| is_it(&sessions[*id as usize], *seq));
        }
        self.due.push(Reverse((self.end(id), self.get(id).seq, id)));
    }

    /// Takes a session out of everything but the entries of its end.
    fn remove(&mut self, id: SessionId, cx: &mut Context) {
        let Session { key, next, is_used, is_listed, .. } = *self.get(id);
        assert!(is_used, "a session is removed once");
        let mut at = self.heads[key as usize];
        if at == id {
            self.heads[key as usize] = next;
        } else {
            while self.get(at).next != id {
                at = self.get(at).next;
            }
            self.sessions[at as usize].next = next;
        }
        for state in &mut self.states {
            state.clear(id as usize, cx);
        }
        self.sessions[id as usize] = Session { is_listed, ..UNUSED };
        self.free.push(id);
        self.count -= 1;
        self.keys.release(key, cx);
    }

    /// The session of a row, new if need be; `None` when the row is set aside.
    fn place(&mut self, row: Row<'_>, out: &mut Emitter<'_>) -> Option<SessionId> {
        let time = row.slots[self.spec.rowtime].as_i64();
        let Ok(key) = self.keys.find(row, &self.spec.keys, out.context) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return None;
        };
        if let Some(key) = key
            && let Some(session) = self.join(key, time, out.context)
        {
            return Some(session);
        }
        let is_late = time.saturating_add(self.spec.gap_ms) - 1 <= out.watermark;
        let is_full = self.count >= self.sessions_max;
        if (is_late || is_full) && key.is_none() {
            self.keys.discard_probe(out.context);
        }
        if is_late {
            out.late(row);
            return None;
        }
        let room = if is_full { None } else { key.or_else(|| self.keys.insert(out.context)) };
        let Some(key) = room else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return None;
        };
        Some(self.open(key, time))
    }

    /// The next session that `watermark` closes; its entry is taken.
    fn next_closed(&mut self, watermark: Timestamp) -> Option<SessionId> {
        while let Some(&Reverse((end, seq, id))) = self.due.peek() {
            if end - 1 > watermark {
                return None;
            }
            self.due.pop();
            if !is_it(self.get(id), seq) {
                continue;
            }
            let now = self.end(id);
            if now == end {
                return Some(id);
            }
            self.due.push(Reverse((now, seq, id)));
        }
        None
    }

    fn emit(&mut self, id: SessionId, out: &mut Emitter<'_>) {
        let mark = out.context.arena.mark();
        let Session { start, key, .. } = *self.get(id);
        let end = self.end(id);
        let keys = self.spec.keys.len();
        self.slots[..keys].copy_from_slice(self.keys.key(key));
        let mut nulls = self.keys.nulls(key);
        for index in 0..self.calls.len() {
            let value = self.calls.finish(&self.states, index, id as usize, out.context);
            self.slots[keys + index] = value.slot;
            nulls |= u64::from(value.is_null()) << (keys + index);
        }
        let at = keys + self.calls.len();
        for (slot, time) in self.slots[at..].iter_mut().zip([start, end, end - 1]) {
            *slot = Slot::timestamp(time, 0);
        }
        let width = at + RESULT_COLUMNS_COUNT;
        out.emit(Row::insert(&self.slots[..width], nulls));
        out.context.arena.release(mark);
    }
}

fn is_it(session: &Session, seq: u64) -> bool {
    session.is_used && session.seq == seq
}

impl Operator for SessionAggregate {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        match row.change {
            Change::Insert => {}
            // A result that sessions have counted was corrected: they do not follow it.
            Change::UpdateBefore => return,
            Change::UpdateAfter | Change::Delete => return out.drop_row(Reason::Correction, row),
        }
        if let Some(session) = self.place(row, out) {
            self.calls.add(&mut self.states, session as usize, row, out.context);
        }
        out.take_fault(row);
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        while let Some(id) = self.next_closed(watermark) {
            if !out.has_room() {
                self.schedule(id);
                return Progress::More;
            }
            self.emit(id, out);
            self.remove(id, out.context);
        }
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        self.due.peek().map_or(WATERMARK_MAX, |Reverse((end, _, _))| end - 1)
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

    fn restored(&mut self, watermark: Timestamp, context: &mut Context) {
        self.prune(watermark, context);
    }

    fn memory_bytes_max(&self) -> usize {
        let places = self.sessions_max;
        let state: usize = self.states.iter().map(|a| a.bytes_per_pane()).sum();
        let shared: usize = self.states.iter().map(|a| a.bytes_shared()).sum();
        size_of::<Self>()
            + shared
            + self.keys.memory_bytes_max()
            + memory::vec_bytes::<Session>(places)
            + memory::vec_bytes::<Due>(2 * places + 16)
            + 3 * memory::vec_bytes::<SessionId>(places)
            + memory::vec_bytes::<u64>(places)
            + places.next_power_of_two() * state * 3 / 2
    }
}

#[cfg(test)]
mod tests;
