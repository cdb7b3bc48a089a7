//! What happens at the quota of the outbox: frames are dropped, and each loss is declared in a
//! frame that comes after it (PROTOCOL.md, rule 17).
//!
//! Guarantees: the rows of every dropped frame are declared exactly once to a core that hears of
//! them, also when the frame that declares them is dropped itself.

use headwater_engine::mutation::{Mutation, mutated};
use headwater_store::{Commit, OutboxRow, Snapshot, StoreError};
use headwater_wire::{decode_header, frame_hash};

use super::{
    Agent, Now, Policy,
    outbox::{Kind, Stored},
};
use crate::task::Batch;

/// From, to, rows.
pub(super) type Range = (u64, u64, u64);

/// Bytes that are read from the store at a time.
const READ_BYTES: usize = 1 << 20;

impl Agent {
    /// Counts the rows of frames that an earlier process left, so that those of them that are
    /// dropped are declared in full. Reads the whole backlog, under `drop-oldest` alone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn restore_rows(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        if self.settings.policy != Policy::DropOldest {
            return Ok(());
        }
        for (number, channel) in &mut self.channels {
            let mut next = channel.first_stored();
            while channel.kind == Kind::Exchange && next <= channel.committed_upto {
                let rows = snapshot.outbox(*number, next, READ_BYTES)?;
                let Some(last) = rows.last() else { break };
                next = last.seq + 1;
                // The core sets a frame aside that cannot be read.
                let incarnation = self.identity.incarnation;
                let describe = |row: &OutboxRow| {
                    let (_, head) = decode_header(&row.bytes).ok()?;
                    let is_sent_so =
                        head.incarnation == incarnation && head.seq == channel.wire_seq(row.seq);
                    let hash = frame_hash(&row.bytes).ok().filter(|_| is_sent_so);
                    let (seq, rows) = (row.seq, head.rows_count);
                    Some(Stored { seq, rows, hash: hash.unwrap_or(0) })
                };
                let stored: Vec<_> = rows.iter().filter_map(describe).collect();
                channel.stored.extend(stored);
            }
        }
        Ok(())
    }

    pub(super) fn put_frames(&mut self, commit: &mut Commit, now: Now) {
        self.settle_carriers();
        for batch in self.task.outputs().take_batches() {
            let (_, backlog) = self.backlog();
            let is_full = backlog + batch.payload.len() as u64 > self.settings.quota_bytes;
            match self.settings.policy {
                Policy::DropNewest if is_full && batch.rows_count > 0 => {
                    self.drop_newest(&batch, commit);
                    continue;
                }
                Policy::DropOldest if is_full => self.drop_oldest(&batch, commit),
                _ => {}
            }
            self.put_frame(&batch, commit, now);
        }
        self.declare_dropped(commit, now);
        self.put_lost();
    }

    /// Whether a loss is not declared and there is room to do so.
    pub(super) fn wants_to_declare(&self) -> bool {
        let is_open = |channel| !self.record.carriers.contains_key(channel);
        self.record.dropped.keys().any(is_open) && self.backlog().1 < self.settings.quota_bytes / 2
    }

    /// Where no frame came that could tell of a loss, one without rows does.
    fn declare_dropped(&mut self, commit: &mut Commit, now: Now) {
        if !self.wants_to_declare() {
            return;
        }
        let (dropped, carriers) = (&self.record.dropped, &self.record.carriers);
        let open = dropped.keys().filter(|channel| !carriers.contains_key(channel));
        let channels: Vec<u32> = open.copied().collect();
        for channel in channels {
            match self.task.outputs().empty_batch(channel) {
                Some(batch) => self.put_frame(&batch, commit, now),
                None => drop(self.record.dropped.remove(&channel)),
            }
        }
    }

    /// Drops a frame before it exists; the next one declares it.
    fn drop_newest(&mut self, batch: &Batch, commit: &mut Commit) {
        let rows = u64::from(batch.rows_count);
        let Some(channel) = self.channels.get_mut(&batch.channel) else { return };
        let seq = channel.take_seq();
        channel.remove(seq, seq);
        commit.outbox_remove.push((batch.channel, seq, seq));
        let dropped = self.record.dropped.entry(batch.channel).or_default();
        add(dropped, (seq, seq, rows));
        if mutated(Mutation::DeclareTwice) {
            dropped.push((seq, seq, rows));
        }
        self.count("outbox/dropped-newest-rows", rows);
    }

    /// Drops frames from the oldest on until the batch fits; the next frame declares them.
    fn drop_oldest(&mut self, batch: &Batch, commit: &mut Commit) {
        let mut excess = self.backlog().1 + batch.payload.len() as u64;
        let quota = self.settings.quota_bytes;
        let Some(channel) = self.channels.get_mut(&batch.channel) else { return };
        let mut lost_rows = 0;
        let mut lost: Option<(u64, u64)> = None;
        while excess > quota {
            let Some((seq, bytes, rows)) = channel.drop_first() else { break };
            excess = excess.saturating_sub(bytes);
            lost = Some((lost.map_or(seq, |(from, _)| from), seq));
            lost_rows += rows;
        }
        if let Some((from, to)) = lost {
            commit.outbox_delete.push((batch.channel, to));
            let dropped = self.record.dropped.entry(batch.channel).or_default();
            if let Some((carrier, ranges)) = self.record.carriers.remove(&batch.channel) {
                if carrier <= to {
                    let later = std::mem::replace(dropped, ranges);
                    later.into_iter().for_each(|range| add(dropped, range));
                } else {
                    self.record.carriers.insert(batch.channel, (carrier, ranges));
                }
            }
            add(dropped, (from, to, lost_rows));
            self.count("outbox/dropped-oldest-frames", to - from + 1);
            self.count("outbox/dropped-oldest-rows", lost_rows);
        }
    }

    /// The ranges that the frame `seq` declares.
    pub(super) fn take_dropped(&mut self, channel: u32, seq: u64) -> Vec<Range> {
        if self.settings.policy != Policy::DropOldest {
            return self.record.dropped.remove(&channel).unwrap_or_default();
        }
        // One frame at a time: it may be dropped too, and then another one declares all of it.
        if self.record.carriers.contains_key(&channel) {
            return Vec::new();
        }
        let dropped = self.record.dropped.remove(&channel).unwrap_or_default();
        if !dropped.is_empty() {
            self.record.carriers.insert(channel, (seq, dropped.clone()));
        }
        dropped
    }

    /// Which frames were dropped although the core may have them outlasts the process.
    fn put_lost(&mut self) {
        let exchanges = self.channels.iter().filter(|(_, channel)| channel.kind == Kind::Exchange);
        let lost = exchanges.filter(|(_, channel)| !channel.lost.is_empty());
        self.record.lost = lost.map(|(number, channel)| (*number, channel.lost.clone())).collect();
    }

    /// Forgets declarations that have arrived.
    fn settle_carriers(&mut self) {
        let channels = &self.channels;
        self.record
            .carriers
            .retain(|number, (seq, _)| channels.get(number).is_some_and(|c| c.acked < *seq));
    }
}

/// Adds a range behind the others; neighbours are joined.
fn add(ranges: &mut Vec<Range>, (from, to, rows): Range) {
    match ranges.last_mut() {
        Some(last) if last.1 + 1 == from => (last.1, last.2) = (to, last.2 + rows),
        _ => ranges.push((from, to, rows)),
    }
}
