//! The terms of a join's condition, taken apart.

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::diagnostic::{Issue, Result};
use crate::logical::{By, Column, Role, each_column, rewrite};

/// What the terms mean.
pub(super) struct Terms {
    /// Equal expressions, over the left and over the right input's columns.
    pub(super) keys: Vec<(Expr, Expr)>,
    pub(super) by: By,
    /// Over the columns of both.
    pub(super) rest: Vec<Expr>,
}

/// Takes the terms apart; `width` columns are the left input's.
pub(super) fn take_apart(
    terms: &[Expr],
    columns: &[Column],
    width: usize,
    span: Span,
) -> Result<Terms> {
    let interval = interval(terms, columns, width);
    if let Some(Bounds { low_ms: Some(low), high_ms: Some(high), .. }) = &interval
        && low > high
    {
        let message = "no two event times are within the interval of this join";
        let remedy = "write a.rt BETWEEN b.rt - INTERVAL '5' SECOND AND b.rt";
        return Err(Issue::new(span, message, remedy));
    }
    let is_bound = |index: &usize| interval.as_ref().is_some_and(|b| b.terms.contains(index));
    let unbound = terms.iter().enumerate().filter(|(index, _)| !is_bound(index));
    let (keys, rest) = equal(unbound.map(|(_, term)| term), width);
    let by = match interval {
        Some(Bounds { times, low_ms: Some(low_ms), high_ms: Some(high_ms), .. }) => {
            By::Interval { times, low_ms, high_ms }
        }
        _ if windows(&keys, columns, width) => By::Window,
        _ => By::Equality,
    };
    Ok(Terms { keys, by, rest })
}

/// The terms that are equalities of both sides, and the others.
pub(super) fn equal<'t>(
    terms: impl IntoIterator<Item = &'t Expr>,
    width: usize,
) -> (Vec<(Expr, Expr)>, Vec<Expr>) {
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    for term in terms {
        match key(term, width) {
            Some(key) => keys.push(key),
            None => rest.push(term.clone()),
        }
    }
    (keys, rest)
}

/// Whether start and end of the windows are equal on both sides.
fn windows(keys: &[(Expr, Expr)], columns: &[Column], width: usize) -> bool {
    let has = |role: Role| {
        keys.iter().any(|(left, right)| match (&left.kind, &right.kind) {
            (ExprKind::Column(l), ExprKind::Column(r)) => {
                columns[*l].role == role && columns[width + r].role == role
            }
            _ => false,
        })
    };
    has(Role::WindowStart) && has(Role::WindowEnd)
}

/// The side whose columns alone an expression reads.
pub(super) fn side_of(expr: &Expr, width: usize) -> Option<usize> {
    let mut sides = [false; 2];
    each_column(expr, &mut |index| sides[usize::from(index >= width)] = true);
    match sides {
        [true, false] => Some(0),
        [false, true] => Some(1),
        _ => None,
    }
}

/// An expression over the right input's columns alone.
pub(super) fn moved(expr: &Expr, width: usize) -> Expr {
    rewrite(expr, &mut |index, ty| Expr::column(index - width, ty.clone()))
}

/// `left = right`, in either order.
fn key(term: &Expr, width: usize) -> Option<(Expr, Expr)> {
    let ExprKind::Call(name, args) = &term.kind else { return None };
    let [a, b] = args.as_slice() else { return None };
    if name != "="
        || a.data_type != b.data_type && !(a.data_type.is_text() && b.data_type.is_text())
    {
        return None;
    }
    match (side_of(a, width)?, side_of(b, width)?) {
        (0, 1) => Some((a.clone(), moved(b, width))),
        (1, 0) => Some((b.clone(), moved(a, width))),
        _ => None,
    }
}

/// Bounds of the right event time, from the left one.
struct Bounds {
    /// Columns of the left and of the right input.
    times: [usize; 2],
    low_ms: Option<i64>,
    high_ms: Option<i64>,
    /// The terms that say so.
    terms: Vec<usize>,
}

/// The first pair of event times that is bounded from both sides.
fn interval(terms: &[Expr], columns: &[Column], width: usize) -> Option<Bounds> {
    let mut all: Vec<Bounds> = Vec::new();
    for (index, term) in terms.iter().enumerate() {
        let Some((times, low_ms, high_ms)) = bound(term, columns, width) else { continue };
        match all.iter_mut().find(|bounds| bounds.times == times) {
            Some(bounds) => {
                bounds.low_ms = bounds.low_ms.max(low_ms);
                bounds.high_ms = match (bounds.high_ms, high_ms) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                bounds.terms.push(index);
            }
            None => all.push(Bounds { times, low_ms, high_ms, terms: vec![index] }),
        }
    }
    all.into_iter().find(|bounds| bounds.low_ms.is_some() && bounds.high_ms.is_some())
}

/// Times, least and largest difference.
type Bound = ([usize; 2], Option<i64>, Option<i64>);

/// What a comparison says of right time - left time.
fn bound(term: &Expr, columns: &[Column], width: usize) -> Option<Bound> {
    let ExprKind::Call(name, args) = &term.kind else { return None };
    let [a, b] = args.as_slice() else { return None };
    let (a, b) = (point(a, columns)?, point(b, columns)?);
    let (left, right, name) = match (a.column < width, b.column < width) {
        (true, false) => (a, b, name.as_str()),
        (false, true) => (b, a, mirrored(name)),
        _ => return None,
    };
    // left + p < right + q: right - left > p - q.
    let difference = left.offset_ms.checked_sub(right.offset_ms)?;
    let (low, high) = match name {
        "=" => (Some(difference), Some(difference)),
        "<" => (Some(difference + 1), None),
        "<=" => (Some(difference), None),
        ">" => (None, Some(difference - 1)),
        ">=" => (None, Some(difference)),
        _ => return None,
    };
    Some(([left.column, right.column - width], low, high))
}

fn mirrored(name: &str) -> &str {
    match name {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

/// An event time and what is added to it.
struct Point {
    column: usize,
    offset_ms: i64,
}

fn point(expr: &Expr, columns: &[Column]) -> Option<Point> {
    match &expr.kind {
        ExprKind::Column(column) if columns[*column].role.is_time() => {
            Some(Point { column: *column, offset_ms: 0 })
        }
        ExprKind::Call(name, args) => {
            let [a, b] = args.as_slice() else { return None };
            let (of, by) = match name.as_str() {
                "+" => match milliseconds(b) {
                    Some(by) => (a, by),
                    None => (b, milliseconds(a)?),
                },
                "-" => (a, milliseconds(b)?.checked_neg()?),
                _ => return None,
            };
            let point = point(of, columns)?;
            // Beyond all times a sum could overflow.
            let offset_ms = point.offset_ms.checked_add(by)?;
            (offset_ms.abs() < OFFSET_MS_MAX).then_some(Point { offset_ms, ..point })
        }
        _ => None,
    }
}

fn milliseconds(expr: &Expr) -> Option<i64> {
    match (&expr.kind, &expr.data_type) {
        (ExprKind::Literal(Literal::Int(ms)), DataType::IntervalDay) => Some(*ms),
        (ExprKind::Call(name, args), DataType::IntervalDay) if name == "NEGATE" => {
            milliseconds(args.first()?)?.checked_neg()
        }
        _ => None,
    }
}

/// Largest distance of times in an interval join: about 30,000 years.
const OFFSET_MS_MAX: i64 = 1 << 50;
