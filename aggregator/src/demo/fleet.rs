//! The nodes of the demo, their configurations and what they say of themselves.
//!
//! Guarantees: all addresses are on loopback with free ports; all files lie in the demo's folder.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::node::Node;
use super::readings::{PIPELINE, gateway_name};
use super::uplink::Uplink;
use super::view::{GatewayRow, Picture};
use super::{broker, readings};

/// Agents of the demo.
pub(crate) const GATEWAYS_COUNT: usize = 3;

/// All nodes.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) agents: Vec<Node>,
    pub(crate) uplinks: Vec<Uplink>,
    pub(crate) core: Node,
    pub(crate) broker: SocketAddr,
    dir: PathBuf,
}

impl Fleet {
    /// Starts everything and waits until all nodes are well.
    pub(crate) fn start(dir: PathBuf) -> io::Result<Self> {
        let broker = broker::start()?;
        let program = std::env::current_exe()?;
        let agent = program.with_file_name("headwater-agent");
        if !agent.is_file() {
            let message = format!("{} is missing: build it beside this program", agent.display());
            return Err(io::Error::other(message));
        }
        let core = Node::new(&dir, "core", program, &core_config(&dir, broker), PIPELINE)?;
        let (mut agents, mut uplinks) = (Vec::new(), Vec::new());
        for index in 0..GATEWAYS_COUNT {
            let uplink = Uplink::start(broker)?;
            let config = agent_config(&dir, index, broker, uplink.address());
            let node = Node::new(&dir, &gateway_name(index), agent.clone(), &config, PIPELINE)?;
            agents.push(node.with(&["--drain-after-idle", DRAIN_AFTER_IDLE]));
            uplinks.push(uplink);
        }
        let mut fleet = Self { agents, uplinks, core, broker, dir };
        fleet.core.start()?;
        for agent in &mut fleet.agents {
            agent.start()?;
        }
        fleet.wait_until_well()?;
        Ok(fleet)
    }

    fn wait_until_well(&mut self) -> io::Result<()> {
        let until = Instant::now() + READY_MAX;
        for node in self.agents.iter_mut().chain([&mut self.core]) {
            while !node.is_well() {
                let has_ended = node.ended()?.is_some();
                if has_ended || Instant::now() > until {
                    let message = format!("{} does not start\n{}", node.name, node.log_end());
                    return Err(io::Error::other(message));
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// The file of results.
    pub(crate) fn result(&self) -> PathBuf {
        self.dir.join("hours.ndjson")
    }

    /// Asks every node and puts what is new into the picture.
    pub(crate) fn look(&mut self, picture: &mut Picture) {
        picture.gateways.resize(GATEWAYS_COUNT, GatewayRow::default());
        for (index, row) in picture.gateways.iter_mut().enumerate() {
            row.name = readings::gateway_name(index);
            row.uplink_bytes = self.uplinks[index].sent_bytes();
            let ended = self.agents[index].ended().ok().flatten().is_some();
            let Some(status) = self.agents[index].status() else {
                row.state = if ended { "done" } else { "does not answer" }.into();
                continue;
            };
            look_at_agent(&status, row);
        }
        let Some(status) = self.core.status() else {
            picture.core_state = "does not answer".into();
            return;
        };
        picture.core_state = "runs".into();
        picture.results = total(&status["counters"], |name| name.starts_with("rows-out/"));
        for agent in status["agents"].as_array().into_iter().flatten() {
            let row = picture.gateways.iter_mut().find(|row| agent["agent"] == *row.name);
            if let (Some(row), Some(frames)) = (row, agent["applied_frames"].as_u64()) {
                row.frames = frames;
            }
        }
    }
}

fn look_at_agent(status: &Value, row: &mut GatewayRow) {
    row.readings = total(&status["counters"], |name| name == "rows-in");
    row.backlog = status["backlog_frames"].as_u64().unwrap_or(0);
    row.state = match status["link"].as_str() {
        Some("granted") => "runs".into(),
        Some(link) => format!("runs, link {link}"),
        None => "starts".into(),
    };
    let drops = |reason: &'static str| {
        move |name: &str| name.starts_with("drop/") && name.ends_with(reason)
    };
    row.repeats = total(&status["counters"], drops("/repeat"));
    row.late = total(&status["counters"], drops("/late"));
}

fn total(counters: &Value, wanted: impl Fn(&str) -> bool) -> u64 {
    let counters = counters.as_object().into_iter().flatten();
    counters.filter(|(name, _)| wanted(name)).filter_map(|(_, count)| count.as_u64()).sum()
}

fn agent_config(dir: &Path, index: usize, broker: SocketAddr, uplink: SocketAddr) -> String {
    let name = gateway_name(index);
    let state = dir.join(&name).join("state");
    format!(
        "id = \"{name}\"\nfleet = \"demo\"\nstate-dir = {state:?}\n\n\
         [uplink]\nbroker = \"mqtt://{uplink}\"\nresend-after = \"2s\"\nkeep-alive = \"5s\"\n\n\
         [checkpoint]\ninterval = \"500ms\"\n\n\
         [vars]\nbroker = \"{broker}\"\ngateway = \"{name}\"\nout = {dir:?}\n"
    )
}

fn core_config(dir: &Path, broker: SocketAddr) -> String {
    let state = dir.join("core").join("state");
    format!(
        "id = \"core\"\nfleet = \"demo\"\nstate-dir = {state:?}\n\n\
         [uplink]\nbroker = \"mqtt://{broker}\"\nidle-timeout = \"2s\"\nkeep-alive = \"5s\"\n\n\
         [checkpoint]\ninterval = \"500ms\"\n\n\
         [vars]\nbroker = \"{broker}\"\ngateway = \"core\"\nout = {dir:?}\n"
    )
}

/// Longer than any pause in the replay, so that only its end is one.
const DRAIN_AFTER_IDLE: &str = "3s";
const READY_MAX: Duration = Duration::from_secs(15);
