//! How the symbol table stores a text, and the buffers of texts that are gone.
//!
//! On a gateway the same few names come and go: a key leaves keyed state and is back a second
//! later. Their buffers are kept for the next text of that length, up to [`BYTES_MAX`], so that
//! such a table does not allocate. Texts longer than [`LONGEST`] bytes still do.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    hash::{WORDS, words},
    memory,
};

/// Lengths of buffers are multiples of this.
const STEP: usize = 16;
const CLASSES: usize = 8;
/// The longest text whose buffer is kept, bytes.
const LONGEST: usize = STEP * CLASSES;
/// Kept buffers of all lengths, bytes.
const BYTES_MAX: usize = 64 * 1024;

/// A text: most are short, and neither allocate nor cost a second miss of the cache.
#[derive(Debug)]
pub(super) enum Text {
    /// Bytes, zeros behind them, and length.
    Short([u8; WORDS], u8),
    /// A buffer and how much of it is the text.
    Long(Box<[u8]>, u32),
}

impl Text {
    pub(super) const EMPTY: Text = Text::Short([0; WORDS], 0);

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Text::Short(bytes, len) => &bytes[..usize::from(*len)],
            Text::Long(buffer, len) => &buffer[..*len as usize],
        }
    }

    /// Whether it is a text that is longer than [`WORDS`] bytes.
    pub(super) fn is_long(&self, other: &[u8]) -> bool {
        matches!(self, Text::Long(..)) && self.bytes() == other
    }

    /// Whether it is a text of no more than [`WORDS`] bytes.
    #[inline]
    pub(super) fn is_short(&self, other: [u64; 2], length: usize) -> bool {
        match self {
            Text::Short(bytes, len) => usize::from(*len) == length && words(bytes) == other,
            Text::Long(..) => false,
        }
    }

    /// Its words and its length, if it is a text of no more than [`WORDS`] bytes.
    #[inline]
    pub(super) fn words(&self) -> Option<([u64; 2], u8)> {
        match self {
            Text::Short(bytes, len) => Some((words(bytes), *len)),
            Text::Long(..) => None,
        }
    }
}

/// Buffers of texts that are gone, by length.
#[derive(Debug, Default)]
pub(super) struct Spares {
    classes: [Vec<Box<[u8]>>; CLASSES],
    bytes_count: usize,
}

impl Spares {
    /// Stores a text.
    pub(super) fn text(&mut self, bytes: &[u8]) -> Text {
        if bytes.len() <= WORDS {
            let mut short = [0; WORDS];
            short[..bytes.len()].copy_from_slice(bytes);
            return Text::Short(short, u8::try_from(bytes.len()).expect("short"));
        }
        let mut buffer = self.take(bytes.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        Text::Long(buffer, u32::try_from(bytes.len()).expect("limits::SYMBOL_BYTES_MAX is less"))
    }

    fn take(&mut self, len: usize) -> Box<[u8]> {
        let spare = self.classes.get_mut(class(len)).and_then(Vec::pop);
        if let Some(buffer) = &spare {
            self.bytes_count -= buffer.len();
        }
        // What is longer than any kept buffer is made to measure.
        let measure = if len > LONGEST { len } else { len.next_multiple_of(STEP) };
        spare.unwrap_or_else(|| vec![0; measure].into())
    }

    /// Keeps the buffer of a text that is gone, if there is room.
    pub(super) fn give_back(&mut self, text: Text) {
        let Text::Long(buffer, _) = text else { return };
        if self.bytes_count + buffer.len() > BYTES_MAX {
            return;
        }
        if let Some(class) = self.classes.get_mut(class(buffer.len())) {
            self.bytes_count += buffer.len();
            class.push(buffer);
        }
    }

    /// The largest memory of kept buffers, in bytes.
    pub(super) fn memory_bytes_max() -> usize {
        // Texts of one length at a time: the shortest need the longest list.
        BYTES_MAX + CLASSES * memory::vec_bytes::<Box<[u8]>>(BYTES_MAX / (2 * STEP))
    }
}

fn class(len: usize) -> usize {
    len.div_ceil(STEP) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_serves_the_next_text_of_its_length() {
        let mut spares = Spares::default();
        let first = spares.text(&[b'a'; 40]);
        let at = first.bytes().as_ptr();
        spares.give_back(first);
        let other = spares.text(&[b'b'; 50]);
        assert_ne!(other.bytes().as_ptr(), at, "another length");
        let second = spares.text(&[b'c'; 33]);
        assert_eq!(second.bytes().as_ptr(), at);
        assert!(second.is_long(&[b'c'; 33]));
        assert_eq!(spares.bytes_count, 0);
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let mut spares = Spares::default();
        for len in [20, LONGEST, LONGEST + 1, 4000] {
            let texts: Vec<Text> = (0..5000).map(|_| spares.text(&vec![b'x'; len])).collect();
            texts.into_iter().for_each(|text| spares.give_back(text));
            assert!(spares.bytes_count <= BYTES_MAX);
        }
        let kept: usize = spares.classes.iter().flatten().map(|buffer| buffer.len()).sum();
        assert_eq!(kept, spares.bytes_count);
    }
}
