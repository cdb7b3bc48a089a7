//! A full disk, through the binaries: a node whose state cannot be stored says so, waits and
//! loses nothing, survives SIGKILL meanwhile, ends within its time when told to, and goes on by
//! itself when there is room; a sink without room holds its results back, within a bound.
//!
//! Small file systems are mounted in a name space of the test's own, and the tests are skipped by
//! name where that is not allowed.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use headwater_tests::broker::mosquitto_is_installed;
use headwater_tests::isolated::isolated;
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::{run, wait_until};
use headwater_tests::rig::{Rig, publish, without_repeats};
use headwater_tests::scratch::Scratch;

const RESULTS_MAX: Duration = Duration::from_secs(90);
const SHOWN_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(5);
const TEST_MAX: Duration = Duration::from_secs(300);
const FAST: &str = "[checkpoint]\ninterval = \"200ms\"\n";
/// A name space in which small file systems can be mounted, also without being root.
fn isolated_here(name: &str, test: fn()) {
    let probe = "mkdir -p \"$0\" && mount -t tmpfs -o size=1m none \"$0\"";
    isolated(name, &["-m", "-r"], probe, TEST_MAX, test);
}

/// A small file system at `dir`.
struct Disk(PathBuf);

impl Disk {
    fn mount(dir: &Path, mib: u32) -> Self {
        fs::create_dir_all(dir).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"]).arg(dir);
        let finished = run(&mut command, STOP_MAX).unwrap().unwrap();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        Self(dir.to_owned())
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file =
            File::options().create(true).append(true).open(self.0.join("filler")).unwrap();
        for size in [1 << 20, 64 << 10, 4096, 256] {
            let block = vec![1; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

/// Fills the node's disk, sees it said, kills, starts and stops the node meanwhile, and frees it.
fn suffers(node: &mut Node, disk: &Disk) {
    disk.fill();
    // The reserve is given up first, and that room must be gone as well.
    let said = wait_until(SHOWN_MAX, || {
        disk.fill();
        node.health().contains("disk full")
    });
    assert!(said, "{} {}", node.health(), node.log());
    thread::sleep(Duration::from_secs(1));
    disk.fill();
    assert!(node.is_running(), "it waits: {}", node.log());
    let counted = wait_until(SHOWN_MAX, || node.metric("headwater_problem").is_some());
    assert!(counted, "{}", node.metrics());
    node.kill();
    node.start().unwrap();
    let said = wait_until(SHOWN_MAX, || node.health().contains("disk full"));
    assert!(said, "{} {}", node.health(), node.log());
    let finished = node.stop(STOP_MAX).expect("it ends within 5 s, also on a full disk");
    assert_eq!(finished.code, Some(74), "what was not stored is said: {}", finished.stderr);
    assert!(finished.stderr.contains("remedy"), "{}", finished.stderr);
    node.start().unwrap();
    node.wait_for_health(&["disk full"], SHOWN_MAX).unwrap();
    disk.free();
    node.wait_for_health(&["\"ok\""], SHOWN_MAX).unwrap();
}

fn nodes_without_room_for_their_state() {
    let mut rig = Rig::with_mosquitto(1, FAST).unwrap();
    let disks = [&rig.agents[0], &rig.core].map(|node| Disk::mount(&node.dir().join("state"), 24));
    rig.agents[0].set_uplink("resend-after = \"2s\"").unwrap();
    rig.start().unwrap();
    let broker = rig.broker.address();
    let load = thread::spawn(move || publish(broker, &without_repeats(20, 600), 1, Some(400)));
    suffers(&mut rig.agents[0], &disks[0]);
    suffers(&mut rig.core, &disks[1]);
    let expected = load.join().unwrap().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
    for (node, disk) in [&rig.agents[0], &rig.core].into_iter().zip(&disks) {
        assert!(disk.0.join("ballast").exists(), "the reserve is back: {}", node.log());
    }
}

#[test]
fn a_node_without_room_for_its_state_waits_and_goes_on() {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return;
    }
    isolated_here(
        "a_node_without_room_for_its_state_waits_and_goes_on",
        nodes_without_room_for_their_state,
    );
}

const PIPELINE: &str = "\
CREATE TABLE a (x BIGINT, t STRING)
WITH ('connector'='filesystem', 'path'='../in.ndjson', 'format'='json');
CREATE TABLE b (x BIGINT, t STRING)
WITH ('connector'='filesystem', 'path'='../out/b.ndjson', 'format'='json', 'at'='edge');
INSERT INTO b SELECT x, t FROM a;
";
const ROWS: u32 = 40_000;

fn a_sink_without_room() {
    let scratch = Scratch::new("full-sink").unwrap();
    let row = |x: u32| format!("{{\"x\":{x},\"t\":\"{}\"}}\n", "t".repeat(100));
    let all: String = (0..ROWS).map(row).collect();
    fs::write(scratch.join("in.ndjson"), &all).unwrap();
    let disk = Disk::mount(&scratch.join("out"), 6);
    disk.fill();
    let extra = format!("{FAST}\n[outbox]\nquota = \"1MiB\"\n");
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let mut node = Node::new(Kind::Agent, scratch.path(), "a0", nowhere, PIPELINE, &extra).unwrap();
    node.start().unwrap();
    node.wait_for_health(&["sink b", "No space left"], SHOWN_MAX).unwrap();
    node.wait_for_health(&["outbox", "full"], SHOWN_MAX).unwrap();
    node.kill();
    node.start().unwrap();
    node.wait_for_health(&["sink b", "outbox"], SHOWN_MAX).unwrap();
    // What a checkpoint adds at the quota, and what the database needs besides.
    assert!(node.state_bytes() < 16 << 20, "{} bytes of state", node.state_bytes());
    let usage = node.usage();
    assert!(usage.rss_bytes_max < 48 << 20, "{usage:?}");
    disk.free();
    let finished = node.wait(RESULTS_MAX).expect("it ends with its source");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let written = fs::read_to_string(scratch.join("out/b.ndjson")).unwrap();
    assert!(written == all, "{} of {} bytes", written.len(), all.len());
}

#[test]
fn a_sink_without_room_holds_results_back_within_a_bound() {
    isolated_here("a_sink_without_room_holds_results_back_within_a_bound", a_sink_without_room);
}
