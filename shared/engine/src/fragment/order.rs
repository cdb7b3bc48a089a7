//! Parameters of rankings and sorting.

use alloc::vec::Vec;

/// One term of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The column.
    pub column: usize,
    /// DESC.
    pub descending: bool,
    /// NULLs stand before all values.
    pub nulls_first: bool,
}

/// Parameters of a ranking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankSpec {
    /// Columns of PARTITION BY; in windows the start and end of the window too.
    pub partition: Vec<usize>,
    /// The order; equal rows stand in order of arrival.
    pub order: Vec<SortKey>,
    /// The first rank that is kept, from 1.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The rank is appended as a column.
    pub with_number: bool,
    /// What rows come in, and which go out.
    pub mode: RankMode,
    /// `table.exec.state.ttl` in event time: keys without a new ranked row for so long are
    /// forgotten, their results stay. Not for windows.
    pub ttl_ms: Option<i64>,
}

/// What rows a ranking takes and what it emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankMode {
    /// New rows in, changes of the result out.
    Append,
    /// Rows in that are also taken away: all of them are kept.
    Retract,
    /// As `Append`, and of equal rows the one that came last is first.
    Latest,
    /// As `Append` with the first rank alone, and each row that comes first is a new row: what
    /// Flink makes of `= 1` ordered by anything but one falling column.
    Improving,
    /// New rows in and, once their window has ended, its ranked rows out.
    Window {
        /// The column of the window's end.
        end: usize,
        /// Of equal rows the one that came last is first.
        latest: bool,
    },
}

/// Parameters of a sort by event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortSpec {
    /// Event-time column, rising.
    pub rowtime: usize,
    /// The order of rows of equal time.
    pub order: Vec<SortKey>,
}
