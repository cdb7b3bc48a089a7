//! Texts made piece by piece in the arena.
//!
//! Results that are a part of an argument refer to it and copy nothing; all others are written at
//! the arena's end. Sources may lie in the arena themselves, so they are named by slot and range
//! rather than borrowed.

use core::fmt;
use core::ops::Range;

use crate::{
    context::{Context, Fault},
    slot::{BytesRef, Datum, Slot},
};

/// Writes one text at the end of the arena.
pub(crate) struct Builder<'a> {
    cx: &'a mut Context,
    start: usize,
    fits: bool,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(cx: &'a mut Context) -> Self {
        let start = cx.arena.begin();
        Self { cx, start, fits: true }
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.fits &= self.cx.arena.append(text.as_bytes());
    }

    pub(crate) fn push_char(&mut self, c: char) {
        self.push(c.encode_utf8(&mut [0; 4]));
    }

    /// Appends a range of bytes of another text.
    pub(crate) fn push_part(&mut self, source: Slot, range: Range<usize>) {
        self.fits &= match source.bytes_ref() {
            BytesRef::Arena(offset, _) => {
                self.cx.arena.append_within(offset as usize + range.start, range.len())
            }
            BytesRef::Symbol(id) => self.cx.arena.append(&self.cx.symbols.text(id)[range]),
        };
    }

    /// Appends another text.
    pub(crate) fn push_all(&mut self, source: Slot) {
        let len = self.bytes(source).len();
        self.push_part(source, 0..len);
    }

    pub(crate) fn text(&self, source: Slot) -> &str {
        self.cx.text(source)
    }

    pub(crate) fn bytes(&self, source: Slot) -> &[u8] {
        self.cx.bytes(source)
    }

    /// The character that begins at byte `at` of another text.
    pub(crate) fn char_at(&self, source: Slot, at: usize) -> Option<char> {
        char_at(self.cx.bytes(source), at)
    }

    /// Whether everything so far has fitted.
    pub(crate) const fn fits(&self) -> bool {
        self.fits
    }

    /// The text; NULL and a fault when it did not fit.
    pub(crate) fn finish(self) -> Datum {
        match self.cx.arena.finish(self.start).filter(|_| self.fits) {
            Some((offset, len)) => Datum::of(Slot::arena(offset, len)),
            None => self.cx.fail(Fault::TextTooLarge),
        }
    }
}

impl fmt::Write for Builder<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// The character that begins at byte `at`.
pub(crate) fn char_at(bytes: &[u8], at: usize) -> Option<char> {
    let rest = bytes.get(at..)?;
    let len = match rest.first()? {
        0..=0x7f => return Some(char::from(rest[0])),
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    };
    core::str::from_utf8(rest.get(..len)?).ok()?.chars().next()
}

/// A range of bytes of a text as a value of its own.
pub(crate) fn part(cx: &mut Context, source: Slot, range: Range<usize>) -> Datum {
    match source.bytes_ref() {
        BytesRef::Arena(offset, _) => {
            let narrow = |x| u32::try_from(x).expect("offsets in the arena fit u32");
            Datum::of(Slot::arena(offset + narrow(range.start), narrow(range.len())))
        }
        BytesRef::Symbol(id) => match cx.arena.push(&cx.symbols.text(id)[range]) {
            Some((offset, len)) => Datum::of(Slot::arena(offset, len)),
            None => cx.fail(Fault::TextTooLarge),
        },
    }
}
