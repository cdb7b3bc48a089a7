//! Keys whose rows have gone on, by the stretch of event time in which they lie: they are forgotten
//! together, so that none needs a place of its own in a queue.

use alloc::{collections::BTreeMap, vec::Vec};

use super::entries::EntryId;
use crate::{memory, operator::Timestamp};

/// A stretch is 2^10 ms long.
const STRETCH_BITS: u32 = 10;
/// About what an entry of the map takes besides its list, in bytes.
const STRETCH_BYTES: usize = 64;

/// The keys.
#[derive(Default)]
pub(super) struct Stretches {
    lists: BTreeMap<Timestamp, Vec<EntryId>>,
    /// Lists to be used again.
    spare: Vec<Vec<EntryId>>,
    spare_capacity: usize,
    spare_capacity_max: usize,
}

impl Stretches {
    /// For about so many keys.
    pub(super) fn new(keys: usize) -> Self {
        Stretches { spare_capacity_max: keys, ..Stretches::default() }
    }

    /// The first watermark behind the stretch of a time.
    pub(super) fn end(time: Timestamp) -> Timestamp {
        ((time >> STRETCH_BITS) + 1).saturating_mul(1 << STRETCH_BITS)
    }

    pub(super) fn insert(&mut self, id: EntryId, time: Timestamp) {
        let (spare, spare_capacity) = (&mut self.spare, &mut self.spare_capacity);
        let list = self.lists.entry(time >> STRETCH_BITS).or_insert_with(|| {
            let list = spare.pop().unwrap_or_default();
            *spare_capacity -= list.capacity();
            list
        });
        list.push(id);
    }

    /// The first watermark behind all times of the earliest stretch.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let (stretch, _) = self.lists.first_key_value()?;
        Some(Self::end(stretch << STRETCH_BITS))
    }

    /// The keys of a stretch that lies behind `watermark`, to be [given
    /// back](Stretches::give_back).
    pub(super) fn take_before(&mut self, watermark: Timestamp) -> Option<Vec<EntryId>> {
        self.due().filter(|due| *due <= watermark)?;
        self.lists.pop_first().map(|(_, list)| list)
    }

    pub(super) fn give_back(&mut self, mut list: Vec<EntryId>) {
        if self.spare_capacity + list.capacity() <= self.spare_capacity_max {
            list.clear();
            self.spare_capacity += list.capacity();
            self.spare.push(list);
        }
    }

    pub(super) fn memory_bytes_max(keys: usize) -> usize {
        // A list of a few keys has room for four.
        memory::vec_bytes::<EntryId>(6 * keys) + keys * STRETCH_BYTES
    }
}
