//! Runs in order of their first row.
//!
//! A binary heap whose inner order is part of the semantics: among runs that began with the same
//! row Flink takes them in the order in which Java's `PriorityQueue` happens to hold them, and so
//! which of two matches is found first depends on it. This heap moves elements as that one does.

use alloc::vec::Vec;

use super::runs::RunId;

/// A run and the number of its first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) start: u64,
    pub(super) run: RunId,
}

impl Entry {
    /// The run that has no row yet; it is always there and comes last.
    pub(super) const START: Entry = Entry { start: u64::MAX, run: RunId::MAX };

    pub(super) fn is_start(self) -> bool {
        self.run == Entry::START.run
    }
}

/// The queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Queue(pub(super) Vec<Entry>);

impl Queue {
    /// The run that began first.
    pub(super) fn peek(&self) -> Option<Entry> {
        self.0.first().copied()
    }

    pub(super) fn offer(&mut self, entry: Entry) {
        let mut at = self.0.len();
        self.0.push(entry);
        while at > 0 {
            let parent = (at - 1) / 2;
            if entry.start >= self.0[parent].start {
                break;
            }
            self.0[at] = self.0[parent];
            at = parent;
        }
        self.0[at] = entry;
    }

    pub(super) fn poll(&mut self) -> Option<Entry> {
        let first = self.peek()?;
        let last = self.0.pop()?;
        if !self.0.is_empty() {
            self.sift_down(0, last);
        }
        Some(first)
    }

    fn sift_down(&mut self, mut at: usize, entry: Entry) {
        let len = self.0.len();
        while at < len / 2 {
            let mut child = 2 * at + 1;
            if child + 1 < len && self.0[child].start > self.0[child + 1].start {
                child += 1;
            }
            if entry.start <= self.0[child].start {
                break;
            }
            self.0[at] = self.0[child];
            at = child;
        }
        self.0[at] = entry;
    }

    /// Takes out what `is_gone` names; without any the order stays as it is.
    pub(super) fn remove_all(&mut self, mut is_gone: impl FnMut(Entry) -> bool) {
        let before = self.0.len();
        self.0.retain(|&entry| !is_gone(entry));
        if self.0.len() == before {
            return;
        }
        for at in (0..self.0.len() / 2).rev() {
            self.sift_down(at, self.0[at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(start: u64, run: RunId) -> Entry {
        Entry { start, run }
    }

    #[test]
    fn equal_starts_keep_the_first_in_front() {
        let mut queue = Queue::default();
        for (run, start) in (0..).zip([7, 5, 5, 5]) {
            queue.offer(entry(start, run));
        }
        assert_eq!(queue.peek(), Some(entry(5, 1)));
        assert_eq!(queue.poll(), Some(entry(5, 1)));
        // As in Java: the last one moves to the front and stays there among equals.
        assert_eq!(queue.poll(), Some(entry(5, 3)));
        queue.remove_all(|e| e.start == 5);
        assert_eq!(queue.0, [entry(7, 0)]);
    }

    #[test]
    fn it_is_a_heap() {
        let mut queue = Queue::default();
        for i in 0..200u64 {
            queue.offer(entry(i * 37 % 101, RunId::try_from(i).unwrap()));
        }
        queue.remove_all(|e| e.start % 3 == 0);
        let mut last = 0;
        while let Some(e) = queue.poll() {
            assert!(e.start >= last && e.start % 3 != 0);
            last = e.start;
        }
    }
}
