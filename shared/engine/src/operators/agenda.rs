//! Keys by what they have to do next: each has one time at which it is looked at, if any.
//!
//! Keys of one time come in the order of the rows for which they come, so that the order does not
//! change with a restart.

use alloc::vec::Vec;

use crate::{
    due::DueQueue,
    keys::KeyId,
    memory,
    operator::{Timestamp, WATERMARK_MAX},
};

/// A time, and the arrival number of the row that it is for.
pub(super) type Appointment = (Timestamp, u64);

/// The keys.
pub(super) struct Agenda {
    queue: DueQueue,
    armed: Vec<Option<Appointment>>,
}

fn rank(armed: &[Option<Appointment>]) -> impl Fn(KeyId) -> Option<Appointment> {
    |key| armed[key as usize]
}

impl Agenda {
    pub(super) fn new() -> Self {
        Agenda { queue: DueQueue::new(), armed: Vec::new() }
    }

    /// Says what a key has to do next, instead of what it had.
    pub(super) fn arm(&mut self, key: KeyId, next: Option<Appointment>) {
        if self.armed.len() <= key as usize {
            self.armed.resize(key as usize + 1, None);
        }
        let old = self.armed[key as usize];
        if old == next {
            return;
        }
        if old.is_some() {
            self.queue.remove(key);
        }
        self.armed[key as usize] = next;
        if let Some((time, _)) = next {
            self.queue.insert_ranked(key, time, rank(&self.armed));
        }
    }

    /// The next key that has something to do at `watermark`; it stays until
    /// [`leave`](Agenda::leave). `near` is told which ones soon will have.
    pub(super) fn first(&mut self, watermark: Timestamp, near: impl FnMut(KeyId)) -> Option<KeyId> {
        self.queue.first_ranked(watermark, near, rank(&self.armed))
    }

    /// Says what a key that [`first`](Agenda::first) gave has to do next.
    pub(super) fn leave(&mut self, key: KeyId, next: Option<Appointment>) {
        self.armed[key as usize] = next;
        match next {
            Some((time, _)) => self.queue.put_off(key, time, rank(&self.armed)),
            None => self.queue.remove_first(key),
        }
    }

    /// A time before which no key has anything to do.
    pub(super) fn next(&self) -> Timestamp {
        self.queue.next().unwrap_or(WATERMARK_MAX)
    }

    /// Bytes for this many keys.
    pub(super) fn memory_bytes_max(keys_max: usize) -> usize {
        DueQueue::ranked_bytes_max(keys_max) + memory::vec_bytes::<Option<Appointment>>(keys_max)
    }
}
