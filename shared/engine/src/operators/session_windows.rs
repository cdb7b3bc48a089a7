//! Session windows without aggregation: appends `window_start`, `window_end`, `window_time`.
//!
//! A row waits until its session is over, because only then both ends are known; the rows of a
//! session then come in order of their time. Late and sessions are as in `session_aggregate`. At
//! most [`Limits::rows_max`] rows wait; one more is set aside.

use alloc::{boxed::Box, collections::BinaryHeap, vec, vec::Vec};
use core::cmp::Reverse;

use crate::{
    context::Context,
    fragment::SessionWindowsSpec,
    limits::Limits,
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX,
    },
    row::{Change, Row},
    rows::{RowId, Rows},
    slot::Slot,
    types::{DataType, Schema},
};

/// Columns appended to the input.
pub const COLUMNS_COUNT: usize = 3;

/// A session of which some rows are emitted.
#[derive(Clone, Copy)]
struct Firing {
    next: RowId,
    start: Timestamp,
    last: Timestamp,
}

/// When a row's session ends if no row follows it; its order of arrival and number.
type Due = Reverse<(Timestamp, u64, RowId)>;

/// The operator.
pub struct SessionWindows {
    spec: SessionWindowsSpec,
    rows: Rows,
    rows_max: usize,
    due: BinaryHeap<Due>,
    firing: Option<Firing>,
    slots: Box<[Slot]>,
}

impl SessionWindows {
    /// Puts rows of `input` into sessions.
    pub fn new(spec: &SessionWindowsSpec, input: &Schema, limits: &Limits) -> Self {
        let types: Vec<DataType> = input.fields.iter().map(|f| f.data_type.clone()).collect();
        SessionWindows {
            spec: spec.clone(),
            rows: Rows::new(&types, &spec.key, limits.rows_max),
            rows_max: limits.rows_max,
            due: BinaryHeap::new(),
            firing: None,
            slots: vec![Slot::ZERO; types.len() + COLUMNS_COUNT].into(),
        }
    }

    /// Whether a row waits that is at most one gap away.
    fn joins(&mut self, row: Row<'_>, time: Timestamp, cx: &mut Context) -> bool {
        let Some(key) = self.rows.find(row, &self.spec.key, cx) else {
            return false;
        };
        let mut at = self.rows.last(key);
        while let Some(id) = at {
            let other = self.rows.time(id);
            if other.saturating_add(self.spec.gap_ms) < time {
                return false;
            }
            if other <= time.saturating_add(self.spec.gap_ms) {
                return true;
            }
            at = self.rows.previous(id);
        }
        false
    }

    fn schedule(&mut self, id: RowId) {
        let end = self.rows.time(id).saturating_add(self.spec.gap_ms);
        self.due.push(Reverse((end, self.rows.seq(id), id)));
    }

    /// The next session that `watermark` closes.
    fn next_closed(&mut self, watermark: Timestamp) -> Option<Firing> {
        while let Some(&Reverse((end, _, id))) = self.due.peek() {
            if end - 1 > watermark {
                return None;
            }
            self.due.pop();
            // Where a row follows within the gap, that one's end counts.
            let follows = |next: RowId| self.rows.time(next) <= end;
            if self.rows.next(id).is_some_and(follows) {
                continue;
            }
            let last = self.rows.time(id);
            let mut first = id;
            while let Some(before) = self.rows.previous(first)
                && self.rows.time(first) <= self.rows.time(before).saturating_add(self.spec.gap_ms)
            {
                first = before;
            }
            return Some(Firing { next: first, start: self.rows.time(first), last });
        }
        None
    }

    /// Emits and forgets the rows of a session; gives it back when the output is full.
    fn fire(&mut self, mut firing: Firing, out: &mut Emitter<'_>) -> Option<Firing> {
        let end = firing.last.saturating_add(self.spec.gap_ms);
        loop {
            if !out.has_room() {
                return Some(firing);
            }
            let id = firing.next;
            let row = self.rows.get(id);
            let count = row.slots.len();
            let nulls = row.nulls;
            self.slots[..count].copy_from_slice(row.slots);
            let ends = [firing.start, end, end - 1];
            for (slot, time) in self.slots[count..].iter_mut().zip(ends) {
                *slot = Slot::timestamp(time, 0);
            }
            out.emit(Row::insert(&self.slots, nulls));
            let next = self.rows.next(id);
            self.rows.remove(id, out.context);
            match next {
                Some(next) if self.rows.time(next) <= firing.last => firing.next = next,
                _ => return None,
            }
        }
    }
}

impl Operator for SessionWindows {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        assert!(self.firing.is_none(), "no row is pushed while a session fires");
        match row.change {
            Change::Insert => {}
            // A result that waits here was corrected: sessions do not follow it.
            Change::UpdateBefore => return,
            Change::UpdateAfter | Change::Delete => return out.drop_row(Reason::Correction, row),
        }
        let time = row.slots[self.spec.rowtime].as_i64();
        let ends = time.saturating_add(self.spec.gap_ms);
        if ends - 1 <= out.watermark && !self.joins(row, time, out.context) {
            return out.late(row);
        }
        match self.rows.insert(row, time, 0, out.context) {
            Ok(id) => self.schedule(id),
            Err(fault) => out.drop_row(Reason::Fault(fault), row),
        }
        out.take_fault(row);
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        while let Some(firing) = self.firing.take().or_else(|| self.next_closed(watermark)) {
            self.firing = self.fire(firing, out);
            if self.firing.is_some() {
                return Progress::More;
            }
        }
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        if self.firing.is_some() {
            return Timestamp::MIN;
        }
        self.due.peek().map_or(WATERMARK_MAX, |Reverse((end, _, _))| end - 1)
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
        let unreadable = || RestoreError("a row of a session is unreadable".into());
        let (_, key) = key.split_first().ok_or_else(unreadable)?;
        self.rows.restore(key, value, context)
    }

    fn restored(&mut self, _: Timestamp, _: &mut Context) {
        self.due.clear();
        for id in self.rows.by_arrival() {
            self.schedule(id);
        }
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.slots)
            + self.rows.memory_bytes_max()
            + memory::vec_bytes::<Due>(self.rows_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fragment::*, testkit::*, types::Field};
    use alloc::string::String;
    use proptest::prelude::*;

    fn run(gap_ms: i64) -> Run {
        let spec = SessionWindowsSpec { rowtime: TIME, gap_ms, key: vec![KEY] };
        let mut schema = readings();
        for name in ["window_start", "window_end", "window_time"] {
            schema.fields.push(Field::new(name, DataType::Timestamp(3)));
        }
        Run::new(chain(vec![(OperatorSpec::SessionWindows(spec), schema)]))
    }

    /// Key, time and the three columns of the session.
    fn short(run: &mut Run) -> Vec<String> {
        let short = |event: String| {
            let all: Vec<&str> = event.split(' ').collect();
            match all.as_slice() {
                [sign, key, time, .., start, end, last] => {
                    alloc::format!("{sign} {key} {time} {start} {end} {last}")
                }
                _ => event,
            }
        };
        run.take().into_iter().map(short).collect()
    }

    #[test]
    fn rows_wait_for_the_end_of_their_session() {
        let mut run = run(5);
        run.reading("a", 6, 1.0).reading("b", 3, 1.0).reading("a", 1, 1.0).watermark(7);
        assert_eq!(short(&mut run), ["+I b 3 3 8 7"]);
        run.checkpoint(false).restart().reading("a", 11, 1.0).reading("b", 2, 1.0).end();
        let rows = ["dropped late", "+I a 1 1 16 15", "+I a 6 1 16 15", "+I a 11 1 16 15"];
        assert_eq!(short(&mut run), rows);
        assert!(run.pipeline.context().symbols.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// Restarts at every row change nothing, whatever is late, however full the output.
        #[test]
        fn restarts_change_nothing(
            rows in prop::collection::vec((0..3_u8, 0..40_i64), 0..60),
            gap in 1..12_i64,
            room in 0..3_u32,
        ) {
            let (mut straight, mut killed) = (run(gap), run(gap));
            killed.log.room = room;
            for (index, &(key, time)) in rows.iter().enumerate() {
                let time = time + i64::try_from(index).unwrap();
                for run in [&mut straight, &mut killed] {
                    run.reading(["a", "b", "c"][usize::from(key)], time, 1.0).watermark(time - 15);
                }
                killed.checkpoint(index % 5 == 0).restart();
            }
            prop_assert_eq!(straight.end().take(), killed.end().take());
        }
    }
}
