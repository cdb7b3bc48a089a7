//! Frames: the numbered messages of a channel (PROTOCOL.md, rule 2).
//!
//! Guarantees: a frame can be read alone; it is at most 256 KiB long and unpacks to at most
//! 4 MiB, both checked before memory is taken; the term can be renewed without changing what the
//! hash chain covers. Does not number frames, and does not know what a payload means.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::bounded;
use crate::envelope::{self, HEAD_BYTES};
use crate::error::WireError;
use crate::ident::AgentId;
use crate::limits::{DROPPED_RANGES_MAX, EXPANSION_MAX, FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// What an agent knows of the time when it sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Wall clock in ms since 1970.
    pub wall_ms: i64,
    /// Milliseconds since this boot, from a clock that is never set.
    pub boot_ms: u64,
    /// Names this boot.
    pub boot_id: u64,
    /// Sum of the steps of the wall clock since the frame before, in ms; 0 below 2 s.
    pub step_ms: i64,
    /// Whether the wall clock was set from outside since this boot.
    pub trusted: bool,
}

/// Frames that will never come: loss is data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedRange {
    /// First lost seq.
    pub from: u64,
    /// Last lost seq.
    pub to: u64,
    /// Rows in them.
    pub rows: u64,
}

/// Everything about a frame except its rows and its term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameHeader {
    /// Who sends.
    pub agent: AgentId,
    /// Life of the agent's state directory.
    pub incarnation: [u8; 16],
    /// Edge to core exchange of the plan.
    pub channel: u32,
    /// Dense number on this channel, from 1.
    pub seq: u64,
    /// Plan that made the rows.
    pub plan_fingerprint: u64,
    /// `frame_hash` of the frame before; 0 after a gap and in a new incarnation.
    pub previous_hash: u64,
    /// Smallest event time in it (ms); larger than `last_event_time` when there are no rows.
    pub first_event_time: i64,
    /// Largest event time in it (ms).
    pub last_event_time: i64,
    /// Watermark of the channel after this frame (ms).
    pub watermark: i64,
    /// The agent's clocks when the frame was made.
    pub clock: Clock,
    /// Rows in it.
    pub rows_count: u32,
    /// Frames before this one that were dropped; at most 64 ranges.
    #[serde(deserialize_with = "bounded::ranges")]
    pub dropped_before: Vec<DroppedRange>,
}

/// A decoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Fencing number under which it is sent.
    pub term: u32,
    /// The header.
    pub header: FrameHeader,
    /// The rows, as `batch` encodes them.
    pub payload: Cow<'a, [u8]>,
}

/// Encodes a frame; the payload is compressed where that makes it smaller.
///
/// # Errors
/// `TooLarge` when a limit is exceeded: split the rows before a seq is given.
pub fn encode_frame(term: u32, header: &FrameHeader, payload: &[u8]) -> Result<Vec<u8>, WireError> {
    at_most("payload", payload.len(), PAYLOAD_BYTES_MAX)?;
    at_most("number of dropped ranges", header.dropped_before.len(), DROPPED_RANGES_MAX)?;
    let packed = lz4_flex::block::compress(payload);
    let (compression, packed) =
        if packed.len() < payload.len() { (LZ4, &packed[..]) } else { (PLAIN, payload) };
    join(term, compression, payload.len(), header, packed)
}

fn join(
    term: u32,
    compression: u8,
    payload_bytes: usize,
    header: &FrameHeader,
    packed: &[u8],
) -> Result<Vec<u8>, WireError> {
    let mut rest = term.to_le_bytes().to_vec();
    rest.push(compression);
    let len = u32::try_from(payload_bytes).expect("payloads are at most 4 MiB");
    rest.extend_from_slice(&len.to_le_bytes());
    let mut rest = postcard::to_extend(header, rest).expect("headers have a known length");
    rest.extend_from_slice(packed);
    at_most("frame", HEAD_BYTES + rest.len(), FRAME_BYTES_MAX)?;
    Ok(envelope::seal(VERSION, &rest))
}

/// Decodes a frame.
///
/// # Errors
/// Any `WireError`; such a frame is poison.
pub fn decode_frame(bytes: &[u8]) -> Result<Frame<'_>, WireError> {
    let parts = split(bytes)?;
    let payload = match parts.compression {
        PLAIN if parts.packed.len() == parts.payload_bytes => Cow::Borrowed(parts.packed),
        PLAIN => return Err(WireError::malformed("payload length")),
        LZ4 => Cow::Owned(unpack(parts.packed, parts.payload_bytes)?),
        found => return Err(WireError::UnknownCompression { found }),
    };
    Ok(Frame { term: parts.term, header: parts.header, payload })
}

/// Term and header of a frame, without unpacking it.
///
/// # Errors
/// As `decode_frame`, as far as the payload is not needed.
pub fn decode_header(bytes: &[u8]) -> Result<(u32, FrameHeader), WireError> {
    split(bytes).map(|parts| (parts.term, parts.header))
}

/// What the next frame of the channel carries as `previous_hash`: xxh3-64 of everything behind
/// the term, so that a frame keeps its hash when it is sent again under a new term.
///
/// # Errors
/// `CutShort` for what is no frame.
pub fn frame_hash(bytes: &[u8]) -> Result<u64, WireError> {
    bytes.get(HEAD_BYTES + TERM_BYTES..).map(xxh3_64).ok_or(WireError::CutShort)
}

/// The term of a frame, without checking the rest.
///
/// # Errors
/// `CutShort` for what is no frame.
pub fn frame_term(bytes: &[u8]) -> Result<u32, WireError> {
    let term = bytes.get(HEAD_BYTES..).and_then(|rest| rest.first_chunk::<TERM_BYTES>());
    term.map(|term| u32::from_le_bytes(*term)).ok_or(WireError::CutShort)
}

/// Puts a new term into a stored frame, which is how it is sent after a grant.
///
/// # Errors
/// `CutShort` or `UnknownVersion` for what is no frame, `Checksum` for one that was altered:
/// a new checksum must not hide that.
pub fn set_frame_term(bytes: &mut [u8], term: u32) -> Result<(), WireError> {
    envelope::open("frame", bytes, VERSION, FRAME_BYTES_MAX)?;
    let place = bytes.get_mut(HEAD_BYTES..HEAD_BYTES + TERM_BYTES).ok_or(WireError::CutShort)?;
    place.copy_from_slice(&term.to_le_bytes());
    let crc = crc32fast::hash(&bytes[HEAD_BYTES..]);
    bytes[1..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// Under which number and life a stored frame is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameAddress {
    /// Fencing number.
    pub term: u32,
    /// Life of the agent's state directory.
    pub incarnation: [u8; 16],
    /// Number on the channel: another one than it was made with where an old copy goes on behind
    /// what the core has.
    pub seq: u64,
    /// A range before it that was taken out after it was made: the frame declares it.
    pub behind: Option<DroppedRange>,
}

/// Puts an address into a stored frame, which is how it is sent.
///
/// A frame of an earlier life of the same agent goes out under the present one, outside of the
/// hash chain and with its own declarations renumbered, and so does one with a range behind it.
/// Any other keeps its hash.
///
/// # Errors
/// As `set_frame_term`; `Malformed` for an unreadable header.
pub fn address_frame(bytes: &mut Vec<u8>, address: &FrameAddress) -> Result<(), WireError> {
    let &FrameAddress { term, incarnation, seq, behind } = address;
    let Parts { compression, payload_bytes, mut header, packed, .. } = split(bytes)?;
    let further = seq.wrapping_sub(header.seq);
    for range in &mut header.dropped_before {
        range.from = range.from.wrapping_add(further);
        range.to = range.to.wrapping_add(further);
    }
    let covers = |b: &DroppedRange| {
        header.dropped_before.iter().any(|range| range.from <= b.from && b.to <= range.to)
    };
    let behind = behind.filter(|range| !covers(range));
    if header.incarnation == incarnation && header.seq == seq && behind.is_none() {
        return set_frame_term(bytes, term);
    }
    header.dropped_before.extend(behind);
    at_most("number of dropped ranges", header.dropped_before.len(), DROPPED_RANGES_MAX)?;
    header.incarnation = incarnation;
    header.seq = seq;
    header.previous_hash = 0;
    *bytes = join(term, compression, payload_bytes, &header, packed)?;
    Ok(())
}

struct Parts<'a> {
    term: u32,
    compression: u8,
    payload_bytes: usize,
    header: FrameHeader,
    packed: &'a [u8],
}

fn split(bytes: &[u8]) -> Result<Parts<'_>, WireError> {
    let rest = envelope::open("frame", bytes, VERSION, FRAME_BYTES_MAX)?;
    let (term, rest) = rest.split_first_chunk::<TERM_BYTES>().ok_or(WireError::CutShort)?;
    let (&compression, rest) = rest.split_first().ok_or(WireError::CutShort)?;
    let (len, rest) = rest.split_first_chunk::<4>().ok_or(WireError::CutShort)?;
    let payload_bytes = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
    at_most("payload", payload_bytes, PAYLOAD_BYTES_MAX)?;
    let (header, packed) =
        postcard::take_from_bytes(rest).map_err(|_| WireError::malformed("frame header"))?;
    Ok(Parts { term: u32::from_le_bytes(*term), compression, payload_bytes, header, packed })
}

fn unpack(packed: &[u8], payload_bytes: usize) -> Result<Vec<u8>, WireError> {
    // A short frame cannot make a decoder take megabytes.
    if payload_bytes / EXPANSION_MAX > packed.len() {
        return Err(WireError::malformed("payload length"));
    }
    let payload = lz4_flex::block::decompress(packed, payload_bytes)
        .map_err(|_| WireError::malformed("compressed payload"))?;
    if payload.len() == payload_bytes {
        Ok(payload)
    } else {
        Err(WireError::malformed("payload length"))
    }
}

pub(crate) fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), WireError> {
    if found <= max { Ok(()) } else { Err(WireError::TooLarge { what, found, max }) }
}

/// Version of the frame format.
const VERSION: u8 = 1;
const TERM_BYTES: usize = 4;
const PLAIN: u8 = 0;
const LZ4: u8 = 1;

#[cfg(test)]
mod tests;
