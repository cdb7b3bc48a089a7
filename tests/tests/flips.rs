//! Bit flips in an agent's state file while it does not run (fault table, row 5): either the flip
//! lies in room that is not used, and nothing has changed, or the file is set aside, the agent
//! goes on as a new incarnation, and the core records a gap. A damaged or an empty state is never
//! taken for a good one.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use headwater_tests::broker::Mosquitto;
use headwater_tests::feed::{FEED_SOURCE, Feed};
use headwater_tests::needs_mosquitto;
use headwater_tests::node::Node;
use headwater_tests::process::wait_until;
use headwater_tests::rig::{Broker, Rig, without_repeats};
use headwater_tests::scratch::Scratch;
use serde_json::Value;

const MAX: Duration = Duration::from_secs(60);
const FAST: &str = "[checkpoint]\ninterval = \"100ms\"\n";
const FILE: &str = "state.redb";
/// Flips spread over the file; as many again hit frames of the outbox.
const FLIPS: usize = 12;

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1 << (at % 8);
    fs::write(file, bytes).unwrap();
}

/// Where frames lie: each has the agent's incarnation in its head.
fn frames(file: &[u8], incarnation: &str) -> Vec<usize> {
    let byte = |n: usize| u8::from_str_radix(&incarnation[n..n + 2], 16).unwrap();
    let wanted: Vec<u8> = (0..incarnation.len()).step_by(2).map(byte).collect();
    let is_there = |at: &usize| file[*at..].starts_with(&wanted);
    (0..file.len() - wanted.len()).filter(is_there).collect()
}

/// What must not change unseen.
fn content(node: &Node) -> Value {
    let mut inspected = node.inspect().unwrap();
    let names = ["incarnation", "positions", "outbox", "operators"];
    names.into_iter().map(|name| (name.to_owned(), inspected[name].take())).collect()
}

/// Starts the agent on the copy with one bit flipped; whether it was set aside.
fn is_set_aside(agent: &mut Node, copy: &Path, at: usize, before: &Value) -> bool {
    agent.put_state(copy).unwrap();
    let file = agent.dir().join("state").join(FILE);
    flip(&file, at);
    agent.start().unwrap();
    let answers = wait_until(MAX, || !agent.health().is_empty() || !agent.is_running());
    assert!(answers && agent.is_running(), "byte {at}: {}", agent.log());
    let health = agent.health();
    agent.kill();
    let is_kept = file.with_extension("redb.damaged").exists();
    let after = content(agent);
    assert_eq!(health.contains("state file"), is_kept, "byte {at}: {health}");
    assert_eq!(after["incarnation"] != before["incarnation"], is_kept, "byte {at}: {after}");
    if !is_kept {
        assert_eq!(&after, before, "byte {at}");
    }
    is_kept
}

#[test]
fn a_flipped_bit_is_noticed_or_meets_nothing() {
    needs_mosquitto!();
    let scratch = Scratch::new("flips").unwrap();
    let mut feed = Feed::new(&without_repeats(20, 300), 1, scratch.path()).unwrap();
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 100, "").unwrap());
    let mut rig = Rig::new(1, scratch, broker, FEED_SOURCE, FAST).unwrap();
    rig.agents[0].set_uplink("resend-after = \"1s\"").unwrap();
    rig.start().unwrap();
    feed.upto(0, 300).unwrap();
    assert!(feed.is_taken(0, &rig.agents[0], MAX), "{}", rig.statuses());
    // Frames that the core does not have.
    rig.proxy.cut();
    for permille in (350..=600).step_by(50) {
        feed.upto(0, permille).unwrap();
        assert!(feed.is_stored(0, &rig.agents[0], MAX), "{}", rig.statuses());
    }
    rig.agents[0].kill();
    let copy = rig.scratch.join("copy");
    rig.agents[0].copy_state(&copy).unwrap();
    let before = content(&rig.agents[0]);
    assert!(before["outbox"][0]["unacknowledged_frames"].as_u64() > Some(2), "{before}");

    let bytes = fs::read(copy.join(FILE)).unwrap();
    let spread: Vec<_> = (0..FLIPS).map(|n| bytes.len() / FLIPS * n + 37 * n).collect();
    let mut places = frames(&bytes, before["incarnation"].as_str().unwrap());
    // Within the head and the content that follow the incarnation.
    places = places.iter().rev().take(FLIPS).map(|at| at + 40).collect();
    let agent = &mut rig.agents[0];
    let mut count = |places: &[usize]| {
        places.iter().filter(|at| is_set_aside(agent, &copy, **at, &before)).count()
    };
    let (in_frames, anywhere) = (count(&places), count(&spread));
    println!("{} bytes: set aside {in_frames} and {anywhere} of {FLIPS} each", bytes.len());
    assert!(in_frames > 0, "a frame that lies there is met");

    // The last one goes on: the file is read again, the core is told.
    let met = places.into_iter().find(|at| is_set_aside(&mut rig.agents[0], &copy, *at, &before));
    assert!(met.is_some());
    rig.proxy.heal();
    rig.agents[0].start().unwrap();
    feed.upto(0, 1000).unwrap();
    rig.wait_for(&feed.expected, MAX).unwrap();
    let gaps = rig.core.inspect().unwrap()["gaps"].to_string();
    assert!(gaps.contains("new state directory"), "{gaps}");
}
