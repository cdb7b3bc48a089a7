//! What an OVER step does, in words.

use headwater_engine::fragment::{Frame, FrameUnit, OverCall, OverFunction, OverSpec};
use headwater_engine::types::Schema;

use super::operator::{calls_text, column_text};

pub(super) fn text(spec: &OverSpec, below: &Schema) -> String {
    let calls: Vec<String> = spec.calls.iter().map(|call| one(call, below)).collect();
    let keys: Vec<String> = spec.partition.iter().map(|c| column_text(below, *c)).collect();
    let time = column_text(below, spec.rowtime);
    let ttl = spec.ttl_ms.map_or(String::new(), |ms| format!(", forgotten after {ms} ms"));
    format!("over ({}) by {time}: {}{ttl}", keys.join(", "), calls.join(", "))
}

fn one(call: &OverCall, below: &Schema) -> String {
    let shifted = |name: &str, column: usize, rows: i64, default: Option<usize>| {
        let default = default.map_or(String::new(), |c| format!(", {}", column_text(below, c)));
        format!("{name}({}, {rows}{default})", column_text(below, column))
    };
    let frame = &call.frame;
    match &call.function {
        OverFunction::Aggregate(spec) => {
            format!("{} {}", calls_text(core::slice::from_ref(spec), below), frame_text(frame))
        }
        OverFunction::Lag { column, default } => {
            shifted("LAG", *column, frame.preceding.unwrap_or(0), *default)
        }
        OverFunction::Lead { column, default } => {
            shifted("LEAD", *column, frame.following, *default)
        }
    }
}

fn frame_text(frame: &Frame) -> String {
    let unit = match frame.unit {
        FrameUnit::Rows => "rows",
        FrameUnit::Range => "ms",
    };
    let from = match frame.preceding {
        None => "from the first row".to_owned(),
        Some(0) => "from this row".to_owned(),
        Some(by) => format!("from {by} {unit} before"),
    };
    let to = match frame.following {
        0 => String::new(),
        by => format!(" to {by} {unit} after"),
    };
    let one_by_one = match frame.unit {
        FrameUnit::Rows => ", one by one",
        FrameUnit::Range => "",
    };
    format!("[{from}{to}{one_by_one}]")
}
