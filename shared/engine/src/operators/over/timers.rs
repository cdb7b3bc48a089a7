//! When the rows of a key are ready, and when the key is forgotten.
//!
//! A row that waits is in a queue by time, and a key in another one. That a key is forgotten later
//! than it stands there is noticed when its turn comes.

use super::Over;
use crate::{
    keys::KeyId,
    operator::{Timestamp, WATERMARK_MAX},
    rows::RowId,
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

    /// Lets a new row make rows of its key ready when its time has come: itself, or one that waits
    /// for it as the last of its frame. `watermark` is the present one: rows behind it stand in
    /// their order of arrival.
    pub(super) fn watch(&mut self, row: RowId, watermark: Timestamp) {
        let (ms, count) = self.following;
        let time = self.rows.time(row).saturating_add(if count == 0 { ms } else { 0 });
        self.due.insert(row, time.max(watermark));
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
    pub(super) fn unwatch(&mut self, row: RowId) {
        if self.due.holds(row) {
            self.due.remove(row);
        }
    }

    /// The watermark at which all rows of a row's frames are known.
    pub(super) fn ready_at(&self, row: RowId) -> Timestamp {
        let (ms, count) = self.following;
        let ready = self.rows.time(row).saturating_add(ms);
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
