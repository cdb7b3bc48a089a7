//! OVER: partition, order and frame, written at the call or in the WINDOW clause.

use sqlparser::ast as sql;
use sqlparser::tokenizer::Span;

use crate::ast::{Bound, Frame, Name, Over, OverSpec};
use crate::convert::call::order_term;
use crate::convert::{expr, name};
use crate::diagnostic::{Issue, Result};

/// What stands behind OVER at a call.
pub(crate) fn over(from: sql::WindowType, span: Span) -> Result<Over> {
    match from {
        sql::WindowType::WindowSpec(from) => Ok(Over::Spec(Box::new(spec(from, span)?))),
        sql::WindowType::NamedWindow(ident) => Ok(Over::Named(name(ident)?)),
    }
}

/// The WINDOW clause.
pub(crate) fn windows(from: Vec<sql::NamedWindowDefinition>) -> Result<Vec<(Name, OverSpec)>> {
    let window = |sql::NamedWindowDefinition(ident, window): sql::NamedWindowDefinition| {
        let span = ident.span;
        match window {
            sql::NamedWindowExpr::WindowSpec(from) => Ok((name(ident)?, spec(from, span)?)),
            sql::NamedWindowExpr::NamedWindow(other) => {
                let remedy = "write PARTITION BY, ORDER BY and the frame in brackets";
                Err(Issue::not_flink(other.span, "a second name of a window", remedy))
            }
        }
    };
    from.into_iter().map(window).collect()
}

fn spec(from: sql::WindowSpec, span: Span) -> Result<OverSpec> {
    let sql::WindowSpec { window_name, partition_by, order_by, window_frame } = from;
    if let Some(ident) = window_name {
        return Err(Issue::unsupported(ident.span, "a window that refers to another one"));
    }
    Ok(OverSpec {
        partition_by: partition_by.into_iter().map(expr).collect::<Result<_>>()?,
        order_by: order_by.into_iter().map(order_term).collect::<Result<_>>()?,
        frame: window_frame.map(|from| frame(from, span)).transpose()?,
    })
}

fn frame(from: sql::WindowFrame, span: Span) -> Result<Frame> {
    let sql::WindowFrame { units, start_bound, end_bound } = from;
    let rows = match units {
        sql::WindowFrameUnits::Rows => true,
        sql::WindowFrameUnits::Range => false,
        sql::WindowFrameUnits::Groups => {
            return Err(Issue::not_flink(span, "GROUPS", "write ROWS or RANGE"));
        }
    };
    let end = end_bound.map_or(Ok(Bound::CurrentRow), bound)?;
    Ok(Frame { rows, start: bound(start_bound)?, end })
}

fn bound(from: sql::WindowFrameBound) -> Result<Bound> {
    Ok(match from {
        sql::WindowFrameBound::CurrentRow => Bound::CurrentRow,
        sql::WindowFrameBound::Preceding(None) => Bound::UnboundedPreceding,
        sql::WindowFrameBound::Preceding(Some(by)) => Bound::Preceding(Box::new(expr(*by)?)),
        sql::WindowFrameBound::Following(None) => Bound::UnboundedFollowing,
        sql::WindowFrameBound::Following(Some(by)) => Bound::Following(Box::new(expr(*by)?)),
    })
}
