//! The text arena: bytes that live while one source row, or one fired pane, is processed.
//!
//! Used as a stack: whoever emits takes a mark before and releases to it afterwards. The capacity
//! is reserved once and never grows.

use alloc::{boxed::Box, vec};

use crate::{hash::WORDS, packed::PACKS, slot::Slot};

/// A bounded stack of bytes.
#[derive(Debug)]
pub struct Arena {
    /// Some more than the capacity: so that a short text is read and written as two words, whatever
    /// its length.
    bytes: Box<[u8]>,
    len: usize,
    capacity: usize,
}

/// A height of the stack to return to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl Arena {
    /// An arena that holds at most `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Arena { bytes: vec![0; capacity + WORDS].into(), len: 0, capacity }
    }

    /// Takes over `bytes`; `None` when they do not fit.
    pub fn push(&mut self, bytes: &[u8]) -> Option<(u32, u32)> {
        let start = self.begin();
        if self.append(bytes) { self.finish(start) } else { None }
    }

    /// Takes over the first `len` bytes of `chunk`: a copy of fixed size needs no call.
    #[inline]
    pub fn push_prefix(&mut self, chunk: &[u8; WORDS], len: usize) -> Option<(u32, u32)> {
        let start = self.begin();
        if self.capacity - start < len || len > WORDS {
            return None;
        }
        *self.bytes[start..].first_chunk_mut()? = *chunk;
        self.len = start + len;
        self.finish(start)
    }

    /// Starts a text that is written piece by piece with [`append`](Arena::append).
    pub fn begin(&self) -> usize {
        self.len
    }

    /// Adds to the text begun last; false when it does not fit.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        if self.capacity - self.len < bytes.len() {
            return false;
        }
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        true
    }

    /// Copies `len` bytes at `offset` of the arena to its end; false when they do not fit.
    #[must_use]
    pub fn append_within(&mut self, offset: usize, len: usize) -> bool {
        if self.capacity - self.len < len {
            return false;
        }
        self.bytes.copy_within(offset..offset + len, self.len);
        self.len += len;
        true
    }

    /// Ends the text begun at `start`: offset and length.
    pub fn finish(&self, start: usize) -> Option<(u32, u32)> {
        let len = u32::try_from(self.len - start).ok()?;
        Some((u32::try_from(start).ok()?, len))
    }

    /// The bytes of a text.
    pub fn get(&self, offset: u32, len: u32) -> &[u8] {
        &self.bytes[offset as usize..offset as usize + len as usize]
    }

    /// The bytes of a text of no more than [`WORDS`], as [`words`](crate::hash::words) gives them.
    #[inline]
    pub fn words(&self, offset: u32, len: u32) -> Option<[u64; 2]> {
        let mask = MASKS.get(len as usize)?;
        let chunk: &[u8; WORDS] = self.bytes[offset as usize..].first_chunk()?;
        let (first, second) = split(u128::from_le_bytes(*chunk) & mask);
        Some([first, second])
    }

    /// The text in one slot, if it is short enough; see [`packed`](crate::packed).
    #[inline]
    pub(crate) fn packed(&self, offset: u32, len: u32) -> Option<Slot> {
        let (mask, tag) = PACKS.get(len as usize)?;
        let chunk: &[u8; WORDS] = self.bytes.get(offset as usize..)?.first_chunk()?;
        let (first, second) = split(u128::from_le_bytes(*chunk) & mask | tag);
        Some(Slot(first, second))
    }

    /// The present height.
    pub fn mark(&self) -> Mark {
        Mark(self.len)
    }

    /// Forgets everything above `mark`.
    pub fn release(&mut self, mark: Mark) {
        self.len = self.len.min(mark.0);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Bytes that it may hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

/// For each length the bits that belong to a text.
const MASKS: [u128; WORDS + 1] = {
    let mut masks = [0; WORDS + 1];
    let mut len = 0;
    while len < WORDS {
        masks[len + 1] = masks[len] << 8 | 0xff;
        len += 1;
    }
    masks
};

#[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
fn split(both: u128) -> (u64, u64) {
    (both as u64, (both >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::words;

    #[test]
    fn words_are_those_of_the_text_alone() {
        let mut arena = Arena::new(40);
        let text = *b"0123456789abcdef";
        for len in 0..=WORDS {
            arena.clear();
            assert!(arena.append(b"xyz"));
            let (offset, found) = arena.push(&text[..len]).unwrap();
            assert!(arena.append(b"behind"));
            assert_eq!(arena.words(offset, found), Some(words(&text[..len])), "{len}");
        }
        assert_eq!(arena.words(0, 17), None);
    }

    #[test]
    fn a_full_arena_takes_nothing_and_loses_nothing() {
        let mut arena = Arena::new(10);
        let mark = arena.mark();
        assert_eq!(arena.push_prefix(b"0123456789abcdef", 7), Some((0, 7)));
        assert_eq!(arena.push_prefix(b"0123456789abcdef", 4), None);
        assert_eq!(arena.push(b"four"), None);
        assert_eq!(arena.push_prefix(b"abcdefghijklmnop", 3), Some((7, 3)));
        assert_eq!((arena.get(0, 7), arena.get(7, 3)), (&b"0123456"[..], &b"abc"[..]));
        assert_eq!(arena.words(7, 3), Some(words(b"abc")));
        arena.release(mark);
        assert!(arena.append(b"x") && arena.append_within(0, 1));
        assert_eq!(arena.get(0, 2), b"xx");
    }
}
