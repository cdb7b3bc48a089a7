//! Which deduplications let rows go on at once, as `explain` says it.

use headwater_plan::{Plan, Target, Vars, compile};
use serde_json::Value;

const READINGS: &str = "CREATE TABLE readings (
    gateway STRING METADATA FROM 'gateway', device STRING, ts BIGINT, v DOUBLE,
    rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
  ) WITH ('connector'='mqtt', 'topic'='t', 'url'='mqtt://h', 'format'='json');
  CREATE VIEW clean AS SELECT gateway, device, v, rt FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY gateway, device, ts ORDER BY rt ASC) AS rn
    FROM readings) WHERE rn = 1;";

const FILE: &str = "'connector'='filesystem', 'path'='/nowhere', 'format'='json'";

fn plan(table: &str, options: &str, query: &str, target: Target) -> Plan {
    let script = format!(
        "{READINGS} CREATE TABLE `result` ({table}) WITH ({options}); INSERT INTO `result` {query};"
    );
    compile(&script, "p.sql", &Vars::new(), target).unwrap_or_else(|issues| {
        panic!("{}", issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// Whether the deduplication, which is at the edge, holds its rows; the same for both layouts.
fn waits(table: &str, options: &str, query: &str) -> bool {
    let of = |target| {
        let explained = plan(table, options, query, target).explain_json();
        let steps = explained["fragments"][0]["steps"].as_array().expect("steps").clone();
        let told = |step: &Value| step["rows_wait"].as_bool();
        steps.iter().find_map(told).expect("a deduplication in the first fragment")
    };
    let cut = of(Target::Cut);
    assert_eq!(cut, of(Target::Whole));
    cut
}

const ROWS: &str = "gateway STRING, device STRING, v DOUBLE";
const QUERY: &str = "SELECT gateway, device, v FROM clean WHERE v > 1";

#[test]
fn a_table_that_appends_gets_rows_at_once_and_one_of_last_rows_does_not() {
    assert!(!waits(ROWS, FILE, QUERY));
    let keyed = "gateway STRING, device STRING, v DOUBLE, PRIMARY KEY (device) NOT ENFORCED";
    assert!(waits(keyed, FILE, QUERY));
    let topic = "'connector'='mqtt', 'topic'='o', 'url'='mqtt://h', 'format'='json'";
    assert!(!waits(ROWS, topic, QUERY));
    assert!(waits(ROWS, &format!("{topic}, 'retain'='true'"), QUERY));
    assert!(!waits(ROWS, &format!("{topic}, 'retain'='false'"), QUERY));
}

#[test]
fn what_the_core_makes_of_rows_decides_at_the_edge() {
    let over = |function: &str| {
        let frame = "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW";
        format!(
            "SELECT device, {function}(v) OVER (PARTITION BY device ORDER BY rt {frame}) FROM clean"
        )
    };
    assert!(!waits("device STRING, v DOUBLE", FILE, &over("SUM")));
    assert!(!waits("device STRING, v DOUBLE", FILE, &over("LAST_VALUE")));
    let window = |function: &str| {
        format!(
            "SELECT device, {function}(v) FROM TABLE(
               TUMBLE(TABLE clean, DESCRIPTOR(rt), INTERVAL '10' SECOND))
             GROUP BY device, window_start, window_end"
        )
    };
    assert!(!waits("device STRING, v DOUBLE", FILE, &window("MAX")));
    assert!(waits("device STRING, v DOUBLE", FILE, &window("LAST_VALUE")));
    assert!(!waits(ROWS, FILE, "SELECT gateway, device, v FROM clean ORDER BY rt"));
    let changelog = FILE.replace("'json'", "'changelog-json'");
    let groups = "SELECT device, MAX(v) FROM clean GROUP BY device";
    assert!(waits("device STRING, v DOUBLE", &changelog, groups));
}
