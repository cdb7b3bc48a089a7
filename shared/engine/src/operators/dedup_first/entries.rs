//! The keys that are known: waiting ones inside of their rows, emitted ones alone.
//!
//! A key that is remembered after its row has gone on moves to a place without the row's other
//! columns. A key that is forgotten with the next watermark stays where it is.

use alloc::vec::Vec;
use hashbrown::HashTable;

use super::places::{DIRTY, EMITTED, Header, LISTED, NO_SEQ, Places};
use super::probe::{Probe, spread};
use crate::{
    codec,
    context::{Context, Fault},
    limits::FIELDS_MAX,
    memory,
    operator::Timestamp,
    row::Row,
    slot::Slot,
    types::DataType,
};

/// Where an entry is: a place of a row, or with `KEPT` of a key alone.
pub(super) type EntryId = u32;

const KEPT: EntryId = 1 << 31;

/// All entries, by key.
pub(super) struct Entries {
    rows: Places,
    kept: Places,
    /// The key's columns in a row, and in a key alone.
    columns: [Vec<usize>; 2],
    index: HashTable<EntryId>,
    pub(super) probe: Probe,
    /// Entries that are not in the last checkpoint.
    dirty: Vec<EntryId>,
}

impl Entries {
    pub(super) fn new(types: Vec<DataType>, key: &[usize]) -> Self {
        let key_types: Vec<_> = key.iter().map(|&column| types[column].clone()).collect();
        let alone: Vec<_> = (0..key.len()).collect();
        Entries {
            rows: Places::new(types, key),
            kept: Places::new(key_types.clone(), &alone),
            columns: [key.to_vec(), alone],
            index: HashTable::new(),
            probe: Probe::new(key_types),
            dirty: Vec::new(),
        }
    }

    /// Takes the key of `row` as the probe, see [`Probe::take`].
    pub(super) fn take_probe(&mut self, row: Row<'_>, cx: &mut Context) -> Result<(), Fault> {
        self.probe.take(row, &self.columns[0], cx)
    }

    /// The entry of the probe's key.
    pub(super) fn find(&self) -> Option<EntryId> {
        self.index.find(spread(self.probe.hash), |&id| self.is_probe(id)).copied()
    }

    fn is_probe(&self, id: EntryId) -> bool {
        let (places, columns, place) = self.place(id);
        let (values, header) = (places.values(place), places.header(place));
        header.hash == self.probe.hash
            && columns.iter().enumerate().all(|(index, &column)| {
                values[column] == self.probe.slots[index]
                    && (header.nulls >> column ^ self.probe.nulls >> index) & 1 == 0
            })
    }

    fn place(&self, id: EntryId) -> (&Places, &[usize], u32) {
        match id & KEPT {
            0 => (&self.rows, &self.columns[0], id),
            _ => (&self.kept, &self.columns[1], id & !KEPT),
        }
    }

    /// Lets `row`, whose key is the probe, wait as a new entry, or instead of entry `old`; `None`
    /// when the symbol table is full.
    pub(super) fn insert(
        &mut self,
        row: Row<'_>,
        old: Option<EntryId>,
        (time, seq): (Timestamp, u64),
        cx: &mut Context,
    ) -> Option<EntryId> {
        let header = Header { time, seq, nulls: row.nulls, hash: self.probe.hash, flags: 0 };
        let id = self.rows.store(row, (&self.columns[0], &self.probe.slots), header, cx)?;
        match old {
            Some(old) => self.point(old, id),
            None => self.enter(id),
        }
        Some(id)
    }

    fn enter(&mut self, id: EntryId) {
        let hash = spread(self.header(id).hash);
        let (rows, kept) = (&self.rows, &self.kept);
        self.index.insert_unique(hash, id, |&id| match id & KEPT {
            0 => spread(rows.header(id).hash),
            _ => spread(kept.header(id & !KEPT).hash),
        });
    }

    /// Lets the index say `new` where it says `old`.
    fn point(&mut self, old: EntryId, new: EntryId) {
        let hash = spread(self.header(old).hash);
        *self.index.find_mut(hash, |&id| id == old).expect("an entry is in the index") = new;
    }

    /// Marks an entry for the next checkpoint.
    pub(super) fn touch(&mut self, id: EntryId) {
        let header = self.header(id);
        if !header.has(LISTED) {
            self.dirty.push(id);
        }
        self.set_flags(id, header.flags | DIRTY | LISTED);
    }

    fn set_flags(&mut self, id: EntryId, flags: u32) {
        match id & KEPT {
            0 => self.rows.set_header(id, Header { flags, ..self.rows.header(id) }),
            _ => {
                let place = id & !KEPT;
                self.kept.set_header(place, Header { flags, ..self.kept.header(place) });
            }
        }
    }

    /// The row of an entry has gone on: its other texts are let go. With `moves` the key gets a
    /// place of its own. Gives the number that the entry has from now on.
    pub(super) fn emitted(&mut self, id: EntryId, moves: bool, cx: &mut Context) -> EntryId {
        self.rows.release_others(id, cx);
        let header = self.rows.header(id);
        if !moves {
            self.set_flags(id, header.flags | EMITTED);
            return id;
        }
        for (index, &column) in self.columns[0].iter().enumerate() {
            self.probe.slots[index] = self.rows.values(id)[column];
        }
        let nulls = self.key_nulls(id);
        let new = self.keep(Header { nulls, flags: EMITTED, ..header }, cx);
        self.point(id, new);
        if header.has(DIRTY) {
            self.touch(new);
        }
        self.rows.release_key(id, cx);
        new
    }

    /// A place for the probe alone, not yet in the index.
    fn keep(&mut self, header: Header, cx: &mut Context) -> EntryId {
        let row = Row::insert(&self.probe.slots, header.nulls);
        let place = self.kept.store(row, (&[], &[]), header, cx);
        place.expect("a key alone has no other texts") | KEPT
    }

    /// Forgets an entry.
    pub(super) fn remove(&mut self, id: EntryId, cx: &mut Context) {
        let hash = spread(self.header(id).hash);
        if let Ok(found) = self.index.find_entry(hash, |&i| i == id) {
            found.remove();
        }
        self.release(id, cx);
    }

    /// Frees the place of an entry that the index does not name any more.
    pub(super) fn release(&mut self, id: EntryId, cx: &mut Context) {
        match id & KEPT {
            0 => {
                if !self.rows.header(id).has(EMITTED) {
                    self.rows.release_others(id, cx);
                }
                self.rows.release_key(id, cx);
            }
            _ => self.kept.release_key(id & !KEPT, cx),
        }
    }

    pub(super) fn header(&self, id: EntryId) -> Header {
        let (places, _, place) = self.place(id);
        places.header(place)
    }

    /// The row of a waiting entry.
    pub(super) fn row(&self, id: EntryId) -> Row<'_> {
        self.rows.row(id)
    }

    /// Reads from a row, so that it comes into the cache.
    pub(super) fn touch_row(&self, id: EntryId) -> u64 {
        self.rows.touch(id)
    }

    /// The NULL bitmap of an entry's key.
    fn key_nulls(&self, id: EntryId) -> u64 {
        let (_, columns, _) = self.place(id);
        let nulls = self.header(id).nulls;
        let bits = columns.iter().enumerate();
        bits.fold(0, |key, (index, &column)| key | (nulls >> column & 1) << index)
    }

    /// Keys that are known.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Moves the numbers of entries that changed since the last call, or of all, into `into`, by
    /// arrival: so that the bytes of a checkpoint do not depend on which places entries got.
    pub(super) fn take_changed(&mut self, all: bool, into: &mut Vec<EntryId>) {
        into.clear();
        let mut dirty = core::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            let header = self.header(id);
            self.set_flags(id, header.flags & !(LISTED | DIRTY));
            if header.has(DIRTY) && header.seq != NO_SEQ && !all {
                into.push(id);
            }
        }
        self.dirty = dirty;
        if all {
            into.extend(self.index.iter());
        }
        into.sort_unstable_by_key(|&id| self.header(id).seq);
    }

    /// Appends an entry's key, and its row while it waits.
    pub(super) fn encode(&mut self, id: EntryId, value: &mut Vec<u8>, cx: &Context) {
        let (places, columns, place) = self.place(id);
        let mut key = heapless::Vec::<Slot, FIELDS_MAX>::new();
        key.extend(columns.iter().map(|&column| places.values(place)[column]));
        codec::put_row(value, &key, self.key_nulls(id), self.kept.types(), cx);
        if !self.header(id).has(EMITTED) {
            let row = self.row(id);
            codec::put_row(value, row.slots, row.nulls, self.rows.types(), cx);
        }
    }

    /// Reads what [`encode`](Entries::encode) wrote as an entry that the index names: the entry,
    /// and the one of the same key that it named before, for the caller to release.
    pub(super) fn decode(
        &mut self,
        (time, seq): (Timestamp, u64),
        value: &mut &[u8],
        cx: &mut Context,
    ) -> Option<(EntryId, Option<EntryId>)> {
        let mut slots = [Slot::ZERO; FIELDS_MAX];
        let width = self.probe.slots.len();
        self.probe.nulls = codec::take_row(value, &mut slots[..width], self.kept.types(), cx)?;
        self.probe.slots.copy_from_slice(&slots[..width]);
        self.probe.set_hash();
        let old = self.find();
        if !value.is_empty() {
            let width = self.rows.types().len();
            let nulls = codec::take_row(value, &mut slots[..width], self.rows.types(), cx)?;
            let row = Row::insert(&slots[..width], nulls);
            return Some((self.insert(row, old, (time, seq), cx)?, old));
        }
        let (nulls, hash) = (self.probe.nulls, self.probe.hash);
        let id = self.keep(Header { time, seq, nulls, hash, flags: EMITTED }, cx);
        match old {
            Some(old) => self.point(old, id),
            None => self.enter(id),
        }
        Some((id, old))
    }

    pub(super) fn memory_bytes_max(&self, entries: usize) -> usize {
        // A row that takes the place of another is stored before that one is released.
        let places = 2 * (entries + 1);
        self.rows.memory_bytes_max(entries + 1)
            + self.kept.memory_bytes_max(entries)
            + memory::table_bytes(entries)
            + memory::vec_bytes::<EntryId>(places)
    }
}
