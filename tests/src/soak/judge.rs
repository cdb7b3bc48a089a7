//! Compares what the aggregator's sinks hold with what the agents were given, per device and
//! window, and reads from the nodes what they declare lost.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::field::Field;
use super::load::{Key, Truth, WINDOW_MS, Window};
use super::play::Lost;

/// Between two comparisons.
const PAUSE: Duration = Duration::from_secs(1);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Windows that are as they should be.
    pub(super) right: u64,
    /// Windows that lack readings which an agent lost with its state.
    pub(super) lost: u64,
    /// Missing or short windows (I1).
    pub(super) short: Vec<String>,
    /// Windows with more than there was (I2).
    pub(super) double: Vec<String>,
    /// Losses that are not declared, or declared and not real (I3).
    pub(super) gaps: Vec<String>,
    /// Acknowledged and not committed (I4).
    pub(super) unbacked: Vec<String>,
    pub(super) declared: u64,
}

impl Verdict {
    fn is_complete(&self) -> bool {
        self.short.is_empty() && self.double.is_empty()
    }
}

/// Waits until every window is right, or no longer than `timeout`.
pub(super) fn wait(
    field: &mut Field,
    truth: &Truth,
    lost: &[Lost],
    timeout: Duration,
    mut meanwhile: impl FnMut(&mut Field),
) -> Verdict {
    let deadline = Instant::now() + timeout;
    let mut length = 0;
    loop {
        thread::sleep(PAUSE);
        meanwhile(field);
        let before = std::mem::replace(&mut length, results_length(field));
        let is_over = Instant::now() >= deadline;
        if before != length && !is_over {
            continue;
        }
        let mut verdict = Verdict::default();
        match results(field) {
            Ok(found) => verdict.compare(truth, &found, lost),
            Err(error) => verdict.short.push(format!("the results cannot be read: {error}")),
        }
        if is_over || (verdict.is_complete() && is_drained(field)) {
            verdict.look_at_losses(field, lost);
            return verdict;
        }
    }
}

const FILES: [&str; 2] = ["published.ndjson", "written.ndjson"];

fn results_length(field: &Field) -> u64 {
    let length = |name: &&str| fs::metadata(field.scratch.join(name)).map_or(0, |file| file.len());
    FILES.iter().map(length).sum()
}

fn is_drained(field: &Field) -> bool {
    let agents = &field.nodes[..field.agents_count()];
    agents.iter().all(|agent| agent.metric("headwater_outbox_frames") == Some(0.0))
}

/// The last revision of each window.
fn results(field: &Field) -> io::Result<HashMap<Key, Window>> {
    let mut found = HashMap::new();
    for name in FILES {
        read(&field.scratch.join(name), &mut found)?;
    }
    Ok(found)
}

fn read(path: &Path, found: &mut HashMap<Key, Window>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if line.ends_with('\n') {
            let row: Value = serde_json::from_str(&line)?;
            let no_row = || io::Error::other(format!("no row: {line}"));
            add(&row, found).ok_or_else(no_row)?;
        }
        line.clear();
    }
    Ok(())
}

fn add(row: &Value, found: &mut HashMap<Key, Window>) -> Option<()> {
    let data = row.get("data").unwrap_or(row);
    let first_ms = data["first_ts"].as_u64()?;
    let key = (data["device"].as_str()?.to_owned(), first_ms / WINDOW_MS * WINDOW_MS);
    if row["op"] == "-D" {
        found.remove(&key);
        return Some(());
    }
    let (sum, max) = (milli(data["sm"].as_f64()?)?, milli(data["mx"].as_f64()?)?);
    found.insert(key, Window { first_ms, count: data["n"].as_u64()?, sum, max });
    Some(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked range")]
fn milli(value: f64) -> Option<u64> {
    let milli = (value * 1000.0).round();
    (0.0..9e15).contains(&milli).then_some(milli as u64)
}

impl Verdict {
    fn compare(&mut self, truth: &Truth, found: &HashMap<Key, Window>, lost: &[Lost]) {
        for (key, expected) in &truth.windows {
            let window = found.get(key).copied().unwrap_or_default();
            // What a server was told to have been taken does not come back; a file is read again,
            // but not what is older than the newest row that the core had.
            let may_lack = lost.iter().any(|lost| {
                key.0[1..].starts_with(&format!("{}-", lost.agent))
                    && key.1 < lost.to_ms
                    && key.1 + WINDOW_MS > lost.from_ms
            });
            let text = || format!("{} {}: {window:?}, not {expected:?}", key.0, key.1);
            if window == *expected {
                self.right += 1;
            } else if window.count >= expected.count {
                self.double.push(text());
            } else if may_lack {
                self.lost += 1;
            } else {
                self.short.push(text());
            }
        }
        let unknown = |key: &&Key| key.0 != "_tail" && !truth.windows.contains_key(*key);
        let invented = found.keys().filter(unknown).map(|key| format!("{key:?} was never read"));
        self.double.extend(invented);
    }

    fn look_at_losses(&mut self, field: &Field, lost: &[Lost]) {
        let inspected = match field.core().inspect() {
            Ok(inspected) => inspected,
            Err(error) => return self.gaps.push(format!("the aggregator's state: {error}")),
        };
        self.declared = inspected["gaps"]["count"].as_u64().unwrap_or(0);
        if (self.declared > 0) == lost.is_empty() {
            let count = lost.len();
            self.gaps.push(format!("{count} copies put back, but gaps {}", inspected["gaps"]));
        }
        for node in &field.nodes {
            let name = node.dir().display().to_string();
            for metric in ["headwater_rows_dropped", "headwater_source_gaps_total"] {
                let count = node.metric(metric).unwrap_or(0.0);
                if count > 0.0 {
                    self.gaps.push(format!("{name}: {metric} {count}"));
                }
            }
        }
        for agent in &field.nodes[..field.agents_count()] {
            self.unbacked.extend(unbacked(agent.inspect(), &inspected["ledger"]));
        }
    }
}

/// Frames that an agent knows to be acknowledged and the aggregator has not committed.
fn unbacked(agent: io::Result<Value>, ledger: &Value) -> Vec<String> {
    let agent = match agent {
        Ok(agent) => agent,
        Err(error) => return vec![format!("an agent's state: {error}")],
    };
    let marks = ledger.as_array().into_iter().flatten();
    let ours: Vec<_> = marks.filter(|mark| mark["incarnation"] == agent["incarnation"]).collect();
    let channels = agent["outbox"].as_array().into_iter().flatten();
    let is_unbacked = |channel: &&Value| {
        let upto = channel["acknowledged_upto"].as_u64().unwrap_or(0);
        let mark = ours.iter().find(|mark| mark["channel"] == channel["channel"]);
        upto > mark.and_then(|mark| mark["seq"].as_u64()).unwrap_or(0)
    };
    channels.filter(is_unbacked).map(|c| format!("acknowledged: {c}, ledger {ours:?}")).collect()
}
