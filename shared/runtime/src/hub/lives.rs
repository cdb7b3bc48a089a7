//! What the core remembers of an agent beyond its present life: the lives before it, the processes
//! that spoke for it, and up to where its rows were taken (PROTOCOL.md, rules 12 to 14).
//!
//! Guarantees: everything is bounded; a life that comes back goes on at its own marks, so that
//! nothing of it is applied twice.

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::mutation::{Mutation, mutated};
use headwater_engine::operator::RestoreError;
use headwater_wire::{ChannelSpan, Hello, Incarnation};
use serde::{Deserialize, Serialize};

use super::channels::Uplink;
use super::heads::Heads;
use crate::task::{read_record, write_record};

/// Earlier lives whose marks are kept.
const FORMER_MAX: usize = 4;
/// Changes between processes that are kept.
const TURNS_MAX: usize = 16;
/// Returns of a process after another one within [`TURNS_WINDOW_MS`] that mean two are alive: the
/// fourth grant in turn.
const RETURNS_MAX: usize = 2;
const TURNS_WINDOW_MS: i64 = 600_000;
/// Longest time that a hello is under way while later ones arrive, in ms.
const UNDER_WAY_MS: u64 = 120_000;
const VERSION: u8 = 3;
/// What earlier versions lack at their end: version 2 the heads, version 1 the boot as well.
const ADDED: [(u8, &[u8]); 2] = [(2, &[0]), (1, &[0, 0, 0])];
/// The low bits of a nonce count the hellos of one process, the others name it.
const NONCE_COUNT_BITS: u32 = 16;

/// The record's `extra`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Past {
    /// Nonces of the last hello of processes that took turns, and when (ms), oldest first.
    turns: Vec<(u64, i64)>,
    /// Two processes claim this identity.
    is_conflict: bool,
    former: Vec<Life>,
    /// Rows up to this event time (ms) were taken from an earlier life, by channel.
    floors: BTreeMap<u32, i64>,
    /// Boot of the last hello, and its boot clock when that was sent, ms.
    last_boot: (u64, u64),
    /// Frames applied last, of the present life and of those before it.
    pub(super) heads: Heads,
}

/// Marks of a life that has ended, or seemed to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) incarnation: Incarnation,
    /// Seq and hash of the last frame applied, by channel.
    pub(super) marks: BTreeMap<u32, (u64, u64)>,
}

/// What a hello says of the processes that speak for an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is one.
    Alone,
    /// More than one is alive.
    Conflict,
    /// It came before: nothing new.
    Repeated,
}

/// Where the life of a hello comes from.
pub(super) enum Origin {
    /// It is the present one.
    Present,
    /// An earlier one is back.
    Former(Life),
    /// It continues the present one; its state may be an old copy.
    Child(Life),
    /// It continues one that another life has followed since: a copy of a state is at work.
    Cousin(Life),
    /// Nothing is known of it.
    Unknown,
}

impl Past {
    pub(super) fn decode(extra: &[u8]) -> Result<Past, RestoreError> {
        let Some((version, fields)) = extra.split_first() else { return Ok(Past::default()) };
        match ADDED.iter().find(|(before, _)| before == version) {
            Some((_, added)) => read_record(Some(&[&[VERSION], fields, added].concat()), VERSION),
            None => read_record(Some(extra), VERSION),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        write_record(self, VERSION)
    }

    /// Why nothing of the agent is taken, if so.
    pub(super) fn refusal(&self) -> Option<String> {
        self.is_conflict.then(|| REFUSAL.into())
    }

    /// A process says hello. A process that ended never comes back, however often a gateway
    /// restarts: its number is new each time, and a hello of it that a broker delivers again is
    /// known by its nonce.
    pub(super) fn takes_turn(&mut self, nonce: u64, boot: (u64, u64), wall_ms: i64) -> Turn {
        if self.is_overtaken(boot) {
            return Turn::Repeated;
        }
        self.last_boot = boot;
        let process = |nonce: u64| nonce >> NONCE_COUNT_BITS;
        // A clock that was ahead and steps back must not keep what it wrote alive.
        self.turns.iter_mut().for_each(|(_, at)| *at = (*at).min(wall_ms));
        self.turns.retain(|(_, at)| wall_ms - at < TURNS_WINDOW_MS);
        let is_known =
            |(known, _): &(u64, i64)| process(*known) == process(nonce) && *known >= nonce;
        if self.turns.iter().any(is_known) {
            return Turn::Repeated;
        }
        match self.turns.last_mut() {
            Some((last, at)) if process(*last) == process(nonce) => (*last, *at) = (nonce, wall_ms),
            _ => self.turns.push((nonce, wall_ms)),
        }
        if self.turns.len() > TURNS_MAX {
            self.turns.remove(0);
        }
        let mut seen = BTreeSet::new();
        let returns = self.turns.iter().filter(|(nonce, _)| !seen.insert(process(*nonce))).count();
        // Once in conflict, it is over when only one was heard for the whole window.
        self.is_conflict = returns >= RETURNS_MAX || (self.is_conflict && self.turns.len() > 1);
        self.is_conflict &= !mutated(Mutation::IgnoreConflict);
        if self.is_conflict { Turn::Conflict } else { Turn::Alone }
    }

    /// Whether a hello was sent before the last one that came: a process that has ended since, as
    /// both are of one machine.
    fn is_overtaken(&self, (boot_id, boot_ms): (u64, u64)) -> bool {
        let (last_id, last_ms) = self.last_boot;
        boot_id == last_id && boot_ms < last_ms && last_ms - boot_ms <= UNDER_WAY_MS
    }

    pub(super) fn floor(&self, channel: u32) -> Option<i64> {
        self.floors.get(&channel).copied()
    }

    /// Rows of the channel up to this event time are taken.
    pub(super) fn raise_floor(&mut self, channel: u32, time: i64) {
        let floor = self.floors.entry(channel).or_insert(i64::MIN);
        *floor = time.max(*floor);
    }

    /// What the hello's life is to the present one, `current`.
    pub(super) fn origin(&self, current: Life, hello: &Hello) -> Origin {
        let former = |incarnation| self.former.iter().find(|l| l.incarnation == incarnation);
        if current.incarnation == hello.incarnation {
            return Origin::Present;
        }
        if let Some(life) = former(hello.incarnation) {
            return Origin::Former(life.clone());
        }
        match &hello.parent {
            Some(parent) if parent.incarnation == current.incarnation => Origin::Child(current),
            Some(parent) => {
                former(parent.incarnation).cloned().map_or(Origin::Unknown, Origin::Cousin)
            }
            None => Origin::Unknown,
        }
    }

    /// `ended` gives way to the life that begins or comes back.
    pub(super) fn retire(&mut self, ended: Life, begins: Incarnation) {
        self.former.retain(|l| l.incarnation != begins && l.incarnation != ended.incarnation);
        self.former.push(ended);
        if self.former.len() > FORMER_MAX {
            self.former.remove(0);
        }
        let former = &self.former;
        self.heads.retain(|life| {
            *life == begins || former.iter().any(|former| former.incarnation == *life)
        });
    }
}

impl Life {
    /// The life whose marks the channels hold.
    pub(super) fn of(incarnation: Incarnation, channels: &BTreeMap<u32, Uplink>) -> Life {
        let ours = channels.iter().filter(|(_, c)| c.mark.incarnation == incarnation);
        let marks = ours.map(|(number, c)| (*number, (c.mark.seq, c.mark.last_frame_hash)));
        Life { incarnation, marks: marks.collect() }
    }

    /// Whether the core has applied frames that a state with these frames never made.
    pub(super) fn is_ahead_of(&self, spans: &[ChannelSpan]) -> bool {
        spans
            .iter()
            .any(|span| self.marks.get(&span.channel).is_some_and(|(seq, _)| *seq >= span.next_seq))
    }
}

const REFUSAL: &str = "two processes claim this identity: they took more than 3 turns in ten \
                       minutes; nothing of either is taken until one is gone for that long";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_in_turn_are_a_conflict_and_restarts_are_none() {
        let nonce = |process: u64, count: u64| process << NONCE_COUNT_BITS | count;
        let mut past = Past::default();
        for restart in 0..40 {
            let at = 1000 * i64::try_from(restart).unwrap();
            assert_eq!(past.takes_turn(nonce(restart, 1), (0, 0), at), Turn::Alone);
        }
        let mut past = Past::default();
        let turns = [(1, 0), (2, 60), (2, 120), (1, 130), (2, 190)];
        let turn = |(count, (process, s)): (u64, &(u64, i64))| {
            past.takes_turn(nonce(*process, count), (0, 0), s * 1000) == Turn::Conflict
        };
        let conflicts: Vec<_> = (1..).zip(&turns).map(turn).collect();
        assert_eq!(conflicts, [false, false, false, false, true]);
        let restored = Past::decode(&past.encode()).unwrap();
        assert!(restored.refusal().is_some());
        // One of them goes; the other says hello every minute.
        let mut is_free = |minute: u64| {
            let at = i64::try_from(minute).unwrap() * 60_000;
            past.takes_turn(nonce(2, minute + 10), (0, 0), at) == Turn::Alone
        };
        let until_free = (4..20).find(|minute| is_free(*minute)).unwrap();
        assert!((11..=13).contains(&until_free), "{until_free}");
    }

    #[test]
    fn hellos_that_are_delivered_again_are_no_second_process() {
        let nonce = |process: u64, count: u64| process << NONCE_COUNT_BITS | count;
        let mut past = Past::default();
        let hellos = [nonce(1, 1), nonce(1, 2), nonce(2, 1)];
        let first: Vec<_> = hellos.iter().map(|n| past.takes_turn(*n, (0, 0), 1000)).collect();
        assert_eq!(first, [Turn::Alone; 3]);
        // The broker lost the acknowledgements of all of them.
        let again: Vec<_> = hellos.iter().map(|n| past.takes_turn(*n, (0, 0), 2000)).collect();
        assert_eq!(again, [Turn::Repeated; 3]);
        assert_eq!(past.takes_turn(nonce(2, 2), (0, 0), 3000), Turn::Alone);
    }

    #[test]
    fn a_hello_that_was_overtaken_is_no_return() {
        let nonce = |process: u64| process << NONCE_COUNT_BITS | 1;
        let mut past = Past::default();
        assert_eq!(past.takes_turn(nonce(2), (7, 60_000), 1000), Turn::Alone);
        for late in [30_000, 50_000] {
            assert_eq!(past.takes_turn(nonce(1), (7, late), 1000), Turn::Repeated);
        }
        assert_eq!(past.takes_turn(nonce(1), (8, 10), 1000), Turn::Alone, "another machine");
        assert_eq!(past.takes_turn(nonce(3), (8, 20), 1000), Turn::Alone);
    }

    #[test]
    fn a_conflict_ends_in_time_when_the_clock_steps_back() {
        let nonce = |process: u64, count: u64| process << NONCE_COUNT_BITS | count;
        let mut past = Past::default();
        let ahead = 9 * 60_000;
        for (count, process) in (1..).zip([1, 2, 1, 2]) {
            past.takes_turn(nonce(process, count), (0, 0), ahead);
        }
        assert!(past.refusal().is_some());
        let mut is_free = |minute: u64| {
            let at = i64::try_from(minute).unwrap() * 60_000;
            past.takes_turn(nonce(2, minute + 10), (0, 0), at) == Turn::Alone
        };
        let first = (1..30).find(|minute| is_free(*minute)).unwrap();
        assert!(first <= 12, "{first}");
    }

    #[test]
    fn former_lives_are_bounded() {
        let mut past = Past::default();
        for n in 0..10 {
            let ended = Life { incarnation: [n; 16], marks: BTreeMap::new() };
            past.retire(ended, [n + 1; 16]);
        }
        assert_eq!(past.former.len(), FORMER_MAX);
        assert!(Past::decode(&[9, 9]).is_err());
        let bytes = past.encode();
        for (version, added) in ADDED {
            let before = [&[version], &bytes[1..bytes.len() - added.len()]].concat();
            assert_eq!(Past::decode(&before).unwrap().encode(), bytes, "version {version}");
        }
    }
}
