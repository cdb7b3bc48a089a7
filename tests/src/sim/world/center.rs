//! The core: takes frames, makes checkpoints, answers, hands results to its sink. The order of
//! what it does in one turn is the driver's.

use std::collections::VecDeque;

use headwater_plan::Plan;
use headwater_runtime::agent::Now;
use headwater_runtime::hub::{Hub, Receipts, Reply, Settings};
use headwater_store::Commit;
use headwater_wire::{AgentId, UpKind, UpMessage, decode_up, encode_ack, encode_control};

use super::World;
use super::broker::{Down, Message, Topic};
use super::process::{Ending, Machine, Process};
use super::setup::Shape;
use crate::sim::core;

/// Replies that may be under way.
const REPLY_WINDOW: usize = 256;

/// The core, on or off.
#[derive(Default)]
pub(super) struct Center {
    pub(super) machine: Machine,
    pub(super) life: Option<Life>,
}

/// The running aggregator.
pub(super) struct Life {
    pub(super) process: Process,
    pub(super) hub: Hub,
    sinks: Vec<u32>,
    receipts: Receipts<(u64, u16)>,
    replies: VecDeque<Reply>,
}

impl Center {
    /// The aggregator starts on what the disk holds.
    pub(super) fn start(
        &mut self,
        plan: &Plan,
        shape: &Shape,
        at: u64,
        agents: &[AgentId],
    ) -> Result<(), String> {
        let now = self.machine.clock.now(at);
        let process = Process::start(&mut self.machine, [0xc; 16], "core")
            .map_err(|error| error.to_string())?;
        let tune = |settings: &mut Settings| {
            settings.checkpoint_interval_ms = shape.core_interval_ms;
            settings.dirty_bytes_max = 1 << 20;
            settings.idle_timeout_ms = shape.idle_timeout_ms;
            if shape.is_expecting {
                settings.expected = agents.to_vec();
            }
        };
        let hub = core::machine(plan, &process.medium.store, tune, now);
        let (receipts, replies) = (Receipts::default(), VecDeque::new());
        self.life = Some(Life { process, hub, sinks: core::sinks(plan), receipts, replies });
        Ok(())
    }

    /// Time from `at` until the broker's window is taken to be used up, ms.
    pub(super) fn used_up_in(&self, at: u64) -> Option<u64> {
        let used_up_at = self.life.as_ref()?.receipts.used_up_at()?;
        let wait = used_up_at - self.machine.clock.now(at).mono_ms;
        Some(u64::try_from(wait).unwrap_or(0).max(1))
    }

    /// What a fault would meet now.
    pub(super) fn state(&self, at: u64) -> &'static str {
        let Some(Life { process, hub, receipts, .. }) = &self.life else { return "off" };
        let status = hub.status(self.machine.clock.now(at));
        match () {
            () if process.pending.is_some() => "storing",
            () if process.port.connection.is_none() => "offline",
            () if status.iter().any(|agent| agent.held_frames > 0) => "holding",
            () if receipts.waiting_count() > 0 => "applied",
            () if hub.is_dirty() => "dirty",
            () => "settled",
        }
    }
}

impl World<'_> {
    /// One turn of the aggregator's loop.
    pub(super) fn turn_core(&mut self, life: &mut Life) -> Result<(), Ending> {
        let now = self.core.machine.clock.now(self.at);
        if let Some(commit) = life.process.pending.take()
            && !self.store_core(life, commit)?
        {
            return Ok(());
        }
        loop {
            let store = &life.process.medium.store;
            let resumed = life.hub.resume(now, &mut |step, time| core::cold(store, step, time));
            resumed.unwrap_or_else(|error| panic!("the core cannot go on: {error}"));
            self.receive(life, now)?;
            life.hub.tick(now);
            let is_used_up = life.receipts.used_up_at().is_some_and(|at| now.mono_ms >= at);
            if life.hub.wants_checkpoint(now) || is_used_up {
                let commit = life.hub.checkpoint(Vec::new(), now);
                if !self.store_core(life, commit)? {
                    return Ok(());
                }
            }
            self.deliver(life)?;
            self.reply(life)?;
            if life.process.port.inbox.is_empty() {
                return Ok(());
            }
        }
    }

    /// Stores a commit; false when it has to be tried again.
    pub(super) fn store_core(&mut self, life: &mut Life, commit: Commit) -> Result<bool, Ending> {
        let (epoch, marks) = (commit.epoch, commit.marks.len() as u64);
        let Some((commit, stats)) = life.process.store(commit)? else {
            self.trace.add(self.at, 0, "commit-failed", epoch, 0);
            return Ok(false);
        };
        self.checker.applied(&commit);
        let applied = life.hub.committed(&commit, stats.base_bytes, stats.delta_bytes);
        life.receipts.settle(&applied);
        self.acknowledge_settled(life)?;
        self.trace.add(self.at, 0, "committed", epoch, marks);
        self.checker.bounded(0, 0, life.process.medium.disk.as_ref());
        Ok(true)
    }

    fn receive(&mut self, life: &mut Life, now: Now) -> Result<(), Ending> {
        while let Some(packet) = life.process.port.inbox.pop_front() {
            match packet {
                Down::Connected { .. } | Down::Disconnected => {}
                Down::Confirmed => {
                    let port = &mut life.process.port;
                    port.under_way = port.under_way.saturating_sub(1);
                }
                Down::Message { connection, packet_id, message } => {
                    let token = life.receipts.add((connection, packet_id), now.mono_ms);
                    self.take(life, &message, token, now);
                    let settled = life.hub.take_settled();
                    life.receipts.settle(&settled);
                }
            }
            if life.hub.wants_checkpoint(now) {
                break;
            }
        }
        self.acknowledge_settled(life)
    }

    fn take(&mut self, life: &mut Life, message: &Message, token: u64, now: Now) {
        let Topic::Up(node, kind) = message.topic else { return };
        let agent = self.gateways[node - 1].id.clone();
        let store = &life.process.medium.store;
        let mut cold = |step, time| core::cold(store, step, time);
        let (what, done) = match kind {
            UpKind::Frame => {
                ("frame", life.hub.frame(&agent, &message.bytes, token, now, &mut cold))
            }
            UpKind::Hello => {
                if let Ok(UpMessage::Hello(hello)) = decode_up(&message.bytes) {
                    let name = self.gateways.iter().position(|g| g.id == agent);
                    let name = name.expect("a gateway") + 1;
                    self.checker.hello(name, hello.nonce, self.at, now.wall_ms);
                }
                ("message", life.hub.message(&agent, &message.bytes, token, now, &mut cold))
            }
        };
        self.trace.add(self.at, 0, what, node as u64, message.bytes.len() as u64);
        done.unwrap_or_else(|error| panic!("the core cannot go on: {error}"));
    }

    fn acknowledge_settled(&mut self, life: &mut Life) -> Result<(), Ending> {
        while let Some((connection, packet_id)) = life.receipts.next_settled() {
            life.process.effect()?;
            self.acknowledge(0, connection, packet_id);
        }
        Ok(())
    }

    /// Hands committed results to the sink, each chunk an effect.
    pub(super) fn deliver(&mut self, life: &mut Life) -> Result<(), Ending> {
        for channel in life.sinks.clone() {
            let (from, end) = life.hub.sink_range(channel);
            if from >= end {
                continue;
            }
            let rows = life.process.medium.snapshot().outbox(channel, from, 1 << 20);
            for row in rows.unwrap_or_else(|error| panic!("results cannot be read: {error}")) {
                life.process.effect()?;
                self.trace.add(self.at, 0, "result", row.seq, row.bytes.len() as u64);
                self.checker.delivered(channel, row.seq, &row.bytes);
                life.hub.sink_confirmed(channel, row.seq);
            }
        }
        Ok(())
    }

    fn reply(&mut self, life: &mut Life) -> Result<(), Ending> {
        life.replies.extend(life.hub.take_replies());
        while let Some(connection) = life.process.port.connection
            && life.process.port.under_way < REPLY_WINDOW
            && let Some(reply) = life.replies.pop_front()
        {
            life.process.effect()?;
            let (agent, bytes) = match &reply {
                Reply::Ack(ack) => (&ack.agent, encode_ack(ack)),
                Reply::Control(control) => (&control.agent, encode_control(control)),
            };
            let node = self.gateways.iter().position(|g| g.id == *agent).expect("it has spoken");
            let topic = match &reply {
                Reply::Ack(_) => Topic::Ack(node + 1),
                Reply::Control(_) => Topic::Control(node + 1),
            };
            self.checker.replied(node + 1, &reply);
            life.process.port.under_way += 1;
            let bytes = bytes.expect("a reply fits").into();
            self.publish(0, connection, Message { topic, bytes });
        }
        Ok(())
    }
}
