//! A broker that does not take what is published (MQTT 5, access rules of Mosquitto): the refusal
//! is shown, frames and results stay in the outbox, also over SIGKILL, and everything arrives once
//! the rules are mended, without a hand on the nodes.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use headwater_tests::broker::{Mosquitto, mosquitto_is_installed};
use headwater_tests::mqtt::Subscriber;
use headwater_tests::process::{Process, binary, http_get, wait_until};
use headwater_tests::rig::{Broker, Rig, mqtt_source, publish, without_repeats};
use headwater_tests::scratch::{Scratch, free_port};

const RESULTS_MAX: Duration = Duration::from_secs(60);
const SHOWN_MAX: Duration = Duration::from_secs(20);
const FAST: &str = "[checkpoint]\ninterval = \"200ms\"\n";

macro_rules! needs_mosquitto {
    () => {
        if !mosquitto_is_installed() {
            println!("skipped: Mosquitto is not installed");
            return;
        }
    };
}

/// Writes the access rules of the broker in `dir`: everything but `denied`.
fn allow_all_but(dir: &Path, denied: &[&str]) {
    let denied: String = denied.iter().map(|topic| format!("topic deny {topic}\n")).collect();
    fs::write(dir.join("acl"), format!("topic readwrite #\n{denied}")).unwrap();
}

fn broker(dir: &Path, denied: &[&str]) -> Mosquitto {
    let dir = dir.canonicalize().unwrap();
    allow_all_but(&dir, denied);
    Mosquitto::start(&dir, 100, &format!("acl_file {}/acl\n", dir.display())).unwrap()
}

fn mend(rig: &Rig, denied: &[&str]) {
    allow_all_but(rig.scratch.path(), denied);
    let Broker::Mosquitto(broker) = &rig.broker else { unreachable!() };
    broker.reload().unwrap();
}

#[test]
fn refused_frames_and_acknowledgements_are_kept_and_go_out_later() {
    needs_mosquitto!();
    let (frames, acks) = ("headwater/v1/test/up/+/frame", "headwater/v1/test/down/+/ack");
    let scratch = Scratch::new("refusals").unwrap();
    let broker = Broker::Mosquitto(broker(scratch.path(), &[frames]));
    let source = mqtt_source(broker.address(), "5");
    let mut rig = Rig::new(1, scratch, broker, &source, FAST).unwrap();
    rig.agents[0].set_uplink("version = \"5\"\nresend-after = \"1s\"").unwrap();
    rig.core.set_uplink("version = \"5\"").unwrap();
    rig.start().unwrap();
    let expected = publish(rig.broker.address(), &without_repeats(20, 60), 1, None).unwrap();

    let words = ["uplink frames", "NotAuthorized", "access rules"];
    rig.agents[0].wait_for_health(&words, SHOWN_MAX).unwrap();
    rig.agents[0].kill();
    rig.agents[0].start().unwrap();
    let agent = &rig.agents[0];
    agent.wait_for_health(&words, SHOWN_MAX).unwrap();
    let kept = wait_until(SHOWN_MAX, || agent.metric("headwater_outbox_frames") > Some(0.0));
    assert!(kept, "{}", agent.metrics());
    assert!(agent.metric("headwater_uplink_refused_total") > Some(0.0), "{}", agent.metrics());
    assert!(rig.rows().unwrap().is_empty(), "nothing has reached the core");

    // Now frames pass, and what the core answers does not.
    mend(&rig, &[acks]);
    rig.core.wait_for_health(&["uplink acknowledgements", "NotAuthorized"], SHOWN_MAX).unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
    assert!(rig.agents[0].metric("headwater_outbox_frames") > Some(0.0), "none is acknowledged");

    mend(&rig, &[]);
    for node in [&rig.agents[0], &rig.core] {
        node.wait_for_health(&["\"ok\""], SHOWN_MAX).unwrap();
    }
    let agent = &rig.agents[0];
    let empty = wait_until(SHOWN_MAX, || agent.metric("headwater_outbox_frames") == Some(0.0));
    assert!(empty, "{}", agent.metrics());
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

const PIPELINE: &str = "\
CREATE TABLE a (x BIGINT)
WITH ('connector'='filesystem', 'path'='in.ndjson', 'format'='json');
CREATE TABLE alarms (x BIGINT)
WITH ('connector'='mqtt', 'url'='mqtt://${broker}', 'topic'='alarms', 'version'='5',
  'format'='json');
INSERT INTO alarms SELECT x FROM a;
";

#[test]
fn results_that_the_broker_refuses_wait_for_it() {
    needs_mosquitto!();
    let scratch = Scratch::new("refused-sink").unwrap();
    let broker = broker(scratch.path(), &["alarms"]);
    fs::write(scratch.join("p.sql"), PIPELINE).unwrap();
    fs::write(scratch.join("in.ndjson"), "{\"x\":1}\n{\"x\":2}\n").unwrap();
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(binary("headwater-agent"));
    command.current_dir(scratch.path()).args(["run", "--standalone", "p.sql", "--state-dir", "s"]);
    command.args(["--http", &http.to_string(), "--set", &format!("broker={}", broker.address())]);
    let mut process = Process::start(&mut command).unwrap();
    let mut health = String::new();
    let shown = wait_until(SHOWN_MAX, || {
        health = http_get(http, "/health").map(|(_, body)| body).unwrap_or_default();
        health.contains("sink alarms") && health.contains("NotAuthorized")
    });
    assert!(shown, "{health} {:?}", process.output());
    assert!(process.is_running(), "it waits: {:?}", process.output());
    allow_all_but(scratch.path(), &[]);
    broker.reload().unwrap();
    let mut subscriber = Subscriber::connect(broker.address(), "judge", "alarms").unwrap();
    for x in 1..=2 {
        let message = subscriber.receive(SHOWN_MAX).unwrap().expect("it arrives");
        assert_eq!(message.payload, format!("{{\"x\":{x}}}").into_bytes());
    }
    let finished = process.wait(SHOWN_MAX).expect("it ends with its source");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}
