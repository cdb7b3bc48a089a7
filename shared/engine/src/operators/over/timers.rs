//! When the rows of a key are ready, and when the key is forgotten.
//!
//! A key with rows that wait is in a queue by time; where rows wait for others of their key, each
//! row is. Every key is in another queue. That a key is forgotten later than it stands there is
//! noticed when its turn comes.

use alloc::vec::Vec;

use super::{NO_ROW, Over};
use crate::{
    fragment::{FrameUnit, OverFunction, OverSpec},
    keys::KeyId,
    operator::{Timestamp, WATERMARK_MAX},
    rows::{RowId, Stand},
};

impl Over {
    /// Puts off when a key is forgotten: not with every row, and a half more than needed.
    pub(super) fn keep(&mut self, key: KeyId, time: Timestamp) {
        let Some(kept_ms) = self.kept_ms else { return };
        let state = &mut self.keys[key as usize];
        let is_set = state.forget != WATERMARK_MAX;
        if is_set && state.forget >= time.saturating_add(kept_ms).saturating_add(1) {
            return;
        }
        state.forget = time.saturating_add(kept_ms).saturating_add(kept_ms / 2).saturating_add(1);
        let forget = state.forget;
        if !is_set {
            self.forgets.insert(key, forget);
        }
        self.touch(key);
    }

    /// Whether rows wait for others of their key.
    pub(super) fn is_by_row(&self) -> bool {
        self.following.1 > 0
    }

    /// The next key with a row whose time has come.
    pub(super) fn next_key(&mut self, watermark: Timestamp) -> Option<KeyId> {
        let (rows, keys, fetched) = (&self.rows, &self.keys, &mut self.fetched);
        let near = |key: KeyId| *fetched ^= rows.fetch(keys[key as usize].pending);
        self.due.first_ranked(watermark, near, |key| keys[key as usize].rank)
    }

    /// The next row whose time has come.
    pub(super) fn next_row(&mut self, watermark: Timestamp) -> Option<RowId> {
        let (rows, fetched) = (&self.rows, &mut self.fetched);
        self.due.first(watermark, |row| *fetched ^= rows.fetch(row))
    }

    /// Lets a new row make rows of its key ready when its time has come: itself, or one that waits
    /// for it as the last of its frame. `watermark` is the present one: rows behind it stand in
    /// their order of arrival.
    pub(super) fn watch(&mut self, row: RowId, watermark: Timestamp) {
        let time = self.rows.time(row);
        if self.is_by_row() {
            return self.due.insert(row, time.max(watermark));
        }
        let due = time.saturating_add(self.following.0).max(watermark);
        let key = self.rows.key(row);
        if !self.due.holds(key) || due < self.due.time(key) {
            self.arm(key, row, due);
        }
    }

    fn arm(&mut self, key: KeyId, row: RowId, due: Timestamp) {
        self.disarm(key);
        self.keys[key as usize].rank = self.rows.seq(row);
        let keys = &self.keys;
        self.due.insert_ranked(key, due, |key| keys[key as usize].rank);
    }

    /// Lets a key whose turn has come wait for its next row.
    pub(super) fn rearm(&mut self, key: KeyId) {
        match self.keys[key as usize].pending {
            NO_ROW => self.disarm(key),
            row => {
                let Stand { time, seq, .. } = self.rows.stand(row);
                self.keys[key as usize].rank = seq;
                let (due, keys) = (self.ready_at(row, time), &self.keys);
                self.due.put_off(key, due, |key| keys[key as usize].rank);
            }
        }
    }

    /// Takes a key out of the queue, if it is there.
    pub(super) fn disarm(&mut self, key: KeyId) {
        if !self.is_by_row() && self.due.holds(key) {
            self.due.remove(key);
        }
    }

    /// Lets the first waiting row of a key, which has had its own time, wait until `ready`.
    pub(super) fn await_ready(&mut self, row: RowId, ready: Timestamp) {
        let is_known = ready < WATERMARK_MAX && self.following.1 > 0;
        if is_known && !(self.due.holds(row) && self.due.time(row) == ready) {
            self.unwatch(row);
            self.due.insert(row, ready);
        }
    }

    /// Takes that back.
    #[inline]
    pub(super) fn unwatch(&mut self, row: RowId) {
        if self.is_by_row() && self.due.holds(row) {
            self.due.remove(row);
        }
    }

    /// The watermark at which all rows of the frames of a row, which has this time, are known.
    #[inline]
    pub(super) fn ready_at(&self, row: RowId, time: Timestamp) -> Timestamp {
        let (ms, count) = self.following;
        let ready = time.saturating_add(ms);
        if count == 0 {
            return ready;
        }
        let mut at = row;
        for _ in 0..count {
            match self.rows.next(at) {
                None => return WATERMARK_MAX,
                Some(next) => at = next,
            }
        }
        ready.max(self.rows.time(at))
    }
}

/// Whether the late rule is the watermark's.
pub(super) fn is_strict(spec: &OverSpec) -> bool {
    spec.calls.iter().any(|call| {
        let is_aggregate = matches!(call.function, OverFunction::Aggregate(_));
        !is_aggregate || call.frame.preceding.is_none() || call.frame.following != 0
    })
}

/// How far a row waits: in ms and in rows.
pub(super) fn following(spec: &OverSpec) -> (i64, i64) {
    let longest = |unit: FrameUnit| {
        let frames = spec.calls.iter().map(|call| &call.frame).filter(|frame| frame.unit == unit);
        frames.map(|frame| frame.following).max().unwrap_or(0)
    };
    (longest(FrameUnit::Range), longest(FrameUnit::Rows))
}

/// How long a key is of use behind the watermark: as far as its frames reach, when all of them
/// reach for a time, or what the TTL says.
pub(super) fn kept_ms(spec: &OverSpec) -> Option<i64> {
    let reach = spec.calls.iter().map(|call| match (call.frame.unit, call.frame.preceding) {
        (FrameUnit::Range, Some(preceding)) => Some(preceding.saturating_add(call.frame.following)),
        _ => None,
    });
    let longest = reach.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    longest.or(spec.ttl_ms)
}
