//! The time of rows that bring none: when they came, by the boot clock, and what time that was.
//!
//! Guarantees: the times given go forward. After the time was set back they run at half speed
//! until the true time has caught up: so nothing is late and nothing stands still. Rows of an
//! earlier boot whose time never became known keep their distances and are put as late as they can
//! have come.

use serde::{Deserialize, Serialize};

use super::keeper::{Boot, Doubt, Keeper, PLAUSIBLE_MS};

/// When a row came, by a clock that is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Names the boot.
    pub boot_id: u64,
    /// Boot clock, ms.
    pub boot_ms: i64,
}

/// The times given so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// The last arrival whose time was not slowed down, and that time.
    anchor: Arrival,
    anchor_ms: i64,
    /// The last time given.
    pub(super) last_ms: i64,
}

/// How sure a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// By the offset of its boot.
    Known,
    /// Of an earlier boot: between the last time known before and the start of the next boot.
    Placed,
    /// By the policy, before the time is known.
    Estimated,
}

impl Keeper {
    /// The time of a row, if it can be known, or if the policy is not to wait for it.
    pub fn stamp(&mut self, arrival: Arrival) -> Option<(i64, Certainty)> {
        let known = self.known(arrival);
        let (time, certainty) = match known {
            Some(found) => found,
            None if self.rules.estimates => (self.estimate(arrival), Certainty::Estimated),
            None => return None,
        };
        Some((self.forward(arrival, time), certainty))
    }

    fn known(&self, arrival: Arrival) -> Option<(i64, Certainty)> {
        let of = |boot: &Boot| boot.id == arrival.boot_id;
        let boot = self.record.boots.iter().find(|boot| of(boot));
        if let Some(offset) = boot.and_then(|boot| boot.offset_ms) {
            return Some((offset + arrival.boot_ms, Certainty::Known));
        }
        // Backwards from the present boot: each may have ended when the next one began.
        let mut end = self.offset_ms()?;
        let earlier = self.record.boots.iter().rev().skip(1);
        for boot in earlier {
            let start = boot.offset_ms.unwrap_or(end - boot.last_ms);
            if of(boot) {
                let time = start + arrival.boot_ms;
                return Some((time.max(boot.before_ms.unwrap_or(time)), Certainty::Placed));
            }
            end = start;
        }
        Some((end, Certainty::Placed))
    }

    /// Never later than the truth, unless a doubtful wall clock is.
    fn estimate(&self, arrival: Arrival) -> i64 {
        let is_present = arrival.boot_id == self.boot().id;
        if is_present
            && !matches!(self.doubt, Some(Doubt::Unset | Doubt::Ahead))
            && let Some(distance) = self.distance_ms()
        {
            return distance + arrival.boot_ms;
        }
        let boot = self.record.boots.iter().find(|boot| boot.id == arrival.boot_id);
        let before = boot.and_then(|boot| boot.before_ms).unwrap_or(PLAUSIBLE_MS);
        before + arrival.boot_ms
    }

    fn forward(&mut self, arrival: Arrival, time: i64) -> i64 {
        let fresh = Stamp { anchor: arrival, anchor_ms: time, last_ms: time };
        let Some(stamp) = self.record.stamp else {
            self.record.stamp = Some(fresh);
            return time;
        };
        if time >= stamp.last_ms {
            self.record.stamp = Some(fresh);
            return time;
        }
        let (anchor, anchor_ms) = match stamp.anchor.boot_id == arrival.boot_id {
            true => (stamp.anchor, stamp.anchor_ms),
            false => (arrival, stamp.last_ms),
        };
        let slow = anchor_ms + (arrival.boot_ms - anchor.boot_ms).max(0) / SLOW;
        let last_ms = slow.max(stamp.last_ms).max(time);
        self.record.stamp = Some(Stamp { anchor, anchor_ms, last_ms });
        last_ms
    }
}

/// Times run slower by this while the true time catches up.
const SLOW: i64 = 2;
