//! What is known of frames that the core may have although they are gone here: dropped at the quota
//! before it acknowledged them.

use std::collections::VecDeque;

use headwater_wire::ChannelHead;
use serde::{Deserialize, Serialize};

use super::offer::Whose;
use super::outbox::Channel;

/// Hashes that are kept of one channel; of more, those of the first and of the last ones.
const LOST_MAX: usize = 512;

/// Frames that were dropped before they were acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    /// Up to here the core acknowledged frames of this state.
    sure: u64,
    /// Seq and hash; 0 where that is not known.
    frames: VecDeque<(u64, u64)>,
}

impl Lost {
    pub(super) fn new(sure: u64) -> Self {
        Lost { sure, frames: VecDeque::new() }
    }

    /// Whether there is nothing that the number of the last acknowledged frame does not tell.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn push(&mut self, seq: u64, hash: u64) {
        if seq <= self.sure {
            return;
        }
        self.frames.push_back((seq, hash));
        if self.frames.len() > LOST_MAX {
            self.frames.remove(LOST_MAX / 2);
        }
    }

    /// The core has frames of this state up to `seq`, and no more for certain.
    pub(super) fn set_sure(&mut self, seq: u64) {
        self.sure = seq;
        while self.frames.front().is_some_and(|(lost, _)| *lost <= seq) {
            self.frames.pop_front();
        }
    }

    /// The core acknowledged everything up to `seq`.
    pub(super) fn acknowledged(&mut self, seq: u64) {
        self.set_sure(seq.max(self.sure));
    }
}

impl Channel {
    /// Whose the frames are that the core has, as far as that is known without reading one.
    pub(super) fn whose(&self, head: &ChannelHead) -> Whose {
        let [upto, frame] = [head.upto_seq, head.frame_seq].map(|seq| self.stored_seq(seq));
        // Frames are marked as sent before they are: what was not is not there.
        if self.never_sent(head.upto_seq) || frame > self.committed_upto {
            return Whose::Others;
        }
        if frame == 0 {
            return Whose::Ours;
        }
        // The core passed what it was told is lost. Whoever still has it did not tell it.
        let first = self.past_holes(frame.max(self.acked) + 1);
        if first <= upto.min(self.committed_upto) {
            return Whose::Others;
        }
        if let Some((_, hash)) = self.lost.frames.iter().find(|(seq, _)| *seq == frame) {
            return if *hash == head.frame_hash { Whose::Ours } else { Whose::Others };
        }
        if frame <= self.lost.sure {
            return Whose::Ours;
        }
        let is_stored = frame >= self.first_stored() && self.past_holes(frame) == frame;
        if is_stored { Whose::Unread(frame) } else { Whose::Others }
    }
}

#[cfg(test)]
mod tests {
    use headwater_store::{ChannelState, Commit};

    use super::super::outbox::{Kind, Stored};
    use super::*;

    /// A channel with ten frames, of which the core acknowledged two.
    fn channel() -> Channel {
        let mut channel = Channel::new(Kind::Exchange, &ChannelState::default());
        for _ in 0..10 {
            let seq = channel.take_seq();
            channel.stored.push_back(Stored { seq, rows: 1, hash: 100 + seq });
            channel.committed(seq, 10);
        }
        channel.acknowledge(2, 0);
        channel
    }

    fn whose(channel: &Channel, upto_seq: u64, frame_seq: u64, frame_hash: u64) -> Whose {
        channel.whose(&ChannelHead { channel: 0, upto_seq, frame_seq, frame_hash })
    }

    #[test]
    fn frames_that_are_still_there_are_read() {
        let mut channel = channel();
        assert_eq!(whose(&channel, 2, 2, 7), Whose::Ours, "acknowledged to this state");
        assert_eq!(whose(&channel, 5, 5, 7), Whose::Unread(5));
        assert_eq!(whose(&channel, 11, 11, 7), Whose::Others, "never made here");
        assert_eq!(
            whose(&channel, 6, 5, 7),
            Whose::Others,
            "6 is here, and the core takes it for lost"
        );
        assert_eq!(whose(&channel, 0, 0, 0), Whose::Ours, "a core that has nothing");
        channel.remove(6, 7);
        assert_eq!(whose(&channel, 7, 5, 7), Whose::Unread(5));
        assert_eq!(whose(&channel, 7, 7, 7), Whose::Others, "never sent");
    }

    #[test]
    fn frames_that_were_dropped_are_told_by_their_hash() {
        let mut channel = channel();
        channel.put_acknowledged(0, 0, 0, &mut Commit::default());
        let dropped: Vec<_> = std::iter::from_fn(|| channel.drop_first()).take(4).collect();
        assert_eq!(dropped.last(), Some(&(6, 10, 1)));
        assert_eq!(whose(&channel, 2, 2, 7), Whose::Ours);
        assert_eq!(whose(&channel, 5, 5, 105), Whose::Ours);
        assert_eq!(whose(&channel, 5, 5, 7), Whose::Others);
        assert_eq!(whose(&channel, 6, 4, 104), Whose::Ours, "the rest was lost");
        assert_eq!(whose(&channel, 7, 4, 104), Whose::Others, "7 was not");
        channel.acknowledge(5, 0);
        assert_eq!(whose(&channel, 5, 5, 7), Whose::Ours);
        channel.set_mark(4, 0);
        assert_eq!(whose(&channel, 5, 5, 7), Whose::Others, "the core has lost it since");
    }

    /// The store still says that they were acknowledged.
    #[test]
    fn frames_that_a_restored_core_lacks_and_gets_again_are_known_after_a_restart() {
        let mut channel = channel();
        channel.acknowledge(5, 0);
        channel.lost = Lost::new(2);
        let dropped: Vec<_> = std::iter::from_fn(|| channel.drop_first()).take(5).collect();
        assert_eq!(dropped.last(), Some(&(5, 0, 0)));
        assert_eq!(whose(&channel, 4, 4, 104), Whose::Ours);
        assert_eq!(whose(&channel, 4, 4, 7), Whose::Others);
    }

    #[test]
    fn of_many_that_were_dropped_the_first_and_the_last_are_known() {
        let mut lost = Lost::new(2);
        (3..10_000).for_each(|seq| lost.push(seq, seq));
        assert_eq!(lost.frames.len(), LOST_MAX);
        let ends = (lost.frames[LOST_MAX / 2 - 1].0, lost.frames[LOST_MAX / 2].0);
        assert_eq!(ends, (258, 9_744));
    }
}
