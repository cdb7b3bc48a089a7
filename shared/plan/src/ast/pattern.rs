//! MATCH_RECOGNIZE and ABSENCE.

use sqlparser::tokenizer::Span;

use super::{Expr, Factor, Name, OrderBy};

/// `input MATCH_RECOGNIZE (…)`; one row a match.
#[derive(Clone, Debug)]
pub(crate) struct MatchRecognize {
    pub(crate) input: Box<Factor>,
    pub(crate) partition_by: Vec<Expr>,
    pub(crate) order_by: Vec<OrderBy>,
    pub(crate) measures: Vec<Measure>,
    /// None without the clause.
    pub(crate) after: Option<AfterMatch>,
    /// The variables of PATTERN in their order.
    pub(crate) pattern: Vec<PatternTerm>,
    pub(crate) within: Option<Expr>,
    /// Variables with their conditions.
    pub(crate) define: Vec<(Name, Expr)>,
    pub(crate) span: Span,
}

/// `value AS name`
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) value: Expr,
    pub(crate) name: Name,
}

/// AFTER MATCH SKIP.
#[derive(Clone, Debug)]
pub(crate) enum AfterMatch {
    PastLastRow,
    NextRow,
    First(Name),
    Last(Name),
}

/// A variable of PATTERN with its quantifier.
#[derive(Clone, Debug)]
pub(crate) struct PatternTerm {
    pub(crate) variable: Name,
    pub(crate) min: u32,
    pub(crate) max: Option<u32>,
    pub(crate) greedy: bool,
}

/// `ABSENCE(TABLE table PARTITION BY …, DESCRIPTOR(time), gap, …)`
#[derive(Clone, Debug)]
pub(crate) struct Absence {
    pub(crate) table: Name,
    pub(crate) partition_by: Vec<Name>,
    pub(crate) time: Name,
    pub(crate) gap: Expr,
    /// The column that says whether a row starts a wait.
    pub(crate) after: Option<Name>,
    /// The column that says whether a row ends it.
    pub(crate) of: Option<Name>,
}
