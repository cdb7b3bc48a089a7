//! `explain --rate`: what a pipeline writes to the medium and sends uplink in a day.
//!
//! The agent's own state machine and store run in virtual time, over a disk in memory and over
//! made-up readings; their bytes are counted. Guarantees: the same plan and load give the same
//! numbers; nothing is opened. Does not know what real readings look like: values that compress
//! well or badly, and windows longer than the time that is run, make a difference.

mod node;
mod rows;

use std::collections::BTreeMap;
use std::fmt::Write;

use headwater_engine::fragment::Fragment;
use headwater_plan::Plan;
use serde_json::{Value, json};

use super::Failure;
use crate::agent::FlashLimits;
use crate::exit::Exit;
pub(crate) use node::Timing;
use node::{Counted, Virtual};

/// What comes in.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Readings a second, of all sources together.
    pub rows_per_second: Option<u64>,
    /// How many different values a column has.
    pub distinct: BTreeMap<String, u64>,
}

/// Readings a second that are not run any more.
const RATE_MAX: u64 = 100_000;
const DAY_MS: i64 = 86_400_000;

/// What was found: bytes in a day at the interval that the budget allows.
struct Forecast {
    rate: u64,
    found: Counted,
    spacing_ms: i64,
    timing: Timing,
}

/// The forecast as text and as JSON; a hint where no load is known.
pub(super) fn forecast(
    plan: &Plan,
    fragment: &Fragment,
    load: &Load,
    timing: Timing,
) -> Result<(String, Value), Failure> {
    let rate = load.rows_per_second.or_else(|| rows::datagen_rate(plan, fragment));
    let Some(rate) = rate else {
        let hint = "\nflash and uplink: say what comes in, for example --rate 100 \
                    --distinct device=20\n";
        return Ok((hint.into(), Value::Null));
    };
    if !(1..=RATE_MAX).contains(&rate) {
        let message = format!("--rate {rate} cannot be run");
        let remedy = format!("give 1 to {RATE_MAX} readings a second");
        return Err(Failure::new(Exit::Usage, message, remedy));
    }
    let run = |spacing_ms: i64| -> Result<Counted, Failure> {
        let load = Load { rows_per_second: Some(rate), distinct: load.distinct.clone() };
        Virtual::open(plan, fragment, &load, Timing { interval_ms: spacing_ms, ..timing })
            .and_then(Virtual::run)
            .map_err(|(message, remedy)| Failure::new(Exit::Config, message, remedy))
    };
    let mut spacing_ms = timing.interval_ms;
    let mut found = run(spacing_ms)?;
    let FlashLimits { bytes_per_day, interval_max_ms } = timing.flash;
    while let Some(budget) = bytes_per_day.filter(|budget| found.flash_per_day > *budget)
        && spacing_ms < interval_max_ms
    {
        spacing_ms = further_apart(spacing_ms, found.flash_per_day, budget).min(interval_max_ms);
        found = run(spacing_ms)?;
    }
    let forecast = Forecast { rate, found, spacing_ms, timing };
    Ok((forecast.text(), forecast.json()))
}

/// What would be enough if each checkpoint went on costing the same, and a little more.
fn further_apart(spacing_ms: i64, found: u64, budget: u64) -> i64 {
    let wanted = u128::from(spacing_ms.unsigned_abs()) * u128::from(found) / u128::from(budget);
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    wanted.max(spacing_ms).saturating_add(spacing_ms / 10 + 1)
}

impl Forecast {
    fn text(&self) -> String {
        let Counted { flash_per_day, uplink_per_day, per_checkpoint, file_bytes, run_ms } =
            self.found;
        let mut out = String::new();
        let (rate, seconds) = (self.rate, run_ms / 1000);
        let _ = writeln!(out, "\nflash and uplink of {rate} readings a second ({seconds} s run)");
        let spacing = self.spacing_ms / 1000;
        let _ = writeln!(
            out,
            "  flash: {} a day; a checkpoint every {spacing} s takes {}",
            size(flash_per_day),
            size(per_checkpoint)
        );
        let _ = writeln!(out, "  budget: {}", self.verdict());
        let _ = writeln!(out, "  uplink: {} a day", size(uplink_per_day));
        let _ = writeln!(out, "  state file: {}", size(file_bytes));
        out
    }

    fn verdict(&self) -> String {
        let Some(budget) = self.timing.flash.bytes_per_day else { return "none".into() };
        let (wanted, budget_text) = (self.timing.interval_ms / 1000, size(budget));
        if self.found.flash_per_day > budget {
            format!("{budget_text} a day: exceeded, also with checkpoints as far apart as allowed")
        } else if self.spacing_ms > self.timing.interval_ms {
            format!("{budget_text} a day: kept, with checkpoints further apart than {wanted} s")
        } else {
            format!("{budget_text} a day: kept")
        }
    }

    fn json(&self) -> Value {
        json!({
            "rows-per-second": self.rate,
            "flash-bytes-per-day": self.found.flash_per_day,
            "flash-bytes-per-checkpoint": self.found.per_checkpoint,
            "flash-budget-bytes-per-day": self.timing.flash.bytes_per_day,
            "checkpoint-spacing-ms": self.spacing_ms,
            "uplink-bytes-per-day": self.found.uplink_per_day,
            "state-file-bytes": self.found.file_bytes,
            "run-ms": self.found.run_ms,
        })
    }
}

/// Bytes with a unit, to two digits.
fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", tenths(1 << 20)),
        _ => format!("{} GiB", tenths(1 << 30)),
    }
}

#[cfg(test)]
mod tests;
