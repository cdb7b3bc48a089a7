//! Event time through the binary: sources that are aligned by their watermarks, and sources that
//! fall silent.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use headwater_tests::broker::Embedded;
use headwater_tests::mqtt::Publisher;
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::{Process, binary, run, wait_until};
use headwater_tests::scratch::Scratch;
use serde_json::Value;

const TIME_MAX: Duration = Duration::from_secs(30);
/// Long enough for what must not happen to happen.
const A_WHILE: Duration = Duration::from_millis(1500);

fn table(name: &str, options: &str) -> String {
    format!(
        "CREATE TABLE {name} (ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3), \
         WATERMARK FOR rt AS rt) WITH ('format'='json', {options});\n"
    )
}

fn file(name: &str) -> String {
    format!("'connector'='filesystem', 'path'='{name}.ndjson'")
}

fn aligned(drift: &str) -> String {
    format!(
        ", 'scan.watermark.alignment.group'='g', 'scan.watermark.alignment.max-drift'='{drift}'"
    )
}

/// All rows of two sources, with their source, in the order in which they were taken.
const BOTH: &str = "\
CREATE TABLE o (s STRING, ts BIGINT)
WITH ('connector'='filesystem', 'path'='out.ndjson', 'format'='json');
INSERT INTO o SELECT 'fast', ts FROM fast UNION ALL SELECT 'slow', ts FROM slow;
";

fn rows(scratch: &Scratch) -> Vec<(String, i64)> {
    let text = fs::read_to_string(scratch.join("out.ndjson")).unwrap_or_default();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["s"].as_str().unwrap().to_owned(), row["ts"].as_i64().unwrap())).collect()
}

fn write(scratch: &Scratch, name: &str, times: impl Iterator<Item = i64>) {
    let lines: String = times.map(|ts| format!("{{\"ts\":{ts}}}\n")).collect();
    fs::write(scratch.join(&format!("{name}.ndjson")), lines).unwrap();
}

fn append(scratch: &Scratch, name: &str, ts: i64) {
    let path = scratch.join(&format!("{name}.ndjson"));
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(format!("{{\"ts\":{ts}}}\n").as_bytes()).unwrap();
}

fn start(scratch: &Scratch, pipeline: &str) -> Process {
    fs::write(scratch.join("p.sql"), pipeline).unwrap();
    let arguments = ["run", "--standalone", "p.sql", "--state-dir", "state"];
    let mut command = Command::new(binary("headwater-agent"));
    command.args(arguments).args(["--checkpoint-interval", "100ms"]).current_dir(scratch.path());
    Process::start(&mut command).unwrap()
}

/// How far the fast source was ahead of the slow one, at most, while both had rows.
fn lead_ms(alignment: &str) -> i64 {
    let scratch = Scratch::new("aligned").unwrap();
    write(&scratch, "fast", (0..2_000).map(|i| i * 10_000));
    write(&scratch, "slow", (0..2_000).map(|i| i * 100));
    let source = |name| table(name, &(file(name) + alignment));
    fs::write(scratch.join("p.sql"), source("fast") + &source("slow") + BOTH).unwrap();
    let mut command = Command::new(binary("headwater-aggregator"));
    command.args(["run", "--standalone", "p.sql"]).current_dir(scratch.path());
    let finished = run(&mut command, TIME_MAX).unwrap().expect("it ends");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let rows = rows(&scratch);
    assert_eq!(rows.len(), 4_000, "every row is there");
    let last_slow = rows.iter().rposition(|(source, _)| source == "slow").unwrap();
    let (mut slow, mut lead) = (0, 0);
    for (source, ts) in &rows[..last_slow] {
        match source.as_str() {
            "slow" => slow = *ts,
            _ => lead = lead.max(ts - slow),
        }
    }
    lead
}

#[test]
fn a_file_that_runs_ahead_waits_for_the_other_one() {
    let drift_ms = 60_000;
    // The row that goes beyond the drift is the last one before the source waits.
    let wanted = drift_ms..=drift_ms + 10_000;
    let lead = lead_ms(&aligned("1 min"));
    assert!(wanted.contains(&lead), "{lead} ms ahead");
    // Without alignment the files are read one after the other, whichever is there first.
    let free = lead_ms("");
    assert!(!wanted.contains(&free), "{free} ms ahead without alignment too");
}

#[test]
fn a_server_that_runs_ahead_waits_for_a_file() {
    let broker = Embedded::start().unwrap();
    let scratch = Scratch::new("aligned-mqtt").unwrap();
    let server = format!("'connector'='mqtt', 'url'='mqtt://{}', 'topic'='t'", broker.address());
    let follow = ", 'source.monitor-interval'='50 ms'";
    write(&scratch, "slow", [1_000].into_iter());
    let pipeline = table("fast", &(server + ", 'max-future'='1000000 d'" + &aligned("1 min")))
        + &table("slow", &(file("slow") + follow + &aligned("1 min")))
        + BOTH;
    let process = start(&scratch, &pipeline);
    let seen = |wanted: usize| wait_until(TIME_MAX, || rows(&scratch).len() >= wanted);
    assert!(seen(1), "the file: {:?}", process.output());
    let mut publisher = Publisher::connect(broker.address(), "p", 10).unwrap();
    let mut send = |ts: i64| {
        publisher.publish("t", format!("{{\"ts\":{ts}}}").as_bytes()).unwrap();
        publisher.flush(TIME_MAX).unwrap();
    };
    // The first message goes beyond the drift; from there on the server waits.
    let sent = wait_until(TIME_MAX, || {
        send(100_000);
        std::thread::sleep(Duration::from_millis(200));
        rows(&scratch).len() > 1
    });
    assert!(sent, "the server's first row: {:?}", process.output());
    let before = rows(&scratch);
    send(200_000);
    assert!(!wait_until(A_WHILE, || rows(&scratch).len() > before.len()), "{:?}", rows(&scratch));
    append(&scratch, "slow", 150_000);
    let released = wait_until(TIME_MAX, || {
        rows(&scratch).last().is_some_and(|(source, ts)| source == "fast" && *ts == 200_000)
    });
    assert!(released, "{:?} {:?}", rows(&scratch), process.output());
}

/// Windows over two sources, one of which is silent.
fn windows(scratch: &Scratch, idle: &str) -> Process {
    write(scratch, "fast", [1_000, 2_000, 11_000, 25_000].into_iter());
    write(scratch, "slow", core::iter::empty());
    let follow = ", 'source.monitor-interval'='50 ms'";
    let pipeline = table("fast", &(file("fast") + follow))
        + &table("slow", &(file("slow") + follow + idle))
        + "CREATE TABLE o (s STRING, ts BIGINT) \
           WITH ('connector'='filesystem', 'path'='out.ndjson', 'format'='json');\n\
           CREATE VIEW a AS SELECT rt FROM fast UNION ALL SELECT rt FROM slow;\n\
           INSERT INTO o SELECT CAST(window_start AS STRING), COUNT(*) \
           FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(rt), INTERVAL '10' SECOND)) \
           GROUP BY window_start, window_end;\n";
    start(scratch, &pipeline)
}

#[test]
fn a_silent_source_holds_windows_until_it_counts_as_idle() {
    let scratch = Scratch::new("silent").unwrap();
    let process = windows(&scratch, "");
    assert!(!wait_until(A_WHILE, || !rows(&scratch).is_empty()), "{:?}", rows(&scratch));
    drop(process);

    let scratch = Scratch::new("idle").unwrap();
    let process = windows(&scratch, ", 'scan.watermark.idle-timeout'='300 ms'");
    let closed = wait_until(TIME_MAX, || rows(&scratch).len() == 2);
    assert!(closed, "{:?} {:?}", rows(&scratch), process.output());
    let counts: Vec<i64> = rows(&scratch).into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [2, 1]);
    // It comes back and takes part again. Two files have no order, so it is read first.
    append(&scratch, "slow", 26_000);
    append(&scratch, "slow", 41_000);
    std::thread::sleep(A_WHILE);
    append(&scratch, "fast", 42_000);
    let closed = wait_until(TIME_MAX, || rows(&scratch).len() == 3);
    assert!(closed, "{:?} {:?}", rows(&scratch), process.output());
    assert_eq!(rows(&scratch)[2].1, 2, "both sources' rows");
}

/// A window join at the core, one of whose sources on the gateway is silent.
fn over_the_cut(scratch: &Scratch, idle: &str) -> (Embedded, Node, Node) {
    let broker = Embedded::start().unwrap();
    write(scratch, "fast", [1_000, 2_000, 11_000, 25_000].into_iter());
    write(scratch, "slow", core::iter::empty());
    let follow = ", 'source.monitor-interval'='50 ms'";
    let counts = |name: &str, what: &str| {
        format!(
            "CREATE VIEW {what} AS SELECT window_start, window_end, COUNT(*) AS n \
             FROM TABLE(TUMBLE(TABLE {name}, DESCRIPTOR(rt), INTERVAL '10' SECOND)) \
             GROUP BY window_start, window_end;\n"
        )
    };
    let pipeline = "SET 'headwater.rows-max' = '1000';\n".to_owned()
        + &table("fast", &(file("../fast") + follow))
        + &table("slow", &(file("../slow") + follow + idle))
        + &counts("fast", "a")
        + &counts("slow", "b")
        + "CREATE TABLE o (s STRING, ts BIGINT) \
           WITH ('connector'='filesystem', 'path'='../out.ndjson', 'format'='json');\n\
           INSERT INTO o SELECT CAST(a.window_start AS STRING), a.n + COALESCE(b.n, 0) \
           FROM a LEFT JOIN b \
           ON a.window_start = b.window_start AND a.window_end = b.window_end;\n";
    let extra = "[checkpoint]\ninterval = \"100ms\"\n";
    let node = |kind, name: &str| {
        let address = broker.address();
        let mut node = Node::new(kind, scratch.path(), name, address, &pipeline, extra).unwrap();
        node.start_ready().unwrap();
        node
    };
    let nodes = (node(Kind::Aggregator, "core"), node(Kind::Agent, "gateway"));
    (broker, nodes.0, nodes.1)
}

#[test]
fn an_idle_source_of_a_gateway_does_not_hold_a_join_at_the_core() {
    let scratch = Scratch::new("silent-cut").unwrap();
    let nodes = over_the_cut(&scratch, "");
    assert!(!wait_until(TIME_MAX / 4, || !rows(&scratch).is_empty()), "{:?}", rows(&scratch));
    drop(nodes);

    let scratch = Scratch::new("idle-cut").unwrap();
    let (_broker, core, agent) = over_the_cut(&scratch, ", 'scan.watermark.idle-timeout'='300 ms'");
    let closed = wait_until(TIME_MAX, || rows(&scratch).len() == 2);
    assert!(closed, "{:?} {} {}", rows(&scratch), core.log(), agent.log());
    // It comes back: a window that is open still waits for it, until it is silent again.
    append(&scratch, "slow", 26_000);
    append(&scratch, "slow", 41_000);
    std::thread::sleep(A_WHILE);
    append(&scratch, "fast", 42_000);
    let closed = wait_until(TIME_MAX, || rows(&scratch).len() == 3);
    assert!(closed, "{:?} {} {}", rows(&scratch), core.log(), agent.log());
    let counts: Vec<i64> = rows(&scratch).into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [2, 1, 2], "rows of both sources in the last one");
}
