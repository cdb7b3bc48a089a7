//! Parameters of joins.

use alloc::vec::Vec;

use crate::expr::Expr;

/// Which rows a join gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows without partner beside NULLs.
    Left,
    /// Pairs, and right rows without partner beside NULLs.
    Right,
    /// Pairs, and rows of both sides without partner.
    Full,
    /// Left rows that have a partner, once each.
    Semi,
    /// Left rows that have none.
    Anti,
}

impl JoinKind {
    /// Whether rows of a side (0: left, 1: right) that have no partner come beside NULLs.
    pub fn is_outer(self, side: usize) -> bool {
        match self {
            JoinKind::Full => true,
            JoinKind::Left => side == 0,
            JoinKind::Right => side == 1,
            JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => false,
        }
    }

    /// Whether left rows come alone, without columns of the right side.
    pub fn is_left_only(self) -> bool {
        matches!(self, JoinKind::Semi | JoinKind::Anti)
    }
}

/// What pairs the rows of a join's inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinSpec {
    /// Which rows come.
    pub kind: JoinKind,
    /// Key columns of the left and of the right input; equal in a pair, and not NULL.
    pub keys: [Vec<usize>; 2],
    /// What else must be TRUE: over the left input's columns, then the right one's.
    pub condition: Option<Expr>,
}

/// Parameters of a regular join.
#[derive(Clone, Debug, PartialEq)]
pub struct RegularJoinSpec {
    /// Keys and condition.
    pub join: JoinSpec,
    /// `table.exec.state.ttl` in event time: a row is forgotten so long after it came.
    pub ttl_ms: Option<i64>,
}

/// Parameters of a window join.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowJoinSpec {
    /// Keys, among them start and end of the windows, and condition.
    pub join: JoinSpec,
    /// The column of each input with the window's end.
    pub ends: [usize; 2],
}

/// Parameters of an interval join. `low_ms <= right time - left time <= high_ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalJoinSpec {
    /// Keys and condition; not semi or anti.
    pub join: JoinSpec,
    /// Event-time columns of the inputs.
    pub times: [usize; 2],
    /// The least difference of times in ms.
    pub low_ms: i64,
    /// The largest.
    pub high_ms: i64,
}

/// Parameters of a temporal join: the right input's rows are versions of their key.
#[derive(Clone, Debug, PartialEq)]
pub struct TemporalJoinSpec {
    /// Keys and condition; inner or left.
    pub join: JoinSpec,
    /// Event-time columns of the inputs.
    pub times: [usize; 2],
}
