//! The symbol table: texts in keyed state, each stored once, counted by reference.
//!
//! A text becomes a symbol when it enters keyed state and leaves the table with its last
//! reference. Capacity is bounded in symbols and in bytes. Ids survive a checkpoint, so state may
//! name texts by id. A new text gets the smallest free id, so that ids are the same whether the
//! table lived on or was restored.

use alloc::{collections::BinaryHeap, vec::Vec};
use core::cmp::Reverse;
use hashbrown::HashTable;

use crate::{
    hash::{WORDS, hash_bytes, hash_words, words},
    memory,
};

mod text;

use text::{Spares, Text};

/// Number of a text in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(pub u32);

#[derive(Debug)]
struct Entry {
    text: Text,
    hash: u64,
    references: u32,
    is_live: bool,
    /// Its id is in `changed`.
    is_changed: bool,
}

fn unused() -> Entry {
    Entry { text: Text::EMPTY, hash: 0, references: 0, is_live: false, is_changed: false }
}

/// Texts by id and ids by text.
#[derive(Debug)]
pub struct Symbols {
    entries: Vec<Entry>,
    index: HashTable<u32>,
    free: BinaryHeap<Reverse<u32>>,
    spares: Spares,
    symbols_max: usize,
    bytes_max: usize,
    bytes_count: usize,
    changed: Vec<u32>,
    /// Between `restore` and `restored` texts without a reference stay: an entry that names them
    /// may be about to be replaced.
    is_restoring: bool,
}

impl Symbols {
    /// An empty table of at most `symbols_max` texts and `bytes_max` bytes.
    pub fn new(symbols_max: usize, bytes_max: usize) -> Self {
        Symbols {
            entries: Vec::new(),
            index: HashTable::new(),
            free: BinaryHeap::new(),
            spares: Spares::default(),
            symbols_max,
            bytes_max,
            bytes_count: 0,
            changed: Vec::new(),
            is_restoring: false,
        }
    }

    /// The id of `text`, new if need be, without counting a reference; `None` at the limit.
    ///
    /// A new symbol that gets no [`retain`](Symbols::retain) must be given back by
    /// [`discard`](Symbols::discard).
    pub fn intern(&mut self, text: &[u8]) -> Option<SymbolId> {
        if text.len() <= WORDS {
            return self.intern_short(words(text), text.len());
        }
        let hash = hash_bytes(text);
        let entries = &self.entries;
        let same = |&id: &u32| {
            let e = &entries[id as usize];
            e.hash == hash && e.text.is_long(text)
        };
        match self.index.find(hash, same) {
            Some(&id) => Some(SymbolId(id)),
            None => self.add(text, hash),
        }
    }

    /// The same for a text of no more than [`WORDS`] bytes.
    pub fn intern_short(&mut self, text: [u64; 2], len: usize) -> Option<SymbolId> {
        let hash = hash_words(text, len);
        let entries = &self.entries;
        let same = |&id: &u32| entries[id as usize].text.is_short(text, len);
        if let Some(&id) = self.index.find(hash, same) {
            return Some(SymbolId(id));
        }
        let [first, second] = text.map(u128::from);
        let bytes = (first | second << 64).to_le_bytes();
        self.add(&bytes[..len], hash)
    }

    fn add(&mut self, text: &[u8], hash: u64) -> Option<SymbolId> {
        if self.index.len() >= self.symbols_max
            || self.bytes_count + text.len() > self.bytes_max
            || text.len() > crate::limits::SYMBOL_BYTES_MAX
        {
            return None;
        }
        let id = match self.free.pop() {
            Some(Reverse(id)) => id,
            None => {
                let id = u32::try_from(self.entries.len()).ok()?;
                self.entries.push(unused());
                id
            }
        };
        let entry = &mut self.entries[id as usize];
        (entry.text, entry.hash, entry.is_live) = (self.spares.text(text), hash, true);
        self.insert_index(id, hash, text.len());
        self.note_change(id);
        Some(SymbolId(id))
    }

    fn note_change(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        if !entry.is_changed {
            entry.is_changed = true;
            self.changed.push(id);
        }
    }

    fn insert_index(&mut self, id: u32, hash: u64, len: usize) {
        let entries = &self.entries;
        self.index.insert_unique(hash, id, |&i| entries[i as usize].hash);
        self.bytes_count += len;
    }

    /// Counts one more reference.
    pub fn retain(&mut self, id: SymbolId) {
        self.entries[id.0 as usize].references += 1;
    }

    /// Takes one reference back; the last one frees the text.
    pub fn release(&mut self, id: SymbolId) {
        let entry = &mut self.entries[id.0 as usize];
        assert!(entry.references > 0, "a symbol is released once for each retain");
        entry.references -= 1;
        if !self.is_restoring {
            self.discard(id);
        }
    }

    /// Frees the text if nothing refers to it.
    pub fn discard(&mut self, id: SymbolId) {
        let entry = &mut self.entries[id.0 as usize];
        if entry.references > 0 || !entry.is_live {
            return;
        }
        entry.is_live = false;
        let text = core::mem::replace(&mut entry.text, Text::EMPTY);
        let hash = entry.hash;
        self.bytes_count -= text.bytes().len();
        self.spares.give_back(text);
        if let Ok(found) = self.index.find_entry(hash, |&i| i == id.0) {
            found.remove();
        }
        self.free.push(Reverse(id.0));
        self.note_change(id.0);
    }

    /// The text of a live symbol.
    pub fn text(&self, id: SymbolId) -> &[u8] {
        self.entries[id.0 as usize].text.bytes()
    }

    /// The words and the length of a live symbol's text of no more than [`WORDS`] bytes; `None` for
    /// a longer one.
    #[inline]
    pub(crate) fn short(&self, id: SymbolId) -> Option<([u64; 2], u8)> {
        self.entries[id.0 as usize].text.words()
    }

    /// Whether this number names a text now.
    pub fn is_live(&self, id: SymbolId) -> bool {
        self.entries.get(id.0 as usize).is_some_and(|e| e.is_live)
    }

    /// Live symbols.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Calls `write(id, text)` for what changed since the last call, or for all that lives;
    /// `None` for a symbol that is gone.
    pub fn checkpoint(&mut self, full: bool, write: &mut dyn FnMut(u32, Option<&[u8]>)) {
        if full {
            for (id, entry) in (0u32..).zip(&self.entries) {
                if entry.is_live {
                    write(id, Some(entry.text.bytes()));
                }
            }
        } else {
            self.changed.sort_unstable();
            for &id in &self.changed {
                let entry = &self.entries[id as usize];
                write(id, entry.is_live.then_some(entry.text.bytes()));
            }
        }
        self.forget_changes();
    }

    fn forget_changes(&mut self) {
        for id in self.changed.drain(..) {
            self.entries[id as usize].is_changed = false;
        }
    }

    /// From here to [`restored`](Symbols::restored) no text goes with its last reference.
    pub fn begin_restore(&mut self) {
        self.is_restoring = true;
    }

    /// Puts one change of [`checkpoint`](Symbols::checkpoint) back; false when it breaks a limit or
    /// replaces a text that is still in use. [`restored`](Symbols::restored) must follow.
    #[must_use]
    pub fn restore(&mut self, id: u32, text: Option<&[u8]>) -> bool {
        self.begin_restore();
        if id as usize >= self.symbols_max.saturating_mul(2) {
            return false;
        }
        while self.entries.len() <= id as usize {
            self.entries.push(unused());
        }
        self.discard(SymbolId(id));
        let entry = &mut self.entries[id as usize];
        if entry.is_live {
            return false;
        }
        if let Some(text) = text {
            let hash = hash_bytes(text);
            (entry.text, entry.hash, entry.is_live) = (self.spares.text(text), hash, true);
            self.insert_index(id, hash, text.len());
        }
        true
    }

    /// After a restore: drops what nothing retained and finds the free ids.
    pub fn restored(&mut self) {
        self.is_restoring = false;
        for id in (0..).take(self.entries.len()) {
            self.discard(SymbolId(id));
        }
        let entries = (0..).zip(&self.entries);
        self.free = entries.filter(|(_, e)| !e.is_live).map(|(id, _)| Reverse(id)).collect();
        self.forget_changes();
    }

    /// The largest memory it can come to hold, in bytes.
    pub fn memory_bytes_max(&self) -> usize {
        // A long text is an allocation of its own, rounded up and with what the allocator adds.
        const ALLOCATION_BYTES: usize = 32;
        memory::vec_bytes::<Entry>(self.symbols_max)
            + 2 * memory::vec_bytes::<u32>(self.symbols_max)
            + memory::table_bytes(self.symbols_max)
            + self.symbols_max * ALLOCATION_BYTES
            + self.bytes_max
            + Spares::memory_bytes_max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_id_while_it_is_referred_to() {
        let mut s = Symbols::new(2, 100);
        let a = s.intern(b"a").unwrap();
        s.retain(a);
        assert_eq!(s.intern(b"a"), Some(a));
        let b = s.intern(b"b").unwrap();
        assert_eq!(s.intern(b"c"), None, "two symbols are the limit");
        s.discard(b);
        let c = s.intern(b"c").unwrap();
        assert_eq!(s.text(c), b"c");
        s.release(a);
        assert_eq!(s.len(), 1);
    }

    #[test]
    fn restore_brings_back_ids() {
        let mut s = Symbols::new(10, 100);
        let ids: Vec<_> = [b"x", b"y", b"z"].iter().map(|t| s.intern(*t).unwrap()).collect();
        ids.iter().for_each(|&i| s.retain(i));
        s.release(ids[1]);
        let mut log = Vec::new();
        s.checkpoint(false, &mut |id, t| log.push((id, t.map(<[u8]>::to_vec))));
        let mut back = Symbols::new(10, 100);
        for (id, t) in &log {
            assert!(back.restore(*id, t.as_deref()));
        }
        back.retain(ids[0]);
        back.retain(ids[2]);
        back.restored();
        assert_eq!(back.text(ids[0]), b"x");
        assert_eq!(back.text(ids[2]), b"z");
        assert_eq!(back.len(), 2);
    }
}
