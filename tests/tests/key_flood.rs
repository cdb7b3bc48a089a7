//! More device ids than there is room for (fault table, row 17), through the binary: state keeps
//! to its cap, every reading beyond it is counted by its reason, and memory stays below its bound.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use headwater_tests::process::{binary, run};
use headwater_tests::scratch::Scratch;
use serde_json::Value;

const PIPELINE: &str = "\
SET 'headwater.panes-max' = '${panes}';
CREATE TABLE readings (id BIGINT, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND)
WITH ('connector'='datagen', 'number-of-rows'='${rows}', 'rows-per-second'='10000000',
  'fields.id.kind'='sequence', 'fields.id.start'='1', 'fields.id.end'='${rows}',
  'fields.ts.kind'='random', 'fields.ts.min'='1700000000000', 'fields.ts.max'='1700000000000');
CREATE TABLE `result` (device STRING, n BIGINT)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');
INSERT INTO `result`
SELECT device, COUNT(*) FROM TABLE(TUMBLE(TABLE devices, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY device, window_start, window_end;
";
const VIEW: &str = "CREATE VIEW devices AS
SELECT CONCAT('device-', CAST(id AS STRING)) AS device, rt FROM readings;
";
const PANES: u64 = 50_000;
const RSS_BYTES_MAX: u64 = 64 << 20;
const STATE_BYTES_MAX: u64 = 64 << 20;

fn flood(rows: u64) {
    let scratch = Scratch::new("flood").unwrap();
    let text = PIPELINE.replace("CREATE TABLE `result`", &format!("{VIEW}CREATE TABLE `result`"));
    let text = text.replace("${rows}", &rows.to_string()).replace("${panes}", &PANES.to_string());
    fs::write(scratch.join("p.sql"), text).unwrap();
    let agent = |arguments: &[&str]| {
        let mut command = Command::new(binary("headwater-agent"));
        command.current_dir(scratch.path()).args(arguments);
        let finished = run(&mut command, Duration::from_secs(600)).unwrap().expect("it ends");
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished
    };
    let finished = agent(&["run", "--standalone", "--state-dir", "state", "p.sql"]);
    let inspected = agent(&["inspect", "--json", "state"]).stdout;
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let counters = inspected["counters"].as_object().unwrap().iter();
    let full =
        counters.filter(|(name, _)| name.starts_with("drop/") && name.ends_with("state-full"));
    let full: u64 = full.filter_map(|(_, count)| count.as_u64()).sum();
    let result = fs::read_to_string(scratch.join("result.ndjson")).unwrap();
    let (kept, usage) = (result.lines().count() as u64, finished.usage);
    let state = fs::metadata(scratch.join("state/state.redb")).unwrap().len();
    println!(
        "{rows} ids: {kept} kept, {full} beyond, {usage:?}, {state} bytes, {:?}",
        finished.took
    );
    assert_eq!((kept, kept + full), (PANES, rows), "{}", inspected["counters"]);
    assert!(usage.rss_bytes_max < RSS_BYTES_MAX, "{usage:?}");
    assert!(state < STATE_BYTES_MAX, "{state} bytes of state");
}

#[test]
fn ten_million_ids_are_capped_and_counted() {
    flood(10_000_000);
}
