//! Gateways and the core over Mosquitto: what intake over MQTT costs the agent, what merging
//! costs the aggregator, what a checkpoint writes and what the uplink carries. Every run ends
//! with a check of the answer.

use std::thread;
use std::time::{Duration, Instant};

use super::{Measure, Result};
use crate::broker::Mosquitto;
use crate::node::Node;
use crate::process::{Usage, wait_until};
use crate::proxy::Way;
use crate::rig::{
    Broker, Rig, mqtt_source, mqtt_source_any, publish, without_repeats, write_files,
};
use crate::scratch::Scratch;

/// How long results may take after the last reading.
const RESULTS_MAX: Duration = Duration::from_secs(180);
/// Devices of four sensors: 800 keys.
const DEVICES: u64 = 200;
/// What Mosquitto lets be under way to a client unless it is told otherwise.
const WINDOW_DEFAULT: u16 = 20;

/// What the agent costs when readings come over MQTT, at `per_s` or as fast as they can, from a
/// Mosquitto with its default window: over MQTT 5, which asks for a wider one, or over 3.1.1,
/// which cannot.
///
/// # Errors
/// When the answer is wrong or nothing can be run.
pub fn mqtt(readings: u64, per_s: Option<u64>, is_narrow: bool) -> Result<Measure> {
    let rate = per_s.map_or("unthrottled".to_owned(), |per_s| format!("{per_s}/s"));
    let version = if is_narrow { "3.1.1, window 20" } else { "MQTT 5" };
    let name = format!("mqtt to windows, agent, 800 keys, {version}, {rate}");
    one_agent(name, readings / 800, per_s, is_narrow)
}

/// What a checkpoint writes and the uplink carries at one reading a second per key, in real time.
///
/// # Errors
/// When the answer is wrong or nothing can be run.
pub fn flash(seconds: u64) -> Result<Measure> {
    let name = "flash and uplink, agent, 800 keys at 1/s, checkpoint 10 s".to_owned();
    one_agent(name, seconds, Some(800), false)
}

/// What was counted at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    records: f64,
    checkpoints: f64,
    journal: f64,
    flash_bytes: f64,
    uplink_bytes: u64,
    usage: Usage,
}

fn sample(rig: &mut Rig) -> Sample {
    let metric = |node: &Node, name: &str| node.metric(name).unwrap_or(0.0);
    let agent = &mut rig.agents[0];
    Sample {
        at: Instant::now(),
        records: metric(agent, "headwater_records_total"),
        checkpoints: metric(agent, "headwater_checkpoints_total"),
        journal: metric(agent, "headwater_intake_commits_total"),
        flash_bytes: metric(agent, "headwater_flash_bytes_total"),
        uplink_bytes: rig.proxy.bytes(Way::Up),
        usage: agent.usage(),
    }
}

/// Start-up, the first checkpoint and the wait for the last one are left out: what is measured
/// lies between a tenth of the readings, or the first checkpoint where they are slow, and the
/// last reading that came in.
fn one_agent(name: String, seconds: u64, per_s: Option<u64>, is_narrow: bool) -> Result<Measure> {
    let w1 = without_repeats(DEVICES, seconds);
    let readings = seconds * DEVICES * 4;
    let mut rig = rig(is_narrow)?;
    rig.core.start_ready()?;
    let ready = rig.agents[0].start_ready()?;
    thread::sleep(Duration::from_secs(2));
    let idle = rig.agents[0].usage();
    let broker = rig.broker.address();
    let load = thread::spawn(move || publish(broker, &w1, 1, per_s));
    let before = warm(&mut rig, readings, per_s);
    let expected = load.join().map_err(|_| "the load ended early")??;
    let all = lines(expected.lines + 1);
    let came_in = wait_until(RESULTS_MAX, || {
        thread::sleep(Duration::from_millis(50));
        rig.agents[0].metric("headwater_records_total") >= Some(all)
    });
    let after = sample(&mut rig);
    if !came_in {
        return Err(format!("{} of {all} readings came in", after.records).into());
    }
    rig.wait_for(&expected, RESULTS_MAX)?;
    let count = (after.checkpoints - before.checkpoints).max(1.0);
    let flash = after.flash_bytes - before.flash_bytes;
    let measured = after.records - before.records;
    let raw = measured * lines(expected.bytes) / lines(expected.lines);
    Ok(Measure {
        name,
        readings: whole(measured),
        wall: after.at - before.at,
        usage: since(after.usage, before.usage),
        uplink: Some((after.uplink_bytes - before.uplink_bytes, whole(raw))),
        notes: vec![
            ("ready_ms", ready.as_secs_f64() * 1000.0),
            ("rss_mb_idle", megabytes(idle.rss_bytes)),
            ("rss_mb_end", megabytes(after.usage.rss_bytes)),
            ("checkpoints", count),
            ("intake_commits", after.journal - before.journal),
            ("flash_kb_per_checkpoint", flash / 1000.0 / count),
            ("flash_mb_per_million", flash / measured),
        ],
    })
}

fn rig(is_narrow: bool) -> Result<Rig> {
    let scratch = Scratch::new("bench")?;
    let broker = Mosquitto::start(scratch.path(), WINDOW_DEFAULT, "")?;
    let source = match is_narrow {
        true => mqtt_source(broker.address(), "3.1.1"),
        false => mqtt_source_any(broker.address()),
    };
    let extra = "[checkpoint]\ninterval = \"10s\"\n";
    Ok(Rig::new(1, scratch, Broker::Mosquitto(broker), &source, extra)?)
}

/// Waits until the agent is in its stride.
fn warm(rig: &mut Rig, readings: u64, per_s: Option<u64>) -> Sample {
    wait_until(RESULTS_MAX, || {
        thread::sleep(Duration::from_millis(200));
        let agent = &rig.agents[0];
        let has_read = agent.metric("headwater_records_total") >= Some(lines(readings / 10));
        let has_stored = agent.metric("headwater_checkpoints_total") >= Some(1.0);
        has_read && (per_s.is_none() || has_stored)
    });
    sample(rig)
}

#[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
fn lines(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(count: f64) -> u64 {
    count as u64
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
