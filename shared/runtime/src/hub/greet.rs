//! Hello, grants, heartbeats and declared losses.

use std::collections::BTreeMap;

use headwater_engine::mutation::{Mutation, mutated};
use headwater_engine::operator::RestoreError;
use headwater_store::Gap;
use headwater_wire::AgentId;
use headwater_wire::{ChannelUpto, ControlBody, Declared, Heartbeat, Hello, UpMessage, decode_up};

use super::channels::Uplink;
use super::lives::{Life, Origin, Turn};
use super::{Exchange, Hub, Member, REPORTS_PER_COMMIT_MAX};
use crate::agent::Now;
use crate::task::ColdReader;

/// Grants that an agent's record shows.
const GRANTS_MAX: usize = 8;

impl Hub {
    /// A message on an agent's hello topic.
    pub fn message(
        &mut self,
        from: &AgentId,
        payload: &[u8],
        token: u64,
        now: Now,
        cold: &mut ColdReader<'_>,
    ) -> Result<(), RestoreError> {
        self.settled.push(token);
        let Ok(message) = decode_up(payload) else {
            self.count("messages-unreadable", 1);
            return Ok(());
        };
        if message.agent() != from {
            self.count("messages-of-another", 1);
            return Ok(());
        }
        match message {
            UpMessage::Hello(hello) => self.hello(&hello, now),
            UpMessage::Heartbeat(beat) => self.heartbeat(&beat, now),
            UpMessage::Declared(declared) => return self.declared(&declared, now, cold),
        }
        Ok(())
    }

    fn hello(&mut self, hello: &Hello, now: Now) {
        let agent = &hello.agent;
        let Some(member) = self.member(agent, now) else { return };
        member.version.clone_from(&hello.program_version);
        member.plan_fingerprint = hello.plan_fingerprint;
        member.clock.heard(&hello.clock, now);
        let boot = (hello.clock.boot_id, hello.clock.boot_ms);
        match member.past.takes_turn(hello.nonce, boot, now.wall_ms) {
            // Its answer was lost at worst: the agent asks again.
            Turn::Repeated => return self.count("hellos-repeated", 1),
            Turn::Conflict => return self.conflict(hello),
            Turn::Alone => member.is_changed = true,
        }
        member.refused = None;
        let current = Life::of(member.record.incarnation, &member.channels);
        let origin = member.past.origin(current, hello);
        if let Some(marks) = Self::marks_ahead(member, &origin, hello) {
            self.count("agents-rewound", 1);
            self.control(agent, hello.incarnation, ControlBody::Rewound { marks });
            return;
        }
        self.begin_life(hello, origin, now);
        self.grant(hello, now);
        self.heard(agent, now);
    }

    /// Two processes speak for one agent: nothing of either is taken.
    fn conflict(&mut self, hello: &Hello) {
        let Some(member) = self.members.get_mut(&hello.agent) else { return };
        member.is_changed = true;
        member.refused = member.past.refusal();
        let reason = member.refused.clone().unwrap_or_default();
        self.count("agents-in-conflict", 1);
        self.control(&hello.agent, hello.incarnation, ControlBody::Conflict { reason });
    }

    /// The core's marks, where it has applied frames that this state never made.
    fn marks_ahead(member: &Member, origin: &Origin, hello: &Hello) -> Option<Vec<ChannelUpto>> {
        let life = match origin {
            Origin::Present => &Life::of(hello.incarnation, &member.channels),
            // It knew that it was an old copy, and its numbers go on from where the core was then.
            Origin::Child(_) if is_old_copy(hello) => return None,
            Origin::Former(life) | Origin::Child(life) | Origin::Cousin(life) => life,
            Origin::Unknown => return None,
        };
        let upto =
            |(&channel, &(upto_seq, _)): (&u32, &(u64, u64))| ChannelUpto { channel, upto_seq };
        life.is_ahead_of(&hello.channels).then(|| life.marks.iter().map(upto).collect())
    }

    /// The present life of an agent gives way to another.
    fn begin_life(&mut self, hello: &Hello, origin: Origin, now: Now) {
        let Some(member) = self.members.get_mut(&hello.agent) else { return };
        let was = Life::of(member.record.incarnation, &member.channels);
        let (life, gap) = match origin {
            Origin::Present => return,
            // What it still has may be in frames of the life that took its place.
            Origin::Former(life) => (life, Some("an earlier life is back")),
            Origin::Child(life) => {
                if is_old_copy(hello) {
                    (branch(life, hello), Some("an earlier copy of the state was restored"))
                } else {
                    // A copy that was moved carries the hash on: frames that the parent made since
                    // show. A core that was restored from a backup may have forgotten the copy.
                    member.past.heads.inherit(life.incarnation, hello.incarnation);
                    (Life { incarnation: hello.incarnation, ..life }, None)
                }
            }
            // What it has may have come from the life that followed its parent.
            Origin::Cousin(life) => {
                let marks = life.marks.into_iter().map(|(channel, (seq, _))| (channel, (seq, 0)));
                let life = Life { incarnation: hello.incarnation, marks: marks.collect() };
                (life, Some("a copy of an earlier state is at work"))
            }
            Origin::Unknown => (Self::unknown_life(hello), Some("new state directory")),
        };
        // A core restored from a backup may have forgotten a life that the agent remembers.
        let had_life = member.record.term > 0 || hello.parent.is_some();
        if member.record.term > 0 {
            member.past.retire(was, hello.incarnation);
        }
        member.record.incarnation = hello.incarnation;
        let mut gaps = Vec::new();
        let taken = taken_upto(&self.settings.exchanges, &member.channels);
        for (&channel, uplink) in &mut member.channels {
            if let Some(reason) = gap.filter(|_| had_life && !mutated(Mutation::ForgetOtherLives)) {
                let (agent, from) = (hello.agent.as_str().into(), uplink.mark.seq + 1);
                let reason = reason.into();
                gaps.push(Gap { at_ms: now.wall_ms, agent, channel, from, to: u64::MAX, reason });
                member.past.raise_floor(channel, taken.get(&channel).copied().unwrap_or(i64::MIN));
            }
            let (seq, hash) = life.marks.get(&channel).copied().unwrap_or_default();
            uplink.start_life(hello.incarnation, seq, hash);
        }
        gaps.truncate(REPORTS_PER_COMMIT_MAX.saturating_sub(self.gaps.len()));
        self.gaps.append(&mut gaps);
    }

    /// A life of which nothing is known begins at 1; one that says that it continues another goes
    /// on with its own numbers.
    fn unknown_life(hello: &Hello) -> Life {
        let continues = hello.channels.iter().filter(|_| hello.parent.is_some());
        let marks = continues.map(|span| (span.channel, (span.oldest_seq.saturating_sub(1), 0)));
        Life { incarnation: hello.incarnation, marks: marks.collect() }
    }

    fn grant(&mut self, hello: &Hello, now: Now) {
        let Some(member) = self.members.get_mut(&hello.agent) else { return };
        let term = member.record.term.max(hello.last_term) + 1;
        member.record.term = term;
        member.record.grants.push((term, now.wall_ms));
        if member.record.grants.len() > GRANTS_MAX {
            member.record.grants.remove(0);
        }
        member.record.last_seen_ms = now.wall_ms;
        member.record.plan_fingerprint = hello.plan_fingerprint;
        member.is_changed = true;
        let (member, nonce) = (&self.members[&hello.agent], hello.nonce);
        let (marks, heads) = (self.marks(member), self.heads(member));
        let body = ControlBody::GrantWithHeads { term, nonce, heads };
        if mutated(Mutation::GrantBeforeCommit) {
            self.control(&hello.agent, hello.incarnation, body.clone());
        }
        for body in [ControlBody::Grant { term, nonce, marks }, body] {
            self.granted.push((hello.agent.clone(), hello.incarnation, body));
        }
        self.refill(hello, now);
    }

    /// The agent's oldest frame lies behind what the core expects: that range is gone.
    fn refill(&mut self, hello: &Hello, now: Now) {
        for span in &hello.channels {
            let Some(member) = self.members.get_mut(&hello.agent) else { return };
            let Some(uplink) = member.channels.get_mut(&span.channel) else { continue };
            if span.oldest_seq > uplink.mark.seq + 1 {
                let (from, to) = (uplink.mark.seq + 1, span.oldest_seq - 1);
                self.skip(
                    &hello.agent,
                    span.channel,
                    (from, to),
                    None,
                    now,
                    "no longer in the agent's outbox",
                );
            }
        }
    }

    fn heartbeat(&mut self, beat: &Heartbeat, now: Now) {
        let Some(member) = self.members.get_mut(&beat.agent) else {
            self.control(&beat.agent, beat.incarnation, ControlBody::Fenced { term: 0 });
            return;
        };
        if member.record.incarnation != beat.incarnation || member.record.term != beat.term {
            self.fence(&beat.agent, beat.incarnation, beat.term);
            return;
        }
        member.backlog = (beat.backlog_frames, beat.backlog_bytes);
        member.plan_fingerprint = beat.plan_fingerprint;
        member.clock.heard(&beat.clock, now);
        self.heard(&beat.agent, now);
        for channel in &beat.channels {
            let Some(uplink) = self.members[&beat.agent].channels.get(&channel.channel) else {
                continue;
            };
            if uplink.mark.seq >= channel.after_seq {
                let (scan, split) = (uplink.scan, uplink.split);
                self.task.raise(scan, split, channel.watermark);
                self.task.set_idle(scan, split, channel.idle);
            }
        }
    }

    fn declared(
        &mut self,
        declared: &Declared,
        now: Now,
        cold: &mut ColdReader<'_>,
    ) -> Result<(), RestoreError> {
        let Some(member) = self.members.get(&declared.agent) else { return Ok(()) };
        if member.record.incarnation != declared.incarnation || member.record.term != declared.term
        {
            self.fence(&declared.agent, declared.incarnation, declared.term);
            return Ok(());
        }
        let (agent, channel) = (&declared.agent, declared.channel);
        self.skip(agent, channel, (declared.from, declared.to), None, now, &declared.reason);
        self.apply_held(agent, channel, now, cold)?;
        let member = self.members.get_mut(agent);
        if let Some(uplink) = member.and_then(|member| member.channels.get_mut(&channel)) {
            uplink.answered();
        }
        self.ask_for_missing(agent, channel, now);
        Ok(())
    }

    /// A range will never come: the mark passes it and the gap is recorded. `rows`: how many were
    /// in it, where that is known.
    pub(super) fn skip(
        &mut self,
        agent: &AgentId,
        channel: u32,
        (from, to): (u64, u64),
        rows: Option<u64>,
        now: Now,
        why: &str,
    ) {
        let Some(member) = self.members.get_mut(agent) else { return };
        let Some(uplink) = member.channels.get_mut(&channel) else { return };
        let from = from.max(uplink.mark.seq + 1);
        if from != uplink.mark.seq + 1 || to < from {
            return;
        }
        let last = (uplink.mark.seq, std::mem::take(&mut uplink.mark.last_frame_hash));
        if last.1 != 0 {
            member.is_changed |= member.past.heads.set(uplink.mark.incarnation, channel, last);
        }
        uplink.mark.seq = to;
        uplink.is_changed = true;
        let what = if rows == Some(0) { "frames-coarsened" } else { "frames-lost" };
        self.count(what, to - from + 1);
        if self.gaps.len() < REPORTS_PER_COMMIT_MAX && !mutated(Mutation::SilentGap) {
            let (agent, reason) = (agent.as_str().into(), why.into());
            self.gaps.push(Gap { at_ms: now.wall_ms, agent, channel, from, to, reason });
        }
    }

    /// Answers a message of an older term or an unknown life.
    pub(super) fn fence(&mut self, agent: &AgentId, incarnation: [u8; 16], term: u32) {
        let known = self.members.get(agent).map(|member| &member.record);
        let newer = known
            .filter(|record| record.incarnation == incarnation && record.term > term)
            .map_or(0, |record| record.term);
        self.count("messages-fenced", 1);
        self.control(agent, incarnation, ControlBody::Fenced { term: newer });
    }
}

/// Whether a life follows one of which the core told it that it has more.
fn is_old_copy(hello: &Hello) -> bool {
    hello.parent.as_ref().is_some_and(|parent| !parent.marks.is_empty())
}

/// The life of an old copy, which branches off where the core was when it told it so. The other
/// one may have gone on since.
fn branch(from: Life, hello: &Hello) -> Life {
    let told = |channel| {
        let mut told = hello.parent.iter().flat_map(|parent| &parent.marks);
        told.find(|mark: &&ChannelUpto| mark.channel == channel).map(|mark| mark.upto_seq)
    };
    let marks = from.marks.into_iter();
    let marks = marks
        .map(|(channel, (seq, _))| (channel, (told(channel).map_or(seq, |told| seq.min(told)), 0)));
    Life { incarnation: hello.incarnation, marks: marks.collect() }
}

/// Up to which event time rows of each channel may have been taken: a row of a coarser window holds
/// those of finer ones, so the exchanges of a ladder have one time.
fn taken_upto(exchanges: &[Exchange], channels: &BTreeMap<u32, Uplink>) -> BTreeMap<u32, i64> {
    let mut of_ladder: BTreeMap<u32, i64> = BTreeMap::new();
    for Exchange { channel, finest, row_ms, .. } in exchanges {
        let Some(uplink) = channels.get(channel) else { continue };
        // What has taken nothing says nothing.
        let last = uplink.mark.last_event_time;
        let upto = if last == i64::MIN { last } else { last.saturating_add(*row_ms) };
        let known = of_ladder.entry(*finest).or_insert(i64::MIN);
        *known = upto.max(*known);
    }
    let upto = |e: &Exchange| Some((e.channel, *of_ladder.get(&e.finest)?));
    exchanges.iter().filter_map(upto).collect()
}
