//! The clocks of a machine: they drift, are set, and begin again with every boot.

use headwater_runtime::agent::Now;

use crate::sim::WALL_MS;

/// Both clocks of one machine, as functions of the true time.
#[derive(Clone, Debug, Default)]
pub(super) struct MachineClock {
    boot_at: u64,
    /// The wall clock against the truth, ms.
    offset_ms: i64,
    /// Both clocks run fast by this, in parts per million.
    drift_ppm: i64,
    drift_since: u64,
    boots: u64,
}

/// A boot without a battery: the wall clock begins in 1970.
const EPOCH_OFFSET_MS: i64 = -WALL_MS;

impl MachineClock {
    /// What the machine believes at the true time `at`.
    pub(super) fn now(&self, at: u64) -> Now {
        let drift = signed(at.saturating_sub(self.drift_since)) * self.drift_ppm / 1_000_000;
        let mono_ms = signed(at.saturating_sub(self.boot_at)) + drift.max(0);
        let wall_ms = WALL_MS + signed(at) + self.offset_ms + drift;
        Now { wall_ms, mono_ms, boot_ms: mono_ms }
    }

    /// The machine starts: the clock that never steps begins at 0, the wall clock where its
    /// battery kept it or in 1970.
    pub(super) fn boot(&mut self, at: u64, has_battery: bool) {
        self.boot_at = at;
        (self.drift_ppm, self.drift_since) = (0, at);
        self.boots += 1;
        if !has_battery {
            self.offset_ms = EPOCH_OFFSET_MS - signed(at);
        }
    }

    /// The wall clock is set to this distance from the truth.
    pub(super) fn set(&mut self, offset_ms: i64) {
        self.offset_ms = offset_ms;
    }

    pub(super) fn drift(&mut self, at: u64, ppm: i64) {
        if self.drift_ppm == 0 {
            (self.drift_ppm, self.drift_since) = (ppm, at);
        }
    }

    /// Names the boot.
    pub(super) fn boot_id(&self) -> u64 {
        self.boots
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).expect("a simulation lasts no ages")
}
