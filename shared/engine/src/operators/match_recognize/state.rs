//! Checkpoints of open matches, and what a restart builds anew.
//!
//! An entry holds the runs of one partition, each by the place of its first row among the rows that
//! are kept; it is written again when they change. What each row was looked at for is not kept:
//! rows at or behind the watermark have been, those after it have not.

use alloc::vec::Vec;

use super::{
    Agenda, MatchRecognize, Partition, by_order,
    queue::{Entry, Queue},
    runs::Run,
};
use crate::{
    codec,
    context::Context,
    keys::KeyId,
    operator::{RestoreError, StateWriter, Timestamp},
    rows::RowId,
};

/// Prefixes of entries.
const ROWS: u8 = 0;
const RUNS: u8 = 1;

/// The runs of a partition as an entry holds them, in the order of their queues.
pub(super) struct StoredRuns {
    open: Vec<Option<StoredRun>>,
    complete: Vec<Option<StoredRun>>,
}

struct StoredRun {
    run: Run,
    bounds: Vec<u32>,
}

fn broken() -> RestoreError {
    RestoreError("the open matches of a partition are unreadable".into())
}

impl MatchRecognize {
    pub(super) fn write(&mut self, full: bool, cx: &mut Context, write: &mut dyn StateWriter) {
        assert!(self.current.is_none(), "no checkpoint while a watermark is on its way");
        self.restoring.clear();
        self.rows.checkpoint(full, ROWS, cx, write);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut changed = core::mem::take(&mut self.dirty);
        for &partition in &changed {
            self.partitions[partition as usize].is_listed = false;
        }
        if full {
            self.deleted.clear();
            changed = (0..).take(self.partitions.len()).collect();
        }
        changed.retain(|&key| {
            let partition = &mut self.partitions[key as usize];
            let is_dirty = core::mem::take(&mut partition.is_dirty);
            (full || is_dirty) && !partition.events.is_empty()
        });
        let first = |partition: &Partition| self.rows.seq(partition.events[0]);
        // By arrival, so that the bytes do not depend on which numbers keys were given.
        changed.sort_unstable_by_key(|&key| first(&self.partitions[key as usize]));
        for &key in &changed {
            let partition = &mut self.partitions[key as usize];
            let seq = self.rows.seq(partition.events[0]);
            if let Some(stored) = partition.stored.replace(seq)
                && stored != seq
            {
                self.deleted.push(stored);
            }
        }
        for seq in self.deleted.drain(..).filter(|_| !full) {
            entry_key(&mut key, seq);
            write.entry(&key, None);
        }
        for index in changed {
            let partition = &self.partitions[index as usize];
            entry_key(&mut key, self.rows.seq(partition.events[0]));
            value.clear();
            self.put_queue(&partition.open, partition.base, &mut value);
            self.put_queue(&partition.complete, partition.base, &mut value);
            write.entry(&key, Some(&value));
        }
    }

    fn put_queue(&self, queue: &Queue, base: u64, value: &mut Vec<u8>) {
        codec::put_u64(value, queue.0.len() as u64);
        for entry in &queue.0 {
            if entry.is_start() {
                codec::put_u64(value, 0);
                continue;
            }
            let run = self.matcher.runs.get(entry.run);
            codec::put_u64(value, run.start - base + 1);
            codec::put_u64(value, u64::from(run.state));
            codec::put_u64(value, u64::from(run.len));
            codec::put_u64(value, u64::from(run.last));
            for bound in &self.matcher.runs.bounds(entry.run)[..=usize::from(run.last)] {
                codec::put_u64(value, u64::from(*bound));
            }
        }
    }

    pub(super) fn take_back(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        cx: &mut Context,
    ) -> Result<(), RestoreError> {
        let (prefix, mut rest) = key.split_first().ok_or_else(broken)?;
        match *prefix {
            ROWS => self.rows.restore(rest, value, cx),
            RUNS => {
                let seq = codec::take_u64(&mut rest).ok_or_else(broken)?;
                match value {
                    None => self.restoring.remove(&seq),
                    Some(mut value) => {
                        let runs = self.take_runs(&mut value).ok_or_else(broken)?;
                        self.restoring.insert(seq, runs)
                    }
                };
                Ok(())
            }
            _ => Err(broken()),
        }
    }

    fn take_runs(&self, value: &mut &[u8]) -> Option<StoredRuns> {
        Some(StoredRuns { open: self.take_queue(value)?, complete: self.take_queue(value)? })
    }

    fn take_queue(&self, value: &mut &[u8]) -> Option<Vec<Option<StoredRun>>> {
        let mut queue = Vec::new();
        for _ in 0..codec::take_u64(value)? {
            let Some(start) = codec::take_u64(value)?.checked_sub(1) else {
                queue.push(None);
                continue;
            };
            let run = Run {
                start,
                state: codec::take_u64(value)?.try_into().ok()?,
                len: codec::take_u64(value)?.try_into().ok()?,
                last: codec::take_u64(value)?.try_into().ok()?,
            };
            let fits = usize::from(run.last) < self.spec.variables.len()
                && self.matcher.has_state(run.state);
            if !fits {
                return None;
            }
            let bound = |_| codec::take_u64(value)?.try_into().ok();
            let bounds = (0..=run.last).map(bound).collect::<Option<_>>()?;
            queue.push(Some(StoredRun { run, bounds }));
        }
        Some(queue)
    }

    /// Builds everything but the rows from what has been taken back so far. Called in between too,
    /// when rows and runs need not fit each other yet.
    pub(super) fn rebuild(&mut self, watermark: Timestamp, cx: &mut Context) {
        self.matcher.runs.clear();
        self.partitions.clear();
        self.agenda = Agenda::new();
        self.dirty.clear();
        self.deleted.clear();
        let restoring = core::mem::take(&mut self.restoring);
        let by_arrival = self.rows.by_arrival();
        for &id in &by_arrival {
            let key = self.rows.key(id);
            if self.partitions.len() <= key as usize {
                self.partitions.resize_with(key as usize + 1, Partition::default);
            }
            let partition = &mut self.partitions[key as usize];
            if self.rows.time(id) <= watermark {
                partition.events.push_back(id);
            } else if partition.pending.is_none_or(|p| self.rows.time(id) < self.rows.time(p)) {
                partition.pending = Some(id);
            }
        }
        for partition in &mut self.partitions {
            let (rows, order, types) = (&self.rows, &self.spec.order, &self.types);
            let of = |id: RowId| (rows.time(id), rows.get(id));
            partition.events.make_contiguous().sort_by(|a, b| {
                let ((a_time, a), (b_time, b)) = (of(*a), of(*b));
                a_time.cmp(&b_time).then_with(|| by_order(a, b, order, types, cx))
            });
        }
        for (&seq, stored) in &restoring {
            let found = by_arrival.binary_search_by_key(&seq, |&id| self.rows.seq(id));
            if let Ok(index) = found {
                let key = self.rows.key(by_arrival[index]);
                self.rebuild_runs(key, seq, stored);
            }
        }
        self.restoring = restoring;
        for key in (0..).take(self.partitions.len()) {
            self.arm(key);
        }
    }

    fn rebuild_runs(&mut self, key: KeyId, seq: u64, stored: &StoredRuns) {
        let partition = &mut self.partitions[key as usize];
        let kept = partition.events.len() as u64;
        let fits = |run: &StoredRun| run.run.start + u64::from(run.run.len) <= kept;
        let all = || stored.open.iter().chain(&stored.complete).flatten();
        let is_first = partition.events.front().is_some_and(|id| self.rows.seq(*id) == seq);
        if !is_first || !all().all(fits) {
            return;
        }
        let runs = &mut self.matcher.runs;
        let mut entry = |stored: &Option<StoredRun>| match stored {
            None => Entry::START,
            Some(StoredRun { run, bounds }) => {
                Entry { start: run.start, run: runs.insert(*run, bounds) }
            }
        };
        partition.open = Queue(stored.open.iter().map(&mut entry).collect());
        partition.complete = Queue(stored.complete.iter().map(&mut entry).collect());
        partition.stored = Some(seq);
    }
}

fn entry_key(key: &mut Vec<u8>, seq: u64) {
    key.clear();
    key.push(RUNS);
    codec::put_u64(key, seq);
}
