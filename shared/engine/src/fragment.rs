//! What a planner hands to the engine: scans, steps and outputs of one fragment, as plain data.
//!
//! Steps stand in topological order; a step reads scans or earlier steps. Columns are referred to
//! by position. Everything is already typed and checked.

use alloc::{string::String, vec::Vec};

use crate::{
    expr::{Expr, Literal},
    types::{DataType, Field, Schema},
};

mod pattern;

pub use pattern::{
    AbsenceSpec, AfterMatch, Formula, MatchItem, MatchSpec, MatchVariable, OrderTerm,
};

/// The part of a plan that one place runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fragment {
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
