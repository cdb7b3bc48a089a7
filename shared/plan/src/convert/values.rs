//! VALUES: rows written out.

use sqlparser::ast as sql;
use sqlparser::tokenizer::Span;

use crate::ast::Values;
use crate::convert::expr;
use crate::diagnostic::{Issue, Result};

/// Converts `VALUES (…), …`; all rows are as wide as the first one.
pub(crate) fn convert(from: sql::Values, at: Span) -> Result<Values> {
    let sql::Values { explicit_row: _, value_keyword, rows } = from;
    if value_keyword {
        return Err(Issue::not_flink(at, "VALUE", "write VALUES"));
    }
    let mut converted: Vec<Vec<_>> = Vec::new();
    let mut span = at;
    for row in rows {
        let place = row.opening_token.0.span;
        if converted.is_empty() && at == Span::empty() {
            span = place;
        }
        let own = row.content.into_iter().map(expr).collect::<Result<Vec<_>>>()?;
        let width = converted.first().map_or(own.len(), Vec::len);
        if own.len() != width {
            let message = format!("a row of VALUES has {} values, the first {width}", own.len());
            return Err(Issue::new(place, message, "give each row as many values"));
        }
        converted.push(own);
    }
    Ok(Values { rows: converted, span })
}
