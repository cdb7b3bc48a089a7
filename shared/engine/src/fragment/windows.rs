//! Parameters of windows and of what is aggregated over them or without any.

use alloc::vec::Vec;

use super::AggregateSpec;
use crate::types::DataType;

/// Windows that are aligned to the epoch, `[start, end)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    /// Event-time column of the input.
    pub rowtime: usize,
    /// Length of a window in ms, of a cumulating one the greatest.
    pub size_ms: i64,
    /// Distance of window ends in ms: the slide, or the step of cumulating windows.
    pub slide_ms: i64,
    /// Shift of all windows from the epoch in ms.
    pub offset_ms: i64,
    /// How windows follow each other.
    pub kind: WindowKind,
}

impl WindowSpec {
    /// Windows of `size_ms` side by side.
    pub fn tumbling(rowtime: usize, size_ms: i64) -> Self {
        WindowSpec { rowtime, size_ms, slide_ms: size_ms, offset_ms: 0, kind: WindowKind::Hopping }
    }
}

/// How aligned windows follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// One window of full size begins at each slide; tumbling where `slide_ms == size_ms`.
    Hopping,
    /// From each multiple of the size windows of one step, two steps, … up to the size, which is a
    /// multiple of the step.
    Cumulating,
}

/// Which half of an aggregation a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Rows in, results out: all in one place.
    Complete,
    /// Rows in, mergeable partials out (the edge).
    Partial,
    /// Partials in, results out, corrected when partials come late (the core).
    Merge {
        /// How long after its end a window can be corrected, in ms.
        correction_ms: i64,
    },
    /// Partials in, partials of longer windows out (an outbox that is full).
    Coarsen,
}

/// Parameters of a window aggregation. In phase `Merge` the input is what phase `Partial` of the
/// same aggregation emits ([`crate::operators::window_aggregate::partial_schema`]); `keys`,
/// `rowtime` and the aggregates' columns still refer to the input of the partial phase.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowAggregateSpec {
    /// The windows.
    pub window: WindowSpec,
    /// Group-key columns of the input.
    pub keys: Vec<usize>,
    /// Their types.
    pub key_types: Vec<DataType>,
    /// The aggregates.
    pub aggregates: Vec<AggregateSpec>,
    /// Which half.
    pub phase: Phase,
    /// How long after its end a window takes late rows, in ms: each corrects its result. In phase
    /// `Partial` such a row is handed over at once.
    pub lateness_ms: i64,
    /// Type of `window_time`: that of the event-time column.
    pub time_type: DataType,
}

/// Parameters of an aggregation by key without a window. Output: the keys, then the aggregates.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupAggregateSpec {
    /// Group-key columns of the input.
    pub keys: Vec<usize>,
    /// Their types.
    pub key_types: Vec<DataType>,
    /// The aggregates; none for SELECT DISTINCT.
    pub aggregates: Vec<AggregateSpec>,
    /// Whether rows of the input are taken away as well as added.
    pub takes_changes: bool,
    /// `table.exec.state.ttl` in event time: a group not used for so long is forgotten.
    pub ttl_ms: Option<i64>,
}

// Output of `Complete` and `Merge`: the keys, the aggregates, `window_start`, `window_end`
// (TIMESTAMP(3)), `window_time` (`time_type`), `$revision` (INT; 0 for the first result).

/// Parameters of a session aggregation. Its output: the keys, the aggregates, `window_start`,
/// `window_end` (TIMESTAMP(3)), `window_time` (`time_type`).
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSpec {
    /// Event-time column of the input.
    pub rowtime: usize,
    /// Rows that are further apart, in ms, are of two sessions.
    pub gap_ms: i64,
    /// Key columns of the input.
    pub keys: Vec<usize>,
    /// Their types.
    pub key_types: Vec<DataType>,
    /// The aggregates.
    pub aggregates: Vec<AggregateSpec>,
    /// Type of `window_time`: that of the event-time column.
    pub time_type: DataType,
}

/// Parameters of sessions without aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionWindowsSpec {
    /// Event-time column of the input.
    pub rowtime: usize,
    /// Rows that are further apart, in ms, are of two sessions.
    pub gap_ms: i64,
    /// Key columns: each key has sessions of its own.
    pub key: Vec<usize>,
}
