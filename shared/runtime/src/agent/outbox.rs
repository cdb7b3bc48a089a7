//! The outbox as the agent sees it: numbers, sizes, what was sent and what is acknowledged.

use std::collections::VecDeque;

use headwater_store::{ChannelState, Commit};
use headwater_wire::DroppedRange;
use headwater_wire::limits::DROPPED_RANGES_MAX;
use serde::{Deserialize, Serialize};

use super::lost::Lost;
use super::resend::Probe;

/// What happens when unacknowledged frames reach the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Sources wait.
    #[default]
    Pause,
    /// The oldest frames go, counted and declared.
    DropOldest,
    /// New rows are not kept, counted and declared.
    DropNewest,
    /// Partials of neighbouring windows are added up; where nothing is left to add up, sources
    /// wait.
    Coarsen,
}

/// A range of numbers without frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hole {
    from: u64,
    to: u64,
    /// Bytes of what was removed: the store counts them until the range is passed.
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Exchange,
    Sink,
}

/// What has to be known of a stored frame when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) seq: u64,
    pub(super) rows: u32,
    /// Hash under which it is sent; 0 where that is another than that of the stored bytes.
    pub(super) hash: u64,
}

/// One channel of the outbox. Its numbers are those under which the store has the frames.
pub(super) struct Channel {
    pub(super) kind: Kind,
    /// What the core's numbers are ahead of the store's: more than 0 where an old copy goes on
    /// behind what the core has.
    shift: u64,
    next_seq: u64,
    pub(super) committed_upto: u64,
    pub(super) acked: u64,
    /// What the store was told.
    acked_stored: u64,
    deleted_upto: u64,
    /// Sizes of stored frames from `deleted_upto + 1` on; 0 where the size is not known.
    sizes: VecDeque<u64>,
    holes: Vec<Hole>,
    /// The last frame that may be under way; those behind it may be made coarser.
    open_upto: u64,
    /// Acknowledged frames that are still kept: seq, when (ms).
    retained: VecDeque<(u64, i64)>,
    /// Stored frames, acknowledged or not: a core restored from a backup may want them.
    pub(super) stored: VecDeque<Stored>,
    /// Those that were dropped although the core may have them.
    pub(super) lost: Lost,
    /// Next frame to transmit.
    pub(super) cursor: u64,
    pub(super) progress_ms: i64,
    pub(super) backoff: u32,
    /// The few frames with which a round of sending again begins.
    pub(super) probe: Option<Probe>,
    pub(super) watermark: i64,
}

impl Channel {
    pub(super) fn new(kind: Kind, stored: &ChannelState) -> Self {
        let known = usize::try_from(stored.next_seq - stored.oldest_seq).unwrap_or(0);
        Channel {
            kind,
            shift: 0,
            next_seq: stored.next_seq,
            committed_upto: stored.next_seq - 1,
            acked: stored.acked_upto.max(stored.oldest_seq - 1),
            acked_stored: stored.acked_upto.max(stored.oldest_seq - 1),
            deleted_upto: stored.oldest_seq - 1,
            sizes: VecDeque::from(vec![stored.bytes() / (known as u64).max(1); known]),
            holes: Vec::new(),
            open_upto: u64::MAX,
            retained: VecDeque::new(),
            stored: VecDeque::new(),
            lost: Lost::new(stored.acked_upto.max(stored.oldest_seq - 1)),
            cursor: stored.first_unacked(),
            progress_ms: 0,
            backoff: 0,
            probe: None,
            watermark: i64::MIN,
        }
    }

    /// Holes of an earlier life of the process, which frames may be under way, and what the core's
    /// numbers are ahead.
    pub(super) fn restore(&mut self, holes: &[Hole], open_upto: u64, shift: u64) {
        self.open_upto = open_upto;
        self.shift = shift;
        self.holes = holes.to_vec();
        // A hole in front is no longer among what the store counts.
        let counted = || self.holes.iter().filter(|h| h.from > self.deleted_upto);
        let numbers: u64 = counted().map(|h| h.to - h.from + 1).sum();
        let bytes: u64 = counted().map(|h| h.bytes).sum();
        let frames = (self.sizes.len() as u64).saturating_sub(numbers).max(1);
        let stored: u64 = self.sizes.iter().sum();
        let each = stored.saturating_sub(bytes) / frames;
        let first = self.deleted_upto + 1;
        for (seq, size) in (first..).zip(&mut self.sizes) {
            let is_hole = self.holes.iter().any(|h| (h.from..=h.to).contains(&seq));
            *size = if is_hole { 0 } else { each };
        }
    }

    /// The core's number for a stored frame.
    pub(super) fn wire_seq(&self, seq: u64) -> u64 {
        seq + self.shift
    }

    /// The store's number for one of the core's; 0 for what lies before all of them.
    pub(super) fn stored_seq(&self, seq: u64) -> u64 {
        seq.saturating_sub(self.shift)
    }

    pub(super) fn shift(&self) -> u64 {
        self.shift
    }

    pub(super) fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// Takes the frames of a range out.
    pub(super) fn remove(&mut self, from: u64, to: u64) {
        let mut bytes = 0;
        for seq in from.max(self.deleted_upto + 1)..=to {
            let at = usize::try_from(seq - self.deleted_upto - 1).unwrap_or(usize::MAX);
            bytes += self.sizes.get_mut(at).map_or(0, std::mem::take);
        }
        self.stored.retain(|stored| !(from..=to).contains(&stored.seq));
        match self.holes.last_mut() {
            Some(last) if last.to + 1 == from => (last.to, last.bytes) = (to, last.bytes + bytes),
            _ => self.holes.push(Hole { from, to, bytes }),
        }
    }

    /// The first number from `seq` on that has a frame, or will have one.
    pub(super) fn past_holes(&self, seq: u64) -> u64 {
        let hole = self.holes.iter().find(|h| (h.from..=h.to).contains(&seq));
        hole.map_or(seq, |h| h.to + 1)
    }

    /// The hole that ends before `seq`, as the core numbers it.
    pub(super) fn hole_before(&self, seq: u64) -> Option<DroppedRange> {
        let hole = self.holes.iter().find(|h| h.to + 1 == seq)?;
        let [from, to] = [hole.from, hole.to].map(|seq| self.wire_seq(seq));
        Some(DroppedRange { from, to, rows: 0 })
    }

    /// Allows all frames to be transmitted, or no more than before; gives the last one allowed.
    pub(super) fn open(&mut self, all: bool) -> u64 {
        if all || self.open_upto == u64::MAX {
            self.open_upto = self.next_seq - 1;
        }
        self.open_upto
    }

    /// Whether there are frames that may not be transmitted yet.
    pub(super) fn is_shut(&self) -> bool {
        self.committed_upto > self.open_upto
    }

    /// The last frame that may be transmitted.
    pub(super) fn sendable_upto(&self) -> u64 {
        self.committed_upto.min(self.open_upto).min(self.probed_upto())
    }

    /// Whether the frame that the core knows by this number was certainly never transmitted.
    pub(super) fn never_sent(&self, seq: u64) -> bool {
        self.stored_seq(seq) > self.open_upto
    }

    /// Frames that were certainly never transmitted, but for the newest one, which tells the core
    /// of the others: their bytes, and the first and last of at most `job_bytes`.
    pub(super) fn closed_frames(&self, job_bytes: u64) -> Option<(u64, u64, u64)> {
        let first = self.past_holes(self.open_upto.saturating_add(1).max(self.acked + 1));
        let last = self.committed_upto.checked_sub(1)?;
        let skip = usize::try_from(first.checked_sub(self.deleted_upto + 1)?).ok()?;
        let mut total = 0;
        let mut to = first;
        for (seq, size) in (first..=last).zip(self.sizes.iter().skip(skip)) {
            if total < job_bytes {
                to = seq;
            }
            total += size;
        }
        (first < last).then_some((total, first, to))
    }

    pub(super) fn take_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    pub(super) fn committed(&mut self, seq: u64, bytes: u64) {
        assert!(seq > self.committed_upto, "frames are committed in order");
        self.left_out(seq - 1);
        self.committed_upto = seq;
        self.sizes.push_back(bytes);
    }

    /// Numbers up to `seq` are given, without frames.
    pub(super) fn left_out(&mut self, seq: u64) {
        while self.committed_upto < seq {
            self.committed_upto += 1;
            self.sizes.push_back(0);
        }
    }

    /// Everything up to `seq` has arrived. Tells whether that is news.
    pub(super) fn acknowledge(&mut self, seq: u64, mono_ms: i64) -> bool {
        let seq = seq.min(self.committed_upto);
        self.lost.acknowledged(seq);
        if seq <= self.acked {
            return false;
        }
        self.acked = seq;
        self.cursor = self.cursor.max(seq + 1);
        self.end_probe(seq);
        self.progress_ms = mono_ms;
        self.backoff = 0;
        self.retained.push_back((seq, mono_ms));
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
        while self.stored.front().is_some_and(|stored| stored.seq <= upto) {
            self.stored.pop_front();
        }
        // A word that came late may have asked for what has just gone.
        self.cursor = self.cursor.max(self.deleted_upto + 1);
        self.holes.retain(|hole| hole.to >= upto);
    }

    /// Drops the oldest stored frame, acknowledged or not; gives its number, and its size and rows
    /// if it was not.
    pub(super) fn drop_first(&mut self) -> Option<(u64, u64, u64)> {
        let seq = self.deleted_upto + 1;
        if seq > self.committed_upto {
            return None;
        }
        let bytes = self.sizes.front().copied().unwrap_or(0);
        let stored = self.stored.front().filter(|stored| stored.seq == seq);
        let (rows, hash) = stored.map_or((0, 0), |stored| (u64::from(stored.rows), stored.hash));
        let was_acked = seq <= self.acked;
        self.lost.push(seq, hash);
        self.forget(seq);
        self.acked = self.acked.max(seq);
        self.acked_stored = self.acked_stored.max(seq);
        self.cursor = self.cursor.max(seq + 1);
        Some(if was_acked { (seq, 0, 0) } else { (seq, bytes, rows) })
    }

    /// Numbers go on at `next`, nothing before it is kept. False when they have come that far.
    pub(super) fn skip_to(&mut self, next: u64) -> bool {
        if next <= self.next_seq {
            return false;
        }
        let kind = self.kind;
        let watermark = self.watermark;
        let open_upto = if self.open_upto == u64::MAX { u64::MAX } else { next - 1 };
        *self = Channel {
            shift: self.shift,
            watermark,
            open_upto,
            ..Channel::new(kind, &ChannelState::starting_at(next))
        };
        true
    }

    /// Everything up to `seq` goes without being kept. False when nothing is left of it.
    pub(super) fn drop_upto(&mut self, seq: u64, mono_ms: i64) -> bool {
        let seq = seq.min(self.committed_upto);
        // The core has had these numbers, from another copy.
        self.open_upto = self.open_upto.max(seq);
        if seq <= self.deleted_upto {
            return false;
        }
        self.acknowledge(seq, mono_ms);
        self.lost = Lost::new(seq);
        self.acked_stored = self.acked_stored.max(seq);
        self.forget(seq);
        self.retained.retain(|(kept, _)| *kept > seq);
        true
    }

    /// The core's word at a grant on how far it has come with the frames of this state: it may have
    /// been restored from a backup.
    pub(super) fn set_mark(&mut self, seq: u64, mono_ms: i64) {
        self.lost.set_sure(seq);
        if seq >= self.acked {
            self.acknowledge(seq, mono_ms);
            return;
        }
        self.acked = seq.max(self.deleted_upto);
        self.retained.retain(|(kept, _)| *kept <= seq);
    }

    /// What the core has under the numbers up to `mark` are not the frames of this state. All that
    /// it has not acknowledged goes on behind that; gives what may be deleted, `None` where the
    /// core has less than it once acknowledged.
    pub(super) fn renumber(&mut self, mark: u64) -> Option<u64> {
        let acked = self.acked;
        self.shift = mark.checked_sub(acked).filter(|shift| *shift > self.shift)?;
        self.lost = Lost::new(acked);
        self.stored.iter_mut().for_each(|stored| stored.hash = 0);
        self.acked_stored = self.acked_stored.max(acked);
        self.send_again_from(acked + 1);
        self.open_upto = self.open_upto.max(acked);
        self.retained.clear();
        self.forget(acked);
        Some(acked)
    }

    pub(super) fn backlog_frames(&self) -> u64 {
        self.next_seq - 1 - self.acked
    }

    pub(super) fn backlog_bytes(&self) -> u64 {
        let skip = usize::try_from(self.acked - self.deleted_upto).unwrap_or(0);
        self.sizes.iter().skip(skip).sum::<u64>()
    }

    /// The oldest number of which the store may have the frame.
    pub(super) fn first_stored(&self) -> u64 {
        self.deleted_upto + 1
    }

    /// Stored frames as the core numbers them: the oldest and the next.
    pub(super) fn span(&self) -> (u64, u64) {
        let oldest = self.deleted_upto + 1;
        // The first frame declares the hole before it, which is no loss. The store may have passed
        // a part of it.
        let hole = self.holes.iter().find(|hole| (hole.from..=hole.to + 1).contains(&oldest));
        let oldest = hole.map_or(oldest, |hole| hole.from);
        (self.wire_seq(oldest), self.wire_seq(self.committed_upto + 1))
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

/// Dropped ranges for a frame header, in the core's numbers. Those beyond the limit are joined with
/// the one before: only `drop-oldest` has more than one, and as it drops from the front, what lies
/// between them is gone from here too.
pub(super) fn ranges(dropped: &[(u64, u64, u64)], shift: u64) -> Vec<DroppedRange> {
    let mut ranges: Vec<DroppedRange> = Vec::new();
    for &(from, to, rows) in dropped {
        let (from, to) = (from + shift, to + shift);
        let is_full = ranges.len() == RANGES_MAX;
        match ranges.last_mut() {
            Some(last) if last.to + 1 == from || is_full => {
                last.to = to;
                last.rows += rows;
            }
            _ => ranges.push(DroppedRange { from, to, rows }),
        }
    }
    ranges
}

/// One place in the header is for a hole that is declared when the frame is sent.
const RANGES_MAX: usize = DROPPED_RANGES_MAX - 1;

#[cfg(test)]
mod tests;
