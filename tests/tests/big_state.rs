//! A node with a state file of 64 MiB or more, killed: it is ready again within two seconds, and
//! its state is whole.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use headwater_tests::broker::Mosquitto;
use headwater_tests::needs_mosquitto;
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::wait_until;
use headwater_tests::scratch::Scratch;

/// Two windows: the aggregator keeps the first one, for an agent that it waits for, and the agent
/// the second.
const PIPELINE: &str = "\
SET 'headwater.panes-max' = '350000';
SET 'headwater.symbols-max' = '400000';
SET 'headwater.symbol-bytes-max' = '128 mb';
CREATE TABLE readings (device STRING, ts BIGINT, v DOUBLE, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt)
WITH ('connector'='filesystem', 'path'='../in.ndjson', 'format'='json',
  'source.monitor-interval'='50 ms');
CREATE TABLE `result` (device STRING, n BIGINT, sm DOUBLE, mn DOUBLE, mx DOUBLE,
  dev DOUBLE)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');
INSERT INTO `result`
SELECT device, COUNT(*), SUM(v), MIN(v), MAX(v), STDDEV_POP(v)
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '1' HOUR))
GROUP BY device, window_start, window_end;
";
const KEYS: u64 = 300_000;
/// Names as long as those that OPC UA servers give to a plant's tags: with them the state itself,
/// not only the file around it, is of [`STATE_BYTES_MIN`].
const NODE_ID: &str = "nsu=urn:plant-7.example:controllers:s7-1500:north;s=site-hamburg.area-4.\
  rolling-mill.hall-3.line-12.finishing-stand-05.upper-work-roll.drive-side.";
const HOUR_MS: u64 = 3_600_000;
const START_MS: u64 = HOUR_MS * 470_000;
const STATE_BYTES_MIN: u64 = 64 << 20;
const READY_MAX: Duration = Duration::from_secs(2);
const TAKEN_MAX: Duration = Duration::from_secs(120);
const KILLS: usize = 7;

fn write(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    for hour in 0..2 {
        for key in 0..KEYS {
            let device = format!("{NODE_ID}machine-{key:09}.spindle.bearing-outer.temp");
            let ts = START_MS + hour * HOUR_MS + key;
            let value = key % 1000;
            writeln!(file, "{{\"device\":\"{device}\",\"ts\":{ts},\"v\":{value}.25}}").unwrap();
        }
    }
    file.flush().unwrap();
}

fn is_ready_after_kills(node: &mut Node, keeps: &str) {
    let name = node.dir().file_name().unwrap().to_string_lossy().into_owned();
    let epoch = node.inspect().unwrap()["epoch"].as_u64();
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..KILLS {
        thread::sleep(Duration::from_millis(300));
        node.kill();
        times.push(node.start_ready().unwrap());
    }
    times.sort_unstable();
    let inspected = node.inspect().unwrap();
    assert!(inspected["epoch"].as_u64() >= epoch, "{inspected}");
    let state = &inspected["state"];
    let bytes: u64 = ["base_bytes", "delta_bytes"].iter().filter_map(|b| state[b].as_u64()).sum();
    println!(
        "{name}: {} MiB of files, {keeps}, {state}: ready after {:.2?}, at most {:.2?}; RSS {} MiB",
        node.state_bytes() >> 20,
        times[KILLS / 2],
        times[KILLS - 1],
        node.usage().rss_bytes_max >> 20
    );
    assert!(bytes >= STATE_BYTES_MIN, "{bytes} bytes of state");
    // Not the longest one: the machine may be busy with something else for a moment.
    assert!(times[KILLS / 2] < READY_MAX, "{times:?}");
}

#[test]
fn a_node_with_64_mib_of_state_is_ready_within_two_seconds_of_a_kill() {
    needs_mosquitto!();
    let scratch = Scratch::new("big-state").unwrap();
    let broker = Mosquitto::start(scratch.path(), 100, "").unwrap();
    write(&scratch.join("in.ndjson"));
    let extra = "[checkpoint]\ninterval = \"200ms\"\n[limits]\nmemory = \"1GiB\"\n";
    let node =
        |kind, id| Node::new(kind, scratch.path(), id, broker.address(), PIPELINE, extra).unwrap();
    let (mut agent, mut core) = (node(Kind::Agent, "gw"), node(Kind::Aggregator, "core"));
    core.edit("node.toml", "fleet =", "agents = [\"gw\", \"absent\"]\nfleet =").unwrap();
    core.start_ready().unwrap();
    agent.start_ready().unwrap();
    let taken = wait_until(TAKEN_MAX, || {
        agent.metric("headwater_records_total") >= Some(2.0 * KEYS as f64)
            && agent.metric("headwater_outbox_frames") == Some(0.0)
    });
    assert!(taken, "{} {}", agent.status(), core.status());
    thread::sleep(Duration::from_secs(1));
    is_ready_after_kills(&mut agent, "300,000 keys");
    is_ready_after_kills(&mut core, "300,000 keys");
}
