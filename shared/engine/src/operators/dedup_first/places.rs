//! Rows or keys with their header, in places that are used again.
//!
//! Header and values lie side by side: what is looked at together costs one miss of the cache, and
//! a place used again is still in it. Texts are symbols here, each held once for each place.

use alloc::vec::Vec;

use crate::{
    context::Context,
    memory,
    operator::Timestamp,
    row::Row,
    slot::{BytesRef, Slot},
    symbols::SymbolId,
    types::DataType,
};

/// Arrival number of a place that is not in use.
pub(super) const NO_SEQ: u64 = u64::MAX;

/// Not in the last checkpoint.
pub(super) const DIRTY: u32 = 1;
/// Its number is in the list of changes, for this entry or for one before in the same place.
pub(super) const LISTED: u32 = 2;
/// Its row has been emitted; the key alone is of use.
pub(super) const EMITTED: u32 = 4;

/// What is known of an entry besides its values.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) time: Timestamp,
    /// Arrival number: orders rows of equal time and names the entry in checkpoints.
    pub(super) seq: u64,
    /// NULL bitmap of the values.
    pub(super) nulls: u64,
    /// Hash of the key.
    pub(super) hash: u32,
    pub(super) flags: u32,
}

/// Slots that a header takes.
const HEADER: usize = 2;
/// Slots of a line of the cache, on nearly every CPU.
const SLOTS_PER_LINE: usize = 4;

impl Header {
    #[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
    #[expect(clippy::cast_possible_wrap, reason = "bit patterns, not quantities")]
    fn read(slots: &[Slot]) -> Self {
        let [Slot(seq, nulls), Slot(time, tail)] = slots[..HEADER] else {
            unreachable!("a header has two slots");
        };
        let (hash, flags) = (tail as u32, (tail >> 32) as u32);
        Header { time: time as i64, seq, nulls, hash, flags }
    }

    #[expect(clippy::cast_sign_loss, reason = "bit patterns, not quantities")]
    fn write(self, slots: &mut [Slot]) {
        let tail = u64::from(self.hash) | u64::from(self.flags) << 32;
        slots[0] = Slot(self.seq, self.nulls);
        slots[1] = Slot(self.time as u64, tail);
    }

    pub(super) fn has(self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// The places.
pub(super) struct Places {
    types: Vec<DataType>,
    /// Columns of the key that are texts.
    key_texts: Vec<usize>,
    /// The other ones that are texts.
    other_texts: Vec<usize>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Places {
    /// For values of these types whose key is in the columns `key`.
    pub(super) fn new(types: Vec<DataType>, key: &[usize]) -> Self {
        let texts = (0..types.len()).filter(|&column| types[column].is_referring());
        let (key_texts, other_texts) = texts.partition(|column| key.contains(column));
        Places { types, key_texts, other_texts, slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn types(&self) -> &[DataType] {
        &self.types
    }

    fn stride(&self) -> usize {
        HEADER + self.types.len()
    }

    fn at(&self, place: u32) -> usize {
        place as usize * self.stride()
    }

    /// All places have lower numbers.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.slots.len() / self.stride()).expect("places fit 32 bits")
    }

    #[inline]
    pub(super) fn header(&self, place: u32) -> Header {
        Header::read(&self.slots[self.at(place)..])
    }

    #[inline]
    pub(super) fn set_header(&mut self, place: u32, header: Header) {
        let at = self.at(place);
        header.write(&mut self.slots[at..]);
    }

    #[inline]
    pub(super) fn values(&self, place: u32) -> &[Slot] {
        let at = self.at(place) + HEADER;
        &self.slots[at..at + self.types.len()]
    }

    /// Reads from each cache line of a place.
    #[inline]
    pub(super) fn touch(&self, place: u32) -> u64 {
        let at = self.at(place);
        let slots = &self.slots[at..at + self.stride()];
        let last = slots[slots.len() - 1].0;
        slots.iter().step_by(SLOTS_PER_LINE).fold(last, |sum, slot| sum ^ slot.0)
    }

    pub(super) fn row(&self, place: u32) -> Row<'_> {
        Row::insert(self.values(place), self.header(place).nulls)
    }

    /// Stores a row whose key has the values `key` in the columns `columns`; all its texts are
    /// held. `None` when the symbol table is full: then the key's are not held either.
    pub(super) fn store(
        &mut self,
        row: Row<'_>,
        (columns, key): (&[usize], &[Slot]),
        header: Header,
        cx: &mut Context,
    ) -> Option<u32> {
        let place = self.free.pop().unwrap_or_else(|| {
            let place = self.count();
            self.slots.resize(self.slots.len() + self.stride(), Slot::ZERO);
            place
        });
        let listed = self.header(place).flags & LISTED;
        self.set_header(place, Header { flags: header.flags | listed, ..header });
        let at = self.at(place) + HEADER;
        let values = &mut self.slots[at..at + self.types.len()];
        values.copy_from_slice(row.slots);
        for (&column, &slot) in columns.iter().zip(key) {
            values[column] = slot;
        }
        for &column in &self.key_texts {
            if let Some(id) = symbol(values, header.nulls, column) {
                cx.symbols.retain(id);
            }
        }
        for (index, &column) in self.other_texts.iter().enumerate() {
            if header.nulls >> column & 1 == 1 {
                continue;
            }
            let Some(id) = cx.intern(values[column]) else {
                release(values, header.nulls, &self.other_texts[..index], cx);
                self.release_key(place, cx);
                return None;
            };
            cx.symbols.retain(id);
            values[column] = Slot::symbol(id);
        }
        Some(place)
    }

    /// Lets go of the texts that are not part of the key: they must not be looked at any more.
    pub(super) fn release_others(&self, place: u32, cx: &mut Context) {
        release(self.values(place), self.header(place).nulls, &self.other_texts, cx);
    }

    /// Lets go of the key's texts and frees the place.
    pub(super) fn release_key(&mut self, place: u32, cx: &mut Context) {
        let header = self.header(place);
        release(self.values(place), header.nulls, &self.key_texts, cx);
        self.set_header(place, Header { seq: NO_SEQ, flags: header.flags & LISTED, ..header });
        self.free.push(place);
    }

    pub(super) fn memory_bytes_max(&self, places: usize) -> usize {
        memory::vec_bytes::<Slot>(places * self.stride()) + memory::vec_bytes::<u32>(places)
    }
}

fn symbol(values: &[Slot], nulls: u64, column: usize) -> Option<SymbolId> {
    match values[column].bytes_ref() {
        BytesRef::Symbol(id) if nulls >> column & 1 == 0 => Some(id),
        _ => None,
    }
}

fn release(values: &[Slot], nulls: u64, columns: &[usize], cx: &mut Context) {
    for &column in columns {
        if let Some(id) = symbol(values, nulls, column) {
            cx.symbols.release(id);
        }
    }
}
