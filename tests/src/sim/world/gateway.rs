//! A gateway: reads its sensors, makes checkpoints, speaks with the core. The order of what it does
//! in one turn is the driver's.

use headwater_engine::mutation::{Mutation, mutated};
use headwater_engine::pipeline::SplitId;
use headwater_plan::Plan;
use headwater_runtime::agent::{Agent, LinkState, Now, Policy, Post, Settings};
use headwater_runtime::task::Origin;
use headwater_store::crash::Noise;
use headwater_store::{Commit, PositionWrite};
use headwater_wire::{AgentId, UpKind};

use super::World;
use super::broker::{Down, Message, Topic};
use super::copy;
use super::faults::Fault;
use super::process::{Ending, Machine, Process, burn};
use super::readings::Reading;
use super::setup::Shape;
use crate::sim::edge;

/// Readings taken in one turn.
const READINGS_PER_TURN: usize = 64;
/// Source table of the pipeline.
const SOURCE: &str = "readings";

/// A gateway, on or off.
pub(super) struct Gateway {
    /// Its number.
    node: usize,
    /// The node whose name it has: its own, unless it is a copy.
    pub(super) of: usize,
    /// It does not run: a copy that is not made yet, or it has ended for good.
    pub(super) is_off: bool,
    machine_id: String,
    pub(super) id: AgentId,
    pub(super) machine: Machine,
    pub(super) readings: Vec<Reading>,
    pub(super) life: Option<Life>,
    /// A source without a stored position begins here.
    pub(super) source_from: usize,
    /// Random bits drawn so far.
    draws: u64,
}

/// The running agent of a gateway.
pub(super) struct Life {
    pub(super) process: Process,
    pub(super) agent: Agent,
    split: SplitId,
    /// Readings taken.
    pub(super) taken: usize,
    /// The source is at its end and all windows are closed.
    pub(super) is_ended: bool,
    /// What the quota has cost so far, in frames or rows.
    losses: u64,
}

impl Gateway {
    pub(super) fn new(node: usize, readings: Vec<Reading>) -> Gateway {
        let name = format!("g{node}");
        Gateway {
            node,
            of: node,
            is_off: false,
            id: name.parse().expect("a valid name"),
            machine_id: name,
            machine: Machine::default(),
            readings,
            life: None,
            source_from: 0,
            draws: 0,
        }
    }

    /// What is to be a copy of `original`, the node behind the last one.
    pub(super) fn copy(
        original: &Gateway,
        node: usize,
        plan: &copy::Plan,
        own: Vec<Reading>,
    ) -> Gateway {
        let readings = if plan.has_own_readings { own } else { original.readings.clone() };
        let machine_id = if plan.is_moved { "another" } else { &original.machine_id };
        Gateway {
            of: original.node,
            is_off: true,
            id: original.id.clone(),
            machine_id: machine_id.into(),
            ..Gateway::new(node, readings)
        }
    }

    /// The agent starts on what the disk holds.
    pub(super) fn start(&mut self, plan: &Plan, shape: &Shape, at: u64) -> Result<(), String> {
        let (incarnation, random) = (self.random(), self.random());
        let now = self.machine.clock.now(at);
        let process = Process::start(&mut self.machine, incarnation, &self.machine_id)
            .map_err(|error| error.to_string())?;
        let tune = |settings: &mut Settings| {
            settings.checkpoint_interval_ms = shape.agent_interval_ms;
            settings.dirty_bytes_max = shape.dirty_bytes_max;
            settings.quota_bytes = shape.quota_bytes;
            settings.policy = shape.policy;
            settings.boot_id = (self.node as u64) << 32 | self.machine.clock.boot_id();
        };
        let store = &process.medium.store;
        let mut agent = edge::machine(plan, &self.id, store, tune, now);
        agent.set_ladder(edge::rungs(plan));
        agent.set_random(random);
        if store.machine_changed() {
            agent.moved_to(&self.machine_id);
        }
        let taken = stored(&process).unwrap_or(self.source_from);
        let split = agent.task.split(0, "0");
        let losses = losses(&agent);
        self.life = Some(Life { process, agent, split, taken, is_ended: false, losses });
        Ok(())
    }

    /// Bits that stand for random ones: never the same twice.
    fn random(&mut self) -> [u8; 16] {
        self.draws += 1;
        let mut noise = Noise((self.node as u64) << 32 | self.draws);
        let mut bits = [0; 16];
        bits[..8].copy_from_slice(&noise.bits().to_le_bytes());
        let name = self.id.as_str().bytes();
        bits[8..].iter_mut().zip(name).for_each(|(to, from)| *to = from);
        bits
    }

    /// What a fault would meet now.
    pub(super) fn state(&self) -> &'static str {
        self.life.as_ref().map_or("off", Life::state)
    }

    /// Everything read, sent and acknowledged.
    pub(super) fn is_done(&self, at: u64) -> bool {
        let now = self.machine.clock.now(at);
        self.is_off
            || self.life.as_ref().is_some_and(|life| {
                life.is_ended
                && life.process.pending.is_none()
                && life.agent.backlog().0 == 0
                && life.agent.link_state() == LinkState::Granted
                && !life.agent.wants_final_checkpoint()
                // A loss may be undeclared yet.
                && !life.agent.wants_checkpoint(now)
            })
    }
}

impl Life {
    fn state(&self) -> &'static str {
        let Life { process, agent, .. } = self;
        if process.pending.is_some() {
            return "storing";
        }
        if agent.is_paused() {
            return "outbox-full";
        }
        match agent.link_state() {
            LinkState::Down => "offline",
            LinkState::Waiting(_) => "hello-sent",
            LinkState::Minting => "minting",
            LinkState::Fenced(_) => "fenced",
            LinkState::Refused(_) => "refused",
            LinkState::Granted if agent.backlog().0 == 0 => "granted",
            LinkState::Granted if process.port.under_way > 0 => "sending",
            LinkState::Granted => "awaiting-ack",
        }
    }

    /// Whether the quota has cost something since this was asked last, and how.
    fn has_lost(&mut self) -> Option<&'static str> {
        let losses = losses(&self.agent);
        let is_more = std::mem::replace(&mut self.losses, losses) < losses;
        is_more.then(|| match self.agent.settings().policy {
            Policy::DropOldest => "drops-oldest",
            Policy::DropNewest => "drops-newest",
            _ => "coarsens",
        })
    }

    /// Takes what the sensors have said by now.
    fn read(&mut self, readings: &[Reading], at: u64, now: Now, is_last: bool) {
        let origin = Origin { scan: 0, split: self.split, topic: None, arrival_ms: 0 };
        for _ in 0..READINGS_PER_TURN {
            if self.agent.is_paused() || self.agent.wants_checkpoint(now) {
                return;
            }
            let Some(reading) = readings.get(self.taken).filter(|r| r.at <= at) else { break };
            self.agent.task.record(origin, &reading.record(), now.wall_ms);
            self.taken += 1;
        }
        if is_last && !self.is_ended && self.taken >= readings.len() {
            self.agent.task.end(0);
            self.is_ended = true;
        }
    }

    /// Makes frames coarser if that is due.
    fn coarsen(&mut self) {
        let store = &self.process.medium.store;
        if let Some(job) = self.agent.coarsen_due().filter(|_| !store.needs_reopen()) {
            let rows = self.process.medium.snapshot().outbox(job.channel, job.from, 2 << 20);
            let done = self.agent.coarsen(job, &rows.expect("a readable outbox"));
            done.unwrap_or_else(|error| panic!("frames cannot be made coarser: {error}"));
        }
    }

    /// Readings whose position is durable, as far as is known.
    pub(super) fn stored(&self) -> usize {
        match self.process.medium.store.needs_reopen() {
            true => self.taken,
            false => stored(&self.process).unwrap_or(0),
        }
    }

    fn positions(&self) -> Vec<PositionWrite> {
        let value = Some((self.taken as u64).to_le_bytes().to_vec());
        vec![PositionWrite { source: SOURCE.into(), split: String::new(), value }]
    }
}

impl World<'_> {
    /// One turn of a gateway's loop.
    pub(super) fn turn_gateway(&mut self, node: usize, life: &mut Life) -> Result<(), Ending> {
        let gateway = &self.gateways[node - 1];
        let now = gateway.machine.clock.now(self.at);
        if let Some(commit) = life.process.pending.take()
            && !self.store_gateway(node, life, commit)?
        {
            return Ok(());
        }
        if life.agent.wants_random() {
            let random = self.gateways[node - 1].random();
            life.agent.set_random(random);
        }
        life.agent.observe(now, None);
        let gateway = &self.gateways[node - 1];
        life.read(&gateway.readings, self.at, now, self.is_quiet);
        life.coarsen();
        if life.agent.wants_checkpoint(now) {
            let commit = life.agent.checkpoint(life.positions(), now);
            self.checker.made(node, life.agent.incarnation(), &commit);
            let identity = life.process.medium.store.identity();
            if self.shape.policy == Policy::Pause && identity.parent.is_none() {
                self.checker.deletes(self.name_of(node), identity.incarnation, &commit);
            }
            if mutated(Mutation::SendBeforeCommit) {
                self.send_early(node, life, &commit);
            }
            if !self.store_gateway(node, life, commit)? {
                return Ok(());
            }
        }
        self.listen(node, life, now)?;
        // Hellos that overtake each other look like two processes in turn; time tells.
        let is_refused = matches!(life.agent.link_state(), LinkState::Refused(_));
        if is_refused && !self.shape.faults.contains(&Fault::Shuffle) && !self.checker.is_changed()
        {
            self.checker.fail(node, "I5: refused, although its state is no copy".into());
        }
        self.settle(node, life);
        self.speak(node, life, now)
    }

    /// One of two copies is alone and has delivered everything.
    fn settle(&mut self, node: usize, life: &Life) {
        let is_clean = life.agent.link_state() == LinkState::Granted
            && life.agent.backlog().0 == 0
            && life.process.pending.is_none();
        let is_alone = self.copy_stage == copy::Stage::Over && self.checker.is_copy(node);
        if is_alone && is_clean && self.shape.policy == Policy::Pause {
            self.checker.settles(self.name_of(node), node, self.at);
        }
    }

    /// Stores a commit; false when it has to be tried again.
    fn store_gateway(
        &mut self,
        node: usize,
        life: &mut Life,
        commit: Commit,
    ) -> Result<bool, Ending> {
        let epoch = commit.epoch;
        let Some((commit, stats)) = life.process.store(commit)? else {
            self.trace.add(self.at, node, "commit-failed", epoch, 0);
            return Ok(false);
        };
        life.agent.committed(&commit, stats.base_bytes, stats.delta_bytes);
        if let Some(what) = life.has_lost() {
            self.coverage.count(what, life.state());
        }
        let frames = commit.outbox_put.len() as u64;
        self.trace.add(self.at, node, "committed", epoch, frames);
        self.checker.bounded(node, life.agent.backlog().1, life.process.medium.disk.as_ref());
        Ok(true)
    }

    /// The planted bug: frames go out before they are stored.
    fn send_early(&mut self, node: usize, life: &Life, commit: &Commit) {
        let Some(connection) = life.process.port.connection else { return };
        for row in commit.outbox_put.iter().filter(|_| life.agent.term() > 0) {
            let mut bytes = row.bytes.clone();
            life.agent.address(row.channel, row.seq, &mut bytes).expect("a frame of our own");
            self.checker.sent(node, &bytes);
            let topic = Topic::Up(self.name_of(node), UpKind::Frame);
            let message = Message { topic, bytes: bytes.into() };
            self.publish(node, connection, message);
        }
    }

    fn listen(&mut self, node: usize, life: &mut Life, now: Now) -> Result<(), Ending> {
        while let Some(packet) = life.process.port.inbox.pop_front() {
            match packet {
                Down::Connected { .. } => life.agent.connected(now),
                Down::Disconnected => life.agent.disconnected(),
                Down::Confirmed => {
                    let port = &mut life.process.port;
                    port.under_way = port.under_way.saturating_sub(1);
                }
                Down::Message { connection, packet_id, message } => {
                    match message.topic {
                        Topic::Ack(_) => life.agent.ack_received(&message.bytes, now),
                        _ => life.agent.control_received(&message.bytes, now),
                    }
                    life.process.effect()?;
                    self.acknowledge(node, connection, packet_id);
                }
            }
        }
        Ok(())
    }

    fn speak(&mut self, node: usize, life: &mut Life, now: Now) -> Result<(), Ending> {
        let Life { process, agent, .. } = life;
        let Process { medium, port, fuse, .. } = process;
        let Some(connection) = port.connection else { return Ok(()) };
        let store = &medium.store;
        let (window, name) = (self.shape.window, self.name_of(node));
        let mut ending = Ok(());
        let mut read = |channel, seq| store.snapshot()?.outbox(channel, seq, 1 << 20);
        let mut publish = |post, bytes: &[u8]| {
            let kind = match post {
                Post::Message => UpKind::Hello,
                Post::Frame => UpKind::Frame,
            };
            if post == Post::Frame && port.under_way >= window {
                return false;
            }
            ending = burn(fuse);
            if ending.is_err() {
                return false;
            }
            port.under_way += 1;
            if post == Post::Frame {
                self.checker.sent(node, bytes);
            }
            let message = Message { topic: Topic::Up(name, kind), bytes: bytes.into() };
            self.publish(node, connection, message);
            true
        };
        let posted = agent.post(now, &mut read, &mut publish);
        posted.unwrap_or_else(|error| panic!("the outbox cannot be read: {error}"));
        ending
    }
}

/// What the quota has cost an agent, in frames or rows.
fn losses(agent: &Agent) -> u64 {
    let names = ["dropped-oldest-frames", "dropped-newest-rows", "coarsened-frames"];
    let total = |name: &str| agent.counters().get(&format!("outbox/{name}")).copied();
    names.iter().filter_map(|name| total(name)).sum()
}

/// The stored position of the source.
fn stored(process: &Process) -> Option<usize> {
    let positions = process.medium.snapshot().positions().expect("readable positions");
    let bytes = positions.get(&(SOURCE.into(), String::new()))?;
    let taken = u64::from_le_bytes(bytes.as_slice().try_into().expect("eight bytes"));
    Some(usize::try_from(taken).expect("few readings"))
}
