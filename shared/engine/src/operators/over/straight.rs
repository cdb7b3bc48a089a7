//! Sums and counts over one RANGE frame that ends at the present row: what [`Over`](super::Over)
//! does for any frames, with fewer instructions and less memory a row. A row is ready at its own
//! time, no text is made and nothing fails. Of a row that was emitted only its time and its
//! arguments are [kept](kept) until it leaves the frame; the others [wait](waiting).

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use super::timers::kept_ms;
use crate::{
    aggregate::Sums,
    context::{Context, Fault},
    due::DueQueue,
    fragment::{Frame, FrameUnit, OverFunction, OverSpec},
    keys::{KeyId, KeyTable},
    limits::{FIELDS_MAX, Limits},
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX, WATERMARK_MIN,
    },
    row::Row,
    types::{DataType, Schema},
};

mod frames;
mod kept;
mod state;
mod waiting;

use frames::Frames;
use kept::Kept;
use waiting::Waiting;

/// Number of a row among those that wait, or among those that are kept.
type Place = u32;
/// No row.
const NONE: Place = Place::MAX;

/// The rows of one key.
#[derive(Clone, Copy)]
struct List {
    first: Place,
    last: Place,
}

const EMPTY: List = List { first: NONE, last: NONE };

/// What is known of a key besides its rows and sums.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Key {
    /// Names its entry in checkpoints.
    serial: u64,
    /// Time and arrival number of the last emitted row.
    last: (Timestamp, u64),
    /// The watermark at which the key is forgotten.
    forget: Timestamp,
    /// Arrival number of the row for which it is in `due`: keys of one time come in this order.
    rank: u64,
    waiting: List,
    kept: List,
    is_used: bool,
    /// An earlier checkpoint holds it.
    is_stored: bool,
    /// The last checkpoint does not hold it as it is.
    is_dirty: bool,
    /// Its number is in `dirty`, for this key or for one before with the same number.
    is_listed: bool,
}

const _: () = assert!(size_of::<Key>() == 64);

const UNUSED: Key = Key {
    serial: 0,
    last: (WATERMARK_MIN, 0),
    forget: WATERMARK_MAX,
    rank: 0,
    waiting: EMPTY,
    kept: EMPTY,
    is_used: false,
    is_stored: false,
    is_dirty: false,
    is_listed: false,
};

/// The operator.
pub(super) struct Straight {
    partition: Box<[usize]>,
    rowtime: usize,
    /// How long a key is kept behind the watermark.
    kept_ms: i64,
    rows_max: usize,
    keys: KeyTable,
    states: Vec<Key>,
    frames: Frames,
    next_seq: u64,
    /// `next_seq` as the last checkpoint holds it.
    stored_seq: u64,
    next_serial: u64,
    /// Keys by the time of their first waiting row.
    due: DueQueue,
    /// What came of reading rows that are due soon; only that they are read matters.
    fetched: u64,
    /// Keys by a time at which they may have to be forgotten.
    forgets: DueQueue,
    dirty: Vec<KeyId>,
    /// Serial numbers of stored keys that are gone.
    deleted: Vec<u64>,
    restoring: BTreeMap<u64, KeyId>,
    restoring_rows: BTreeMap<u64, (KeyId, Place)>,
    /// Restored, and all rows are still among those that wait.
    is_stale: bool,
    /// The watermark at which it was.
    restored_watermark: Timestamp,
}

impl Straight {
    /// The operator, where the step is such a one.
    pub(super) fn new(spec: &OverSpec, input: &Schema, limits: &Limits) -> Option<Self> {
        let (sums, calls) = sums(spec)?;
        if sums.width() > kept::COLUMNS_MAX || input.len() + calls.len() > FIELDS_MAX {
            return None;
        }
        let types: Vec<_> = input.fields.iter().map(|field| field.data_type.clone()).collect();
        let key_types = spec.partition.iter().map(|&column| types[column].clone()).collect();
        let waiting = Waiting::new(&types, &spec.partition, calls.len());
        let frames = Frames {
            preceding: spec.calls.first()?.frame.preceding?,
            width: types.len(),
            kept: Kept::new(sums.width(), waiting.texts()),
            waiting,
            calls,
            sums,
            deleted_rows: Vec::new(),
        };
        Some(Straight {
            partition: spec.partition.clone().into(),
            rowtime: spec.rowtime,
            kept_ms: kept_ms(spec)?,
            rows_max: limits.rows_max,
            keys: KeyTable::new(key_types, limits.rows_max + 1),
            states: Vec::new(),
            frames,
            next_seq: 0,
            stored_seq: 0,
            next_serial: 0,
            due: DueQueue::new(),
            fetched: 0,
            forgets: DueQueue::new(),
            dirty: Vec::new(),
            deleted: Vec::new(),
            restoring: BTreeMap::new(),
            restoring_rows: BTreeMap::new(),
            is_stale: false,
            restored_watermark: WATERMARK_MIN,
        })
    }

    /// The key of a row, new if need be, and whether it is new.
    #[inline]
    fn key_of(&mut self, row: Row<'_>, cx: &mut Context) -> Result<(KeyId, bool), Fault> {
        if let Some(key) = self.keys.find_here(row, &self.partition, cx)? {
            return Ok((key, false));
        }
        let key = self.keys.insert(cx).ok_or(Fault::StateFull)?;
        self.start_key(key);
        Ok((key, true))
    }

    #[inline(never)]
    fn start_key(&mut self, key: KeyId) {
        self.keys.retain(key);
        self.reserve(key);
        let serial = self.next_serial;
        self.next_serial += 1;
        let state = &mut self.states[key as usize];
        *state = Key { serial, is_used: true, is_listed: state.is_listed, ..UNUSED };
        touch(key, state, &mut self.dirty);
    }

    fn reserve(&mut self, key: KeyId) {
        if self.states.len() <= key as usize {
            self.states.resize(key as usize + 1, UNUSED);
            self.frames.sums.reserve(key as usize + 1);
        }
    }

    /// Keeps a row that waits for its time, and says whether it is the first one of its key;
    /// `None` at the limit of rows or texts.
    #[inline]
    fn insert(
        &mut self,
        key: KeyId,
        row: Row<'_>,
        time: Timestamp,
        cx: &mut Context,
    ) -> Option<bool> {
        if self.frames.len() >= self.rows_max {
            return None;
        }
        let list = &mut self.states[key as usize].waiting;
        let of = (time, self.next_seq, false);
        let place = self.frames.waiting.insert(list, row, self.keys.key(key), of, cx)?;
        self.next_seq += 1;
        Some(list.first == place)
    }

    /// Lets the key of a new first row be due at its time, if it is not before. `watermark` is
    /// the present one: rows behind it stand in their order of arrival.
    #[inline]
    fn watch(&mut self, key: KeyId, time: Timestamp, seq: u64, watermark: Timestamp) {
        let due = time.max(watermark);
        let is_armed = self.due.holds(key);
        if !is_armed || due < self.due.time(key) {
            self.arm(key, due, seq, is_armed);
        }
    }

    #[inline(never)]
    fn arm(&mut self, key: KeyId, due: Timestamp, seq: u64, is_armed: bool) {
        if is_armed {
            self.due.remove(key);
        }
        self.states[key as usize].rank = seq;
        let states = &self.states;
        self.due.insert_ranked(key, due, |key| states[key as usize].rank);
    }

    /// Puts off when a key is forgotten: not with every row, and a half more than needed.
    #[inline]
    fn keep(&mut self, key: KeyId, time: Timestamp, is_new: bool) {
        let forget = self.states[key as usize].forget;
        if is_new || forget <= time.saturating_add(self.kept_ms) {
            self.keep_longer(key, time, is_new);
        }
    }

    #[inline(never)]
    fn keep_longer(&mut self, key: KeyId, time: Timestamp, is_new: bool) {
        let state = &mut self.states[key as usize];
        let kept_ms = self.kept_ms.saturating_add(self.kept_ms / 2);
        state.forget = time.saturating_add(kept_ms).saturating_add(1);
        if is_new {
            self.forgets.insert(key, state.forget);
        }
        touch(key, state, &mut self.dirty);
    }

    /// The next key with a row whose time has come.
    #[inline]
    fn next_key(&mut self, watermark: Timestamp) -> Option<KeyId> {
        let (kept, states, fetched) = (&self.frames.kept, &self.states, &mut self.fetched);
        let near = |key: KeyId| *fetched ^= kept.fetch(states[key as usize].kept.first);
        self.due.first_ranked(watermark, near, |key| states[key as usize].rank)
    }

    /// Emits the rows of a key that are ready at `until`, and lets it wait for the next one; false
    /// when the output is full.
    #[inline]
    fn emit_ready(&mut self, key: KeyId, until: Timestamp, out: &mut Emitter<'_>) -> bool {
        let state = &mut self.states[key as usize];
        loop {
            let place = state.waiting.first;
            if place == NONE {
                self.due.remove_first(key);
                return true;
            }
            let head = self.frames.waiting.head(place);
            if head.time > until {
                state.rank = head.seq;
                let states = &self.states;
                self.due.put_off(key, head.time, |key| states[key as usize].rank);
                return true;
            }
            if !out.has_room() {
                return false;
            }
            if !state.is_dirty {
                touch(key, state, &mut self.dirty);
            }
            self.frames.emit(state, key, head, out);
        }
    }

    /// Forgets a key with all its rows.
    #[inline(never)]
    fn forget(&mut self, key: KeyId, cx: &mut Context) {
        let mut state = self.states[key as usize];
        while state.waiting.first != NONE {
            let place = state.waiting.first;
            let head = self.frames.waiting.head(place);
            self.frames.deleted_rows.extend(head.is_stored.then_some(head.seq));
            self.frames.waiting.remove(&mut state.waiting, place, cx);
        }
        while state.kept.first != NONE {
            let kept = self.frames.kept.get(state.kept.first);
            self.frames.deleted_rows.extend(kept.is_stored().then_some(kept.seq()));
            self.frames.kept.remove_first(&mut state.kept, cx);
        }
        self.deleted.extend(state.is_stored.then_some(state.serial));
        self.frames.sums.clear(key as usize);
        for queue in [&mut self.due, &mut self.forgets] {
            if queue.holds(key) {
                queue.remove(key);
            }
        }
        self.states[key as usize] = Key { is_listed: state.is_listed, ..UNUSED };
        self.keys.release(key, cx);
    }

    /// Forgets the keys of which no row is of use any more.
    fn forget_due(&mut self, watermark: Timestamp, cx: &mut Context) {
        while let Some(key) = self.forgets.first(watermark, |_| {}) {
            let forget = self.states[key as usize].forget;
            if forget <= watermark {
                self.forget(key, cx);
            } else {
                self.forgets.put_off(key, forget, |_| ());
            }
        }
    }
}

impl Operator for Straight {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        self.rebuild_if_stale(out.context);
        let time = row.slots[self.rowtime].as_i64();
        let (key, is_new) = match self.key_of(row, out.context) {
            Ok(found) => found,
            Err(fault) => return out.drop_row(Reason::Fault(fault), row),
        };
        if time <= self.states[key as usize].last.0 && !is_new {
            return out.late(row);
        }
        let seq = self.next_seq;
        if let Some(is_first) = self.insert(key, row, time, out.context) {
            if is_first {
                self.watch(key, time, seq, out.watermark);
            }
            return self.keep(key, time, is_new);
        }
        out.drop_row(Reason::Fault(Fault::StateFull), row);
        if is_new {
            self.forget(key, out.context);
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        self.rebuild_if_stale(out.context);
        while let Some(key) = self.next_key(watermark) {
            if !self.emit_ready(key, self.due.time(key), out) {
                return Progress::More;
            }
        }
        self.forget_due(watermark, out.context);
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
        let (rows, keys) = (self.rows_max, self.rows_max + 1);
        size_of::<Self>()
            + self.keys.memory_bytes_max()
            // Twice: after a restart those that wait move to a place of their own.
            + 2 * self.frames.waiting.memory_bytes_max(rows)
            + self.frames.kept.memory_bytes_max(rows)
            + memory::vec_bytes::<u8>(self.frames.sums.bytes_per_pane() * keys)
            + memory::vec_bytes::<Key>(keys)
            + DueQueue::ranked_bytes_max(keys)
            + DueQueue::memory_bytes_max(keys)
            + memory::vec_bytes::<KeyId>(keys)
            + memory::vec_bytes::<u64>(rows + keys)
    }
}

/// The next checkpoint has to write the key.
fn touch(key: KeyId, state: &mut Key, dirty: &mut Vec<KeyId>) {
    state.is_dirty = true;
    if !state.is_listed {
        state.is_listed = true;
        dirty.push(key);
    }
}

/// The sums of a step that has nothing else, over one frame of this kind, and the number of each.
fn sums(spec: &OverSpec) -> Option<(Sums, Box<[usize]>)> {
    let frame = &spec.calls.first()?.frame;
    let Frame { unit: FrameUnit::Range, preceding: Some(_), following: 0 } = frame else {
        return None;
    };
    let mut sums = Sums::default();
    let calls = spec.calls.iter().map(|call| match &call.function {
        // Of a text only the state of the whole row would do.
        OverFunction::Aggregate(aggregate) if call.frame == *frame => {
            let is_text = |(_, arg): &(usize, DataType)| arg.is_referring();
            let is_word = !aggregate.arg.as_ref().is_some_and(is_text);
            sums.accept(aggregate).filter(|_| is_word)
        }
        _ => None,
    });
    let calls = calls.collect::<Option<_>>()?;
    Some((sums, calls))
}
