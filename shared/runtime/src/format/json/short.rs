//! The short way through a record: fields in the order of the records before, each with a value
//! that has a short way, no byte outside of ASCII. It goes as far as it can; the general way goes
//! on from there, so the two never differ.

use super::shape::{self, Shape};
use super::{Object, Sink, Target};

/// How far the short way came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Begun {
    /// Where the general way goes on: behind a comma.
    pub(super) at: usize,
    /// Fields taken.
    pub(super) place: usize,
    /// The record's brace was closed, and nothing is behind it.
    pub(super) is_whole: bool,
}

/// Takes the fields of a record: those that have the shape of the record before, then from there on
/// in the order of the records before, which the shape learns from.
#[inline]
pub(super) fn begin(root: &Object, shape: &mut Shape, record: &[u8], sink: &mut Sink<'_>) -> Begun {
    let begun = shape.take(record, sink);
    if begun.is_whole || record.first() != Some(&b'{') || !record.is_ascii() {
        return begun;
    }
    go_on(root, shape, record, begun, sink)
}

/// Takes fields from where others have come.
#[inline(never)]
fn go_on(
    root: &Object,
    shape: &mut Shape,
    record: &[u8],
    mut begun: Begun,
    sink: &mut Sink<'_>,
) -> Begun {
    shape.cut(begun.place);
    let (mut end, mut at) = (begun.at.saturating_sub(1), begun.at.max(1));
    for &field in root.order.get(begun.place..).unwrap_or_default() {
        let mark = sink.context.arena.mark();
        let Some(taken) = take(root, field, record, at, sink) else {
            sink.context.arena.release(mark);
            return begun;
        };
        shape.learn(begun.place, &record[end..taken.start], taken.column);
        begun.place += 1;
        (end, at) = (taken.end, taken.after + 1);
        begun.at = at;
        begun.is_whole = record[taken.after] == b'}';
        if begun.is_whole {
            return begun;
        }
    }
    begun
}

/// A value that was taken: where it starts and ends, and where the comma or brace behind it is.
struct Taken {
    column: shape::Column,
    start: usize,
    end: usize,
    after: usize,
}

/// Takes one field.
#[inline]
fn take(
    root: &Object,
    field: usize,
    record: &[u8],
    at: usize,
    sink: &mut Sink<'_>,
) -> Option<Taken> {
    let field = root.fields.get(field)?;
    let Target::Column(position, quick) = field.target else { return None };
    let at = past_space(record, at);
    if !field.key.is_at(record.get(at..)?) {
        return None;
    }
    let start = past_space(record, at + field.key.length);
    let (slot, end) = quick.value(record, start, &mut sink.context.arena)?;
    let at = past_space(record, end);
    let is_last = match record.get(at)? {
        b',' => false,
        b'}' => true,
        _ => return None,
    };
    // The general way has its say on what comes behind the brace.
    if is_last && at + 1 != record.len() {
        return None;
    }
    sink.put(position, slot);
    let column = shape::Column { position, index: sink.columns[position].index, quick };
    Some(Taken { column, start, end, after: at })
}

/// Programs that write JSON put one space behind commas and colons, or none.
#[inline]
fn past_space(record: &[u8], at: usize) -> usize {
    at + usize::from(record.get(at) == Some(&b' '))
}

/// A quoted key and its colon, up to 16 bytes, as a word to be compared at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Key {
    word: u128,
    mask: u128,
    pub(super) length: usize,
}

impl Key {
    pub(super) fn new(name: &str) -> Self {
        let quoted = format!("\"{name}\":");
        let plain = name.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\');
        if quoted.len() > 16 || !plain {
            return Self::default();
        }
        let mut bytes = [0; 16];
        bytes[..quoted.len()].copy_from_slice(quoted.as_bytes());
        let unused = 128 - 8 * u32::try_from(quoted.len()).unwrap_or(16);
        Self { word: u128::from_le_bytes(bytes), mask: u128::MAX >> unused, length: quoted.len() }
    }

    #[inline]
    pub(super) fn is_at(&self, bytes: &[u8]) -> bool {
        match bytes.first_chunk() {
            Some(chunk) => self.length != 0 && u128::from_le_bytes(*chunk) & self.mask == self.word,
            // The last key of a record has fewer bytes behind it than a word has.
            None => self.length != 0 && bytes.starts_with(&self.word.to_le_bytes()[..self.length]),
        }
    }
}
