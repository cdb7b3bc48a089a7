//! A table that is looked up, through the binary: it is there before the first reading, a changed
//! file is read again, and what a reading met stays when the process is killed.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use headwater_tests::process::{Process, binary, http_get, run, wait_until};
use headwater_tests::scratch::{Scratch, free_port};

const TIME_MAX: Duration = Duration::from_secs(30);

const SCRIPT: &str = "\
CREATE TABLE readings (device STRING, v DOUBLE, arrival AS PROCTIME())
WITH ('connector'='filesystem', 'path'='in.ndjson', 'format'='json',
  'source.monitor-interval'='10 ms');
CREATE TABLE assets (device STRING, site STRING, factor DOUBLE)
WITH ('connector'='filesystem', 'path'='assets.ndjson', 'format'='json',
  'lookup.full-cache.periodic-reload.interval'='10 ms');
CREATE TABLE `result` (device STRING, site STRING, v DOUBLE)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');
INSERT INTO `result`
SELECT r.device, a.site, r.v * a.factor FROM readings AS r
LEFT JOIN assets FOR SYSTEM_TIME AS OF r.arrival AS a ON r.device = a.device;
";

struct Run {
    scratch: Scratch,
    process: Option<Process>,
    http: SocketAddr,
}

impl Run {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name).unwrap();
        fs::write(scratch.join("p.sql"), SCRIPT).unwrap();
        fs::write(scratch.join("in.ndjson"), "").unwrap();
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Run { scratch, process: None, http }
    }

    fn start(&mut self) {
        let mut command = Command::new(binary("headwater-aggregator"));
        command.args(["run", "--standalone", "p.sql", "--state-dir", "state"]);
        command.args(["--checkpoint-interval", "20ms", "--http", &self.http.to_string()]);
        command.current_dir(self.scratch.path());
        self.process = Some(Process::start(&mut command).unwrap());
    }

    fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    fn assets(&self, lines: &str) {
        fs::write(self.scratch.join("new"), lines).unwrap();
        fs::rename(self.scratch.join("new"), self.scratch.join("assets.ndjson")).unwrap();
    }

    fn reading(&self, device: &str, v: u32) {
        let path = self.scratch.join("in.ndjson");
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, r#"{{"device":"{device}","v":{v}}}"#).unwrap();
    }

    fn results(&self) -> Vec<String> {
        let text = fs::read_to_string(self.scratch.join("result.ndjson")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn wait_for(&self, expected: &[&str]) {
        wait_until(TIME_MAX, || self.results().len() >= expected.len());
        assert_eq!(self.results(), expected);
    }

    /// Loads of the table in this life of the process.
    fn loads(&self) -> usize {
        let metrics = http_get(self.http, "/metrics").map(|(_, text)| text).unwrap_or_default();
        let found = metrics
            .lines()
            .find_map(|line| line.strip_prefix("headwater_table_loads_total{table=\"assets\"} "));
        found.map_or(0, |count| count.parse().unwrap())
    }

    fn wait_for_loads(&self, count: usize) {
        let process = self.process.as_ref().unwrap();
        assert!(wait_until(TIME_MAX, || self.loads() >= count), "{:?}", process.output());
    }
}

const A1: &str = r#"{"device":"a","site":"north","v":10.0}"#;
const A2: &str = r#"{"device":"a","site":"south","v":3.0}"#;
const B1: &str = r#"{"device":"b","site":null,"v":null}"#;

#[test]
fn a_changed_table_is_read_again_and_a_kill_changes_nothing() {
    let mut run = Run::new("lookup");
    run.assets("{\"device\":\"a\",\"site\":\"north\",\"factor\":10}\n");
    run.reading("a", 1);
    run.reading("b", 1);
    run.start();
    run.wait_for(&[A1, B1]);
    run.assets("{\"device\":\"a\",\"site\":\"south\",\"factor\":3}\n");
    run.wait_for_loads(2);
    run.reading("a", 1);
    run.wait_for(&[A1, B1, A2]);
    run.kill();
    // The content is in the state: nothing is loaded, and nothing is written again.
    run.start();
    run.reading("a", 1);
    run.wait_for(&[A1, B1, A2, A2]);
    assert_eq!(run.loads(), 0);
    run.kill();
    // A table that has gone is still there.
    fs::remove_file(run.scratch.join("assets.ndjson")).unwrap();
    run.start();
    run.reading("a", 1);
    run.wait_for(&[A1, B1, A2, A2, A2]);
    run.kill();
    // What changed in between is loaded.
    run.assets("");
    run.start();
    run.wait_for_loads(1);
    run.reading("a", 1);
    run.wait_for(&[A1, B1, A2, A2, A2, r#"{"device":"a","site":null,"v":null}"#]);
    run.kill();
}

#[test]
fn a_bounded_pipeline_ends_and_a_missing_table_is_said() {
    let run_of = Run::new("lookup-bounded");
    let script = SCRIPT.replace(",\n  'source.monitor-interval'='10 ms'", "");
    fs::write(run_of.scratch.join("p.sql"), script).unwrap();
    run_of.reading("a", 1);
    let mut command = Command::new(binary("headwater-aggregator"));
    command.args(["run", "--standalone", "p.sql"]).current_dir(run_of.scratch.path());
    let finished = run(&mut command, TIME_MAX).unwrap().expect("it ends");
    assert_ne!(finished.code, Some(0));
    assert!(finished.stderr.contains("assets.ndjson"), "{}", finished.stderr);
    run_of.assets("{\"device\":\"a\",\"site\":\"north\",\"factor\":10}\n");
    let finished = run(&mut command, TIME_MAX).unwrap().expect("it ends");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(run_of.results(), [A1]);
}

const MATCHES: &str = "\
CREATE TABLE readings (device STRING, v DOUBLE, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt)
WITH ('connector'='filesystem', 'path'='in.ndjson', 'format'='json');
CREATE TABLE assets (device STRING, site STRING, factor DOUBLE)
WITH ('connector'='filesystem', 'path'='assets.ndjson', 'format'='json');
CREATE TABLE `result` (device STRING, site STRING, v DOUBLE)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');
CREATE VIEW rises AS SELECT device, v, found AS p FROM readings MATCH_RECOGNIZE (
  PARTITION BY device ORDER BY rt MEASURES B.v AS v, MATCH_PROCTIME() AS found
  PATTERN (A B) DEFINE B AS B.v > A.v);
CREATE VIEW placed AS SELECT r.device, a.site, r.v * a.factor AS v, r.p FROM rises AS r
JOIN assets FOR SYSTEM_TIME AS OF r.p AS a ON r.device = a.device;
INSERT INTO `result` SELECT device, site, v FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY site ORDER BY p) AS rn FROM placed) WHERE rn = 1;
";

#[test]
fn a_match_is_looked_up_when_it_is_found_and_keeps_its_arrival() {
    let run_of = Run::new("lookup-matches");
    fs::write(run_of.scratch.join("p.sql"), MATCHES).unwrap();
    let readings = [("a", 1, 1), ("b", 1, 2), ("b", 3, 3), ("c", 1, 4), ("c", 2, 5), ("a", 2, 6)];
    let line = |(device, v, ts)| format!("{{\"device\":\"{device}\",\"v\":{v},\"ts\":{ts}}}\n");
    fs::write(run_of.scratch.join("in.ndjson"), readings.map(line).concat()).unwrap();
    let asset =
        |(device, site)| format!("{{\"device\":\"{device}\",\"site\":\"{site}\",\"factor\":10}}\n");
    run_of.assets(&[("a", "north"), ("b", "north"), ("c", "south")].map(asset).concat());
    let mut command = Command::new(binary("headwater-aggregator"));
    command.args(["run", "--standalone", "p.sql"]).current_dir(run_of.scratch.path());
    let finished = run(&mut command, TIME_MAX).unwrap().expect("it ends");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let expected =
        [r#"{"device":"b","site":"north","v":30.0}"#, r#"{"device":"c","site":"south","v":20.0}"#];
    assert_eq!(run_of.results(), expected);
}
