//! What one checkpoint writes, and the records that are read back.
//!
//! Guarantees: plain data; the caller keeps a `Commit` until the store says that it is durable
//! and may hand the same one over again. Does not touch the disk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Identity of one life of a state directory (PROTOCOL.md, Identity).
pub type Incarnation = [u8; 16];

/// Everything that becomes durable together, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Number of this checkpoint: the last one + 1, never reused.
    pub epoch: u64,
    /// The plan that wrote the state; `None` leaves the stored one.
    pub plan: Option<PlanRecord>,
    /// Operator state; `None` when nothing changed.
    pub state: Option<StateWrite>,
    /// Source positions.
    pub positions: Vec<PositionWrite>,
    /// A new identity. Frames stay: they are sent under it.
    pub identity: Option<Identity>,
    /// Channel, first and last seq of a range that holds no frame from now on, ahead of the other
    /// fields: stored ones are removed, numbers not given yet are left out.
    pub outbox_remove: Vec<(u32, u64, u64)>,
    /// Channel and highest seq that the core has acknowledged; the rows stay until deleted.
    pub outbox_acked: Vec<(u32, u64)>,
    /// Channel and seq up to which (inclusive) rows are removed, acknowledged or not.
    pub outbox_delete: Vec<(u32, u64)>,
    /// New frames, in order of seq within a channel; the first seq of a channel is 1.
    pub outbox_put: Vec<OutboxRow>,
    /// What the core has applied, per agent and channel.
    pub marks: Vec<MarkWrite>,
    /// What the core knows of an agent as a whole.
    pub agents: Vec<(String, AgentRecord)>,
    /// Windows (operator, end) whose cold rows are all removed, before `cold` is written.
    pub cold_delete: Vec<(u32, i64)>,
    /// Operator and event time (ms): cold rows of windows that end before it are removed.
    pub cold_delete_before: Vec<(u32, i64)>,
    /// Retained partials of fired windows.
    pub cold: Vec<ColdWrite>,
    /// Rows set aside with a reason.
    pub dead_letters: Vec<DeadLetter>,
    /// Frames set aside with a reason.
    pub quarantine: Vec<Quarantined>,
    /// Ranges that an agent declared lost.
    pub gaps: Vec<Gap>,
    /// Totals that survive a restart: new value by name.
    pub counters: Vec<(String, u64)>,
    /// The node's own small records: `None` deletes.
    pub records: Vec<(String, Option<Vec<u8>>)>,
}

/// Operator state of one checkpoint, opaque to the store.
#[derive(Debug, Clone, Default)]
pub struct StateWrite {
    /// Replaces everything written before; otherwise the blobs are appended to the delta log.
    pub full: bool,
    /// Blobs, given back in this order by `Store::load_state`.
    pub pages: Vec<Vec<u8>>,
}

/// Operator state as read back: the base, then every delta in the order of the commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateRead {
    /// Blobs of the last full write.
    pub base: Vec<Vec<u8>>,
    /// Blobs of the delta writes after it.
    pub deltas: Vec<Vec<u8>>,
}

/// How far a source split has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionWrite {
    /// Name of the source table.
    pub source: String,
    /// Split within the source: a partition, a file, a filter.
    pub split: String,
    /// Opaque position; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// One frame of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Channel of the plan.
    pub channel: u32,
    /// Dense number of the frame on its channel.
    pub seq: u64,
    /// The encoded frame.
    pub bytes: Vec<u8>,
}

/// The plan that a state directory belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Fingerprint of the whole plan.
    pub fingerprint: u64,
    /// Name and signature of each operator with state.
    pub operators: Vec<(String, u64)>,
}

impl PlanRecord {
    /// Refuses a plan that state stored under this one does not belong to.
    ///
    /// # Errors
    /// `OtherPlan`, naming the first operator that differs.
    pub fn check(&self, plan: &PlanRecord) -> crate::error::Result<()> {
        if self.fingerprint == plan.fingerprint {
            return Ok(());
        }
        let missing = |from: &PlanRecord, within: &PlanRecord| {
            from.operators.iter().find(|o| !within.operators.contains(o)).map(|o| o.0.clone())
        };
        let operator = missing(self, plan).or_else(|| missing(plan, self));
        let operator = operator.unwrap_or_else(|| "(order of operators)".into());
        Err(crate::error::StoreError::OtherPlan { operator })
    }
}

/// Who this state directory is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// 128 random bits, made with the directory.
    pub incarnation: Incarnation,
    /// Machine on which it was made.
    pub machine_id: String,
    /// Incarnation that this one continues, and where its state was an old copy, the core's marks
    /// of it: (channel, seq).
    pub parent: Option<(Incarnation, Vec<(u32, u64)>)>,
}

/// The last frame that the core applied from one agent on one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Incarnation of the agent.
    pub incarnation: Incarnation,
    /// Term under which it was sent.
    pub term: u32,
    /// Its number.
    pub seq: u64,
    /// xxh3-64 of its bytes: the next frame carries the same value.
    pub last_frame_hash: u64,
    /// Last event time in it (ms).
    pub last_event_time: i64,
    /// Watermark of the channel (ms).
    pub watermark: i64,
}

/// A `Mark` with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkWrite {
    /// Agent id.
    pub agent: String,
    /// Channel.
    pub channel: u32,
    /// New mark; `None` deletes.
    pub mark: Option<Mark>,
}

/// What the core knows of one agent over all its channels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Incarnation that holds the term.
    pub incarnation: Incarnation,
    /// Term granted last.
    pub term: u32,
    /// Recent grants (term, wall clock in ms), oldest first: many in a short time are a conflict.
    pub grants: Vec<(u32, i64)>,
    /// Wall clock (ms) when the agent was heard last.
    pub last_seen_ms: i64,
    /// Plan that the agent runs.
    pub plan_fingerprint: u64,
    /// Room for the caller.
    pub extra: Vec<u8>,
}

/// One row of cold state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColdWrite {
    /// Operator of the plan.
    pub operator: u32,
    /// End of the window (event time, ms).
    pub window_end: i64,
    /// Part of the window's rows; a few KB each.
    pub chunk: u32,
    /// Content; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// A row that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Wall clock (ms).
    pub at_ms: i64,
    /// Source or operator that refused it.
    pub place: String,
    /// Why, as a short fixed word.
    pub reason: String,
    /// Details for a person.
    pub detail: String,
    /// The record, cut to a bounded length by the caller.
    pub bytes: Vec<u8>,
}

/// A frame that was set aside by the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Wall clock (ms).
    pub at_ms: i64,
    /// Agent id, as far as it could be read.
    pub agent: String,
    /// Channel.
    pub channel: u32,
    /// Number.
    pub seq: u64,
    /// Why.
    pub reason: String,
    /// The frame, cut to a bounded length by the caller.
    pub bytes: Vec<u8>,
}

/// A range of frames that will never come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Wall clock (ms).
    pub at_ms: i64,
    /// Agent id.
    pub agent: String,
    /// Channel.
    pub channel: u32,
    /// First lost seq.
    pub from: u64,
    /// Last lost seq.
    pub to: u64,
    /// Why.
    pub reason: String,
}

/// What a commit cost and where it left the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Bytes written to the medium, in 4 KiB blocks.
    pub bytes_written: u64,
    /// Size of the last full state write in bytes.
    pub base_bytes: u64,
    /// Size of the delta log in bytes: worth a full write when it exceeds the base.
    pub delta_bytes: u64,
    /// The commit had become durable before, although it was reported as failed.
    pub was_durable: bool,
}

/// Numbers of one channel of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// Seq of the next frame.
    pub next_seq: u64,
    /// Smallest seq that is still stored (equals `next_seq` when none is).
    pub oldest_seq: u64,
    /// Highest acknowledged seq; 0 when none is.
    pub acked_upto: u64,
    /// Bytes ever put, ever acknowledged, ever deleted: differences are what is stored.
    pub(crate) put_bytes: u64,
    pub(crate) acked_bytes: u64,
    pub(crate) deleted_bytes: u64,
}

impl Default for ChannelState {
    fn default() -> Self {
        Self {
            next_seq: 1,
            oldest_seq: 1,
            acked_upto: 0,
            put_bytes: 0,
            acked_bytes: 0,
            deleted_bytes: 0,
        }
    }
}

impl ChannelState {
    /// An empty channel whose next frame has this seq.
    #[must_use]
    pub fn starting_at(next: u64) -> Self {
        Self { next_seq: next, oldest_seq: next, acked_upto: next - 1, ..Self::default() }
    }

    /// Stored frames, acknowledged ones included.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.next_seq - self.oldest_seq
    }

    /// Bytes of stored frames, acknowledged ones included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.put_bytes - self.deleted_bytes
    }

    /// Seq of the first frame without acknowledgement (equals `next_seq` when there is none).
    #[must_use]
    pub fn first_unacked(&self) -> u64 {
        self.oldest_seq.max(self.acked_upto + 1)
    }

    /// Stored frames that await their acknowledgement.
    #[must_use]
    pub fn unacked_rows(&self) -> u64 {
        self.next_seq - self.first_unacked()
    }

    /// Bytes of stored frames that await their acknowledgement.
    #[must_use]
    pub fn unacked_bytes(&self) -> u64 {
        self.put_bytes - self.acked_bytes.max(self.deleted_bytes)
    }
}

/// Sums over all channels of the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxTotals {
    /// Stored frames.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that await their acknowledgement.
    pub unacked_rows: u64,
    /// Their bytes.
    pub unacked_bytes: u64,
}

/// How full the bounded lists are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// Number of the oldest entry.
    pub first: u64,
    /// Number of the next entry.
    pub next: u64,
    /// Entries removed to make room.
    pub dropped: u64,
}

impl LogState {
    /// Entries stored.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.next - self.first
    }
}

/// Rewritten by every commit: one small row that ties everything together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the last checkpoint; 0 before the first.
    pub epoch: u64,
    /// Size of the last full state write in bytes.
    pub base_bytes: u64,
    /// Size of the delta log in bytes.
    pub delta_bytes: u64,
    /// Outbox by channel.
    pub channels: BTreeMap<u32, ChannelState>,
    /// Dead letters.
    pub dead_letters: LogState,
    /// Quarantined frames.
    pub quarantine: LogState,
    /// Declared gaps.
    pub gaps: LogState,
}

impl Head {
    /// Sums over all channels.
    #[must_use]
    pub fn outbox_totals(&self) -> OutboxTotals {
        let mut totals = OutboxTotals::default();
        for channel in self.channels.values() {
            totals.rows += channel.rows();
            totals.bytes += channel.bytes();
            totals.unacked_rows += channel.unacked_rows();
            totals.unacked_bytes += channel.unacked_bytes();
        }
        totals
    }
}
