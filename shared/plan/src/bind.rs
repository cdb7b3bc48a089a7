//! Names and types: from the syntax tree of an expression to a typed one.
//!
//! Guarantees: every column exists, every function takes its arguments, and the casts that Flink
//! would insert are in the tree. What Flink derives a type by is in the engine's function table;
//! here are literals, the special forms and the common type of several values.

mod aggregate_call;
pub(crate) mod coerce;
mod group_window;
mod interval;
mod inverse;
mod json;
mod literal;
pub(crate) mod pattern;
mod remedy;
mod row;
mod scope;
mod sets;
pub(crate) mod special;
pub(crate) mod zone;

use headwater_engine::aggregate;
use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::functions::{self, Arg};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, BinaryOp, Is, UnaryOp};
use crate::diagnostic::{Issue, Result, suggest};
use crate::logical::Role;
use crate::types::{LENGTH_MAX, SqlType};

pub(crate) use aggregate_call::is_aggregate;
pub(crate) use group_window::{GroupWindow, group_window};
pub(crate) use interval::{interval_ms, parse_interval};
pub(crate) use scope::{Entry, Scope};

/// What a grouped query can see: its keys and, as they turn up, its aggregates.
pub(crate) struct Grouping {
    /// Each key over the input's columns, and its column in the aggregate's output.
    pub(crate) keys: Vec<(Expr, usize)>,
    pub(crate) calls: Vec<AggregateCall>,
    /// The column of the first aggregate in the output.
    pub(crate) first: usize,
    /// The window of GROUP BY, and the column of its start; end and time follow.
    pub(crate) window: Option<(GroupWindow, usize)>,
    /// The grouping sets.
    pub(crate) sets: Option<Sets>,
}

/// The grouping sets of a query.
#[derive(Clone)]
pub(crate) struct Sets {
    /// The column of the set's number.
    pub(crate) at: usize,
    /// The keys of each set, by their positions.
    pub(crate) members: Vec<Vec<usize>>,
}

/// One aggregate of a grouped query, over the input's columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregateCall {
    pub(crate) function: String,
    pub(crate) arg: Option<Expr>,
    pub(crate) filter: Option<Expr>,
    pub(crate) distinct: bool,
    /// Constant arguments after the first one.
    pub(crate) params: Vec<Literal>,
    /// How often a value counts.
    pub(crate) weight: Option<Expr>,
    pub(crate) result: DataType,
}

/// The time of arrival differs from run to run.
pub(crate) fn arrival_read(name: &str, span: Span) -> Issue {
    let message = format!("'{name}' is the time of arrival, which reads the clock");
    let remedy = "use it in FOR SYSTEM_TIME AS OF, or alone in ORDER BY of ROW_NUMBER; take times \
                  from the data, such as the event time";
    Issue::new(span, message, remedy)
}

/// Binds expressions of one SELECT.
pub(crate) struct Binder<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) grouping: Option<Grouping>,
    /// Within MATCH_RECOGNIZE.
    pub(crate) pattern: Option<pattern::Pattern<'a>>,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(scope: &'a Scope) -> Self {
        Self { scope, grouping: None, pattern: None }
    }

    /// A predicate: BOOLEAN, or the error says what it is instead.
    pub(crate) fn predicate(&mut self, from: &ast::Expr, clause: &str) -> Result<Expr> {
        let bound = self.bind(from)?;
        match bound.data_type {
            DataType::Boolean => Ok(bound),
            DataType::Null => Ok(typed_null(DataType::Boolean)),
            other => Err(Issue::new(
                from.span,
                format!("{clause} needs a BOOLEAN, not {other}"),
                "compare it with something",
            )),
        }
    }

    /// A column that is read.
    fn column(&self, path: &[ast::Name], span: Span) -> Result<Expr> {
        let (position, _) = self.scope.place(path)?;
        let column = &self.scope.entries[position].column;
        if column.role == Role::Proctime {
            return Err(arrival_read(&column.name(), span));
        }
        self.scope.column(path)
    }

    /// Binds an expression.
    pub(crate) fn bind(&mut self, from: &ast::Expr) -> Result<Expr> {
        if let Some(bound) = self.grouped(from)? {
            return Ok(bound);
        }
        if let Some(bound) = self.matched(from)? {
            return Ok(bound);
        }
        let span = from.span;
        match &from.kind {
            ast::ExprKind::Column(path) => self.column(path, span),
            ast::ExprKind::Null => Ok(typed_null(DataType::Null)),
            ast::ExprKind::Boolean(value) => {
                Ok(Expr::literal(Literal::Bool(*value), DataType::Boolean))
            }
            ast::ExprKind::Number(digits) => literal::number(digits, false, span),
            ast::ExprKind::Text(text) => Ok(literal::text(text)),
            ast::ExprKind::Date(text) => literal::date(text, span),
            ast::ExprKind::Time(text) => literal::time(text, span),
            ast::ExprKind::Timestamp(text) => literal::timestamp(text, span),
            ast::ExprKind::Interval(interval) => parse_interval(interval, span),
            ast::ExprKind::Symbol(text) => Ok(literal::text(text)),
            ast::ExprKind::Unary(op, arg) => self.unary(*op, arg, span),
            ast::ExprKind::Binary(op, left, right) => self.binary(*op, left, right, span),
            ast::ExprKind::Is { arg, what, negated } => self.is(arg, *what, *negated, span),
            ast::ExprKind::DistinctFrom { left, right, negated } => {
                self.distinct_from(left, right, *negated, span)
            }
            ast::ExprKind::In { arg, list, negated } => self.is_in(arg, list, *negated, span),
            ast::ExprKind::InQuery { .. } | ast::ExprKind::Exists { .. } => {
                let what = "IN or EXISTS with a subquery, other than as a term of WHERE,";
                Err(Issue::unsupported(span, what))
            }
            ast::ExprKind::Scalar(query) => self.scalar(query, span),
            ast::ExprKind::Between { arg, low, high, negated } => {
                self.between(arg, low, high, *negated, span)
            }
            ast::ExprKind::Like { arg, pattern, escape, negated } => {
                let parts = [Some(&**arg), Some(&**pattern), escape.as_deref()];
                let bound = parts.into_iter().flatten().map(|e| self.bind(e));
                let args = bound.collect::<Result<Vec<_>>>()?;
                Ok(negate(call("LIKE", args, span)?, *negated))
            }
            ast::ExprKind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), span)
            }
            ast::ExprKind::Cast { arg, to, safe } => {
                let bound = self.bind(arg)?;
                if matches!(to, SqlType::Binary(_) | SqlType::Varbinary(0..LENGTH_MAX)) {
                    return Err(Issue::unsupported(span, "a cast to a binary type with a length"));
                }
                let to = coerce::data_type(to);
                coerce::explicit_cast(bound, to, *safe, span)
            }
            ast::ExprKind::Call(function) => self.call(function, span),
            ast::ExprKind::Field { row, name } => scope::field(self.bind(row)?, name),
            ast::ExprKind::Element { array, index } => {
                let args = vec![self.bind(array)?, self.bind(index)?];
                call("ELEMENT_AT", args, span)
            }
        }
    }

    /// Under GROUP BY: keys and aggregates become columns of the aggregate's output.
    fn grouped(&mut self, from: &ast::Expr) -> Result<Option<Expr>> {
        let Some(grouping) = self.grouping.take() else { return Ok(None) };
        if let ast::ExprKind::Call(call) = &from.kind
            && let Some(bound) = self.of_grouping(&grouping, call, from.span)?
        {
            self.grouping = Some(grouping);
            return Ok(Some(bound));
        }
        let plain = (!has_aggregate(from)).then(|| self.bind(from));
        self.grouping = Some(grouping);
        let grouping = self.grouping.as_mut().expect("put back above");
        match plain {
            Some(Ok(bound)) => {
                if let Some((key, column)) = grouping.keys.iter().find(|(key, _)| *key == bound) {
                    return Ok(Some(Expr::column(*column, key.data_type.clone())));
                }
                if !reads_column(&bound) {
                    return Ok(Some(bound));
                }
                match &from.kind {
                    ast::ExprKind::Column(path) => {
                        let name = path.last().map_or("", |n| n.value.as_str());
                        let message = format!("'{name}' is neither grouped nor aggregated");
                        let remedy = format!("add it to GROUP BY, or write MAX({name})");
                        Err(Issue::new(from.span, message, remedy))
                    }
                    _ => Ok(None),
                }
            }
            Some(Err(issue)) => Err(issue),
            None => match &from.kind {
                ast::ExprKind::Call(function) if is_aggregate(&function.name.value) => {
                    self.aggregate(function, from.span).map(Some)
                }
                _ => Ok(None),
            },
        }
    }

    fn aggregate(&mut self, from: &ast::Call, span: Span) -> Result<Expr> {
        let mut grouping = self.grouping.take().expect("called only under GROUP BY");
        let bound = self.aggregate_call(from, span);
        let result = bound.map(|call| {
            let at = grouping.calls.iter().position(|c| *c == call).unwrap_or_else(|| {
                grouping.calls.push(call.clone());
                grouping.calls.len() - 1
            });
            Expr::column(grouping.first + at, call.result)
        });
        self.grouping = Some(grouping);
        result
    }

    /// A subquery as a value, where the planner has joined its row.
    fn scalar(&self, query: &ast::Query, span: Span) -> Result<Expr> {
        let planned = self.scope.planned.iter().find(|(at, _)| *at == query.span);
        planned.map(|(_, e)| e.clone()).ok_or_else(|| value_misplaced(span))
    }

    fn unary(&mut self, op: UnaryOp, arg: &ast::Expr, span: Span) -> Result<Expr> {
        if let (UnaryOp::Minus, ast::ExprKind::Number(digits)) = (op, &arg.kind) {
            return literal::number(digits, true, span);
        }
        if op == UnaryOp::Not
            && let Some(bound) = self.inverse(arg)?
        {
            return Ok(bound);
        }
        let bound = self.bind(arg)?;
        match op {
            UnaryOp::Plus => Ok(bound),
            UnaryOp::Minus => call("NEGATE", vec![bound], span),
            UnaryOp::Not => {
                let bound = boolean(bound, arg.span, "NOT")?;
                Ok(negate(bound, true))
            }
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Result<Expr> {
        if let Some(equal) = self.rows_equal(op, left, right, false, span)? {
            return Ok(equal);
        }
        let (l, r) = (self.bind(left)?, self.bind(right)?);
        let name = match op {
            BinaryOp::And | BinaryOp::Or => {
                let word = if op == BinaryOp::And { "AND" } else { "OR" };
                let l = boolean(l, left.span, word)?;
                let r = boolean(r, right.span, word)?;
                return Ok(connect(op, l, r));
            }
            BinaryOp::Plus => "+",
            BinaryOp::Minus => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
            BinaryOp::Concat => "||",
            BinaryOp::Eq => "=",
            BinaryOp::NotEq => "<>",
            BinaryOp::Lt => "<",
            BinaryOp::LtEq => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::GtEq => ">=",
        };
        call(name, vec![l, r], span)
    }

    fn is(&mut self, arg: &ast::Expr, what: Is, negated: bool, span: Span) -> Result<Expr> {
        let bound = self.bind(arg)?;
        let kind = match what {
            Is::Null => ExprKind::IsNull(Box::new(bound)),
            Is::Unknown => ExprKind::IsNull(Box::new(boolean(bound, span, "IS UNKNOWN")?)),
            Is::True => ExprKind::IsBool(Box::new(boolean(bound, span, "IS TRUE")?), true),
            Is::False => ExprKind::IsBool(Box::new(boolean(bound, span, "IS FALSE")?), false),
        };
        Ok(negate(Expr { kind, data_type: DataType::Boolean }, negated))
    }

    fn call(&mut self, from: &ast::Call, span: Span) -> Result<Expr> {
        let name = from.name.value.as_str();
        if from.over.is_some() {
            let planned = self.scope.planned.iter().find(|(at, _)| *at == from.name.span);
            let message = format!("{name} … OVER stands outside of a SELECT list");
            let remedy = "compute it in a subquery, and use its column";
            return planned
                .map(|(_, e)| e.clone())
                .ok_or_else(|| Issue::new(span, message, remedy));
        }
        if is_aggregate(name) {
            let message = format!("the aggregate {name} stands where rows are not grouped");
            return Err(Issue::new(span, message, "aggregate over a window with GROUP BY"));
        }
        if from.distinct || from.filter.is_some() || from.star {
            let message = format!("{name} is no aggregate");
            return Err(Issue::new(span, message, "remove DISTINCT, FILTER or '*'"));
        }
        group_window::refuse_auxiliary(from, span)?;
        if let Some(bound) = self.special(from, span)? {
            return Ok(bound);
        }
        if let Some(named) = from.args.iter().find_map(|a| a.name.as_ref()) {
            let message = format!("{name} takes no named arguments");
            return Err(Issue::new(named.span, message, "give the arguments in their order"));
        }
        let args = from.args.iter().map(|a| self.bind(&a.value)).collect::<Result<Vec<_>>>()?;
        if functions::find(name).is_none() {
            // The name alone is marked, not the whole call.
            return Err(unknown_function(name, from.name.span));
        }
        call(name, args, span)
    }
}

/// A subquery as a value that is not in WHERE, HAVING or a SELECT list.
pub(crate) fn value_misplaced(span: Span) -> Issue {
    let message = "a subquery stands as a value where there can be none";
    let remedy = "it can be in WHERE, in HAVING and in a SELECT list, but not within an aggregate \
                  or beside windows: select it in a query in FROM, and use its column";
    Issue::new(span, message, remedy)
}

fn unknown_function(name: &str, span: Span) -> Issue {
    if let Some((_, why)) = special::UNREPEATABLE.iter().find(|(n, _)| *n == name) {
        let message = format!("{name} {why}: the same rows would give other answers");
        let remedy = "use the event time, or a column that the source fills";
        return Issue::new(span, message, remedy);
    }
    if special::FLINK.contains(&name) {
        return Issue::unsupported(span, &format!("the function {name}"));
    }
    let names = functions::all()
        .map(|f| f.name)
        .chain(aggregate::ALL.iter().map(|a| a.name))
        .chain(special::NAMES.iter().copied())
        .filter(|n| n.starts_with(|c: char| c.is_ascii_alphabetic()))
        .collect::<Vec<_>>();
    let remedy = match crate::diagnostic::nearest(name, names.iter().copied()) {
        Some(_) => suggest(name, names.iter().copied(), "functions"),
        None => "docs/reference/sql.md lists the functions".to_owned(),
    };
    Issue::new(span, format!("unknown function {name}"), remedy)
}

/// Whether an aggregate stands anywhere in an expression.
pub(crate) fn has_aggregate(from: &ast::Expr) -> bool {
    let mut found = false;
    from.each(&mut |e| {
        if let ast::ExprKind::Call(call) = &e.kind {
            found |= call.over.is_none() && is_aggregate(&call.name.value);
        }
    });
    found
}

/// Binds a function and casts its arguments as it asks.
pub(crate) fn call(name: &str, mut args: Vec<Expr>, span: Span) -> Result<Expr> {
    if functions::find(name).is_none() {
        return Err(unknown_function(name, span));
    }
    zone::resolve(name, &mut args, span)?;
    let name = match args.as_slice() {
        [left, right] => functions::order_of(name, &left.data_type, &right.data_type),
        _ => name,
    };
    let seen: Vec<Arg<'_>> = args.iter().map(Arg::of).collect();
    let binding = functions::bind(name, &seen).map_err(|message| {
        let remedy = remedy::of(&message);
        Issue::new(span, message, remedy)
    })?;
    let wanted = binding.args.into_iter();
    let args = args
        .into_iter()
        .zip(wanted)
        .map(|(arg, to)| match name {
            // Whether they are equal is unknown where a text of the rows cannot be read.
            "=" | "<>" | "IS DISTINCT FROM" | "IS NOT DISTINCT FROM"
                if arg.data_type.is_text() && coerce::is_temporal(&to) && reads_column(&arg) =>
            {
                coerce::explicit_cast(arg, to, true, span)
            }
            _ => coerce::implicit_cast(arg, to, span),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Expr::call(name, args, binding.result))
}

fn reads_column(expr: &Expr) -> bool {
    let mut found = false;
    crate::logical::each_column(expr, &mut |_| found = true);
    found
}

pub(crate) fn typed_null(data_type: DataType) -> Expr {
    Expr::literal(Literal::Null, data_type)
}

fn boolean(bound: Expr, span: Span, what: &str) -> Result<Expr> {
    match bound.data_type {
        DataType::Boolean => Ok(bound),
        DataType::Null => Ok(typed_null(DataType::Boolean)),
        other => {
            let message = format!("{what} needs a BOOLEAN, not {other}");
            Err(Issue::new(span, message, "compare it with something"))
        }
    }
}

/// NOT, when asked for.
fn negate(bound: Expr, negated: bool) -> Expr {
    match negated {
        true => Expr { kind: ExprKind::Not(Box::new(bound)), data_type: DataType::Boolean },
        false => bound,
    }
}

/// AND and OR, flat.
fn connect(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let mut terms = Vec::new();
    for side in [left, right] {
        match (op, side.kind) {
            (BinaryOp::And, ExprKind::And(inner)) | (BinaryOp::Or, ExprKind::Or(inner)) => {
                terms.extend(inner);
            }
            (_, kind) => terms.push(Expr { kind, data_type: side.data_type }),
        }
    }
    let kind = match op {
        BinaryOp::And => ExprKind::And(terms),
        _ => ExprKind::Or(terms),
    };
    Expr { kind, data_type: DataType::Boolean }
}
