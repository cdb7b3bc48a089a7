//! One timer a key of a row store: a row of its own in front of the key's rows, so that it is
//! checkpointed, restored and bounded with them.

use alloc::collections::BTreeSet;

use crate::{
    context::{Context, Fault},
    keys::KeyId,
    operator::Timestamp,
    row::Row,
    rows::{RowId, Rows},
};

/// Before every event time.
const TIMER: Timestamp = Timestamp::MIN;

/// The timers of one store, by time. The time of each is its row's tag.
#[derive(Default)]
pub(super) struct Timers {
    /// In an order that a restart does not change.
    due: BTreeSet<Due>,
}

/// Time, arrival number and row of a timer.
type Due = (Timestamp, u64, RowId);

fn at(rows: &Rows, timer: RowId) -> Timestamp {
    rows.tag(timer).cast_signed()
}

fn due(rows: &Rows, timer: RowId) -> Due {
    (at(rows, timer), rows.seq(timer), timer)
}

impl Timers {
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
        self.due.insert(due(rows, timer));
        Ok(())
    }

    /// Moves a timer.
    pub(super) fn restart(&mut self, rows: &mut Rows, timer: RowId, time: Timestamp) {
        self.due.remove(&due(rows, timer));
        rows.set_tag(timer, time.cast_unsigned());
        self.due.insert(due(rows, timer));
    }

    /// Removes a timer.
    pub(super) fn stop(&mut self, rows: &mut Rows, timer: RowId, cx: &mut Context) {
        self.due.remove(&due(rows, timer));
        rows.remove(timer, cx);
    }

    /// The first timer.
    pub(super) fn first(&self) -> Option<(Timestamp, RowId)> {
        self.due.first().map(|(time, _, timer)| (*time, *timer))
    }

    /// Finds the timers of a store that has been restored.
    pub(super) fn restored(&mut self, rows: &Rows) {
        let timers = rows.by_arrival().into_iter().filter(|id| rows.time(*id) == TIMER);
        self.due = timers.map(|timer| due(rows, timer)).collect();
    }

    /// Bytes for as many timers as the store may have rows.
    pub(super) fn memory_bytes_max(rows_max: usize) -> usize {
        // Nodes of the tree are at least half full.
        2 * rows_max * size_of::<Due>()
    }
}
