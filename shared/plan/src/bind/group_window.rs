//! Group windows: `GROUP BY TUMBLE(rt, …)` and the functions that name their ends.

use headwater_engine::expr::Expr;
use headwater_engine::fragment::{WindowKind, WindowSpec};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, ExprKind};
use crate::bind::{Binder, Grouping, Scope, interval_ms, sets};
use crate::compile::as_column;
use crate::diagnostic::{Issue, Result};
use crate::logical::WindowShape;

/// A window that GROUP BY names.
#[derive(Clone, Debug)]
pub(crate) struct GroupWindow {
    function: String,
    /// The event time, over the query's columns.
    pub(crate) time: Expr,
    /// Slide and size, size, or gap.
    intervals: Vec<i64>,
    pub(crate) shape: WindowShape,
}

/// Which end of its window a function names.
#[derive(Clone, Copy, PartialEq)]
enum Bound {
    Start,
    End,
    Rowtime,
    Proctime,
}

/// The group window in `TUMBLE_START` and the like, and the end that is asked for.
fn auxiliary(name: &str) -> Option<(&str, Bound)> {
    let (function, end) = name.split_once('_')?;
    let end = match end {
        "START" => Bound::Start,
        "END" => Bound::End,
        "ROWTIME" => Bound::Rowtime,
        "PROCTIME" => Bound::Proctime,
        _ => return None,
    };
    intervals_of(function).map(|_| (function, end))
}

/// What the arguments after the time of a group window are.
fn intervals_of(function: &str) -> Option<&'static [&'static str]> {
    match function {
        "TUMBLE" => Some(&["size"]),
        "HOP" => Some(&["slide", "size"]),
        "SESSION" => Some(&["gap"]),
        _ => None,
    }
}

/// The time and the intervals of a call.
fn arguments(
    function: &str,
    call: &ast::Call,
    scope: &Scope,
    span: Span,
) -> Result<(Expr, Vec<i64>)> {
    let names = intervals_of(function).expect("called for a group window");
    let is_plain = call.args.iter().all(|arg| arg.name.is_none());
    if call.args.len() != names.len() + 1 || !is_plain || call.distinct || call.star {
        let message = format!("{} has other arguments", call.name.value);
        let remedy = format!("write {}(rt, {})", call.name.value, names.join(", "));
        return Err(Issue::new(span, message, remedy));
    }
    let time = &call.args[0].value;
    let bound = Binder::new(scope).bind(time)?;
    let is_time =
        as_column(&bound).is_some_and(|c| scope.entries[c].column.role.is_time_of_windows());
    if !is_time {
        let message = format!("the first argument of {} is no event time", call.name.value);
        let remedy = "name the column that WATERMARK FOR names, or a window's time";
        return Err(Issue::new(time.span, message, remedy));
    }
    let mut intervals = Vec::new();
    for (name, arg) in names.iter().zip(&call.args[1..]) {
        let ms = interval_ms(&arg.value, &format!("the {name} of the window"))?;
        if ms <= 0 {
            let message = format!("the {name} of the window is not positive");
            return Err(Issue::new(arg.value.span, message, "write INTERVAL '10' SECOND"));
        }
        intervals.push(ms);
    }
    Ok((bound, intervals))
}

/// The group window that a term of GROUP BY is, if it is one.
pub(crate) fn group_window(term: &ast::Expr, scope: &Scope) -> Result<Option<GroupWindow>> {
    let ExprKind::Call(call) = &term.kind else { return Ok(None) };
    let function = call.name.value.as_str();
    if intervals_of(function).is_none() {
        return Ok(None);
    }
    let (time, intervals) = arguments(function, call, scope, term.span)?;
    let aligned = |size_ms, slide_ms| {
        let kind = WindowKind::Hopping;
        WindowShape::Aligned(WindowSpec { rowtime: 0, size_ms, slide_ms, offset_ms: 0, kind })
    };
    let shape = match (function, intervals.as_slice()) {
        ("HOP", [slide, size]) => aligned(*size, *slide),
        ("TUMBLE", [size]) => aligned(*size, *size),
        (_, [gap_ms, ..]) => WindowShape::Session { gap_ms: *gap_ms },
        (_, []) => unreachable!("a group window has an interval"),
    };
    Ok(Some(GroupWindow { function: function.to_owned(), time, intervals, shape }))
}

/// Refuses `TUMBLE_START` and the like outside of a query that groups by the window.
pub(crate) fn refuse_auxiliary(call: &ast::Call, span: Span) -> Result<()> {
    match auxiliary(&call.name.value) {
        Some((function, _)) => {
            let message = format!("{} stands without its window", call.name.value);
            Err(Issue::new(span, message, format!("add {function}(…) to GROUP BY")))
        }
        None => Ok(()),
    }
}

impl Binder<'_> {
    /// A function that asks for the grouping of its row: an end of the window, or the set.
    pub(crate) fn of_grouping(
        &self,
        grouping: &Grouping,
        call: &ast::Call,
        span: Span,
    ) -> Result<Option<Expr>> {
        if matches!(call.name.value.as_str(), "GROUPING" | "GROUPING_ID") {
            return sets::grouping_id(self.scope, grouping, call, span).map(Some);
        }
        match &grouping.window {
            Some((window, behind)) => self.window_end(window, *behind, call, span),
            None => Ok(None),
        }
    }

    /// A function that names an end of the query's group window; columns of the three ends begin
    /// at `behind`.
    fn window_end(
        &self,
        window: &GroupWindow,
        behind: usize,
        call: &ast::Call,
        span: Span,
    ) -> Result<Option<Expr>> {
        let Some((function, end)) = auxiliary(&call.name.value) else { return Ok(None) };
        let (time, intervals) = arguments(function, call, self.scope, span)?;
        if function != window.function || time != window.time || intervals != window.intervals {
            let message = format!("{} names another window than GROUP BY", call.name.value);
            let remedy = format!("give it the arguments of {} in GROUP BY", window.function);
            return Err(Issue::new(span, message, remedy));
        }
        let timestamp = DataType::Timestamp(3);
        Ok(Some(match end {
            Bound::Start => Expr::column(behind, timestamp),
            Bound::End => Expr::column(behind + 1, timestamp),
            Bound::Rowtime => Expr::column(behind + 2, window.time.data_type.clone()),
            Bound::Proctime => {
                return Err(Issue::unsupported(span, "processing time"));
            }
        }))
    }
}
