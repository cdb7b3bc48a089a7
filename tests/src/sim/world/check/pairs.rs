//! Copies of states: two live ones under one name, what must hold of both and of the one that
//! stays; and old ones that were put back.

use std::collections::{BTreeMap, BTreeSet};

use headwater_runtime::agent::Policy;
use headwater_store::Mark;

use super::super::readings::{Answer, merge_into};
use super::{Checker, Incarnation, NONCE_COUNT_BITS};
use crate::sim::WALL_MS;

/// What is known of a name that two have.
#[derive(Default)]
pub(super) struct Pairs {
    /// The copy, by the node whose name it has.
    copies: BTreeMap<usize, usize>,
    has_own_readings: bool,
    /// Processes that were granted a term in turn, by name: process, true time, wall time.
    turns: BTreeMap<usize, Vec<(u64, u64, i64)>>,
    /// When the core read a hello, by name and nonce: true time, wall time. Its answer may leave
    /// much later, when the core has a connection.
    hellos: BTreeMap<(usize, u64), (u64, i64)>,
    /// Since when (true ms) the one that stays is alone and has delivered everything, by name.
    settled: BTreeMap<usize, (usize, u64)>,
    lives: BTreeMap<(usize, u32), Incarnation>,
    /// The newest event time that the core had when the last life of a gateway began, by name.
    floors: BTreeMap<usize, i64>,
    /// The core has lost some of what it had: what was acknowledged may be missing.
    is_core_old: bool,
}

impl Checker {
    /// A second process goes on from a copy of a gateway's state.
    pub(in crate::sim::world) fn copied(&mut self, of: usize, copy: usize, has_own: bool) {
        self.copied.extend([of, copy]);
        self.pairs.copies.insert(of, copy);
        self.pairs.has_own_readings = has_own;
    }

    /// Whether this gateway is one of two.
    pub(in crate::sim::world) fn is_copy(&self, node: usize) -> bool {
        self.pairs.copies.iter().any(|(of, copy)| *of == node || *copy == node)
    }

    /// The gateway whose readings this one reads, if it is a copy without its own.
    pub(super) fn reads_for(&self, node: usize) -> Option<usize> {
        let mut copies = self.pairs.copies.iter().filter(|_| !self.pairs.has_own_readings);
        copies.find(|(_, copy)| **copy == node).map(|(of, _)| *of)
    }

    /// The one that stayed has delivered everything: from here on nothing of it may be missing.
    pub(in crate::sim::world) fn settles(&mut self, name: usize, node: usize, at: u64) {
        self.pairs.settled.entry(name).or_insert((node, at));
    }

    /// A gateway's state was replaced, or the core's (0): what came before may be gone.
    pub(super) fn unsettle(&mut self, node: usize) {
        if node == 0 {
            self.pairs.settled.clear();
            self.clock_set();
            self.pairs.is_core_old = true;
        }
        self.pairs.settled.retain(|name, (line, _)| *name != node && *line != node);
    }

    /// The core's wall clock was set: it may have forgotten turns meanwhile.
    pub(in crate::sim::world) fn clock_set(&mut self) {
        self.pairs.turns.clear();
        self.pairs.hellos.clear();
    }

    /// The core reads a hello.
    pub(in crate::sim::world) fn hello(&mut self, node: usize, nonce: u64, at: u64, wall_ms: i64) {
        self.pairs.hellos.insert((node, nonce), (at, wall_ms));
    }

    /// The core has committed a mark of this life.
    pub(super) fn lives(&mut self, node: usize, channel: u32, mark: &Mark) {
        let before = self.pairs.lives.insert((node, channel), mark.incarnation);
        if before.is_some_and(|before| before != mark.incarnation) {
            self.pairs.settled.remove(&node);
            // Nothing of the new life is applied before its grant is committed.
            let floor = self.pairs.floors.entry(node).or_insert(i64::MIN);
            *floor = mark.last_event_time.max(*floor);
        }
    }

    /// What must be there of gateways with an old copy of their state: windows behind all that the
    /// core had of them, also where the copy took the readings in before it knew that it is one.
    pub(super) fn add_restored(&self, expected: &[Answer], low: &mut Answer) {
        if self.pairs.is_core_old || self.policy != Policy::Pause {
            return;
        }
        for (node, floor) in &self.pairs.floors {
            if !self.copied.contains(node) || self.reflashed.contains(node) || self.is_copy(*node) {
                continue;
            }
            for (window, totals) in expected[node - 1].iter().filter(|(w, _)| w.1 > *floor) {
                merge_into(low, window, totals);
            }
        }
    }

    /// A process was granted a term: two that take turns are stopped before the fourth.
    pub(super) fn takes_turn(&mut self, node: usize, nonce: u64) {
        // None for what it read before its clock was set.
        let Some(&(at, wall_ms)) = self.pairs.hellos.get(&(node, nonce)) else { return };
        let process = nonce >> NONCE_COUNT_BITS;
        let turns = self.pairs.turns.entry(node).or_default();
        turns.retain(|(_, then, wall)| {
            at.abs_diff(*then) < TURNS_MS && (0..TURNS_MS as i64).contains(&(wall_ms - wall))
        });
        match turns.last_mut() {
            Some(last) if last.0 == process => *last = (process, at, wall_ms),
            _ => turns.push((process, at, wall_ms)),
        }
        let more = turns.len().saturating_sub(TURNS_KEPT);
        turns.drain(..more);
        let mut seen = BTreeSet::new();
        if turns.iter().filter(|turn| !seen.insert(turn.0)).count() > 1 {
            self.fail(node, "two processes in turn are granted a fourth term".into());
        }
    }

    /// What must be there of those that stayed, in windows that began when they were alone.
    pub(super) fn add_settled(&self, expected: &[Answer], low: &mut Answer) {
        for (name, (line, at)) in &self.pairs.settled {
            let has_own = self.pairs.has_own_readings && name != line;
            let answer = &expected[if has_own { *line } else { *name } - 1];
            let since = WALL_MS + i64::try_from(*at).expect("short") + SETTLE_MS;
            for (window, totals) in answer.iter().filter(|(window, _)| window.1 >= since) {
                merge_into(low, window, totals);
            }
        }
    }

    /// Whether what is lost may be in a gateway that is gone, with readings that no other has.
    pub(super) fn may_be_gone(&self) -> bool {
        self.pairs.has_own_readings
    }
}

/// Turns further apart than this are none: a little less than the core allows, ms.
const TURNS_MS: u64 = 590_000;
/// Turns that are judged. The core keeps sixteen, and hellos without a grant take room among them.
const TURNS_KEPT: usize = 8;
/// A window that begins so long after everything was delivered has nothing of before, ms.
const SETTLE_MS: i64 = 35_000;
