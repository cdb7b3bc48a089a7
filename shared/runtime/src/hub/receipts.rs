//! Messages that the broker still holds for the core: acknowledged in order of receipt, each only
//! when the hub is done with it (PROTOCOL.md, rule 10).

use std::collections::BTreeMap;

/// Receipts of messages, `R` being what the connection needs to acknowledge one.
#[derive(Debug)]
pub struct Receipts<R> {
    /// By token: the receipt, and whether the hub is done with the message.
    waiting: BTreeMap<u64, (R, bool)>,
    last: u64,
    /// When the last one came, monotonic ms.
    last_ms: i64,
}

/// A broker keeps messages back once a client has so many without acknowledgement; the smallest
/// number that is usual, below Mosquitto's 20.
const WINDOW_MIN: usize = 16;
/// So long nothing comes before the broker's window is taken to be used up, in ms.
const SILENCE_MS: i64 = 100;

impl<R> Default for Receipts<R> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), last: 0, last_ms: 0 }
    }
}

impl<R> Receipts<R> {
    /// A message came in at `mono_ms`; gives the token under which the hub speaks of it.
    pub fn add(&mut self, receipt: R, mono_ms: i64) -> u64 {
        self.last += 1;
        self.last_ms = mono_ms;
        self.waiting.insert(self.last, (receipt, false));
        self.last
    }

    /// The hub is done with these.
    pub fn settle(&mut self, tokens: &[u64]) {
        for token in tokens {
            if let Some((_, is_settled)) = self.waiting.get_mut(token) {
                *is_settled = true;
            }
        }
    }

    /// The next message to acknowledge to the broker: none while an earlier one is not settled.
    pub fn next_settled(&mut self) -> Option<R> {
        let entry = self.waiting.first_entry().filter(|entry| entry.get().1)?;
        Some(entry.remove().0)
    }

    /// When the broker's window is to be taken as used up if nothing comes until then, in monotonic
    /// ms: a commit makes room, and without one nothing comes before the next is due.
    pub fn used_up_at(&self) -> Option<i64> {
        (self.waiting.len() >= WINDOW_MIN).then_some(self.last_ms + SILENCE_MS)
    }

    /// Messages without acknowledgement.
    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Receipts;

    #[test]
    fn messages_are_acknowledged_in_the_order_of_their_receipt() {
        let mut receipts = Receipts::default();
        let tokens: Vec<u64> = ["a", "b", "c"].into_iter().map(|r| receipts.add(r, 0)).collect();
        receipts.settle(&tokens[1..]);
        assert_eq!(receipts.next_settled(), None);
        receipts.settle(&tokens[..1]);
        assert_eq!(receipts.next_settled(), Some("a"));
        assert_eq!(receipts.next_settled(), Some("b"));
        assert_eq!(receipts.next_settled(), Some("c"));
        assert_eq!(receipts.waiting_count(), 0);
    }

    #[test]
    fn a_window_is_used_up_when_many_wait_and_none_comes() {
        let mut receipts = Receipts::default();
        let tokens: Vec<u64> = (1..=16).map(|ms| receipts.add((), ms)).collect();
        assert_eq!(receipts.used_up_at(), Some(16 + super::SILENCE_MS));
        receipts.settle(&tokens);
        assert_eq!(receipts.next_settled(), Some(()));
        assert_eq!(receipts.used_up_at(), None);
    }
}
