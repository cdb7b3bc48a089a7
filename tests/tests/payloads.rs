//! Payloads that are too large or malformed, over MQTT through the binary: each becomes a dead
//! letter or a counted gap, memory stays bounded, and what comes after still arrives.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use headwater_tests::broker::{Mosquitto, mosquitto_is_installed};
use headwater_tests::mqtt::Publisher;
use headwater_tests::process::{Finished, Process, Signal, binary, http_get, run, wait_until};
use headwater_tests::scratch::{Scratch, free_port};
use serde_json::Value;

const ARRIVES_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(5);
/// Generous: a packet of four times the limit for payloads is taken in whole, 16 MiB below.
const RSS_BYTES_MAX: u64 = 96 << 20;

const PIPELINE: &str = "\
CREATE TABLE readings (id STRING, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND)
WITH ('connector'='mqtt', 'url'='mqtt://${broker}', 'topic'='readings', 'version'='${version}',
  'payload-bytes-max'='${limit}', 'format'='json');
CREATE TABLE `result` (id STRING, ts BIGINT)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');
INSERT INTO `result` SELECT id, ts FROM readings;
";

macro_rules! needs_mosquitto {
    () => {
        if !mosquitto_is_installed() {
            println!("skipped: Mosquitto is not installed");
            return;
        }
    };
}

/// A whole pipeline over a Mosquitto, and a client that publishes to it.
struct Bench {
    process: Process,
    publisher: Publisher,
    http: SocketAddr,
    scratch: Scratch,
    _broker: Mosquitto,
}

impl Bench {
    fn start(version: &str, limit: &str) -> Self {
        let scratch = Scratch::new("payloads").unwrap();
        let broker = Mosquitto::start(scratch.path(), 100, "").unwrap();
        fs::write(scratch.join("p.sql"), PIPELINE).unwrap();
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(binary("headwater-agent"));
        command.current_dir(scratch.path()).args(["run", "--standalone", "p.sql"]);
        command.args(["--state-dir", "state", "--checkpoint-interval", "100ms"]);
        command.args(["--http", &http.to_string()]);
        let broker_var = format!("broker={}", broker.address());
        for set in [broker_var.as_str(), &format!("version={version}"), &format!("limit={limit}")] {
            command.args(["--set", set]);
        }
        let process = Process::start(&mut command).unwrap();
        let publisher = Publisher::connect(broker.address(), "load", 10).unwrap();
        let bench = Self { process, publisher, http, scratch, _broker: broker };
        let well = wait_until(ARRIVES_MAX, || {
            http_get(bench.http, "/health").is_ok_and(|(code, _)| code == 200)
        });
        assert!(well, "{:?}", bench.process.output());
        bench
    }

    fn publish(&mut self, payload: &[u8]) {
        self.publisher.publish("readings", payload).unwrap();
        self.publisher.flush(ARRIVES_MAX).unwrap();
    }

    fn good(&mut self, n: u32) {
        self.publish(format!("{{\"id\":\"r{n}\",\"ts\":{n}}}").as_bytes());
    }

    /// A good reading that is repeated until it arrives: the subscription may just be under way.
    fn wait_until_subscribed(&mut self) {
        for _ in 0..100 {
            self.good(0);
            let arrived = wait_until(Duration::from_millis(300), || !self.result().is_empty());
            if arrived {
                return;
            }
        }
        panic!("nothing arrives: {:?}", self.process.output());
    }

    fn result(&self) -> String {
        fs::read_to_string(self.scratch.join("result.ndjson")).unwrap_or_default()
    }

    fn wait_for(&self, n: u32) {
        let arrived = wait_until(ARRIVES_MAX, || self.result().contains(&format!("\"r{n}\"")));
        assert!(arrived, "r{n} does not arrive: {} {:?}", self.result(), self.process.output());
    }

    fn metrics(&self) -> String {
        http_get(self.http, "/metrics").map(|(_, body)| body).unwrap_or_default()
    }

    /// SIGTERM, the bound of memory, and the dead letters.
    fn finish(mut self) -> (Finished, Vec<Value>) {
        self.process.signal(Signal::Term).unwrap();
        let finished = self.process.wait(STOP_MAX).expect("it ends within 5 s");
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let rss = finished.usage.rss_bytes_max;
        println!("at most {} MiB of memory", rss >> 20);
        assert!(rss < RSS_BYTES_MAX, "{rss} bytes of memory");
        let mut command = Command::new(binary("headwater-agent"));
        command.current_dir(self.scratch.path()).args(["inspect", "--json", "state"]);
        let inspected = run(&mut command, STOP_MAX).unwrap().unwrap();
        assert_eq!(inspected.code, Some(0), "{}", inspected.stderr);
        let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
        let letters = inspected["dead_letters"]["newest"].as_array();
        let letters = letters.unwrap_or_else(|| panic!("no list: {inspected}")).clone();
        assert_eq!(inspected["dead_letters"]["count"], letters.len());
        (finished, letters)
    }
}

fn large(bytes: usize) -> Vec<u8> {
    format!("{{\"id\":\"large\",\"ts\":1,\"x\":\"{}\"}}", "x".repeat(bytes)).into_bytes()
}

#[test]
fn malformed_payloads_become_dead_letters_with_reasons() {
    needs_mosquitto!();
    let mut bench = Bench::start("5", "256 KiB");
    bench.wait_until_subscribed();
    let deep = format!("{{\"id\":\"bad\",\"ts\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let too_long = large(300 << 10);
    let bad: [(&[u8], &str); 6] = [
        (b"{\"id\":\"bad\",\"ts\":9223372036854775808}", "ts"),
        (deep.as_bytes(), ""),
        (b"{\"id\":\"bad\xFF\",\"ts\":1}", ""),
        (b"", ""),
        (b"not JSON", ""),
        (&too_long, "over the limit"),
    ];
    for (n, (payload, _)) in (1..).zip(&bad) {
        bench.publish(payload);
        bench.good(n);
    }
    bench.wait_for(6);
    let counted = wait_until(ARRIVES_MAX, || {
        let metrics = bench.metrics();
        let counts = metrics.lines().filter(|line| line.starts_with("headwater_rows_dropped{"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum::<usize>() == 6
    });
    assert!(counted, "they are counted by reason: {}", bench.metrics());
    assert!(!bench.result().contains("bad"), "{}", bench.result());
    let (_, letters) = bench.finish();
    assert_eq!(letters.len(), bad.len(), "{letters:?}");
    for (letter, (_, word)) in letters.iter().zip(&bad) {
        let text = letter.to_string();
        assert!(text.contains(word), "no {word:?} in {text}");
        assert!(text.len() < 2000, "a dead letter keeps a sample: {} bytes", text.len());
    }
}

/// 10 MiB, within what a packet may have: a dead letter.
#[test]
fn a_payload_of_10_mib_below_the_packet_limit_is_a_dead_letter() {
    needs_mosquitto!();
    for version in ["3.1.1", "5"] {
        let mut bench = Bench::start(version, "4 MiB");
        bench.wait_until_subscribed();
        bench.publish(&large(10 << 20));
        bench.good(1);
        bench.wait_for(1);
        let metrics = bench.metrics();
        let (_, letters) = bench.finish();
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert!(letters[0].to_string().contains("over the limit"), "{letters:?}");
        assert!(!metrics.contains("headwater_source_gaps_total 1"), "{metrics}");
    }
}

/// 10 MiB beyond the packet limit over MQTT 3.1.1, where a server cannot be told: it comes again
/// with every connection, until the session is reset, which is a gap that is counted.
#[test]
fn a_payload_of_10_mib_beyond_the_packet_limit_is_a_counted_gap() {
    needs_mosquitto!();
    let mut bench = Bench::start("3.1.1", "256 KiB");
    bench.wait_until_subscribed();
    bench.good(1);
    bench.wait_for(1);
    bench.publish(&large(10 << 20));
    let counted =
        wait_until(ARRIVES_MAX, || bench.metrics().contains("headwater_source_gaps_total 1"));
    assert!(counted, "{} {:?}", bench.metrics(), bench.process.output());
    for n in 2..100 {
        bench.good(n);
        if wait_until(Duration::from_millis(300), || bench.result().contains(&format!("\"r{n}\"")))
        {
            break;
        }
    }
    let log = bench.process.output().1;
    assert!(log.contains("over the limit"), "{log}");
    let result = bench.result();
    assert!(result.lines().count() >= 3, "what comes after arrives: {result}");
    assert!(!result.contains("large"), "{result}");
    bench.finish();
}

/// MQTT 5: the server is told the limit and does not send the message at all.
#[test]
fn a_payload_beyond_the_packet_limit_is_kept_away_by_mqtt_5() {
    needs_mosquitto!();
    let mut bench = Bench::start("5", "256 KiB");
    bench.wait_until_subscribed();
    bench.publish(&large(10 << 20));
    bench.good(1);
    bench.wait_for(1);
    let (finished, letters) = bench.finish();
    assert!(letters.is_empty(), "{letters:?}");
    assert!(!finished.stderr.contains("connection lost"), "{}", finished.stderr);
}
