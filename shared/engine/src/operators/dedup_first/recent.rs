//! Keys whose rows have gone on at once, by the stretch of event time in which they lie. Each
//! stretch has a table of its own and is forgotten as a whole: its keys lie side by side in order
//! of arrival, and those that no checkpoint has are the last ones.

use alloc::{boxed::Box, collections::VecDeque, vec, vec::Vec};
use hashbrown::{HashTable, hash_table::Entry};

use super::probe::spread;
use crate::{
    codec,
    context::{Context, Fault},
    hash::{mix, mix_pair},
    keys::{KeyId, KeyTable},
    memory,
    operator::Timestamp,
    row::Row,
    slot::Slot,
    types::DataType,
};

/// A stretch is 2^10 ms long.
const STRETCH_BITS: u32 = 10;
/// Slots before the values of a key that are no texts: arrival number and NULL bitmap, time and
/// hash over number of its texts.
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

fn hash_at(slots: &[Slot], at: u32) -> u32 {
    (slots[at as usize + 1].1 >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half holds it")]
fn texts_of(key: &[Slot]) -> KeyId {
    key[1].1 as KeyId
}

/// The key of the row that is looked at.
struct Sought {
    /// Number of its texts, if any key has them.
    texts: Option<KeyId>,
    /// The other values.
    values: Vec<Slot>,
    /// NULL bitmap of the whole key.
    nulls: u64,
    /// Of all but the texts.
    hash: u64,
}

impl Sought {
    fn hash_with(&self, texts: KeyId) -> u32 {
        (mix(self.hash, u64::from(texts)) >> 32) as u32
    }

    fn is_at(&self, slots: &[Slot], at: u32, last: u64) -> bool {
        let key = &slots[at as usize..at as usize + HEADER + self.values.len()];
        key[1].1 == last && key[0].1 == self.nulls && key[HEADER..] == self.values
    }
}

/// Hash and number of texts as they stand in a key.
fn last_word(hash: u32, texts: KeyId) -> u64 {
    u64::from(hash) << 32 | u64::from(texts)
}

impl Stretch {
    fn holds(&self, sought: &Sought, texts: KeyId) -> bool {
        let hash = sought.hash_with(texts);
        let last = last_word(hash, texts);
        self.table.find(spread(hash), |&at| sought.is_at(&self.slots, at, last)).is_some()
    }

    /// False when it holds the key already.
    #[expect(clippy::cast_sign_loss, reason = "a bit pattern, not a quantity")]
    fn insert(&mut self, time: Timestamp, seq: u64, sought: &Sought, texts: KeyId) -> bool {
        let hash = sought.hash_with(texts);
        let last = last_word(hash, texts);
        let slots = &self.slots;
        let is_same = |&at: &u32| sought.is_at(slots, at, last);
        let rehash = |&at: &u32| spread(hash_at(slots, at));
        let Entry::Vacant(free) = self.table.entry(spread(hash), is_same, rehash) else {
            return false;
        };
        free.insert(u32::try_from(self.slots.len()).expect("keys are bounded"));
        self.slots.extend([Slot(seq, sought.nulls), Slot(time as u64, last)]);
        self.slots.extend_from_slice(&sought.values);
        true
    }
}

/// The keys. Their texts are the keys of a table of their own: most come again with other times.
pub(super) struct Recent {
    /// Types of a key's columns.
    types: Vec<DataType>,
    /// For each column of a key its position among the texts or the other values.
    places: Vec<Place>,
    /// Columns of a row that are texts of its key, and others of its key.
    columns: [Vec<usize>; 2],
    texts: KeyTable,
    sought: Sought,
    stretches: VecDeque<Box<Stretch>>,
    #[expect(clippy::vec_box, reason = "they come from boxes and go back")]
    spares: Vec<Box<Stretch>>,
    /// Slots that stretches which are used again may have room for.
    spare_slots_max: usize,
    count: usize,
}

#[derive(Clone, Copy)]
enum Place {
    Text(usize),
    Value(usize),
}

/// The first watermark behind the stretch of a time.
pub(super) fn end(time: Timestamp) -> Timestamp {
    ((time >> STRETCH_BITS) + 1).saturating_mul(1 << STRETCH_BITS)
}

impl Recent {
    /// For keys of these columns of rows of `types`, about `keys` of them.
    pub(super) fn new(types: &[DataType], key: &[usize], keys: usize) -> Self {
        let mut columns = [Vec::new(), Vec::new()];
        let place = |&column: &usize| match types[column].is_referring() {
            true => {
                columns[0].push(column);
                Place::Text(columns[0].len() - 1)
            }
            false => {
                columns[1].push(column);
                Place::Value(columns[1].len() - 1)
            }
        };
        let places = key.iter().map(place).collect();
        let text_types = columns[0].iter().map(|&column| types[column].clone()).collect();
        let values = vec![Slot::ZERO; columns[1].len()];
        Recent {
            types: key.iter().map(|&column| types[column].clone()).collect(),
            places,
            texts: KeyTable::new(text_types, keys + 1),
            sought: Sought { texts: None, values, nulls: 0, hash: 0 },
            stretches: VecDeque::new(),
            spares: Vec::new(),
            spare_slots_max: keys * (HEADER + columns[1].len()),
            columns,
            count: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Takes the key of `row` to be looked for. A text that is no symbol yet becomes one: who does
    /// not keep the key calls [`discard`](Recent::discard). `Err` when the symbol table is full.
    #[inline]
    pub(super) fn seek(&mut self, row: Row<'_>, cx: &mut Context) -> Result<(), Fault> {
        let Recent { places, columns: [text_columns, value_columns], sought, .. } = self;
        sought.nulls = 0;
        if row.nulls != 0 {
            for (index, place) in places.iter().enumerate() {
                let column = match *place {
                    Place::Text(at) => text_columns[at],
                    Place::Value(at) => value_columns[at],
                };
                sought.nulls |= u64::from(row.is_null(column)) << index;
            }
        }
        let mut hash = sought.nulls;
        for (value, &column) in sought.values.iter_mut().zip(&*value_columns) {
            *value = if row.is_null(column) { Slot::ZERO } else { row.slots[column] };
            hash = mix_pair(hash, value.0, value.1);
        }
        sought.hash = hash;
        sought.texts = self.texts.find(row, text_columns, cx)?;
        Ok(())
    }

    /// Gives symbols back that the key alone made.
    pub(super) fn discard(&mut self, cx: &mut Context) {
        if self.sought.texts.is_none() {
            self.texts.discard_probe(cx);
        }
    }

    /// Where a stretch is, or belongs.
    #[inline]
    fn place(&self, number: Timestamp) -> Result<usize, usize> {
        // They nearly always follow each other without a gap.
        let first = self.stretches.front().map_or(0, |stretch| stretch.number);
        let near = usize::try_from(number.wrapping_sub(first)).unwrap_or(usize::MAX);
        match self.stretches.get(near) {
            Some(stretch) if stretch.number == number => Ok(near),
            _ => self.search(number),
        }
    }

    #[cold]
    fn search(&self, number: Timestamp) -> Result<usize, usize> {
        self.stretches.binary_search_by_key(&number, |stretch| stretch.number)
    }

    /// Whether the key, of this time, is known.
    pub(super) fn holds(&self, time: Timestamp) -> bool {
        let Some(texts) = self.sought.texts else { return false };
        let place = self.place(time >> STRETCH_BITS);
        place.is_ok_and(|at| self.stretches[at].holds(&self.sought, texts))
    }

    /// Remembers the key; false when it is known.
    #[inline]
    pub(super) fn insert(&mut self, time: Timestamp, seq: u64, cx: &mut Context) -> bool {
        let number = time >> STRETCH_BITS;
        let at = self.place(number).unwrap_or_else(|at| {
            let mut stretch = self.spares.pop().unwrap_or_default();
            stretch.number = number;
            self.stretches.insert(at, stretch);
            at
        });
        let texts = self.sought.texts.unwrap_or_else(|| {
            self.texts.insert(cx).expect("there are no more of them than of keys")
        });
        if !self.stretches[at].insert(time, seq, &self.sought, texts) {
            return false;
        }
        self.sought.texts = Some(texts);
        self.texts.retain(texts);
        self.count += 1;
        true
    }

    /// Whether what follows finds the texts of the key as quickly by what they say.
    #[inline]
    pub(super) fn has_short_texts(&self) -> bool {
        self.texts.found_short_texts()
    }

    /// Puts the texts of the key, which was inserted, into their columns of a row.
    #[inline]
    pub(super) fn put(&self, slots: &mut [Slot]) {
        let Some(texts) = self.sought.texts else { return };
        for (&column, &slot) in self.columns[0].iter().zip(self.texts.key(texts)) {
            slots[column] = slot;
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
            for key in stretch.slots.chunks_exact(HEADER + self.sought.values.len()) {
                self.texts.release(texts_of(key), cx);
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
        let stride = HEADER + self.sought.values.len();
        for (index, stretch) in self.stretches.iter_mut().enumerate() {
            let from = if all { 0 } else { stretch.stored };
            let keys = (from..stretch.slots.len()).step_by(stride);
            changed.extend(keys.map(|at| (stretch.slots[at].0, index, at)));
            stretch.stored = stretch.slots.len();
        }
        changed.sort_unstable();
        let mut slots = vec![Slot::ZERO; self.types.len()];
        for (seq, index, at) in changed {
            let key = &self.stretches[index].slots[at..at + stride];
            let texts = self.texts.key(texts_of(key));
            for (slot, place) in slots.iter_mut().zip(&self.places) {
                *slot = match *place {
                    Place::Text(at) => texts[at],
                    Place::Value(at) => key[HEADER + at],
                };
            }
            value.clear();
            codec::put_i64(value, key[1].as_i64());
            codec::put_row(value, &slots, key[0].1, &self.types, cx);
            give(seq, value);
        }
    }

    pub(super) fn memory_bytes_max(&self, keys: usize) -> usize {
        // Spare stretches may have room for all of them once more, and so may a list that grows. A
        // list of a few keys has room for four.
        memory::vec_bytes::<Slot>(4 * keys * (HEADER + self.sought.values.len()))
            + 2 * memory::table_bytes(keys)
            + keys * size_of::<Stretch>()
            + self.texts.memory_bytes_max()
    }
}
