//! What is known of each agent, for people.

use headwater_wire::AgentId;
use serde::Serialize;

use super::channels::Uplink;
use super::{Hub, Member};
use crate::agent::Now;

/// What the status of a hub says of one agent.
#[derive(Clone, Debug, Serialize)]
pub struct MemberStatus {
    /// Its name.
    pub agent: String,
    /// Term granted last.
    pub term: u32,
    /// Frames applied, over all channels.
    pub applied_frames: u64,
    /// Frames held because earlier ones are missing.
    pub held_frames: usize,
    /// Frames that the agent has without acknowledgement.
    pub backlog_frames: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// Whether it was silent for the idle timeout.
    pub idle: bool,
    /// Milliseconds since it was heard.
    pub silent_ms: i64,
    /// Version of its program.
    pub version: String,
    /// Whether it runs the plan of the core.
    pub same_plan: bool,
    /// The agent's wall clock against ours, in ms.
    pub clock_offset_ms: i64,
    /// Whether the agent believes its wall clock.
    pub clock_trusted: bool,
    /// Sum of the steps of the agent's wall clock that we heard of, in ms, and how many.
    pub clock_steps: (i64, u64),
    /// Why nothing of it is taken, if so.
    pub refused: Option<String>,
}

/// What an agent says of its clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MemberClock {
    offset_ms: i64,
    is_trusted: bool,
    steps: (i64, u64),
}

impl MemberClock {
    /// Takes the clocks of a hello or heartbeat.
    pub(super) fn heard(&mut self, clock: &headwater_wire::Clock, now: Now) {
        self.offset_ms = clock.wall_ms.saturating_sub(now.wall_ms);
        self.is_trusted = clock.trusted;
        if clock.step_ms != 0 {
            self.steps = (self.steps.0.saturating_add(clock.step_ms), self.steps.1 + 1);
        }
    }
}

impl Hub {
    /// What is known of the agents.
    pub fn status(&self, now: Now) -> Vec<MemberStatus> {
        let status = |(agent, m): (&AgentId, &Member)| MemberStatus {
            agent: agent.as_str().into(),
            term: m.record.term,
            applied_frames: m.channels.values().map(|c| c.mark.seq).sum(),
            held_frames: m.channels.values().map(Uplink::held_count).sum(),
            backlog_frames: m.backlog.0,
            backlog_bytes: m.backlog.1,
            idle: m.is_idle,
            silent_ms: now.mono_ms - m.heard_ms,
            version: m.version.clone(),
            same_plan: m.plan_fingerprint == self.settings.plan.fingerprint,
            clock_offset_ms: m.clock.offset_ms,
            clock_trusted: m.clock.is_trusted,
            clock_steps: m.clock.steps,
            refused: m.refused.clone(),
        };
        self.members.iter().map(status).collect()
    }
}
