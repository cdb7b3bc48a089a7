//! Wrong wall clocks under the real agent, by libfaketime: 1970 at boot and then set, steps of an
//! hour and of ten years in both directions, with a kill in between. The aggregator has the right
//! time. Where libfaketime is not installed the tests are skipped by name.
//!
//! The machine of the test is the truth: its wall clock, and its boot clock, which is not faked.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headwater_tests::broker::{Embedded, Mosquitto, mosquitto_is_installed};
use headwater_tests::mqtt::Publisher;
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::{Process, Signal, wait_until};
use headwater_tests::scratch::Scratch;
use serde_json::Value;

const TIME_MAX: Duration = Duration::from_secs(30);
/// Longer than the idle timeout below.
const A_WHILE: Duration = Duration::from_secs(4);
/// A reading is taken this long after it was written, at most.
const TAKEN_MAX_MS: i64 = 5000;
const HOUR_S: i64 = 3600;
const YEAR_S: i64 = 365 * 86_400;

/// Two live files: rows that get the time of their arrival, and rows that bring their own.
const SCRIPT: &str = "\
CREATE TABLE plain (id INT,
  came TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, WATERMARK FOR came AS came)
WITH ('connector'='filesystem', 'path'='DIR/plain.ndjson', 'format'='json',
  'source.monitor-interval'='10 ms', 'scan.watermark.idle-timeout'='3 s');
CREATE TABLE timed (id INT, ts BIGINT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt - INTERVAL '1' SECOND)
WITH ('connector'='filesystem', 'path'='DIR/timed.ndjson', 'format'='json',
  'source.monitor-interval'='10 ms');
CREATE TABLE arrivals (id INT, came TIMESTAMP_LTZ(3))
WITH ('connector'='filesystem', 'path'='DIR/arrivals.ndjson', 'format'='json', 'at'='edge');
CREATE TABLE counts (s TIMESTAMP(3), n BIGINT)
WITH ('connector'='filesystem', 'path'='DIR/counts.ndjson', 'format'='json');
CREATE TABLE sums (s TIMESTAMP(3), n BIGINT, total BIGINT)
WITH ('connector'='filesystem', 'path'='DIR/sums.ndjson', 'format'='json');
CREATE TABLE together (s TIMESTAMP(3), n BIGINT)
WITH ('connector'='filesystem', 'path'='DIR/together.ndjson', 'format'='json');
CREATE VIEW readings AS
  SELECT id, came AS t FROM plain UNION ALL SELECT id, rt FROM timed;
INSERT INTO together SELECT window_start, COUNT(*)
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(t), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end;
INSERT INTO arrivals SELECT id, came FROM plain;
INSERT INTO counts SELECT window_start, COUNT(*)
  FROM TABLE(TUMBLE(TABLE plain, DESCRIPTOR(came), INTERVAL '1' SECOND))
  GROUP BY window_start, window_end;
INSERT INTO sums SELECT window_start, COUNT(*), SUM(id)
  FROM TABLE(TUMBLE(TABLE timed, DESCRIPTOR(rt), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end;
";

fn library() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    places.map(|dir| dir.join("faketime/libfaketime.so.1")).find(|path| path.exists())
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A gateway whose wall clock is set by the test.
struct Gateway {
    scratch: Scratch,
    library: PathBuf,
    agent: Node,
    /// The agent runs under libfaketime.
    process: Option<Process>,
    hub: Node,
    /// When each row of `plain` was written.
    written: BTreeMap<i64, i64>,
    _broker: Embedded,
}

impl Gateway {
    /// `None` where libfaketime is not installed.
    fn new(name: &str, clock: &str) -> Option<Gateway> {
        Self::with(name, clock, SCRIPT, "50ms")
    }

    fn with(name: &str, clock: &str, script: &str, interval: &str) -> Option<Gateway> {
        let Some(library) = library() else {
            println!("skipped: {name}: libfaketime is not installed");
            return None;
        };
        let scratch = Scratch::new(name).unwrap();
        let broker = Embedded::start().unwrap();
        let script = script.replace("DIR", &scratch.path().display().to_string());
        let node = |kind, id, extra: &str| {
            let extra = format!("[checkpoint]\ninterval = \"{interval}\"\n{extra}");
            Node::new(kind, scratch.path(), id, broker.address(), &script, &extra).unwrap()
        };
        let agent = node(Kind::Agent, "g1", &format!("[clock]\n{clock}\n"));
        let mut hub = node(Kind::Aggregator, "hub", "");
        hub.start_ready().unwrap();
        for file in ["plain.ndjson", "timed.ndjson"] {
            fs::write(scratch.join(file), "").unwrap();
        }
        let (process, written) = (None, BTreeMap::new());
        Some(Gateway { scratch, library, agent, process, hub, written, _broker: broker })
    }

    /// The wall clock is off by this many seconds from now on.
    fn set(&self, seconds: i64) {
        fs::write(self.scratch.join("new"), format!("{seconds:+}\n")).unwrap();
        fs::rename(self.scratch.join("new"), self.scratch.join("faketime")).unwrap();
    }

    fn set_to_1970(&self) {
        self.set(60 - now_ms() / 1000);
    }

    fn start(&mut self) {
        let mut command = self.agent.command("run");
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_NO_CACHE", "1");
        command.env("FAKETIME_TIMESTAMP_FILE", self.scratch.join("faketime"));
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        self.process = Some(Process::start(&mut command).unwrap());
        assert!(wait_until(TIME_MAX, || !self.clock().is_null()), "{}", self.log());
    }

    fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Ends it in good order.
    fn stop(&mut self) {
        let process = self.process.as_mut().unwrap();
        process.signal(Signal::Term).unwrap();
        let finished = process.wait(TIME_MAX).expect("it ends");
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        self.process = None;
    }

    fn log(&self) -> String {
        self.process.as_ref().map(|process| process.output().1).unwrap_or_default()
    }

    /// What the status says of the clock.
    fn clock(&self) -> Value {
        self.agent.status()["clock"].clone()
    }

    fn wait_for_clock(&self, what: &str, test: impl Fn(&Value) -> bool) {
        let seen = wait_until(TIME_MAX, || test(&self.clock()));
        assert!(seen, "{what}: {}; {}", self.clock(), self.log());
    }

    fn append(&self, file: &str, line: &str) {
        let mut file = OpenOptions::new().append(true).open(self.scratch.join(file)).unwrap();
        writeln!(file, "{line}").unwrap();
    }

    /// Writes rows without a time, a quarter of a second apart.
    fn plain(&mut self, ids: std::ops::Range<i64>) {
        for id in ids {
            self.written.insert(id, now_ms());
            self.append("plain.ndjson", &format!("{{\"id\":{id}}}"));
            sleep(Duration::from_millis(250));
        }
    }

    /// Writes rows with a time of their own.
    fn timed(&self, start_ms: i64, ids: std::ops::Range<i64>) {
        for id in ids {
            let ts = start_ms + id * 1000;
            self.append("timed.ndjson", &format!("{{\"id\":{id},\"ts\":{ts}}}"));
        }
    }

    fn rows(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.scratch.join(file)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn wait_for(&self, file: &str, rows: usize) {
        let came = wait_until(TIME_MAX, || self.rows(file).len() >= rows);
        let logs = format!("{}\n{}", self.log(), self.hub.log());
        assert!(came, "{file}: {} of {rows}; {logs}", self.rows(file).len());
    }

    /// Every row once, with the time at which it came.
    fn check_arrivals(&self) {
        self.wait_for("arrivals.ndjson", self.written.len());
        let rows = self.rows("arrivals.ndjson");
        let mut last = 0;
        assert_eq!(rows.len(), self.written.len());
        for (row, (id, written)) in rows.iter().zip(&self.written) {
            assert_eq!(row["id"].as_i64(), Some(*id), "in the order in which they came");
            let came = ms(row["came"].as_str().unwrap());
            let late = came - written;
            assert!((-10..TAKEN_MAX_MS).contains(&late), "{row}: {late} ms after it was written");
            assert!(came >= last);
            last = came;
        }
    }

    /// Windows over the arrivals hold each row once.
    fn check_counts(&self) {
        let count = || -> i64 {
            let rows = self.rows("counts.ndjson");
            rows.iter().map(|row| row["n"].as_i64().unwrap()).sum()
        };
        let expected = i64::try_from(self.written.len()).unwrap() - 1;
        // The last window is open until a later row comes.
        assert!(wait_until(TIME_MAX, || count() >= expected - 4), "{} rows", count());
        let rows = self.rows("counts.ndjson");
        let starts: Vec<_> = rows.iter().map(|row| row["s"].to_string()).collect();
        let mut once = starts.clone();
        once.dedup();
        assert_eq!(starts, once, "no window fired twice");
    }

    fn dropped(&self) -> String {
        let metrics = self.agent.metrics();
        let dropped =
            |line: &&str| line.starts_with("headwater_rows_dropped") && !line.ends_with(" 0");
        metrics.lines().filter(dropped).collect()
    }
}

/// Milliseconds of a time as `2026-11-26 01:02:03.456Z`.
fn ms(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970 by the civil calendar.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let fraction = text[19..].trim_start_matches('.').trim_end_matches('Z');
    let millis = format!("{fraction:0<3}")[..3].parse::<i64>().unwrap();
    let seconds = number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
    (days * 86_400 + seconds) * 1000 + millis
}

#[test]
fn times_are_read_right() {
    assert_eq!(ms("1970-01-02 00:00:01.5Z"), 86_401_500);
    assert_eq!(ms("2026-11-26 01:02:03.456Z"), 1_795_654_923_456);
    assert_eq!(ms("2024-02-29 00:00:00Z"), 1_709_164_800_000);
}

/// What windows over times of the rows' own give when nothing is wrong.
fn undisturbed(start_ms: i64) -> Vec<Value> {
    let mut gateway = Gateway::new("clock-right", "trust = \"plausible\"").unwrap();
    gateway.set(0);
    gateway.start();
    gateway.timed(start_ms, 0..95);
    gateway.wait_for("sums.ndjson", 9);
    gateway.stop();
    gateway.rows("sums.ndjson")
}

#[test]
fn rows_that_came_in_1970_get_their_time_when_the_clock_is_set() {
    let Some(mut gateway) = Gateway::new("clock-1970", "trust = \"plausible\"") else { return };
    let start_ms = now_ms() / 10_000 * 10_000;
    gateway.set_to_1970();
    gateway.start();
    gateway.plain(0..8);
    // Rows with a time of their own do not wait.
    gateway.timed(start_ms, 0..95);
    gateway.wait_for("sums.ndjson", 9);
    gateway.wait_for_clock("they wait", |clock| clock["held_rows"] == 8);
    let health = gateway.agent.health();
    assert!(health.contains("it was never set") && health.contains("8 rows wait"), "{health}");
    // They are durable, and a source whose rows wait is not idle.
    sleep(A_WHILE);
    assert_eq!(gateway.rows("together.ndjson").len(), 0);
    gateway.kill();
    gateway.start();
    gateway.wait_for_clock("they are there again", |clock| clock["held_rows"] == 8);
    gateway.plain(8..12);
    assert_eq!(gateway.rows("arrivals.ndjson").len(), 0);
    assert_eq!(gateway.rows("counts.ndjson").len(), 0);
    gateway.set(0);
    gateway.wait_for_clock("the time is known", |clock| {
        clock["held_rows"] == 0 && clock["trusted"] == true && clock["steps"] == 1
    });
    gateway.plain(12..20);
    gateway.check_arrivals();
    gateway.check_counts();
    // Now it is idle, and windows over both hold all rows.
    gateway.wait_for("together.ndjson", 9);
    let rows = gateway.rows("together.ndjson");
    let all: i64 = rows.iter().map(|row| row["n"].as_i64().unwrap()).sum();
    assert_eq!(all, 90 + 20);
    assert_eq!(gateway.dropped(), "");
    assert!(!gateway.agent.health().contains("clock"), "{}", gateway.agent.health());
    gateway.stop();
    assert_eq!(gateway.rows("sums.ndjson"), undisturbed(start_ms));
}

#[test]
fn steps_of_the_clock_change_no_result() {
    let Some(mut gateway) = Gateway::new("clock-steps", "trust = \"plausible\"") else { return };
    let start_ms = now_ms() / 10_000 * 10_000;
    gateway.set(0);
    gateway.start();
    gateway.plain(0..4);
    let steps = [HOUR_S, -HOUR_S, 10 * YEAR_S, -10 * YEAR_S, 0, -2 * HOUR_S, 0];
    for (step, at) in steps.into_iter().zip(1..) {
        gateway.set(step);
        gateway.wait_for_clock("the step is seen", |clock| clock["steps"] == at);
        let trusted = gateway.clock()["trusted"].clone();
        assert_eq!(trusted, step == 0, "after {step} s");
        gateway.plain(at * 4..at * 4 + 4);
        gateway.timed(start_ms, (at - 1) * 14..at * 14);
    }
    gateway.timed(start_ms, 98..100);
    gateway.check_arrivals();
    gateway.check_counts();
    gateway.wait_for("sums.ndjson", 9);
    assert_eq!(gateway.dropped(), "", "the future guard does not go by a clock that was set");
    gateway.kill();
    // Started again under a wrong clock, on what was known.
    gateway.set(HOUR_S);
    gateway.start();
    gateway.plain(32..36);
    gateway.check_arrivals();
    gateway.stop();
    assert_eq!(gateway.rows("sums.ndjson"), undisturbed(start_ms));
}

#[test]
fn too_many_rows_that_wait_stop_their_source_only() {
    let clock = "trust = \"plausible\"\nhold-bytes = \"1KiB\"";
    let Some(mut gateway) = Gateway::new("clock-full", clock) else { return };
    let start_ms = now_ms() / 10_000 * 10_000;
    gateway.set_to_1970();
    gateway.start();
    for id in 0..100 {
        gateway.append("plain.ndjson", &format!("{{\"id\":{id}}}"));
    }
    gateway
        .wait_for_clock("the bound is reached", |clock| clock["held_bytes"].as_u64() >= Some(1024));
    gateway.timed(start_ms, 0..95);
    gateway.wait_for("sums.ndjson", 9);
    let held = gateway.clock()["held_bytes"].as_u64().unwrap();
    assert!(held < 1200, "{held} bytes wait");
    assert!(gateway.agent.health().contains("their sources too"), "{}", gateway.agent.health());
    gateway.set(0);
    gateway.wait_for("arrivals.ndjson", 100);
    let ids: Vec<_> = gateway.rows("arrivals.ndjson").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, (0..100).map(Value::from).collect::<Vec<_>>());
    gateway.stop();
}

#[test]
fn estimates_do_not_wait_and_are_not_late() {
    let clock = "trust = \"plausible\"\nuntrusted = \"estimate\"";
    let Some(mut gateway) = Gateway::new("clock-estimate", clock) else { return };
    gateway.set(0);
    gateway.start();
    gateway.plain(0..4);
    gateway.wait_for("arrivals.ndjson", 4);
    gateway.stop();
    // The same boot goes on: what was known of it still holds, in 1970 too.
    gateway.set_to_1970();
    gateway.start();
    gateway.plain(4..8);
    gateway.check_arrivals();
    gateway.stop();
    // Without what was known there is only an estimate.
    fs::remove_dir_all(gateway.agent.dir().join("state")).unwrap();
    fs::remove_file(gateway.scratch.join("arrivals.ndjson")).unwrap();
    gateway.start();
    gateway.wait_for("arrivals.ndjson", 8);
    let times: Vec<_> = gateway.rows("arrivals.ndjson");
    let times = times.iter().map(|row| ms(row["came"].as_str().unwrap()));
    assert!(times.clone().all(|time| time < now_ms()), "an estimate is not ahead of the truth");
    assert!(times.is_sorted());
    let counted = "name=\"clock/rows-estimated\"} 8";
    let are_counted = wait_until(TIME_MAX, || gateway.agent.metrics().contains(counted));
    assert!(are_counted, "{}", gateway.agent.metrics());
    gateway.stop();
}

/// Rows that only the intake journal holds, because the server waits for its acknowledgements.
#[test]
fn rows_of_the_intake_journal_keep_the_time_of_their_arrival() {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return;
    }
    let sensors = Scratch::new("clock-sensors").unwrap();
    let server = Mosquitto::start(sensors.path(), 20, "").unwrap();
    let (file, mqtt) = (
        "'connector'='filesystem', 'path'='DIR/plain.ndjson', 'format'='json',\n  \
         'source.monitor-interval'='10 ms', 'scan.watermark.idle-timeout'='3 s'",
        format!(
            "'connector'='mqtt', 'url'='mqtt://{}', 'topic'='r', 'version'='3.1.1', \
             'format'='json'",
            server.address()
        ),
    );
    assert!(SCRIPT.contains(file));
    let script = SCRIPT.replace(file, &mqtt);
    let clock = "trust = \"plausible\"";
    let Some(mut gateway) = Gateway::with("clock-journal", clock, &script, "60s") else { return };
    gateway.set_to_1970();
    gateway.start();
    assert!(wait_until(TIME_MAX, || !gateway.agent.health().contains("source plain")));
    let mut publisher = Publisher::connect(server.address(), "sensor", 100).unwrap();
    for id in 0..400 {
        gateway.written.insert(id, now_ms());
        publisher.publish("r", format!("{{\"id\":{id}}}").as_bytes()).unwrap();
        publisher.send().unwrap();
        sleep(Duration::from_millis(5));
    }
    publisher.flush(TIME_MAX).unwrap();
    gateway.wait_for_clock("they wait", |clock| clock["held_rows"] == 400);
    let intake_commits = gateway.agent.metric("headwater_intake_commits_total");
    assert!(intake_commits > Some(0.0), "{}", gateway.agent.metrics());
    let stored = gateway.agent.inspect().unwrap()["clock"]["held_rows"].as_i64().unwrap_or(0);
    gateway.kill();
    sleep(Duration::from_millis(TAKEN_MAX_MS.unsigned_abs() + 1000));
    let restarted = now_ms();
    gateway.start();
    gateway.wait_for_clock("they wait again", |clock| clock["held_rows"] == 400);
    gateway.set(0);
    gateway.wait_for_clock("the time is known", |clock| clock["held_rows"] == 0);
    gateway.stop();
    let rows = gateway.rows("arrivals.ndjson");
    assert_eq!(rows.len(), 400);
    let mut journaled = 0;
    for row in &rows {
        let (came, written) =
            (ms(row["came"].as_str().unwrap()), gateway.written[&row["id"].as_i64().unwrap()]);
        // What was in no entry comes again from the server.
        let is_journaled = (-10..TAKEN_MAX_MS).contains(&(came - written));
        assert!(is_journaled || came >= restarted, "{row}: written {written}");
        journaled += i64::from(is_journaled);
    }
    assert!(journaled >= stored + 20, "{journaled} rows, {stored} of them in a checkpoint");
}
