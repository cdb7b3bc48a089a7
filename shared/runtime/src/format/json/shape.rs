//! The shape of a record: what stands between its values, byte for byte, as the record before had
//! it. Programs that write JSON write one shape: comparing a few words then tells the names of all
//! fields and that the syntax is right, and only the values are read.
//!
//! It goes as far as a record has the shape and each value a short way; others go on from there, so
//! they never differ.

use headwater_engine::arena::Arena;
use headwater_engine::hash::WORDS;
use headwater_engine::slot::Slot;

use super::Sink;
use super::quick::{self, Quick};
use super::short::Begun;

/// The longest text between two values, bytes: name, quotation marks, colon, comma, blanks.
const BETWEEN_MAX: usize = 2 * WORDS;

/// What comes in front of the values, and how they are read.
#[derive(Debug, Default)]
pub(super) struct Shape {
    steps: Vec<Step>,
    /// One bit for each column that has a value, by position.
    positions: u64,
    /// The same by index in the row.
    columns: u64,
}

#[derive(Debug)]
struct Step {
    between: Between,
    column: Column,
}

/// Where a value goes, and how it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its position among the columns.
    pub(super) position: usize,
    /// Its index in the row.
    pub(super) index: usize,
    pub(super) quick: Quick,
}

/// Bytes that come next, to be compared as words.
#[derive(Clone, Copy, Debug)]
struct Between {
    words: [u128; 2],
    masks: [u128; 2],
    length: usize,
}

impl Between {
    /// What stands in front of a value; a text is read from behind its quotation mark.
    fn new(bytes: &[u8], is_text: bool) -> Option<Self> {
        let mut padded = [0; BETWEEN_MAX];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        if is_text {
            *padded.get_mut(bytes.len())? = b'"';
        }
        let length = bytes.len() + usize::from(is_text);
        let word = |at: usize| {
            let word = padded[at..].first_chunk().expect("there are two words");
            u128::from_le_bytes(*word)
        };
        let mask = |bytes: usize| match bytes {
            0 => 0,
            1..WORDS => u128::MAX >> (8 * (WORDS - bytes)),
            _ => u128::MAX,
        };
        Some(Between {
            words: [word(0), word(WORDS)],
            masks: [mask(length), mask(length.saturating_sub(WORDS))],
            length,
        })
    }

    /// The position behind it, if it comes next.
    #[inline]
    fn behind(&self, record: &[u8], at: usize) -> Option<usize> {
        let is_next = word_at(record, at)? & self.masks[0] == self.words[0]
            && (self.length <= WORDS
                || word_at(record, at + WORDS)? & self.masks[1] == self.words[1]);
        (is_next && self.length <= record.len() - at).then_some(at + self.length)
    }
}

/// Sixteen bytes from `at` on, zeros beyond the end; `None` beyond it and for shorter records.
#[inline]
fn word_at(record: &[u8], at: usize) -> Option<u128> {
    let rest = record.get(at..)?;
    if let Some(chunk) = rest.first_chunk() {
        return Some(u128::from_le_bytes(*chunk));
    }
    // Those that are too many stand in front.
    let last = u128::from_le_bytes(*record.last_chunk()?);
    let surplus = u32::try_from(WORDS - rest.len()).ok()?;
    Some(last.checked_shr(u8::BITS * surplus).unwrap_or(0))
}

impl Shape {
    /// Forgets what comes behind the first `place` values.
    pub(super) fn cut(&mut self, place: usize) {
        self.steps.truncate(place);
        let bits = |of: fn(&Column) -> usize| {
            self.steps.iter().fold(0, |bits, step| bits | 1 << of(&step.column))
        };
        (self.positions, self.columns) = (bits(|column| column.position), bits(|c| c.index));
    }

    /// Learns what stands in front of the value at `place`, unless it is too long or what comes
    /// before was.
    pub(super) fn learn(&mut self, place: usize, between: &[u8], column: Column) {
        if self.steps.len() == place
            && let Some(between) = Between::new(between, column.quick == Quick::Text)
        {
            self.steps.push(Step { between, column });
            self.positions |= 1 << column.position;
            self.columns |= 1 << column.index;
        }
    }

    /// Takes the values of a record that has the shape, as far as it has.
    #[inline]
    pub(super) fn take(&self, record: &[u8], sink: &mut Sink<'_>) -> Begun {
        let mut at = 0;
        for (place, step) in self.steps.iter().enumerate() {
            let Some((slot, end)) = step.value(record, at, &mut sink.context.arena) else {
                return self.stopped(record, at, place, sink);
            };
            sink.slots[step.column.index] = slot;
            at = end;
        }
        let place = self.steps.len();
        if place == 0 || record.get(at..) != Some(b"}") {
            return self.stopped(record, at, place, sink);
        }
        sink.seen |= self.positions;
        *sink.nulls &= !self.columns;
        Begun { at, place, is_whole: true }
    }

    /// How far a record that ceases to have the shape was taken: up to a comma behind its last
    /// value, or it begins again.
    #[cold]
    fn stopped(&self, record: &[u8], at: usize, place: usize, sink: &mut Sink<'_>) -> Begun {
        for step in &self.steps[..place] {
            sink.seen |= 1 << step.column.position;
            *sink.nulls &= !(1 << step.column.index);
        }
        match record.get(at) {
            Some(b',') if place > 0 => Begun { at: at + 1, place, is_whole: false },
            _ => Begun::default(),
        }
    }
}

impl Step {
    /// The value that comes next, and the position after it.
    #[inline]
    fn value(&self, record: &[u8], at: usize, arena: &mut Arena) -> Option<(Slot, usize)> {
        let start = self.between.behind(record, at)?;
        match self.column.quick {
            Quick::Text => text(record, start, arena),
            Quick::Long => quick::long(record, start).map(|(value, end)| (Slot::i64(value), end)),
            Quick::Double => quick::double(record, start),
            other => other.value(record, start, arena),
        }
    }
}

/// A text of ASCII, without escapes, whose quotation mark is taken.
#[inline]
fn text(record: &[u8], start: usize, arena: &mut Arena) -> Option<(Slot, usize)> {
    let Some(chunk) = record.get(start..)?.first_chunk::<WORDS>() else {
        let rest = &record[start..];
        return quick::text(record, start - 1, arena).filter(|_| rest.is_ascii());
    };
    let length = match quick::marks(word(chunk, 0)) {
        0 => match quick::marks(word(chunk, 8)) {
            0 => return long_text(record, start, arena),
            marks => 8 + marks.trailing_zeros() as usize / 8,
        },
        marks => marks.trailing_zeros() as usize / 8,
    };
    if chunk[length] != b'"' {
        return None;
    }
    let (offset, length) = arena.push_prefix(chunk, length)?;
    Some((Slot::arena(offset, length), start + length as usize + 1))
}

fn word(chunk: &[u8; WORDS], at: usize) -> u64 {
    u64::from_le_bytes(*chunk[at..].first_chunk().expect("two words of eight bytes"))
}

/// The same for a text that is longer than two words.
fn long_text(record: &[u8], start: usize, arena: &mut Arena) -> Option<(Slot, usize)> {
    let (slot, end) = quick::text(record, start - 1, arena)?;
    record[start..end].is_ascii().then_some((slot, end))
}
