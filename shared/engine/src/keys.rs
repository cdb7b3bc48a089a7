//! Key tuples in keyed state: each distinct tuple once, as a dense number.
//!
//! Texts of a key become symbols. A tuple is counted by reference and leaves with the last one.
//! A tuple is looked for by what its texts say: a short text is made a symbol only when its key is
//! not there, so that a row of a known key costs one look-up and not one for each text more. What
//! is compared of a key lies in one place.

use alloc::{vec, vec::Vec};
use hashbrown::HashTable;

use crate::{
    context::{Context, Fault},
    hash::{mix, mix_pair},
    memory,
    packed::{pack, unpack},
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
    /// The values of each key, texts as symbols.
    slots: Vec<Slot>,
    /// The image of each key, by which it is found: NULL bitmap and hash, then its values, short
    /// texts as packed ones.
    images: Vec<Slot>,
    references: Vec<u32>,
    index: HashTable<KeyId>,
    free: Vec<KeyId>,
    keys_max: usize,
    /// The image of what is looked for.
    probe: Vec<Slot>,
    /// Its values with texts as symbols, once they are.
    made: Vec<Slot>,
    /// Columns of it whose texts are, one bit each.
    symbols: u64,
    /// Columns that are texts.
    texts: u64,
    is_all_texts: bool,
}

/// Slots of an image before the values. The hash is kept so that moving and removing an entry does
/// not touch them.
const HEADER: usize = 1;

/// A text as it stands in an image, and its symbol if it is one: a long text is made one. `None`
/// when the symbol table is full. The symbol is not looked for by what it says: while a checkpoint
/// is being restored, one that is gone may say the same.
#[inline(never)]
fn image(text: Slot, cx: &mut Context) -> Option<(Slot, Option<SymbolId>)> {
    let id = match text.bytes_ref() {
        BytesRef::Symbol(id) => id,
        BytesRef::Arena(..) => match cx.packed(text) {
            Some(text) => return Some((text, None)),
            None => cx.intern(text)?,
        },
    };
    let packed = cx.symbols.short(id).and_then(|(words, len)| pack(words, len));
    Some((packed.unwrap_or_else(|| Slot::symbol(id)), Some(id)))
}

/// Hash of a key tuple.
pub(crate) fn hash_key(slots: &[Slot], nulls: u64) -> u64 {
    slots.iter().fold(nulls, |hash, slot| mix_pair(hash, slot.0, slot.1))
}

/// Ends the hash of a key: most have no NULL.
#[inline]
fn mix_nulls(hash: u64, nulls: u64) -> u64 {
    if nulls == 0 { hash } else { mix(hash, nulls) }
}

impl KeyTable {
    /// An empty table for keys of these types.
    pub fn new(types: Vec<DataType>, keys_max: usize) -> Self {
        let texts = types.iter().enumerate().fold(0, |texts, (index, data_type)| {
            texts | u64::from(data_type.is_referring()) << index
        });
        KeyTable {
            probe: vec![Slot::ZERO; HEADER + types.len()],
            made: vec![Slot::ZERO; types.len()],
            symbols: 0,
            is_all_texts: types.iter().all(DataType::is_referring),
            texts,
            types,
            slots: Vec::new(),
            images: Vec::new(),
            references: Vec::new(),
            index: HashTable::new(),
            free: Vec::new(),
            keys_max,
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
        self.symbols = 0;
        match self.take_short(row, columns, cx) {
            Some(hash) => self.probe[0] = Slot(0, hash),
            None => self.take(row, columns, cx)?,
        }
        match self.find_probe() {
            Some(id) => Ok(Some(id)),
            None => self.intern_probe(cx).map(|()| None),
        }
    }

    /// The same, without a call for a key of nothing but short texts that is in the table.
    #[inline(always)]
    pub(crate) fn find_here(
        &mut self,
        row: Row<'_>,
        columns: &[usize],
        cx: &mut Context,
    ) -> Result<Option<KeyId>, Fault> {
        self.symbols = 0;
        if let Some(hash) = self.take_short(row, columns, cx) {
            self.probe[0] = Slot(0, hash);
            if let Some(id) = self.find_probe() {
                return Ok(Some(id));
            }
        }
        self.find(row, columns, cx)
    }

    /// Takes a key of nothing but short texts of the row to be the probe, as most are; gives its
    /// hash.
    #[inline]
    fn take_short(&mut self, row: Row<'_>, columns: &[usize], cx: &Context) -> Option<u64> {
        if row.nulls != 0 || !self.is_all_texts {
            return None;
        }
        let mut hash = 0;
        for (own, &column) in self.probe[HEADER..].iter_mut().zip(columns) {
            *own = cx.packed(row.slots[column])?;
            hash = mix_pair(hash, own.0, own.1);
        }
        Some(hash)
    }

    /// Takes any key to be the probe.
    #[inline(never)]
    fn take(&mut self, row: Row<'_>, columns: &[usize], cx: &mut Context) -> Result<(), Fault> {
        let (mut nulls, mut hash, texts) = (0, 0, self.texts);
        for (index, (own, &column)) in self.probe[HEADER..].iter_mut().zip(columns).enumerate() {
            let mut slot = row.slots[column];
            if row.is_null(column) {
                nulls |= 1 << index;
                slot = Slot::ZERO;
            } else if texts >> index & 1 == 1 {
                let Some((text, symbol)) = image(slot, cx) else {
                    // What was made for the columns before it goes.
                    self.discard_probe(cx);
                    return Err(Fault::StateFull);
                };
                if let Some(id) = symbol {
                    self.made[index] = Slot::symbol(id);
                    self.symbols |= 1 << index;
                }
                slot = text;
            }
            *own = slot;
            hash = mix_pair(hash, slot.0, slot.1);
        }
        self.probe[0] = Slot(nulls, mix_nulls(hash, nulls));
        Ok(())
    }

    #[inline]
    fn find_probe(&self) -> Option<KeyId> {
        let (probe, images) = (&self.probe[..], &self.images[..]);
        // Not with `HashTable::find`, which calls what compares through a pointer.
        let mut found = self.index.iter_hash(probe[0].1).copied();
        found.find(|&id| images[id as usize * probe.len()..][..probe.len()] == *probe)
    }

    /// Makes the short texts of the probe symbols.
    fn intern_probe(&mut self, cx: &mut Context) -> Result<(), Fault> {
        let nulls = self.probe[0].0;
        for index in 0..self.types.len() {
            if self.symbols >> index & 1 == 1 {
                continue;
            }
            let own = self.probe[HEADER + index];
            let is_text = (self.texts & !nulls) >> index & 1 == 1;
            self.made[index] = match unpack(own).filter(|_| is_text) {
                None => own,
                Some((words, len)) => match cx.symbols.intern_short(words, len) {
                    Some(id) => {
                        self.symbols |= 1 << index;
                        Slot::symbol(id)
                    }
                    None => {
                        // Long texts behind it may have been made symbols already.
                        self.discard_probe(cx);
                        return Err(Fault::StateFull);
                    }
                },
            };
        }
        Ok(())
    }

    /// Whether all columns of the key that was found last are short texts: what looks for them
    /// again goes by what they say.
    #[inline]
    pub fn found_short_texts(&self) -> bool {
        self.is_all_texts && self.symbols == 0 && self.probe[0].0 == 0
    }

    /// Gives symbols back that the probe alone made.
    pub fn discard_probe(&mut self, cx: &mut Context) {
        for (index, slot) in self.made.iter().enumerate() {
            if self.symbols >> index & 1 == 1
                && let BytesRef::Symbol(id) = slot.bytes_ref()
            {
                cx.symbols.discard(id);
            }
        }
        self.symbols = 0;
    }

    /// Puts the probe into the table, without reference; `None` at the limit.
    pub fn insert(&mut self, cx: &mut Context) -> Option<KeyId> {
        if self.index.len() >= self.keys_max {
            self.discard_probe(cx);
            return None;
        }
        let (stride, width) = (self.types.len(), self.probe.len());
        let id = self.free.pop().unwrap_or_else(|| {
            let id = KeyId::try_from(self.references.len()).expect("keys_max fits 32 bits");
            self.slots.resize(self.slots.len() + stride, Slot::ZERO);
            self.images.resize(self.images.len() + width, Slot::ZERO);
            self.references.push(0);
            id
        });
        let at = id as usize * stride;
        self.slots[at..at + stride].copy_from_slice(&self.made);
        let at = id as usize * width;
        self.images[at..at + width].copy_from_slice(&self.probe);
        let Slot(nulls, hash) = self.probe[0];
        for symbol in symbols(&self.types, &self.made, nulls) {
            cx.symbols.retain(symbol);
        }
        self.references[id as usize] = 0;
        let images = &self.images;
        self.index.insert_unique(hash, id, |&id| images[id as usize * width].1);
        Some(id)
    }

    /// Finds or inserts a key that is being restored: symbols or plain values.
    pub fn restore(&mut self, slots: &[Slot], nulls: u64, cx: &mut Context) -> Option<KeyId> {
        let (texts, mut hash) = (self.texts & !nulls, 0);
        self.made.copy_from_slice(slots);
        self.symbols = texts;
        for (index, (own, &slot)) in self.probe[HEADER..].iter_mut().zip(slots).enumerate() {
            *own = if texts >> index & 1 == 1 { image(slot, cx)?.0 } else { slot };
            hash = mix_pair(hash, own.0, own.1);
        }
        self.probe[0] = Slot(nulls, mix_nulls(hash, nulls));
        self.find_probe().or_else(|| self.insert(cx))
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
        let Slot(nulls, hash) = self.images[id as usize * self.probe.len()];
        if let Ok(found) = self.index.find_entry(hash, |&i| i == id) {
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
        self.images[id as usize * self.probe.len()].0
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
            + memory::vec_bytes::<Slot>(self.keys_max * self.probe.len())
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
