//! OVER: aggregates, ROW_NUMBER, LAG and LEAD over the rows around each row.
//!
//! Guarantees: all calls of a SELECT share PARTITION BY and ORDER BY, and each may have a frame of
//! its own. Frames that end after the present row delay it, so no time attribute passes them.

use headwater_engine::expr::{Expr, Literal};
use headwater_engine::fragment::{AggregateSpec, Frame, FrameUnit, OverCall, OverFunction};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, Bound, Item, Over, OverSpec, Select};
use crate::bind::{Binder, Scope, interval_ms};
use crate::compile::as_column;
use crate::diagnostic::{Issue, Result, suggest};
use crate::logical::{Column, NodeId, NodeKind, Role};
use crate::select::Planner;
use crate::select::clock::check_order;

/// Rows before or after the present one that a frame may name.
const ROWS_MAX: i64 = 1 << 20;

/// A call with OVER, and its place.
type Found<'a> = (&'a ast::Call, Span);

/// All calls with OVER in the items of a SELECT.
pub(crate) fn find(query: &Select) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    for item in &query.items {
        if let Item::Expr { expr, .. } = item {
            expr.each(&mut |e| {
                if let ast::ExprKind::Call(call) = &e.kind
                    && call.over.is_some()
                {
                    found.push((&**call, e.span));
                }
            });
        }
    }
    found
}

/// The window of a call.
pub(crate) fn spec<'a>(call: &'a ast::Call, query: &'a Select) -> Result<&'a OverSpec> {
    match call.over.as_ref().expect("called for a call with OVER") {
        Over::Spec(spec) => Ok(spec),
        Over::Named(name) => {
            let found = query.windows.iter().find(|(own, _)| own.value == name.value);
            found.map(|(_, spec)| spec).ok_or_else(|| {
                let names = query.windows.iter().map(|(own, _)| own.value.as_str());
                let remedy = suggest(&name.value, names, "windows");
                Issue::new(name.span, format!("unknown window '{}'", name.value), remedy)
            })
        }
    }
}

/// A node's columns and, behind them, expressions over them that a step needs as columns.
pub(crate) struct Extended {
    width: usize,
    extra: Vec<Expr>,
}

impl Extended {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, extra: Vec::new() }
    }

    /// The column of an expression, new if need be.
    pub(crate) fn column(&mut self, expr: Expr) -> usize {
        if let Some(column) = as_column(&expr) {
            return column;
        }
        let at = self.extra.iter().position(|e| *e == expr).unwrap_or_else(|| {
            self.extra.push(expr);
            self.extra.len() - 1
        });
        self.width + at
    }
}

impl Planner {
    /// The rows of a node with the columns of `extended`.
    pub(crate) fn extend(&mut self, input: NodeId, extended: Extended) -> NodeId {
        if extended.extra.is_empty() {
            return input;
        }
        let columns = self.graph.columns(input).to_vec();
        let own = columns.iter().enumerate();
        let mut items: Vec<_> = own.map(|(i, c)| (c.path.clone(), c.at(i), c.hidden)).collect();
        let extra = extended.extra.into_iter().enumerate();
        items.extend(extra.map(|(i, e)| (vec![format!("$column_{i}")], e, true)));
        self.graph.project(input, items)
    }

    /// A SELECT with calls OVER windows.
    pub(crate) fn over(
        &mut self,
        query: &Select,
        input: NodeId,
        scope: &Scope,
        found: &[Found<'_>],
    ) -> Result<NodeId> {
        let mut extended = Extended::new(self.graph.columns(input).len());
        let first = spec(found[0].0, query)?;
        let partition = partition(first, scope, &mut extended)?;
        let rowtime = event_time(first, scope, found[0].1)?;
        let mut calls: Vec<OverCall> = Vec::new();
        let mut places = Vec::new();
        let mut columns = Vec::new();
        for (call, span) in found {
            let window = spec(call, query)?;
            let own = self::partition(window, scope, &mut extended)?;
            if own != partition || event_time(window, scope, *span)? != rowtime {
                let message = "the windows of one SELECT have different PARTITION BY or ORDER BY";
                let remedy = "compute one of them in a subquery";
                return Err(Issue::new(*span, message, remedy));
            }
            let (call_spec, result) = bind_call(call, window, scope, &mut extended, *span)?;
            let at = calls.iter().position(|c| *c == call_spec).unwrap_or_else(|| {
                calls.push(call_spec);
                columns.push(result.clone());
                calls.len() - 1
            });
            places.push((call.name.span, at, result));
        }
        let input = self.extend(input, extended);
        let waits = calls.iter().any(|call| call.frame.following > 0);
        let mut all = self.graph.columns(input).to_vec();
        if waits {
            all.iter_mut().for_each(|column| column.role = Role::Plain);
        }
        let width = all.len();
        let appended = columns.into_iter().enumerate();
        all.extend(appended.map(|(i, result)| Column::new(format!("$over_{i}"), result).hide()));
        let node = self.graph.push(NodeKind::Over { input, partition, rowtime, calls }, all);
        let mut scope = scope.clone();
        let planned = places.into_iter();
        scope.planned = planned.map(|(at, i, t)| (at, Expr::column(width + i, t))).collect();
        let mut items = Vec::new();
        for item in &query.items {
            self.item(item, &scope, &mut items)?;
        }
        Ok(self.graph.project(node, items))
    }
}

/// The columns of PARTITION BY.
pub(crate) fn partition(
    spec: &OverSpec,
    scope: &Scope,
    extended: &mut Extended,
) -> Result<Vec<usize>> {
    let bind = |term| Ok(extended.column(Binder::new(scope).bind(term)?));
    spec.partition_by.iter().map(bind).collect()
}

/// The event-time column of `ORDER BY rt [ASC]`.
fn event_time(spec: &OverSpec, scope: &Scope, span: Span) -> Result<usize> {
    let [term] = spec.order_by.as_slice() else {
        let message = "OVER is ordered by one event time";
        return Err(Issue::new(span, message, "write ORDER BY and the event-time column"));
    };
    let bound = Binder::new(scope).bind(&term.expr)?;
    if let Some(column) = as_column(&bound) {
        check_order(&scope.entries[column].column, term.expr.span)?;
    }
    let time = as_column(&bound).filter(|i| scope.entries[*i].column.role.is_time());
    let Some(index) = time else {
        return Err(Issue::unsupported(
            term.expr.span,
            "OVER ordered by something else than the event time",
        ));
    };
    if term.descending || term.nulls_first.is_some() {
        let message = "OVER is ordered by rising event time only";
        return Err(Issue::new(term.expr.span, message, "write ORDER BY rt"));
    }
    Ok(index)
}

fn bind_call(
    call: &ast::Call,
    window: &OverSpec,
    scope: &Scope,
    extended: &mut Extended,
    span: Span,
) -> Result<(OverCall, DataType)> {
    let name = call.name.value.as_str();
    if matches!(name, "ROW_NUMBER" | "LAG" | "LEAD") && window.frame.is_some() {
        let message = format!("{name} takes no frame");
        return Err(Issue::new(span, message, "remove ROWS or RANGE"));
    }
    match name {
        "ROW_NUMBER" => {
            if !call.args.is_empty() || call.star || call.distinct || call.filter.is_some() {
                let message = "ROW_NUMBER takes no arguments";
                return Err(Issue::new(span, message, "write ROW_NUMBER() OVER (…)"));
            }
            Ok((running_number(), DataType::BigInt))
        }
        "LAG" | "LEAD" => shifted(call, scope, extended, span),
        "RANK" | "DENSE_RANK" | "PERCENT_RANK" | "CUME_DIST" | "NTILE" | "NTH_VALUE" => {
            Err(Issue::unsupported(span, &format!("{name} OVER")))
        }
        _ if !crate::bind::is_aggregate(name) => {
            let message = format!("{name} is no aggregate, OVER does not follow it");
            Err(Issue::new(span, message, "remove OVER"))
        }
        _ => {
            let plain = ast::Call { over: None, ..call.clone() };
            let bound = Binder::new(scope).aggregate_call(&plain, span)?;
            let arg = bound.arg.map(|arg| {
                let data_type = arg.data_type.clone();
                (extended.column(arg), data_type)
            });
            let filter = bound.filter.map(|filter| extended.column(filter));
            let weight = bound.weight.map(|weight| extended.column(weight));
            let spec = AggregateSpec {
                function: bound.function,
                arg,
                filter,
                distinct: bound.distinct,
                params: bound.params,
                weight,
            };
            let frame = frame(window.frame.as_ref(), span)?;
            Ok((OverCall { function: OverFunction::Aggregate(spec), frame }, bound.result))
        }
    }
}

/// ROW_NUMBER: how many rows of the key there are so far.
pub(crate) fn running_number() -> OverCall {
    let count = AggregateSpec::count_rows();
    let frame = Frame { unit: FrameUnit::Rows, preceding: None, following: 0 };
    OverCall { function: OverFunction::Aggregate(count), frame }
}

/// `LAG(value [, rows [, default]])` and LEAD.
fn shifted(
    call: &ast::Call,
    scope: &Scope,
    extended: &mut Extended,
    span: Span,
) -> Result<(OverCall, DataType)> {
    let name = call.name.value.as_str();
    let (value, rows, default) = match call.args.as_slice() {
        [value] => (value, None, None),
        [value, rows] => (value, Some(rows), None),
        [value, rows, default] => (value, Some(rows), Some(default)),
        _ => {
            let message = format!("{name} takes one to three arguments");
            return Err(Issue::new(span, message, format!("write {name}(value, 1)")));
        }
    };
    if call.star || call.distinct || call.filter.is_some() {
        let message = format!("{name} takes no DISTINCT, FILTER or '*'");
        return Err(Issue::new(span, message, format!("write {name}(value, 1)")));
    }
    let rows = rows.map_or(Ok(1), |rows| count(&rows.value, &format!("the offset of {name}")))?;
    let bound = Binder::new(scope).bind(&value.value)?;
    let result = bound.data_type.clone();
    let default = default.map(|default| -> Result<Option<usize>> {
        let at = default.value.span;
        let bound = Binder::new(scope).bind(&default.value)?;
        if bound.data_type == DataType::Null || bound.as_literal() == Some(&Literal::Null) {
            return Ok(None);
        }
        let is_text = matches!(result, DataType::Varchar(_)) && bound.data_type.is_text();
        if bound.data_type != result && !is_text {
            let message = format!("the default of {name} is {}, not {result}", bound.data_type);
            return Err(Issue::new(at, message, format!("write CAST(… AS {result})")));
        }
        Ok(Some(extended.column(bound)))
    });
    let default = default.transpose()?.flatten();
    let column = extended.column(bound);
    let unit = FrameUnit::Rows;
    let call = match name {
        "LAG" => OverCall {
            function: OverFunction::Lag { column, default },
            frame: Frame { unit, preceding: Some(rows), following: 0 },
        },
        _ => OverCall {
            function: OverFunction::Lead { column, default },
            frame: Frame { unit, preceding: Some(0), following: rows },
        },
    };
    Ok((call, result))
}

/// The frame of an aggregate; without one, all rows up to those of the same time.
fn frame(written: Option<&ast::Frame>, span: Span) -> Result<Frame> {
    let Some(ast::Frame { rows, start, end }) = written else {
        return Ok(Frame { unit: FrameUnit::Range, preceding: None, following: 0 });
    };
    let unit = if *rows { FrameUnit::Rows } else { FrameUnit::Range };
    let size = |by: &ast::Expr| match rows {
        true => count(by, "the size of the frame"),
        false => match interval_ms(by, "the size of the frame")? {
            ms @ 0.. => Ok(ms),
            _ => Err(Issue::new(by.span, "the size of the frame is negative", "remove the sign")),
        },
    };
    let preceding = match start {
        Bound::UnboundedPreceding => None,
        Bound::Preceding(by) => Some(size(by)?),
        Bound::CurrentRow => Some(0),
        Bound::Following(by) => {
            return Err(Issue::unsupported(by.span, "a frame that begins after the present row"));
        }
        Bound::UnboundedFollowing => {
            let message = "a frame begins with UNBOUNDED FOLLOWING";
            return Err(Issue::new(span, message, "begin with PRECEDING or CURRENT ROW"));
        }
    };
    let following = match end {
        Bound::CurrentRow => 0,
        Bound::Following(by) if preceding.is_some() => size(by)?,
        Bound::Following(by) => {
            let message = "a frame with UNBOUNDED PRECEDING ends with CURRENT ROW";
            return Err(Issue::new(by.span, message, "begin with a bound, such as 10 PRECEDING"));
        }
        Bound::UnboundedFollowing => {
            let message = "a frame without an end waits for ever";
            return Err(Issue::new(span, message, "end with CURRENT ROW, or a bound"));
        }
        Bound::Preceding(by) => {
            return Err(Issue::unsupported(by.span, "a frame that ends before the present row"));
        }
        Bound::UnboundedPreceding => {
            let message = "a frame ends with UNBOUNDED PRECEDING";
            return Err(Issue::new(span, message, "end with CURRENT ROW"));
        }
    };
    Ok(Frame { unit, preceding, following })
}

/// A whole number that is written as a literal.
fn count(from: &ast::Expr, what: &str) -> Result<i64> {
    let digits = match &from.kind {
        ast::ExprKind::Number(digits) => digits.parse().ok(),
        _ => None,
    };
    let in_range = digits.filter(|n| (0..=ROWS_MAX).contains(n));
    in_range.ok_or_else(|| {
        let message = format!("{what} is no whole number up to {ROWS_MAX}");
        Issue::new(from.span, message, "write a number such as 10")
    })
}
