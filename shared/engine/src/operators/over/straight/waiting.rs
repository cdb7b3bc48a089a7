//! Rows that wait for the watermark: of each key a list in order of time, equal times in order of
//! arrival. Behind the values of a row is room for the results that it is emitted with.

use alloc::vec::Vec;

use super::{List, NONE, Place};
use crate::{
    context::Context, memory, operator::Timestamp, row::Row, rows::slab::Slab, slot::Slot,
    types::DataType,
};

/// What is known of a row besides its values.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(super) struct Head {
    pub(super) time: Timestamp,
    pub(super) seq: u64,
    pub(super) previous: Place,
    pub(super) next: Place,
    /// An earlier checkpoint holds it.
    pub(super) is_stored: bool,
    /// Its number is in `fresh`, for this row or for one before in the same place.
    is_listed: bool,
}

const _: () = assert!(size_of::<Head>() == 32);

/// Without a row there is nothing to store.
const FREE: Head =
    Head { time: 0, seq: 0, previous: NONE, next: NONE, is_stored: true, is_listed: false };

/// See the module.
pub(super) struct Waiting {
    slab: Slab,
    heads: Vec<Head>,
    /// Rows that came since the last checkpoint.
    fresh: Vec<Place>,
    count: usize,
}

impl Waiting {
    /// For rows of these types with the key in the columns `key`, and so many results.
    pub(super) fn new(types: &[DataType], key: &[usize], results: usize) -> Self {
        Waiting {
            slab: Slab::with_room(types, key, results),
            heads: Vec::new(),
            fresh: Vec::new(),
            count: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn types(&self) -> &[DataType] {
        self.slab.types()
    }

    /// Columns with texts that are not the key's.
    pub(super) fn texts(&self) -> &[usize] {
        self.slab.texts()
    }

    #[inline]
    pub(super) fn head(&self, place: Place) -> Head {
        self.heads[place as usize]
    }

    pub(super) fn row(&self, place: Place) -> Row<'_> {
        self.slab.get(place)
    }

    /// The values of a row with the room for results, and its NULL bitmap.
    pub(super) fn with_results(&mut self, place: Place) -> (&mut [Slot], u64) {
        self.slab.get_mut(place)
    }

    /// Takes a row of the key with these values into its list; `None` when the symbol table is
    /// full.
    #[inline(always)]
    pub(super) fn insert(
        &mut self,
        list: &mut List,
        row: Row<'_>,
        key: &[Slot],
        (time, seq, is_stored): (Timestamp, u64, bool),
        cx: &mut Context,
    ) -> Option<Place> {
        let place = self.slab.store_here(row, key, cx)?;
        if self.heads.len() <= place as usize {
            self.grow(place);
        }
        let (previous, next) = self.link(list, place, time, seq);
        let head = &mut self.heads[place as usize];
        let is_new = !is_stored && !head.is_listed;
        let is_listed = head.is_listed || is_new;
        *head = Head { time, seq, previous, next, is_stored, is_listed };
        if is_new {
            self.fresh.push(place);
        }
        self.count += 1;
        Some(place)
    }

    #[cold]
    fn grow(&mut self, place: Place) {
        self.heads.resize(place as usize + 1, FREE);
    }

    /// Finds where it belongs, from the end: most belong there.
    #[inline]
    fn link(&mut self, list: &mut List, place: Place, time: Timestamp, seq: u64) -> (Place, Place) {
        let (mut previous, mut next) = (list.last, NONE);
        while previous != NONE {
            let other = self.heads[previous as usize];
            if (other.time, other.seq) < (time, seq) {
                break;
            }
            (previous, next) = (other.previous, previous);
        }
        match previous {
            NONE => list.first = place,
            _ => self.heads[previous as usize].next = place,
        }
        match next {
            NONE => list.last = place,
            _ => self.heads[next as usize].previous = place,
        }
        (previous, next)
    }

    /// Takes the first row out of its list; it is still there until it is [freed](Waiting::free).
    #[inline]
    pub(super) fn take_first(&mut self, list: &mut List, head: Head) {
        list.first = head.next;
        match head.next {
            NONE => list.last = NONE,
            next => self.heads[next as usize].previous = NONE,
        }
    }

    /// Frees the place of a row that is in no list; somebody else counts its texts now.
    #[inline]
    pub(super) fn free(&mut self, place: Place) {
        self.clear(place);
        self.slab.hand_over(place);
    }

    /// Forgets a row.
    pub(super) fn remove(&mut self, list: &mut List, place: Place, cx: &mut Context) {
        let Head { previous, next, .. } = self.heads[place as usize];
        match previous {
            NONE => list.first = next,
            _ => self.heads[previous as usize].next = next,
        }
        match next {
            NONE => list.last = previous,
            _ => self.heads[next as usize].previous = previous,
        }
        self.clear(place);
        self.slab.release(place, cx);
    }

    #[inline]
    fn clear(&mut self, place: Place) {
        let head = &mut self.heads[place as usize];
        *head = Head { is_listed: head.is_listed, ..FREE };
        self.count -= 1;
    }

    /// The rows that no checkpoint holds. They are held by the present one.
    pub(super) fn take_fresh(&mut self, mut each: impl FnMut(u64, Place)) {
        for place in self.fresh.drain(..) {
            let head = &mut self.heads[place as usize];
            head.is_listed = false;
            if !head.is_stored {
                head.is_stored = true;
                each(head.seq, place);
            }
        }
    }

    /// The rows of a list.
    pub(super) fn of(&self, list: List) -> impl Iterator<Item = Place> {
        let some = |place: Place| (place != NONE).then_some(place);
        core::iter::successors(some(list.first), move |&at| some(self.heads[at as usize].next))
    }

    pub(super) fn memory_bytes_max(&self, rows_max: usize) -> usize {
        self.slab.memory_bytes_max(rows_max)
            + memory::vec_bytes::<Head>(rows_max)
            + memory::vec_bytes::<Place>(rows_max)
    }
}
