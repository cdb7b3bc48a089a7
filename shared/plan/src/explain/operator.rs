//! What a step does, in words: for people, and for the fingerprint of a plan.

use headwater_engine::expr::Expr;
use headwater_engine::fragment::{
    AggregateSpec, GroupAggregateSpec, OperatorSpec, Phase, SessionSpec, WindowAggregateSpec,
    WindowKind, WindowSpec,
};
use headwater_engine::types::Schema;

use super::expr::Shown;
use super::join;
use super::pattern;
use super::{over, rank};

/// One step over rows of these columns.
pub(super) fn operator_text(operator: &OperatorSpec, inputs: &[Schema]) -> String {
    let none = Schema::default();
    let below = inputs.first().unwrap_or(&none);
    let name = |column: usize| below.fields.get(column).map_or("?", |f| f.name.as_str());
    match operator {
        OperatorSpec::Filter(predicate) => format!("filter {}", Shown(predicate, below)),
        OperatorSpec::Project(exprs) => {
            let shown: Vec<String> = exprs.iter().map(|e| Shown(e, below).to_string()).collect();
            format!("project {}", shown.join(", "))
        }
        OperatorSpec::DedupFirst(spec) => {
            let key: Vec<&str> = spec.key.iter().map(|c| name(*c)).collect();
            let ttl = spec.ttl_ms.map_or(String::new(), |ms| format!(", forgotten after {ms} ms"));
            let held = if spec.key_holds_time { ", behind the watermark forgotten" } else { "" };
            let time = name(spec.rowtime);
            format!("keep the first row by {time} of each ({}){held}{ttl}", key.join(", "))
        }
        OperatorSpec::WindowAssign(window) => {
            format!("assign {}", window_text(window, name(window.rowtime)))
        }
        OperatorSpec::WindowAggregate(spec) => aggregate_text(spec, below),
        OperatorSpec::GroupAggregate(spec) => group_text(spec, below),
        OperatorSpec::SessionAggregate(spec) => session_text(spec, below),
        OperatorSpec::SessionWindows(spec) => {
            let key: Vec<&str> = spec.key.iter().map(|c| name(*c)).collect();
            let (gap, time) = (spec.gap_ms, name(spec.rowtime));
            format!("assign sessions of each ({}) by gaps of {gap} ms over {time}", key.join(", "))
        }
        OperatorSpec::Over(spec) => over::text(spec, below),
        OperatorSpec::Rank(spec) => rank::text(spec, below),
        OperatorSpec::Sort(spec) => rank::sort_text(spec, below),
        OperatorSpec::Union => "union".to_owned(),
        OperatorSpec::Values(rows) => values_text(rows),
        OperatorSpec::IntervalJoin(spec) => join::interval(spec, inputs),
        OperatorSpec::WindowJoin(spec) => join::window(spec, inputs),
        OperatorSpec::TemporalJoin(spec) => join::temporal(spec, inputs),
        OperatorSpec::LookupJoin(spec) => join::lookup(spec, inputs),
        OperatorSpec::Join(spec) => join::regular(spec, inputs),
        OperatorSpec::Absence(spec) => pattern::absence_text(spec, below),
        OperatorSpec::MatchRecognize(spec) => pattern::pattern_text(spec, below),
        OperatorSpec::LocalTime { rowtime, zone } => {
            let zone = zone.split(';').next().unwrap_or_default();
            format!("{} by the clock of {zone}, the watermark too", name(*rowtime))
        }
        OperatorSpec::Unnest { column } => format!("unnest {}", name(*column)),
    }
}

fn values_text(rows: &[Vec<Expr>]) -> String {
    let none = Schema::default();
    let row = |row: &Vec<Expr>| {
        let cells: Vec<String> = row.iter().map(|e| Shown(e, &none).to_string()).collect();
        format!("({})", cells.join(", "))
    };
    format!("values {}", rows.iter().map(row).collect::<Vec<_>>().join(", "))
}

fn group_text(spec: &GroupAggregateSpec, below: &Schema) -> String {
    let keys: Vec<String> = spec.keys.iter().map(|c| column_text(below, *c)).collect();
    let calls = calls_text(&spec.aggregates, below);
    let changes = if spec.takes_changes { ", rows taken away too" } else { "" };
    let ttl = spec.ttl_ms.map_or(String::new(), |ms| format!(", forgotten after {ms} ms"));
    match spec.aggregates.is_empty() {
        true => format!("keep each ({}) once{changes}{ttl}", keys.join(", ")),
        false => format!("aggregate {calls} by ({}), updating{changes}{ttl}", keys.join(", ")),
    }
}

fn session_text(spec: &SessionSpec, below: &Schema) -> String {
    let keys: Vec<String> = spec.keys.iter().map(|c| column_text(below, *c)).collect();
    let calls = calls_text(&spec.aggregates, below);
    let (gap, time) = (spec.gap_ms, column_text(below, spec.rowtime));
    let keys = keys.join(", ");
    format!("aggregate {calls} by ({keys}) in sessions with gaps of {gap} ms over {time}")
}

pub(super) fn column_text(below: &Schema, column: usize) -> String {
    below.fields.get(column).map_or(format!("#{column}"), |f| f.name.clone())
}

pub(super) fn calls_text(calls: &[AggregateSpec], below: &Schema) -> String {
    let name = |column: usize| column_text(below, column);
    let call = |call: &AggregateSpec| {
        let arg = call.arg.as_ref().map_or("*".to_owned(), |(c, ty)| format!("{}: {ty}", name(*c)));
        let filter = call.filter.map_or(String::new(), |c| format!(" where {}", name(c)));
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let params: String = call.params.iter().map(|p| format!(", {p:?}")).collect();
        let weight = call.weight.map_or(String::new(), |c| format!(", as often as {}", name(c)));
        format!("{}({distinct}{arg}{params}{weight}){filter}", call.function)
    };
    calls.iter().map(call).collect::<Vec<_>>().join(", ")
}

fn aggregate_text(spec: &WindowAggregateSpec, below: &Schema) -> String {
    let keys: Vec<String> = spec.keys.iter().map(|c| column_text(below, *c)).collect();
    let calls = calls_text(&spec.aggregates, below);
    let phase = match spec.phase {
        Phase::Complete => "aggregate".to_owned(),
        Phase::Partial => "aggregate to partials".to_owned(),
        Phase::Coarsen => "add partials up".to_owned(),
        Phase::Merge { correction_ms } => format!("merge, correct for {correction_ms} ms"),
    };
    let window = window_text(&spec.window, &column_text(below, spec.window.rowtime));
    let late = match spec.lateness_ms {
        0 => String::new(),
        ms => format!(", late rows taken for {ms} ms"),
    };
    format!("{phase} {calls} by ({}) in {window}{late}", keys.join(", "))
}

fn window_text(window: &WindowSpec, time: &str) -> String {
    let WindowSpec { rowtime: _, size_ms, slide_ms, offset_ms, kind } = window;
    let slide = match kind {
        WindowKind::Hopping if slide_ms == size_ms => String::new(),
        WindowKind::Hopping => format!(" every {slide_ms} ms"),
        WindowKind::Cumulating => format!(" in steps of {slide_ms} ms"),
    };
    let offset = match offset_ms {
        0 => String::new(),
        ms => format!(" shifted by {ms} ms"),
    };
    format!("windows of {size_ms} ms{slide}{offset} over {time}")
}
