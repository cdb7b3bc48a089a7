//! Rows in keyed state: of each key a list in order of time, equal times in order of arrival.
//!
//! What joins, OVER, Top-N, pattern detection and sorting keep. A row has a number, a time, an
//! arrival number that never changes, and a tag: a word that is the operator's own. A checkpoint
//! holds the rows that came, changed their tag or went since the last one; a row that came and
//! went in between is not written. Bounded by `rows_max`; the operator decides what happens at
//! the limit. It knows no watermark.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    context::{Context, Fault},
    keys::{KeyId, KeyTable},
    memory,
    operator::Timestamp,
    row::Row,
    slot::Slot,
    types::DataType,
};

pub(crate) mod slab;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use slab::Slab;

/// Number of a row in its store.
pub type RowId = u32;
/// No row.
const NONE: RowId = RowId::MAX;

/// What is known of a row besides its values, which are in the slab under the same number, and its
/// tag. Two of them fill a line of the cache.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Entry {
    time: Timestamp,
    seq: u64,
    key: KeyId,
    previous: RowId,
    next: RowId,
    is_used: bool,
    /// An earlier checkpoint holds it.
    is_stored: bool,
    /// The last checkpoint does not hold it as it is.
    is_dirty: bool,
    /// Its number is in `dirty`, for this row or for one before in the same place.
    is_listed: bool,
}

const UNUSED: Entry = Entry {
    time: 0,
    seq: 0,
    key: 0,
    previous: NONE,
    next: NONE,
    is_used: false,
    is_stored: false,
    is_dirty: false,
    is_listed: false,
};

const _: () = assert!(size_of::<Entry>() == 32);

/// The rows of one key.
#[derive(Clone, Copy)]
struct List {
    first: RowId,
    last: RowId,
    count: u32,
}

const EMPTY: List = List { first: NONE, last: NONE, count: 0 };

/// The store.
pub struct Rows {
    key: Vec<usize>,
    rows_max: usize,
    keys: KeyTable,
    lists: Vec<List>,
    slab: Slab,
    entries: Vec<Entry>,
    /// Up to the last row whose tag is not 0: some operators have none.
    tags: Vec<u64>,
    count: usize,
    next_seq: u64,
    /// `next_seq` as the last checkpoint holds it.
    stored_seq: u64,
    dirty: Vec<RowId>,
    /// Arrival numbers of stored rows that are gone.
    deleted: Vec<u64>,
    /// Rows by arrival number while a checkpoint is being restored.
    restoring: BTreeMap<u64, RowId>,
}

/// Where a row stands among those of its key.
#[derive(Clone, Copy, Debug)]
pub struct Stand {
    /// The time that it was stored under.
    pub time: Timestamp,
    /// Its place in the order of arrival.
    pub seq: u64,
    /// The row after it.
    pub next: Option<RowId>,
}

fn some(id: RowId) -> Option<RowId> {
    (id != NONE).then_some(id)
}

impl Rows {
    /// For rows of these types with the key in the columns `key`, at most `rows_max`.
    pub fn new(types: &[DataType], key: &[usize], rows_max: usize) -> Self {
        let key_types = key.iter().map(|&column| types[column].clone()).collect();
        Rows {
            key: key.to_vec(),
            rows_max,
            keys: KeyTable::new(key_types, rows_max + 1),
            lists: Vec::new(),
            slab: Slab::new(types, key),
            entries: Vec::new(),
            tags: Vec::new(),
            count: 0,
            next_seq: 0,
            stored_seq: 0,
            dirty: Vec::new(),
            deleted: Vec::new(),
            restoring: BTreeMap::new(),
        }
    }

    /// The key that has the values of `row` in `columns`, if it has rows. A row of another schema
    /// can be asked for too: a join looks for the key of the other side.
    pub fn find(&mut self, row: Row<'_>, columns: &[usize], cx: &mut Context) -> Option<KeyId> {
        match self.keys.find(row, columns, cx) {
            Ok(Some(key)) => Some(key),
            Ok(None) => {
                self.keys.discard_probe(cx);
                None
            }
            // A text that finds no room in the symbol table is in no stored row.
            Err(_) => None,
        }
    }

    /// Keeps a row; `Err` at the limit of rows or texts.
    pub fn insert(
        &mut self,
        row: Row<'_>,
        time: Timestamp,
        tag: u64,
        cx: &mut Context,
    ) -> Result<RowId, Fault> {
        let (key, _) = self.key_of(row, cx)?;
        self.insert_at(key, row, time, tag, cx)
    }

    /// The key of a row, new if need be, and whether it is new. A new key must be given a row or be
    /// [held](Rows::hold) next.
    #[inline]
    pub fn key_of(&mut self, row: Row<'_>, cx: &mut Context) -> Result<(KeyId, bool), Fault> {
        match self.keys.find(row, &self.key, cx)? {
            Some(key) => Ok((key, false)),
            None => Ok((self.keys.insert(cx).ok_or(Fault::StateFull)?, true)),
        }
    }

    /// Keeps a row whose key [`key_of`](Rows::key_of) has found; a new key that is not held goes
    /// with an `Err`.
    #[inline]
    pub fn insert_at(
        &mut self,
        key: KeyId,
        row: Row<'_>,
        time: Timestamp,
        tag: u64,
        cx: &mut Context,
    ) -> Result<RowId, Fault> {
        if self.count >= self.rows_max {
            self.hold(key);
            self.let_go(key, cx);
            return Err(Fault::StateFull);
        }
        let seq = self.next_seq;
        let id = self.put(key, row, Entry { time, seq, is_dirty: true, ..UNUSED }, tag, cx)?;
        self.next_seq += 1;
        Ok(id)
    }

    /// Keeps a key also without rows.
    pub fn hold(&mut self, key: KeyId) {
        self.keys.retain(key);
    }

    /// Takes one [`hold`](Rows::hold) back.
    pub fn let_go(&mut self, key: KeyId, cx: &mut Context) {
        self.keys.release(key, cx);
    }

    /// The values of a key and its NULL bitmap.
    pub fn key_values(&self, key: KeyId) -> (&[Slot], u64) {
        (self.keys.key(key), self.keys.nulls(key))
    }

    /// Types of the key columns.
    pub fn key_types(&self) -> &[DataType] {
        self.keys.types()
    }

    /// Finds or makes a key that is being restored, and holds it.
    pub fn restore_key(&mut self, slots: &[Slot], nulls: u64, cx: &mut Context) -> Option<KeyId> {
        let key = self.keys.restore(slots, nulls, cx)?;
        self.keys.retain(key);
        Some(key)
    }

    #[inline]
    fn put(
        &mut self,
        key: KeyId,
        row: Row<'_>,
        entry: Entry,
        tag: u64,
        cx: &mut Context,
    ) -> Result<RowId, Fault> {
        // Held before the values are stored, so that the key's texts cannot go.
        self.keys.retain(key);
        let Some(id) = self.slab.store(row, self.keys.key(key), cx) else {
            self.keys.release(key, cx);
            return Err(Fault::StateFull);
        };
        if self.entries.len() <= id as usize || self.lists.len() <= key as usize {
            self.make_places(id, key);
        }
        let (previous, next) = self.link(id, key, (entry.time, entry.seq));
        let own = &mut self.entries[id as usize];
        let was_listed = own.is_listed;
        let is_listed = was_listed || entry.is_dirty;
        *own = Entry { key, previous, next, is_used: true, is_listed, ..entry };
        if is_listed && !was_listed {
            self.dirty.push(id);
        }
        if tag != 0 || !self.tags.is_empty() {
            self.put_tag(id, tag);
        }
        self.count += 1;
        Ok(id)
    }

    #[cold]
    fn make_places(&mut self, id: RowId, key: KeyId) {
        if self.entries.len() <= id as usize {
            self.entries.resize(id as usize + 1, UNUSED);
        }
        if self.lists.len() <= key as usize {
            self.lists.resize(key as usize + 1, EMPTY);
        }
    }

    /// Puts a row into its key's list: from the end, where most belong. Gives its neighbours.
    #[inline]
    fn link(&mut self, id: RowId, key: KeyId, own: (Timestamp, u64)) -> (RowId, RowId) {
        let list = &mut self.lists[key as usize];
        let mut previous = list.last;
        while let Some(at) = some(previous) {
            let other = &self.entries[at as usize];
            if (other.time, other.seq) < own {
                break;
            }
            previous = other.previous;
        }
        list.count += 1;
        let next = match some(previous) {
            Some(at) => core::mem::replace(&mut self.entries[at as usize].next, id),
            None => core::mem::replace(&mut list.first, id),
        };
        match some(next) {
            Some(at) => self.entries[at as usize].previous = id,
            None => list.last = id,
        }
        (previous, next)
    }

    /// Forgets a row.
    #[inline]
    pub fn remove(&mut self, id: RowId, cx: &mut Context) {
        let Entry { seq, is_stored, .. } = self.entries[id as usize];
        if is_stored {
            self.deleted.push(seq);
        }
        self.take_out(id, cx);
    }

    #[inline]
    fn take_out(&mut self, id: RowId, cx: &mut Context) {
        let Entry { key, previous, next, is_used, is_listed, .. } = self.entries[id as usize];
        assert!(is_used, "a row is removed once");
        let list = &mut self.lists[key as usize];
        list.count -= 1;
        match some(previous) {
            Some(at) => self.entries[at as usize].next = next,
            None => list.first = next,
        }
        match some(next) {
            Some(at) => self.entries[at as usize].previous = previous,
            None => list.last = previous,
        }
        self.entries[id as usize] = Entry { is_listed, ..UNUSED };
        self.count -= 1;
        self.slab.release(id, cx);
        self.keys.release(key, cx);
    }

    fn touch(&mut self, id: RowId) {
        let entry = &mut self.entries[id as usize];
        entry.is_dirty = true;
        if !entry.is_listed {
            entry.is_listed = true;
            self.dirty.push(id);
        }
    }

    /// Sets the operator's word of a row.
    pub fn set_tag(&mut self, id: RowId, tag: u64) {
        if self.tag(id) != tag {
            self.put_tag(id, tag);
            self.touch(id);
        }
    }

    fn put_tag(&mut self, id: RowId, tag: u64) {
        if let Some(own) = self.tags.get_mut(id as usize) {
            *own = tag;
        } else if tag != 0 {
            self.tags.resize(id as usize, 0);
            self.tags.push(tag);
        }
    }

    /// Reads a row and the earliest two of its key, so that they are near when their turn comes: a
    /// row that waited for seconds has left the cache. What it gives means nothing.
    pub fn fetch(&self, id: RowId) -> u64 {
        let entry = &self.entries[id as usize];
        let first = self.lists[entry.key as usize].first;
        let Some(earliest) = self.entries.get(first as usize) else { return 0 };
        let second = self.entries.get(earliest.next as usize).map_or(0, |second| second.seq);
        entry.seq ^ second ^ self.slab.fetch(id) ^ self.slab.fetch(first)
    }

    /// The same of a row alone.
    pub fn fetch_one(&self, id: RowId) -> u64 {
        self.entries[id as usize].seq ^ self.slab.fetch(id)
    }

    /// The values.
    pub fn get(&self, id: RowId) -> Row<'_> {
        self.slab.get(id)
    }

    /// Time, arrival number and neighbour in one look.
    #[inline]
    pub fn stand(&self, id: RowId) -> Stand {
        let Entry { time, seq, next, .. } = self.entries[id as usize];
        Stand { time, seq, next: some(next) }
    }

    /// The time that it was stored under.
    pub fn time(&self, id: RowId) -> Timestamp {
        self.entries[id as usize].time
    }

    /// Its place in the order of arrival, over all keys.
    pub fn seq(&self, id: RowId) -> u64 {
        self.entries[id as usize].seq
    }

    /// The operator's word.
    pub fn tag(&self, id: RowId) -> u64 {
        self.tags.get(id as usize).copied().unwrap_or(0)
    }

    /// Its key.
    pub fn key(&self, id: RowId) -> KeyId {
        self.entries[id as usize].key
    }

    /// The earliest row of a key.
    pub fn first(&self, key: KeyId) -> Option<RowId> {
        some(self.lists.get(key as usize)?.first)
    }

    /// The latest row of a key.
    pub fn last(&self, key: KeyId) -> Option<RowId> {
        some(self.lists.get(key as usize)?.last)
    }

    /// The row of the same key after this one.
    pub fn next(&self, id: RowId) -> Option<RowId> {
        some(self.entries[id as usize].next)
    }

    /// The row of the same key before this one.
    pub fn previous(&self, id: RowId) -> Option<RowId> {
        some(self.entries[id as usize].previous)
    }

    /// The rows of a key from the earliest on.
    pub fn of(&self, key: KeyId) -> impl Iterator<Item = RowId> + '_ {
        core::iter::successors(self.first(key), |&id| self.next(id))
    }

    /// The first row of a key that has the values of `row`, NULLs being equal.
    pub fn find_equal(&self, key: KeyId, row: Row<'_>, cx: &Context) -> Option<RowId> {
        self.of(key).find(|id| self.slab.is_equal(*id, row, cx))
    }

    /// Rows of a key.
    pub fn count(&self, key: KeyId) -> usize {
        self.lists.get(key as usize).map_or(0, |list| list.count as usize)
    }

    /// All rows in order of arrival: for what an operator builds anew after a restart.
    pub fn by_arrival(&self) -> Vec<RowId> {
        let used = |id: &RowId| self.entries[*id as usize].is_used;
        let mut ids: Vec<RowId> = (0..).take(self.entries.len()).filter(used).collect();
        ids.sort_unstable_by_key(|&id| self.seq(id));
        ids
    }

    /// All rows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the next row finds no room.
    pub fn is_full(&self) -> bool {
        self.count >= self.rows_max
    }

    /// Bytes at the limit.
    pub fn memory_bytes_max(&self) -> usize {
        let rows = self.rows_max;
        self.keys.memory_bytes_max()
            + self.slab.memory_bytes_max(rows)
            + memory::vec_bytes::<Entry>(rows)
            + memory::vec_bytes::<List>(rows + 1)
            + memory::vec_bytes::<RowId>(rows)
            + 2 * memory::vec_bytes::<u64>(rows)
    }
}
