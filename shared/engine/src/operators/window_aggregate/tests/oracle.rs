//! Step cases of Flink's own window operator test, where the shared oracles are at hand.

extern crate std;

use alloc::{string::String, vec, vec::Vec};
use serde_json::Value;
use std::{eprintln, fs, path::PathBuf};

use crate::{fragment::*, testkit::*};

fn oracle() -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("HEADWATER_SHARED").map_or(root, PathBuf::from);
    let text = fs::read_to_string(root.join("oracles/flink/window_operator.json")).ok()?;
    Some(serde_json::from_str(&text).expect("the oracle is JSON"))
}

/// The window of a case that the operator can express: no session, no allowed lateness.
fn window(case: &Value) -> Option<WindowSpec> {
    let window = &case["window"];
    let size = window["size_ms"].as_i64()?;
    let slide = match window["kind"].as_str()? {
        "tumbling" => size,
        "sliding" => window["slide_ms"].as_i64()?,
        _ => return None,
    };
    let is_plain = case["allowed_lateness_ms"].as_i64() == Some(0) && case["agg"] == "sum";
    (is_plain && size % slide == 0).then(|| WindowSpec {
        offset_ms: window["offset_ms"].as_i64().unwrap_or(0),
        ..hop(size, slide)
    })
}

fn results(run: &mut Run) -> Vec<String> {
    let mut rows: Vec<_> = run.take().into_iter().filter(|e| e.starts_with('+')).collect();
    rows.sort();
    rows
}

fn run_case(case: &Value, window: WindowSpec, restart_always: bool) {
    let spec = aggregate(window, Phase::Complete, vec![call("SUM", Some(INT))]);
    let mut run = Run::new(chain(vec![aggregate_step(spec)]));
    for step in case["steps"].as_array().expect("steps") {
        if let Some(event) = step.get("event") {
            let number = |name| event[name].as_i64().expect("a number");
            let mut row = reading(event["key"].as_str().expect("a key"), number("ts"), 0.0);
            row[INT] = V::I(number("value"));
            run.row(&row);
        } else if let Some(watermark) = step["watermark"].as_i64() {
            run.watermark(watermark);
        } else if let Some(expected) = step["expect"].as_array() {
            let show = |row: &Value| {
                let number = |name| row[name].as_i64().expect("a number");
                let (start, end) = (number("start"), number("end"));
                let key = row["key"].as_str().expect("a key");
                alloc::format!("+I {key} {} {start} {end} {} 0", number("value"), end - 1)
            };
            let mut expected: Vec<_> = expected.iter().map(show).collect();
            expected.sort();
            assert_eq!(results(&mut run), expected, "{}", case["name"]);
        }
        if restart_always || step.get("snapshot_restore").is_some() {
            run.checkpoint(false).restart();
        }
    }
}

#[test]
fn flink_window_operator() {
    let Some(oracle) = oracle() else {
        eprintln!("skipped: flink_window_operator (no shared oracles)");
        return;
    };
    let mut count = 0;
    for case in oracle["cases"].as_array().expect("cases") {
        if let Some(window) = window(case) {
            run_case(case, window.clone(), false);
            run_case(case, window, true);
            count += 1;
        }
    }
    eprintln!("{count} cases of Flink's window operator");
    assert!(count >= 2);
}
