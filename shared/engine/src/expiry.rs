//! Entries in the order of their last use, so that those not used for a while can be forgotten.
//!
//! `table.exec.state.ttl` in event time: an entry goes when the watermark is the time to live
//! behind its last use. An entry used before there was a watermark counts from the first one on.

use alloc::vec::Vec;

use crate::{
    memory,
    operator::{Timestamp, WATERMARK_MAX, WATERMARK_MIN},
};

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    time: Timestamp,
    previous: u32,
    next: u32,
    is_used: bool,
}

const UNUSED: Link = Link { time: WATERMARK_MIN, previous: NONE, next: NONE, is_used: false };

/// The entries by number; nothing is kept without a time to live.
pub struct Expiry {
    ttl_ms: Option<i64>,
    links: Vec<Link>,
    first: u32,
    last: u32,
}

impl Expiry {
    /// Nothing is forgotten when `ttl_ms` is `None`.
    pub fn new(ttl_ms: Option<i64>) -> Self {
        Expiry { ttl_ms, links: Vec::new(), first: NONE, last: NONE }
    }

    /// An entry is used while the watermark is `time`, which never goes back.
    pub fn touch(&mut self, id: u32, time: Timestamp) {
        if self.ttl_ms.is_none() {
            return;
        }
        self.remove(id);
        if self.links.len() <= id as usize {
            self.links.resize(id as usize + 1, UNUSED);
        }
        let previous = core::mem::replace(&mut self.last, id);
        match previous {
            NONE => self.first = id,
            at => self.links[at as usize].next = id,
        }
        self.links[id as usize] = Link { time, previous, next: NONE, is_used: true };
    }

    /// Forgets an entry.
    pub fn remove(&mut self, id: u32) {
        let Some(&Link { previous, next, is_used: true, .. }) = self.links.get(id as usize) else {
            return;
        };
        match previous {
            NONE => self.first = next,
            at => self.links[at as usize].next = next,
        }
        match next {
            NONE => self.last = previous,
            at => self.links[at as usize].previous = previous,
        }
        self.links[id as usize] = UNUSED;
    }

    /// Takes out an entry whose time is over.
    pub fn expired(&mut self, watermark: Timestamp) -> Option<u32> {
        let ttl_ms = self.ttl_ms?;
        if matches!(watermark, WATERMARK_MIN | WATERMARK_MAX) {
            return None;
        }
        while self.first != NONE {
            let id = self.first;
            let time = self.links[id as usize].time;
            if time == WATERMARK_MIN {
                self.touch(id, watermark);
                continue;
            }
            if time.saturating_add(ttl_ms) > watermark {
                return None;
            }
            self.remove(id);
            return Some(id);
        }
        None
    }

    /// The watermark at which [`expired`](Expiry::expired) has an entry.
    pub fn due(&self) -> Timestamp {
        match (self.ttl_ms, self.links.get(self.first as usize)) {
            (Some(_), Some(link)) if link.time == WATERMARK_MIN => WATERMARK_MIN + 1,
            (Some(ttl_ms), Some(link)) => link.time.saturating_add(ttl_ms),
            _ => WATERMARK_MAX,
        }
    }

    /// When an entry was used last.
    pub fn time(&self, id: u32) -> Timestamp {
        self.links.get(id as usize).map_or(WATERMARK_MIN, |link| link.time)
    }

    /// Puts entries in order that were restored in any order.
    pub fn restored(&mut self) {
        let ids = (0..).take(self.links.len()).filter(|&id: &u32| self.links[id as usize].is_used);
        let mut used: Vec<(Timestamp, u32)> = ids.map(|id| (self.time(id), id)).collect();
        used.sort_unstable();
        for (time, id) in used {
            self.touch(id, time);
        }
    }

    /// Bytes for that many entries.
    pub fn memory_bytes_max(&self, entries: usize) -> usize {
        self.ttl_ms.map_or(0, |_| memory::vec_bytes::<Link>(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut expiry = Expiry::new(Some(10));
        expiry.touch(0, 100);
        expiry.touch(1, 101);
        expiry.touch(0, 105);
        assert_eq!((expiry.due(), expiry.expired(110)), (111, None));
        assert_eq!((expiry.expired(111), expiry.expired(111)), (Some(1), None));
        expiry.remove(0);
        assert_eq!((expiry.due(), expiry.expired(1000)), (WATERMARK_MAX, None));
    }

    #[test]
    fn before_the_first_watermark_there_is_no_age() {
        let mut expiry = Expiry::new(Some(10));
        expiry.touch(3, WATERMARK_MIN);
        assert_eq!(expiry.expired(50), None);
        assert_eq!((expiry.due(), expiry.expired(60)), (60, Some(3)));
    }

    #[test]
    fn nothing_is_kept_without_a_time_to_live() {
        let mut expiry = Expiry::new(None);
        expiry.touch(3, 5);
        assert_eq!((expiry.due(), expiry.expired(5000)), (WATERMARK_MAX, None));
        assert_eq!(expiry.memory_bytes_max(1000), 0);
    }

    #[test]
    fn restored_entries_go_in_the_old_order() {
        let mut expiry = Expiry::new(Some(10));
        for (id, time) in [(4, 30), (1, 10), (2, 20)] {
            expiry.touch(id, time);
        }
        expiry.restored();
        let gone: Vec<_> = core::iter::from_fn(|| expiry.expired(35)).collect();
        assert_eq!(gone, [1, 2]);
    }
}
