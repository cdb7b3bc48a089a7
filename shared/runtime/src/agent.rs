//! The agent as a pure state machine: rows in, commits and frames out (PROTOCOL.md, rules 1–13,
//! 17).
//!
//! Guarantees: a frame or a chunk of results exists only in a [`Commit`]; it may be transmitted
//! once that commit is durable, and leaves the outbox only on the core's acknowledgement of its
//! incarnation and term. Time comes in as an argument; there is no input or output here: the driver
//! stores commits, publishes what [`Agent::next_transmit`] names and feeds messages back. An agent
//! without exchanges runs a whole pipeline alone.

mod coarsen;
mod flash;
mod life;
mod link;
mod lost;
mod offer;
mod outbox;
mod post;
mod quota;
mod resend;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::mutation::{Mutation, mutated};
use headwater_engine::operator::RestoreError;
use headwater_store::{Commit, Head, Identity, OutboxRow, PlanRecord, PositionWrite};
use headwater_wire::AgentId;
use headwater_wire::{FrameHeader, encode_frame, frame_hash};
use serde::{Deserialize, Serialize};

pub use coarsen::{CoarsenError, Job, Rung};
pub use flash::{FLASH_RECORD, FlashLimits};
pub use link::{LinkState, Message};
pub use outbox::Policy;
pub use post::{Post, PostError};

pub use crate::clock::Now;
use crate::clock::{Hold, Keeper, Rules};
use crate::task::{Batch, Task, read_record, write_record};
use coarsen::Coarsener;
use flash::FlashBudget;
use life::Birth;
use link::Link;
use lost::Lost;
use outbox::{Channel, Hole, Kind, Stored};
use quota::Range;

/// What an agent is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the agent.
    pub id: AgentId,
    /// Plan that it runs.
    pub plan: PlanRecord,
    /// Exchange channels of the plan.
    pub exchanges: Vec<u32>,
    /// Sink channels of this node.
    pub sinks: Vec<u32>,
    /// Longest time between checkpoints in ms.
    pub checkpoint_interval_ms: i64,
    /// What the medium may be given to write: checkpoints are further apart for it.
    pub flash: FlashLimits,
    /// Bytes of waiting results that make a checkpoint earlier.
    pub dirty_bytes_max: usize,
    /// Bytes of unacknowledged frames.
    pub quota_bytes: u64,
    /// What happens at the quota.
    pub policy: Policy,
    /// Unacknowledged frames are sent again after this time, in ms.
    pub resend_after_ms: i64,
    /// Hash of the machine id.
    pub machine_hash: u64,
    /// Names this boot.
    pub boot_id: u64,
    /// How the wall clock is judged, and what becomes of rows until it is believed.
    pub clock: Rules,
}

/// What an agent stores about itself besides operator state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    last_term: u32,
    /// Whether the core has granted a term to the present incarnation.
    is_known: bool,
    /// Hash of the last frame of each channel; 0 after a gap.
    chains: BTreeMap<u32, u64>,
    /// Bytes of all chunks ever made for each sink.
    offsets: BTreeMap<u32, u64>,
    /// Ranges that were dropped and not yet declared in a frame.
    dropped: BTreeMap<u32, Vec<Range>>,
    /// The unacknowledged frame that declares ranges, and which, where frames may be dropped later.
    carriers: BTreeMap<u32, (u64, Vec<Range>)>,
    /// The last frame of each channel that may be under way, where frames may be made coarser.
    opened: BTreeMap<u32, u64>,
    /// Watermark of each exchange, where frames may be made coarser: a stream at its end says it
    /// only once.
    watermarks: BTreeMap<u32, i64>,
    /// Coarse channels whose last rows no watermark follows yet.
    unsettled: BTreeSet<u32>,
    /// Numbers without frames.
    holes: BTreeMap<u32, Vec<Hole>>,
    /// What the core's numbers of a channel are ahead of those in the store.
    shifts: BTreeMap<u32, u64>,
    /// Frames that were dropped although the core may have them.
    lost: BTreeMap<u32, Lost>,
}

impl Record {
    fn read(stored: Option<&[u8]>) -> Result<Self, RestoreError> {
        let Some((version, fields)) = stored.and_then(<[u8]>::split_first) else {
            return read_record(stored, RECORD_VERSION);
        };
        match ADDED.iter().find(|(before, _)| before == version) {
            Some((_, added)) => {
                read_record(Some(&[&[RECORD_VERSION], fields, added].concat()), RECORD_VERSION)
            }
            None => read_record(stored, RECORD_VERSION),
        }
    }
}

/// What the core's numbers are ahead of the store's, by channel; nothing where the record cannot be
/// read.
pub(crate) fn shifts(record: Option<&[u8]>) -> BTreeMap<u32, u64> {
    Record::read(record).unwrap_or_default().shifts
}

/// Name of the agent's record in the store.
pub const RECORD: &str = "agent";
/// What the names of the agent's own totals begin with.
const OWN_TOTALS: [&str; 3] = ["outbox/", "agent/", "clock/"];
/// Bytes of one chunk of results in the outbox.
const CHUNK_BYTES: usize = 256 << 10;
/// A delta log larger than this many times the whole state is folded.
const FOLD_RATIO: u64 = 2;
/// A delta log below this size is not worth folding, in bytes.
const FOLD_BYTES_MIN: u64 = 64 << 10;
/// Format version of the record.
const RECORD_VERSION: u8 = 4;
/// What earlier versions lack at their end: version 3 the lost frames, version 2 the shifts, too.
const ADDED: [(u8, &[u8]); 2] = [(3, &[0]), (2, &[0, 0])];

/// The state machine.
pub struct Agent {
    settings: Settings,
    /// The fragment that it runs.
    pub task: Task,
    identity: Identity,
    /// Random bits for the next life.
    spare: Option<[u8; 16]>,
    birth: Birth,
    coarsener: Coarsener,
    record: Record,
    channels: BTreeMap<u32, Channel>,
    link: Link,
    epoch: u64,
    base_bytes: u64,
    delta_bytes: u64,
    last_checkpoint_ms: i64,
    flash: FlashBudget,
    keeper: Keeper,
    hold: Hold,
    /// Steps of the wall clock that the last frame and the last message told of, in ms.
    steps_told: (i64, i64),
    counters: BTreeMap<String, u64>,
}

impl Agent {
    /// An agent that goes on from what the store holds.
    ///
    /// # Errors
    /// When the record is of another version of the program.
    pub fn new(
        settings: Settings,
        mut task: Task,
        identity: Identity,
        head: &Head,
        record: Option<&[u8]>,
        now: Now,
    ) -> Result<Self, RestoreError> {
        let record = Record::read(record)?;
        let exchange = settings.exchanges.iter().map(|c| (*c, Kind::Exchange));
        let all = exchange.chain(settings.sinks.iter().map(|c| (*c, Kind::Sink)));
        let channels = all.map(|(number, kind)| {
            let stored = head.channels.get(&number).copied().unwrap_or_default();
            let mut channel = Channel::new(kind, &stored);
            if kind == Kind::Exchange {
                let opened = match settings.policy {
                    Policy::Coarsen => record.opened.get(&number).copied(),
                    _ => Some(u64::MAX),
                };
                let opened = opened.unwrap_or(channel.committed_upto);
                let holes = record.holes.get(&number).map(Vec::as_slice).unwrap_or_default();
                channel.restore(holes, opened, record.shifts.get(&number).copied().unwrap_or(0));
                if let Some(lost) = record.lost.get(&number) {
                    channel.lost = lost.clone();
                }
            }
            (number, channel)
        });
        task.start(now.wall_ms);
        Ok(Agent {
            link: Link::new(record.last_term),
            channels: channels.collect(),
            flash: FlashBudget::new(settings.flash, now),
            task,
            identity,
            spare: None,
            birth: Birth::default(),
            coarsener: Coarsener::default(),
            record,
            epoch: head.epoch,
            base_bytes: head.base_bytes,
            delta_bytes: head.delta_bytes,
            last_checkpoint_ms: now.mono_ms,
            keeper: Keeper::new(settings.clock, settings.boot_id, None, now)?,
            hold: Hold::new(settings.clock.hold_bytes_max),
            steps_told: (0, 0),
            counters: BTreeMap::new(),
            settings,
        })
    }

    /// Puts totals of earlier lives back.
    pub fn restore_counters(&mut self, counters: &BTreeMap<String, u64>) {
        self.task.restore_counts(counters);
        let ours =
            counters.iter().filter(|(name, _)| OWN_TOTALS.iter().any(|own| name.starts_with(own)));
        self.counters = ours.map(|(name, value)| (name.clone(), *value)).collect();
    }

    /// Puts back what may be written to the medium.
    pub fn restore_flash(&mut self, stored: Option<&[u8]>, now: Now) {
        if let Some(stored) = stored {
            self.flash.restore(stored, self.settings.boot_id, now);
        }
    }

    /// So many bytes were written to the medium since this was called last.
    pub fn flash_written(&mut self, bytes: u64, now: Now) {
        self.flash.spend(bytes, now);
    }

    /// Bytes that may be written to the medium now; below 0 when the budget has less than was
    /// needed, `None` without a budget.
    pub fn flash_balance(&self) -> Option<i64> {
        self.flash.balance_bytes()
    }

    /// What is wrong when more is written than the budget has, although checkpoints are as far
    /// apart as they may be.
    pub fn flash_problem(&self) -> Option<String> {
        let FlashLimits { bytes_per_day, interval_max_ms } = self.flash.limits();
        let budget = bytes_per_day.filter(|_| self.flash.is_exceeded())?;
        Some(format!(
            "more than the {} MiB a day of the flash budget are written, with checkpoints up to \
             {} s apart; raise flash-budget or interval-max, or let less come in",
            budget >> 20,
            interval_max_ms / 1000
        ))
    }

    /// Time between the last checkpoint and the next one, in ms, unless something asks for it
    /// earlier.
    pub fn checkpoint_spacing_ms(&self) -> i64 {
        self.checkpoint_due_ms().saturating_sub(self.last_checkpoint_ms)
    }

    /// When a checkpoint is due that nothing but time asks for, in monotonic ms.
    pub(super) fn checkpoint_due_ms(&self) -> i64 {
        self.flash.due_ms(self.last_checkpoint_ms, self.settings.checkpoint_interval_ms)
    }

    /// Whether sources must wait because the outbox is full: of frames (policy `pause`), or of
    /// results that no sink takes, for which there is no other policy.
    pub fn is_paused(&self) -> bool {
        let quota = self.settings.quota_bytes;
        let sinks = self.channels.values().filter(|c| c.kind == Kind::Sink);
        let results: u64 = sinks.map(Channel::backlog_bytes).sum();
        let waits = matches!(self.settings.policy, Policy::Pause | Policy::Coarsen);
        let are_frames_full = waits && self.backlog().1 >= quota;
        are_frames_full || results >= quota
    }

    /// Whether a checkpoint is due.
    pub fn wants_checkpoint(&self, now: Now) -> bool {
        let is_over = now.mono_ms >= self.checkpoint_due_ms();
        let is_dirty = self.wants_final_checkpoint();
        self.is_being_born()
            || self.coarsening_wants_checkpoint()
            || self.wants_to_declare()
            || self.task.bytes_pending() >= self.settings.dirty_bytes_max
            || (is_over && is_dirty)
    }

    /// Whether something is left for a last checkpoint before the end.
    pub fn wants_final_checkpoint(&self) -> bool {
        let are_channels_dirty = self.channels.values().any(Channel::is_dirty);
        self.task.is_dirty() || are_channels_dirty || self.hold.is_dirty()
    }

    /// Everything since the last checkpoint as one commit. The driver stores it, as often as it
    /// takes, and calls [`committed`](Agent::committed); until then the agent is not called.
    pub fn checkpoint(&mut self, positions: Vec<PositionWrite>, now: Now) -> Commit {
        self.epoch += 1;
        self.last_checkpoint_ms = now.mono_ms;
        self.flash.checkpoint(now);
        let mut commit = Commit {
            epoch: self.epoch,
            plan: Some(self.settings.plan.clone()),
            positions,
            ..Commit::default()
        };
        if mutated(Mutation::PositionBeforeState) && self.epoch.is_multiple_of(2) {
            return commit;
        }
        let is_full = self.base_bytes == 0
            || (self.delta_bytes > FOLD_BYTES_MIN
                && self.delta_bytes > FOLD_RATIO * self.base_bytes);
        self.put_birth(&mut commit);
        self.put_acknowledged(&mut commit, now);
        self.put_coarser(&mut commit, now);
        self.put_frames(&mut commit, now);
        self.settle_coarse(&mut commit, now);
        self.open_frames();
        self.put_lines(&mut commit);
        self.task.checkpoint(is_full, &mut commit);
        self.record.last_term = self.link.term();
        self.flash.put(self.settings.boot_id, &mut commit);
        commit.counters.extend(self.counters.clone());
        commit.records.push((RECORD.into(), Some(write_record(&self.record, RECORD_VERSION))));
        self.put_clock(&mut commit, now);
        commit
    }

    /// The commit is durable: its frames may be transmitted.
    pub fn committed(&mut self, commit: &Commit, base_bytes: u64, delta_bytes: u64) {
        (self.base_bytes, self.delta_bytes) = (base_bytes, delta_bytes);
        for row in &commit.outbox_put {
            if let Some(channel) = self.channels.get_mut(&row.channel) {
                channel.committed(row.seq, row.bytes.len() as u64);
            }
        }
        for &(number, _, to) in &commit.outbox_remove {
            if let Some(channel) = self.channels.get_mut(&number) {
                channel.left_out(to);
            }
        }
        for (number, watermark) in self.task.outputs().watermarks() {
            if let Some(channel) = self.channels.get_mut(&number) {
                channel.watermark = watermark;
            }
        }
        self.born();
    }

    fn put_acknowledged(&mut self, commit: &mut Commit, now: Now) {
        let retained_max = self.settings.quota_bytes / 10;
        for (&number, channel) in &mut self.channels {
            channel.put_acknowledged(number, retained_max, now.mono_ms, commit);
        }
    }

    fn put_frame(&mut self, batch: &Batch, commit: &mut Commit, now: Now) {
        let channel = self.channels.get_mut(&batch.channel).expect("exchanges are channels");
        let seq = channel.take_seq();
        let shift = channel.shift();
        let dropped = self.take_dropped(batch.channel, seq);
        let header = FrameHeader {
            agent: self.settings.id.clone(),
            incarnation: self.identity.incarnation,
            channel: batch.channel,
            seq: seq + shift,
            plan_fingerprint: self.settings.plan.fingerprint,
            previous_hash: match dropped.is_empty() {
                true => self.record.chains.get(&batch.channel).copied().unwrap_or(0),
                false => 0,
            },
            first_event_time: batch.times.0,
            last_event_time: batch.times.1,
            watermark: batch.watermark,
            clock: self.frame_clock(now),
            rows_count: batch.rows_count,
            dropped_before: outbox::ranges(&dropped, shift),
        };
        let bytes = encode_frame(self.link.term(), &header, &batch.payload)
            .expect("batches are cut below the limits of a frame");
        let hash = frame_hash(&bytes).expect("just encoded");
        self.record.chains.insert(batch.channel, hash);
        if let Some(channel) = self.channels.get_mut(&batch.channel) {
            channel.stored.push_back(Stored { seq, rows: batch.rows_count, hash });
        }
        commit.outbox_put.push(OutboxRow { channel: batch.channel, seq, bytes });
    }

    fn put_lines(&mut self, commit: &mut Commit) {
        let (channels, record) = (&mut self.channels, &mut self.record);
        self.task.outputs().take_lines(CHUNK_BYTES, |number, lines| {
            let channel = channels.get_mut(&number).expect("sinks are channels");
            let seq = channel.take_seq();
            let offset = record.offsets.entry(number).or_default();
            let bytes = outbox::chunk(*offset, &lines);
            *offset += lines.len() as u64;
            commit.outbox_put.push(OutboxRow { channel: number, seq, bytes });
        });
    }

    fn count(&mut self, name: &str, by: u64) {
        *self.counters.entry(name.into()).or_default() += by;
    }

    /// Unacknowledged frames of all exchanges and their bytes.
    pub fn backlog(&self) -> (u64, u64) {
        let exchanges = self.channels.values().filter(|c| c.kind == Kind::Exchange);
        exchanges.fold((0, 0), |(frames, bytes), channel| {
            (frames + channel.backlog_frames(), bytes + channel.backlog_bytes())
        })
    }

    /// A sink has everything up to `seq` of its channel.
    pub fn sink_confirmed(&mut self, channel: u32, seq: u64) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.acknowledge(seq, 0);
        }
    }

    /// First chunk of a sink that is not confirmed, and the next one to be made.
    pub fn sink_range(&self, channel: u32) -> (u64, u64) {
        self.channels.get(&channel).map_or((1, 1), |c| (c.acked + 1, c.committed_upto + 1))
    }

    /// Offset in bytes behind the last chunk of a sink.
    pub fn sink_offset(&self, channel: u32) -> u64 {
        self.record.offsets.get(&channel).copied().unwrap_or(0)
    }

    /// Sets where a new sink's chunks start.
    pub fn set_sink_offset(&mut self, channel: u32, offset: u64) {
        self.record.offsets.insert(channel, offset);
    }

    /// Number of the last checkpoint.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Totals of the outbox by name.
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        &self.counters
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
