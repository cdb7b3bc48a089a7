//! Which wall clock is believed.
//!
//! Guarantees: pure. Within one boot the time is the boot clock plus an offset; once the offset is
//! known, a wall clock that is set changes nothing until it is believed: at once when a time daemon
//! keeps it, else after it has stood for a while. A wall clock from before this program, or far
//! ahead of what was known, is never believed by itself. Does not read clocks and does not log.

use std::fmt;
use std::mem::discriminant;

use headwater_engine::operator::RestoreError;
use serde::{Deserialize, Serialize};

use super::Now;
use super::arrival::Stamp;
use crate::task::{read_record, write_record};

/// Whose word makes a wall clock right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// A time daemon's; a plausible clock is believed at once where none was ever seen, else after
    /// it has stood for a while.
    #[default]
    Auto,
    /// A time daemon's only.
    Ntp,
    /// Its own, within what is known.
    Plausible,
    /// Its own, whatever it says.
    Always,
}

/// How clocks are judged, and what becomes of rows until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whose word counts.
    pub trust: Trust,
    /// A doubtful clock is believed when it has stood for this time, in ms.
    pub settle_ms: i64,
    /// Rows get an estimated time instead of waiting for the true one.
    pub estimates: bool,
    /// Bytes of rows that wait.
    pub hold_bytes_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { trust: Trust::Auto, settle_ms: 600_000, estimates: false, hold_bytes_max: 4 << 20 }
    }
}

/// Why a wall clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It is before this program.
    Unset,
    /// It is far ahead of the last time that was known.
    Ahead,
    /// It is behind the last time that was known.
    Behind,
    /// No time daemon keeps it, and one is expected to.
    Unsynchronised,
    /// It was set while the time was known, by this many ms.
    Moved(i64),
}

impl Doubt {
    /// Whether it ends when the clock has stood for a while.
    fn settles(self, trust: Trust) -> bool {
        trust != Trust::Ntp && !matches!(self, Doubt::Unset | Doubt::Ahead)
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Unset => f.write_str("it was never set"),
            Doubt::Ahead => f.write_str("it is far ahead of the last time that was known"),
            Doubt::Behind => f.write_str("it is behind the last time that was known"),
            Doubt::Unsynchronised => f.write_str("no time daemon has synchronised it"),
            Doubt::Moved(ms) => {
                let (sign, seconds) = (if *ms < 0 { "back" } else { "ahead" }, ms.abs() / 1000);
                write!(f, "it was set {sign} by {seconds} s, and no time daemon confirms it")
            }
        }
    }
}

/// Something to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The wall clock was set, by this many ms.
    Stepped(i64),
    /// The time is known now, or another one than before.
    Believed,
    /// The wall clock is not believed.
    Doubted(Doubt),
}

/// One start of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Boot {
    pub(super) id: u64,
    /// Boot clock of the last checkpoint.
    pub(super) last_ms: i64,
    /// The time at boot clock 0, if it became known.
    pub(super) offset_ms: Option<i64>,
    /// The last time that was known before it.
    pub(super) before_ms: Option<i64>,
}

/// What outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The last time that was known.
    pub(super) known_ms: Option<i64>,
    /// A time daemon was seen to keep this clock.
    was_synchronised: bool,
    /// This boot and those before it of which rows wait, the oldest first.
    pub(super) boots: Vec<Boot>,
    /// The time given last.
    pub(super) stamp: Option<Stamp>,
}

/// A wall clock that is not believed yet.
#[derive(Clone, Copy, Debug)]
struct Claim {
    distance_ms: i64,
    since_mono_ms: i64,
}

/// The judge of the clocks; see the module's text.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub(super) rules: Rules,
    pub(super) record: Record,
    /// The wall clock against the boot clock at the last look.
    distance_ms: Option<i64>,
    claim: Option<Claim>,
    pub(super) doubt: Option<Doubt>,
    /// The furthest ahead that the time may be, against the boot clock: for the future guard.
    latest_ms: Option<i64>,
    stepped_ms: i64,
    steps: u64,
    notes: Vec<Note>,
}

impl Keeper {
    /// Goes on from what the store holds; `boot_id` names this start of the machine.
    ///
    /// # Errors
    /// When the record is of another version of the program.
    pub fn new(
        rules: Rules,
        boot_id: u64,
        stored: Option<&[u8]>,
        now: Now,
    ) -> Result<Self, RestoreError> {
        let mut record: Record = read_record(stored, RECORD_VERSION)?;
        // A boot clock that went back is another boot, whatever the id says.
        let is_same = |boot: &Boot| boot.id == boot_id && boot.last_ms <= now.boot_ms;
        if !record.boots.last().is_some_and(is_same) {
            let mut id = boot_id;
            while record.boots.iter().any(|boot| boot.id == id) {
                id = id.wrapping_add(1);
            }
            let before_ms = record.known_ms;
            record.boots.push(Boot { id, last_ms: 0, offset_ms: None, before_ms });
            let excess = record.boots.len().saturating_sub(BOOTS_MAX);
            record.boots.drain(..excess);
        }
        Ok(Keeper {
            latest_ms: record.known_ms.map(|known| known - now.boot_ms),
            rules,
            record,
            distance_ms: None,
            claim: None,
            doubt: None,
            stepped_ms: 0,
            steps: 0,
            notes: Vec::new(),
        })
    }

    /// Looks at the clocks; `synchronised` is the kernel's word on its time daemon.
    pub fn observe(&mut self, now: Now, synchronised: Option<bool>) {
        let distance = now.wall_ms - now.boot_ms;
        if let Some(before) = self.distance_ms.replace(distance) {
            let step = distance - before;
            if step.abs() > STEP_MS {
                self.steps += 1;
                self.stepped_ms += step;
                self.note(Note::Stepped(step));
            }
        }
        let is_synchronised = synchronised == Some(true);
        self.record.was_synchronised |= is_synchronised;
        let doubt = self.doubt(now, distance, is_synchronised);
        match doubt.filter(|doubt| !self.has_stood(now, distance, *doubt)) {
            Some(doubt) => self.doubt_it(doubt, distance),
            None => self.believe(distance, is_synchronised),
        }
        self.record.known_ms = self.time_ms(now).or(self.record.known_ms);
    }

    /// Whether a doubtful clock has stood for long enough.
    fn has_stood(&mut self, now: Now, distance: i64, doubt: Doubt) -> bool {
        let same = self.claim.filter(|c| (c.distance_ms - distance).abs() <= STEP_MS);
        let since_mono_ms = same.map_or(now.mono_ms, |claim| claim.since_mono_ms);
        self.claim = Some(Claim { distance_ms: distance, since_mono_ms });
        doubt.settles(self.rules.trust) && now.mono_ms - since_mono_ms >= self.rules.settle_ms
    }

    fn doubt_it(&mut self, doubt: Doubt, distance: i64) {
        if !matches!(doubt, Doubt::Unset | Doubt::Ahead) {
            self.latest_ms = self.latest_ms.max(Some(distance));
        }
        let is_new = self.doubt.is_none_or(|before| discriminant(&before) != discriminant(&doubt));
        self.doubt = Some(doubt);
        if is_new {
            self.note(Note::Doubted(doubt));
        }
    }

    fn believe(&mut self, distance: i64, is_synchronised: bool) {
        let is_new = self.offset_ms().is_none_or(|offset| (distance - offset).abs() > STEP_MS);
        if is_new || self.doubt.is_some() {
            self.note(Note::Believed);
        }
        (self.claim, self.doubt) = (None, None);
        self.boot_mut().offset_ms = Some(distance);
        self.latest_ms = match is_synchronised {
            true => Some(distance),
            // Whoever was believed before may have been right too.
            false => self.latest_ms.max(Some(distance)),
        };
    }

    fn doubt(&self, now: Now, distance: i64, is_synchronised: bool) -> Option<Doubt> {
        let (trust, offset) = (self.rules.trust, self.offset_ms());
        let moved = offset.map(|offset| distance - offset);
        if trust == Trust::Always || moved.is_some_and(|moved| moved.abs() <= STEP_MS) {
            return None;
        }
        if now.wall_ms < PLAUSIBLE_MS {
            return Some(Doubt::Unset);
        }
        if is_synchronised {
            return None;
        }
        let known = offset.map(|offset| now.boot_ms + offset).or(self.record.known_ms);
        let latest = known.map_or(PLAUSIBLE_MS + FRESH_MS, |known| known.saturating_add(AHEAD_MS));
        if now.wall_ms > latest {
            return Some(Doubt::Ahead);
        }
        if trust == Trust::Ntp {
            return Some(Doubt::Unsynchronised);
        }
        match moved {
            Some(moved) => Some(Doubt::Moved(moved)),
            None if trust == Trust::Auto && self.record.was_synchronised => {
                Some(Doubt::Unsynchronised)
            }
            None => known.is_some_and(|known| now.wall_ms < known).then_some(Doubt::Behind),
        }
    }

    fn note(&mut self, note: Note) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }

    /// What happened since the last call, for the log.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn boot_mut(&mut self) -> &mut Boot {
        self.record.boots.last_mut().expect("the present boot is always there")
    }

    /// The present boot.
    pub(super) fn boot(&self) -> &Boot {
        self.record.boots.last().expect("the present boot is always there")
    }

    /// The wall clock against the boot clock at the last look.
    pub(super) fn distance_ms(&self) -> Option<i64> {
        self.distance_ms
    }

    /// Names the present boot.
    pub fn boot_id(&self) -> u64 {
        self.boot().id
    }

    /// The time at boot clock 0.
    pub(super) fn offset_ms(&self) -> Option<i64> {
        self.boot().offset_ms
    }

    /// The time, if it is known in this boot.
    pub fn time_ms(&self, now: Now) -> Option<i64> {
        self.offset_ms().map(|offset| now.boot_ms + offset)
    }

    /// The last time that was known, in any boot.
    pub fn known_ms(&self) -> Option<i64> {
        self.record.known_ms
    }

    /// Whether the wall clock itself is believed.
    pub fn is_wall_trusted(&self) -> bool {
        self.offset_ms().is_some() && self.doubt.is_none()
    }

    /// Why the wall clock is not believed.
    pub fn doubt_now(&self) -> Option<Doubt> {
        self.doubt
    }

    /// What the future guard goes by: never behind the truth because of a clock that was set, and
    /// nothing at all before the time is known.
    pub fn guard_ms(&self, now: Now) -> Option<i64> {
        self.offset_ms()?;
        let latest = self.latest_ms.map(|latest| now.boot_ms + latest);
        latest.max(self.record.stamp.map(|stamp| stamp.last_ms))
    }

    /// Sum of all steps of the wall clock, in ms, and how many there were.
    pub fn steps(&self) -> (i64, u64) {
        (self.stepped_ms, self.steps)
    }

    /// How clocks are judged.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What a checkpoint stores; `waits` tells of which boots rows wait.
    pub fn store(&mut self, now: Now, waits: impl Fn(u64) -> bool) -> Vec<u8> {
        self.boot_mut().last_ms = now.boot_ms;
        let present = self.boot().id;
        self.record.boots.retain(|boot| boot.id == present || waits(boot.id));
        write_record(&self.record, RECORD_VERSION)
    }
}

/// No wall clock is right that is before this: the year in which this program was written.
pub const PLAUSIBLE_MS: i64 = 1_767_225_600_000;
/// A jump of the wall clock against the boot clock that is a step and no correction, in ms.
pub const STEP_MS: i64 = 2000;
const YEAR_MS: i64 = 365 * 86_400_000;
/// A clock further ahead of the last known time is not believed by itself, in ms.
const AHEAD_MS: i64 = YEAR_MS;
/// The same where no time was ever known, against [`PLAUSIBLE_MS`].
const FRESH_MS: i64 = 10 * YEAR_MS;
/// Boots of which rows may wait; of older ones only the order is kept.
const BOOTS_MAX: usize = 16;
/// Notes kept for the log between two looks at them.
const NOTES_MAX: usize = 8;
/// Format version of the record.
const RECORD_VERSION: u8 = 1;

#[cfg(test)]
mod tests;
