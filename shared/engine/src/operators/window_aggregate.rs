//! Aggregation per window and key, whole or as one half of a cut.
//!
//! The unit of state is a pane: one slice of time and one key, with a state of each accumulator. A
//! tumbling window is one slice; a hopping or cumulating window is made of the slices that it
//! covers, so a row updates one pane whatever the number of windows it belongs to.
//!
//! - `Complete` fires finished rows when the watermark passes a window's end.
//! - `Partial` (edge) hands panes over as soon as their first window closes. A row that is late for
//!   that window but counts in a later one starts another pane, marked with the first window it
//!   counts in: the core needs no knowledge of the gateway's watermark.
//! - `Merge` (core) adds partials up, fires, keeps closed slices as cold state and corrects results
//!   when a partial comes after its window fired.
//! - `Coarsen` adds partials of short windows up to partials of longer ones.
//!
//! A row is late when the last window it belongs to has ended: `window_end - 1 <= watermark`. With
//! an allowed lateness it is late that much later, and corrects what has fired until then. Rows
//! of one firing come in order of their pane's first row. It does not know sessions.

use alloc::{boxed::Box, format, vec, vec::Vec};

use crate::{
    aggregate::Calls,
    context::{Context, Fault},
    expr::CompileError,
    fragment::{Phase, WindowAggregateSpec, WindowKind},
    limits::{AGGREGATES_MAX, FIELDS_MAX, Limits, SLICES_PER_WINDOW_MAX},
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX,
    },
    row::{Change, Row},
    slot::Slot,
    types::{DataType, Field, Schema},
    windows::Windows,
};

mod fire;
mod merge;
mod panes;
mod state;

use fire::Firing;
use panes::{PaneId, Panes};

/// Columns that follow keys and aggregates in a result: start, end, time, revision.
pub const RESULT_COLUMNS_COUNT: usize = 4;

/// The operator.
pub struct WindowAggregate {
    spec: WindowAggregateSpec,
    windows: Windows,
    calls: Calls,
    panes: Panes,
    /// End of the last window that has fired.
    fired: Timestamp,
    due: Timestamp,
    firing: Option<Firing>,
    slots: Box<[Slot]>,
    /// By key, while a hopping window is put together: its scratch pane, else the largest number.
    scratch_of_key: Vec<PaneId>,
    restoring: state::Restoring,
}

/// Columns that cross the uplink for `spec`: keys, slice start, end of the first window that the
/// partial counts in, then one column for each shared accumulator.
pub fn partial_schema(
    spec: &WindowAggregateSpec,
    key_names: &[&str],
) -> Result<Schema, CompileError> {
    let calls = Calls::bind(&spec.aggregates)?;
    let keys = spec.key_types.iter().zip(key_names);
    let mut fields: Vec<_> = keys.map(|(t, name)| Field::new(*name, t.clone())).collect();
    for name in ["$slice_start", "$from_end"] {
        fields.push(Field::new(name, DataType::Timestamp(3)));
    }
    let types = calls.partial_types();
    for (index, (part, data_type)) in calls.parts().iter().zip(types).enumerate() {
        fields.push(Field::new(format!("${}{index}", part.kind.as_str()), data_type));
    }
    Ok(Schema::new(fields))
}

/// Columns of the results of `spec`, in the phases `Complete` and `Merge`.
pub fn result_schema(
    spec: &WindowAggregateSpec,
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
    fields.push(Field::new("$revision", DataType::Int));
    Ok(Schema::new(fields))
}

impl WindowAggregate {
    /// The operator for `spec`.
    pub fn new(spec: &WindowAggregateSpec, limits: &Limits) -> Result<Self, CompileError> {
        let windows = Windows::new(&spec.window);
        let slices = windows.slices_count();
        if spec.window.kind == WindowKind::Cumulating && windows.slice_ms() != windows.slide_ms() {
            return Err(CompileError(
                "the size of a cumulating window is a multiple of its step".into(),
            ));
        }
        if usize::try_from(slices).map_or(true, |n| n > SLICES_PER_WINDOW_MAX) {
            return Err(CompileError(format!(
                "a window has at most {SLICES_PER_WINDOW_MAX} slices"
            )));
        }
        let calls = Calls::bind(&spec.aggregates)?;
        let width = spec.keys.len() + calls.parts().len().max(calls.len()) + RESULT_COLUMNS_COUNT;
        if calls.len() > AGGREGATES_MAX || width > FIELDS_MAX {
            return Err(CompileError(format!("one step has at most {AGGREGATES_MAX} aggregates")));
        }
        Ok(WindowAggregate {
            panes: Panes::new(spec.key_types.clone(), &calls, slices, limits.panes_max),
            spec: spec.clone(),
            windows,
            calls,
            fired: Timestamp::MIN,
            due: WATERMARK_MAX,
            firing: None,
            slots: vec![Slot::ZERO; width].into(),
            scratch_of_key: Vec::new(),
            restoring: state::Restoring::new(),
        })
    }

    fn push_row(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        if row.change != Change::Insert {
            // A correction of an earlier window: this one keeps what it was given first.
            return out.drop_row(Reason::Correction, row);
        }
        let windows = &self.windows;
        out.context.event_time = row.slots[self.spec.window.rowtime].as_i64();
        let slice = windows.slice_of(out.context.event_time);
        let last_end = windows.last_end(slice);
        let lateness = self.spec.lateness_ms;
        if (last_end - 1).saturating_add(lateness) <= out.watermark {
            out.late(row);
            return;
        }
        if last_end <= slice {
            // The slide is longer than the windows: the row lies between two of them.
            return;
        }
        let from = match self.spec.phase {
            _ if !self.counts_from() => 0,
            _ => {
                let (first, closed) = (windows.first_end(slice), windows.closed_end(out.watermark));
                if lateness > 0 && first <= closed {
                    let over = windows.closed_end(out.watermark.saturating_sub(lateness));
                    let from = first.max(over.saturating_add(windows.slide_ms()));
                    if from <= closed {
                        return self.push_late(row, slice, from, out);
                    }
                }
                first.max(closed.saturating_add(windows.slide_ms()))
            }
        };
        let Some(pane) = self.pane(row, slice, from, out) else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        self.calls.add(&mut self.panes.accumulators, pane as usize, row, out.context);
        if lateness > 0 {
            self.panes.get_mut(pane).is_empty = false;
        }
    }

    /// The pane of a row, new if need be.
    fn pane(
        &mut self,
        row: Row<'_>,
        slice: Timestamp,
        from: Timestamp,
        out: &mut Emitter<'_>,
    ) -> Option<PaneId> {
        let keys: &[usize] = match self.spec.phase {
            Phase::Merge { .. } | Phase::Coarsen => panes::leading(self.spec.keys.len()),
            _ => &self.spec.keys,
        };
        let (pane, is_new) = self.panes.find_or_insert(row, keys, slice, from, out.context)?;
        if is_new {
            self.fired = self.fired.max(self.windows.closed_end(out.watermark));
            self.due = self.next_due();
        }
        Some(pane)
    }

    /// Whether a pane says from which window on its rows count. Where a window that has fired is
    /// not looked at again no row of a pane can be in it.
    fn counts_from(&self) -> bool {
        self.spec.phase != Phase::Complete || self.spec.lateness_ms > 0
    }

    /// Whether slices stay in memory after their windows have fired, for late rows.
    fn keeps_fired(&self) -> bool {
        self.spec.phase == Phase::Complete && self.spec.lateness_ms > 0
    }

    /// Whether no row can come any more for a slice that is kept for late rows.
    fn is_expired(&self, slice: Timestamp, watermark: Timestamp) -> bool {
        let last = self.windows.last_end(slice) - 1;
        last.saturating_add(self.spec.lateness_ms) <= watermark
    }

    /// The watermark at which the next window or slice is due.
    fn next_due(&self) -> Timestamp {
        let Some(first) = self.panes.first_open() else {
            return WATERMARK_MAX;
        };
        match self.spec.phase {
            Phase::Partial | Phase::Coarsen => self.panes.first_from().saturating_sub(1),
            _ => self.next_end(first).saturating_sub(1),
        }
    }

    /// End of the next window that holds data, given the first slice that has some.
    fn next_end(&self, first: Timestamp) -> Timestamp {
        self.windows.first_end(first).max(self.fired.saturating_add(self.windows.slide_ms()))
    }
}

impl Operator for WindowAggregate {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        assert!(self.firing.is_none(), "no row is pushed while a window fires");
        match self.spec.phase {
            Phase::Merge { correction_ms } => self.push_partial(row, correction_ms, out),
            Phase::Coarsen => self.push_finer(row, out),
            _ => self.push_row(row, out),
        }
        out.take_fault(row);
    }

    fn fanout_max(&self) -> usize {
        let windows = self.windows.windows_per_slice();
        match self.spec.phase {
            Phase::Partial | Phase::Coarsen => 1,
            _ if !self.counts_from() => 1,
            _ => usize::try_from(2 * windows).unwrap_or(usize::MAX),
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        let progress = match self.spec.phase {
            Phase::Partial | Phase::Coarsen => self.flush_partials(watermark, out),
            _ => self.fire(watermark, out),
        };
        if progress == Progress::Done {
            self.fired = self.fired.max(self.windows.closed_end(watermark));
            self.drop_expired(watermark, out.context);
            self.due = self.next_due();
        }
        progress
    }

    fn due(&self) -> Timestamp {
        self.due
    }

    fn wants_checkpoint(&self) -> bool {
        matches!(self.spec.phase, Phase::Merge { .. }) && self.panes.is_full_of_closed()
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
        self.fired = self.windows.closed_end(watermark);
        self.due = self.next_due();
    }

    fn cold_wanted(&self, row: Row<'_>, watermark: Timestamp) -> Option<Timestamp> {
        match self.spec.phase {
            Phase::Merge { correction_ms } => self.first_cold(row, correction_ms, watermark),
            _ => None,
        }
    }

    fn cold_load(
        &mut self,
        time: Timestamp,
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        self.load_cold(time, value, context)
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>() + self.panes.memory_bytes_max()
    }
}

#[cfg(test)]
mod tests;
