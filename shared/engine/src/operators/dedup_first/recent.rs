//! Keys whose rows have gone on at once, by the stretch of event time in which they lie. Each
//! stretch has a table of its own and is forgotten as a whole: its keys lie side by side in order
//! of arrival, and those that no checkpoint has are the last ones.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use hashbrown::HashTable;

use super::probe::{Probe, spread};
use crate::{
    codec,
    context::Context,
    memory,
    operator::Timestamp,
    slot::{BytesRef, Slot},
    types::DataType,
};

/// A stretch is 2^10 ms long.
const STRETCH_BITS: u32 = 10;
/// Slots before a key: arrival number and NULL bitmap, time and hash.
const HEADER: usize = 2;
/// Stretches that are kept to be used again.
const SPARES_MAX: usize = 16;

#[derive(Default)]
struct Stretch {
    number: Timestamp,
    /// Positions of keys in `slots`.
    table: HashTable<u32>,
    slots: Vec<Slot>,
    /// Slots that a checkpoint has.
    stored: usize,
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half holds it")]
fn hash_at(slots: &[Slot], at: u32) -> u32 {
    slots[at as usize + 1].1 as u32
}

impl Stretch {
    fn holds(&self, probe: &Probe) -> bool {
        let width = probe.slots.len();
        let is_probe = |&at: &u32| {
            let key = &self.slots[at as usize..at as usize + HEADER + width];
            hash_at(key, 0) == probe.hash && key[0].1 == probe.nulls && key[HEADER..] == probe.slots
        };
        self.table.find(spread(probe.hash), is_probe).is_some()
    }

    #[expect(clippy::cast_sign_loss, reason = "a bit pattern, not a quantity")]
    fn insert(&mut self, time: Timestamp, seq: u64, probe: &Probe) {
        let at = u32::try_from(self.slots.len()).expect("keys are bounded");
        self.slots.push(Slot(seq, probe.nulls));
        self.slots.push(Slot(time as u64, u64::from(probe.hash)));
        self.slots.extend_from_slice(&probe.slots);
        let slots = &self.slots;
        let rehash = |&at: &u32| spread(hash_at(slots, at));
        self.table.insert_unique(spread(probe.hash), at, rehash);
    }
}

/// The keys.
pub(super) struct Recent {
    types: Vec<DataType>,
    /// Columns of the key that are texts.
    texts: Vec<usize>,
    stretches: VecDeque<Box<Stretch>>,
    #[expect(clippy::vec_box, reason = "they come from boxes and go back")]
    spares: Vec<Box<Stretch>>,
    /// Slots that stretches which are used again may have room for.
    spare_slots_max: usize,
    count: usize,
}

/// The first watermark behind the stretch of a time.
pub(super) fn end(time: Timestamp) -> Timestamp {
    ((time >> STRETCH_BITS) + 1).saturating_mul(1 << STRETCH_BITS)
}

impl Recent {
    /// For keys of these types, about `keys` of them.
    pub(super) fn new(types: Vec<DataType>, keys: usize) -> Self {
        Recent {
            texts: (0..types.len()).filter(|&column| types[column].is_referring()).collect(),
            stretches: VecDeque::new(),
            spares: Vec::new(),
            spare_slots_max: keys * (HEADER + types.len()),
            count: 0,
            types,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Where a stretch is, or belongs.
    #[inline]
    fn place(&self, number: Timestamp) -> Result<usize, usize> {
        // They nearly always follow each other without a gap.
        let first = self.stretches.front().map_or(0, |stretch| stretch.number);
        let near = usize::try_from(number.wrapping_sub(first)).unwrap_or(usize::MAX);
        if self.stretches.get(near).is_some_and(|stretch| stretch.number == number) {
            return Ok(near);
        }
        self.stretches.binary_search_by_key(&number, |stretch| stretch.number)
    }

    /// Whether a key of this time is known.
    pub(super) fn holds(&self, time: Timestamp, probe: &Probe) -> bool {
        let place = self.place(time >> STRETCH_BITS);
        place.is_ok_and(|at| self.stretches[at].holds(probe))
    }

    /// Remembers a key that is not known.
    pub(super) fn insert(&mut self, time: Timestamp, seq: u64, probe: &Probe, cx: &mut Context) {
        let number = time >> STRETCH_BITS;
        let at = self.place(number).unwrap_or_else(|at| {
            let mut stretch = self.spares.pop().unwrap_or_default();
            stretch.number = number;
            self.stretches.insert(at, stretch);
            at
        });
        self.stretches[at].insert(time, seq, probe);
        self.count += 1;
        for &column in &self.texts {
            if probe.nulls >> column & 1 == 0
                && let BytesRef::Symbol(id) = probe.slots[column].bytes_ref()
            {
                cx.symbols.retain(id);
            }
        }
    }

    /// The first watermark behind all times of the earliest stretch.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.stretches.front().map(|stretch| end(stretch.number << STRETCH_BITS))
    }

    /// Forgets the stretches that lie behind `watermark`.
    pub(super) fn expire(&mut self, watermark: Timestamp, cx: &mut Context) {
        while self.due().is_some_and(|due| due <= watermark)
            && let Some(mut stretch) = self.stretches.pop_front()
        {
            for key in stretch.slots.chunks_exact(HEADER + self.types.len()) {
                for &column in &self.texts {
                    if key[0].1 >> column & 1 == 0
                        && let BytesRef::Symbol(id) = key[HEADER + column].bytes_ref()
                    {
                        cx.symbols.release(id);
                    }
                }
                self.count -= 1;
            }
            let held: usize = self.spares.iter().map(|spare| spare.slots.capacity()).sum();
            if self.spares.len() < SPARES_MAX
                && held + stretch.slots.capacity() <= self.spare_slots_max
            {
                stretch.table.clear();
                stretch.slots.clear();
                stretch.stored = 0;
                self.spares.push(stretch);
            }
        }
    }

    /// Gives arrival number and encoded entry of each key that no checkpoint has, or of all, in
    /// order of arrival.
    pub(super) fn take_changed(
        &mut self,
        all: bool,
        value: &mut Vec<u8>,
        cx: &Context,
        mut give: impl FnMut(u64, &[u8]),
    ) {
        let mut changed = Vec::new();
        let stride = HEADER + self.types.len();
        for (index, stretch) in self.stretches.iter_mut().enumerate() {
            let from = if all { 0 } else { stretch.stored };
            let keys = (from..stretch.slots.len()).step_by(stride);
            changed.extend(keys.map(|at| (stretch.slots[at].0, index, at)));
            stretch.stored = stretch.slots.len();
        }
        changed.sort_unstable();
        for (seq, index, at) in changed {
            let key = &self.stretches[index].slots[at..at + stride];
            value.clear();
            codec::put_i64(value, key[1].as_i64());
            codec::put_row(value, &key[HEADER..], key[0].1, &self.types, cx);
            give(seq, value);
        }
    }

    pub(super) fn memory_bytes_max(keys: usize, width: usize) -> usize {
        // Spare stretches may have room for all of them once more, and so may a list that grows. A
        // list of a few keys has room for four.
        memory::vec_bytes::<Slot>(4 * keys * (HEADER + width))
            + 2 * memory::table_bytes(keys)
            + keys * size_of::<Stretch>()
    }
}
