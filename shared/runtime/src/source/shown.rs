//! Stored positions in words: for `inspect`, which has no plan at hand.
//!
//! Guarantees: the kinds of positions are told apart by their encodings alone; what fits none is
//! shown as it is.

use serde_json::{Value, json};

use super::{Position, datagen, filesystem, mqtt, table};

/// Bytes of an unknown position that are shown.
const SAMPLE_BYTES_MAX: usize = 32;

/// What a position says: `kind`, `text` for people, and its parts by name. One that is not
/// understood as a whole is shown part by part, each with its name.
pub fn describe(position: &Position) -> Vec<(&str, Value)> {
    match mqtt::describe(position) {
        Some(whole) => vec![("", whole)],
        None => position.iter().map(|(name, bytes)| (name.as_str(), part(bytes))).collect(),
    }
}

fn part(bytes: &[u8]) -> Value {
    let known = filesystem::describe(bytes).or_else(|| datagen::describe(bytes));
    known.or_else(|| table::describe(bytes)).unwrap_or_else(|| {
        let shown = bytes.iter().take(SAMPLE_BYTES_MAX).map(|byte| format!("{byte:02x}"));
        json!({ "kind": "unknown", "text": shown.collect::<String>() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{HEAD, Intake, Offer};

    fn one(bytes: &[u8]) -> Value {
        let position = Position::from([(String::new(), bytes.to_vec())]);
        let mut parts = describe(&position);
        assert_eq!((parts.len(), parts[0].0), (1, ""));
        parts.remove(0).1
    }

    #[test]
    fn positions_in_words() {
        let mut file = vec![1];
        file.extend_from_slice(&4096_u64.to_le_bytes());
        file.extend_from_slice(&7_u64.to_le_bytes());
        file.extend_from_slice(b"readings.ndjson");
        let shown = one(&file);
        assert_eq!(shown["kind"], "filesystem");
        assert_eq!(shown["text"], "readings.ndjson, byte 4096");
        assert_eq!((&shown["offset"], &shown["inode"]), (&json!(4096), &json!(7)));
        let mut row = vec![1];
        row.extend_from_slice(&25_u64.to_le_bytes());
        assert_eq!(one(&row)["text"], "row 25");
        assert_eq!(one(&[9, 9])["text"], "0909");
        let parts = Position::from([("a".into(), vec![9]), ("b".into(), row)]);
        let parts = describe(&parts);
        assert_eq!((parts[0].0, &parts[0].1["text"]), ("a", &json!("09")));
        assert_eq!((parts[1].0, &parts[1].1["text"]), ("b", &json!("row 25")));
    }

    /// As they were stored before there were blocks.
    #[test]
    fn sessions_of_one_part_in_words() {
        let mut session = 0xfeed_u64.to_le_bytes().to_vec();
        session.push(1);
        for part in [5_u16, 2, 0xaaaa, 0xbbbb, 9, 1, 0xcccc] {
            session.extend_from_slice(&part.to_le_bytes());
        }
        let shown = one(&session);
        assert_eq!(shown["kind"], "mqtt");
        assert_eq!(shown["text"], "3 messages of the session committed, packet ids 5-6 9");
        assert_eq!(shown["subscriptions"], "000000000000feed");
        let mut empty = 0xfeed_u64.to_le_bytes().to_vec();
        empty.push(1);
        assert_eq!(one(&empty)["text"], "no message of the session committed");
    }

    /// Thousands of messages are several blocks, and one line.
    #[test]
    fn sessions_of_blocks_in_words() {
        let mut intake = Intake::new(u16::MAX);
        let mut last = 0;
        for id in 1..=5000 {
            assert_eq!(intake.offer(id, false, id), Offer::Apply);
            last = intake.last_receipt();
        }
        intake.offer(7, false, 1);
        intake.consume(last + 1);
        let mut position = Position::new();
        intake.encode(&mut |name, value| {
            let hash = if name == HEAD { &0xfeed_u64.to_le_bytes()[..] } else { &[] };
            position.insert(name, [hash, &value].concat());
        });
        assert!(position.len() > 2);
        let parts = describe(&position);
        assert_eq!(parts.len(), 1);
        assert_eq!(
            parts[0].1["text"],
            "5000 messages of the session committed, packet ids 1-6 8-5000 7"
        );
    }
}
