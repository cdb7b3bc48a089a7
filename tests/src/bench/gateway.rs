//! Gateways and the core over Mosquitto: what intake over MQTT costs the agent, what merging
//! costs the aggregator, what a checkpoint writes and what the uplink carries. Every run ends
//! with a check of the answer.

use std::thread;
use std::time::{Duration, Instant};

use super::{Measure, Result};
use crate::broker::Mosquitto;
use crate::node::Node;
use crate::process::Usage;
use crate::proxy::Way;
use crate::rig::{Broker, Rig, publish, without_repeats, write_files};
use crate::scratch::Scratch;

/// How long results may take after the last reading.
const RESULTS_MAX: Duration = Duration::from_secs(180);
/// Devices of four sensors: 800 keys.
const DEVICES: u64 = 200;

/// What the agent costs when readings come over MQTT, at `per_s` or as fast as they can.
///
/// # Errors
/// When the answer is wrong or nothing can be run.
pub fn mqtt(readings: u64, per_s: Option<u64>) -> Result<Measure> {
    let rate = per_s.map_or("unthrottled".to_owned(), |per_s| format!("{per_s}/s"));
    let name = format!("mqtt to windows, agent, 800 keys, {rate}");
    one_agent(name, readings / 800, per_s)
}

/// What a checkpoint writes and the uplink carries at one reading a second per key, in real time.
///
/// # Errors
/// When the answer is wrong or nothing can be run.
pub fn flash(seconds: u64) -> Result<Measure> {
    let name = "flash and uplink, agent, 800 keys at 1/s, checkpoint 10 s".to_owned();
    one_agent(name, seconds, Some(800))
}

fn one_agent(name: String, seconds: u64, per_s: Option<u64>) -> Result<Measure> {
    let w1 = without_repeats(DEVICES, seconds);
    let mut rig = Rig::with_mosquitto(1, "[checkpoint]\ninterval = \"10s\"\n")?;
    rig.core.start_ready()?;
    let ready = rig.agents[0].start_ready()?;
    thread::sleep(Duration::from_secs(2));
    let before = rig.agents[0].usage();
    let checkpoints_before = checkpoints(&rig.agents[0]);
    let sent_before = rig.proxy.bytes(Way::Up);
    let started = Instant::now();
    let expected = publish(rig.broker.address(), &w1, 1, per_s)?;
    rig.wait_for(&expected, RESULTS_MAX)?;
    let wall = started.elapsed();
    let usage = since(rig.agents[0].usage(), before);
    let counted = checkpoints(&rig.agents[0]) - checkpoints_before;
    let count = if counted > 0.0 { counted } else { (wall.as_secs_f64() / 10.0).ceil() };
    Ok(Measure {
        name,
        readings: expected.lines,
        wall,
        usage,
        uplink: Some((rig.proxy.bytes(Way::Up) - sent_before, expected.bytes)),
        notes: vec![
            ("ready_ms", ready.as_secs_f64() * 1000.0),
            ("rss_mb_idle", megabytes(before.rss_bytes)),
            ("rss_mb_end", megabytes(usage.rss_bytes)),
            ("checkpoints", count),
            ("written_kb_per_checkpoint", megabytes(usage.written_bytes) * 1000.0 / count),
        ],
    })
}

fn checkpoints(node: &Node) -> f64 {
    node.metric("headwater_checkpoints_total").unwrap_or(0.0)
}

/// What merging costs the aggregator: three agents share every series of W1 between them.
///
/// # Errors
/// When the answer is wrong or nothing can be run.
pub fn core(seconds: u64) -> Result<Measure> {
    const AGENTS: usize = 3;
    let scratch = Scratch::new("core")?;
    let expected = write_files(&without_repeats(DEVICES, seconds), AGENTS, scratch.path())?;
    let broker = Broker::Mosquitto(Mosquitto::start(scratch.path(), 100, "")?);
    let source = "'connector'='filesystem', 'path'='../in${n}.ndjson'";
    let mut rig = Rig::new(AGENTS, scratch, broker, source, "")?;
    rig.core.start_ready()?;
    let before = rig.core.usage();
    let started = Instant::now();
    for agent in &mut rig.agents {
        agent.start()?;
    }
    rig.wait_for(&expected, RESULTS_MAX * 2)?;
    let wall = started.elapsed();
    let usage = since(rig.core.usage(), before);
    let agents: f64 = rig.agents.iter_mut().map(|agent| agent.usage().cpu.as_secs_f64()).sum();
    Ok(Measure {
        name: "merge at the core, aggregator, 800 keys from 3 agents".into(),
        readings: expected.lines,
        wall,
        usage,
        uplink: Some((rig.proxy.bytes(Way::Up), expected.bytes)),
        notes: vec![("agents_cpu_s", agents)],
    })
}

fn since(now: Usage, before: Usage) -> Usage {
    Usage {
        cpu: now.cpu.saturating_sub(before.cpu),
        written_bytes: now.written_bytes.saturating_sub(before.written_bytes),
        ..now
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a table")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
