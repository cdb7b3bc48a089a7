//! A full outbox is made coarser: partials of neighbouring windows are added up (PROTOCOL.md,
//! rule 17, `coarsen`).
//!
//! Guarantees: totals stay exact; a frame that may have been transmitted is never touched. So
//! which frames may be under way is durable before the first of them goes out. Memory is that of
//! one job. Where nothing is left to make coarser, sources wait as under `pause`.

use headwater_engine::fragment::Fragment;
use headwater_engine::limits::Limits;
use headwater_engine::mutation::{Mutation, mutated};
use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_store::{Commit, OutboxRow};
use headwater_wire::{BatchDecoder, BatchEncoder, BatchItem, WireError, decode_frame};

use super::{Agent, LinkState, Now, Policy, outbox::Kind};
use crate::task::{Batch, OutputPort, ScanPort, Task, time_column};

/// From one exchange to the next coarser one.
#[derive(Clone, Debug)]
pub struct Rung {
    /// Channel of the finer partials.
    pub from: u32,
    /// Channel of the coarser ones.
    pub to: u32,
    /// One scan and one output.
    pub fragment: Fragment,
    /// Capacities of the pipeline.
    pub limits: Limits,
}

/// Frames to be made coarser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Channel.
    pub channel: u32,
    /// First frame.
    pub from: u64,
    /// Last one.
    pub to: u64,
}

/// Why frames could not be made coarser: they stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum CoarsenError {
    /// A frame cannot be read.
    #[error("frame {0}: {1}")]
    Frame(u64, WireError),
    /// The step cannot be built, or refused rows.
    #[error("{0}")]
    Step(String),
}

/// Part of the quota from which on frames are made coarser.
const START: (u64, u64) = (3, 4);
/// Bytes of frames in one job, whatever the quota.
const JOB_BYTES: (u64, u64) = (64 << 10, 1 << 20);
/// Part of the quota that one job has, and the most that it has of a small quota: with more there
/// might never be enough frames for a job.
const JOB_SHARE: u64 = 32;
const JOB_SHARE_MAX: u64 = 4;

/// What is ready for the next checkpoint.
#[derive(Default)]
pub(super) struct Coarsener {
    rungs: Vec<Rung>,
    staged: Option<(Job, Vec<Batch>)>,
    /// A job failed: no other is tried in this life of the process.
    is_stuck: bool,
}

impl Agent {
    /// How frames are made coarser, finest first for each exchange.
    pub fn set_ladder(&mut self, rungs: Vec<Rung>) {
        self.coarsener.rungs = rungs;
    }

    /// The next frames to be made coarser. The driver reads them from the store and calls
    /// [`coarsen`](Agent::coarsen).
    pub fn coarsen_due(&self) -> Option<Job> {
        let is_idle = self.coarsener.staged.is_none() && !self.coarsener.is_stuck;
        let limit = self.settings.quota_bytes / START.1 * START.0;
        if self.settings.policy != Policy::Coarsen || !is_idle || self.backlog().1 < limit {
            return None;
        }
        let quota = self.settings.quota_bytes;
        let least = JOB_BYTES.0.min(quota / JOB_SHARE_MAX);
        let job_bytes = (quota / JOB_SHARE).clamp(least, JOB_BYTES.1);
        let jobs = self.coarsener.rungs.iter().filter_map(|rung| {
            let closed = self.channels.get(&rung.from)?.closed_frames(job_bytes);
            closed.map(|(bytes, from, to)| (bytes, Job { channel: rung.from, from, to }))
        });
        // The finest of those with the most, so that the steps of the ladder fill up evenly.
        let most = jobs.reduce(|most, next| if next.0 > most.0 { next } else { most })?;
        (most.0 >= job_bytes).then_some(most.1)
    }

    /// Takes the frames of a job in order; what it makes of them is in the next checkpoint.
    ///
    /// # Errors
    /// When one cannot be read or does not fit the plan: nothing is changed.
    pub fn coarsen(&mut self, job: Job, rows: &[OutboxRow]) -> Result<(), CoarsenError> {
        let done = self.make_coarser(job, rows);
        self.coarsener.is_stuck = done.is_err();
        self.coarsener.staged = done?;
        Ok(())
    }

    fn make_coarser(
        &self,
        job: Job,
        rows: &[OutboxRow],
    ) -> Result<Option<(Job, Vec<Batch>)>, CoarsenError> {
        let Some(rung) = self.coarsener.rungs.iter().find(|rung| rung.from == job.channel) else {
            return Ok(None);
        };
        let mut rows_count = 0;
        let (mut to, mut watermark) = (None, i64::MIN);
        for row in rows.iter().filter(|row| (job.from..=job.to).contains(&row.seq)) {
            let frame = decode_frame(&row.bytes).map_err(|e| CoarsenError::Frame(row.seq, e))?;
            if !frame.header.dropped_before.is_empty() {
                break;
            }
            rows_count += frame.header.rows_count as usize;
            watermark = frame.header.watermark.max(watermark);
            to = Some(row.seq);
        }
        let to = to.ok_or_else(|| CoarsenError::Step("a loss is declared in the way".into()))?;
        let mut task = rung_task(rung, rows_count)?;
        for row in rows.iter().filter(|row| (job.from..=to).contains(&row.seq)) {
            add_frame(&mut task, rung, row)?;
        }
        task.end(0);
        let refused: u64 =
            task.counts().iter().filter(|(n, _)| n.starts_with("drop/")).map(|c| c.1).sum();
        if refused > 0 {
            return Err(CoarsenError::Step(format!("{refused} partials do not fit")));
        }
        let mut batches = task.outputs().take_batches();
        // Frames that follow hold no window that ends before this one's watermark: without it the
        // core would keep all windows of an outage open until the last frame.
        batches.extend(watermark_of(rung, watermark));
        Ok(Some((Job { to, ..job }, batches)))
    }

    /// Whether something waits for a checkpoint: coarser frames, or frames that may not be
    /// transmitted before it is durable that they may be.
    pub(super) fn coarsening_wants_checkpoint(&self) -> bool {
        let is_shut = |c: &super::Channel| c.kind == Kind::Exchange && c.is_shut();
        let is_granted = self.link.state == LinkState::Granted;
        let is_unsettled =
            || !self.record.unsettled.is_empty() || self.channels.values().any(is_shut);
        self.coarsener.staged.is_some() || (is_granted && is_unsettled())
    }

    pub(super) fn put_coarser(&mut self, commit: &mut Commit, now: Now) {
        let Some((job, batches)) = self.coarsener.staged.take() else { return };
        let Job { channel, from, to } = job;
        if let Some(fine) = self.channels.get_mut(&channel) {
            fine.remove(from, to);
        }
        commit.outbox_remove.push((channel, from, to));
        self.count("outbox/coarsened-frames", to - from + 1);
        for batch in batches {
            self.record.unsettled.insert(batch.channel);
            self.put_frame(&batch, commit, now);
            if mutated(Mutation::CoarsenTwice) {
                self.put_frame(&batch, commit, now);
            }
        }
    }

    /// While the core listens nothing that it is about to get will be made coarser any more: what
    /// has been made coarser is complete as far as the fine exchange is.
    pub(super) fn settle_coarse(&mut self, commit: &mut Commit, now: Now) {
        if self.settings.policy != Policy::Coarsen {
            return;
        }
        for (channel, watermark) in self.task.outputs().watermarks() {
            let known = self.record.watermarks.entry(channel).or_insert(i64::MIN);
            *known = watermark.max(*known);
        }
        if self.link.state != LinkState::Granted {
            return;
        }
        for channel in std::mem::take(&mut self.record.unsettled) {
            let rungs = &self.coarsener.rungs;
            let Some(rung) = rungs.iter().find(|rung| rung.to == channel) else { continue };
            let mut fine = rung.from;
            while let Some(finer) = rungs.iter().find(|rung| rung.to == fine) {
                fine = finer.from;
            }
            let watermark = self.record.watermarks.get(&fine).copied().unwrap_or(i64::MIN);
            if let Some(batch) = watermark_of(rung, watermark) {
                self.put_frame(&batch, commit, now);
            }
        }
    }

    /// While the core listens all frames of this checkpoint may be transmitted after it.
    pub(super) fn open_frames(&mut self) {
        self.record.opened.clear();
        self.record.holes.clear();
        let is_granted = self.link.state == LinkState::Granted;
        for (&number, channel) in &mut self.channels {
            if channel.kind != Kind::Exchange {
                continue;
            }
            if self.settings.policy == Policy::Coarsen {
                self.record.opened.insert(number, channel.open(is_granted));
            }
            // Whatever the policy is now: the numbers stay without frames.
            if !channel.holes().is_empty() {
                self.record.holes.insert(number, channel.holes().to_vec());
            }
        }
    }

    /// Up to when a coarse channel is complete: as far as the fine one, once nothing is left that
    /// could still be made coarser. `None` for a channel that is not coarse.
    pub(super) fn coarse_watermark(&self, number: u32) -> Option<(i64, bool)> {
        let mut at = number;
        let mut is_settled = true;
        while let Some(rung) = self.coarsener.rungs.iter().find(|rung| rung.to == at) {
            at = rung.from;
            is_settled &= self.channels.get(&at).is_some_and(|channel| !channel.is_shut());
        }
        let fine = self.channels.get(&at).filter(|_| at != number)?;
        let is_idle = is_settled && self.channels[&number].backlog_frames() == 0;
        Some((if is_settled { fine.watermark } else { i64::MIN }, is_idle))
    }
}

/// A batch of a coarse channel that holds a watermark only.
fn watermark_of(rung: &Rung, watermark: i64) -> Option<Batch> {
    let output = rung.fragment.outputs.first().filter(|_| watermark > i64::MIN)?;
    let mut encoder = BatchEncoder::new(&output.schema);
    encoder.watermark(watermark);
    let (rows_count, times) = (0, (i64::MAX, i64::MIN));
    Some(Batch { channel: rung.to, payload: encoder.finish(), rows_count, times, watermark })
}

fn rung_task(rung: &Rung, rows_count: usize) -> Result<Task, CoarsenError> {
    let (Some(scan), Some(output)) = (rung.fragment.scans.first(), rung.fragment.outputs.first())
    else {
        return Err(CoarsenError::Step("a rung without input or output".into()));
    };
    let scans = vec![ScanPort { name: scan.name.clone(), decoder: None, metadata: Vec::new() }];
    let outputs = vec![OutputPort::Exchange {
        channel: rung.to,
        time_column: time_column(&output.schema),
        schema: output.schema.clone(),
        has_watermarks: false,
    }];
    let limits = Limits { panes_max: rows_count.max(1), ..rung.limits.clone() };
    Task::new(&rung.fragment, &limits, scans, outputs)
        .map_err(|error| CoarsenError::Step(error.to_string()))
}

fn add_frame(task: &mut Task, rung: &Rung, row: &OutboxRow) -> Result<(), CoarsenError> {
    let unreadable = |error| CoarsenError::Frame(row.seq, error);
    let frame = decode_frame(&row.bytes).map_err(unreadable)?;
    let schema = &rung.fragment.scans[0].decoded;
    let mut decoder = BatchDecoder::new(&frame.payload, schema).map_err(unreadable)?;
    let mut slots = vec![Slot::ZERO; schema.len()];
    loop {
        match decoder.next(&mut slots, task.exchange_context()).map_err(unreadable)? {
            Some(BatchItem::Row { nulls, change }) => {
                let row = Row { slots: &slots, nulls, change };
                let done = task.exchange_row(0, row, &mut |_, _| None);
                done.map_err(|error| CoarsenError::Step(error.to_string()))?;
            }
            Some(BatchItem::Watermark(_)) => {}
            None => return Ok(()),
        }
    }
}
