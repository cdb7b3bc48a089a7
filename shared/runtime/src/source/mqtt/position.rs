//! The position of an `mqtt` source: hash of the filters before the head of the [`Intake`], and
//! the intake's blocks.

use serde_json::{Value, json};

use crate::intake::{self, Intake};
use crate::source::{Position, PositionError};

/// Reads a position: what was received, and which filters the session was subscribed to.
pub(super) fn decode(
    position: &Position,
    window: u16,
) -> Result<(Intake, Option<u64>), PositionError> {
    let head = position.get(intake::HEAD).map(Vec::as_slice).unwrap_or_default();
    let (hash, head) =
        head.split_first_chunk().ok_or_else(|| PositionError("it is cut short".into()))?;
    let blocks = position.iter().filter(|(name, _)| *name != intake::HEAD);
    let intake = Intake::decode(head, blocks.map(|(_, block)| block.as_slice()), window)?;
    Ok((intake, Some(u64::from_le_bytes(*hash))))
}

/// A stored position in words, if it is one of this source.
pub(in crate::source) fn describe(position: &Position) -> Option<Value> {
    let (intake, hash) = decode(position, u16::MAX).ok()?;
    let runs = intake.runs();
    let count: u32 = runs.iter().map(|(_, count)| u32::from(*count)).sum();
    let shown = |(first, count): &(u16, u16)| match count {
        1 => first.to_string(),
        _ => format!("{first}-{}", first.wrapping_add(count - 1)),
    };
    let ids: Vec<String> = runs.iter().map(shown).collect();
    let text = match count {
        0 => "no message of the session committed".to_owned(),
        _ => format!("{count} messages of the session committed, packet ids {}", ids.join(" ")),
    };
    Some(json!({
        "kind": "mqtt",
        "text": text,
        "messages": count,
        "packet_ids": ids,
        "subscriptions": format!("{:016x}", hash?),
    }))
}
