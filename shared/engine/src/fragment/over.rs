//! Parameters of OVER: calls over frames.

use alloc::vec::Vec;

use super::AggregateSpec;

/// Parameters of an OVER step: each call appends a column.
#[derive(Clone, Debug, PartialEq)]
pub struct OverSpec {
    /// Columns of PARTITION BY.
    pub partition: Vec<usize>,
    /// Event-time column: the order within a key.
    pub rowtime: usize,
    /// The calls, each over a frame of its own.
    pub calls: Vec<OverCall>,
    /// `table.exec.state.ttl` in event time: keys this far behind the watermark are forgotten.
    pub ttl_ms: Option<i64>,
}

/// One call over a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct OverCall {
    /// What is computed.
    pub function: OverFunction,
    /// Of which rows.
    pub frame: Frame,
}

/// What is computed over a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum OverFunction {
    /// An aggregate; ROW_NUMBER is COUNT(*) over all rows so far.
    Aggregate(AggregateSpec),
    /// LAG: the value of the frame's first row, when it is as many rows back as the frame reaches.
    Lag {
        /// The column of that row.
        column: usize,
        /// The column of the present row that stands in where there is no such row.
        default: Option<usize>,
    },
    /// LEAD: the value of the frame's last row, when it is as many rows ahead as the frame reaches.
    Lead {
        /// The column of that row.
        column: usize,
        /// The column of the present row that stands in where there is no such row.
        default: Option<usize>,
    },
}

/// The rows that a call sees: from some before the present one to some after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How rows before and after are measured.
    pub unit: FrameUnit,
    /// Milliseconds or rows before the present row; `None` is UNBOUNDED PRECEDING.
    pub preceding: Option<i64>,
    /// Milliseconds or rows after it; 0 is CURRENT ROW. Not with UNBOUNDED PRECEDING.
    pub following: i64,
}

/// The measure of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUnit {
    /// Rows one by one, equal times in the order of their arrival.
    Rows,
    /// Event time in ms; rows of equal time see each other.
    Range,
}
