//! Step cases of Flink's own window operator test, where the shared oracles are at hand.
//!
//! A case with another trigger, or with late rows for sessions, has no form in SQL here: it is
//! skipped by name.

extern crate std;

use alloc::{string::String, vec, vec::Vec};
use serde_json::Value;
use std::{eprintln, fs, path::PathBuf};

use crate::{fragment::*, operators::session_aggregate, testkit::*, types::DataType};

fn oracle() -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("HEADWATER_SHARED").map_or(root, PathBuf::from);
    let text = fs::read_to_string(root.join("oracles/flink/window_operator.json")).ok()?;
    Some(serde_json::from_str(&text).expect("the oracle is JSON"))
}

/// The pipeline of a case, or why it has none.
fn pipeline(case: &Value) -> Result<Fragment, &'static str> {
    let window = &case["window"];
    let number = |name| window[name].as_i64();
    if case["agg"] != "sum" || case.get("trigger").is_some() {
        return Err("another trigger than the end of the window");
    }
    let lateness_ms = case["allowed_lateness_ms"].as_i64().expect("a lateness");
    if lateness_ms > 0 && (window["kind"] == "session" || case["accumulation"] == "discarding") {
        return Err("allowed lateness of sessions, or results that forget");
    }
    if case["edge"] == true {
        return Err("times beyond the supported range");
    }
    let calls = vec![call("SUM", Some(INT))];
    if window["kind"] == "session" {
        let spec = SessionSpec {
            rowtime: TIME,
            gap_ms: number("gap_ms").expect("a gap"),
            keys: vec![KEY],
            key_types: vec![DataType::STRING],
            aggregates: calls,
            time_type: DataType::TimestampLtz(3),
        };
        let schema = session_aggregate::result_schema(&spec, &["k"], &["a"]).expect("it binds");
        return Ok(chain(vec![(OperatorSpec::SessionAggregate(spec), schema)]));
    }
    let size = number("size_ms").expect("a size");
    let window = WindowSpec {
        offset_ms: number("offset_ms").unwrap_or(0),
        ..hop(size, number("slide_ms").unwrap_or(size))
    };
    let spec = aggregate(window, Phase::Complete, calls);
    Ok(chain(vec![aggregate_step(WindowAggregateSpec { lateness_ms, ..spec })]))
}

/// Results, and how many rows were late.
fn results(run: &mut Run) -> (Vec<String>, usize) {
    let events = run.take();
    let late = events.iter().filter(|e| *e == "dropped late").count();
    let rows = events.into_iter().filter(|e| e.starts_with('+'));
    // Sessions have no revision.
    let mut rows: Vec<_> =
        rows.map(|row| row.split(' ').take(6).collect::<Vec<_>>().join(" ")).collect();
    rows.sort();
    (rows, late)
}

fn run_case(case: &Value, fragment: Fragment, restart_always: bool) {
    let mut run = Run::new(fragment);
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
                alloc::format!("+I {key} {} {start} {end} {}", number("value"), end - 1)
            };
            let mut expected: Vec<_> = expected.iter().map(show).collect();
            expected.sort();
            let (rows, late) = results(&mut run);
            assert_eq!(rows, expected, "{}", case["name"]);
            if let Some(expected) = step["expect_late"].as_array() {
                assert_eq!(late, expected.len(), "{}", case["name"]);
            }
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
    let (mut count, mut skipped) = (0, 0);
    for case in oracle["cases"].as_array().expect("cases") {
        match pipeline(case) {
            Ok(fragment) => {
                run_case(case, fragment.clone(), false);
                run_case(case, fragment, true);
                count += 1;
            }
            Err(why) => {
                eprintln!("skipped: {} ({why})", case["name"]);
                skipped += 1;
            }
        }
    }
    eprintln!("{count} cases of Flink's window operator, {skipped} skipped");
    assert!(count >= 9);
}
