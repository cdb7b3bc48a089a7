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
    let mut rest = bytes;
    while rest.len() > WORDS {
        let (head, tail) = rest.split_at(WORDS);
        let [first, second] = words(head);
        hash = mix_pair(hash, first, second);
        rest = tail;
    }
    let [first, second] = words(rest);
    fold(mix_pair(hash, first, second), K0)
}

/// The same of a text of no more than [`WORDS`] bytes that is at hand as words.
#[inline]
pub fn hash_words([first, second]: [u64; 2], len: usize) -> u64 {
    fold(mix_pair(mix(0, len as u64), first, second), K0)
}

/// Bytes that two words hold.
pub const WORDS: usize = 16;

/// Up to [`WORDS`] bytes as two words, zeros behind them: loads of fixed size, no copy of a length
/// that only the text knows.
#[inline]
pub fn words(bytes: &[u8]) -> [u64; 2] {
    let len = bytes.len();
    assert!(len <= WORDS, "longer texts are cut before");
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // The last eight bytes overlap the first ones.
        let last = u64::from_le_bytes(*last) >> (8 * (WORDS - len)).min(63);
        return [u64::from_le_bytes(*first), if len == 8 { 0 } else { last }];
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4));
        return [u64::from(u32::from_le_bytes(*first)) | last, 0];
    }
    [bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0]
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn words_hold_the_bytes_and_zeros() {
        for len in 0..=WORDS {
            let bytes: Vec<u8> = (1..).take(len).collect();
            let mut expected = [0; WORDS];
            expected[..len].copy_from_slice(&bytes);
            let [first, second] = words(&bytes);
            let found = u128::from(first) | u128::from(second) << 64;
            assert_eq!(found.to_le_bytes(), expected, "{len}");
        }
    }

    #[test]
    fn short_texts_have_one_hash() {
        for len in 0..=WORDS {
            let bytes: Vec<u8> = (1..).take(len).collect();
            assert_eq!(hash_words(words(&bytes), len), hash_bytes(&bytes), "{len}");
        }
    }

    #[test]
    fn hashes_differ_where_texts_do() {
        let bytes = [0; 40];
        let mut hashes: Vec<_> = (0..=40).map(|len| hash_bytes(&bytes[..len])).collect();
        for at in 0..40 {
            let mut bytes = bytes;
            bytes[at] = 1;
            hashes.push(hash_bytes(&bytes));
        }
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 81);
    }
}
