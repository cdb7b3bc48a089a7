//! One timer a key of a row store: a row of its own in front of the key's rows, so that it is
//! checkpointed, restored and bounded with them.

use crate::{
    context::{Context, Fault},
    due::DueQueue,
    keys::KeyId,
    operator::Timestamp,
    row::Row,
    rows::{RowId, Rows},
};

/// Before every event time.
const TIMER: Timestamp = Timestamp::MIN;

/// The timers of one store, by time. The time of each is its row's tag.
pub(super) struct Timers {
    due: DueQueue,
}

fn at(rows: &Rows, timer: RowId) -> Timestamp {
    rows.tag(timer).cast_signed()
}

/// An order of timers that a restart does not change.
fn rank(rows: &Rows) -> impl Fn(RowId) -> (Timestamp, u64) {
    |timer| (at(rows, timer), rows.seq(timer))
}

impl Timers {
    pub(super) fn new() -> Self {
        Timers { due: DueQueue::new() }
    }

    /// Whether a row of the store is a timer.
    pub(super) fn is_timer(rows: &Rows, id: RowId) -> bool {
        rows.time(id) == TIMER
    }

    /// When a timer fires.
    pub(super) fn time(rows: &Rows, timer: RowId) -> Timestamp {
        at(rows, timer)
    }

    /// The timer of a key.
    pub(super) fn of(rows: &Rows, key: KeyId) -> Option<RowId> {
        rows.first(key).filter(|first| Self::is_timer(rows, *first))
    }

    /// The earliest row of a key that is no timer.
    pub(super) fn first_row(rows: &Rows, key: KeyId) -> Option<RowId> {
        match Self::of(rows, key) {
            Some(timer) => rows.next(timer),
            None => rows.first(key),
        }
    }

    /// Sets the timer of the key of `row`, a row of the store.
    pub(super) fn start(
        &mut self,
        rows: &mut Rows,
        row: Row<'_>,
        time: Timestamp,
        cx: &mut Context,
    ) -> Result<(), Fault> {
        let timer = rows.insert(row, TIMER, time.cast_unsigned(), cx)?;
        self.due.insert_ranked(timer, time, rank(rows));
        Ok(())
    }

    /// Moves a timer.
    pub(super) fn restart(&mut self, rows: &mut Rows, timer: RowId, time: Timestamp) {
        self.due.remove(timer);
        rows.set_tag(timer, time.cast_unsigned());
        self.due.insert_ranked(timer, time, rank(rows));
    }

    /// Removes a timer.
    pub(super) fn stop(&mut self, rows: &mut Rows, timer: RowId, cx: &mut Context) {
        self.due.remove(timer);
        rows.remove(timer, cx);
    }

    /// The next timer that is due at `watermark`.
    pub(super) fn first(&mut self, rows: &Rows, watermark: Timestamp) -> Option<RowId> {
        self.due.first_ranked(watermark, |_| {}, rank(rows))
    }

    /// A time before which no timer is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.next()
    }

    /// Finds the timers of a store that has been restored.
    pub(super) fn restored(&mut self, rows: &Rows) {
        self.due = DueQueue::new();
        for timer in rows.by_arrival().into_iter().filter(|id| Self::is_timer(rows, *id)) {
            self.due.insert_ranked(timer, at(rows, timer), rank(rows));
        }
    }

    /// Bytes for as many timers as the store may have rows.
    pub(super) fn memory_bytes_max(rows_max: usize) -> usize {
        DueQueue::ranked_bytes_max(rows_max)
    }
}
