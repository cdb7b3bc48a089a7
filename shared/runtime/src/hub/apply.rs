//! Frames: checked against the ledger, applied in order, held or set aside.

use headwater_engine::mutation::{Mutation, mutated};
use headwater_engine::operator::RestoreError;
use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_store::Quarantined;
use headwater_wire::AgentId;
use headwater_wire::ControlBody;
use headwater_wire::{BatchDecoder, BatchItem};
use headwater_wire::{Frame, FrameHeader, decode_frame, decode_header, frame_hash};

use super::{Hub, REPORTS_PER_COMMIT_MAX};
use crate::agent::Now;
use crate::task::{ColdReader, time_column};

/// Bytes of a frame that quarantine keeps.
const QUARANTINE_BYTES_MAX: usize = 64 << 10;

/// What is to be done with a frame.
enum Verdict {
    Apply,
    Repeat,
    Hold,
    Wait,
    Refuse(&'static str),
}

impl Hub {
    /// A message on an agent's frame topic. `token` comes back from
    /// [`take_settled`](Hub::take_settled) or [`committed`](Hub::committed) when the broker may
    /// forget it.
    pub fn frame(
        &mut self,
        from: &AgentId,
        bytes: &[u8],
        token: u64,
        now: Now,
        cold: &mut ColdReader<'_>,
    ) -> Result<(), RestoreError> {
        let header = match decode_header(bytes) {
            Ok((term, header)) if header.agent == *from => (term, header),
            Ok(_) => return self.refuse(from, 0, 0, "sent by another agent", bytes, token, now),
            Err(error) => {
                let reason = error.to_string();
                return self.refuse(from, 0, 0, &reason, bytes, token, now);
            }
        };
        let (term, header) = header;
        match self.judge(term, &header) {
            Verdict::Apply => {
                self.applied.push(token);
                self.heard(from, now);
                self.apply(&header, bytes, now, cold)?;
                self.apply_held(from, header.channel, now, cold)?;
            }
            Verdict::Repeat => {
                self.settled.push(token);
                self.heard(from, now);
                self.count("frames-repeated", 1);
                self.ack_due.insert(from.clone());
                self.acknowledge_again(from);
            }
            Verdict::Hold => {
                self.settled.push(token);
                self.heard(from, now);
                self.hold(&header, bytes, now);
                if mutated(Mutation::AckHeld)
                    && let Some(mut ack) = self.ack(from)
                {
                    ack.upto.iter_mut().for_each(|upto| upto.upto_seq = header.seq);
                    self.replies.push(super::Reply::Ack(ack));
                }
            }
            Verdict::Wait => {
                self.settled.push(token);
                self.count("frames-of-another-plan", 1);
            }
            Verdict::Refuse(reason) => {
                self.refuse(from, header.channel, header.seq, reason, bytes, token, now)?;
            }
        }
        Ok(())
    }

    /// A repeated frame is acknowledged again at once: its mark is committed already, or will be.
    fn acknowledge_again(&mut self, agent: &AgentId) {
        let is_committed = self.members.get(agent).is_some_and(|member| {
            !member.is_changed && member.channels.values().all(|channel| !channel.is_changed)
        });
        if is_committed && let Some(ack) = self.ack(agent) {
            self.ack_due.remove(agent);
            self.replies.push(super::Reply::Ack(ack));
        }
    }

    fn judge(&mut self, term: u32, header: &FrameHeader) -> Verdict {
        if header.plan_fingerprint != self.settings.plan.fingerprint {
            return Verdict::Wait;
        }
        let Some(member) = self.members.get(&header.agent) else {
            self.fence(&header.agent, header.incarnation, term);
            return Verdict::Hold;
        };
        if member.refused.is_some() {
            return Verdict::Wait;
        }
        if member.record.incarnation != header.incarnation || member.record.term != term {
            self.fence(&header.agent, header.incarnation, term);
            return Verdict::Wait;
        }
        let Some(uplink) = member.channels.get(&header.channel) else {
            return Verdict::Refuse("unknown channel");
        };
        let next = uplink.mark.seq + 1;
        if header.seq < next {
            let is_new = mutated(Mutation::ApplyRepeats);
            return if is_new { Verdict::Apply } else { Verdict::Repeat };
        }
        if mutated(Mutation::DedupByMaxSeq) {
            return Verdict::Apply;
        }
        let is_declared = || {
            let ranges = &header.dropped_before;
            (next..header.seq)
                .all(|seq| ranges.iter().any(|range| range.from <= seq && seq <= range.to))
        };
        if header.seq > next && (header.seq - next > MISSING_MAX || !is_declared()) {
            return Verdict::Hold;
        }
        let chain = uplink.mark.last_frame_hash;
        if header.previous_hash != 0 && chain != 0 && header.previous_hash != chain {
            // The agent made other frames than those that were applied: its state is an old copy
            // that has gone on by itself.
            let marks = self.marks(member);
            self.count("frames-off-the-chain", 1);
            self.control(&header.agent, header.incarnation, ControlBody::Diverged { term, marks });
            return Verdict::Wait;
        }
        Verdict::Apply
    }

    fn hold(&mut self, header: &FrameHeader, bytes: &[u8], now: Now) {
        let Some(member) = self.members.get_mut(&header.agent) else { return };
        let Some(uplink) = member.channels.get_mut(&header.channel) else { return };
        uplink.hold(header.seq, bytes);
        self.ask_for_missing(&header.agent, header.channel, now);
    }

    /// Asks for the frames before the first of those that are held, if any are.
    pub(super) fn ask_for_missing(&mut self, agent: &AgentId, channel: u32, now: Now) {
        let Some(member) = self.members.get_mut(agent) else { return };
        let (term, incarnation) = (member.record.term, member.record.incarnation);
        let missing = member.channels.get_mut(&channel).and_then(|c| c.missing(now.mono_ms));
        if let Some((from, to)) = missing {
            self.count("frames-asked-for-again", 1);
            self.control(agent, incarnation, ControlBody::Nack { term, channel, from, to });
        }
    }

    /// Applies one frame and moves the mark, also past a frame that cannot be read.
    fn apply(
        &mut self,
        header: &FrameHeader,
        bytes: &[u8],
        now: Now,
        cold: &mut ColdReader<'_>,
    ) -> Result<(), RestoreError> {
        for range in &header.dropped_before {
            self.count("rows-dropped-by-agents", range.rows);
            let (agent, channel) = (&header.agent, header.channel);
            let why = match range.rows {
                0 => "coarsened: the totals come by another exchange",
                _ => "dropped at the outbox quota",
            };
            self.skip(agent, channel, (range.from, range.to), Some(range.rows), now, why);
        }
        // What declares a gap was given another header when it was sent: the next frame carries the
        // hash that it had before.
        let is_declaring = !header.dropped_before.is_empty();
        let hash = frame_hash(bytes).unwrap_or(0);
        let Some(member) = self.members.get_mut(&header.agent) else { return Ok(()) };
        let Some(uplink) = member.channels.get_mut(&header.channel) else { return Ok(()) };
        uplink.mark.incarnation = header.incarnation;
        uplink.mark.term = member.record.term;
        uplink.mark.seq = header.seq;
        uplink.mark.last_frame_hash = if is_declaring { 0 } else { hash };
        let (life, heads) = (header.incarnation, &mut member.past.heads);
        member.is_changed |= match is_declaring {
            true => heads.set(life, header.channel, (header.seq, hash)),
            false => heads.clear(life, header.channel),
        };
        uplink.mark.last_event_time = uplink.mark.last_event_time.max(header.last_event_time);
        uplink.mark.watermark = uplink.mark.watermark.max(header.watermark);
        uplink.is_changed = true;
        let (scan, split) = (uplink.scan, uplink.split);
        let floor = member.past.floor(header.channel);
        // Whatever the last heartbeat said of its sources.
        self.task.set_idle(scan, split, false);
        let decoded = match decode_frame(bytes) {
            Ok(frame) => self.apply_payload(&frame, scan, split, floor, cold)?,
            Err(error) => Err(error.to_string()),
        };
        if mutated(Mutation::AckBeforeCommit) {
            let ack = self.ack(&header.agent);
            self.replies.extend(ack.map(super::Reply::Ack));
        }
        self.count("frames-applied", 1);
        if let Err(reason) = decoded {
            let (channel, seq) = (header.channel, header.seq);
            self.set_aside(&header.agent, channel, seq, &reason, bytes, now);
            let body = ControlBody::Poison { channel, seq, reason: short(&reason) };
            self.control(&header.agent, header.incarnation, body);
        }
        Ok(())
    }

    /// Rows and watermarks of a payload in their order; the inner error is a payload that cannot be
    /// read to its end.
    fn apply_payload(
        &mut self,
        frame: &Frame<'_>,
        scan: usize,
        split: headwater_engine::pipeline::SplitId,
        floor: Option<i64>,
        cold: &mut ColdReader<'_>,
    ) -> Result<Result<(), String>, RestoreError> {
        let exchange = self.settings.exchanges.iter().find(|exchange| exchange.scan == scan);
        let schema = &exchange.expect("a channel belongs to an exchange").schema;
        let floor = floor.zip(time_column(schema));
        let mut rows_taken_before = 0;
        let mut decoder = match BatchDecoder::new(&frame.payload, schema) {
            Ok(decoder) => decoder,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let mut slots = vec![Slot::ZERO; schema.len()];
        let read = loop {
            match decoder.next(&mut slots, self.task.exchange_context()) {
                Ok(Some(BatchItem::Row { nulls, change })) => {
                    if floor.is_some_and(|(floor, at)| slots[at].as_i64() <= floor) {
                        rows_taken_before += 1;
                        continue;
                    }
                    self.task.exchange_row(scan, Row { slots: &slots, nulls, change }, cold)?;
                }
                Ok(Some(BatchItem::Watermark(watermark))) => {
                    self.task.raise(scan, split, watermark);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.to_string()),
            }
        };
        if rows_taken_before > 0 {
            self.count("rows-of-an-earlier-life", rows_taken_before);
        }
        Ok(read)
    }

    pub(super) fn apply_held(
        &mut self,
        agent: &AgentId,
        channel: u32,
        now: Now,
        cold: &mut ColdReader<'_>,
    ) -> Result<(), RestoreError> {
        loop {
            let Some(member) = self.members.get_mut(agent) else { return Ok(()) };
            let Some(uplink) = member.channels.get_mut(&channel) else { return Ok(()) };
            if self.task.wants_checkpoint() {
                if uplink.has_next() {
                    self.waiting.insert((agent.clone(), channel));
                }
                return Ok(());
            }
            let Some(bytes) = uplink.take_next() else { return Ok(()) };
            let Ok((term, header)) = decode_header(&bytes) else { return Ok(()) };
            if matches!(self.judge(term, &header), Verdict::Apply) {
                self.apply(&header, &bytes, now, cold)?;
            }
        }
    }

    /// Applies held frames that waited for a checkpoint to make room; false when none did, or
    /// there is still no room.
    ///
    /// # Errors
    /// When the state does not fit.
    pub fn resume(&mut self, now: Now, cold: &mut ColdReader<'_>) -> Result<bool, RestoreError> {
        if self.waiting.is_empty() || self.task.wants_checkpoint() {
            return Ok(false);
        }
        for (agent, channel) in std::mem::take(&mut self.waiting) {
            self.apply_held(&agent, channel, now, cold)?;
        }
        Ok(true)
    }

    #[expect(clippy::too_many_arguments, reason = "what quarantine stores of a frame")]
    fn refuse(
        &mut self,
        agent: &AgentId,
        channel: u32,
        seq: u64,
        reason: &str,
        bytes: &[u8],
        token: u64,
        now: Now,
    ) -> Result<(), RestoreError> {
        self.settled.push(token);
        self.set_aside(agent, channel, seq, reason, bytes, now);
        Ok(())
    }

    fn set_aside(
        &mut self,
        agent: &AgentId,
        channel: u32,
        seq: u64,
        reason: &str,
        bytes: &[u8],
        now: Now,
    ) {
        self.count("frames-quarantined", 1);
        if self.quarantine.len() >= REPORTS_PER_COMMIT_MAX {
            return;
        }
        self.quarantine.push(Quarantined {
            at_ms: now.wall_ms,
            agent: agent.as_str().into(),
            channel,
            seq,
            reason: reason.into(),
            bytes: bytes[..bytes.len().min(QUARANTINE_BYTES_MAX)].to_vec(),
        });
    }
}

/// Frames between the mark and a frame whose header declares all of them dropped.
const MISSING_MAX: u64 = 1 << 20;

fn short(reason: &str) -> String {
    reason.chars().take(200).collect()
}
