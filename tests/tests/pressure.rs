//! What comes faster than it can be given away waits where it comes from: with a core that takes
//! nothing, and with a disk that takes its time, the sources of the real agent are paused, memory
//! and disk stay below their bounds, and nothing is lost. A sink that takes nothing is in
//! `full_disk.rs`, more keys than there is room for in `key_flood.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::process::Command;
use std::thread;
use std::time::Duration;

use headwater_tests::broker::mosquitto_is_installed;
use headwater_tests::node::Node;
use headwater_tests::process::{Process, Signal, run, wait_until};
use headwater_tests::rig::{Rig, publish, without_repeats};

const WAIT_MAX: Duration = Duration::from_secs(90);
const TOOL_MAX: Duration = Duration::from_secs(5);
/// What the agent may hold in memory and on its disk meanwhile.
const RSS_BYTES_MAX: u64 = 64 << 20;
const STATE_BYTES_MAX: u64 = 16 << 20;

fn rig() -> Option<Rig> {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return None;
    }
    Some(Rig::with_mosquitto(1, "[checkpoint]\ninterval = \"200ms\"\n").unwrap())
}

fn bounded(agent: &mut Node) {
    let (usage, state) = (agent.usage(), agent.state_bytes());
    println!("{usage:?}, {state} bytes of state");
    assert!(usage.rss_bytes_max < RSS_BYTES_MAX, "{usage:?}");
    assert!(state < STATE_BYTES_MAX, "{state} bytes of state");
}

#[test]
fn a_core_that_takes_nothing_pauses_the_sources() {
    let Some(mut rig) = rig() else { return };
    let agent = &mut rig.agents[0];
    agent.edit("node.toml", "[http]\n", "[outbox]\nquota = \"32KiB\"\n\n[http]\n").unwrap();
    agent.set_uplink("resend-after = \"2s\"").unwrap();
    agent.start().unwrap();
    let came = wait_until(WAIT_MAX, || agent.metric("headwater_records_total").is_some());
    assert!(came, "{}", agent.log());
    let broker = rig.broker.address();
    let load = thread::spawn(move || publish(broker, &without_repeats(50, 900), 1, None));
    agent.wait_for_health(&["outbox", "full"], WAIT_MAX).unwrap();
    let before = agent.metric("headwater_records_total");
    thread::sleep(Duration::from_secs(3));
    let after = agent.metric("headwater_records_total");
    assert_eq!(before, after, "sources wait");
    let expected = load.join().unwrap().unwrap();
    bounded(&mut rig.agents[0]);
    rig.core.start_ready().unwrap();
    rig.wait_for(&expected, WAIT_MAX).unwrap();
    bounded(&mut rig.agents[0]);
}

/// Makes every barrier of a process take this much longer, as long as the handle lives.
fn slow_disk(pid: u32, ms: u32) -> Option<Process> {
    let delay = format!("inject=fsync,fdatasync:delay_exit={}", ms * 1000);
    let pid = pid.to_string();
    let traced = ["-f", "-qq", "-o", "/dev/null", "--seccomp-bpf"];
    let mut command = Command::new("strace");
    command.args(traced).args(["-e", "trace=fsync,fdatasync", "-e", &delay, "-p", &pid]);
    let mut tracer = Process::start(&mut command).ok()?;
    tracer.wait(Duration::from_secs(1)).is_none().then_some(tracer)
}

#[test]
fn a_slow_disk_pauses_the_sources() {
    let Some(mut rig) = rig() else { return };
    if !matches!(run(Command::new("strace").arg("-V"), TOOL_MAX), Ok(Some(_))) {
        println!("skipped: strace, which makes the disk slow, is not installed");
        return;
    }
    rig.start().unwrap();
    let Some(mut tracer) = slow_disk(rig.agents[0].pid().unwrap(), 700) else {
        println!("skipped: processes cannot be traced here");
        return;
    };
    let checkpoints = |agent: &Node| agent.metric("headwater_checkpoints_total").unwrap();
    let before = checkpoints(&rig.agents[0]);
    let broker = rig.broker.address();
    let load = thread::spawn(move || publish(broker, &without_repeats(50, 900), 1, None));
    thread::sleep(Duration::from_secs(10));
    let taken = checkpoints(&rig.agents[0]) - before;
    assert!((1.0..=16.0).contains(&taken), "the disk is slow: {taken} checkpoints in 10 s");
    bounded(&mut rig.agents[0]);
    tracer.signal(Signal::Term).unwrap();
    tracer.wait(TOOL_MAX).expect("the tracer ends");
    let expected = load.join().unwrap().unwrap();
    rig.wait_for(&expected, WAIT_MAX).unwrap();
    bounded(&mut rig.agents[0]);
}
