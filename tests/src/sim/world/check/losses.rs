//! Losses that are declared: they are those that happened, each once (I3).

use std::collections::{BTreeMap, BTreeSet};

use headwater_runtime::agent::Policy;
use headwater_store::{Commit, Gap, Store};
use headwater_wire::FrameHeader;

use super::super::readings::Answer;
use super::{Checker, Content, Incarnation, Stream, node};

/// A frame of a stream.
pub(super) type Key = (Stream, u64);

/// A range of frames that another one declares dropped, and how many rows were in it.
pub(super) struct Declaration {
    from: u64,
    to: u64,
    rows: u64,
}

pub(super) fn declared_in(header: &FrameHeader) -> Vec<Declaration> {
    let ranges = header.dropped_before.iter();
    ranges.map(|range| Declaration { from: range.from, to: range.to, rows: range.rows }).collect()
}

impl Checker {
    /// Numbers are about to be left without a frame.
    pub(super) fn removes(&mut self, node: usize, incarnation: Incarnation, commit: &Commit) {
        for &(channel, from, to) in commit.outbox_remove.iter().filter(|range| range.0 < 1000) {
            self.removed.extend((from..=to).map(|seq| ((node, incarnation, channel), seq)));
        }
    }

    /// Frames are there after all: the commit that took them out was not durable.
    pub(super) fn unremoved(&mut self, stream: Stream, store: &Store) {
        if self.removed.iter().any(|(s, _)| *s == stream) {
            let rows = store.snapshot().and_then(|s| s.outbox(stream.2, 1, usize::MAX));
            for row in rows.expect("a readable outbox") {
                self.removed.remove(&(stream, row.seq));
            }
        }
    }

    /// Frames that were declared lost.
    pub(super) fn declared(&mut self, gaps: &[Gap]) -> BTreeSet<Key> {
        let mut lost = BTreeSet::new();
        let mut declared = BTreeSet::new();
        for gap in gaps {
            let node = node(&gap.agent);
            let range = ((node, [0; 16], 0), 0)..=((node, [u8::MAX; 16], u32::MAX), u64::MAX);
            let within =
                |key: &&Key| key.0.2 == gap.channel && (gap.from..=gap.to).contains(&key.1);
            let removed: Vec<Key> =
                self.removed.range(range.clone()).filter(within).copied().collect();
            let frames = self.frames.range(range).map(|(key, _)| key).filter(within);
            let frames: Vec<Key> =
                frames.filter(|key| !self.removed.contains(key)).copied().collect();
            let (from, to) = (gap.from, gap.to);
            if frames.is_empty() && removed.is_empty() {
                self.fail(node, format!("I3: frames {from} to {to} never were"));
            }
            if !frames.is_empty() && gap.reason.starts_with("coarsened") {
                self.fail(node, format!("I3: frames {from} to {to} were not made coarser"));
            }
            let again = frames.iter().chain(&removed).filter(|key| !declared.insert(**key)).count();
            if again > 0 && !self.is_changed() {
                self.fail(node, format!("I3: of frames {from} to {to} {again} are lost twice"));
            }
            lost.extend(frames);
        }
        let undeclared =
            self.removed.iter().find(|key| !declared.contains(*key) && !self.is_replaced(key.0.0));
        if let Some(((node, ..), seq)) = undeclared.copied() {
            self.fail(node, format!("I3: frame {seq} was taken out, and no gap says so"));
        }
        lost
    }

    /// What must have come of a gateway's readings: under `drop-newest` rows were dropped before
    /// there was a frame, one for each window that is missing.
    pub(super) fn kept(&mut self, node: usize, made: &Answer, expected: &Answer) -> Answer {
        if self.policy != Policy::DropNewest {
            return expected.clone();
        }
        let kept = expected.iter().filter(|(window, _)| made.contains_key(*window));
        let kept: Answer = kept.map(|(window, totals)| (window.clone(), *totals)).collect();
        let missing = (expected.len() - kept.len()) as u64;
        let own = self.frames.iter().filter(|((stream, _), _)| stream.0 == node);
        let declared: u64 = own.map(|(_, content)| rows(content)).sum();
        if missing != declared {
            self.fail(node, format!("I3: {missing} rows were dropped, {declared} are declared"));
        }
        kept
    }

    /// The rows that frames declare are those of the frames that they name, and the core has
    /// counted each declaration that has arrived once.
    pub(super) fn check_counted(&mut self, lost: &BTreeSet<Key>, rows_dropped: u64) {
        let mut arrived = 0;
        let mut wrong = Vec::new();
        for (key, content) in self.frames.iter().filter(|(key, _)| !lost.contains(*key)) {
            arrived += rows(content);
            for Declaration { from, to, rows } in &content.declares {
                let named = self.frames.range((key.0, *from)..=(key.0, *to));
                let all: BTreeMap<_, _> =
                    named.map(|(key, c)| (*key, c.cells.len() as u64)).collect();
                // Frames that had arrived may be among them. What the agent knew to have arrived
                // is no loss to it, whatever core was restored since.
                let least: u64 =
                    all.iter().filter(|(k, _)| lost.contains(*k)).map(|(_, n)| n).sum();
                let least = if self.was_restored { 0 } else { least };
                let most: u64 = all.values().sum();
                let is_known = self.policy == Policy::DropOldest;
                if is_known && !(least..=most).contains(rows) {
                    wrong.push((key.0.0, format!("{rows} rows, not {least} to {most}")));
                }
            }
        }
        for (node, what) in wrong {
            self.fail(node, format!("I3: a frame declares the loss of {what}"));
        }
        if arrived != rows_dropped {
            let what =
                format!("I3: {arrived} lost rows were declared, the core says {rows_dropped}");
            self.fail(0, what);
        }
    }
}

fn rows(content: &Content) -> u64 {
    content.declares.iter().map(|declared| declared.rows).sum()
}
