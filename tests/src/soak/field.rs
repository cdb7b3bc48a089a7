//! What a soak runs: brokers, links, nodes and their disks, and what was measured of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::Options;
use crate::broker::Mosquitto;
use crate::node::{Kind, Node};
use crate::process::run;
use crate::proxy::Proxy;
use crate::rig::pipeline;
use crate::scratch::Scratch;

/// Room for the state of a node that is to run out of it.
pub(super) const DISK_MIB: u32 = 48;

/// Everything under test and around it.
pub(super) struct Field {
    /// Agents, then the aggregator.
    pub(super) nodes: Vec<Node>,
    /// Each node's link to the broker of the frames.
    pub(super) links: Vec<Proxy>,
    /// Small file systems that states lie on, by node.
    pub(super) disks: Vec<Option<Disk>>,
    /// Carries the frames.
    pub(super) broker: Mosquitto,
    /// Carries readings.
    pub(super) readings: Mosquitto,
    /// Largest memory and state of each node.
    pub(super) peaks: Vec<Peak>,
    pub(super) scratch: Scratch,
}

/// Bytes, at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak {
    pub(super) memory: u64,
    pub(super) state: u64,
}

impl Field {
    pub(super) fn new(options: &Options) -> io::Result<Field> {
        // Inside, the number of every process is small.
        let id = options.outside.unwrap_or_else(std::process::id);
        let scratch = Scratch::new(&format!("soak-{id}"))?;
        let server = |name: &str| {
            let dir = scratch.join(name);
            fs::create_dir_all(&dir)?;
            Mosquitto::start(&dir, 100, "")
        };
        let (broker, readings) = (server("broker")?, server("readings")?);
        let mqtt = format!(
            "'connector'='mqtt', 'url'='mqtt://{}', 'topic'='gw/${{n}}', 'qos'='1', 'version'='5'",
            readings.address()
        );
        let files = "'connector'='filesystem', 'path'='../in${n}.ndjson', \
                     'source.monitor-interval'='50 ms'";
        let out = scratch.path().to_string_lossy().into_owned();
        let variables = [("mqtt", mqtt.as_str()), ("files", files), ("out", &out)];
        let text = pipeline("soak.sql", &variables)?;
        let mut field = Field {
            nodes: Vec::new(),
            links: Vec::new(),
            disks: Vec::new(),
            broker,
            readings,
            peaks: vec![Peak::default(); options.agents + 1],
            scratch,
        };
        for n in 0..=options.agents {
            let is_core = n == options.agents;
            let link = Proxy::start(field.broker.address())?;
            let node = node(&field.scratch, n, is_core, link.address(), &text)?;
            let has_disk = options.outside.is_some() && (n == 0 || is_core);
            let disk = has_disk.then(|| Disk::mount(node.dir().join("state"))).transpose()?;
            File::create(field.file(n))?;
            field.nodes.push(node);
            field.links.push(link);
            field.disks.push(disk);
        }
        Ok(field)
    }

    pub(super) fn start(&mut self) -> io::Result<()> {
        self.nodes.iter_mut().rev().try_for_each(|node| node.start_ready().map(|_| ()))
    }

    /// Agents.
    pub(super) fn agents_count(&self) -> usize {
        self.nodes.len() - 1
    }

    pub(super) fn core(&self) -> &Node {
        &self.nodes[self.agents_count()]
    }

    /// What agent `n` reads from a file.
    pub(super) fn file(&self, n: usize) -> PathBuf {
        self.scratch.join(&format!("in{n}.ndjson"))
    }

    /// Measures memory and disk.
    pub(super) fn sample(&mut self) {
        for ((node, disk), peak) in self.nodes.iter_mut().zip(&self.disks).zip(&mut self.peaks) {
            let filler = disk.as_ref().map_or(0, Disk::filled);
            peak.memory = peak.memory.max(node.usage().rss_bytes_max);
            peak.state = peak.state.max(node.state_bytes().saturating_sub(filler));
        }
    }
}

fn node(
    scratch: &Scratch,
    n: usize,
    is_core: bool,
    link: SocketAddr,
    text: &str,
) -> io::Result<Node> {
    let extra = format!("[checkpoint]\ninterval = \"300ms\"\n[vars]\nn = \"{n}\"\n");
    let (kind, id) = match is_core {
        true => (Kind::Aggregator, "core".to_owned()),
        false => (Kind::Agent, format!("a{n}")),
    };
    let node = Node::new(kind, scratch.path(), &id, link, text, &extra)?;
    node.set_uplink("keep-alive = \"5s\"")?;
    if !is_core {
        node.set_uplink("resend-after = \"2s\"")?;
    }
    Ok(node)
}

/// A small file system in memory.
pub(super) struct Disk(PathBuf);

impl Disk {
    fn mount(dir: PathBuf) -> io::Result<Disk> {
        fs::create_dir_all(&dir)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={DISK_MIB}m"), "none"]).arg(&dir);
        match run(&mut command, Duration::from_secs(5))? {
            Some(finished) if finished.code == Some(0) => Ok(Disk(dir)),
            finished => Err(io::Error::other(format!("mount: {finished:?}"))),
        }
    }

    /// Takes all the room there is, the reserve of the node too when it gives that up.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.filler())?;
        for size in [1 << 20, 64 << 10, 4096] {
            let block = vec![1; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    pub(super) fn free(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    fn filled(&self) -> u64 {
        fs::metadata(self.filler()).map_or(0, |file| file.len())
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}
