//! Messages that the broker still holds for the core: acknowledged in order of receipt, each only
//! when the hub is done with it (PROTOCOL.md, rule 10).

use std::collections::BTreeMap;

/// Receipts of messages, `R` being what the connection needs to acknowledge one.
#[derive(Debug)]
pub struct Receipts<R> {
    /// By token: the receipt, and whether the hub is done with the message.
    waiting: BTreeMap<u64, (R, bool)>,
    last: u64,
}

impl<R> Default for Receipts<R> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), last: 0 }
    }
}

impl<R> Receipts<R> {
    /// A message came in; gives the token under which the hub speaks of it.
    pub fn add(&mut self, receipt: R) -> u64 {
        self.last += 1;
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
        let tokens: Vec<u64> = ["a", "b", "c"].into_iter().map(|r| receipts.add(r)).collect();
        receipts.settle(&tokens[1..]);
        assert_eq!(receipts.next_settled(), None);
        receipts.settle(&tokens[..1]);
        assert_eq!(receipts.next_settled(), Some("a"));
        assert_eq!(receipts.next_settled(), Some("b"));
        assert_eq!(receipts.next_settled(), Some("c"));
        assert_eq!(receipts.waiting_count(), 0);
    }
}
