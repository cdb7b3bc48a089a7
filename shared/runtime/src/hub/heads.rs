//! Which frame of a channel was applied last, as it arrived: an agent compares it with its own
//! (PROTOCOL.md, rules 11 to 13).
//!
//! Guarantees: a mark that has passed a loss does not forget the frame before it. Most of the time
//! the mark says it all; only where it does not is there an entry here.

use std::collections::BTreeMap;

use headwater_store::Mark;
use headwater_wire::{ChannelHead, Incarnation};
use serde::{Deserialize, Serialize};

/// Seq and hash of frames by life and channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Heads(BTreeMap<Incarnation, BTreeMap<u32, (u64, u64)>>);

impl Heads {
    /// What a grant says of a channel.
    pub(super) fn of(&self, channel: u32, mark: &Mark) -> ChannelHead {
        let apart = self.0.get(&mark.incarnation).and_then(|channels| channels.get(&channel));
        let (frame_seq, frame_hash) = match mark.last_frame_hash {
            0 => apart.copied().unwrap_or_default(),
            hash => (mark.seq, hash),
        };
        ChannelHead { channel, upto_seq: mark.seq, frame_seq, frame_hash }
    }

    /// The mark does not name its last frame any more, or at all. Tells whether that is news.
    pub(super) fn set(&mut self, life: Incarnation, channel: u32, frame: (u64, u64)) -> bool {
        self.0.entry(life).or_default().insert(channel, frame) != Some(frame)
    }

    /// The mark names its last frame. Tells whether that is news.
    pub(super) fn clear(&mut self, life: Incarnation, channel: u32) -> bool {
        let Some(channels) = self.0.get_mut(&life) else { return false };
        channels.remove(&channel).is_some()
    }

    /// A life goes on where its parent was.
    pub(super) fn inherit(&mut self, parent: Incarnation, life: Incarnation) {
        if let Some(channels) = self.0.get(&parent).cloned() {
            self.0.insert(life, channels);
        }
    }

    /// Forgets lives whose marks are not kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Incarnation) -> bool) {
        self.0.retain(|life, channels| is_kept(life) && !channels.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_behind_a_loss_knows_the_frame_before_it() {
        let life = [1; 16];
        let mut heads = Heads::default();
        let mark = |seq, last_frame_hash| Mark {
            incarnation: life,
            seq,
            last_frame_hash,
            ..Mark::default()
        };
        let head = |heads: &Heads, mark: &Mark| {
            let head = heads.of(3, mark);
            (head.upto_seq, head.frame_seq, head.frame_hash)
        };
        assert_eq!(head(&heads, &mark(5, 0)), (5, 0, 0), "nothing is known");
        assert_eq!(head(&heads, &mark(5, 50)), (5, 5, 50));
        assert!(heads.set(life, 3, (5, 50)) && !heads.set(life, 3, (5, 50)));
        assert_eq!(head(&heads, &mark(9, 0)), (9, 5, 50), "6 to 9 were lost");
        heads.inherit(life, [2; 16]);
        heads.retain(|kept| *kept == [2; 16]);
        assert_eq!(head(&heads, &mark(9, 0)), (9, 0, 0), "the life is forgotten");
        let moved = Mark { incarnation: [2; 16], ..mark(9, 0) };
        assert_eq!(head(&heads, &moved), (9, 5, 50));
        assert!(heads.clear([2; 16], 3) && !heads.clear([2; 16], 3));
    }
}
