//! Copies of state directories with real processes (fault table, rows 10, 11 and 14): an old copy
//! of an agent's state put back, two agents under one identity, an aggregator restored from a
//! backup. Nothing is counted twice, and what is lost is declared. `lives.rs` has the protocol's
//! side of it in virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::thread;
use std::time::Duration;

use headwater_tests::broker::Mosquitto;
use headwater_tests::feed::{FEED_SOURCE, Feed};
use headwater_tests::needs_mosquitto;
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::wait_until;
use headwater_tests::rig::{Broker, Rig, without_repeats};
use headwater_tests::scratch::Scratch;
use headwater_tests::w1::START_MS;

const MAX: Duration = Duration::from_secs(60);
/// Of event time.
const SECONDS: u64 = 300;
const END_MS: u64 = START_MS + SECONDS * 1000;
const FAST: &str = "[checkpoint]\ninterval = \"100ms\"\n";

/// Agents that read files which grow piece by piece, all nodes started.
fn rig(name: &str, agents: usize, agents_extra: &str) -> (Rig, Feed) {
    let scratch = Scratch::new(name).unwrap();
    let feed = Feed::new(&without_repeats(20, SECONDS), agents, scratch.path()).unwrap();
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 100, "").unwrap());
    let mut rig = Rig::new(agents, scratch, broker, FEED_SOURCE, FAST).unwrap();
    for agent in &rig.agents {
        agent.edit("node.toml", "[vars]", &format!("{agents_extra}[vars]")).unwrap();
        agent.set_uplink("resend-after = \"1s\"").unwrap();
    }
    rig.start().unwrap();
    (rig, feed)
}

fn gaps(rig: &Rig) -> serde_json::Value {
    rig.core.inspect().unwrap()["gaps"].clone()
}

fn incarnation(node: &Node) -> String {
    node.inspect().unwrap()["incarnation"].to_string()
}

/// An old copy of agent 0 is put back when it has gone on from 300 to 700 per mille; the other
/// agent has come to `other` by then, and holds the windows of the core open there.
fn an_old_copy_is_put_back(other: usize) {
    let (mut rig, mut feed) = rig("old-copy", 2, "");
    feed.upto(0, 300).unwrap();
    feed.upto(1, other).unwrap();
    assert!(feed.is_taken(0, &rig.agents[0], MAX), "{}", rig.statuses());
    rig.agents[0].kill();
    let copy = rig.scratch.join("copy");
    rig.agents[0].copy_state(&copy).unwrap();
    rig.agents[0].start().unwrap();
    feed.upto(0, 700).unwrap();
    assert!(feed.is_taken(0, &rig.agents[0], MAX), "{}", rig.statuses());
    let before = incarnation(&rig.agents[0]);
    rig.agents[0].kill();
    rig.agents[0].put_state(&copy).unwrap();
    rig.agents[0].start().unwrap();
    feed.all_upto(1000).unwrap();
    rig.wait_for(&feed.expected, MAX).unwrap();
    assert_ne!(incarnation(&rig.agents[0]), before, "it goes on as a new incarnation");
    let gaps = gaps(&rig);
    assert!(gaps["count"].as_u64() > Some(0), "what the lost state held is declared: {gaps}");
}

#[test]
fn an_old_copy_that_reads_again_counts_nothing_twice() {
    needs_mosquitto!();
    an_old_copy_is_put_back(0);
}

#[test]
fn an_old_copy_counts_nothing_twice_when_windows_have_fired() {
    needs_mosquitto!();
    an_old_copy_is_put_back(700);
}

/// One image on two gateways.
#[test]
fn two_processes_under_one_identity_are_both_refused() {
    needs_mosquitto!();
    let (mut rig, mut feed) = rig("clone", 1, "");
    feed.upto(0, 300).unwrap();
    assert!(feed.is_taken(0, &rig.agents[0], MAX), "{}", rig.statuses());
    rig.agents[0].kill();
    let place = rig.scratch.join("clone");
    fs::create_dir_all(&place).unwrap();
    fs::hard_link(rig.scratch.join("in0.ndjson"), place.join("in0.ndjson")).unwrap();
    let text = fs::read_to_string(rig.agents[0].dir().join("pipeline.sql")).unwrap();
    let extra = format!("{FAST}[vars]\nn = \"0\"\n");
    let mut clone =
        Node::new(Kind::Agent, &place, "a0", rig.proxy.address(), &text, &extra).unwrap();
    rig.agents[0].copy_state(&clone.dir().join("state")).unwrap();
    clone.start().unwrap();
    rig.agents[0].start().unwrap();
    feed.upto(0, 600).unwrap();
    for node in [&rig.agents[0], &clone] {
        node.wait_for_health(&["two processes claim"], MAX).unwrap();
    }
    let applied = || rig.core.metric("headwater_total{name=\"hub/frames-applied\"}");
    // Metrics are of the last checkpoint.
    let refused = || !rig.core.status()["agents"][0]["refused"].is_null();
    assert!(wait_until(MAX, refused), "{}", rig.statuses());
    thread::sleep(Duration::from_millis(500));
    let before = applied();
    feed.upto(0, 1000).unwrap();
    let waits = |node: &Node| {
        let has_frames = || node.metric("headwater_outbox_frames") > Some(0.0);
        feed.is_stored(0, node, MAX) && wait_until(MAX, has_frames)
    };
    for node in [&rig.agents[0], &clone] {
        assert!(waits(node), "rows wait: {} {}", node.metrics(), node.log());
    }
    assert_eq!(applied(), before, "nothing of either is taken");
    // Agents read the same file: a count above the truth would be a reading taken from both.
    let found = rig.sums().unwrap();
    assert!(found.rows > 0 && found.sum_milli <= feed.expected.sum_milli, "{found:?}");
    clone.kill();
}

/// The aggregator is killed at 300 per mille, its state copied; it goes on to 800 in
/// ten steps, and is restored.
fn a_core_restored(name: &str, extra: &str) -> (Rig, Feed) {
    let (mut rig, mut feed) = rig(name, 2, extra);
    feed.all_upto(300).unwrap();
    let is_taken = |rig: &Rig, feed: &Feed| (0..2).all(|n| feed.is_taken(n, &rig.agents[n], MAX));
    assert!(is_taken(&rig, &feed), "{}", rig.statuses());
    rig.core.kill();
    let backup = rig.scratch.join("backup");
    rig.core.copy_state(&backup).unwrap();
    rig.core.start().unwrap();
    for permille in (350..=800).step_by(50) {
        feed.all_upto(permille).unwrap();
        assert!(is_taken(&rig, &feed), "{}", rig.statuses());
    }
    rig.core.kill();
    rig.core.put_state(&backup).unwrap();
    rig.core.start().unwrap();
    feed.all_upto(1000).unwrap();
    (rig, feed)
}

#[test]
fn a_core_restored_from_a_backup_is_refilled() {
    needs_mosquitto!();
    let (rig, feed) = a_core_restored("core-backup", "");
    rig.wait_for(&feed.expected, MAX).unwrap();
    assert_eq!(gaps(&rig)["count"], 0, "{}", gaps(&rig));
}

/// Agents keep a tenth of a small quota only: less than what the core has lost.
#[test]
fn a_core_restored_from_too_old_a_backup_declares_the_gap() {
    needs_mosquitto!();
    let (rig, feed) = a_core_restored("core-old-backup", "[outbox]\nquota = \"32KiB\"\n");
    let declared = || gaps(&rig)["count"].as_u64() > Some(0);
    assert!(wait_until(MAX, declared), "{}", rig.statuses());
    for (n, agent) in rig.agents.iter().enumerate() {
        assert!(feed.is_taken(n, agent, MAX), "{}", rig.statuses());
    }
    let mut found = rig.sums().unwrap();
    let is_over = wait_until(MAX, || {
        let before = std::mem::replace(&mut found, rig.sums().unwrap());
        thread::sleep(Duration::from_secs(1));
        rig.core.status()["watermark"].as_u64() > Some(END_MS) && before == found
    });
    assert!(is_over, "{}", rig.statuses());
    let expected = feed.expected;
    println!("{found:?} of {expected:?}; {}", gaps(&rig));
    assert!(found.sum_milli < expected.sum_milli, "a gap is declared and nothing is lost");
}
