//! The text arena: bytes that live while one source row, or one fired pane, is processed.
//!
//! Used as a stack: whoever emits takes a mark before and releases to it afterwards. The capacity
//! is reserved once and never grows.

use alloc::vec::Vec;

/// A bounded stack of bytes.
#[derive(Debug)]
pub struct Arena {
    bytes: Vec<u8>,
    capacity: usize,
}

/// A height of the stack to return to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl Arena {
    /// An arena that holds at most `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Arena { bytes: Vec::with_capacity(capacity), capacity }
    }

    /// Takes over `bytes`; `None` when they do not fit.
    pub fn push(&mut self, bytes: &[u8]) -> Option<(u32, u32)> {
        let start = self.begin();
        if !self.append(bytes) {
            self.bytes.truncate(start);
            return None;
        }
        self.finish(start)
    }

    /// Takes over the first `len` bytes of `chunk`: a copy of fixed size needs no call.
    #[inline]
    pub fn push_prefix(&mut self, chunk: &[u8; 16], len: usize) -> Option<(u32, u32)> {
        let start = self.begin();
        if self.capacity - start < chunk.len() {
            return self.push(&chunk[..len]);
        }
        self.bytes.extend_from_slice(chunk);
        self.bytes.truncate(start + len);
        self.finish(start)
    }

    /// Starts a text that is written piece by piece with [`append`](Arena::append).
    pub fn begin(&self) -> usize {
        self.bytes.len()
    }

    /// Adds to the text begun last; false when it does not fit.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        if self.capacity - self.bytes.len() < bytes.len() {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Copies `len` bytes at `offset` of the arena to its end; false when they do not fit.
    #[must_use]
    pub fn append_within(&mut self, offset: usize, len: usize) -> bool {
        if self.capacity - self.bytes.len() < len {
            return false;
        }
        self.bytes.extend_from_within(offset..offset + len);
        true
    }

    /// Ends the text begun at `start`: offset and length.
    pub fn finish(&self, start: usize) -> Option<(u32, u32)> {
        let len = u32::try_from(self.bytes.len() - start).ok()?;
        Some((u32::try_from(start).ok()?, len))
    }

    /// The bytes of a text.
    pub fn get(&self, offset: u32, len: u32) -> &[u8] {
        &self.bytes[offset as usize..offset as usize + len as usize]
    }

    /// The present height.
    pub fn mark(&self) -> Mark {
        Mark(self.bytes.len())
    }

    /// Forgets everything above `mark`.
    pub fn release(&mut self, mark: Mark) {
        self.bytes.truncate(mark.0);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Bytes that it may hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}
