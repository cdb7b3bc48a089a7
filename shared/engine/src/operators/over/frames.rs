//! One frame of an OVER step with the calls over it: which rows it holds for each key, and what
//! they add up to.
//!
//! A frame slides from row to row of its key: rows enter at its end and leave at its beginning,
//! each once. Sums, counts and moments add and take away; MIN, MAX, FIRST_VALUE and LAST_VALUE keep
//! the rows that matter; whatever else cannot take away is computed anew from the frame's rows.
//! Without a beginning (`UNBOUNDED PRECEDING`) nothing leaves and no row is kept.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    aggregate::{self, Accumulator, Arguments, Calls, Sums},
    context::Context,
    expr::CompileError,
    fragment::{AggregateSpec, Frame, FrameUnit},
    keys::KeyId,
    memory,
    operator::Timestamp,
    rows::{RowId, Rows, Stand},
    slot::Datum,
};

use super::{NO_ROW, deque::Deque};

/// The rows of a frame for one key.
#[derive(Clone, Copy)]
struct Span {
    first: RowId,
    last: RowId,
    count: u32,
    /// Time and arrival number of `last`, which outlive it.
    upto: (Timestamp, u64),
}

const EMPTY: Span = Span { first: NO_ROW, last: NO_ROW, count: 0, upto: (Timestamp::MIN, 0) };

impl Span {
    /// Rows of the frame after `place`; −1 when the row of that place is not in it yet.
    fn ahead(&self, place: (Timestamp, u64), rows: &Rows) -> i64 {
        if self.upto < place {
            return -1;
        }
        let mut ahead = 0;
        let mut at = self.last;
        while (rows.time(at), rows.seq(at)) > place {
            ahead += 1;
            at = rows.previous(at).expect("the present row stands before");
        }
        ahead
    }

    /// The row of a key that enters the frame next when `row` is the present one.
    #[inline]
    fn next_to_add(&self, row: RowId, present: Stand, rows: &Rows) -> Option<RowId> {
        match self.upto < (present.time, present.seq) {
            true => Some(row),
            false => rows.next(self.last),
        }
    }
}

/// Where the value of a call is found.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Sum(usize),
    Sliding(usize),
    Deque(usize),
    Whole(usize),
}

/// The frame and its calls.
pub(super) struct FrameState {
    pub(super) frame: Frame,
    /// Sums and counts that follow the frame by adding and taking away.
    sums: Sums,
    /// Other calls that do; of a frame without a beginning all.
    sliding: Calls,
    states: Vec<Box<dyn Accumulator>>,
    deques: Vec<Deque>,
    /// Calls that are computed anew for each row, in the only pane of their states.
    whole: Calls,
    whole_states: Vec<Box<dyn Accumulator>>,
    spans: Vec<Span>,
}

impl FrameState {
    /// The frame with its aggregate calls, and where each of them is.
    pub(super) fn new(
        frame: &Frame,
        specs: &[AggregateSpec],
    ) -> Result<(Self, Vec<Place>), CompileError> {
        let (mut sliding, mut whole, mut deques) = (Vec::new(), Vec::new(), Vec::new());
        let mut sums = Sums::default();
        let mut places = Vec::new();
        for spec in specs {
            let arg = spec.arg.as_ref().map(|(_, data_type)| data_type);
            let arguments = Arguments { arg, params: &spec.params, is_distinct: spec.distinct };
            let bound = aggregate::bind(&spec.function, &arguments).map_err(CompileError)?;
            let can_remove = bound.kinds.iter().all(|kind| kind.can_remove());
            if frame.preceding.is_some()
                && let Some(index) = sums.accept(spec)
            {
                places.push(Place::Sum(index));
            } else if frame.preceding.is_none() || can_remove {
                places.push(Place::Sliding(sliding.len()));
                sliding.push(spec.clone());
            } else if let Some(deque) = Deque::new(spec, &bound.kinds) {
                places.push(Place::Deque(deques.len()));
                deques.push(deque);
            } else {
                places.push(Place::Whole(whole.len()));
                whole.push(spec.clone());
            }
        }
        let sliding = match frame.preceding {
            None => Calls::bind(&sliding)?,
            Some(_) => Calls::bind_changing(&sliding)?,
        };
        let whole = Calls::bind(&whole)?;
        let mut whole_states = whole.accumulators();
        whole_states.iter_mut().for_each(|state| state.reserve(1));
        let state = FrameState {
            frame: frame.clone(),
            states: sliding.accumulators(),
            sums,
            sliding,
            deques,
            whole,
            whole_states,
            spans: Vec::new(),
        };
        Ok((state, places))
    }

    /// Makes room for keys below `count`.
    pub(super) fn reserve(&mut self, count: usize) {
        if self.spans.len() < count {
            self.spans.resize(count, EMPTY);
            self.sums.reserve(count);
            self.states.iter_mut().for_each(|state| state.reserve(count));
        }
    }

    /// Moves the frame of a key on to its next row.
    #[inline]
    pub(super) fn slide(&mut self, key: KeyId, row: RowId, rows: &Rows, context: &mut Context) {
        match self.frame.unit {
            FrameUnit::Range => self.slide_range(key, row, rows, context),
            FrameUnit::Rows => self.slide_rows(key, row, rows, context),
        }
        if !self.whole.is_empty() {
            self.whole_states.iter_mut().for_each(|state| state.clear(0, context));
            for id in self.held(key, rows) {
                self.whole.add(&mut self.whole_states, 0, rows.get(id), context);
            }
        }
    }

    fn held<'a>(&self, key: KeyId, rows: &'a Rows) -> impl Iterator<Item = RowId> + use<'a> {
        let Span { first, count, .. } = self.spans[key as usize];
        let first = (first != NO_ROW).then_some(first);
        core::iter::successors(first, |&id| rows.next(id)).take(count as usize)
    }

    fn slide_range(&mut self, key: KeyId, row: RowId, rows: &Rows, context: &mut Context) {
        let present = rows.stand(row);
        let mut span = self.spans[key as usize];
        let end = present.time.saturating_add(self.frame.following);
        let mut next = span.next_to_add(row, present, rows);
        while let Some(id) = next {
            let stand = rows.stand(id);
            if stand.time > end {
                break;
            }
            self.add(&mut span, key, id, stand, rows, context);
            next = stand.next;
        }
        if let Some(preceding) = self.frame.preceding {
            let start = present.time.saturating_sub(preceding);
            loop {
                let stand = rows.stand(span.first);
                if stand.time >= start {
                    break;
                }
                self.remove_first(&mut span, key, stand, rows, context);
            }
        }
        self.spans[key as usize] = span;
    }

    fn slide_rows(&mut self, key: KeyId, row: RowId, rows: &Rows, context: &mut Context) {
        // Rows after the present one: one less than before, and those that come into reach.
        let present = rows.stand(row);
        let following = u32::try_from(self.frame.following).unwrap_or(u32::MAX);
        let mut span = self.spans[key as usize];
        let mut ahead = span.ahead((present.time, present.seq), rows);
        let mut next = span.next_to_add(row, present, rows);
        while let Some(id) = next.filter(|_| ahead < i64::from(following)) {
            let stand = rows.stand(id);
            self.add(&mut span, key, id, stand, rows, context);
            ahead += 1;
            next = stand.next;
        }
        self.spans[key as usize] = span;
    }

    /// Takes a row in at the end.
    #[inline]
    fn add(
        &mut self,
        span: &mut Span,
        key: KeyId,
        id: RowId,
        stand: Stand,
        rows: &Rows,
        cx: &mut Context,
    ) {
        if span.count == 0 {
            span.first = id;
        }
        (span.last, span.upto) = (id, (stand.time, stand.seq));
        span.count = span.count.saturating_add(1);
        let row = rows.get(id);
        self.sums.add(key as usize, row);
        if !self.states.is_empty() {
            self.sliding.add(&mut self.states, key as usize, row, cx);
        }
        if self.frame.preceding.is_some() {
            self.deques.iter_mut().for_each(|deque| deque.add(id, rows, cx));
        }
    }

    /// Lets the first row, which stands there, go.
    #[inline]
    fn remove_first(
        &mut self,
        span: &mut Span,
        key: KeyId,
        stand: Stand,
        rows: &Rows,
        cx: &mut Context,
    ) {
        let id = span.first;
        span.first = stand.next.unwrap_or(NO_ROW);
        span.count -= 1;
        let row = rows.get(id);
        self.sums.remove(key as usize, row);
        if !self.states.is_empty() {
            self.sliding.remove(&mut self.states, key as usize, row, cx);
        }
        self.deques.iter_mut().for_each(|deque| deque.remove(id, rows));
    }

    /// The present row is emitted: what no later row of the key can see leaves the frame.
    #[inline]
    pub(super) fn pass(&mut self, row: RowId, rows: &Rows, context: &mut Context) {
        if let (FrameUnit::Rows, Some(preceding)) = (self.frame.unit, self.frame.preceding) {
            let key = rows.key(row);
            let Stand { time, seq, .. } = rows.stand(row);
            let mut span = self.spans[key as usize];
            let ahead = span.ahead((time, seq), rows);
            while i64::from(span.count) - 1 - ahead >= preceding.max(0) {
                let stand = rows.stand(span.first);
                self.remove_first(&mut span, key, stand, rows, context);
            }
            self.spans[key as usize] = span;
        }
    }

    /// Whether a row is still needed here.
    pub(super) fn holds(&self, key: KeyId, row: RowId) -> bool {
        let span = &self.spans[key as usize];
        self.frame.preceding.is_some() && span.count > 0 && span.first == row
    }

    /// LAG: the row as many rows back as the frame reaches, else the row whose default stands in.
    /// As in Flink rows of equal time are one step, looked back from the last of them.
    pub(super) fn lag(&self, row: RowId, rows: &Rows) -> Result<RowId, RowId> {
        let span = self.spans[rows.key(row) as usize];
        let (mut last, mut steps) = (row, i64::from(span.count) - 1);
        while let Some(next) = rows.next(last).filter(|&id| rows.time(id) == rows.time(row)) {
            last = next;
            steps += 1;
        }
        steps -= self.frame.preceding.unwrap_or(0);
        if steps < 0 {
            return Err(last);
        }
        let mut at = span.first;
        for _ in 0..steps {
            at = rows.next(at).expect("the frame begins before the last row of this time");
        }
        Ok(at)
    }

    /// LEAD: the last row of the frame, when it is as many rows ahead as the frame reaches.
    pub(super) fn lead(&self, row: RowId, rows: &Rows) -> Result<RowId, RowId> {
        let key = rows.key(row);
        let Stand { time, seq, .. } = rows.stand(row);
        let ahead = self.spans[key as usize].ahead((time, seq), rows);
        match ahead == self.frame.following {
            true => Ok(self.spans[key as usize].last),
            false => Err(row),
        }
    }

    /// The value of a call over the frame of a key, once it has slid to the present row.
    pub(super) fn value(&self, place: Place, key: KeyId, rows: &Rows, cx: &mut Context) -> Datum {
        match place {
            Place::Sum(index) => self.sums.value(key as usize, index),
            Place::Sliding(index) => self.sliding.finish(&self.states, index, key as usize, cx),
            Place::Deque(index) => self.deques[index].value(key, rows),
            Place::Whole(index) => self.whole.finish(&self.whole_states, index, 0, cx),
        }
    }

    /// Forgets a key.
    pub(super) fn clear(&mut self, key: KeyId, context: &mut Context) {
        self.spans[key as usize] = EMPTY;
        self.sums.clear(key as usize);
        self.states.iter_mut().for_each(|state| state.clear(key as usize, context));
        self.deques.iter_mut().for_each(|deque| deque.clear(key));
    }

    /// Puts a key's frame back as it was after its last emitted row, which stood at `place`:
    /// `present`, when it is still kept, is that row, and `first` the earliest one.
    pub(super) fn rebuild(
        &mut self,
        key: KeyId,
        place: (Timestamp, u64),
        kept: Option<(RowId, RowId)>,
        rows: &Rows,
        cx: &mut Context,
    ) {
        let Some(preceding) = self.frame.preceding else {
            self.spans[key as usize].upto = place;
            return;
        };
        // Without the present row the frame held later rows at most: they enter again.
        let Some((first, present)) = kept else { return };
        let start = match self.frame.unit {
            FrameUnit::Range => {
                let start = rows.time(present).saturating_sub(preceding);
                core::iter::successors(Some(first), |&id| rows.next(id))
                    .find(|&id| rows.time(id) >= start)
                    .expect("the present row is in its frame")
            }
            FrameUnit::Rows => {
                let steps = usize::try_from(preceding).unwrap_or(usize::MAX);
                core::iter::successors(Some(present), |&id| rows.previous(id))
                    .take(steps.saturating_add(1))
                    .last()
                    .expect("at least the present row")
            }
        };
        let mut span = self.spans[key as usize];
        let mut next = Some(start);
        while let Some(id) = next {
            let stand = rows.stand(id);
            self.add(&mut span, key, id, stand, rows, cx);
            next = stand.next.filter(|_| id != present);
        }
        self.spans[key as usize] = span;
        self.slide(key, present, rows, cx);
        self.pass(present, rows, cx);
    }

    /// The states of a key over a frame without a beginning, which no rows are kept for.
    pub(super) fn unbounded(&mut self) -> &mut [Box<dyn Accumulator>] {
        match self.frame.preceding {
            None => &mut self.states,
            Some(_) => &mut [],
        }
    }

    /// Types of their partials.
    pub(super) fn partial_types(&self) -> Vec<crate::types::DataType> {
        match self.frame.preceding {
            None => self.sliding.partial_types(),
            Some(_) => Vec::new(),
        }
    }

    /// Bytes for this many rows and keys.
    pub(super) fn memory_bytes_max(&self, rows_max: usize, keys_max: usize) -> usize {
        let states = self.states.iter().map(|state| state.bytes_per_pane());
        let state = states.sum::<usize>() + self.sums.bytes_per_pane();
        let deques = self.deques.iter().map(|d| d.memory_bytes_max(rows_max, keys_max));
        memory::vec_bytes::<u8>(state * keys_max)
            + memory::vec_bytes::<Span>(keys_max)
            + deques.sum::<usize>()
    }
}
