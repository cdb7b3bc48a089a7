//! When the messages of a source came, between two commits: an entry of the intake journal tells
//! it, so that rows taken from the journal after a crash keep the time of their arrival.
//!
//! Guarantees: bounded; where it does not hold all arrivals, it gives none, and a checkpoint is
//! taken instead of an entry.

use std::collections::VecDeque;

use crate::clock::Arrival;

/// Messages that came at the same time: how many, and when by the boot clock.
type Run = (u32, i64);

/// Arrivals of one source.
#[derive(Debug, Default)]
pub(in crate::driver) struct Arrivals {
    runs: Vec<Run>,
    is_cut: bool,
    replayed: VecDeque<(u32, Arrival)>,
}

impl Arrivals {
    /// When the next message came: as the journal says, or now.
    pub(super) fn next(&mut self, now: Arrival) -> Arrival {
        if let Some((left, arrival)) = self.replayed.front_mut() {
            let arrival = *arrival;
            *left -= 1;
            if *left == 0 {
                self.replayed.pop_front();
            }
            return arrival;
        }
        let same = self.runs.last_mut().filter(|(count, at)| *at == now.boot_ms && *count < MANY);
        if let Some((count, _)) = same {
            *count += 1;
        } else if self.runs.len() < RUNS_MAX {
            self.runs.push((1, now.boot_ms));
        } else {
            self.is_cut = true;
        }
        now
    }

    /// Everything so far is committed.
    pub(super) fn committed(&mut self) {
        self.runs.clear();
        self.is_cut = false;
    }

    /// Appends the arrivals since the last commit; false where they are not known whole.
    pub(super) fn encode(&self, boot_id: u64, out: &mut Vec<u8>) -> bool {
        if self.is_cut || !self.replayed.is_empty() {
            return false;
        }
        out.extend_from_slice(&boot_id.to_le_bytes());
        let count = u16::try_from(self.runs.len()).expect("at most RUNS_MAX");
        out.extend_from_slice(&count.to_le_bytes());
        for (count, boot_ms) in &self.runs {
            out.extend_from_slice(&count.to_le_bytes());
            out.extend_from_slice(&boot_ms.to_le_bytes());
        }
        true
    }

    /// Takes over the last `messages` arrivals of an entry.
    pub(super) fn replay(&mut self, entry: &[Run], boot_id: u64, messages: usize) {
        let all: usize = entry.iter().map(|(count, _)| *count as usize).sum();
        // Messages that need no acknowledgement are not in the journal; they came in between.
        let mut excess = all.saturating_sub(messages);
        for &(count, boot_ms) in entry {
            let left = (count as usize).saturating_sub(excess);
            excess = excess.saturating_sub(count as usize);
            let arrival = Arrival { boot_id, boot_ms };
            if let Ok(left @ 1..) = u32::try_from(left) {
                self.replayed.push_back((left, arrival));
            }
        }
    }
}

/// Reads what `encode` wrote: the boot, the runs, and what follows them.
pub(super) fn decode(entry: &[u8]) -> Option<(u64, Vec<Run>, &[u8])> {
    let (boot_id, rest) = entry.split_first_chunk()?;
    let (count, mut rest) = rest.split_first_chunk()?;
    let mut runs = Vec::new();
    for _ in 0..u16::from_le_bytes(*count) {
        let (messages, after) = rest.split_first_chunk()?;
        let (boot_ms, after) = after.split_first_chunk()?;
        runs.push((u32::from_le_bytes(*messages), i64::from_le_bytes(*boot_ms)));
        rest = after;
    }
    Some((u64::from_le_bytes(*boot_id), runs, rest))
}

/// Different times of arrival between two commits: 48 KiB of an entry.
const RUNS_MAX: usize = 4096;
const MANY: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot_ms: i64) -> Arrival {
        Arrival { boot_id: 3, boot_ms }
    }

    #[test]
    fn arrivals_come_back_from_an_entry() {
        let mut arrivals = Arrivals::default();
        for ms in [5, 5, 5, 9, 20] {
            assert_eq!(arrivals.next(at(ms)), at(ms));
        }
        let mut entry = Vec::new();
        assert!(arrivals.encode(3, &mut entry));
        entry.extend_from_slice(b"rest");
        let (boot_id, runs, rest) = decode(&entry).unwrap();
        assert_eq!((boot_id, rest), (3, &b"rest"[..]));
        for (messages, first) in [(5, vec![5, 5, 5, 9, 20]), (3, vec![5, 9, 20]), (1, vec![20])] {
            let mut arrivals = Arrivals::default();
            arrivals.replay(&runs, boot_id, messages);
            assert!(!arrivals.encode(4, &mut Vec::new()), "what is replayed is in no entry");
            let later = Arrival { boot_id: 4, boot_ms: 1 };
            let came: Vec<_> = first.iter().map(|_| arrivals.next(later).boot_ms).collect();
            assert_eq!(came, first);
            assert_eq!(arrivals.next(later), later);
        }
        assert!(decode(&entry[..entry.len() - 5]).is_none());
    }

    #[test]
    fn too_many_arrivals_give_no_entry() {
        let mut arrivals = Arrivals::default();
        (0..=RUNS_MAX as i64).for_each(|ms| assert_eq!(arrivals.next(at(ms)).boot_ms, ms));
        assert!(!arrivals.encode(3, &mut Vec::new()));
        arrivals.committed();
        assert!(arrivals.encode(3, &mut Vec::new()));
    }
}
