//! Hello, grants, heartbeats and declared losses.

use headwater_engine::operator::RestoreError;
use headwater_store::Gap;
use headwater_wire::AgentId;
use headwater_wire::{ControlBody, Declared, Heartbeat, Hello, UpMessage, decode_up};

use super::{Hub, REPORTS_PER_COMMIT_MAX};
use crate::agent::Now;
use crate::task::ColdReader;

/// More changes of the machine than this within [`GRANTS_WINDOW_MS`] mean that two machines claim
/// one identity.
const GRANTS_MAX: usize = 3;
const GRANTS_WINDOW_MS: i64 = 600_000;

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
        member.clock_offset_ms = hello.clock.wall_ms - now.wall_ms;
        let is_new_life = member.record.incarnation != hello.incarnation;
        if !is_new_life && Self::is_rewound(member, hello) {
            let marks = self.marks(&self.members[agent]);
            self.count("agents-rewound", 1);
            self.control(agent, hello.incarnation, ControlBody::Rewound { marks });
            return;
        }
        if self.is_conflict(hello, now) {
            return;
        }
        if is_new_life {
            self.start_life(hello, now);
        }
        self.grant(hello, now);
        self.heard(agent, now);
    }

    /// The core has applied frames that this state never made.
    fn is_rewound(member: &super::Member, hello: &Hello) -> bool {
        hello.channels.iter().any(|span| {
            let uplink = member.channels.get(&span.channel);
            uplink.is_some_and(|uplink| {
                uplink.mark.incarnation == hello.incarnation && uplink.mark.seq >= span.next_seq
            })
        })
    }

    /// Grants count against the limit only where the machine is another than the one before: a
    /// gateway that restarts often is no clone.
    fn is_conflict(&mut self, hello: &Hello, now: Now) -> bool {
        let Some(member) = self.members.get_mut(&hello.agent) else { return false };
        let record = &mut member.record;
        record.grants.retain(|(_, at)| now.wall_ms - at < GRANTS_WINDOW_MS);
        let machine = hello.machine_hash.to_le_bytes();
        if record.extra == machine {
            return member.refused.is_some();
        }
        if record.grants.len() < GRANTS_MAX {
            record.extra = machine.to_vec();
            record.grants.push((record.term + 1, now.wall_ms));
            member.refused = None;
            return false;
        }
        let reason = "two machines claim this identity: more than 3 changes in ten minutes";
        member.refused = Some(reason.into());
        let incarnation = hello.incarnation;
        self.count("agents-in-conflict", 1);
        self.control(&hello.agent, incarnation, ControlBody::Conflict { reason: reason.into() });
        true
    }

    /// A new life of an agent: what the old one had not sent is a gap of unknown size.
    fn start_life(&mut self, hello: &Hello, now: Now) {
        let Some(member) = self.members.get_mut(&hello.agent) else { return };
        let had_life = member.record.term > 0;
        member.record.incarnation = hello.incarnation;
        let mut gaps = Vec::new();
        for (&channel, uplink) in &mut member.channels {
            if had_life {
                gaps.push(Gap {
                    at_ms: now.wall_ms,
                    agent: hello.agent.as_str().into(),
                    channel,
                    from: uplink.mark.seq + 1,
                    to: u64::MAX,
                    reason: "new state directory".into(),
                });
            }
            uplink.start_life(hello.incarnation);
        }
        gaps.truncate(REPORTS_PER_COMMIT_MAX.saturating_sub(self.gaps.len()));
        self.gaps.append(&mut gaps);
    }

    fn grant(&mut self, hello: &Hello, now: Now) {
        let Some(member) = self.members.get_mut(&hello.agent) else { return };
        let term = member.record.term.max(hello.last_term) + 1;
        member.record.term = term;
        member.record.last_seen_ms = now.wall_ms;
        member.record.plan_fingerprint = hello.plan_fingerprint;
        member.is_changed = true;
        let marks = self.marks(&self.members[&hello.agent]);
        let body = ControlBody::Grant { term, nonce: hello.nonce, marks };
        self.granted.push((hello.agent.clone(), hello.incarnation, body));
        self.refill(hello);
    }

    /// The agent's oldest frame lies behind what the core expects: that range is gone.
    fn refill(&mut self, hello: &Hello) {
        for span in &hello.channels {
            let Some(member) = self.members.get_mut(&hello.agent) else { return };
            let Some(uplink) = member.channels.get_mut(&span.channel) else { continue };
            if span.oldest_seq > uplink.mark.seq + 1 {
                let (from, to) = (uplink.mark.seq + 1, span.oldest_seq - 1);
                self.skip(&hello.agent, span.channel, from, to, "no longer in the agent's outbox");
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
        member.clock_offset_ms = beat.clock.wall_ms - now.wall_ms;
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
        self.skip(agent, channel, declared.from, declared.to, &declared.reason);
        self.apply_held(agent, channel, now, cold)
    }

    /// A range will never come: the mark passes it and the gap is recorded.
    pub(super) fn skip(&mut self, agent: &AgentId, channel: u32, from: u64, to: u64, why: &str) {
        let Some(member) = self.members.get_mut(agent) else { return };
        let Some(uplink) = member.channels.get_mut(&channel) else { return };
        let from = from.max(uplink.mark.seq + 1);
        if from != uplink.mark.seq + 1 || to < from {
            return;
        }
        uplink.mark.seq = to;
        uplink.mark.last_frame_hash = 0;
        uplink.is_changed = true;
        self.count("frames-lost", to - from + 1);
        if self.gaps.len() < REPORTS_PER_COMMIT_MAX {
            let (agent, reason) = (agent.as_str().into(), why.into());
            self.gaps.push(Gap { at_ms: 0, agent, channel, from, to, reason });
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
