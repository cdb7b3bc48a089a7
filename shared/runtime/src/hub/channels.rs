//! One channel of one agent: its mark and the frames that came too early.

use std::collections::BTreeMap;

use headwater_engine::pipeline::SplitId;
use headwater_store::Mark;

/// Frames that one channel holds while earlier ones are missing.
const HELD_FRAMES_MAX: usize = 64;
/// Their bytes.
const HELD_BYTES_MAX: usize = 4 << 20;
/// A missing range is asked for again after this time, in ms.
const NACK_AGAIN_MS: i64 = 2000;

/// The core's end of a channel.
pub(super) struct Uplink {
    pub(super) scan: usize,
    pub(super) split: SplitId,
    pub(super) mark: Mark,
    pub(super) is_changed: bool,
    held: BTreeMap<u64, Vec<u8>>,
    held_bytes: usize,
    /// When a missing range was asked for, ms.
    asked_ms: Option<i64>,
}

impl Uplink {
    pub(super) fn new(scan: usize, split: SplitId) -> Self {
        Uplink {
            scan,
            split,
            mark: Mark { watermark: i64::MIN, last_event_time: i64::MIN, ..Mark::default() },
            is_changed: false,
            held: BTreeMap::new(),
            held_bytes: 0,
            asked_ms: None,
        }
    }

    pub(super) fn restore(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// Keeps a frame that came too early; what does not fit will be sent again.
    pub(super) fn hold(&mut self, seq: u64, frame: &[u8]) {
        let fits =
            self.held.len() < HELD_FRAMES_MAX && self.held_bytes + frame.len() <= HELD_BYTES_MAX;
        if fits && !self.held.contains_key(&seq) {
            self.held_bytes += frame.len();
            self.held.insert(seq, frame.to_vec());
        }
    }

    /// The held frame that is next, if it is there.
    pub(super) fn take_next(&mut self) -> Option<Vec<u8>> {
        while let Some(entry) = self.held.first_entry() {
            if *entry.key() > self.mark.seq + 1 {
                return None;
            }
            let is_next = *entry.key() == self.mark.seq + 1;
            let frame = entry.remove();
            self.held_bytes -= frame.len();
            if is_next {
                return Some(frame);
            }
        }
        self.asked_ms = None;
        None
    }

    /// Whether the next frame is held.
    pub(super) fn has_next(&self) -> bool {
        self.held.keys().next().is_some_and(|first| *first <= self.mark.seq + 1)
    }

    /// The range to ask for, unless that was done a moment ago.
    pub(super) fn missing(&mut self, mono_ms: i64) -> Option<(u64, u64)> {
        let next = self.mark.seq + 1;
        let first = *self.held.keys().find(|seq| **seq >= next)?;
        // An agent starts again from what it is asked for: not for each frame that comes out of
        // order.
        if first == next || self.asked_ms.is_some_and(|at| mono_ms - at < NACK_AGAIN_MS) {
            return None;
        }
        self.asked_ms = Some(mono_ms);
        Some((next, first - 1))
    }

    /// The agent does not have what was asked for: the next range may be asked for at once.
    pub(super) fn answered(&mut self) {
        self.asked_ms = None;
    }

    /// Another life of the agent, which goes on behind `seq`: frames held do not count.
    pub(super) fn start_life(&mut self, incarnation: [u8; 16], seq: u64, hash: u64) {
        self.mark.incarnation = incarnation;
        self.mark.seq = seq;
        self.mark.last_frame_hash = hash;
        self.is_changed = true;
        self.held.clear();
        self.held_bytes = 0;
        self.asked_ms = None;
    }

    pub(super) fn held_count(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use headwater_engine::pipeline::SplitId;

    use super::*;

    #[test]
    fn a_gap_behind_a_gap_is_asked_for_at_once() {
        let mut uplink = Uplink::new(0, SplitId::default());
        uplink.mark.seq = 1;
        for seq in [3, 5] {
            uplink.hold(seq, b"frame");
        }
        assert_eq!(uplink.missing(10), Some((2, 2)));
        assert_eq!(uplink.missing(10), None, "the answer is under way");
        assert_eq!(uplink.missing(10 + NACK_AGAIN_MS), Some((2, 2)), "or lost");
        // The agent has it no more: the mark passes it, and what was held is applied.
        uplink.mark.seq = 2;
        assert_eq!(uplink.missing(11 + NACK_AGAIN_MS), None, "the next one is here");
        assert!(uplink.take_next().is_some());
        uplink.mark.seq = 3;
        assert_eq!(uplink.missing(11 + NACK_AGAIN_MS), None, "more may be under way");
        uplink.answered();
        assert_eq!(uplink.missing(11 + NACK_AGAIN_MS), Some((4, 4)));
    }
}
