//! `SET 'key' = 'value'`: the keys that mean something here.
//!
//! Guarantees: a key that would change an answer in Flink is honoured or refused, never ignored.

use std::collections::BTreeMap;

use headwater_engine::limits::Limits;
use sqlparser::tokenizer::Span;

use crate::bind::zone;
use crate::diagnostic::{Issue, Result, suggest};
use crate::options::{parse_bytes, parse_duration_ms};
use crate::statement::Set;

/// The checked settings of a script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    /// How long after its end a window can be corrected, in ms.
    pub(crate) correction_ms: i64,
    /// `headwater.coarsen`: lengths in ms, and the place of the setting.
    pub(crate) ladder: Option<(Vec<i64>, Span)>,
    /// `table.exec.state.ttl`: how long after its last use state is kept, in ms of event time.
    pub(crate) state_ttl_ms: Option<i64>,
    /// `table.local-time-zone`, as the engine reads it; empty: UTC.
    pub(crate) zone: String,
    /// Keys that Flink has and that change nothing here, with their places.
    pub(crate) ignored: Vec<(String, Span)>,
}

/// Rungs of `headwater.coarsen`.
const RUNGS_MAX: usize = 4;

/// Seven days of partials are kept for corrections unless the script says otherwise.
const CORRECTION_MS_DEFAULT: i64 = 7 * 86_400_000;

/// Every key.
pub(crate) const KEYS: [&str; 16] = [
    "pipeline.name",
    "execution.runtime-mode",
    "execution.checkpointing.interval",
    "pipeline.auto-watermark-interval",
    "table.local-time-zone",
    "table.exec.source.idle-timeout",
    "table.exec.state.ttl",
    "headwater.coarsen",
    "headwater.correction-horizon",
    "headwater.dedup-entries-max",
    "headwater.panes-max",
    "headwater.rows-max",
    "headwater.matches-max",
    "headwater.symbols-max",
    "headwater.symbol-bytes-max",
    "headwater.arena-bytes-max",
];

/// Keys of Flink that say how a cluster works, and not what the answer is.
const WITHOUT_MEANING: [&str; 13] = [
    "parallelism.default",
    "pipeline.max-parallelism",
    "pipeline.object-reuse",
    "pipeline.operator-chaining.enabled",
    "state.backend.type",
    "state.backend.incremental",
    "restart-strategy.type",
    "table.dml-sync",
    "table.exec.mini-batch.enabled",
    "table.exec.mini-batch.allow-latency",
    "table.exec.mini-batch.size",
    "table.exec.resource.default-parallelism",
    "table.optimizer.agg-phase-strategy",
];

pub(crate) fn check(sets: &[Set], issues: &mut Vec<Issue>) -> Settings {
    let mut settings = Settings { correction_ms: CORRECTION_MS_DEFAULT, ..Settings::default() };
    for set in sets {
        if let Err(issue) = apply(set, &mut settings) {
            issues.push(issue);
        } else {
            settings.values.insert(set.key.clone(), set.value.clone());
        }
    }
    settings
}

fn apply(set: &Set, settings: &mut Settings) -> Result<()> {
    let bad = |remedy: &str| {
        let message = format!("'{}' is no value of the setting '{}'", set.value, set.key);
        Err(Issue::new(set.value_span, message, remedy))
    };
    let count = || set.value.parse::<usize>().ok().filter(|n| (1..=1 << 28).contains(n));
    let bytes = || parse_bytes(&set.value).and_then(|n| usize::try_from(n).ok());
    let limits = &mut settings.limits;
    match set.key.as_str() {
        "pipeline.name" => Ok(()),
        "execution.runtime-mode" if set.value.eq_ignore_ascii_case("streaming") => Ok(()),
        "execution.runtime-mode" => {
            bad("only 'streaming' exists; bounded sources end by themselves")
        }
        "table.local-time-zone" => {
            settings.zone = zone::session(&set.value, set.value_span)?;
            Ok(())
        }
        "execution.checkpointing.interval"
        | "pipeline.auto-watermark-interval"
        | "table.exec.source.idle-timeout" => match millis(&set.value) {
            Some(_) => Ok(()),
            None => bad("write a number and a unit: '10 s'"),
        },
        "headwater.correction-horizon" => match parse_duration_ms(&set.value) {
            Some(ms) => {
                settings.correction_ms = i64::try_from(ms).unwrap_or(i64::MAX);
                Ok(())
            }
            None => bad("write a number and a unit: '7 d'"),
        },
        "headwater.coarsen" => match ladder(&set.value) {
            Some(lengths) => {
                settings.ladder = Some((lengths, set.value_span));
                Ok(())
            }
            None => {
                bad("write one to four lengths, each a multiple of the one before: '1 min, 10 min'")
            }
        },
        "headwater.dedup-entries-max" => store(&mut limits.dedup_entries_max, count(), bad),
        "headwater.panes-max" => store(&mut limits.panes_max, count(), bad),
        "headwater.rows-max" => store(&mut limits.rows_max, count(), bad),
        "headwater.matches-max" => store(&mut limits.matches_max, count(), bad),
        "headwater.symbols-max" => store(&mut limits.symbols_max, count(), bad),
        "headwater.symbol-bytes-max" => store(&mut limits.symbol_bytes_max, bytes(), bad),
        "headwater.arena-bytes-max" => store(&mut limits.arena_bytes_max, bytes(), bad),
        "table.exec.state.ttl" => match millis(&set.value) {
            Some(ms) => {
                settings.state_ttl_ms = Some(ms).filter(|ms| *ms > 0);
                Ok(())
            }
            None => bad("write a number and a unit: '1 h'; '0 s' keeps state for ever"),
        },
        key if WITHOUT_MEANING.contains(&key) => {
            settings.ignored.push((key.to_owned(), set.key_span));
            Ok(())
        }
        key if key.starts_with("table.exec.emit.") => Err(emit(set)),
        key => {
            let message = format!("unknown setting '{key}'");
            let known = KEYS.into_iter().chain(WITHOUT_MEANING);
            Err(Issue::new(set.key_span, message, suggest(key, known, "settings")))
        }
    }
}

/// Lengths of windows, each a multiple of the one before it.
fn ladder(text: &str) -> Option<Vec<i64>> {
    let lengths: Option<Vec<i64>> = text
        .split(',')
        .map(|rung| i64::try_from(parse_duration_ms(rung.trim())?).ok().filter(|ms| *ms > 0))
        .collect();
    let rises = |pair: &[i64]| pair[1] > pair[0] && pair[1] % pair[0] == 0;
    lengths.filter(|all| all.len() <= RUNGS_MAX && all.windows(2).all(rises))
}

/// Early and late results of windows: what to write instead.
fn emit(set: &Set) -> Issue {
    let message = format!("'{}' is a property of each source here", set.key);
    let remedy = match set.key.as_str() {
        "table.exec.emit.allow-lateness" => {
            format!("write 'allowed-lateness' = '{}' in the options of the source table", set.value)
        }
        _ => {
            "remove it; with the source's 'allowed-lateness' late rows correct a result".to_owned()
        }
    };
    Issue::new(set.key_span, message, remedy)
}

/// A duration; a bare number is milliseconds, as in Flink.
fn millis(text: &str) -> Option<i64> {
    let ms = parse_duration_ms(text).or_else(|| text.parse().ok())?;
    i64::try_from(ms).ok()
}

fn store(limit: &mut usize, value: Option<usize>, bad: impl Fn(&str) -> Result<()>) -> Result<()> {
    match value {
        Some(value) => {
            *limit = value;
            Ok(())
        }
        None => bad("write a positive number that fits the memory"),
    }
}
