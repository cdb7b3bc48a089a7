//! The agent's side of the conversation with the core: hello, grant, window, resend, heartbeat.

use headwater_engine::mutation::{Mutation, mutated};
use headwater_wire::{
    ChannelBeat, ChannelSpan, ChannelUpto, Control, ControlBody, Declared, FrameAddress, Heartbeat,
    Hello, Parent, UpMessage, WireError, address_frame, decode_ack, decode_control,
};

use super::{Agent, Now, offer::Offer, outbox::Kind};

/// Where the conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// No connection to the broker.
    Down,
    /// Connected; the hello of this time (ms) has no answer yet.
    Waiting(i64),
    /// Frames may be sent.
    Granted,
    /// A later term exists: nothing is sent, rows are kept. A new hello may be sent at this time.
    Fenced(i64),
    /// Two machines claim this identity: a person decides.
    Refused(i64),
    /// A new incarnation is not durable yet.
    Minting,
}

pub(super) struct Link {
    pub(super) state: LinkState,
    term: u32,
    /// Names this process and counts its hellos.
    pub(super) nonce: u64,
    wants_hello: bool,
    beat_ms: i64,
    declared: Vec<(u32, u64, u64)>,
    /// A grant that is not taken yet.
    pub(super) offer: Option<Offer>,
    pub(super) problem: Option<String>,
}

/// Something to publish on the agent's hello topic.
pub type Message = UpMessage;

/// An unanswered hello is said again after this time, in ms.
const HELLO_AGAIN_MS: i64 = 5000;
/// A fenced or refused agent asks again after this time, in ms.
const FENCED_AGAIN_MS: i64 = 60_000;
/// Time between heartbeats, in ms.
const HEARTBEAT_MS: i64 = 5000;
/// Ranges that may wait to be declared lost.
const DECLARED_MAX: usize = 64;

impl Link {
    pub(super) fn new(last_term: u32) -> Self {
        Link {
            state: LinkState::Down,
            term: last_term,
            nonce: 0,
            wants_hello: false,
            beat_ms: 0,
            declared: Vec::new(),
            offer: None,
            problem: None,
        }
    }

    pub(super) fn term(&self) -> u32 {
        self.term
    }

    pub(super) fn granted(&mut self, term: u32) {
        self.term = term;
        self.state = LinkState::Granted;
        self.problem = None;
        self.beat_ms = 0;
    }
}

impl Agent {
    /// The broker is connected (again): say hello, offer everything unacknowledged again.
    pub fn connected(&mut self, now: Now) {
        match self.is_being_born() {
            true => self.link.state = LinkState::Minting,
            false => self.greet(now.mono_ms),
        }
    }

    pub(super) fn greet(&mut self, mono_ms: i64) {
        self.link.state = LinkState::Waiting(mono_ms);
        self.link.wants_hello = true;
        self.link.offer = None;
    }

    /// The connection to the broker is gone.
    pub fn disconnected(&mut self) {
        self.link.state = LinkState::Down;
        self.link.offer = None;
    }

    /// Where the conversation with the core stands.
    pub fn link_state(&self) -> LinkState {
        self.link.state
    }

    /// What a person should know about the conversation, if anything.
    pub fn link_problem(&self) -> Option<&str> {
        self.link.problem.as_deref()
    }

    /// The next hello, heartbeat or declaration that is due.
    pub fn next_message(&mut self, now: Now) -> Option<Message> {
        match self.link.state {
            LinkState::Down => None,
            LinkState::Waiting(since) if now.mono_ms - since >= HELLO_AGAIN_MS => {
                self.connected(now);
                self.next_message(now)
            }
            LinkState::Fenced(until) | LinkState::Refused(until) if now.mono_ms >= until => {
                self.connected(now);
                self.next_message(now)
            }
            LinkState::Waiting(_) if self.link.wants_hello => {
                self.link.wants_hello = false;
                Some(UpMessage::Hello(self.hello(now)))
            }
            LinkState::Granted => self.next_granted_message(now),
            _ => None,
        }
    }

    fn next_granted_message(&mut self, now: Now) -> Option<Message> {
        if let Some((channel, from, to)) = self.link.declared.pop() {
            return Some(UpMessage::Declared(Declared {
                agent: self.settings.id.clone(),
                incarnation: self.identity.incarnation,
                term: self.link.term,
                channel,
                from,
                to,
                reason: "no longer in the outbox".into(),
            }));
        }
        if now.mono_ms - self.link.beat_ms < HEARTBEAT_MS {
            return None;
        }
        self.link.beat_ms = now.mono_ms;
        Some(UpMessage::Heartbeat(self.heartbeat(now)))
    }

    fn hello(&mut self, now: Now) -> Hello {
        self.link.nonce += 1;
        let exchanges = self.channels.iter().filter(|(_, c)| c.kind == Kind::Exchange);
        let span = |(&channel, c): (&u32, &super::outbox::Channel)| {
            let (oldest_seq, next_seq) = c.span();
            ChannelSpan { channel, oldest_seq, next_seq }
        };
        let channels = exchanges.map(span).collect();
        Hello {
            agent: self.settings.id.clone(),
            incarnation: self.identity.incarnation,
            parent: self.identity.parent.as_ref().map(|(incarnation, marks)| Parent {
                incarnation: *incarnation,
                marks: marks
                    .iter()
                    .map(|&(channel, upto_seq)| ChannelUpto { channel, upto_seq })
                    .collect(),
            }),
            last_term: self.link.term,
            machine_hash: self.settings.machine_hash,
            nonce: self.link.nonce,
            clock: self.message_clock(now),
            program_version: env!("CARGO_PKG_VERSION").into(),
            plan_fingerprint: self.settings.plan.fingerprint,
            channels,
        }
    }

    fn heartbeat(&mut self, now: Now) -> Heartbeat {
        let (backlog_frames, backlog_bytes) = self.backlog();
        let exchanges = self.channels.iter().filter(|(_, c)| c.kind == Kind::Exchange);
        let beats = exchanges.map(|(&channel, c)| ChannelBeat {
            channel,
            after_seq: c.wire_seq(c.committed_upto),
            watermark: self.coarse_watermark(channel).map_or(c.watermark, |coarse| coarse.0),
            idle: match self.coarse_watermark(channel) {
                Some((_, is_idle)) => is_idle,
                None => self.task.is_exchange_idle(channel),
            },
        });
        let channels = beats.collect();
        Heartbeat {
            agent: self.settings.id.clone(),
            incarnation: self.identity.incarnation,
            term: self.link.term,
            clock: self.message_clock(now),
            plan_fingerprint: self.settings.plan.fingerprint,
            backlog_frames,
            backlog_bytes,
            channels,
        }
    }

    /// A message on the agent's acknowledgement topic. What cannot be read is ignored: the next
    /// one says the same and more.
    pub fn ack_received(&mut self, payload: &[u8], now: Now) {
        let Ok(ack) = decode_ack(payload) else { return };
        let is_ours = ack.agent == self.settings.id
            && ack.incarnation == self.identity.incarnation
            && ack.term == self.link.term
            && self.link.state == LinkState::Granted;
        if is_ours || mutated(Mutation::AckOfAnotherLife) {
            for upto in ack.upto {
                self.acknowledge(upto.channel, upto.upto_seq, now);
            }
        }
    }

    fn acknowledge(&mut self, channel: u32, seq: u64, now: Now) {
        if let Some(channel) = self.channels.get_mut(&channel)
            && channel.kind == Kind::Exchange
        {
            channel.acknowledge(channel.stored_seq(seq), now.mono_ms);
        }
    }

    /// A message on the agent's control topic.
    pub fn control_received(&mut self, payload: &[u8], now: Now) {
        let Ok(Control { agent, incarnation, body }) = decode_control(payload) else { return };
        if agent != self.settings.id || incarnation != self.identity.incarnation {
            return;
        }
        match body {
            ControlBody::GrantWithHeads { term, nonce, heads }
                if nonce == self.link.nonce && self.link.state != LinkState::Down =>
            {
                self.link.offer = Some(Offer::new(term, heads));
                self.examine(now);
            }
            ControlBody::Nack { term, channel, from, to } if term == self.link.term => {
                self.send_again(channel, from, to);
            }
            ControlBody::Refill { channel, from } => self.send_again(channel, from, u64::MAX),
            // A message from before the present grant is fenced with its term: that is no other.
            ControlBody::Fenced { term } if term > self.link.term => {
                self.link.problem =
                    Some(format!("fenced: the core granted term {term} to another"));
                self.link.state = LinkState::Fenced(now.mono_ms + FENCED_AGAIN_MS);
            }
            ControlBody::Fenced { term: 0 } => self.connected(now),
            // The answer to an old hello that came late or twice tells nothing about this state.
            ControlBody::Rewound { marks } if !self.is_being_born() && self.knows_less(&marks) => {
                self.rewound(&marks, now);
            }
            ControlBody::Diverged { term, marks }
                if !self.is_being_born() && term == self.link.term =>
            {
                self.rewound(&marks, now);
            }
            ControlBody::Conflict { reason } => self.refuse(reason, now),
            _ => {}
        }
    }

    /// Whether the core has applied frames that this state has never made.
    fn knows_less(&self, marks: &[ChannelUpto]) -> bool {
        marks.iter().any(|mark| {
            let channel = self.channels.get(&mark.channel);
            channel.is_some_and(|c| mark.upto_seq > c.wire_seq(c.committed_upto))
        })
    }

    fn refuse(&mut self, problem: String, now: Now) {
        self.link.problem = Some(problem);
        self.link.state = LinkState::Refused(now.mono_ms + FENCED_AGAIN_MS);
    }

    /// Transmits from `from` on again, and declares what is no longer there, in the core's numbers.
    fn send_again(&mut self, channel: u32, from: u64, to: u64) {
        let Some(c) = self.channels.get_mut(&channel) else { return };
        let (oldest, next) = c.span();
        if from < oldest && self.link.declared.len() < DECLARED_MAX {
            self.link.declared.push((channel, from, to.min(oldest - 1)));
        }
        c.send_again_from(c.stored_seq(from.max(oldest).min(next)));
    }

    /// After a grant nothing counts as sent.
    pub(super) fn offer_again(&mut self, now: Now) {
        if mutated(Mutation::NoResend) {
            return;
        }
        for channel in self.channels.values_mut().filter(|c| c.kind == Kind::Exchange) {
            channel.send_all_again(now.mono_ms);
        }
    }

    /// The next frame to publish: channel and seq. The driver reads it from the store, puts
    /// [`term`](Agent::term) in and calls [`transmitted`](Agent::transmitted).
    pub fn next_transmit(&mut self, now: Now) -> Option<(u32, u64)> {
        if self.link.state != LinkState::Granted {
            return None;
        }
        let resend_after = self.settings.resend_after_ms;
        for (&number, channel) in &mut self.channels {
            if channel.kind != Kind::Exchange {
                continue;
            }
            if !mutated(Mutation::NoResend) {
                channel.send_again_if_due(resend_after, now.mono_ms);
            }
            channel.cursor = channel.past_holes(channel.cursor);
            if channel.cursor <= channel.sendable_upto() {
                return Some((number, channel.cursor));
            }
        }
        None
    }

    /// Makes a stored frame ready to be sent: under the present term and life and the number that
    /// the core knows it by, behind the hole before it if there is one.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn address(&self, channel: u32, seq: u64, bytes: &mut Vec<u8>) -> Result<(), WireError> {
        let channel = self.channels.get(&channel);
        let address = FrameAddress {
            term: self.link.term,
            incarnation: self.identity.incarnation,
            seq: channel.map_or(seq, |channel| channel.wire_seq(seq)),
            behind: channel.and_then(|channel| channel.hole_before(seq)),
        };
        address_frame(bytes, &address)
    }

    /// The frame named last was handed to the connection.
    pub fn transmitted(&mut self, channel: u32, seq: u64, now: Now) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            if channel.cursor == channel.acked + 1 {
                channel.progress_ms = now.mono_ms;
            }
            channel.cursor = channel.cursor.max(seq + 1);
            if mutated(Mutation::DeleteAtPuback) {
                channel.acknowledge(seq, now.mono_ms);
            }
        }
    }

    /// The term under which frames are sent.
    pub fn term(&self) -> u32 {
        self.link.term
    }

    /// Time at which the agent wants to be called again at the latest, in monotonic ms.
    pub fn wake_at(&self, now: Now) -> i64 {
        let checkpoint = self.checkpoint_due_ms();
        let link = match self.link.state {
            LinkState::Down | LinkState::Minting => i64::MAX,
            LinkState::Waiting(since) => since + HELLO_AGAIN_MS,
            LinkState::Fenced(until) | LinkState::Refused(until) => until,
            LinkState::Granted => self.link.beat_ms + HEARTBEAT_MS,
        };
        checkpoint.min(link).max(now.mono_ms)
    }
}
