//! MATCH_RECOGNIZE and ABSENCE as text: everything that it does.

use std::fmt::Write;

use headwater_engine::fragment::{
    AbsenceSpec, AfterMatch, Formula, MatchItem, MatchSpec, MatchVariable,
};
use headwater_engine::types::{DataType, Field, Schema};

use crate::explain::expr::Shown;

pub(super) fn pattern_text(spec: &MatchSpec, below: &Schema) -> String {
    let name = |column: usize| below.fields.get(column).map_or("?", |f| f.name.as_str());
    let keys: Vec<&str> = spec.key.iter().map(|c| name(*c)).collect();
    let mut out = format!("match by ({}) in order of {}", keys.join(", "), name(spec.rowtime));
    for term in &spec.order {
        let falling = if term.descending { " DESC" } else { "" };
        let nulls = if term.nulls_first { "" } else { " NULLS LAST" };
        let _ = write!(out, ", {}{falling}{nulls}", name(term.column));
    }
    let pattern: Vec<String> = spec.variables.iter().map(variable_text).collect();
    let _ = write!(out, ": pattern ({})", pattern.join(" "));
    if let Some(ms) = spec.within_ms {
        let _ = write!(out, " within {ms} ms");
    }
    let variable = |index: usize| spec.variables[index].name.as_str();
    let _ = match spec.after {
        AfterMatch::PastLastRow => write!(out, ", then past its last row"),
        AfterMatch::NextRow => write!(out, ", then from the next row"),
        AfterMatch::First(index) => write!(out, ", then from the first {}", variable(index)),
        AfterMatch::Last(index) => write!(out, ", then from the last {}", variable(index)),
    };
    for MatchVariable { name, define, .. } in &spec.variables {
        if let Some(define) = define {
            let _ = write!(out, ", {name} is {}", formula_text(define, spec, below));
        }
    }
    let measures: Vec<String> =
        spec.measures.iter().map(|m| formula_text(m, spec, below)).collect();
    let _ = write!(out, ", measures ({})", measures.join(", "));
    out
}

pub(super) fn absence_text(spec: &AbsenceSpec, below: &Schema) -> String {
    let name = |column: usize| below.fields.get(column).map_or("?", |f| f.name.as_str());
    let keys: Vec<&str> = spec.key.iter().map(|c| name(*c)).collect();
    let flag = |word: &str, column: Option<usize>| {
        column.map_or(String::new(), |column| format!(", {word} {}", name(column)))
    };
    let (after, of) = (flag("after", spec.starts), flag("of", spec.ends));
    let time = name(spec.rowtime);
    format!("absence by ({}) for {} ms over {time}{after}{of}", keys.join(", "), spec.gap_ms)
}

fn variable_text(variable: &MatchVariable) -> String {
    let MatchVariable { name, min, max, greedy, define: _ } = variable;
    let quantifier = match (min, max) {
        (1, Some(1)) => return name.clone(),
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (min, None) => format!("{{{min},}}"),
        (min, Some(max)) => format!("{{{min},{max}}}"),
    };
    format!("{name}{quantifier}{}", if *greedy { "" } else { "?" })
}

/// The expression with its items as column names.
fn formula_text(formula: &Formula, spec: &MatchSpec, below: &Schema) -> String {
    let item = |item| Field::new(item_text(item, spec, below), DataType::Null);
    let names = Schema::new(formula.items.iter().map(item).collect());
    Shown(&formula.expr, &names).to_string()
}

fn item_text(item: &MatchItem, spec: &MatchSpec, below: &Schema) -> String {
    let name = |column: usize| below.fields.get(column).map_or("?", |f| f.name.as_str());
    let of = |variable: &Option<usize>| {
        variable.map_or("*".to_owned(), |index| spec.variables[index].name.clone())
    };
    match item {
        MatchItem::Current(column) => name(*column).to_owned(),
        MatchItem::Row { variable, from_first, offset, column } => {
            let end = if *from_first { "FIRST" } else { "LAST" };
            format!("{end}({}.{}, {offset})", of(variable), name(*column))
        }
        MatchItem::Aggregate { variable, function, arg } => {
            let arg = arg.as_ref().map_or("*".to_owned(), |arg| Shown(arg, below).to_string());
            format!("{function}({arg} of {})", of(variable))
        }
        MatchItem::Time => "MATCH_ROWTIME()".to_owned(),
    }
}
