//! The syntax tree of what this project plans: small, with a place on every node.
//!
//! Guarantees: everything in it is Flink SQL; names keep their case (Flink's are case-sensitive),
//! function names are upper case. Knows nothing of types or tables.

mod pattern;

use sqlparser::tokenizer::Span;

use crate::types::SqlType;

pub(crate) use pattern::{Absence, AfterMatch, MatchRecognize, Measure, PatternTerm};

/// An identifier and its place.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) value: String,
    pub(crate) span: Span,
}

/// An expression and its place.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// `a`, `t.a`, `t.a.field`
    Column(Vec<Name>),
    Null,
    Boolean(bool),
    /// Digits as written, with point and exponent.
    Number(String),
    Text(String),
    Date(String),
    Time(String),
    Timestamp(String),
    Interval(Interval),
    /// A bare word in a place where the grammar asks for one: a time unit, a trim side.
    Symbol(String),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `IS [NOT] NULL`, `IS [NOT] TRUE`, …
    Is {
        arg: Box<Expr>,
        what: Is,
        negated: bool,
    },
    /// `IS [NOT] DISTINCT FROM`
    DistinctFrom {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    In {
        arg: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    /// `arg [NOT] IN (SELECT …)`
    InQuery {
        arg: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    /// `[NOT] EXISTS (SELECT …)`
    Exists {
        query: Box<Query>,
        negated: bool,
    },
    /// `(SELECT …)` as a value.
    Scalar(Box<Query>),
    Between {
        arg: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    Like {
        arg: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        arg: Box<Expr>,
        to: SqlType,
        /// TRY_CAST: NULL where CAST fails.
        safe: bool,
    },
    Call(Box<Call>),
    /// `(row).name`
    Field {
        row: Box<Expr>,
        name: Name,
    },
    /// `array[index]`
    Element {
        array: Box<Expr>,
        index: Box<Expr>,
    },
}

/// `INTERVAL 'text' leading [(precision)] [TO last]`
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    pub(crate) text: String,
    pub(crate) leading: String,
    pub(crate) precision: Option<u64>,
    pub(crate) last: Option<String>,
}

/// What IS asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Null,
    True,
    False,
    Unknown,
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Plus,
    Minus,
    Not,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Plus,
    Minus,
    Multiply,
    Divide,
    Modulo,
    Concat,
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    And,
    Or,
}

/// A function with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Upper case.
    pub(crate) name: Name,
    pub(crate) args: Vec<Arg>,
    /// `COUNT(*)`
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) filter: Option<Expr>,
    pub(crate) over: Option<Over>,
}

/// An argument, with its name where it is given by name.
#[derive(Clone, Debug)]
pub(crate) struct Arg {
    pub(crate) name: Option<Name>,
    pub(crate) value: Expr,
}

/// What stands behind OVER.
#[derive(Clone, Debug)]
pub(crate) enum Over {
    /// A window of the WINDOW clause.
    Named(Name),
    Spec(Box<OverSpec>),
}

/// `(PARTITION BY … ORDER BY … frame)`
#[derive(Clone, Debug)]
pub(crate) struct OverSpec {
    pub(crate) partition_by: Vec<Expr>,
    pub(crate) order_by: Vec<OrderBy>,
    pub(crate) frame: Option<Frame>,
}

/// `ROWS | RANGE BETWEEN start AND end`
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// ROWS, not RANGE.
    pub(crate) rows: bool,
    pub(crate) start: Bound,
    pub(crate) end: Bound,
}

/// Where a frame begins or ends.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// One term of ORDER BY.
#[derive(Clone, Debug)]
pub(crate) struct OrderBy {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: Option<bool>,
}

/// A query: what gives the rows, and the clauses behind it.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) span: Span,
    /// WITH: queries by name, each of which sees those before it.
    pub(crate) with: Vec<(Alias, Query)>,
    pub(crate) body: Body,
    pub(crate) order_by: Vec<OrderBy>,
    /// LIMIT, or FETCH FIRST.
    pub(crate) limit: Option<Limit>,
}

/// What gives the rows of a query.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Select(Box<Select>),
    Set(Box<SetOperation>),
    /// A query in brackets with clauses of its own.
    Query(Box<Query>),
    Values(Box<Values>),
}

/// `VALUES (…), …`
#[derive(Clone, Debug)]
pub(crate) struct Values {
    pub(crate) rows: Vec<Vec<Expr>>,
    pub(crate) span: Span,
}

/// `left UNION | INTERSECT | EXCEPT [ALL] right`
#[derive(Clone, Debug)]
pub(crate) struct SetOperation {
    pub(crate) op: SetOp,
    pub(crate) all: bool,
    pub(crate) left: Body,
    pub(crate) right: Body,
    /// Where the right side begins.
    pub(crate) span: Span,
}

/// The set operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetOp {
    Union,
    Intersect,
    Except,
}

impl SetOp {
    /// As it is written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            SetOp::Union => "UNION",
            SetOp::Intersect => "INTERSECT",
            SetOp::Except => "EXCEPT",
        }
    }
}

/// How many rows are kept.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) count: u64,
    /// OFFSET: how many are left out before.
    pub(crate) offset: u64,
    pub(crate) span: Span,
}

/// One SELECT.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) span: Span,
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) from: From,
    pub(crate) filter: Option<Expr>,
    /// None without GROUP BY; with grouping sets the terms outside of them.
    pub(crate) group_by: Option<Vec<Expr>>,
    /// All terms of each grouping set; empty without GROUPING SETS, ROLLUP and CUBE.
    pub(crate) sets: Vec<Vec<Expr>>,
    pub(crate) having: Option<Expr>,
    /// The WINDOW clause.
    pub(crate) windows: Vec<(Name, OverSpec)>,
}

/// One term of a SELECT list.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// `*` or `t.*`
    Star {
        qualifier: Option<Name>,
        span: Span,
    },
    Expr {
        expr: Expr,
        alias: Option<Name>,
    },
}

impl Item {
    /// Its place, with its alias.
    fn span(&self) -> Span {
        match self {
            Item::Star { span, .. } => *span,
            Item::Expr { expr, alias } => {
                alias.as_ref().map_or(expr.span, |alias| expr.span.union(&alias.span))
            }
        }
    }
}

/// FROM: one relation and what is joined to it, from left to right.
#[derive(Clone, Debug)]
pub(crate) struct From {
    pub(crate) first: Factor,
    pub(crate) joins: Vec<Join>,
}

/// A relation under its alias.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    pub(crate) relation: Relation,
    pub(crate) alias: Option<Alias>,
    pub(crate) span: Span,
}

/// What a query reads.
#[derive(Clone, Debug)]
pub(crate) enum Relation {
    Table(Name),
    Query(Box<Query>),
    /// One row without columns: SELECT without FROM.
    Nothing,
    /// `TABLE(TUMBLE(…))`
    Window(Box<WindowFunction>),
    /// `UNNEST(array)`, beside the relations before it.
    Unnest(Box<Expr>),
    /// `t FOR SYSTEM_TIME AS OF time`
    Versioned {
        table: Name,
        time: Box<Expr>,
    },
    /// Joins in brackets.
    Joined(Box<From>),
    /// `TABLE(ABSENCE(…))`
    Absence(Box<Absence>),
    /// `t MATCH_RECOGNIZE (…)`
    Match(Box<MatchRecognize>),
}

/// `… JOIN right ON …`
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) kind: JoinKind,
    pub(crate) right: Factor,
    pub(crate) on: JoinOn,
}

/// Which rows without partner are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    /// `JOIN`, `INNER JOIN`
    Inner,
    Left,
    Right,
    Full,
    /// `CROSS JOIN`, or a comma.
    Cross,
}

impl JoinKind {
    /// As it is written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            JoinKind::Inner => "JOIN",
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Right => "RIGHT JOIN",
            JoinKind::Full => "FULL JOIN",
            JoinKind::Cross => "CROSS JOIN",
        }
    }
}

/// What pairs the rows of a join.
#[derive(Clone, Debug)]
pub(crate) enum JoinOn {
    Nothing,
    Condition(Expr),
    Using(Vec<Name>),
    /// By all columns of equal names.
    Natural,
}

/// An alias of a relation with its column names, if given.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) name: Name,
    pub(crate) columns: Vec<Name>,
}

/// A window table function; arguments in the order of its positional form.
#[derive(Clone, Debug)]
pub(crate) struct WindowFunction {
    pub(crate) kind: WindowKind,
    pub(crate) table: Name,
    /// PARTITION BY, of a session.
    pub(crate) partition_by: Vec<Name>,
    pub(crate) time: Name,
    /// The size, or the gap of a session.
    pub(crate) size: Expr,
    /// The slide of HOP, the step of CUMULATE.
    pub(crate) slide: Option<Expr>,
    pub(crate) offset: Option<Expr>,
    pub(crate) span: Span,
}

/// The window table functions that are planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowKind {
    Tumble,
    Hop,
    Cumulate,
    Session,
}

impl Query {
    /// The place of a column: of the last one where there are fewer.
    pub(crate) fn column_span(&self, position: usize) -> Span {
        let mut body = &self.body;
        let cells = loop {
            match body {
                Body::Select(select) => break select.items.iter().map(Item::span).collect(),
                Body::Values(values) => {
                    break values.rows.iter().take(1).flatten().map(|e| e.span).collect();
                }
                Body::Set(operation) => body = &operation.left,
                Body::Query(query) => body = &query.body,
            }
        };
        let cells: Vec<Span> = cells;
        cells.get(position).or(cells.last()).copied().unwrap_or(self.span)
    }
}

impl Expr {
    /// Calls `visit` with this expression and every part of it.
    pub(crate) fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.each(visit);
        }
    }

    fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Column(_)
            | ExprKind::Null
            | ExprKind::Boolean(_)
            | ExprKind::Number(_)
            | ExprKind::Text(_)
            | ExprKind::Date(_)
            | ExprKind::Time(_)
            | ExprKind::Timestamp(_)
            | ExprKind::Interval(_)
            | ExprKind::Symbol(_)
            | ExprKind::Exists { .. }
            | ExprKind::Scalar(_) => Vec::new(),
            ExprKind::InQuery { arg, .. } => vec![arg],
            ExprKind::Unary(_, arg) | ExprKind::Is { arg, .. } | ExprKind::Cast { arg, .. } => {
                vec![arg]
            }
            ExprKind::Binary(_, left, right) | ExprKind::DistinctFrom { left, right, .. } => {
                vec![left, right]
            }
            ExprKind::Element { array, index } => vec![array, index],
            ExprKind::Field { row, .. } => vec![row],
            ExprKind::In { arg, list, .. } => core::iter::once(&**arg).chain(list).collect(),
            ExprKind::Between { arg, low, high, .. } => vec![arg, low, high],
            ExprKind::Like { arg, pattern, escape, .. } => {
                [Some(&**arg), Some(&**pattern), escape.as_deref()].into_iter().flatten().collect()
            }
            ExprKind::Case { operand, branches, otherwise } => operand
                .as_deref()
                .into_iter()
                .chain(branches.iter().flat_map(|(when, then)| [when, then]))
                .chain(otherwise.as_deref())
                .collect(),
            ExprKind::Call(call) => {
                call.args.iter().map(|a| &a.value).chain(call.filter.as_ref()).collect()
            }
        }
    }
}
