//! The core's side as a pure state machine: frames in, commits, acknowledgements and control out
//! (PROTOCOL.md, rules 5, 6, 9 to 15, 18, 19).
//!
//! Guarantees: a frame changes state exactly once, in order of its seq on its channel; its mark and
//! what it caused are in one commit; acknowledgements are made of committed marks only. Time comes
//! in as an argument; there is no input or output here.

mod apply;
mod channels;
mod greet;
mod heads;
mod lives;
mod receipts;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::operator::RestoreError;
use headwater_engine::types::Schema;
use headwater_store::{
    AgentRecord, Commit, Gap, Head, Mark, MarkWrite, OutboxRow, PlanRecord, PositionWrite,
    Quarantined,
};
use headwater_wire::AgentId;
use headwater_wire::{Ack, ChannelHead, ChannelUpto, Control, ControlBody};
use serde::{Deserialize, Serialize};

use crate::agent::Now;
use crate::task::{Task, read_record, write_record};
use channels::Uplink;
use lives::Past;
pub use receipts::Receipts;
use status::MemberClock;
pub use status::MemberStatus;

/// What a hub is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Plan that it runs.
    pub plan: PlanRecord,
    /// What comes from the agents.
    pub exchanges: Vec<Exchange>,
    /// Sink channels.
    pub sinks: Vec<u32>,
    /// Longest time between checkpoints in ms.
    pub checkpoint_interval_ms: i64,
    /// Bytes of waiting results that make a checkpoint earlier.
    pub dirty_bytes_max: usize,
    /// An agent that says nothing for this long no longer holds back the watermark, in ms.
    pub idle_timeout_ms: i64,
    /// Agents whose data the watermark waits for even if they were never heard.
    pub expected: Vec<AgentId>,
}

/// A stream of rows that agents send.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its channel.
    pub channel: u32,
    /// Its scan in the core fragment.
    pub scan: usize,
    /// Its columns.
    pub schema: Schema,
    /// The exchange of the finest windows, where this one takes what is made of them when an
    /// outbox is full; itself elsewhere.
    pub finest: u32,
    /// How much of its time one row of such an exchange may cover, ms; 0 elsewhere.
    pub row_ms: i64,
}

/// Something to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// On the agent's acknowledgement topic, retained.
    Ack(Ack),
    /// On the agent's control topic.
    Control(Control),
}

/// What the aggregator stores about itself besides operator state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    offsets: BTreeMap<u32, u64>,
}

/// Name of the hub's record in the store.
pub const RECORD: &str = "hub";
const RECORD_VERSION: u8 = 1;
const CHUNK_BYTES: usize = 256 << 10;
const FOLD_RATIO: u64 = 2;
const FOLD_BYTES_MIN: u64 = 64 << 10;
/// Frames after which a commit is made, so that agents hear of their arrival.
const FRAMES_PER_COMMIT_MAX: usize = 64;
/// Agents that one hub serves.
const AGENTS_MAX: usize = 4096;
/// Entries of one commit for quarantine and gaps.
const REPORTS_PER_COMMIT_MAX: usize = 256;

/// What is known of one agent.
struct Member {
    record: AgentRecord,
    /// Lives and processes of this name; in the record's `extra`.
    past: Past,
    channels: BTreeMap<u32, Uplink>,
    heard_ms: i64,
    is_idle: bool,
    is_changed: bool,
    /// Why nothing of it is taken, if so.
    refused: Option<String>,
    backlog: (u64, u64),
    version: String,
    plan_fingerprint: u64,
    clock: MemberClock,
}

/// The state machine.
pub struct Hub {
    settings: Settings,
    /// The fragment that it runs.
    pub task: Task,
    members: BTreeMap<AgentId, Member>,
    record: Record,
    sinks: BTreeMap<u32, Sink>,
    epoch: u64,
    base_bytes: u64,
    delta_bytes: u64,
    last_checkpoint_ms: i64,
    /// Tokens of messages that are acknowledged after the commit.
    applied: Vec<u64>,
    /// Tokens of messages that are acknowledged at once.
    settled: Vec<u64>,
    replies: Vec<Reply>,
    /// Grants that wait for their commit.
    granted: Vec<(AgentId, [u8; 16], ControlBody)>,
    ack_due: BTreeSet<AgentId>,
    /// Channels whose next frame is held until a checkpoint makes room.
    waiting: BTreeSet<(AgentId, u32)>,
    quarantine: Vec<Quarantined>,
    gaps: Vec<Gap>,
    counters: BTreeMap<String, u64>,
}

/// Chunks of one sink.
struct Sink {
    next_seq: u64,
    committed_upto: u64,
    confirmed: u64,
    deleted_upto: u64,
}

impl Hub {
    /// A hub that goes on from what the store holds.
    ///
    /// # Errors
    /// When the record is of another version of the program.
    pub fn new(
        settings: Settings,
        mut task: Task,
        head: &Head,
        record: Option<&[u8]>,
        now: Now,
    ) -> Result<Self, RestoreError> {
        let record = read_record(record, RECORD_VERSION)?;
        let sink = |number: &u32| {
            let stored = head.channels.get(number).copied().unwrap_or_default();
            let sink = Sink {
                next_seq: stored.next_seq,
                committed_upto: stored.next_seq - 1,
                confirmed: stored.oldest_seq - 1,
                deleted_upto: stored.oldest_seq - 1,
            };
            (*number, sink)
        };
        task.start(now.wall_ms);
        let mut hub = Hub {
            sinks: settings.sinks.iter().map(sink).collect(),
            task,
            members: BTreeMap::new(),
            record,
            epoch: head.epoch,
            base_bytes: head.base_bytes,
            delta_bytes: head.delta_bytes,
            last_checkpoint_ms: now.mono_ms,
            applied: Vec::new(),
            settled: Vec::new(),
            replies: Vec::new(),
            granted: Vec::new(),
            ack_due: BTreeSet::new(),
            waiting: BTreeSet::new(),
            quarantine: Vec::new(),
            gaps: Vec::new(),
            counters: BTreeMap::new(),
            settings,
        };
        for agent in hub.settings.expected.clone() {
            hub.member(&agent, now);
        }
        Ok(hub)
    }

    /// Puts the ledger, the agents and the totals of earlier lives back.
    ///
    /// # Errors
    /// When the record of an agent is of another version of the program.
    pub fn restore(
        &mut self,
        ledger: &BTreeMap<(String, u32), Mark>,
        agents: &BTreeMap<String, AgentRecord>,
        counters: &BTreeMap<String, u64>,
        now: Now,
    ) -> Result<(), RestoreError> {
        for (name, record) in agents {
            let Ok(agent) = name.parse::<AgentId>() else { continue };
            if let Some(member) = self.member(&agent, now) {
                member.past = Past::decode(&record.extra)?;
                member.refused = member.past.refusal();
                member.record = record.clone();
            }
        }
        for ((name, channel), mark) in ledger {
            let Ok(agent) = name.parse::<AgentId>() else { continue };
            if let Some(member) = self.member(&agent, now)
                && let Some(uplink) = member.channels.get_mut(channel)
            {
                uplink.restore(mark.clone());
            }
            self.ack_due.insert(agent);
        }
        self.task.restore_counts(counters);
        let ours = counters.iter().filter(|(name, _)| name.starts_with("hub/"));
        self.counters = ours.map(|(name, value)| (name.clone(), *value)).collect();
        Ok(())
    }

    /// The member of this name, new if need be; `None` at the limit.
    fn member(&mut self, agent: &AgentId, now: Now) -> Option<&mut Member> {
        if !self.members.contains_key(agent) {
            if self.members.len() >= AGENTS_MAX {
                *self.counters.entry("hub/agents-refused".into()).or_default() += 1;
                return None;
            }
            let mut channels = BTreeMap::new();
            for &Exchange { channel, scan, .. } in &self.settings.exchanges {
                let split = self.task.split(scan, agent.as_str());
                channels.insert(channel, Uplink::new(scan, split));
            }
            let member = Member {
                record: AgentRecord::default(),
                past: Past::default(),
                channels,
                heard_ms: now.mono_ms,
                is_idle: false,
                is_changed: false,
                refused: None,
                backlog: (0, 0),
                version: String::new(),
                plan_fingerprint: 0,
                clock: MemberClock::default(),
            };
            self.members.insert(agent.clone(), member);
        }
        self.members.get_mut(agent)
    }

    /// Something was heard of an agent: its data counts for the watermark again.
    fn heard(&mut self, agent: &AgentId, now: Now) {
        let Some(member) = self.members.get_mut(agent) else { return };
        member.heard_ms = now.mono_ms;
        if std::mem::replace(&mut member.is_idle, false) {
            let splits: Vec<_> = member.channels.values().map(|c| (c.scan, c.split)).collect();
            for (scan, split) in splits {
                self.task.set_idle(scan, split, false);
            }
        }
    }

    /// Lets time pass: agents that have been silent for too long no longer hold the watermark.
    pub fn tick(&mut self, now: Now) {
        let timeout = self.settings.idle_timeout_ms;
        let mut silent = Vec::new();
        for member in self.members.values_mut() {
            if !member.is_idle && now.mono_ms - member.heard_ms >= timeout {
                member.is_idle = true;
                silent.extend(member.channels.values().map(|c| (c.scan, c.split)));
            }
        }
        for (scan, split) in silent {
            self.task.set_idle(scan, split, true);
        }
    }

    /// Time at which the hub wants to be called again at the latest, in monotonic ms.
    pub fn wake_at(&self, now: Now) -> i64 {
        let live = self.members.values().filter(|member| !member.is_idle);
        let silent = live.map(|member| member.heard_ms + self.settings.idle_timeout_ms).min();
        let checkpoint = self.last_checkpoint_ms + self.settings.checkpoint_interval_ms;
        silent.unwrap_or(i64::MAX).min(checkpoint).max(now.mono_ms)
    }

    /// Whether a checkpoint is due.
    pub fn wants_checkpoint(&self, now: Now) -> bool {
        let is_over = now.mono_ms - self.last_checkpoint_ms >= self.settings.checkpoint_interval_ms;
        let is_changed = self.is_dirty();
        self.applied.len() >= FRAMES_PER_COMMIT_MAX
            || self.task.bytes_pending() >= self.settings.dirty_bytes_max
            || self.task.wants_checkpoint()
            || (is_over && is_changed)
            // A grant must be durable before the agent may use it.
            || self.members.values().any(|member| member.is_changed)
    }

    /// Whether a checkpoint would have something to store.
    pub fn is_dirty(&self) -> bool {
        self.task.is_dirty()
            || !self.applied.is_empty()
            || self
                .members
                .values()
                .any(|m| m.is_changed || m.channels.values().any(|c| c.is_changed))
            || self.sinks.values().any(|sink| sink.confirmed > sink.deleted_upto)
            || !self.gaps.is_empty()
            || !self.quarantine.is_empty()
    }

    /// Everything since the last checkpoint as one commit; see [`crate::agent::Agent::checkpoint`].
    pub fn checkpoint(&mut self, positions: Vec<PositionWrite>, now: Now) -> Commit {
        self.epoch += 1;
        self.last_checkpoint_ms = now.mono_ms;
        let mut commit = Commit {
            epoch: self.epoch,
            plan: Some(self.settings.plan.clone()),
            positions,
            ..Commit::default()
        };
        for (agent, member) in &mut self.members {
            if std::mem::take(&mut member.is_changed) {
                member.record.extra = member.past.encode();
                commit.agents.push((agent.as_str().into(), member.record.clone()));
            }
            for (&channel, uplink) in &mut member.channels {
                if std::mem::take(&mut uplink.is_changed) {
                    let mark = Some(uplink.mark.clone());
                    commit.marks.push(MarkWrite { agent: agent.as_str().into(), channel, mark });
                    self.ack_due.insert(agent.clone());
                }
            }
        }
        commit.quarantine = std::mem::take(&mut self.quarantine);
        commit.gaps = std::mem::take(&mut self.gaps);
        self.put_lines(&mut commit);
        let is_full = self.base_bytes == 0
            || (self.delta_bytes > FOLD_BYTES_MIN
                && self.delta_bytes > FOLD_RATIO * self.base_bytes);
        self.task.checkpoint(is_full, &mut commit);
        commit.counters.extend(self.counters.clone());
        commit.records.push((RECORD.into(), Some(write_record(&self.record, RECORD_VERSION))));
        commit
    }

    fn put_lines(&mut self, commit: &mut Commit) {
        for (&number, sink) in &mut self.sinks {
            if sink.confirmed > sink.deleted_upto {
                commit.outbox_acked.push((number, sink.confirmed));
                commit.outbox_delete.push((number, sink.confirmed));
                sink.deleted_upto = sink.confirmed;
            }
        }
        let (sinks, record) = (&mut self.sinks, &mut self.record);
        self.task.outputs().take_lines(CHUNK_BYTES, |number, lines| {
            let sink = sinks.get_mut(&number).expect("sinks are channels");
            let offset = record.offsets.entry(number).or_default();
            let mut bytes = offset.to_le_bytes().to_vec();
            bytes.extend_from_slice(&lines);
            *offset += lines.len() as u64;
            commit.outbox_put.push(OutboxRow { channel: number, seq: sink.next_seq, bytes });
            sink.next_seq += 1;
        });
    }

    /// The commit is durable: acknowledgements may go out. Gives the tokens of messages that can be
    /// acknowledged to the broker now.
    pub fn committed(&mut self, commit: &Commit, base_bytes: u64, delta_bytes: u64) -> Vec<u64> {
        (self.base_bytes, self.delta_bytes) = (base_bytes, delta_bytes);
        for row in &commit.outbox_put {
            if let Some(sink) = self.sinks.get_mut(&row.channel) {
                sink.committed_upto = row.seq;
            }
        }
        for (agent, incarnation, body) in std::mem::take(&mut self.granted) {
            self.control(&agent, incarnation, body);
        }
        for agent in std::mem::take(&mut self.ack_due) {
            if let Some(ack) = self.ack(&agent) {
                self.replies.push(Reply::Ack(ack));
            }
        }
        std::mem::take(&mut self.applied)
    }

    /// The acknowledgement of an agent's committed marks.
    fn ack(&self, agent: &AgentId) -> Option<Ack> {
        let member = self.members.get(agent)?;
        if member.record.term == 0 {
            return None;
        }
        let upto = self.marks(member);
        Some(Ack {
            agent: agent.clone(),
            incarnation: member.record.incarnation,
            term: member.record.term,
            upto,
        })
    }

    fn marks(&self, member: &Member) -> Vec<ChannelUpto> {
        let of_life =
            member.channels.iter().filter(|(_, c)| c.mark.incarnation == member.record.incarnation);
        of_life.map(|(&channel, c)| ChannelUpto { channel, upto_seq: c.mark.seq }).collect()
    }

    /// Marks with the last frame applied, by which an agent sees whether they are about its own.
    fn heads(&self, member: &Member) -> Vec<ChannelHead> {
        let of_life =
            member.channels.iter().filter(|(_, c)| c.mark.incarnation == member.record.incarnation);
        of_life.map(|(&channel, c)| member.past.heads.of(channel, &c.mark)).collect()
    }

    fn control(&mut self, agent: &AgentId, incarnation: [u8; 16], body: ControlBody) {
        self.replies.push(Reply::Control(Control { agent: agent.clone(), incarnation, body }));
    }

    /// Messages to publish. Only what rests on committed state is among them.
    pub fn take_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }

    /// Tokens of messages that can be acknowledged to the broker without a commit.
    pub fn take_settled(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.settled)
    }

    /// A sink has everything up to `seq` of its channel.
    pub fn sink_confirmed(&mut self, channel: u32, seq: u64) {
        if let Some(sink) = self.sinks.get_mut(&channel) {
            sink.confirmed = sink.confirmed.max(seq.min(sink.committed_upto));
        }
    }

    /// First chunk of a sink that is not confirmed, and the next one to be made.
    pub fn sink_range(&self, channel: u32) -> (u64, u64) {
        self.sinks.get(&channel).map_or((1, 1), |s| (s.confirmed + 1, s.committed_upto + 1))
    }

    /// Offset in bytes behind the last chunk of a sink.
    pub fn sink_offset(&self, channel: u32) -> u64 {
        self.record.offsets.get(&channel).copied().unwrap_or(0)
    }

    /// Sets where a new sink's chunks start.
    pub fn set_sink_offset(&mut self, channel: u32, offset: u64) {
        self.record.offsets.insert(channel, offset);
    }

    /// The end of all exchanges: every window closes. For tests and for a core that is taken down
    /// for good.
    pub fn end(&mut self) {
        for scan in 0..self.task.scans().len() {
            self.task.end(scan);
        }
    }

    fn count(&mut self, name: &str, by: u64) {
        *self.counters.entry(format!("hub/{name}")).or_default() += by;
    }

    /// Totals of the hub by name.
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        &self.counters
    }
}
