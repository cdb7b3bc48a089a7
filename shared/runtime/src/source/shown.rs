//! Stored positions in words: for `inspect`, which has no plan at hand.
//!
//! Guarantees: the kinds of positions are told apart by their encodings alone; what fits none is
//! shown as it is.

use serde_json::{Value, json};

use super::{datagen, filesystem, mqtt};

/// Bytes of an unknown position that are shown.
const SAMPLE_BYTES_MAX: usize = 32;

/// What a position says: `kind`, `text` for people, and its parts by name.
pub fn describe(bytes: &[u8]) -> Value {
    filesystem::describe(bytes)
        .or_else(|| datagen::describe(bytes))
        .or_else(|| mqtt::describe(bytes))
        .unwrap_or_else(|| {
            let shown = bytes.iter().take(SAMPLE_BYTES_MAX).map(|byte| format!("{byte:02x}"));
            json!({ "kind": "unknown", "text": shown.collect::<String>() })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_words() {
        let mut file = vec![1];
        file.extend_from_slice(&4096_u64.to_le_bytes());
        file.extend_from_slice(&7_u64.to_le_bytes());
        file.extend_from_slice(b"readings.ndjson");
        let shown = describe(&file);
        assert_eq!(shown["kind"], "filesystem");
        assert_eq!(shown["text"], "readings.ndjson, byte 4096");
        assert_eq!((&shown["offset"], &shown["inode"]), (&json!(4096), &json!(7)));
        let mut row = vec![1];
        row.extend_from_slice(&25_u64.to_le_bytes());
        assert_eq!(describe(&row)["text"], "row 25");
        let mut session = 0xfeed_u64.to_le_bytes().to_vec();
        session.push(1);
        for part in [5_u16, 2, 0xaaaa, 0xbbbb, 9, 1, 0xcccc] {
            session.extend_from_slice(&part.to_le_bytes());
        }
        let shown = describe(&session);
        assert_eq!(shown["kind"], "mqtt");
        assert_eq!(shown["text"], "3 messages of the session committed, packet ids 5-6 9");
        assert_eq!(shown["subscriptions"], "000000000000feed");
        let mut empty = 0xfeed_u64.to_le_bytes().to_vec();
        empty.push(1);
        assert_eq!(describe(&empty)["text"], "no message of the session committed");
        assert_eq!(describe(&[9, 9])["text"], "0909");
    }
}
