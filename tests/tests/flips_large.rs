//! Flipped bits in a state file that is too large to be verified as a whole when it is opened
//! (fault table, row 5): the damage is met while the agent runs. It sets the file aside and goes
//! on as a new incarnation without a hand, what it reads again is counted once, the core records a
//! gap.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use headwater_tests::broker::Mosquitto;
use headwater_tests::needs_mosquitto;
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::wait_until;
use headwater_tests::proxy::Proxy;
use headwater_tests::scratch::Scratch;

const PIPELINE: &str = "\
CREATE TABLE readings (device STRING, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt)
WITH ('connector'='filesystem', 'path'='../in.ndjson', 'format'='json',
  'source.monitor-interval'='50 ms');
CREATE TABLE `result` (device STRING, n BIGINT)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');
INSERT INTO `result`
SELECT device, COUNT(*) FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY device, window_start, window_end;
";
const ROWS: u64 = 300_000;
/// One device every 10 ms.
const WINDOW_ROWS: u64 = 1000;
const START_MS: u64 = 1_700_000_000_000;
/// Above this a file is not verified as a whole.
const VERIFIED_BYTES_MAX: u64 = 32 << 20;
const FLIPS: u64 = 15;
const MAX: Duration = Duration::from_secs(60);

/// Every device once, with a name that cannot be compressed, and one that closes the windows.
fn write(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut chance = 1_u64;
    for n in 0..ROWS {
        write!(file, "{{\"device\":\"{n}-").unwrap();
        for _ in 0..16 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n);
            write!(file, "{:016x}", chance ^ chance >> 29).unwrap();
        }
        writeln!(file, "\",\"ts\":{}}}", START_MS + n * 10).unwrap();
    }
    let end = START_MS + ROWS * 10 + 20_000;
    writeln!(file, "{{\"device\":\"_tail\",\"ts\":{end}}}").unwrap();
    file.flush().unwrap();
}

fn flip(path: &Path) {
    let length = fs::metadata(path).unwrap().len();
    assert!(length > VERIFIED_BYTES_MAX, "{length} bytes");
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    for part in 1..=FLIPS {
        let (mut byte, at) = ([0], length / (FLIPS + 1) * part + 1234);
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
    }
}

#[test]
fn damage_in_a_large_file_is_met_and_set_aside() {
    needs_mosquitto!();
    let scratch = Scratch::new("flips-large").unwrap();
    write(&scratch.join("in.ndjson"));
    let broker = Mosquitto::start(scratch.path(), 100, "").unwrap();
    let proxy = Proxy::start(broker.address()).unwrap();
    proxy.cut();
    let extra = "[checkpoint]\ninterval = \"200ms\"\n";
    let node = |kind, id, at| Node::new(kind, scratch.path(), id, at, PIPELINE, extra).unwrap();
    let mut agent = node(Kind::Agent, "gw", proxy.address());
    let mut core = node(Kind::Aggregator, "core", broker.address());
    core.start_ready().unwrap();
    agent.start().unwrap();
    let length = fs::metadata(scratch.join("in.ndjson")).unwrap().len();
    let is_stored = || {
        let inspected = agent.inspect().unwrap_or_default();
        inspected["positions"][0]["offset"].as_u64() == Some(length)
    };
    assert!(wait_until(MAX, is_stored), "{}", agent.status());
    agent.kill();
    flip(&agent.dir().join("state/state.redb"));
    agent.start().unwrap();
    proxy.heal();
    agent.wait_for_health(&["state file"], MAX).unwrap();
    let result = || fs::read_to_string(core.dir().join("result.ndjson")).unwrap_or_default();
    let last = format!("\"{}-", ROWS - 1);
    let is_over = || result().contains(&last);
    assert!(wait_until(MAX, is_over), "{} rows\n{}", result().lines().count(), agent.log());
    assert!(agent.is_running(), "{}", agent.log());
    assert!(agent.dir().join("state/state.redb.damaged").is_file());
    let (result, once) = (result(), ",\"n\":1}");
    // Where the gap begins a frame may have held a part of a window: the rest of it is in the gap.
    let count = result.lines().count() as u64;
    assert!((ROWS - WINDOW_ROWS + 1..=ROWS).contains(&count), "{count} rows");
    assert!(result.lines().all(|line| line.ends_with(once)), "counted twice");
    let devices: BTreeSet<_> = result.lines().filter_map(|line| line.split('"').nth(3)).collect();
    assert_eq!(devices.len() as u64, count, "a device comes twice");
    let gaps = core.inspect().unwrap()["gaps"].to_string();
    assert!(gaps.contains("new state directory"), "{gaps}");
}
