//! A broker that is absent at the start and lost later, seen by an agent's source, its uplink and
//! the aggregator at once: tried again with back-off, shown in health, status and metrics, and
//! nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::process::Command;
use std::time::Duration;

use headwater_tests::broker::mosquitto_is_installed;
use headwater_tests::node::Node;
use headwater_tests::process::{binary, run, wait_until};
use headwater_tests::rig::{Broker, Rig, publish, without_repeats};

const RESULTS_MAX: Duration = Duration::from_secs(60);
const SHOWN_MAX: Duration = Duration::from_secs(45);
const FAST: &str = "[checkpoint]\ninterval = \"200ms\"\n";

/// Health, metrics and the command `status` all say that `components` have a problem.
fn says(node: &Node, program: &str, components: &[&str]) {
    node.wait_for_health(components, SHOWN_MAX).unwrap();
    assert_eq!(
        node.metric("headwater_problem"),
        Some(components.len() as f64),
        "{}",
        node.metrics()
    );
    let mut command = Command::new(binary(program));
    command.current_dir(node.dir()).args(["status", "--config", "node.toml"]);
    let status = run(&mut command, SHOWN_MAX).unwrap().unwrap();
    assert_eq!(status.code, Some(1), "not well is exit 1: {}", status.stdout);
    for word in components.iter().map(|c| c.trim_matches('"')).chain(["degraded"]) {
        assert!(status.stdout.contains(word), "{word}: {}", status.stdout);
    }
}

#[test]
fn a_broker_away_at_start_and_lost_later_costs_nothing() {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return;
    }
    let mut rig = Rig::with_mosquitto(1, FAST).unwrap();
    let address = rig.broker.address();
    let Broker::Mosquitto(broker) = &mut rig.broker else { unreachable!() };
    broker.stop();
    rig.agents[0].set_uplink("resend-after = \"2s\"").unwrap();
    rig.core.start().unwrap();
    rig.agents[0].start().unwrap();
    says(&rig.agents[0], "headwater-agent", &["\"source readings\"", "\"uplink\""]);
    says(&rig.core, "headwater-aggregator", &["\"uplink\""]);
    // Back-off: the waits grow, so that two connections make few tries in a while.
    let tries = || rig.agents[0].log().matches("MQTT connection lost").count();
    assert!(wait_until(SHOWN_MAX, || tries() >= 8), "{}", rig.agents[0].log());
    let before = tries();
    std::thread::sleep(Duration::from_secs(2));
    assert!(tries() - before <= 4, "{} tries in 2 s", tries() - before);

    let Broker::Mosquitto(broker) = &mut rig.broker else { unreachable!() };
    broker.restart().unwrap();
    for node in [&rig.agents[0], &rig.core] {
        node.wait_for_health(&["\"ok\""], SHOWN_MAX).unwrap();
        assert_eq!(node.metric("headwater_problem"), None, "{}", node.metrics());
    }
    let expected = publish(address, &without_repeats(20, 120), 1, None).unwrap();
    // Lost in the middle of it: what the agent has not acknowledged is kept by the broker.
    let Broker::Mosquitto(broker) = &mut rig.broker else { unreachable!() };
    broker.stop();
    says(&rig.agents[0], "headwater-agent", &["\"source readings\"", "\"uplink\""]);
    says(&rig.core, "headwater-aggregator", &["\"uplink\""]);
    let Broker::Mosquitto(broker) = &mut rig.broker else { unreachable!() };
    broker.restart().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
    for node in [&rig.agents[0], &rig.core] {
        node.wait_for_health(&["\"ok\""], SHOWN_MAX).unwrap();
    }
}
