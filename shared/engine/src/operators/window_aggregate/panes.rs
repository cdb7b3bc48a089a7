//! Panes: accumulator states by slice and key, in places that are used again.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use hashbrown::HashTable;

use crate::{
    aggregate::{Accumulator, Calls},
    context::Context,
    hash::mix,
    keys::{KeyId, KeyTable},
    limits::FIELDS_MAX,
    memory,
    operator::Timestamp,
    row::Row,
    types::DataType,
};

/// Number of a pane.
pub(super) type PaneId = u32;

/// What is known of a pane besides its accumulators.
#[derive(Clone, Copy, Default)]
pub(super) struct Pane {
    pub(super) slice: Timestamp,
    /// End of the first window that it counts in (phases `Partial` and `Merge`).
    pub(super) from: Timestamp,
    pub(super) key: KeyId,
    /// Order of creation; names the pane in checkpoints.
    pub(super) seq: u64,
    /// Partials that came after the slice's windows had fired.
    pub(super) corrections: u32,
    pub(super) is_dirty: bool,
    /// Its number is in `dirty`, for this pane or for one before in the same place.
    is_listed: bool,
    pub(super) is_used: bool,
    /// Made for a partial that is not yet added.
    pub(super) is_empty: bool,
}

/// The panes of one slice, in order of creation.
pub(super) struct Slice {
    pub(super) start: Timestamp,
    pub(super) panes: Vec<PaneId>,
    /// All its windows have fired (phase `Merge`).
    pub(super) is_closed: bool,
    /// Differs from what cold state holds.
    pub(super) is_dirty: bool,
    /// The smallest `from` of its panes.
    pub(super) first_from: Timestamp,
}

/// All panes of a step.
pub(super) struct Panes {
    pub(super) keys: KeyTable,
    pub(super) accumulators: Vec<Box<dyn Accumulator>>,
    panes: Vec<Pane>,
    index: HashTable<PaneId>,
    free: Vec<PaneId>,
    /// Slices with panes, oldest first.
    pub(super) slices: VecDeque<Slice>,
    spare: Vec<Vec<PaneId>>,
    /// The pane used last of each key: most rows find theirs here.
    last: Vec<PaneId>,
    panes_max: usize,
    /// Panes beyond the limit in which hopping windows are put together.
    scratch_max: usize,
    pub(super) next_seq: u64,
    dirty: Vec<PaneId>,
    /// For use by one call at a time.
    pub(super) spare_list: Vec<PaneId>,
}

#[expect(clippy::cast_sign_loss, reason = "bit patterns are hashed")]
fn hash_pane(slice: Timestamp, from: Timestamp, key: KeyId) -> u64 {
    mix(mix(u64::from(key), slice as u64), from as u64)
}

impl Panes {
    pub(super) fn new(
        key_types: Vec<DataType>,
        calls: &Calls,
        slices_per_window: i64,
        panes_max: usize,
    ) -> Self {
        Panes {
            keys: KeyTable::new(key_types, panes_max),
            accumulators: calls.accumulators(),
            panes: Vec::new(),
            index: HashTable::new(),
            free: Vec::new(),
            slices: VecDeque::new(),
            spare: Vec::new(),
            last: Vec::new(),
            panes_max,
            scratch_max: if slices_per_window > 1 { panes_max } else { 1 },
            next_seq: 0,
            dirty: Vec::new(),
            spare_list: Vec::new(),
        }
    }

    pub(super) fn get(&self, pane: PaneId) -> Pane {
        self.panes[pane as usize]
    }

    pub(super) fn get_mut(&mut self, pane: PaneId) -> &mut Pane {
        &mut self.panes[pane as usize]
    }

    /// The pane of a row's key; `None` at a limit. Tells whether it is new. Marks it as changed.
    pub(super) fn find_or_insert(
        &mut self,
        row: Row<'_>,
        columns: &[usize],
        slice: Timestamp,
        from: Timestamp,
        context: &mut Context,
    ) -> Option<(PaneId, bool)> {
        let key = self.keys.find(row, columns, context).ok()?;
        if let Some(key) = key
            && let Some(pane) = self.find(slice, from, key)
        {
            self.touch(pane);
            return Some((pane, false));
        }
        if self.index.len() >= self.panes_max {
            if key.is_none() {
                self.keys.discard_probe(context);
            }
            return None;
        }
        let key = match key {
            Some(key) => key,
            None => self.keys.insert(context)?,
        };
        let pane = self.insert(slice, from, key);
        self.touch(pane);
        Some((pane, true))
    }

    /// The pane with this slice, first window and key.
    pub(super) fn find(&mut self, slice: Timestamp, from: Timestamp, key: KeyId) -> Option<PaneId> {
        let is_it = |p: &Pane| p.is_used && p.slice == slice && p.from == from && p.key == key;
        if let Some(&pane) = self.last.get(key as usize)
            && self.panes.get(pane as usize).is_some_and(is_it)
        {
            return Some(pane);
        }
        let panes = &self.panes;
        let hash = hash_pane(slice, from, key);
        let pane = *self.index.find(hash, |&p| is_it(&panes[p as usize]))?;
        self.remember(key, pane);
        Some(pane)
    }

    fn remember(&mut self, key: KeyId, pane: PaneId) {
        if self.last.len() <= key as usize {
            self.last.resize(key as usize + 1, 0);
        }
        self.last[key as usize] = pane;
    }

    /// Marks a pane for the next checkpoint.
    pub(super) fn touch(&mut self, pane: PaneId) {
        let entry = &mut self.panes[pane as usize];
        entry.is_dirty = true;
        if !entry.is_listed {
            entry.is_listed = true;
            self.dirty.push(pane);
        }
    }

    /// Moves the numbers of panes that changed since the last call, or of all, into `into`, in
    /// order of creation: so that the bytes of a checkpoint do not depend on which places panes
    /// got.
    pub(super) fn take_changed(&mut self, all: bool, into: &mut Vec<PaneId>) {
        into.clear();
        let panes = &mut self.panes;
        for pane in self.dirty.drain(..) {
            let entry = &mut panes[pane as usize];
            entry.is_listed = false;
            if core::mem::take(&mut entry.is_dirty) && entry.is_used && !all {
                into.push(pane);
            }
        }
        if all {
            into.extend(self.slices.iter().flat_map(|slice| &slice.panes));
        }
        into.sort_unstable_by_key(|&pane| panes[pane as usize].seq);
    }

    fn allocate(&mut self) -> PaneId {
        self.free.pop().unwrap_or_else(|| {
            let pane = PaneId::try_from(self.panes.len()).expect("panes_max fits 32 bits");
            self.panes.push(Pane::default());
            for accumulator in &mut self.accumulators {
                accumulator.reserve(self.panes.len());
            }
            pane
        })
    }

    /// A new empty pane, in its slice and in the index.
    pub(super) fn insert(&mut self, slice: Timestamp, from: Timestamp, key: KeyId) -> PaneId {
        let pane = self.allocate();
        let seq = self.next_seq;
        self.next_seq += 1;
        let is_listed = self.panes[pane as usize].is_listed;
        self.panes[pane as usize] = Pane {
            slice,
            from,
            key,
            seq,
            is_used: true,
            is_empty: true,
            is_listed,
            ..Pane::default()
        };
        self.keys.retain(key);
        let panes = &self.panes;
        self.index.insert_unique(hash_pane(slice, from, key), pane, |&p| {
            let p = &panes[p as usize];
            hash_pane(p.slice, p.from, p.key)
        });
        self.remember(key, pane);
        let at = self.slice_or_insert(slice);
        let slice = &mut self.slices[at];
        slice.panes.push(pane);
        slice.first_from = slice.first_from.min(from);
        pane
    }

    /// Position of the slice with this start.
    pub(super) fn slice_at(&self, start: Timestamp) -> Option<usize> {
        self.slices.binary_search_by_key(&start, |slice| slice.start).ok()
    }

    /// Position of the slice with this start, empty and open if it is new.
    pub(super) fn slice_or_insert(&mut self, start: Timestamp) -> usize {
        match self.slices.binary_search_by_key(&start, |slice| slice.start) {
            Ok(at) => at,
            Err(at) => {
                let panes = self.spare.pop().unwrap_or_default();
                let slice = Slice {
                    start,
                    panes,
                    is_closed: false,
                    is_dirty: false,
                    first_from: Timestamp::MAX,
                };
                self.slices.insert(at, slice);
                at
            }
        }
    }

    /// Removes a pane from everything but its slice's list.
    pub(super) fn remove(&mut self, pane: PaneId, context: &mut Context) {
        let Pane { slice, from, key, .. } = self.panes[pane as usize];
        let hash = hash_pane(slice, from, key);
        if let Ok(found) = self.index.find_entry(hash, |&p| p == pane) {
            found.remove();
        }
        self.keys.release(key, context);
        self.clear(pane, context);
    }

    fn clear(&mut self, pane: PaneId, context: &mut Context) {
        for accumulator in &mut self.accumulators {
            accumulator.clear(pane as usize, context);
        }
        let entry = &mut self.panes[pane as usize];
        entry.is_used = false;
        entry.is_dirty = false;
        self.free.push(pane);
    }

    /// A pane outside of index and slices, in which a window is put together.
    pub(super) fn scratch(&mut self, key: KeyId) -> PaneId {
        let pane = self.allocate();
        self.keys.retain(key);
        let is_listed = self.panes[pane as usize].is_listed;
        self.panes[pane as usize] = Pane { key, is_listed, ..Pane::default() };
        pane
    }

    /// Gives a scratch pane back.
    pub(super) fn release_scratch(&mut self, pane: PaneId, context: &mut Context) {
        self.keys.release(self.panes[pane as usize].key, context);
        self.clear(pane, context);
    }

    /// Of each pair adds the states of the second pane to the first one.
    pub(super) fn merge(&mut self, pairs: &[(PaneId, PaneId)], context: &mut Context) {
        for accumulator in &mut self.accumulators {
            accumulator.merge_panes(pairs, context);
        }
    }

    /// Removes the slice at this position with its panes.
    pub(super) fn remove_slice(&mut self, at: usize, context: &mut Context) {
        let Some(mut slice) = self.slices.remove(at) else {
            return;
        };
        for pane in slice.panes.drain(..) {
            self.remove(pane, context);
        }
        self.spare.push(slice.panes);
    }

    /// Takes a pane out of its slice's list.
    pub(super) fn unlink(&mut self, pane: PaneId) {
        if let Some(at) = self.slice_at(self.get(pane).slice) {
            self.slices[at].panes.retain(|&p| p != pane);
        }
    }

    /// Puts the panes of a slice in order of creation.
    pub(super) fn sort_slice(&mut self, at: usize) {
        let panes = &self.panes;
        self.slices[at].panes.sort_unstable_by_key(|&p| panes[p as usize].seq);
    }

    /// Start of the first slice of which not all windows have fired.
    pub(super) fn first_open(&self) -> Option<Timestamp> {
        self.slices.iter().find(|slice| !slice.is_closed).map(|slice| slice.start)
    }

    /// The smallest end from which a pane counts (phase `Partial`).
    pub(super) fn first_from(&self) -> Timestamp {
        self.slices.iter().map(|slice| slice.first_from).min().unwrap_or(Timestamp::MAX)
    }

    pub(super) fn memory_bytes_max(&self) -> usize {
        let places = self.panes_max + self.scratch_max;
        let state: usize = self.accumulators.iter().map(|a| a.bytes_per_pane()).sum();
        // Growing by doubling leaves up to half as much unused or waiting to be copied.
        let states = places.next_power_of_two() * state * 3 / 2;
        // Free places, lists of slices, changed ones, one list at work; then the last of each key.
        let lists = 4 * memory::vec_bytes::<PaneId>(places);
        let shared: usize = self.accumulators.iter().map(|a| a.bytes_shared()).sum();
        self.keys.memory_bytes_max()
            + shared
            + memory::vec_bytes::<Pane>(places)
            + memory::table_bytes(self.panes_max)
            + memory::vec_bytes::<PaneId>(self.panes_max)
            + memory::vec_bytes::<Slice>(self.panes_max)
            + lists
            + states
    }

    /// Whether half of the panes belong to closed slices.
    pub(super) fn is_full_of_closed(&self) -> bool {
        let closed = self.slices.iter().take_while(|slice| slice.is_closed);
        closed.map(|slice| slice.panes.len()).sum::<usize>() * 2 >= self.panes_max
    }
}

/// The first `count` columns: where the keys of a partial stand.
pub(super) fn leading(count: usize) -> &'static [usize] {
    const ALL: [usize; FIELDS_MAX] = {
        let mut all = [0; FIELDS_MAX];
        let mut i = 0;
        while i < FIELDS_MAX {
            all[i] = i;
            i += 1;
        }
        all
    };
    const { &ALL }.split_at(count).0
}
