//! The broker between agents and the aggregator dies and forgets, or freezes (fault table, rows 6
//! and 7); the aggregator dies between its commit and its acknowledgement (row 13). Readings come
//! from files, so that the broker holds frames alone.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::broker::Mosquitto;
use headwater_tests::feed::{FEED_SOURCE, Feed};
use headwater_tests::needs_mosquitto;
use headwater_tests::node::Node;
use headwater_tests::process::wait_until;
use headwater_tests::proxy::{Flow, Way};
use headwater_tests::rig::{Broker, Rig, without_repeats};
use headwater_tests::scratch::Scratch;

const MAX: Duration = Duration::from_secs(60);
const FAST: &str = "[checkpoint]\ninterval = \"100ms\"\n";
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// For health to be asked, on a busy machine.
const SLACK: Duration = Duration::from_secs(2);
/// A proxy that waits for bytes passes what comes within a moment.
const PROXY_TICK: Duration = Duration::from_millis(50);
const RSS_BYTES_MAX: u64 = 48 << 20;

fn rig(name: &str, agents: usize, seconds: u64) -> (Rig, Feed) {
    let scratch = Scratch::new(name).unwrap();
    let feed = Feed::new(&without_repeats(20, seconds), agents, scratch.path()).unwrap();
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 100, "").unwrap());
    let mut rig = Rig::new(agents, scratch, broker, FEED_SOURCE, FAST).unwrap();
    for agent in &rig.agents {
        agent.set_uplink("resend-after = \"1s\"").unwrap();
    }
    for node in rig.agents.iter().chain([&rig.core]) {
        node.set_uplink(&format!("keep-alive = \"{}s\"", KEEP_ALIVE.as_secs())).unwrap();
    }
    rig.start().unwrap();
    (rig, feed)
}

fn mosquitto(rig: &mut Rig) -> &mut Mosquitto {
    let Broker::Mosquitto(broker) = &mut rig.broker else { unreachable!() };
    broker
}

fn no_gap_is_declared(rig: &Rig) {
    let gaps = rig.core.inspect().unwrap()["gaps"].clone();
    assert_eq!(gaps["count"], 0, "{gaps}");
}

/// Sessions, queues and retained acknowledgements are gone each time.
#[test]
fn a_broker_that_is_killed_and_forgets_costs_nothing() {
    needs_mosquitto!();
    let (mut rig, mut feed) = rig("forgets", 2, 600);
    for round in 1..=6 {
        feed.all_upto(round * 150).unwrap();
        thread::sleep(Duration::from_millis(120 * round as u64));
        mosquitto(&mut rig).kill();
        mosquitto(&mut rig).forget().unwrap();
        feed.all_upto(round * 150 + 75).unwrap();
        mosquitto(&mut rig).restart().unwrap();
        thread::sleep(Duration::from_millis(150));
    }
    feed.all_upto(1000).unwrap();
    rig.wait_for(&feed.expected, MAX).unwrap();
    no_gap_is_declared(&rig);
}

/// The server takes a connection request after it has forgotten everything, and its answer is lost:
/// the next request finds a session, in which there are no subscriptions.
#[test]
fn a_lost_answer_to_a_connection_request_costs_nothing() {
    needs_mosquitto!();
    let (mut rig, mut feed) = rig("answer", 1, 600);
    feed.all_upto(100).unwrap();
    for round in 1..=4 {
        mosquitto(&mut rig).kill();
        mosquitto(&mut rig).forget().unwrap();
        let link = if round % 2 == 0 { &rig.core_proxy } else { &rig.proxy };
        link.set_flow(Way::Down, Flow::Discard);
        let before = link.bytes(Way::Up);
        mosquitto(&mut rig).restart().unwrap();
        let link = if round % 2 == 0 { &rig.core_proxy } else { &rig.proxy };
        assert!(wait_until(MAX, || link.bytes(Way::Up) > before), "no connection request");
        thread::sleep(Duration::from_millis(300));
        link.heal();
        feed.all_upto(100 + round * 100).unwrap();
        let is_granted = || rig.agents[0].status()["link"] == "granted";
        assert!(wait_until(MAX, is_granted), "round {round}: {}", rig.statuses());
    }
    feed.all_upto(1000).unwrap();
    rig.wait_for(&feed.expected, MAX).unwrap();
    no_gap_is_declared(&rig);
}

fn says_so_in_time(node: &Node, since: Instant) {
    node.wait_for_health(&["\"uplink\""], MAX).unwrap();
    let after = since.elapsed();
    println!("{}: noticed after {after:.1?}", node.dir().display());
    assert!(after < KEEP_ALIVE * 3 / 2 + SLACK, "noticed after {after:?}");
}

#[test]
fn a_frozen_broker_is_noticed_and_memory_stays_bounded() {
    needs_mosquitto!();
    let (mut rig, mut feed) = rig("frozen", 1, 3000);
    feed.upto(0, 100).unwrap();
    assert!(feed.is_taken(0, &rig.agents[0], MAX), "{}", rig.statuses());
    mosquitto(&mut rig).freeze().unwrap();
    let since = Instant::now();
    feed.upto(0, 900).unwrap();
    for node in [&rig.agents[0], &rig.core] {
        says_so_in_time(node, since);
    }
    // Connections are taken by the kernel, and nobody answers.
    assert!(feed.is_stored(0, &rig.agents[0], MAX), "{}", rig.statuses());
    thread::sleep(KEEP_ALIVE);
    mosquitto(&mut rig).thaw().unwrap();
    feed.upto(0, 1000).unwrap();
    rig.wait_for(&feed.expected, MAX).unwrap();
    no_gap_is_declared(&rig);
    for node in rig.agents.iter_mut().chain([&mut rig.core]) {
        let rss = node.usage().rss_bytes_max;
        assert!(rss < RSS_BYTES_MAX, "{}: {rss} bytes of memory", node.dir().display());
    }
}

/// The last frame that the core has committed, and that the agent knows to be.
fn marks(rig: &Rig) -> (u64, u64) {
    let committed = rig.core.inspect().unwrap()["ledger"][0]["seq"].as_u64();
    let outbox = rig.agents[0].inspect().unwrap()["outbox"][0].clone();
    (committed.unwrap_or(0), outbox["acknowledged_upto"].as_u64().unwrap())
}

#[test]
fn a_core_killed_between_commit_and_acknowledgement_drops_the_repeat() {
    needs_mosquitto!();
    let (mut rig, mut feed) = rig("unacknowledged", 1, 300);
    let repeated =
        |rig: &Rig| rig.core.metric("headwater_total{name=\"hub/frames-repeated\"}").unwrap_or(0.0);
    feed.upto(0, 100).unwrap();
    for round in 1..=4 {
        assert!(feed.is_taken(0, &rig.agents[0], MAX), "{}", rig.statuses());
        // Frames reach the core, and nothing leaves it.
        rig.core_proxy.set_flow(Way::Up, Flow::Hold);
        thread::sleep(PROXY_TICK);
        feed.upto(0, round * 200).unwrap();
        let is_between = || {
            let (committed, acknowledged) = marks(&rig);
            committed > acknowledged
        };
        assert!(wait_until(MAX, is_between), "{:?} {}", marks(&rig), rig.statuses());
        let before = repeated(&rig);
        rig.core.kill();
        // What it had written for the broker is gone with it.
        rig.core_proxy.reset();
        assert!(wait_until(MAX, || rig.core_proxy.connections_count() == 0));
        rig.core_proxy.heal();
        rig.core.start().unwrap();
        let dropped = wait_until(MAX, || repeated(&rig) > before);
        assert!(dropped, "round {round}: {}", rig.statuses());
    }
    feed.upto(0, 1000).unwrap();
    rig.wait_for(&feed.expected, MAX).unwrap();
    no_gap_is_declared(&rig);
}
