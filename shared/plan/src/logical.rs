//! The logical plan: a graph of nodes with typed columns, shared by all INSERTs of a script.
//!
//! Guarantees: nodes refer to earlier nodes only; expressions refer to the columns of their node's
//! input by position. A view is one node however many queries read it. Knows nothing of places.

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::fragment::{
    AbsenceSpec, AggregateSpec, JoinKind, MatchSpec, OverCall, SortKey, WindowSpec,
};
use headwater_engine::functions::FIELD;
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

/// Position of a node in its graph.
pub(crate) type NodeId = usize;

/// What a column is beyond its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    /// The event time that the watermark speaks of.
    Rowtime,
    /// The time of arrival, which nobody reads: a lookup is as of it.
    Proctime,
    /// Start, end and time of a window. The last one is an event time again.
    WindowStart,
    WindowEnd,
    WindowTime,
    /// The time of a window of the session zone's clock, as a point in time. The watermark is one
    /// of local times there, so only windows can stand on it.
    LocalWindowTime,
}

impl Role {
    /// What an event time is where the watermark no longer speaks of it.
    pub(crate) fn without_time(self) -> Self {
        if self == Role::Proctime { self } else { Role::Plain }
    }

    /// Whether a window or a deduplication may stand on the column.
    pub(crate) fn is_time(self) -> bool {
        matches!(self, Role::Rowtime | Role::WindowTime)
    }

    /// Whether the column holds an end of a window, or its time.
    pub(crate) fn is_of_window(self) -> bool {
        use Role::{LocalWindowTime, WindowEnd, WindowStart, WindowTime};
        matches!(self, WindowStart | WindowEnd | WindowTime | LocalWindowTime)
    }

    /// How DESCRIBE marks its type.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Role::Proctime => " *PROCTIME*",
            _ if self.is_time_of_windows() => " *ROWTIME*",
            _ => "",
        }
    }

    /// Whether a window may stand on the column.
    pub(crate) fn is_time_of_windows(self) -> bool {
        self.is_time() || self == Role::LocalWindowTime
    }
}

/// A column of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// The name; for a field of a ROW its path.
    pub(crate) path: Vec<String>,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
    pub(crate) role: Role,
    /// Not for queries: neither by name nor by `*`. Of a field of a ROW: not by `*`.
    pub(crate) hidden: bool,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, data_type: DataType) -> Self {
        let path = vec![name.into()];
        Self { path, data_type, nullable: true, role: Role::Plain, hidden: false }
    }

    pub(crate) fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    pub(crate) fn hide(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Whether queries can name it: fields of a ROW are hidden from `*`, not from their names.
    pub(crate) fn is_named(&self) -> bool {
        !self.hidden || self.path.len() > 1
    }

    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }

    /// This column as an expression.
    pub(crate) fn at(&self, index: usize) -> Expr {
        Expr::column(index, self.data_type.clone())
    }
}

/// How rows are put into windows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WindowShape {
    Aligned(WindowSpec),
    Session { gap_ms: i64 },
}

/// One step of the logical plan and its columns.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) columns: Vec<Column>,
}

/// What a node does.
#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    /// All columns of a source table, decoded and computed.
    Scan(usize),
    /// Rows of constants.
    Values(Vec<Vec<Expr>>),
    Filter(NodeId, Expr),
    Project(NodeId, Vec<Expr>),
    /// ROW_NUMBER; its number is the last column. A filter may turn it into `Dedup` or `Top`.
    Rank {
        input: NodeId,
        key: Vec<usize>,
        order: Vec<SortKey>,
        span: Span,
    },
    /// The first rows of each key; the rank is the last column.
    Top(Box<Top>),
    /// Rows in order of their event time, then by the further terms.
    Sort {
        input: NodeId,
        rowtime: usize,
        order: Vec<SortKey>,
    },
    /// A column for each call, appended.
    Over {
        input: NodeId,
        partition: Vec<usize>,
        rowtime: usize,
        calls: Vec<OverCall>,
    },
    /// The first row of each key.
    Dedup {
        input: NodeId,
        key: Vec<usize>,
        rowtime: usize,
    },
    /// Appends start, end and time of the row's windows.
    Windows(NodeId, WindowSpec),
    /// Keys, aggregates, start, end, time, revision.
    Aggregate {
        input: NodeId,
        window: WindowSpec,
        keys: Vec<usize>,
        aggregates: Vec<AggregateSpec>,
    },
    /// Keys, aggregates: without a window, so that results change.
    Group {
        input: NodeId,
        keys: Vec<usize>,
        aggregates: Vec<AggregateSpec>,
    },
    /// Keys, aggregates, start, end, time of sessions of each key.
    SessionAggregate {
        input: NodeId,
        rowtime: usize,
        gap_ms: i64,
        keys: Vec<usize>,
        aggregates: Vec<AggregateSpec>,
    },
    /// Appends start, end and time of the row's session among the rows of its key.
    SessionWindows {
        input: NodeId,
        rowtime: usize,
        gap_ms: i64,
        key: Vec<usize>,
    },
    /// One row per element of an array column, appended as the last column.
    Unnest(NodeId, usize),
    /// The event time as the session's zone shows it, appended.
    LocalTime {
        input: NodeId,
        rowtime: usize,
        zone: String,
    },
    /// The rows of all inputs, which have the same columns.
    Union(Vec<NodeId>),
    /// The last row of each silent key, with its deadline as the last column.
    Absence(NodeId, AbsenceSpec),
    /// Keys and measures of the matches of a row pattern, and where it is written.
    Match(NodeId, Box<MatchSpec>, Span),
    /// The columns of the left input, then those of the right one.
    Join(Box<Join>),
}

/// Pairs of rows of two inputs.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) inputs: [NodeId; 2],
    pub(crate) kind: JoinKind,
    /// Columns that are equal, of the left and of the right input.
    pub(crate) keys: [Vec<usize>; 2],
    /// What else a pair must meet: over the columns of both inputs.
    pub(crate) condition: Option<Expr>,
    pub(crate) by: By,
    /// All terms of the condition as they were written.
    pub(crate) terms: Vec<Expr>,
    pub(crate) span: Span,
}

/// What bounds a join in time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum By {
    /// The difference of the event times: right - left.
    Interval { times: [usize; 2], low_ms: i64, high_ms: i64 },
    /// Start and end of equal windows are among the keys.
    Window,
    /// The right side's version at the left side's time.
    Temporal { times: [usize; 2] },
    /// What the right side, a table, holds when the left row comes.
    Lookup,
    /// Nothing: a regular join.
    Equality,
}

/// Which rows a ranking keeps.
#[derive(Clone, Debug)]
pub(crate) struct Top {
    pub(crate) input: NodeId,
    pub(crate) key: Vec<usize>,
    pub(crate) order: Vec<SortKey>,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The column of the window's end: rows are final, and wait for it.
    pub(crate) window_end: Option<usize>,
    /// Of rows with equal time the last one to arrive stands first.
    pub(crate) latest: bool,
    /// Each row that comes first is a new row, as in Flink.
    pub(crate) improving: bool,
}

impl NodeKind {
    /// The nodes it reads, in the order of its ports.
    pub(crate) fn inputs(&self) -> &[NodeId] {
        match self {
            Self::Scan(_) | Self::Values(_) => &[],
            Self::Filter(input, _)
            | Self::Project(input, _)
            | Self::Rank { input, .. }
            | Self::Over { input, .. }
            | Self::Sort { input, .. }
            | Self::Dedup { input, .. }
            | Self::Windows(input, _)
            | Self::Aggregate { input, .. }
            | Self::Group { input, .. }
            | Self::Match(input, ..)
            | Self::Absence(input, _)
            | Self::SessionAggregate { input, .. }
            | Self::SessionWindows { input, .. }
            | Self::LocalTime { input, .. }
            | Self::Unnest(input, _) => core::slice::from_ref(input),
            Self::Top(top) => core::slice::from_ref(&top.input),
            Self::Union(inputs) => inputs,
            Self::Join(join) => &join.inputs,
        }
    }

    /// Whether late rows can be set aside at it, for the late-row table of its source.
    pub(crate) fn has_late_rows(&self) -> bool {
        match self {
            Self::Dedup { .. }
            | Self::Aggregate { .. }
            | Self::SessionAggregate { .. }
            | Self::SessionWindows { .. }
            | Self::Match(..)
            | Self::Absence(..)
            | Self::Rank { .. }
            | Self::Over { .. }
            | Self::Sort { .. } => true,
            Self::Top(top) => top.window_end.is_some(),
            _ => false,
        }
    }
}

/// All nodes, each after those it reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
}

/// A chain of filters and projections, folded: every column as an expression over `base`.
pub(crate) struct Folded {
    pub(crate) base: NodeId,
    pub(crate) exprs: Vec<Expr>,
    /// In the order in which they are asked.
    pub(crate) predicates: Vec<Expr>,
}

impl Graph {
    pub(crate) fn push(&mut self, kind: NodeKind, columns: Vec<Column>) -> NodeId {
        self.nodes.push(Node { kind, columns });
        self.nodes.len() - 1
    }

    pub(crate) fn columns(&self, node: NodeId) -> &[Column] {
        &self.nodes[node].columns
    }

    /// A filter; nothing for an empty list.
    pub(crate) fn filter(&mut self, input: NodeId, predicates: Vec<Expr>) -> NodeId {
        let Some(predicate) = conjunction(predicates) else { return input };
        let columns = self.columns(input).to_vec();
        self.push(NodeKind::Filter(input, predicate), columns)
    }

    /// A projection whose columns keep role and nullability where they pass a column on.
    pub(crate) fn project(
        &mut self,
        input: NodeId,
        items: Vec<(Vec<String>, Expr, bool)>,
    ) -> NodeId {
        let mut columns = Vec::new();
        let mut exprs = Vec::new();
        for (path, expr, hidden) in items {
            let (role, nullable) = match &expr.kind {
                ExprKind::Column(i) => {
                    let column = &self.columns(input)[*i];
                    (column.role, column.nullable)
                }
                _ => (Role::Plain, true),
            };
            let data_type = expr.data_type.clone();
            columns.push(Column { path, data_type, nullable, role, hidden });
            exprs.push(expr);
        }
        self.push(NodeKind::Project(input, exprs), columns)
    }

    /// What gives the rows of a chain's base: a step that tells the local time drops none.
    pub(crate) fn source(&self, base: NodeId) -> NodeId {
        match self.nodes[base].kind {
            NodeKind::LocalTime { input, .. } => self.fold(input).base,
            _ => base,
        }
    }

    /// An expression over a scan, so that of a ROW no more is decoded than is read.
    fn read(&self, base: NodeId, expr: Expr) -> Expr {
        match self.nodes[base].kind {
            NodeKind::Scan(_) => direct(self.columns(base), &expr).unwrap_or(expr),
            _ => expr,
        }
    }

    /// Folds the filters and projections from `node` down to what they stand on.
    pub(crate) fn fold(&self, node: NodeId) -> Folded {
        match &self.nodes[node].kind {
            NodeKind::Filter(input, predicate) => {
                let mut below = self.fold(*input);
                let mut terms = Vec::new();
                conjuncts(predicate, &mut terms);
                for term in terms {
                    below.predicates.push(substitute(&term, &below.exprs));
                }
                below
            }
            NodeKind::Project(input, exprs) => {
                let below = self.fold(*input);
                let exprs = exprs.iter().map(|e| substitute(e, &below.exprs));
                let exprs = exprs.map(|e| self.read(below.base, e)).collect();
                Folded { exprs, ..below }
            }
            _ => {
                let columns = self.columns(node).iter().enumerate();
                let exprs = columns.map(|(i, c)| c.at(i)).collect();
                Folded { base: node, exprs, predicates: Vec::new() }
            }
        }
    }
}

/// A field of a column that is a ROW, as the column of its own that the scan has for it.
fn direct(columns: &[Column], expr: &Expr) -> Option<Expr> {
    let ExprKind::Call(name, args) = &expr.kind else { return None };
    let [row, position] = args.as_slice() else { return None };
    let DataType::Row(fields) = &row.data_type else { return None };
    let Some(Literal::Int(position)) = position.as_literal().filter(|_| name == FIELD) else {
        return None;
    };
    let ExprKind::Column(at) = direct(columns, row).map_or(row.kind.clone(), |e| e.kind) else {
        return None;
    };
    let (field, _) = fields.get(usize::try_from(*position).ok()?)?;
    let path = [columns[at].path.clone(), vec![field.clone()]].concat();
    let at = columns.iter().position(|column| column.path == path)?;
    Some(columns[at].at(at))
}

/// The terms of an AND, from left to right.
pub(crate) fn conjuncts(expr: &Expr, out: &mut Vec<Expr>) {
    match &expr.kind {
        ExprKind::And(terms) => terms.iter().for_each(|term| conjuncts(term, out)),
        _ => out.push(expr.clone()),
    }
}

/// The AND of all terms; None of none.
pub(crate) fn conjunction(mut terms: Vec<Expr>) -> Option<Expr> {
    match terms.len() {
        0 => None,
        1 => terms.pop(),
        _ => Some(Expr { kind: ExprKind::And(terms), data_type: DataType::Boolean }),
    }
}

/// Replaces every column by an expression.
pub(crate) fn substitute(expr: &Expr, columns: &[Expr]) -> Expr {
    rewrite(expr, &mut |index, _| columns[index].clone())
}

/// Replaces every column by what `column` makes of its position and type.
pub(crate) fn rewrite(expr: &Expr, column: &mut dyn FnMut(usize, &DataType) -> Expr) -> Expr {
    let mut all = |args: &[Expr]| args.iter().map(|a| rewrite(a, column)).collect::<Vec<_>>();
    let kind = match &expr.kind {
        ExprKind::Column(index) => return column(*index, &expr.data_type),
        ExprKind::Literal(literal) => ExprKind::Literal(literal.clone()),
        ExprKind::Call(name, args) => ExprKind::Call(name.clone(), all(args)),
        ExprKind::And(args) => ExprKind::And(all(args)),
        ExprKind::Or(args) => ExprKind::Or(all(args)),
        ExprKind::Coalesce(args) => ExprKind::Coalesce(all(args)),
        ExprKind::Not(arg) => ExprKind::Not(Box::new(rewrite(arg, column))),
        ExprKind::IsNull(arg) => ExprKind::IsNull(Box::new(rewrite(arg, column))),
        ExprKind::IsBool(arg, wanted) => ExprKind::IsBool(Box::new(rewrite(arg, column)), *wanted),
        ExprKind::Cast(arg, safe) => ExprKind::Cast(Box::new(rewrite(arg, column)), *safe),
        ExprKind::In(arg, list) => {
            let arg = Box::new(rewrite(arg, column));
            ExprKind::In(arg, list.iter().map(|a| rewrite(a, column)).collect())
        }
        ExprKind::Case(branches, otherwise) => {
            let branches =
                branches.iter().map(|(c, v)| (rewrite(c, column), rewrite(v, column))).collect();
            ExprKind::Case(branches, Box::new(rewrite(otherwise, column)))
        }
    };
    Expr { kind, data_type: expr.data_type.clone() }
}

/// Calls `visit` with every column an expression reads.
pub(crate) fn each_column(expr: &Expr, visit: &mut dyn FnMut(usize)) {
    if let ExprKind::Column(index) = &expr.kind {
        visit(*index);
    }
    for child in expr.children() {
        each_column(child, visit);
    }
}
