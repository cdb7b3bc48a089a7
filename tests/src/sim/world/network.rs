//! The links between nodes and broker: how long a packet takes, and whether it arrives.

use crate::sim::Chance;

/// The link of one node; times are true ms.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    /// No connection until then.
    pub(super) parted_until: u64,
    /// Nothing gets through until then.
    pub(super) silent_until: u64,
    /// What is sent meanwhile never comes: the silence outlasts the connection.
    pub(super) is_dead: bool,
    /// The broker loses one message in four until then, although it takes it.
    pub(super) lossy_until: u64,
    /// One packet in four comes twice until then.
    pub(super) doubling_until: u64,
    /// Packets take up to 20 s until then.
    pub(super) slow_until: u64,
    /// Packets overtake each other until then.
    pub(super) shuffled_until: u64,
    /// When the last packet arrives, by direction (up, down).
    last: [u64; 2],
}

/// Direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up = 0,
    Down = 1,
}

impl Link {
    /// The times at which a packet sent at `at` arrives: none, one or two.
    pub(super) fn arrivals(&mut self, at: u64, way: Way, chance: &mut Chance) -> Vec<u64> {
        if at < self.silent_until && self.is_dead {
            return Vec::new();
        }
        let at = at.max(self.silent_until);
        let copies = if at < self.doubling_until && chance.one_in(4) { 2 } else { 1 };
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            let most = if at < self.slow_until { 20_000 } else { 50 };
            let mut arrival = at + 1 + chance.below(most);
            if at < self.shuffled_until {
                arrival += chance.below(2000);
            } else {
                arrival = arrival.max(self.last[way as usize]);
                self.last[way as usize] = arrival;
            }
            arrivals.push(arrival);
        }
        arrivals
    }

    /// Whether a message is lost in the broker.
    pub(super) fn loses(&self, at: u64, chance: &mut Chance) -> bool {
        at < self.lossy_until && chance.one_in(4)
    }

    /// A new connection: nothing of the one before holds it up.
    pub(super) fn connected(&mut self) {
        self.last = [0; 2];
    }

    /// All faults are over.
    pub(super) fn heal(&mut self) {
        *self = Link { last: self.last, ..Link::default() };
    }
}
