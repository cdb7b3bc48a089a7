//! Messages that wait to be acknowledged, in order of receipt. Servers number messages in
//! sequence, so tens of thousands of them are a few runs.

use std::collections::VecDeque;

/// Messages of one connection whose receipt numbers and packet ids follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Receipt number that must be committed before: its own or, for a repeat, the first one's.
    receipt: u64,
    connection: u64,
    packet_id: u16,
    count: u16,
}

/// The queue; see the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    runs: VecDeque<Run>,
    count: usize,
}

impl Owed {
    /// Adds the message received last.
    pub(super) fn push(&mut self, receipt: u64, connection: u64, packet_id: u16) {
        self.count += 1;
        if let Some(last) = self.runs.back_mut()
            && last.connection == connection
            && last.receipt + u64::from(last.count) == receipt
            && last.packet_id.checked_add(last.count) == Some(packet_id)
            && last.count < u16::MAX
        {
            last.count += 1;
            return;
        }
        self.runs.push_back(Run { receipt, connection, packet_id, count: 1 });
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Takes the first run that may be acknowledged when everything up to `committed` is
    /// durable: connection, first packet id and how many.
    pub(super) fn pop(&mut self, committed: u64) -> Option<(u64, u16, u16)> {
        let run = self.runs.front_mut()?;
        let ready = (committed + 1).saturating_sub(run.receipt).min(run.count.into());
        let ready = u16::try_from(ready).expect("at most the run's count");
        if ready == 0 {
            return None;
        }
        let taken = (run.connection, run.packet_id, ready);
        self.count -= usize::from(ready);
        if ready == run.count {
            self.runs.pop_front();
        } else {
            run.receipt += u64::from(ready);
            run.packet_id += ready;
            run.count -= ready;
        }
        Some(taken)
    }

    /// A connection has ended: what came with it will be delivered again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_where_the_commit_ends() {
        let mut owed = Owed::default();
        for n in 0..10 {
            owed.push(5 + u64::from(n), 1, u16::MAX - 4 + n.min(4) * u16::from(n < 5));
        }
        assert_eq!(owed.len(), 10);
        assert_eq!(owed.pop(4), None);
        assert_eq!(owed.pop(7), Some((1, u16::MAX - 4, 3)));
        assert_eq!(owed.pop(7), None);
        assert_eq!(owed.len(), 7);
        assert_eq!(owed.pop(9), Some((1, u16::MAX - 1, 2)), "ids do not wrap within a run");
    }

    #[test]
    fn a_repeat_waits_for_its_first_receipt() {
        let mut owed = Owed::default();
        owed.push(9, 1, 40);
        owed.push(3, 1, 7);
        owed.push(10, 1, 41);
        assert_eq!(owed.pop(8), None, "acknowledged in order");
        assert_eq!(owed.pop(9), Some((1, 40, 1)));
        assert_eq!(owed.pop(9), Some((1, 7, 1)));
        assert_eq!(owed.pop(9), None);
        assert_eq!(owed.pop(10), Some((1, 41, 1)));
        assert_eq!(owed.len(), 0);
    }
}
