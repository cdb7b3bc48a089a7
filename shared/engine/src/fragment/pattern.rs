//! Parameters of pattern detection, MATCH_RECOGNIZE and absence, as plain data.

use alloc::{string::String, vec::Vec};

use crate::expr::Expr;

/// Parameters of MATCH_RECOGNIZE. Its output: the key columns, then the measures.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchSpec {
    /// PARTITION BY columns.
    pub key: Vec<usize>,
    /// Event-time column, the first of ORDER BY.
    pub rowtime: usize,
    /// The other terms of ORDER BY.
    pub order: Vec<OrderTerm>,
    /// The variables of PATTERN, in its order.
    pub variables: Vec<MatchVariable>,
    /// Where the search goes on after a match.
    pub after: AfterMatch,
    /// WITHIN: a match's last time is less than this after its first one.
    pub within_ms: Option<i64>,
    /// The columns of a match.
    pub measures: Vec<Formula>,
}

/// Parameters of absence. Its output: the columns of the row after which a key fell silent, then
/// the deadline, in the type of the event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsenceSpec {
    /// PARTITION BY columns.
    pub key: Vec<usize>,
    /// Event-time column.
    pub rowtime: usize,
    /// How long after a row the next one may come.
    pub gap_ms: i64,
    /// BOOLEAN column: only a row in which it is TRUE starts a wait.
    pub starts: Option<usize>,
    /// BOOLEAN column: only a row in which it is TRUE ends one.
    pub ends: Option<usize>,
}

/// A term of ORDER BY behind the event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderTerm {
    /// The column.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
    /// NULLs before everything else.
    pub nulls_first: bool,
}

/// A variable of PATTERN with its quantifier and its condition.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchVariable {
    /// Its name, for explain.
    pub name: String,
    /// Fewest rows.
    pub min: u32,
    /// Most rows; `None` for any number.
    pub max: Option<u32>,
    /// As many rows as possible, or as few.
    pub greedy: bool,
    /// DEFINE; every row will do without it.
    pub define: Option<Formula>,
}

/// AFTER MATCH SKIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterMatch {
    /// `PAST LAST ROW`
    PastLastRow,
    /// `TO NEXT ROW`
    NextRow,
    /// `TO FIRST variable`
    First(usize),
    /// `TO LAST variable`
    Last(usize),
}

/// An expression over values of the rows of a match: column `i` of `expr` is `items[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// What it reads.
    pub items: Vec<MatchItem>,
    /// What it computes of it.
    pub expr: Expr,
}

/// A value that a formula reads. In DEFINE the row that is tested counts as the last one of its
/// variable and of the match.
#[derive(Clone, Debug, PartialEq)]
pub enum MatchItem {
    /// A column of the row that is tested: in DEFINE only.
    Current(usize),
    /// A column of one row of a variable (`None`: of any); NULL where there is no such row.
    Row {
        /// The variable.
        variable: Option<usize>,
        /// Counted from the first row, or back from the last one.
        from_first: bool,
        /// Rows to go.
        offset: u32,
        /// The column.
        column: usize,
    },
    /// An aggregate over the rows of a variable (`None`: of all).
    Aggregate {
        /// The variable.
        variable: Option<usize>,
        /// Upper-case name.
        function: String,
        /// The argument over one row; `None` for COUNT(*).
        arg: Option<Expr>,
    },
    /// MATCH_ROWTIME: the time at which the match was found, that of its last row unless it had to
    /// wait for an earlier one. In MEASURES only.
    Time,
}
