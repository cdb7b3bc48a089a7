//! Joins in words.

use headwater_engine::fragment::{
    IntervalJoinSpec, JoinKind, JoinSpec, RegularJoinSpec, TemporalJoinSpec, WindowJoinSpec,
};
use headwater_engine::types::Schema;

use crate::explain::expr::Shown;

fn name(schema: &Schema, column: usize) -> &str {
    schema.fields.get(column).map_or("?", |f| f.name.as_str())
}

fn kind(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "inner",
        JoinKind::Left => "left",
        JoinKind::Right => "right",
        JoinKind::Full => "full",
        JoinKind::Semi => "semi",
        JoinKind::Anti => "anti",
    }
}

/// Keys and condition.
fn pairs(join: &JoinSpec, inputs: &[Schema]) -> String {
    let keys = join.keys[0].iter().zip(&join.keys[1]);
    let equal =
        |(l, r): (&usize, &usize)| format!("{} = {}", name(&inputs[0], *l), name(&inputs[1], *r));
    let mut terms: Vec<String> = keys.map(equal).collect();
    if let Some(condition) = &join.condition {
        let both = inputs.iter().flat_map(|schema| schema.fields.iter().cloned());
        terms.push(Shown(condition, &Schema::new(both.collect())).to_string());
    }
    match terms.is_empty() {
        true => String::new(),
        false => format!(" on {}", terms.join(", ")),
    }
}

pub(super) fn interval(spec: &IntervalJoinSpec, inputs: &[Schema]) -> String {
    let IntervalJoinSpec { join, times, low_ms, high_ms } = spec;
    let (left, right) = (name(&inputs[0], times[0]), name(&inputs[1], times[1]));
    format!(
        "{} join{}, right {right} from {low_ms} to {high_ms} ms after left {left}",
        kind(join.kind),
        pairs(join, inputs)
    )
}

pub(super) fn window(spec: &WindowJoinSpec, inputs: &[Schema]) -> String {
    let WindowJoinSpec { join, ends } = spec;
    let end = name(&inputs[0], ends[0]);
    format!("{} join{}, when the window closes at {end}", kind(join.kind), pairs(join, inputs))
}

pub(super) fn temporal(spec: &TemporalJoinSpec, inputs: &[Schema]) -> String {
    let TemporalJoinSpec { join, times } = spec;
    let (left, right) = (name(&inputs[0], times[0]), name(&inputs[1], times[1]));
    let kind = kind(join.kind);
    format!("{kind} join{}, right version by {right} as of left {left}", pairs(join, inputs))
}

pub(super) fn lookup(join: &JoinSpec, inputs: &[Schema]) -> String {
    format!("{} join{}, right table as it is on arrival", kind(join.kind), pairs(join, inputs))
}

pub(super) fn regular(spec: &RegularJoinSpec, inputs: &[Schema]) -> String {
    let RegularJoinSpec { join, ttl_ms } = spec;
    let kept = ttl_ms.map_or("all rows kept".to_owned(), |ms| format!("rows kept for {ms} ms"));
    format!("{} join{}, {kept}", kind(join.kind), pairs(join, inputs))
}
