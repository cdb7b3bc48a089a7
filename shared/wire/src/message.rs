//! Messages beside the frames: hello and heartbeat upwards, acknowledgement and control
//! downwards (PROTOCOL.md, rules 6, 9, 11 to 15 and 18).
//!
//! Guarantees: each is complete in itself; losing, repeating or reordering them does no harm to
//! a receiver that compares incarnation, term and seq. Does not decide anything.

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::envelope;
use crate::error::WireError;
use crate::frame::{Clock, at_most};
use crate::ident::AgentId;
use crate::limits::MESSAGE_BYTES_MAX;

/// 128 random bits that name one life of a state directory.
pub type Incarnation = [u8; 16];

/// A channel with a seq: a mark, or how far something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelUpto {
    /// Channel.
    pub channel: u32,
    /// Highest seq; 0 for none.
    pub upto_seq: u64,
}

/// How far the core has come with one channel, and which frame it applied last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelHead {
    /// Channel.
    pub channel: u32,
    /// The core's mark; 0 for none.
    pub upto_seq: u64,
    /// Seq of the last frame applied: less than the mark where a loss was declared behind it; 0
    /// where the core knows of none.
    pub frame_seq: u64,
    /// `frame_hash` of that frame as it arrived.
    pub frame_hash: u64,
}

/// The frames that an agent has of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelSpan {
    /// Channel.
    pub channel: u32,
    /// Smallest seq that is still stored; `next_seq` when none is.
    pub oldest_seq: u64,
    /// Seq of the next frame.
    pub next_seq: u64,
}

/// State of one channel between frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelBeat {
    /// Channel.
    pub channel: u32,
    /// The watermark holds once this seq is applied.
    pub after_seq: u64,
    /// Watermark (event time, ms).
    pub watermark: i64,
    /// No rows are expected at present: do not wait for this channel.
    pub idle: bool,
}

/// An agent presents itself: at start and after every reconnect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Who.
    pub agent: AgentId,
    /// Life of its state directory.
    pub incarnation: Incarnation,
    /// The life that this one continues (after a restored backup or on a new machine).
    pub parent: Option<Parent>,
    /// Term granted last; 0 for none.
    pub last_term: u32,
    /// Hash of the machine id: two machines with one identity are a conflict.
    pub machine_hash: u64,
    /// Distinguishes attempts, so that an old grant is not taken for the answer.
    pub nonce: u64,
    /// Clocks.
    pub clock: Clock,
    /// Version of the program.
    #[serde(deserialize_with = "bounded::text")]
    pub program_version: String,
    /// Plan that it runs.
    pub plan_fingerprint: u64,
    /// Channels of that plan.
    #[serde(deserialize_with = "bounded::channels")]
    pub channels: Vec<ChannelSpan>,
}

/// The incarnation before this one, as far as the core had applied it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The earlier life.
    pub incarnation: Incarnation,
    /// The core's marks of it.
    #[serde(deserialize_with = "bounded::channels")]
    pub marks: Vec<ChannelUpto>,
}

/// An agent is alive; not numbered, the newest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub agent: AgentId,
    /// Life of its state directory.
    pub incarnation: Incarnation,
    /// Term under which it sends.
    pub term: u32,
    /// Clocks.
    pub clock: Clock,
    /// Plan that it runs.
    pub plan_fingerprint: u64,
    /// Frames without acknowledgement.
    pub backlog_frames: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// Watermarks by channel.
    #[serde(deserialize_with = "bounded::channels")]
    pub channels: Vec<ChannelBeat>,
}

/// An agent declares that a range will never come, in answer to a `Nack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Who.
    pub agent: AgentId,
    /// Life of its state directory.
    pub incarnation: Incarnation,
    /// Term under which it sends.
    pub term: u32,
    /// Channel.
    pub channel: u32,
    /// First lost seq.
    pub from: u64,
    /// Last lost seq.
    pub to: u64,
    /// Why.
    #[serde(deserialize_with = "bounded::text")]
    pub reason: String,
}

/// What goes to the topic `up/<agent>/hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpMessage {
    /// At start and reconnect.
    Hello(Hello),
    /// Now and then.
    Heartbeat(Heartbeat),
    /// A lost range.
    Declared(Declared),
}

impl UpMessage {
    /// Who sends.
    #[must_use]
    pub fn agent(&self) -> &AgentId {
        match self {
            Self::Hello(hello) => &hello.agent,
            Self::Heartbeat(beat) => &beat.agent,
            Self::Declared(declared) => &declared.agent,
        }
    }
}

/// Cumulative acknowledgement of all channels, on `down/<agent>/ack` (retained).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// To whom.
    pub agent: AgentId,
    /// For this life only.
    pub incarnation: Incarnation,
    /// For this term only.
    pub term: u32,
    /// Highest seq committed, by channel.
    #[serde(deserialize_with = "bounded::channels")]
    pub upto: Vec<ChannelUpto>,
}

/// A word of the core to one agent, on `down/<agent>/control`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// To whom.
    pub agent: AgentId,
    /// For this life only.
    pub incarnation: Incarnation,
    /// What.
    pub body: ControlBody,
}

/// What the core has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlBody {
    /// Send under this term; the core has applied these frames. For agents of before
    /// `GrantWithHeads`, which follows; others pass over it.
    Grant {
        /// New term.
        term: u32,
        /// The hello's nonce.
        nonce: u64,
        /// Marks by channel.
        #[serde(deserialize_with = "bounded::channels")]
        marks: Vec<ChannelUpto>,
    },
    /// Frames are missing: send them again or declare them lost.
    Nack {
        /// Term that this concerns.
        term: u32,
        /// Channel.
        channel: u32,
        /// First missing seq.
        from: u64,
        /// Last missing seq.
        to: u64,
    },
    /// A later term exists: stop sending, keep buffering.
    Fenced {
        /// The later term.
        term: u32,
    },
    /// The core has applied more than this agent says it sent: its state is an old copy.
    Rewound {
        /// Marks by channel, for the parent of the next incarnation.
        #[serde(deserialize_with = "bounded::channels")]
        marks: Vec<ChannelUpto>,
    },
    /// Two machines claim this identity: nothing is merged until a person decides.
    Conflict {
        /// What was seen.
        #[serde(deserialize_with = "bounded::text")]
        reason: String,
    },
    /// A frame was set aside; the mark has passed it.
    Poison {
        /// Channel.
        channel: u32,
        /// Its number.
        seq: u64,
        /// Why.
        #[serde(deserialize_with = "bounded::text")]
        reason: String,
    },
    /// The core lost what it had: send retained frames again from here.
    Refill {
        /// Channel.
        channel: u32,
        /// First seq that is wanted.
        from: u64,
    },
    /// A frame does not carry the hash of the one before it: the state is an old copy that went on
    /// by itself.
    Diverged {
        /// Term of the frame.
        term: u32,
        /// Marks by channel, for the parent of the next incarnation.
        #[serde(deserialize_with = "bounded::channels")]
        marks: Vec<ChannelUpto>,
    },
    /// Send under this term, if what the core has applied are your own frames.
    GrantWithHeads {
        /// New term.
        term: u32,
        /// The hello's nonce.
        nonce: u64,
        /// Marks by channel, with what shows whose frames they are about.
        #[serde(deserialize_with = "bounded::channels")]
        heads: Vec<ChannelHead>,
    },
}

/// Encodes a message for `up/<agent>/hello`.
///
/// # Errors
/// `TooLarge`.
pub fn encode_up(message: &UpMessage) -> Result<Vec<u8>, WireError> {
    encode(message)
}

/// Decodes a message from `up/<agent>/hello`.
///
/// # Errors
/// Any `WireError`.
pub fn decode_up(bytes: &[u8]) -> Result<UpMessage, WireError> {
    decode(bytes)
}

/// Encodes an acknowledgement.
///
/// # Errors
/// `TooLarge`.
pub fn encode_ack(ack: &Ack) -> Result<Vec<u8>, WireError> {
    encode(ack)
}

/// Decodes an acknowledgement.
///
/// # Errors
/// Any `WireError`.
pub fn decode_ack(bytes: &[u8]) -> Result<Ack, WireError> {
    decode(bytes)
}

/// Encodes a control message.
///
/// # Errors
/// `TooLarge`.
pub fn encode_control(control: &Control) -> Result<Vec<u8>, WireError> {
    encode(control)
}

/// Decodes a control message.
///
/// # Errors
/// Any `WireError`.
pub fn decode_control(bytes: &[u8]) -> Result<Control, WireError> {
    decode(bytes)
}

fn encode<T: Serialize + DeserializeOwned>(message: &T) -> Result<Vec<u8>, WireError> {
    let rest = postcard::to_allocvec(message).expect("messages have a known length");
    let bytes = envelope::seal(VERSION, &rest);
    at_most("message", bytes.len(), MESSAGE_BYTES_MAX)?;
    // Limits of lists and texts are checked in one place: where they are read.
    decode::<T>(&bytes).map(|_| bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let rest = envelope::open("message", bytes, VERSION, MESSAGE_BYTES_MAX)?;
    match postcard::take_from_bytes(rest) {
        Ok((message, [])) => Ok(message),
        _ => Err(WireError::malformed("message")),
    }
}

/// Version of all messages.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
