//! Top-N: the first rows of each key in an order, and what follows from it: the last row of each
//! key, the first rows of all (LIMIT), the first rows of each window.
//!
//! Equal rows keep the order of their arrival. Results follow at once, as changes: with the rank
//! among the columns each moved row is an update, without it only what enters and what leaves. In
//! windows the rows wait until the watermark has passed the window's end and are new rows then; a
//! row is late when `window_end - 1 <= watermark`.
//!
//! Where rows are only added no more than the ranked ones are kept; where they are also taken away,
//! all of them. Rows of all keys are bounded by `rows_max`; at the limit a new row is set aside. A
//! key into which no row has come for the TTL is forgotten; what it gave stays.

use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};
use core::cmp::Ordering;

use crate::{
    compare::compare_row,
    context::{Context, Fault},
    expiry::Expiry,
    fragment::{RankMode, RankSpec},
    keys::KeyId,
    limits::Limits,
    memory,
    operator::{
        Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp,
        WATERMARK_MAX, WATERMARK_MIN,
    },
    row::{Change, Row},
    rows::{RowId, Rows},
    slot::Slot,
    types::{DataType, Schema},
};

mod changes;

/// The operator.
pub struct Rank {
    spec: RankSpec,
    types: Vec<DataType>,
    /// Positions from 0: the first ranked one, and the one after the last.
    range: (usize, usize),
    rows: Rows,
    rows_max: usize,
    /// By key, in order.
    lists: Vec<Vec<RowId>>,
    /// Keys of open windows by their end.
    windows: BTreeMap<Timestamp, Vec<KeyId>>,
    /// Keys of the window that fires, the next one last, and how many of its rows are out.
    firing: (Vec<KeyId>, usize),
    /// Keys by their last new row.
    expiry: Expiry,
    /// Restored, and the lists are not yet built again.
    is_stale: bool,
    slots: Box<[Slot]>,
}

impl Rank {
    /// Ranks rows of schema `input`.
    pub fn new(spec: &RankSpec, input: &Schema, limits: &Limits) -> Self {
        let types: Vec<_> = input.fields.iter().map(|field| field.data_type.clone()).collect();
        let position = |rank: u64| usize::try_from(rank).unwrap_or(usize::MAX);
        let width = types.len() + usize::from(spec.with_number);
        Rank {
            range: (position(spec.first.max(1) - 1), position(spec.last)),
            // A new row comes in before the one that it pushes out goes.
            rows: Rows::new(&types, &spec.partition, limits.rows_max + 1),
            rows_max: limits.rows_max,
            types,
            spec: spec.clone(),
            lists: Vec::new(),
            windows: BTreeMap::new(),
            firing: (Vec::new(), 0),
            expiry: Expiry::new(spec.ttl_ms),
            is_stale: false,
            slots: vec![Slot::ZERO; width].into(),
        }
    }

    /// Where a row belongs in the list of its key.
    fn position(&self, key: KeyId, row: Row<'_>, context: &Context) -> usize {
        let latest_wins = match self.spec.mode {
            RankMode::Latest | RankMode::Window { latest: true, .. } => true,
            RankMode::Append
            | RankMode::Retract
            | RankMode::Improving
            | RankMode::Window { latest: false, .. } => false,
        };
        let Some(list) = self.lists.get(key as usize) else { return 0 };
        list.partition_point(|&id| {
            match compare_row(self.rows.get(id), row, &self.spec.order, &self.types, context) {
                Ordering::Less => true,
                Ordering::Equal => !latest_wins,
                Ordering::Greater => false,
            }
        })
    }

    fn add(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        let (key, is_new) = match self.rows.key_of(row, out.context) {
            Ok(found) => found,
            Err(fault) => return out.drop_row(Reason::Fault(fault), row),
        };
        let position = if is_new { 0 } else { self.position(key, row, out.context) };
        let keeps_all = matches!(self.spec.mode, RankMode::Retract);
        if position >= self.range.1 && !keeps_all {
            if is_new {
                self.rows.hold(key);
                self.rows.let_go(key, out.context);
            }
            return;
        }
        let count = self.lists.get(key as usize).map_or(0, Vec::len);
        let pushes_out = count >= self.range.1 && !keeps_all;
        let has_room = pushes_out || self.rows.len() < self.rows_max;
        let stored = match has_room {
            true => self.rows.insert_at(key, row, out.watermark, 0, out.context),
            false => {
                self.rows.hold(key);
                self.rows.let_go(key, out.context);
                Err(Fault::StateFull)
            }
        };
        let Ok(id) = stored else {
            out.drop_row(Reason::Fault(Fault::StateFull), row);
            return;
        };
        if self.lists.len() <= key as usize {
            self.lists.resize_with(key as usize + 1, Vec::new);
        }
        self.lists[key as usize].insert(position, id);
        self.expiry.touch(key, out.watermark);
        match self.spec.mode {
            RankMode::Window { end, .. } if is_new => {
                let end = row.slots[end].as_i64();
                self.windows.entry(end).or_default().push(key);
            }
            RankMode::Window { .. } => {}
            RankMode::Improving => self.emit(id, None, Change::Insert, out),
            RankMode::Append | RankMode::Retract | RankMode::Latest => {
                self.emit_added(key, position, out);
            }
        }
        if pushes_out && let Some(id) = self.lists[key as usize].pop() {
            self.rows.remove(id, out.context);
        }
    }

    fn take_away(&mut self, row: Row<'_>, out: &mut Emitter<'_>) {
        let found = self.rows.find(row, &self.spec.partition, out.context);
        let found = found.and_then(|key| Some((key, self.held(key, row, out.context)?)));
        let Some((key, position)) = found else {
            // It was set aside when it came, at the limit.
            out.drop_row(Reason::Unmatched, row);
            return;
        };
        self.emit_taken(key, position, out);
        let id = self.lists[key as usize].remove(position);
        self.rows.remove(id, out.context);
        if self.lists[key as usize].is_empty() {
            self.expiry.remove(key);
        }
    }

    fn forget(&mut self, key: KeyId, context: &mut Context) {
        for id in core::mem::take(&mut self.lists[key as usize]) {
            self.rows.remove(id, context);
        }
    }

    /// The position of the first kept row that is equal to `row` in every column.
    fn held(&self, key: KeyId, row: Row<'_>, context: &Context) -> Option<usize> {
        let list = &self.lists[key as usize];
        let (order, types) = (&self.spec.order, &self.types);
        let order_of = |id: RowId| compare_row(self.rows.get(id), row, order, types, context);
        let first = list.partition_point(|&id| order_of(id) == Ordering::Less);
        let same_place = list[first..].iter().take_while(|&&id| order_of(id) == Ordering::Equal);
        let is_same = |&id: &RowId| {
            let held = self.rows.get(id);
            held.nulls == row.nulls
                && types.iter().enumerate().all(|(column, data_type)| {
                    held.is_null(column)
                        || match data_type.is_referring() {
                            true => {
                                context.bytes(held.slots[column])
                                    == context.bytes(row.slots[column])
                            }
                            false => held.slots[column] == row.slots[column],
                        }
                })
        };
        same_place.copied().position(|id| is_same(&id)).map(|at| first + at)
    }

    /// The next key of a window that has closed.
    fn next_fired(&mut self, watermark: Timestamp) -> Option<KeyId> {
        if self.firing.0.is_empty() {
            let entry = self.windows.first_entry()?;
            if entry.key().saturating_sub(1) > watermark {
                return None;
            }
            let mut keys = entry.remove();
            let first = |key: KeyId| self.rows.first(key).map(|id| self.rows.seq(id));
            // In order of arrival, however the rows were kept in between; the first one last.
            keys.sort_unstable_by_key(|&key| core::cmp::Reverse(first(key)));
            self.firing = (keys, 0);
        }
        self.firing.0.last().copied()
    }

    #[cold]
    fn rebuild(&mut self, context: &Context) {
        self.is_stale = false;
        self.windows.clear();
        self.lists.iter_mut().for_each(Vec::clear);
        for id in self.rows.by_arrival() {
            let key = self.rows.key(id);
            let row = self.rows.get(id);
            let position = self.position(key, row, context);
            if self.lists.len() <= key as usize {
                self.lists.resize_with(key as usize + 1, Vec::new);
            }
            if let RankMode::Window { end, .. } = self.spec.mode
                && self.lists[key as usize].is_empty()
            {
                self.windows.entry(row.slots[end].as_i64()).or_default().push(key);
            }
            self.lists[key as usize].insert(position, id);
            self.expiry.touch(key, self.rows.time(id));
        }
    }
}

impl Operator for Rank {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        if self.is_stale {
            self.rebuild(out.context);
        }
        if let RankMode::Window { end, .. } = self.spec.mode {
            if row.change != Change::Insert {
                // The window has fired, and its rows are not taken back.
                out.drop_row(Reason::Correction, row);
                return;
            }
            if row.slots[end].as_i64().saturating_sub(1) <= out.watermark {
                out.late(row);
                return;
            }
        }
        match row.change {
            Change::Insert | Change::UpdateAfter => self.add(row, out),
            Change::UpdateBefore | Change::Delete => self.take_away(row, out),
        }
    }

    fn fanout_max(&self) -> usize {
        match self.spec.with_number {
            true => 2 * self.range.1.saturating_sub(self.range.0).max(1),
            false => 2,
        }
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        if self.is_stale {
            self.rebuild(out.context);
        }
        while let Some(key) = self.next_fired(watermark) {
            while let Some(&id) = self.lists[key as usize].get(self.firing.1) {
                if !out.has_room() {
                    return Progress::More;
                }
                let position = self.firing.1;
                if position >= self.range.0 {
                    self.emit(id, Some(position), Change::Insert, out);
                }
                self.firing.1 += 1;
            }
            self.forget(key, out.context);
            self.firing.0.pop();
            self.firing.1 = 0;
        }
        while let Some(key) = self.expiry.expired(watermark) {
            self.forget(key, out.context);
        }
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        if self.is_stale || !self.firing.0.is_empty() {
            return WATERMARK_MIN;
        }
        let window = self.windows.keys().next().map_or(WATERMARK_MAX, |end| end.saturating_sub(1));
        window.min(self.expiry.due())
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.rows.checkpoint(full, 0, context, write);
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        self.is_stale = true;
        let (_, key) = key
            .split_first()
            .ok_or_else(|| RestoreError("an entry of a ranking is unreadable".into()))?;
        self.rows.restore(key, value, context)
    }

    fn memory_bytes_max(&self) -> usize {
        let rows = self.rows_max + 1;
        // A list and a window for every row, at worst.
        let list = size_of::<Vec<RowId>>() + 4 * size_of::<RowId>();
        let window = size_of::<(Timestamp, Vec<KeyId>)>() + 4 * size_of::<KeyId>();
        size_of::<Self>()
            + self.rows.memory_bytes_max()
            + 2 * rows * (list + window)
            + memory::vec_bytes::<RowId>(rows)
            + self.expiry.memory_bytes_max(rows)
    }
}

#[cfg(test)]
mod tests;
