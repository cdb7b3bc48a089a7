//! Bounds of everything on the wire. Each is checked before memory is taken for it.

/// Longest encoded frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Longest payload of a frame before compression, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest message beside the frames, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Longest agent id or fleet name, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Most channels in one message.
pub const CHANNELS_MAX: usize = 256;
/// Most dropped ranges in one frame; an agent with more joins neighbours.
pub const DROPPED_RANGES_MAX: usize = 64;
/// Longest free text in a message, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Payload bytes that one compressed byte can stand for at most (a property of LZ4 blocks).
pub(crate) const EXPANSION_MAX: usize = 255;
