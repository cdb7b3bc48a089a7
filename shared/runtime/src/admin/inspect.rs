//! `inspect`: what a state directory holds, for people and for programs.
//!
//! Guarantees: read-only, also beside a running node; one committed checkpoint is shown. Lists
//! are cut to the newest [`SHOWN_MAX`] entries, and the counts say how many there are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use headwater_store::{Inspector, LogState, Snapshot, StoreError, hex};
use serde_json::{Value, json};

use crate::admin::Failure;
use crate::agent;
use crate::clock::{self, Hold, Keeper, Now, Rules};
use crate::driver::{RunError, wiring};
use crate::source::{Position, shown};

/// Entries of a list that are shown.
const SHOWN_MAX: usize = 20;
/// Bytes of a position or record that are shown.
const SAMPLE_BYTES_MAX: usize = 160;

/// Everything in `dir` as JSON; [`render`] makes text of it.
///
/// # Errors
/// When there is no state, or it is damaged or of a newer version.
pub fn inspect(dir: &Path) -> Result<(Value, String), Failure> {
    let inspector = Inspector::open(dir)?;
    let snapshot = inspector.snapshot()?;
    let mut json = content(&snapshot)?;
    json["directory"] = dir.display().to_string().into();
    json["left_by_a_crash"] = inspector.was_crashed().into();
    let text = render(&json);
    Ok((json, text))
}

fn content(snapshot: &Snapshot) -> Result<Value, StoreError> {
    let head = snapshot.head()?;
    let identity = snapshot.identity()?;
    let plan = snapshot.plan()?;
    let operators = plan.as_ref().map(|plan| {
        let operator = |(name, signature): &(String, u64)| {
            json!({ "name": name, "signature": format!("{signature:016x}") })
        };
        plan.operators.iter().map(operator).collect::<Vec<_>>()
    });
    let shifts = agent::shifts(snapshot.record(agent::RECORD)?.as_deref());
    let outbox = head.channels.iter().map(|(channel, state)| {
        let shift = shifts.get(channel).copied().unwrap_or(0);
        json!({
            "channel": channel,
            "to": wiring::channel_kind(*channel),
            "next_seq": state.next_seq + shift,
            "oldest_seq": state.oldest_seq + shift,
            "acknowledged_upto": state.acked_upto + shift,
            "frames": state.rows(),
            "bytes": state.bytes(),
            "unacknowledged_frames": state.unacked_rows(),
            "unacknowledged_bytes": state.unacked_bytes(),
        })
    });
    Ok(json!({
        "epoch": head.epoch,
        "incarnation": hex(&identity.incarnation),
        "machine": identity.machine_id,
        "parent": identity.parent.map(|(parent, _)| hex(&parent)),
        "plan": plan.as_ref().map(|plan| format!("{:016x}", plan.fingerprint)),
        "operators": operators,
        "state": { "base_bytes": head.base_bytes, "delta_bytes": head.delta_bytes },
        "positions": positions(snapshot)?,
        "clock": clock(snapshot)?,
        "outbox": outbox.collect::<Vec<_>>(),
        "ledger": ledger(snapshot)?,
        "agents": agents(snapshot)?,
        "dead_letters": dead_letters(snapshot, head.dead_letters)?,
        "quarantine": quarantine(snapshot, head.quarantine)?,
        "gaps": gaps(snapshot, head.gaps)?,
        "counters": snapshot.counters()?,
    }))
}

/// What was known of the time, and the rows that wait for it; nothing where no agent wrote it, or
/// one of another version.
fn clock(snapshot: &Snapshot) -> Result<Value, StoreError> {
    let now = Now { wall_ms: 0, mono_ms: 0, boot_ms: 0 };
    let stored = snapshot.record(clock::RECORD)?;
    let keeper = Keeper::new(Rules::default(), 0, stored.as_deref(), now);
    let Some(keeper) = keeper.ok().filter(|_| stored.is_some()) else { return Ok(Value::Null) };
    let mut hold = Hold::new(usize::MAX);
    let read = |name: &str| snapshot.record(name).map_err(RunError::from);
    let held = hold.restore(read).ok().map(|()| hold.len());
    Ok(json!({
        "last_known_ms": keeper.known_ms(),
        "held_rows": held.map(|(rows, _)| rows),
        "held_bytes": held.map(|(_, bytes)| bytes),
    }))
}

fn ledger(snapshot: &Snapshot) -> Result<Vec<Value>, StoreError> {
    let marks = snapshot.ledger()?.into_iter().map(|((agent, channel), mark)| {
        json!({
            "agent": agent,
            "channel": channel,
            "incarnation": hex(&mark.incarnation),
            "term": mark.term,
            "seq": mark.seq,
            "last_event_time_ms": mark.last_event_time,
            "watermark_ms": mark.watermark,
        })
    });
    Ok(marks.collect())
}

fn agents(snapshot: &Snapshot) -> Result<Vec<Value>, StoreError> {
    let agents = snapshot.agents()?.into_iter().map(|(agent, record)| {
        json!({
            "agent": agent,
            "incarnation": hex(&record.incarnation),
            "term": record.term,
            "last_seen_ms": record.last_seen_ms,
            "plan": format!("{:016x}", record.plan_fingerprint),
        })
    });
    Ok(agents.collect())
}

/// A bounded list: how many entries there are, how many were removed, and the newest ones.
fn list(log: LogState, newest: Vec<Value>) -> Value {
    json!({ "count": log.count(), "removed": log.dropped, "newest": newest })
}

fn from(log: LogState) -> u64 {
    log.next.saturating_sub(SHOWN_MAX as u64).max(log.first)
}

fn dead_letters(snapshot: &Snapshot, log: LogState) -> Result<Value, StoreError> {
    let letters = snapshot.dead_letters(from(log), SHOWN_MAX)?.into_iter().map(|(number, l)| {
        json!({
            "number": number,
            "at_ms": l.at_ms,
            "place": l.place,
            "reason": l.reason,
            "detail": l.detail,
            "record": sample(&l.bytes),
        })
    });
    Ok(list(log, letters.collect()))
}

fn quarantine(snapshot: &Snapshot, log: LogState) -> Result<Value, StoreError> {
    let frames = snapshot.quarantine(from(log), SHOWN_MAX)?.into_iter().map(|(number, q)| {
        json!({
            "number": number,
            "at_ms": q.at_ms,
            "agent": q.agent,
            "channel": q.channel,
            "seq": q.seq,
            "reason": q.reason,
        })
    });
    Ok(list(log, frames.collect()))
}

fn positions(snapshot: &Snapshot) -> Result<Vec<Value>, StoreError> {
    let mut sources: BTreeMap<String, Position> = BTreeMap::new();
    for ((source, part), value) in snapshot.positions()? {
        sources.entry(source).or_default().insert(part, value);
    }
    let shown = sources.iter().flat_map(|(source, position)| {
        shown::describe(position).into_iter().map(move |(part, mut shown)| {
            shown["source"] = source.as_str().into();
            if !part.is_empty() {
                shown["split"] = part.into();
            }
            shown
        })
    });
    Ok(shown.collect())
}

fn gaps(snapshot: &Snapshot, log: LogState) -> Result<Value, StoreError> {
    let gaps = snapshot.gaps(from(log), SHOWN_MAX)?.into_iter().map(|(number, g)| {
        json!({
            "number": number,
            "at_ms": g.at_ms,
            "agent": g.agent,
            "channel": g.channel,
            "from": g.from,
            "to": g.to,
            "reason": g.reason,
        })
    });
    Ok(list(log, gaps.collect()))
}

/// Text where it is text, else hexadecimal digits; cut.
fn sample(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SAMPLE_BYTES_MAX)];
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    let cut = match std::str::from_utf8(shown) {
        Err(error) if error.error_len().is_none() => &shown[..error.valid_up_to()],
        _ => shown,
    };
    match std::str::from_utf8(cut) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text}{more}"),
        _ => shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + more,
    }
}

fn render(json: &Value) -> String {
    let mut out = String::new();
    for name in ["directory", "left_by_a_crash", "epoch", "incarnation", "parent", "plan"] {
        if !json[name].is_null() {
            let _ = writeln!(out, "{name}: {}", plain(&json[name]));
        }
    }
    let _ = writeln!(out, "state: {}", entry(&json["state"]));
    for name in ["operators", "positions", "outbox", "ledger", "agents"] {
        if let Some(items) = json[name].as_array().filter(|items| !items.is_empty()) {
            let _ = writeln!(out, "{name}");
            for item in items {
                let shown = if name == "positions" { position(item) } else { entry(item) };
                let _ = writeln!(out, "  {shown}");
            }
        }
    }
    for name in ["dead_letters", "quarantine", "gaps"] {
        let list = &json[name];
        let (count, removed) = (plain(&list["count"]), plain(&list["removed"]));
        let _ = writeln!(out, "{name}: {count} ({removed} older ones removed)");
        for item in list["newest"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "  {}", entry(item));
        }
    }
    if let Some(counters) = json["counters"].as_object().filter(|c| !c.is_empty()) {
        let _ = writeln!(out, "counters");
        for (name, value) in counters {
            let _ = writeln!(out, "  {name}: {}", plain(value));
        }
    }
    out
}

/// A position is its source and its text; its parts are for programs.
fn position(value: &Value) -> String {
    let split = value["split"].as_str().map_or(String::new(), |split| format!(" {split}"));
    let [source, kind, text] = ["source", "kind", "text"].map(|name| plain(&value[name]));
    format!("{source}{split} ({kind}): {text}")
}

fn entry(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let part = |(name, value): (&String, &Value)| format!("{name} {}", plain(value));
    fields.map(part).collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn samples_are_text_where_they_can_be() {
        assert_eq!(sample(b"{\"a\":1}"), "{\"a\":1}");
        assert_eq!(sample(&[1, 255]), "01ff");
        let long = "ä".repeat(200);
        assert!(sample(long.as_bytes()).ends_with('…'));
    }

    #[test]
    fn positions_are_read_by_people() {
        let json = json!({ "positions": [
            { "source": "readings", "kind": "filesystem", "text": "a.ndjson, byte 12" },
        ] });
        assert!(render(&json).contains("  readings (filesystem): a.ndjson, byte 12\n"));
    }

    #[test]
    fn a_directory_without_state_is_exit_74() {
        let failure = inspect(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(failure.exit, Exit::State);
        assert!(failure.text.contains("remedy"), "{failure}");
    }
}
