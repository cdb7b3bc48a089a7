//! The rows of each frame that can still give its MIN, MAX, FIRST_VALUE or LAST_VALUE.
//!
//! MIN and MAX keep a row only as long as no later row is at least as good: of what is kept, the
//! first row has the answer. FIRST_VALUE and LAST_VALUE keep every row that has a value. Rows are
//! chained by their numbers, so a row enters and leaves in constant time and nothing is allocated.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::{
    aggregate::Kind,
    compare::compare,
    context::Context,
    fragment::AggregateSpec,
    keys::KeyId,
    memory,
    rows::{RowId, Rows},
    slot::Datum,
    types::DataType,
};

use super::NO_ROW;

#[derive(Clone, Copy)]
struct Ends {
    front: RowId,
    back: RowId,
}

const EMPTY: Ends = Ends { front: NO_ROW, back: NO_ROW };

/// One call over one frame, for every key.
pub(super) struct Deque {
    kind: Kind,
    column: usize,
    data_type: DataType,
    filter: Option<usize>,
    /// By key.
    ends: Vec<Ends>,
    /// By row: its neighbours among the kept rows of its key.
    links: Vec<Ends>,
}

impl Deque {
    /// For a call whose accumulator is of this kind; `None` for other kinds.
    pub(super) fn new(spec: &AggregateSpec, kinds: &[Kind]) -> Option<Self> {
        let (&[kind @ (Kind::Min | Kind::Max | Kind::First | Kind::Last)], Some((column, t))) =
            (kinds, &spec.arg)
        else {
            return None;
        };
        Some(Deque {
            kind,
            column: *column,
            data_type: t.clone(),
            filter: spec.filter,
            ends: Vec::new(),
            links: Vec::new(),
        })
    }

    /// A row enters the frame of its key at the end.
    pub(super) fn add(&mut self, id: RowId, rows: &Rows, context: &Context) {
        let row = rows.get(id);
        let is_out = self.filter.is_some_and(|column| !row.datum(column).is_true());
        if is_out || row.is_null(self.column) {
            return;
        }
        let key = rows.key(id) as usize;
        if self.ends.len() <= key {
            self.ends.resize(key + 1, EMPTY);
        }
        if self.links.len() <= id as usize {
            self.links.resize(id as usize + 1, EMPTY);
        }
        while self.ends[key].back != NO_ROW
            && self.is_beaten(self.ends[key].back, id, rows, context)
        {
            self.drop_back(key);
        }
        let back = self.ends[key].back;
        self.links[id as usize] = Ends { front: back, back: NO_ROW };
        match back {
            NO_ROW => self.ends[key].front = id,
            back => self.links[back as usize].back = id,
        }
        self.ends[key].back = id;
    }

    /// Whether a row is of no use once a later one is there.
    fn is_beaten(&self, held: RowId, by: RowId, rows: &Rows, context: &Context) -> bool {
        let value = |id: RowId| rows.get(id).slots[self.column];
        let order = || compare(value(by), value(held), &self.data_type, context);
        match self.kind {
            Kind::Min => order() != Ordering::Greater,
            Kind::Max => order() != Ordering::Less,
            _ => false,
        }
    }

    fn drop_back(&mut self, key: usize) {
        let before = self.links[self.ends[key].back as usize].front;
        match before {
            NO_ROW => self.ends[key] = EMPTY,
            before => {
                self.ends[key].back = before;
                self.links[before as usize].back = NO_ROW;
            }
        }
    }

    /// The first row of a frame leaves it.
    pub(super) fn remove(&mut self, id: RowId, rows: &Rows) {
        let key = rows.key(id) as usize;
        let Some(ends) = self.ends.get_mut(key) else { return };
        if ends.front != id {
            return;
        }
        match self.links[id as usize].back {
            NO_ROW => *ends = EMPTY,
            after => {
                ends.front = after;
                self.links[after as usize].front = NO_ROW;
            }
        }
    }

    /// Forgets the rows of a key.
    pub(super) fn clear(&mut self, key: KeyId) {
        if let Some(ends) = self.ends.get_mut(key as usize) {
            *ends = EMPTY;
        }
    }

    /// The value over the frame of a key.
    pub(super) fn value(&self, key: KeyId, rows: &Rows) -> Datum {
        let ends = self.ends.get(key as usize).copied().unwrap_or(EMPTY);
        let id = if self.kind == Kind::Last { ends.back } else { ends.front };
        match id {
            NO_ROW => Datum::NULL,
            id => rows.get(id).datum(self.column),
        }
    }

    /// Bytes for this many rows and keys.
    pub(super) fn memory_bytes_max(&self, rows_max: usize, keys_max: usize) -> usize {
        memory::vec_bytes::<Ends>(rows_max) + memory::vec_bytes::<Ends>(keys_max)
    }
}
