//! A broker, agents and the aggregator on loopback, set up as a user would, with W1 as readings
//! and its answer as the judge. The agents' frames go through a proxy that can break the link.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::broker::{Embedded, Mosquitto};
use crate::conformance::compare::{materialise, read};
use crate::mqtt::Publisher;
use crate::node::{Kind, Node};
use crate::process::wait_until;
use crate::proxy::Proxy;
use crate::scratch::Scratch;
use crate::w1::check::Sums;
use crate::w1::{Expected, Reading, START_MS, W1};

/// Publishes that may wait for the server's acknowledgement.
const WINDOW: u16 = 500;

/// Which server carries the frames.
#[derive(Debug)]
pub enum Broker {
    /// Mosquitto, with durable sessions.
    Mosquitto(Mosquitto),
    /// rumqttd in a process of its own; it loses its sessions when it ends.
    Embedded(Embedded),
}

impl Broker {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self {
            Broker::Mosquitto(broker) => broker.address(),
            Broker::Embedded(broker) => broker.address(),
        }
    }
}

/// A broker, agents and the aggregator.
#[derive(Debug)]
pub struct Rig {
    /// Agents, `a0`, `a1`, …
    pub agents: Vec<Node>,
    /// The aggregator.
    pub core: Node,
    /// Between the agents and the broker, for frames alone.
    pub proxy: Proxy,
    /// Between the aggregator and the broker.
    pub core_proxy: Proxy,
    /// The broker.
    pub broker: Broker,
    /// The folder of it all.
    pub scratch: Scratch,
}

impl Rig {
    /// Sets up with Mosquitto, without starting the nodes. `source` are the connector options of
    /// the readings (see [`mqtt_source`]); `extra` is added to every node's configuration.
    ///
    /// # Errors
    /// When Mosquitto is not installed or something cannot be written.
    pub fn with_mosquitto(agents_count: usize, extra: &str) -> io::Result<Rig> {
        let scratch = Scratch::new("rig")?;
        let broker = Mosquitto::start(scratch.path(), 100, "")?;
        let source = mqtt_source(broker.address(), "5");
        Rig::new(agents_count, scratch, Broker::Mosquitto(broker), &source, extra)
    }

    /// Sets up with any broker and any source, without starting the nodes.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn new(
        agents_count: usize,
        scratch: Scratch,
        broker: Broker,
        source: &str,
        extra: &str,
    ) -> io::Result<Rig> {
        let dir = scratch.path();
        let proxy = Proxy::start(broker.address())?;
        let core_proxy = Proxy::start(broker.address())?;
        let out = dir.to_string_lossy();
        let text = pipeline("gateway.sql", &[("source", source), ("out", &out)])?;
        let extra = |n| format!("{extra}\n[vars]\nn = \"{n}\"\n");
        let link = core_proxy.address();
        let core = Node::new(Kind::Aggregator, dir, "core", link, &text, &extra(0))?;
        let mut agents = Vec::new();
        for n in 0..agents_count {
            let id = format!("a{n}");
            agents.push(Node::new(Kind::Agent, dir, &id, proxy.address(), &text, &extra(n))?);
        }
        Ok(Rig { agents, core, proxy, core_proxy, broker, scratch })
    }

    /// Starts every node and waits until all are well.
    ///
    /// # Errors
    /// When one is not in time.
    pub fn start(&mut self) -> io::Result<()> {
        self.core.start_ready()?;
        self.agents.iter_mut().try_for_each(|agent| agent.start_ready().map(|_| ()))
    }

    /// Where results go.
    #[must_use]
    pub fn result_path(&self) -> PathBuf {
        self.scratch.join("result.ndjson")
    }

    /// Rows of the result so far: the last revision of each, tails left out.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn rows(&self) -> Result<Vec<Map<String, Value>>, String> {
        let path = self.result_path();
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let key = ["device", "sensor", "window_start"].map(str::to_owned);
        let rows = materialise(read(&path)?, &key)?.into_iter();
        Ok(rows.filter(|row| row.get("device") != Some(&"_tail".into())).collect())
    }

    /// What the result adds up to.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sums(&self) -> io::Result<Sums> {
        let rows = self.rows().map_err(io::Error::other)?;
        let text: Vec<_> = rows.into_iter().map(|row| Value::Object(row).to_string()).collect();
        Sums::read(text.join("\n").as_bytes())
    }

    /// Waits until the result is what is expected.
    ///
    /// # Errors
    /// The last difference, when it never is.
    pub fn wait_for(&self, expected: &Expected, timeout: Duration) -> Result<(), String> {
        let path = self.result_path();
        let mut size = 0;
        let mut last = String::from("there is no result");
        let right = wait_until(timeout, || {
            let now = fs::metadata(&path).map(|m| m.len()).unwrap_or(0);
            if now == size || lines(&path).unwrap_or(0) < expected.rows {
                thread::sleep(Duration::from_millis(100));
                return false;
            }
            size = now;
            // A torn last line is read again with the next change.
            let sums = self.sums().map_err(|e| e.to_string());
            match sums.and_then(|sums| sums.compare(expected).map_err(|e| e.to_string())) {
                Ok(()) => true,
                Err(why) => {
                    last = why;
                    false
                }
            }
        });
        if right {
            return Ok(());
        }
        let sums = self.sums().map_err(|e| e.to_string())?;
        sums.compare(expected).map_err(|e| format!("{e}\nbefore: {last}\n{}", self.statuses()))
    }

    /// What every node says of itself, for a failed test.
    #[must_use]
    pub fn statuses(&self) -> String {
        let nodes = self.agents.iter().chain([&self.core]);
        nodes.map(|node| format!("{}: {}\n", node.dir().display(), node.status())).collect()
    }
}

/// Connector options of readings that agent n takes from `gw/n/readings`.
#[must_use]
pub fn mqtt_source(broker: SocketAddr, version: &str) -> String {
    format!(
        "'connector'='mqtt', 'url'='mqtt://{broker}', 'topic'='gw/${{n}}/readings', \
         'qos'='1', 'version'='{version}'"
    )
}

/// The same, with whichever version of the protocol the agent finds.
#[must_use]
pub fn mqtt_source_any(broker: SocketAddr) -> String {
    format!("'connector'='mqtt', 'url'='mqtt://{broker}', 'topic'='gw/${{n}}/readings', 'qos'='1'")
}

/// A pipeline of `tests/pipelines` with its variables in place.
///
/// # Errors
/// When it cannot be read.
pub fn pipeline(name: &str, variables: &[(&str, &str)]) -> io::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines").join(name);
    let text = fs::read_to_string(path)?;
    let replace =
        |text: String, (name, value): &(&str, &str)| text.replace(&format!("${{{name}}}"), value);
    Ok(variables.iter().fold(text, replace))
}

/// The reading that closes every window: an hour later, of a device that does not count.
#[must_use]
pub fn tail(w1: &W1) -> String {
    let ts = START_MS + w1.seconds * 1000 + 3_600_000;
    format!("{{\"device\":\"_tail\",\"sensor\":\"_\",\"ts\":{ts},\"value\":0.000}}")
}

/// W1 with `devices` devices and no repeats, for pipelines that do not remove them.
#[must_use]
pub fn without_repeats(devices: u64, seconds: u64) -> W1 {
    W1 { devices, repeats_permille: 0, ..W1::with_seconds(seconds) }
}

/// Deals the readings of W1 out to `count` consumers, those of each series in turn.
///
/// # Errors
/// The first one of `sink`.
pub fn deal(
    w1: &W1,
    count: usize,
    mut sink: impl FnMut(usize, &Reading) -> io::Result<()>,
) -> io::Result<Expected> {
    w1.for_each(|reading| {
        let second = usize::try_from(reading.ts_ms / 1000).expect("64 bits");
        sink(second % count, reading)
    })
}

/// Publishes W1 to `gw/0/readings` … of `agents_count` agents, `per_s` readings a second, or as
/// fast as the server takes them, and ends with a tail for each. Answers what is expected.
///
/// # Errors
/// When the server goes away.
pub fn publish(
    broker: SocketAddr,
    w1: &W1,
    agents_count: usize,
    per_s: Option<u64>,
) -> io::Result<Expected> {
    let mut publisher = Publisher::connect(broker, "load", WINDOW)?;
    let topics: Vec<_> = (0..agents_count).map(|n| format!("gw/{n}/readings")).collect();
    let (started, mut sent) = (Instant::now(), 0);
    let (mut bytes, mut line) = (0, Vec::with_capacity(128));
    let mut expected = deal(w1, agents_count, |n, reading| {
        line.clear();
        reading.write(&mut line)?;
        bytes += line.len() as u64;
        publisher.publish(&topics[n], &line)?;
        sent += 1;
        // In steps of 10 ms.
        if let Some(per_s) = per_s.filter(|per_s| u64::is_multiple_of(sent, (per_s / 100).max(1))) {
            publisher.send()?;
            let due = Duration::from_micros(sent * 1_000_000 / per_s);
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
        Ok(())
    })?;
    for topic in &topics {
        publisher.publish(topic, tail(w1).as_bytes())?;
    }
    publisher.flush(Duration::from_secs(60))?;
    expected.bytes = bytes;
    Ok(expected)
}

/// Writes W1 as `in0.ndjson` … into `dir`, one file per agent, each with a tail.
///
/// # Errors
/// When a file cannot be written.
pub fn write_files(w1: &W1, agents_count: usize, dir: &Path) -> io::Result<Expected> {
    let create = |n| File::create(dir.join(format!("in{n}.ndjson"))).map(io::BufWriter::new);
    let mut files = (0..agents_count).map(create).collect::<io::Result<Vec<_>>>()?;
    let (mut bytes, mut line) = (0, Vec::with_capacity(128));
    let mut expected = deal(w1, agents_count, |n, reading| {
        line.clear();
        reading.write(&mut line)?;
        bytes += line.len() as u64;
        line.push(b'\n');
        files[n].write_all(&line)
    })?;
    for file in &mut files {
        writeln!(file, "{}", tail(w1))?;
        file.flush()?;
    }
    expected.bytes = bytes;
    Ok(expected)
}

fn lines(path: &Path) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut count = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(count);
        }
        count += buffer.iter().filter(|byte| **byte == b'\n').count() as u64;
        let used = buffer.len();
        reader.consume(used);
    }
}
