//! Key tuples in keyed state: each distinct tuple once, as a dense number.
//!
//! Texts of a key become symbols. A tuple is counted by reference and leaves with the last one.
//! A tuple is looked for by what its texts say: a short text is made a symbol only when its key is
//! not there, so that a row of a known key costs one look-up and not one for each text more.

use alloc::vec::Vec;
use hashbrown::HashTable;

use crate::{
    context::{Context, Fault},
    hash::{mix, mix_pair},
    memory,
    row::Row,
    slot::{BytesRef, Slot},
    symbols::SymbolId,
    types::DataType,
};

/// Number of a key in its table.
pub type KeyId = u32;

/// Distinct key tuples.
pub struct KeyTable {
    types: Vec<DataType>,
    slots: Vec<Slot>,
    nulls: Vec<u64>,
    references: Vec<u32>,
    /// Kept so that moving and removing an entry does not touch its values.
    hashes: Vec<u64>,
    index: HashTable<KeyId>,
    free: Vec<KeyId>,
    keys_max: usize,
    probe: Vec<Probe>,
    probe_nulls: u64,
    probe_hash: u64,
}

/// One column of what is looked for.
#[derive(Clone, Copy)]
struct Probe {
    slot: Slot,
    /// The length of the short text that it holds as words.
    short: u8,
    /// Whether its values are texts.
    is_text: bool,
}

/// A column of the probe that holds its slot: a symbol if it is a text.
const NO_WORDS: u8 = u8::MAX;

/// Hash of a key tuple.
pub(crate) fn hash_key(slots: &[Slot], nulls: u64) -> u64 {
    slots.iter().fold(nulls, |hash, slot| mix_pair(hash, slot.0, slot.1))
}

/// Adds a text to the hash of a key: by its words if it is short, so that it is the same wherever
/// the text lies.
#[inline]
fn mix_symbol(hash: u64, id: SymbolId, cx: &Context) -> u64 {
    match cx.symbols.short(id) {
        Some([first, second]) => mix_pair(hash, first, second),
        None => mix(hash, cx.symbols.hash(id)),
    }
}

/// Ends the hash of a key: most have no NULL.
#[inline]
fn mix_nulls(hash: u64, nulls: u64) -> u64 {
    if nulls == 0 { hash } else { mix(hash, nulls) }
}

impl Probe {
    fn of(data_type: &DataType) -> Self {
        Probe { slot: Slot::ZERO, short: NO_WORDS, is_text: data_type.is_referring() }
    }
}

impl KeyTable {
    /// An empty table for keys of these types.
    pub fn new(types: Vec<DataType>, keys_max: usize) -> Self {
        KeyTable {
            probe: types.iter().map(Probe::of).collect(),
            types,
            slots: Vec::new(),
            nulls: Vec::new(),
            references: Vec::new(),
            hashes: Vec::new(),
            index: HashTable::new(),
            free: Vec::new(),
            keys_max,
            probe_nulls: 0,
            probe_hash: 0,
        }
    }

    /// The key of `row` in these columns, if it is in the table; otherwise remembers it as the
    /// probe for a following [`insert`](KeyTable::insert). A text that is no symbol yet becomes one
    /// then: whoever does not insert calls [`discard_probe`](KeyTable::discard_probe). `Err` when
    /// the symbol table is full.
    pub fn find(
        &mut self,
        row: Row<'_>,
        columns: &[usize],
        cx: &mut Context,
    ) -> Result<Option<KeyId>, Fault> {
        let (mut nulls, mut hash) = (0, 0);
        for (index, (&column, probe)) in columns.iter().zip(&mut self.probe).enumerate() {
            probe.short = NO_WORDS;
            probe.slot = row.slots[column];
            if row.is_null(column) {
                nulls |= 1 << index;
                probe.slot = Slot::ZERO;
            } else if probe.is_text {
                if let Some((words, len)) = cx.short(probe.slot) {
                    (probe.slot, probe.short) = (Slot(words[0], words[1]), len);
                } else if let Some(id) = cx.intern(probe.slot) {
                    probe.slot = Slot::symbol(id);
                    hash = mix_symbol(hash, id, cx);
                    continue;
                } else {
                    // What was made for the columns before it goes.
                    self.probe_nulls = nulls | u64::MAX << index;
                    self.discard_probe(cx);
                    return Err(Fault::StateFull);
                }
            }
            hash = mix_pair(hash, probe.slot.0, probe.slot.1);
        }
        self.probe_nulls = nulls;
        self.probe_hash = mix_nulls(hash, nulls);
        match self.find_probe(cx) {
            Some(id) => {
                // Nothing was made for it, so there is nothing to give back.
                self.probe_nulls = u64::MAX;
                Ok(Some(id))
            }
            None => self.intern_probe(cx).map(|()| None),
        }
    }

    fn find_probe(&self, cx: &Context) -> Option<KeyId> {
        self.index.find(self.probe_hash, |&id| self.is_probe(id, cx)).copied()
    }

    #[inline]
    fn is_probe(&self, id: KeyId, cx: &Context) -> bool {
        let mut columns = self.key(id).iter().zip(&self.probe);
        let is_equal = columns.all(|(own, probe)| match probe.short {
            NO_WORDS => *own == probe.slot,
            len => match own.bytes_ref() {
                BytesRef::Symbol(id) => cx.symbols.is_short(id, [probe.slot.0, probe.slot.1], len),
                BytesRef::Arena(..) => false,
            },
        });
        is_equal && self.nulls[id as usize] == self.probe_nulls
    }

    /// Makes the short texts of the probe symbols.
    fn intern_probe(&mut self, cx: &mut Context) -> Result<(), Fault> {
        for index in 0..self.probe.len() {
            let probe = &mut self.probe[index];
            let len = core::mem::replace(&mut probe.short, NO_WORDS);
            if len == NO_WORDS {
                continue;
            }
            let Slot(first, second) = probe.slot;
            match cx.symbols.intern_short([first, second], usize::from(len)) {
                Some(id) => probe.slot = Slot::symbol(id),
                None => {
                    // Long texts behind it may have been made symbols already.
                    probe.slot = Slot::ZERO;
                    self.discard_probe(cx);
                    return Err(Fault::StateFull);
                }
            }
        }
        Ok(())
    }

    /// Whether all columns of the key that was found last are short texts: what looks for them
    /// again goes by what they say.
    #[inline]
    pub fn found_short_texts(&self) -> bool {
        self.probe.iter().all(|probe| probe.short != NO_WORDS)
    }

    /// Gives symbols back that the probe alone made.
    pub fn discard_probe(&mut self, cx: &mut Context) {
        for (index, probe) in self.probe.iter().enumerate() {
            if probe.is_text
                && self.probe_nulls >> index & 1 == 0
                && probe.short == NO_WORDS
                && let BytesRef::Symbol(id) = probe.slot.bytes_ref()
            {
                cx.symbols.discard(id);
            }
        }
    }

    /// Puts the probe into the table, without reference; `None` at the limit.
    pub fn insert(&mut self, cx: &mut Context) -> Option<KeyId> {
        if self.index.len() >= self.keys_max {
            self.discard_probe(cx);
            return None;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            let id = KeyId::try_from(self.nulls.len()).expect("keys_max fits 32 bits");
            self.slots.resize(self.slots.len() + self.types.len(), Slot::ZERO);
            self.nulls.push(0);
            self.references.push(0);
            self.hashes.push(0);
            id
        });
        let stride = self.types.len();
        let at = id as usize * stride;
        for (own, probe) in self.slots[at..at + stride].iter_mut().zip(&self.probe) {
            *own = probe.slot;
        }
        for symbol in symbols(&self.types, &self.slots[at..at + stride], self.probe_nulls) {
            cx.symbols.retain(symbol);
        }
        self.nulls[id as usize] = self.probe_nulls;
        self.references[id as usize] = 0;
        let hash = self.probe_hash;
        self.hashes[id as usize] = hash;
        let hashes = &self.hashes;
        self.index.insert_unique(hash, id, |&id| hashes[id as usize]);
        Some(id)
    }

    /// Finds or inserts a key that is being restored: symbols or plain values.
    pub fn restore(&mut self, slots: &[Slot], nulls: u64, cx: &mut Context) -> Option<KeyId> {
        self.probe_nulls = nulls;
        let mut hash = 0;
        for (index, (probe, slot)) in self.probe.iter_mut().zip(slots).enumerate() {
            (probe.slot, probe.short) = (*slot, NO_WORDS);
            hash = match slot.bytes_ref() {
                BytesRef::Symbol(id) if probe.is_text && nulls >> index & 1 == 0 => {
                    mix_symbol(hash, id, cx)
                }
                _ => mix_pair(hash, slot.0, slot.1),
            };
        }
        self.probe_hash = mix_nulls(hash, nulls);
        self.find_probe(cx).or_else(|| self.insert(cx))
    }

    /// Counts one more reference.
    pub fn retain(&mut self, id: KeyId) {
        self.references[id as usize] += 1;
    }

    /// Takes a reference back; the last one removes the key.
    #[inline]
    pub fn release(&mut self, id: KeyId, cx: &mut Context) {
        let references = &mut self.references[id as usize];
        assert!(*references > 0, "a key is released once for each retain");
        *references -= 1;
        if *references == 0 {
            self.remove(id, cx);
        }
    }

    #[inline(never)]
    fn remove(&mut self, id: KeyId, cx: &mut Context) {
        let stride = self.types.len();
        let at = id as usize * stride;
        let key = &self.slots[at..at + stride];
        let nulls = self.nulls[id as usize];
        if let Ok(found) = self.index.find_entry(self.hashes[id as usize], |&i| i == id) {
            found.remove();
        }
        for symbol in symbols(&self.types, key, nulls) {
            cx.symbols.release(symbol);
        }
        self.free.push(id);
    }

    /// The values of a key.
    pub fn key(&self, id: KeyId) -> &[Slot] {
        let stride = self.types.len();
        let at = id as usize * stride;
        &self.slots[at..at + stride]
    }

    /// The NULL bitmap of a key.
    pub fn nulls(&self, id: KeyId) -> u64 {
        self.nulls[id as usize]
    }

    /// Types of the key columns.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// Keys in the table.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes at the limit.
    pub fn memory_bytes_max(&self) -> usize {
        memory::vec_bytes::<Slot>(self.keys_max * self.types.len())
            + 2 * memory::vec_bytes::<u64>(self.keys_max)
            + 2 * memory::vec_bytes::<u32>(self.keys_max)
            + memory::table_bytes(self.keys_max)
    }
}

/// The symbols that a tuple refers to.
pub fn symbols(types: &[DataType], slots: &[Slot], nulls: u64) -> impl Iterator<Item = SymbolId> {
    types.iter().zip(slots).enumerate().filter_map(move |(index, (data_type, slot))| {
        if !data_type.is_referring() || nulls >> index & 1 == 1 {
            return None;
        }
        match slot.bytes_ref() {
            BytesRef::Symbol(id) => Some(id),
            BytesRef::Arena(..) => None,
        }
    })
}

#[cfg(test)]
mod tests;
