//! Rows that were emitted and are still in the frame of their key: of each its time, its arrival
//! number and what it adds to the sums. A third of what a row takes that waits, so that the frames
//! of hundreds of keys stay in the cache. Its texts stay as long as it does, because a checkpoint
//! may hold it with them.

use alloc::{boxed::Box, vec::Vec};

use super::{List, NONE, Place};
use crate::{
    aggregate::Sums,
    context::Context,
    keys::KeyId,
    memory,
    operator::Timestamp,
    row::Row,
    slot::{BytesRef, Slot},
};

/// An earlier checkpoint holds the row.
const STORED: u64 = 1;
/// Its number is in `fresh`, for this row or for one before in the same place.
const LISTED: u64 = 2;
const NULLS_SHIFT: u32 = 2;
const SEQ_SHIFT: u32 = NULLS_SHIFT + 8;

/// Columns for whose NULL bits there is room.
pub(super) const COLUMNS_MAX: usize = (SEQ_SHIFT - NULLS_SHIFT) as usize;

/// A kept row: two fill a line of the cache.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(super) struct Entry {
    pub(super) time: Timestamp,
    /// Arrival number, which of the arguments are NULL, and marks.
    marks: u64,
    /// Its first argument.
    argument: u64,
    pub(super) key: KeyId,
    pub(super) next: Place,
}

const _: () = assert!(size_of::<Entry>() == 32);

/// Without a row there is nothing to store.
const FREE: Entry = Entry { time: 0, marks: STORED, argument: 0, key: 0, next: NONE };

impl Entry {
    pub(super) fn seq(&self) -> u64 {
        self.marks >> SEQ_SHIFT
    }

    pub(super) fn is_stored(&self) -> bool {
        self.marks & STORED != 0
    }

    /// Its first argument, and which of all are NULL.
    pub(super) fn arguments(&self) -> (u64, u64) {
        (self.argument, self.marks >> NULLS_SHIFT & ((1 << COLUMNS_MAX) - 1))
    }
}

/// See the module.
pub(super) struct Kept {
    entries: Vec<Entry>,
    /// Of each place further arguments, then texts: a slot's second word, 0 for NULL.
    rest: Vec<u64>,
    /// How many of both there are.
    stride: usize,
    /// Columns with texts that are not the key's.
    texts: Box<[usize]>,
    free: Vec<Place>,
    /// Rows that came since the last checkpoint.
    fresh: Vec<Place>,
    count: usize,
}

impl Kept {
    /// For rows with so many arguments and texts in the columns `texts`.
    pub(super) fn new(arguments: usize, texts: &[usize]) -> Self {
        Kept {
            entries: Vec::new(),
            rest: Vec::new(),
            stride: arguments.saturating_sub(1) + texts.len(),
            texts: texts.into(),
            free: Vec::new(),
            fresh: Vec::new(),
            count: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    #[inline]
    pub(super) fn get(&self, place: Place) -> &Entry {
        &self.entries[place as usize]
    }

    /// Further arguments, then texts.
    #[inline]
    pub(super) fn rest(&self, place: Place) -> &[u64] {
        match self.stride {
            0 => &[],
            stride => &self.rest[place as usize * stride..][..stride],
        }
    }

    /// Reads a row and the one after it for nothing but that they are read.
    #[inline]
    pub(super) fn fetch(&self, place: Place) -> u64 {
        let Some(entry) = self.entries.get(place as usize) else { return 0 };
        entry.marks ^ self.entries.get(entry.next as usize).map_or(0, |next| next.marks)
    }

    /// Keeps a row of a key at the end of its list. Its texts are symbols, which are counted with
    /// it from now on.
    #[inline(always)]
    pub(super) fn push(
        &mut self,
        list: &mut List,
        key: KeyId,
        (time, seq, is_stored): (Timestamp, u64, bool),
        row: Row<'_>,
        sums: &Sums,
    ) {
        let place = self.free.pop().unwrap_or_else(|| self.grow());
        let (argument, nulls) = match self.stride {
            0 => sums.arguments(row, &mut []),
            _ => self.fill(place, row, sums),
        };
        let entry = &mut self.entries[place as usize];
        let mut marks = seq << SEQ_SHIFT | nulls << NULLS_SHIFT | u64::from(is_stored);
        marks |= entry.marks & LISTED;
        if marks & (STORED | LISTED) == 0 {
            marks |= LISTED;
            self.fresh.push(place);
        }
        *entry = Entry { time, marks, argument, key, next: NONE };
        match list.last {
            NONE => list.first = place,
            last => self.entries[last as usize].next = place,
        }
        list.last = place;
        self.count += 1;
    }

    #[cold]
    fn grow(&mut self) -> Place {
        self.entries.push(FREE);
        self.rest.resize(self.entries.len() * self.stride, 0);
        Place::try_from(self.entries.len() - 1).expect("rows_max fits 32 bits")
    }

    #[inline(never)]
    fn fill(&mut self, place: Place, row: Row<'_>, sums: &Sums) -> (u64, u64) {
        let rest = &mut self.rest[place as usize * self.stride..][..self.stride];
        let (arguments, texts) = rest.split_at_mut(self.stride - self.texts.len());
        for (&column, word) in self.texts.iter().zip(texts) {
            *word = if row.is_null(column) { 0 } else { row.slots[column].1 };
        }
        sums.arguments(row, arguments)
    }

    /// Forgets the first row of a list.
    #[inline]
    pub(super) fn remove_first(&mut self, list: &mut List, cx: &mut Context) {
        let place = list.first;
        let entry = &mut self.entries[place as usize];
        let next = entry.next;
        entry.marks = entry.marks & LISTED | STORED;
        list.first = next;
        if next == NONE {
            list.last = NONE;
        }
        if !self.texts.is_empty() {
            self.release(place, cx);
        }
        self.free.push(place);
        self.count -= 1;
    }

    /// Gives the texts of a row back.
    #[inline(never)]
    fn release(&self, place: Place, cx: &mut Context) {
        for &word in &self.rest(place)[self.stride - self.texts.len()..] {
            if let BytesRef::Symbol(id) = Slot(0, word).bytes_ref() {
                cx.symbols.release(id);
            }
        }
    }

    /// The rows that no checkpoint holds. They are held by the present one.
    pub(super) fn take_fresh(&mut self, mut each: impl FnMut(u64, Place)) {
        for place in self.fresh.drain(..) {
            let entry = &mut self.entries[place as usize];
            entry.marks &= !LISTED;
            if !entry.is_stored() {
                entry.marks |= STORED;
                each(entry.seq(), place);
            }
        }
    }

    /// Puts arguments and texts of a row back where they were; `nulls` becomes its bitmap.
    pub(super) fn put_back(&self, place: Place, sums: &Sums, slots: &mut [Slot], nulls: &mut u64) {
        let rest = self.rest(place);
        sums.put_back(self.get(place).arguments(), rest, slots, nulls);
        let texts = self.texts.iter().zip(&rest[self.stride - self.texts.len()..]);
        for (&column, &word) in texts.filter(|(_, word)| **word != 0) {
            slots[column] = Slot(0, word);
            *nulls &= !(1 << column);
        }
    }

    /// The rows of a list.
    pub(super) fn of(&self, list: List) -> impl Iterator<Item = Place> {
        let some = |place: Place| (place != NONE).then_some(place);
        core::iter::successors(some(list.first), move |&at| some(self.get(at).next))
    }

    pub(super) fn memory_bytes_max(&self, rows_max: usize) -> usize {
        memory::vec_bytes::<Entry>(rows_max)
            + memory::vec_bytes::<u64>(rows_max * self.stride)
            + 2 * memory::vec_bytes::<Place>(rows_max)
    }
}
