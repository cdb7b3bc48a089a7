//! Agents and the aggregator over real MQTT servers: straight, through broken links, with servers
//! and nodes that come and go. The judge is always the whole result.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use headwater_tests::broker::{Embedded, Mosquitto, mosquitto_is_installed};
use headwater_tests::process::wait_until;
use headwater_tests::proxy::{Flow, Way};
use headwater_tests::rig::{
    Broker, Rig, mqtt_source, mqtt_source_any, publish, without_repeats, write_files,
};
use headwater_tests::scratch::Scratch;
use headwater_tests::w1::{Expected, W1};

const RESULTS_MAX: Duration = Duration::from_secs(60);
/// SIGTERM to exit.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Short, so that a test sees many checkpoints and resends.
const FAST: &str = "[checkpoint]\ninterval = \"200ms\"\n";

macro_rules! needs_mosquitto {
    () => {
        if !mosquitto_is_installed() {
            println!("skipped: Mosquitto is not installed");
            return;
        }
    };
}

fn load(broker: SocketAddr, w1: W1, agents: usize, per_s: u64) -> JoinHandle<Expected> {
    thread::spawn(move || publish(broker, &w1, agents, Some(per_s)).unwrap())
}

#[test]
fn three_agents_over_mosquitto() {
    needs_mosquitto!();
    let mut rig = Rig::with_mosquitto(3, FAST).unwrap();
    rig.start().unwrap();
    let expected = publish(rig.broker.address(), &without_repeats(20, 120), 3, None).unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

#[test]
fn three_agents_over_the_embedded_broker() {
    let scratch = Scratch::new("embedded").unwrap();
    let broker = Broker::Embedded(Embedded::start().unwrap());
    let source = mqtt_source(broker.address(), "3.1.1");
    let mut rig = Rig::new(3, scratch, broker, &source, FAST).unwrap();
    rig.start().unwrap();
    let expected = load(rig.broker.address(), without_repeats(20, 120), 3, 4000).join().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

/// Checkpoints 10 s apart, as on a gateway: readings must not wait for them, however few the
/// server lets be under way.
fn readings_flow_between_checkpoints(mut rig: Rig) {
    rig.start().unwrap();
    let w1 = without_repeats(20, 60);
    let readings = 80.0 * 60.0;
    let load = load(rig.broker.address(), w1, 1, 2000);
    let flowed = wait_until(Duration::from_secs(15), || {
        thread::sleep(Duration::from_millis(50));
        rig.agents[0].metric("headwater_records_total") >= Some(readings)
    });
    assert!(flowed, "readings wait: {}", rig.agents[0].status());
    let expected = load.join().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

const SLOW: &str = "[checkpoint]\ninterval = \"10s\"\n";

#[test]
fn readings_flow_from_a_mosquitto_with_its_default_window() {
    needs_mosquitto!();
    for version in ["", "3.1.1"] {
        let scratch = Scratch::new("flow").unwrap();
        let broker = Mosquitto::start(scratch.path(), 20, "").unwrap();
        let source = match version {
            "" => mqtt_source_any(broker.address()),
            version => mqtt_source(broker.address(), version),
        };
        let rig = Rig::new(1, scratch, Broker::Mosquitto(broker), &source, SLOW).unwrap();
        readings_flow_between_checkpoints(rig);
    }
}

/// Times that the threads of this name gave the processor away.
fn switches(pid: u32, thread: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let ours = statuses.filter(|status| status.starts_with(&format!("Name:\t{thread}\n")));
    let count = |status: String| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    ours.map(count).sum()
}

/// A server writes message by message, and a thread that waits for each of them costs ten times
/// what the readings do.
#[test]
fn messages_do_not_wake_the_agent_one_by_one() {
    needs_mosquitto!();
    let scratch = Scratch::new("switches").unwrap();
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 20, "").unwrap());
    let source = mqtt_source_any(broker.address());
    let mut rig = Rig::new(1, scratch, broker, &source, SLOW).unwrap();
    rig.start().unwrap();
    let pid = rig.agents[0].pid().unwrap();
    let before = switches(pid, "network");
    let w1 = without_repeats(200, 15);
    let readings = 800 * 15;
    let expected = publish(rig.broker.address(), &w1, 1, Some(4000)).unwrap();
    let count = switches(pid, "network") - before;
    println!("{count} switches for {readings} readings");
    assert!(count < readings / 8, "{count} switches for {readings} readings");
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

#[test]
fn readings_flow_from_the_embedded_broker() {
    let scratch = Scratch::new("flow").unwrap();
    let broker = Broker::Embedded(Embedded::start().unwrap());
    // It speaks 3.1.1 only, which the agent has to find out.
    let source = mqtt_source_any(broker.address());
    readings_flow_between_checkpoints(Rig::new(1, scratch, broker, &source, SLOW).unwrap());
}

#[test]
fn a_broken_uplink_loses_and_repeats_nothing() {
    needs_mosquitto!();
    let mut rig = Rig::with_mosquitto(2, FAST).unwrap();
    for agent in &rig.agents {
        agent.set_uplink("resend-after = \"2s\"").unwrap();
    }
    rig.start().unwrap();
    let load = load(rig.broker.address(), without_repeats(20, 300), 2, 2000);
    let pause = || thread::sleep(Duration::from_millis(500));
    for round in 0..3 {
        pause();
        rig.proxy.reset();
        pause();
        rig.proxy.cut();
        pause();
        rig.proxy.heal();
        pause();
        // Frames get through and their acknowledgements do not.
        rig.proxy.set_flow(Way::Down, Flow::Discard);
        pause();
        rig.proxy.heal();
        pause();
        rig.proxy.cut_after(Way::Up, 500 + round * 777);
        pause();
        rig.proxy.heal();
        rig.proxy.set_delay(Duration::from_millis(50));
        pause();
        rig.proxy.hold();
        pause();
        rig.proxy.heal();
    }
    let expected = load.join().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

#[test]
fn a_half_open_link_is_noticed() {
    needs_mosquitto!();
    let scratch = Scratch::new("half-open").unwrap();
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 100, "").unwrap());
    let source = mqtt_source(broker.address(), "5");
    let mut rig = Rig::new(1, scratch, broker, &source, FAST).unwrap();
    rig.agents[0].set_uplink("keep-alive = \"5s\"").unwrap();
    rig.start().unwrap();
    let load = load(rig.broker.address(), without_repeats(20, 60), 1, 2000);
    thread::sleep(Duration::from_millis(500));
    rig.proxy.half_open();
    let expected = load.join().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

/// The server that carries the frames dies and forgets; the readings come from another one.
#[test]
fn the_uplinks_broker_is_killed_frozen_and_away_at_start() {
    needs_mosquitto!();
    let readings_dir = Scratch::new("readings").unwrap();
    let readings = Mosquitto::start(readings_dir.path(), 100, "").unwrap();
    let scratch = Scratch::new("uplink").unwrap();
    let uplink = Mosquitto::start(scratch.path(), 100, "").unwrap();
    let source = mqtt_source(readings.address(), "5");
    let mut rig = Rig::new(1, scratch, Broker::Mosquitto(uplink), &source, FAST).unwrap();
    let Broker::Mosquitto(uplink) = &mut rig.broker else { unreachable!() };
    uplink.kill();
    rig.agents[0].set_uplink("resend-after = \"2s\"").unwrap();
    rig.core.start().unwrap();
    rig.agents[0].start().unwrap();
    thread::sleep(Duration::from_secs(1));
    assert!(rig.core.is_running() && rig.agents[0].is_running(), "an absent broker is waited for");
    let load = load(readings.address(), without_repeats(20, 200), 1, 2000);
    thread::sleep(Duration::from_secs(1));
    let Broker::Mosquitto(uplink) = &mut rig.broker else { unreachable!() };
    uplink.restart().unwrap();
    thread::sleep(Duration::from_secs(2));
    uplink.kill();
    thread::sleep(Duration::from_millis(500));
    uplink.restart().unwrap();
    thread::sleep(Duration::from_secs(2));
    uplink.freeze().unwrap();
    thread::sleep(Duration::from_secs(1));
    uplink.thaw().unwrap();
    let expected = load.join().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

#[test]
fn sigterm_ends_in_good_order_and_a_start_goes_on() {
    needs_mosquitto!();
    let mut rig = Rig::with_mosquitto(1, FAST).unwrap();
    rig.start().unwrap();
    let load = load(rig.broker.address(), without_repeats(20, 200), 1, 2000);
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(700));
        for node in [&mut rig.agents[0], &mut rig.core] {
            let finished = node.stop(STOP_MAX).expect("it ends within 5 s");
            assert_eq!(finished.code, Some(0), "{}", finished.stderr);
            node.start().unwrap();
        }
    }
    let expected = load.join().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

/// One gateway is away while the windows fire; its backlog corrects them.
#[test]
fn a_backlog_corrects_results_that_have_fired() {
    needs_mosquitto!();
    let scratch = Scratch::new("backlog").unwrap();
    let expected = write_files(&without_repeats(10, 120), 2, scratch.path()).unwrap();
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 100, "").unwrap());
    let source = "'connector'='filesystem', 'path'='../in${n}.ndjson'";
    let mut rig = Rig::new(2, scratch, broker, source, FAST).unwrap();
    rig.core.start_ready().unwrap();
    rig.agents[0].start().unwrap();
    let fired =
        wait_until(RESULTS_MAX, || rig.rows().is_ok_and(|rows| rows.len() as u64 == expected.rows));
    assert!(fired, "windows fire without the other gateway");
    rig.agents[1].start().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}
