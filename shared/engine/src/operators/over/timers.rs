//! When the rows of a key are ready, and when the key is forgotten.
//!
//! A key has two timers at most. One that a later event has made void stays in the heap until it
//! falls due or there are too many of them.

use core::cmp::Reverse;

use super::{FORGET, NEVER, NO_ROW, Over};
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
            self.set_timer(forget, FORGET, key);
        }
        self.touch(key);
    }

    pub(super) fn set_timer(&mut self, time: Timestamp, seq: u64, key: KeyId) {
        if self.timers.len() >= self.timers_max() {
            self.rebuild_timers();
        }
        self.timers.push(Reverse((time, seq, key)));
    }

    /// Timers at which those that mean nothing any more are cleared out: a key has two at most.
    pub(super) fn timers_max(&self) -> usize {
        3 * self.keys_max
    }

    pub(super) fn rebuild_timers(&mut self) {
        self.timers.clear();
        for (key, state) in (0..).zip(&self.keys).filter(|(_, state)| state.is_used) {
            if state.timer != NEVER {
                self.timers.push(Reverse((state.timer.0, state.timer.1, key)));
            }
            if state.forget != WATERMARK_MAX {
                self.timers.push(Reverse((state.forget, FORGET, key)));
            }
        }
    }

    /// Sets the timer of a key's first waiting row, unless an earlier one is set.
    pub(super) fn await_pending(&mut self, key: KeyId) {
        let timer = self.next_timer(key);
        if timer < self.keys[key as usize].timer {
            self.keys[key as usize].timer = timer;
            self.set_timer(timer.0, timer.1, key);
        }
    }

    /// When a key's first waiting row is ready, and its arrival number.
    pub(super) fn next_timer(&self, key: KeyId) -> (Timestamp, u64) {
        match self.keys[key as usize].pending {
            NO_ROW => NEVER,
            pending => (self.ready_at(pending), self.rows.seq(pending)),
        }
    }

    /// The watermark at which all rows of a row's frames are known.
    pub(super) fn ready_at(&self, row: RowId) -> Timestamp {
        let (ms, count) = self.following;
        let mut ready = self.rows.time(row).saturating_add(ms);
        let mut at = row;
        for _ in 0..count {
            match self.rows.next(at) {
                None => return WATERMARK_MAX,
                Some(next) => at = next,
            }
        }
        ready = ready.max(self.rows.time(at));
        ready
    }
}
