//! What opens every frame and message: a version byte and a checksum.
//!
//! Guarantees: bytes that were altered are refused before anything else looks at them.

use alloc::vec::Vec;

use crate::error::WireError;

/// `[version u8][crc32 of the rest u32 LE][rest]`.
pub(crate) fn seal(version: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + rest.len());
    bytes.push(version);
    bytes.extend_from_slice(&crc32fast::hash(rest).to_le_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

/// The rest, if the version is `version` and the checksum matches.
pub(crate) fn open<'a>(
    what: &'static str,
    bytes: &'a [u8],
    version: u8,
    bytes_max: usize,
) -> Result<&'a [u8], WireError> {
    if bytes.len() > bytes_max {
        return Err(WireError::TooLarge { what, found: bytes.len(), max: bytes_max });
    }
    let (&found, rest) = bytes.split_first().ok_or(WireError::CutShort)?;
    if found != version {
        return Err(WireError::UnknownVersion { found });
    }
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or(WireError::CutShort)?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return Err(WireError::Checksum);
    }
    Ok(rest)
}

/// Bytes before the rest.
pub(crate) const HEAD_BYTES: usize = 5;
