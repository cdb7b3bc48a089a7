//! The one hash of the engine: fixed, so that nothing depends on a process's seed.
//!
//! Folded multiplication (the construction of wyhash and foldhash). Tables that use it are
//! bounded, so a flood of chosen keys costs time in proportion to the bound, never memory.

const K0: u64 = 0x9E37_79B9_7F4A_7C15;
const K1: u64 = 0xD6E8_FEB8_6659_FD93;

/// Mixes two words into one.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves of the product are folded")]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// Adds a word to a running hash.
#[inline]
pub fn mix(hash: u64, word: u64) -> u64 {
    fold(hash ^ word ^ K0, K1)
}

/// Adds two words to a running hash in one multiplication; the second is small in most values.
#[inline]
pub fn mix_pair(hash: u64, first: u64, second: u64) -> u64 {
    fold(hash ^ first ^ K0, second.rotate_left(32) ^ K1)
}

/// Hash of a byte string.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = mix(0, bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        hash = mix(hash, word);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut word = [0u8; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    fold(hash, K0)
}
