//! The outbox as the agent sees it: numbers, sizes, what was sent and what is acknowledged.

use std::collections::VecDeque;

use headwater_store::{ChannelState, Commit};
use headwater_wire::DroppedRange;
use headwater_wire::limits::DROPPED_RANGES_MAX;

/// What happens when unacknowledged frames reach the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Sources wait.
    #[default]
    Pause,
    /// The oldest frames go, counted and declared.
    DropOldest,
    /// New rows are not kept, counted.
    DropNewest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Exchange,
    Sink,
}

/// One channel of the outbox.
pub(super) struct Channel {
    pub(super) kind: Kind,
    next_seq: u64,
    pub(super) committed_upto: u64,
    pub(super) acked: u64,
    /// What the store was told.
    acked_stored: u64,
    deleted_upto: u64,
    /// Sizes of stored frames from `deleted_upto + 1` on; 0 where the size is not known.
    sizes: VecDeque<u64>,
    unknown_bytes: u64,
    /// Acknowledged frames that are still kept: seq, when (ms).
    retained: VecDeque<(u64, i64)>,
    pub(super) rows_of: VecDeque<(u64, u32)>,
    /// Next frame to transmit.
    pub(super) cursor: u64,
    pub(super) progress_ms: i64,
    pub(super) backoff: u32,
    pub(super) watermark: i64,
}

impl Channel {
    pub(super) fn new(kind: Kind, stored: &ChannelState) -> Self {
        let known = usize::try_from(stored.next_seq - stored.oldest_seq).unwrap_or(0);
        Channel {
            kind,
            next_seq: stored.next_seq,
            committed_upto: stored.next_seq - 1,
            acked: stored.acked_upto.max(stored.oldest_seq - 1),
            acked_stored: stored.acked_upto.max(stored.oldest_seq - 1),
            deleted_upto: stored.oldest_seq - 1,
            sizes: VecDeque::from(vec![stored.bytes() / (known as u64).max(1); known]),
            unknown_bytes: 0,
            retained: VecDeque::new(),
            rows_of: VecDeque::new(),
            cursor: stored.first_unacked(),
            progress_ms: 0,
            backoff: 0,
            watermark: i64::MIN,
        }
    }

    pub(super) fn take_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    pub(super) fn committed(&mut self, seq: u64, bytes: u64) {
        assert_eq!(seq, self.committed_upto + 1, "frames are committed in order");
        self.committed_upto = seq;
        self.sizes.push_back(bytes);
    }

    /// Everything up to `seq` has arrived. Tells whether that is news.
    pub(super) fn acknowledge(&mut self, seq: u64, mono_ms: i64) -> bool {
        let seq = seq.min(self.committed_upto);
        if seq <= self.acked {
            return false;
        }
        self.acked = seq;
        self.cursor = self.cursor.max(seq + 1);
        self.progress_ms = mono_ms;
        self.backoff = 0;
        self.retained.push_back((seq, mono_ms));
        while self.rows_of.front().is_some_and(|(s, _)| *s <= seq) {
            self.rows_of.pop_front();
        }
        true
    }

    /// Whether the store does not know the latest acknowledgement.
    pub(super) fn is_dirty(&self) -> bool {
        self.acked > self.acked_stored
    }

    pub(super) fn put_acknowledged(
        &mut self,
        number: u32,
        retained_bytes_max: u64,
        mono_ms: i64,
        commit: &mut Commit,
    ) {
        if self.acked > self.acked_stored {
            commit.outbox_acked.push((number, self.acked));
            self.acked_stored = self.acked;
        }
        let delete_upto = match self.kind {
            Kind::Sink => self.acked,
            Kind::Exchange => self.expired(retained_bytes_max, mono_ms),
        };
        if delete_upto > self.deleted_upto {
            commit.outbox_delete.push((number, delete_upto));
            self.forget(delete_upto);
        }
    }

    /// The last acknowledged frame that need not be kept any longer.
    fn expired(&mut self, retained_bytes_max: u64, mono_ms: i64) -> u64 {
        let mut upto = self.deleted_upto;
        while let Some(&(seq, since)) = self.retained.front() {
            let count = usize::try_from(self.acked - upto).unwrap_or(0);
            let skip = usize::try_from(upto - self.deleted_upto).unwrap_or(0);
            let bytes: u64 = self.sizes.iter().skip(skip).take(count).sum();
            if mono_ms - since < RETENTION_MS && bytes <= retained_bytes_max {
                break;
            }
            upto = upto.max(seq);
            self.retained.pop_front();
        }
        upto.min(self.acked)
    }

    fn forget(&mut self, upto: u64) {
        while self.deleted_upto < upto {
            self.sizes.pop_front();
            self.deleted_upto += 1;
        }
        // A word that came late may have asked for what has just gone.
        self.cursor = self.cursor.max(self.deleted_upto + 1);
    }

    /// Drops the oldest stored frame, acknowledged or not; gives its number and size.
    pub(super) fn drop_first(&mut self) -> Option<(u64, u64)> {
        let seq = self.deleted_upto + 1;
        if seq > self.committed_upto {
            return None;
        }
        let bytes = self.sizes.front().copied().unwrap_or(0);
        let was_acked = seq <= self.acked;
        self.forget(seq);
        self.acked = self.acked.max(seq);
        self.acked_stored = self.acked_stored.max(seq);
        self.cursor = self.cursor.max(seq + 1);
        Some((seq, if was_acked { 0 } else { bytes }))
    }

    /// Numbers go on at `next`, nothing before it is kept. False when they have come that far.
    pub(super) fn skip_to(&mut self, next: u64) -> bool {
        if next <= self.next_seq {
            return false;
        }
        let kind = self.kind;
        let watermark = self.watermark;
        *self = Channel { watermark, ..Channel::new(kind, &ChannelState::starting_at(next)) };
        true
    }

    /// Everything up to `seq` goes without being kept. False when nothing is left of it.
    pub(super) fn drop_upto(&mut self, seq: u64, mono_ms: i64) -> bool {
        let seq = seq.min(self.committed_upto);
        if seq <= self.deleted_upto {
            return false;
        }
        self.acknowledge(seq, mono_ms);
        self.acked_stored = self.acked_stored.max(seq);
        self.forget(seq);
        self.retained.retain(|(kept, _)| *kept > seq);
        true
    }

    /// The core's word on how far it has come, at a grant: it may have been restored from a
    /// backup.
    pub(super) fn set_mark(&mut self, seq: u64, mono_ms: i64) {
        if seq >= self.acked {
            self.acknowledge(seq, mono_ms);
            return;
        }
        self.acked = seq.max(self.deleted_upto);
        self.retained.retain(|(kept, _)| *kept <= seq);
    }

    pub(super) fn backlog_frames(&self) -> u64 {
        self.next_seq - 1 - self.acked
    }

    pub(super) fn backlog_bytes(&self) -> u64 {
        let skip = usize::try_from(self.acked - self.deleted_upto).unwrap_or(0);
        self.sizes.iter().skip(skip).sum::<u64>() + self.unknown_bytes
    }

    /// Stored frames: the oldest and the next.
    pub(super) fn span(&self) -> (u64, u64) {
        (self.deleted_upto + 1, self.committed_upto + 1)
    }
}

/// How long acknowledged frames are kept, so that a core restored from a backup can be refilled.
const RETENTION_MS: i64 = 3_600_000;

/// A chunk of lines as the outbox stores it: its offset, then its bytes.
pub(super) fn chunk(offset: u64, lines: &[u8]) -> Vec<u8> {
    let mut bytes = offset.to_le_bytes().to_vec();
    bytes.extend_from_slice(lines);
    bytes
}

/// Dropped ranges for a frame header; neighbours beyond the limit are joined.
pub(super) fn ranges(dropped: &[(u64, u64, u64)]) -> Vec<DroppedRange> {
    let mut ranges: Vec<DroppedRange> = Vec::new();
    for &(from, to, rows) in dropped {
        match ranges.last_mut() {
            Some(last) if last.to + 1 == from || ranges_full(last, dropped.len()) => {
                last.to = to;
                last.rows += rows;
            }
            _ => ranges.push(DroppedRange { from, to, rows }),
        }
    }
    ranges
}

fn ranges_full(_: &DroppedRange, count: usize) -> bool {
    count > DROPPED_RANGES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_is_not_transmitted() {
        let mut channel = Channel::new(Kind::Exchange, &ChannelState::default());
        for seq in 1..=3 {
            assert_eq!(channel.take_seq(), seq);
            channel.committed(seq, 100);
        }
        channel.acknowledge(2, 0);
        // A request for the first frame overtakes its acknowledgement.
        channel.cursor = 1;
        let mut commit = Commit::default();
        channel.put_acknowledged(0, 0, 0, &mut commit);
        assert_eq!(commit.outbox_delete, [(0, 2)]);
        assert_eq!(channel.cursor, 3);
    }
}
