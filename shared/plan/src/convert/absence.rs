//! `ABSENCE(TABLE t PARTITION BY k, DESCRIPTOR(rt), gap [, DESCRIPTOR(after) [, DESCRIPTOR(of)]])`.

use sqlparser::ast as sql;
use sqlparser::tokenizer::Span;

use crate::ast::Absence;
use crate::convert::relation::{bind, descriptor, take_table};
use crate::diagnostic::{Issue, Result};

/// By position or by name.
const PARAMETERS: [&str; 5] = ["DATA", "TIMECOL", "GAP", "AFTER", "OF"];

pub(super) fn convert(function: sql::Function, name_span: Span) -> Result<Absence> {
    let (table, partition_by, args) = take_table(function)?;
    let mut slots = bind(args, &PARAMETERS, "ABSENCE", name_span)?;
    let mut take = |parameter: &str| {
        slots.iter().position(|(p, _)| *p == parameter).map(|i| slots.swap_remove(i).1)
    };
    let missing = |parameter: &str| {
        let message = format!("ABSENCE has no {parameter}");
        Issue::new(name_span, message, format!("its arguments are {}", PARAMETERS.join(", ")))
    };
    Ok(Absence {
        table,
        partition_by,
        time: descriptor(take("TIMECOL").ok_or_else(|| missing("TIMECOL"))?)?,
        gap: take("GAP").ok_or_else(|| missing("GAP"))?,
        after: take("AFTER").map(descriptor).transpose()?,
        of: take("OF").map(descriptor).transpose()?,
    })
}
