//! Frames and messages between an edge agent and the core, byte by byte as in
//! docs/formats/wire.md.
//!
//! Guarantees: decoding any bytes returns a value or a typed error, never panics, and allocates
//! no more than the limits of `limits`; every frame and message carries a version and a
//! checksum. Knows no socket, clock or disk, and needs no standard library.
//!
//! Map: `frame` the sequenced exchange; `batch` the rows in it; `message` everything beside it;
//! `topic` where each goes;
//! `ident` names; `limits` bounds; `error` what can be wrong.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod batch;
mod bounded;
mod envelope;
mod error;
mod frame;
mod ident;
pub mod limits;
mod message;
mod topic;

pub use batch::{BATCH_ROWS_MAX, BatchDecoder, BatchEncoder, BatchItem};
pub use error::WireError;
pub use frame::{
    Clock, DroppedRange, Frame, FrameAddress, FrameHeader, address_frame, decode_frame,
    decode_header, encode_frame, frame_hash, frame_term, set_frame_term,
};
pub use ident::{AgentId, InvalidName};
pub use message::{
    Ack, ChannelBeat, ChannelHead, ChannelSpan, ChannelUpto, Control, ControlBody, Declared,
    Heartbeat, Hello, Incarnation, Parent, UpMessage, decode_ack, decode_control, decode_up,
    encode_ack, encode_control, encode_up,
};
pub use topic::{Topics, UpKind};
