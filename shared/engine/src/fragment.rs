//! What a planner hands to the engine: scans, steps and outputs of one fragment, as plain data.
//!
//! Steps stand in topological order; a step reads scans or earlier steps. Columns are referred to
//! by position. Everything is already typed and checked.

use alloc::{string::String, vec::Vec};

use crate::{
    expr::{Expr, Literal},
    types::{DataType, Field, Schema},
};

mod arrival;
mod join;
mod order;
mod over;
mod pattern;
mod windows;

pub use arrival::Order;
pub use join::{
    IntervalJoinSpec, JoinKind, JoinSpec, RegularJoinSpec, TemporalJoinSpec, WindowJoinSpec,
};
pub use order::{RankMode, RankSpec, SortKey, SortSpec};
pub use over::{Frame, FrameUnit, OverCall, OverFunction, OverSpec};
pub use pattern::{
    AbsenceSpec, AfterMatch, Formula, MatchItem, MatchSpec, MatchVariable, OrderTerm,
};
pub use windows::{
    GroupAggregateSpec, Phase, SessionSpec, SessionWindowsSpec, WindowAggregateSpec, WindowKind,
    WindowSpec,
};

/// The part of a plan that one place runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fragment {
    /// The session's time zone as [`crate::calendar::Place::parse`] reads it; empty: UTC.
    pub zone: String,
    /// Where rows come in.
    pub scans: Vec<Scan>,
    /// What happens to them.
    pub steps: Vec<Step>,
    /// Where rows go out.
    pub outputs: Vec<Output>,
}

/// Rows of one source table, or of one exchange from another fragment.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Table name, or name of the exchange.
    pub name: String,
    /// Columns as decoded; the decoder fills exactly these.
    pub decoded: Schema,
    /// Columns computed from the decoded and the earlier computed ones, appended in order.
    pub computed: Vec<(Field, Expr)>,
    /// Event time and its watermark, if the table has one. For an exchange `None`: its watermarks
    /// come with the frames.
    pub watermark: Option<Watermark>,
    /// A time stamp further ahead of the trusted clock than this never moves the watermark, and its
    /// row is set aside; `None` for bounded sources.
    pub future_max_ms: Option<i64>,
}

/// `WATERMARK FOR rowtime AS expr`.
#[derive(Clone, Debug, PartialEq)]
pub struct Watermark {
    /// Position of the event-time column among decoded and computed columns.
    pub rowtime: usize,
    /// The watermark of a row, over decoded and computed columns; a timestamp.
    pub expr: Expr,
}

impl Scan {
    /// Decoded and computed columns.
    pub fn schema(&self) -> Schema {
        let computed = self.computed.iter().map(|(field, _)| field.clone());
        Schema::new(self.decoded.fields.iter().cloned().chain(computed).collect())
    }
}

/// Where a step or an output reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The scan of this number.
    Scan(usize),
    /// The step of this number.
    Step(usize),
}

/// One operator's place in the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Unique and stable name, for state, metrics and messages (for example `dedup-1`).
    pub name: String,
    /// Port 0, and port 1 of a join.
    pub inputs: Vec<Input>,
    /// What it does.
    pub operator: OperatorSpec,
    /// Columns of its output.
    pub schema: Schema,
    /// Number of the output that takes its late rows, if the pipeline names one.
    pub late_output: Option<usize>,
}

impl Fragment {
    /// The scans whose rows are the content of a table: filters and projections may follow them.
    pub fn table_scans(&self) -> impl Iterator<Item = usize> + '_ {
        self.steps.iter().filter_map(Step::table).map(|input| self.first_scan(input))
    }

    /// The scan at the beginning of the content of a table.
    pub fn first_scan(&self, input: Input) -> usize {
        match input {
            Input::Scan(scan) => scan,
            Input::Step(step) => self.first_scan(self.steps[step].inputs[0]),
        }
    }
}

impl Step {
    /// The input that is the content of a table: it has no time, its watermark counts loads.
    pub fn table(&self) -> Option<Input> {
        match self.operator {
            OperatorSpec::LookupJoin(_) => self.inputs.last().copied(),
            _ => None,
        }
    }

    /// The inputs whose watermark is the step's.
    pub fn timed_inputs(&self) -> &[Input] {
        match self.table() {
            Some(_) => &self.inputs[..self.inputs.len() - 1],
            None => &self.inputs,
        }
    }
}

/// The operators with their parameters; one variant, one file in [`crate::operators`].
#[derive(Clone, Debug, PartialEq)]
pub enum OperatorSpec {
    /// Keeps rows for which the predicate is TRUE.
    Filter(Expr),
    /// Computes new columns.
    Project(Vec<Expr>),
    /// Keeps the first row by event time of each key.
    DedupFirst(DedupSpec),
    /// Appends `window_start`, `window_end` (TIMESTAMP(3)) and `window_time` to each row; a row of
    /// a hopping window appears once for each window. Late rows pass, as in Flink.
    WindowAssign(WindowSpec),
    /// Appends an event time as the session's zone shows it; the watermark is local from here on.
    LocalTime {
        /// The event time.
        rowtime: usize,
        /// The zone, as [`crate::calendar::Place::parse`] reads it.
        zone: String,
    },
    /// Aggregates per window and key.
    WindowAggregate(WindowAggregateSpec),
    /// Aggregates by key without a window: the result changes with every row.
    GroupAggregate(GroupAggregateSpec),
    /// Aggregates per session and key.
    SessionAggregate(SessionSpec),
    /// Appends start, end (TIMESTAMP(3)) and time of its session to each row.
    SessionWindows(SessionWindowsSpec),
    /// One row for each element of an array column, appended as a new last column.
    Unnest {
        /// The array column.
        column: usize,
    },
    /// The rows of all inputs, which have the same columns.
    Union,
    /// Rows that the plan itself holds; the only step without an input. The expressions read no
    /// columns.
    Values(Vec<Vec<Expr>>),
    /// Finds matches of a row pattern.
    MatchRecognize(MatchSpec),
    /// Tells keys that fall silent.
    Absence(AbsenceSpec),
    /// Pairs of rows whose event times are not far apart.
    IntervalJoin(IntervalJoinSpec),
    /// Pairs of rows of the same window.
    WindowJoin(WindowJoinSpec),
    /// Left rows with the version of their key that was valid at their time.
    TemporalJoin(TemporalJoinSpec),
    /// Left rows with what a table holds when they come; inner or left.
    LookupJoin(JoinSpec),
    /// Pairs of all rows; changes of both inputs are followed.
    Join(RegularJoinSpec),
    /// Appends columns computed over earlier rows of the same key.
    Over(OverSpec),
    /// Keeps the first rows of each key in an order.
    Rank(RankSpec),
    /// Puts rows in order of their event time.
    Sort(SortSpec),
}

/// Parameters of the first-row deduplication.
#[derive(Clone, Debug, PartialEq)]
pub struct DedupSpec {
    /// Key columns.
    pub key: Vec<usize>,
    /// Event-time column.
    pub rowtime: usize,
    /// The key determines the event time, so that a repeat of an emitted row is late in any case:
    /// entries behind the watermark are dropped.
    pub key_holds_time: bool,
    /// `table.exec.state.ttl` in event time: entries this far behind the watermark are forgotten.
    pub ttl_ms: Option<i64>,
}

/// One aggregate call.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateSpec {
    /// Upper-case name.
    pub function: String,
    /// Argument column and its type; `None` for COUNT(*).
    pub arg: Option<(usize, DataType)>,
    /// Boolean column of the FILTER clause.
    pub filter: Option<usize>,
    /// Each value counts once.
    pub distinct: bool,
    /// Constant arguments after the first one.
    pub params: Vec<Literal>,
    /// The integer column that says how often the value counts: not at all where it is NULL or not
    /// positive.
    pub weight: Option<usize>,
}

impl AggregateSpec {
    /// `COUNT(*)`
    pub fn count_rows() -> Self {
        Self {
            function: "COUNT".into(),
            arg: None,
            filter: None,
            distinct: false,
            params: Vec::new(),
            weight: None,
        }
    }
}

/// Where rows leave the fragment.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Name of the sink table or of the exchange.
    pub name: String,
    /// What feeds it; for a late-row output the step whose late rows it takes.
    pub input: Input,
    /// Expressions over the input's columns (over the step's *input* columns for late rows) that
    /// give the output's columns; `None` passes all of them.
    pub columns: Option<Vec<Expr>>,
    /// Columns after `columns`.
    pub schema: Schema,
    /// What kind of rows it takes.
    pub kind: OutputKind,
    /// What is made of their order further on; of no meaning for late rows.
    pub order: Order,
}

/// What an output takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// The rows of its input.
    Rows,
    /// The rows of its input, and its watermark, for the other fragment.
    Exchange,
    /// The late rows of the step; fed through [`Step::late_output`] only.
    Late,
}
