//! The flash budget: how far checkpoints are apart so that a medium lasts.
//!
//! Guarantees: what is written in any 24 h stays within the budget as long as the longest interval
//! that was allowed is enough for that; what cannot be stretched any further is written all the
//! same, and [`FlashBudget::is_exceeded`] says so, because readings go before the medium. What was
//! spent outlives a restart. Pure: time comes in as an argument.

use headwater_store::Commit;
use serde::{Deserialize, Serialize};

use super::Now;

/// What a medium may be given to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashLimits {
    /// Bytes in 24 h; `None` for no bound.
    pub bytes_per_day: Option<u64>,
    /// Checkpoints are never further apart than this for the budget's sake, in ms.
    pub interval_max_ms: i64,
}

impl FlashLimits {
    /// No bound.
    pub const NONE: Self = Self { bytes_per_day: None, interval_max_ms: i64::MAX };
}

/// Name of the budget's record in the store.
pub const FLASH_RECORD: &str = "flash";
const DAY_MS: i64 = 86_400_000;
/// So many hours' share may be saved up for later; a day has this many less of it.
const SAVED_HOURS: i64 = 1;
/// What a checkpoint takes, before one was seen.
const COST_GUESS_BYTES: i64 = 128 << 10;
/// Weight of the past in the cost of a checkpoint: 3 of 4.
const SMOOTHING: i64 = 4;

/// What is stored of it: bytes that may be written, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    balance_bytes: i64,
    cost_bytes: i64,
    mono_ms: i64,
    boot_id: u64,
}

/// A bucket of bytes that fills evenly and that checkpoints take from.
#[derive(Clone, Debug)]
pub(super) struct FlashBudget {
    limits: FlashLimits,
    /// Bytes that may be written now; below 0 when more was.
    balance_bytes: i64,
    /// What the next checkpoint will take, by the last ones.
    cost_bytes: i64,
    /// Written since the last checkpoint was taken.
    spent_bytes: i64,
    /// When the balance was brought up to date.
    filled_ms: i64,
    /// Parts of a byte that were not added yet, in bytes times ms.
    remainder: i64,
    is_exceeded: bool,
}

impl FlashBudget {
    pub(super) fn new(limits: FlashLimits, now: Now) -> Self {
        let mut budget = Self {
            limits,
            balance_bytes: 0,
            cost_bytes: COST_GUESS_BYTES,
            spent_bytes: 0,
            filled_ms: now.mono_ms,
            remainder: 0,
            is_exceeded: false,
        };
        budget.balance_bytes = budget.saved_max();
        budget
    }

    /// Goes on from what is stored; time counts where the clock is still that of the record.
    pub(super) fn restore(&mut self, stored: &[u8], boot_id: u64, now: Now) {
        let Ok(record) = postcard::from_bytes::<Record>(stored) else { return };
        self.balance_bytes = record.balance_bytes.clamp(-self.per_day(), self.saved_max());
        self.cost_bytes = record.cost_bytes.max(0);
        self.filled_ms = now.mono_ms;
        if record.boot_id == boot_id && record.mono_ms <= now.mono_ms {
            self.filled_ms = record.mono_ms;
            self.fill(now.mono_ms);
        }
    }

    pub(super) fn put(&self, boot_id: u64, commit: &mut Commit) {
        if self.limits.bytes_per_day.is_none() {
            return;
        }
        let record = Record {
            // What this very commit takes is not known yet.
            balance_bytes: self.balance_bytes - self.cost_bytes,
            cost_bytes: self.cost_bytes,
            mono_ms: self.filled_ms,
            boot_id,
        };
        let bytes = postcard::to_allocvec(&record).expect("a record has a known length");
        commit.records.push((FLASH_RECORD.into(), Some(bytes)));
    }

    /// So much was written.
    pub(super) fn spend(&mut self, bytes: u64, now: Now) {
        self.fill(now.mono_ms);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.spent_bytes = self.spent_bytes.saturating_add(bytes);
        self.balance_bytes = self.balance_bytes.saturating_sub(bytes).max(-self.per_day());
        self.is_exceeded = match self.is_exceeded {
            true => self.balance_bytes < 0,
            false => self.balance_bytes < -self.saved_max(),
        };
    }

    /// A checkpoint is about to be taken: what it costs is learnt until the next one.
    pub(super) fn checkpoint(&mut self, now: Now) {
        self.fill(now.mono_ms);
        let spent = std::mem::take(&mut self.spent_bytes);
        if spent > 0 {
            let past = self.cost_bytes.saturating_mul(SMOOTHING - 1);
            self.cost_bytes = past.saturating_add(spent) / SMOOTHING;
        }
    }

    /// When the next checkpoint is due that nothing but time asks for, in monotonic ms.
    pub(super) fn due_ms(&self, last_ms: i64, interval_ms: i64) -> i64 {
        let soonest = last_ms.saturating_add(interval_ms);
        let wanting = self.cost_bytes - self.balance_bytes;
        if self.limits.bytes_per_day.is_none() || wanting <= 0 {
            return soonest;
        }
        let wait = i128::from(wanting) * i128::from(DAY_MS) / i128::from(self.rate().max(1));
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        let latest = last_ms.saturating_add(self.limits.interval_max_ms.max(interval_ms));
        self.filled_ms.saturating_add(wait).clamp(soonest, latest)
    }

    /// Whether more is written than the budget has, with checkpoints as far apart as may be.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }

    /// Bytes that may be written now; below 0 when more was.
    pub(super) fn balance_bytes(&self) -> Option<i64> {
        self.limits.bytes_per_day.map(|_| self.balance_bytes)
    }

    pub(super) fn limits(&self) -> FlashLimits {
        self.limits
    }

    fn fill(&mut self, mono_ms: i64) {
        let passed = (mono_ms - self.filled_ms).clamp(0, DAY_MS * 2);
        self.filled_ms = mono_ms.max(self.filled_ms);
        let grown = i128::from(passed) * i128::from(self.rate()) + i128::from(self.remainder);
        let bytes = grown / i128::from(DAY_MS);
        self.remainder = i64::try_from(grown % i128::from(DAY_MS)).unwrap_or(0);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.balance_bytes = self.balance_bytes.saturating_add(bytes).min(self.saved_max());
    }

    fn per_day(&self) -> i64 {
        self.limits.bytes_per_day.map_or(0, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
    }

    /// Bytes that come in 24 h: with what may be saved up they are the budget.
    fn rate(&self) -> i64 {
        self.per_day() / 25 * 24
    }

    fn saved_max(&self) -> i64 {
        self.per_day() / 25 * SAVED_HOURS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 2 << 30;
    const INTERVAL_MS: i64 = 1000;
    const INTERVAL_MAX_MS: i64 = 300_000;

    fn at(mono_ms: i64) -> Now {
        Now { wall_ms: 1_800_000_000_000 + mono_ms, mono_ms, boot_ms: mono_ms }
    }

    fn budget() -> FlashBudget {
        let limits = FlashLimits { bytes_per_day: Some(BUDGET), interval_max_ms: INTERVAL_MAX_MS };
        FlashBudget::new(limits, at(0))
    }

    /// Checkpoints of `cost` bytes whenever one is due: (time, bytes) of each.
    fn days(budget: &mut FlashBudget, cost: impl Fn(i64) -> u64, days: i64) -> Vec<(i64, u64)> {
        let mut last = 0;
        let mut written = Vec::new();
        while last < days * DAY_MS {
            last = budget.due_ms(last, INTERVAL_MS);
            budget.checkpoint(at(last));
            budget.spend(cost(last), at(last));
            written.push((last, cost(last)));
        }
        written
    }

    fn most_in_a_day(written: &[(i64, u64)]) -> u64 {
        let (mut from, mut sum, mut most) = (0, 0, 0);
        for (at, bytes) in written {
            sum += bytes;
            while written[from].0 <= at - DAY_MS {
                sum -= written[from].1;
                from += 1;
            }
            most = most.max(sum);
        }
        most
    }

    #[test]
    fn every_day_stays_within_the_budget() {
        let written = days(&mut budget(), |_| 100_000, 3);
        let most = most_in_a_day(&written);
        assert!(most <= BUDGET, "{most}");
        assert!(most > BUDGET / 10 * 9, "what there is is used: {most}");
        let gaps = written.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(gaps.max().unwrap() < 10_000, "100 kB every 4.3 s is what the budget gives");
    }

    #[test]
    fn costs_that_change_are_followed() {
        let cost = |at: i64| if at / 3_600_000 % 2 == 0 { 20_000 } else { 400_000 };
        let most = most_in_a_day(&days(&mut budget(), cost, 3));
        assert!(most <= BUDGET + 400_000, "{most}");
    }

    #[test]
    fn what_costs_little_is_not_stretched() {
        let mut budget = budget();
        let written = days(&mut budget, |_| 10_000, 1);
        assert!(written.windows(2).all(|pair| pair[1].0 - pair[0].0 == INTERVAL_MS));
        assert!(!budget.is_exceeded());
    }

    #[test]
    fn no_interval_is_longer_than_allowed_and_the_excess_is_said() {
        let mut budget = budget();
        let written = days(&mut budget, |_| 100 << 20, 1);
        let gaps: Vec<i64> = written.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(gaps.iter().all(|gap| *gap <= INTERVAL_MAX_MS));
        assert!(budget.is_exceeded());
        budget.fill(budget.filled_ms + 2 * DAY_MS);
        budget.spend(1, at(budget.filled_ms));
        assert!(!budget.is_exceeded(), "a day without writes makes up for it");
    }

    #[test]
    fn restarts_give_nothing() {
        let mut budget = budget();
        let mut total = 0;
        let mut last = 0;
        for _ in 0..2000 {
            last = budget.due_ms(last, INTERVAL_MS);
            budget.checkpoint(at(last));
            let mut commit = Commit::default();
            budget.put(7, &mut commit);
            budget.spend(120_000, at(last));
            total += 120_000;
            let mut again = self::budget();
            again.restore(commit.records[0].1.as_ref().unwrap(), 7, at(last));
            budget = again;
        }
        let allowed = i128::from(BUDGET) * i128::from(last) / i128::from(DAY_MS);
        let saved = i128::from(BUDGET / 25);
        assert!(i128::from(total) <= allowed + saved + 120_000, "{total} of {allowed}");
    }

    #[test]
    fn without_a_budget_only_the_interval_counts() {
        let mut budget = FlashBudget::new(FlashLimits::NONE, at(0));
        budget.spend(1 << 40, at(0));
        assert_eq!(budget.due_ms(5, 10), 15);
        assert!(!budget.is_exceeded() && budget.balance_bytes().is_none());
    }
}
