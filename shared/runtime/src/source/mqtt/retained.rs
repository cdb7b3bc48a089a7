//! Messages since the last commit, kept as an entry of the intake journal: id, lengths, topic,
//! payload. Bounded: a server that sends more than this before it waits can wait for a
//! checkpoint, which does not cost more then.

use crate::mqtt::{Entry, Parcel};
use crate::source::PositionError;

/// The entry to be; see the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Retained {
    /// `None` where it does not hold all messages since the last commit.
    bytes: Option<Vec<u8>>,
    /// Bounds of the topic written last.
    topic: (usize, usize),
    /// More messages than fit came over this connection without a stop.
    is_wide: bool,
}

impl Retained {
    /// A new connection: nothing is known of the server's window.
    pub(super) fn connected(&mut self) {
        self.is_wide = false;
    }

    /// Everything so far is committed.
    pub(super) fn start(&mut self) {
        if self.is_wide {
            return;
        }
        let mut bytes = self.bytes.take().unwrap_or_default();
        bytes.clear();
        self.bytes = Some(bytes);
        self.topic = (0, 0);
    }

    /// Something since the last commit cannot be kept.
    pub(super) fn give_up(&mut self) {
        self.bytes = None;
    }

    /// Keeps a message.
    pub(super) fn push(&mut self, parcel: &Parcel, entry: &Entry) {
        let Some(bytes) = &mut self.bytes else { return };
        let (topic, payload) = (parcel.text(entry.topic), parcel.text(entry.payload));
        if bytes.len() + topic.len() + payload.len() > BYTES_MAX {
            self.is_wide = true;
            self.give_up();
            return;
        }
        let is_same = bytes[self.topic.0..self.topic.1] == *topic;
        let short = |length: usize| u16::try_from(length).expect("below the limit");
        bytes.extend_from_slice(&entry.packet_id.to_le_bytes());
        let topic_len = if is_same { SAME_TOPIC } else { short(topic.len()) };
        bytes.extend_from_slice(&topic_len.to_le_bytes());
        bytes.extend_from_slice(&short(payload.len()).to_le_bytes());
        if !is_same {
            self.topic = (bytes.len(), bytes.len() + topic.len());
            bytes.extend_from_slice(topic);
        }
        bytes.extend_from_slice(payload);
    }

    /// Appends the entry; false when there is none, or it is not whole.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> bool {
        let Some(bytes) = self.bytes.as_ref().filter(|bytes| !bytes.is_empty()) else {
            return false;
        };
        out.push(VERSION);
        out.extend_from_slice(bytes);
        true
    }
}

/// Reads an entry.
pub(super) fn decode(entry: &[u8], connection: u64) -> Result<Parcel, PositionError> {
    let short = || PositionError("a journal entry is cut short".into());
    let (version, mut rest) = entry.split_first().ok_or_else(short)?;
    if *version != VERSION {
        return Err(PositionError(format!("the journal's version {version} is not known")));
    }
    let mut parcel = Parcel { connection, ..Parcel::default() };
    let mut topic: &[u8] = &[];
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<6>().ok_or_else(short)?;
        let number = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let (packet_id, topic_len, payload_len) = (number(0), number(2), number(4));
        rest = after;
        if topic_len != SAME_TOPIC {
            (topic, rest) = rest.split_at_checked(topic_len.into()).ok_or_else(short)?;
        }
        let (payload, after) = rest.split_at_checked(payload_len.into()).ok_or_else(short)?;
        rest = after;
        parcel.push(topic, payload, packet_id, false);
    }
    Ok(parcel)
}

const VERSION: u8 = 1;
/// Instead of a length: the topic of the message before.
const SAME_TOPIC: u16 = u16::MAX;
/// What an entry holds: with it, sixteen blocks of 4 KiB.
const BYTES_MAX: usize = 60 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_kept() {
        let mut parcel = Parcel::default();
        parcel.push(b"a", b"one", 7, false);
        parcel.push(b"a", b"", 8, true);
        parcel.push(b"b/c", b"three", 9, false);
        let mut retained = Retained::default();
        assert!(!retained.encode(&mut Vec::new()));
        retained.push(&parcel, &parcel.entries[0]);
        assert!(!retained.encode(&mut Vec::new()), "not whole before a commit");
        retained.start();
        assert!(!retained.encode(&mut Vec::new()), "nothing to write");
        parcel.entries.iter().for_each(|entry| retained.push(&parcel, entry));
        let mut bytes = Vec::new();
        assert!(retained.encode(&mut bytes));
        let read = decode(&bytes, 3).unwrap();
        assert_eq!(read.connection, 3);
        for (read_entry, entry) in read.entries.iter().zip(&parcel.entries) {
            assert_eq!(read.topic(read_entry), parcel.topic(entry));
            assert_eq!(read.text(read_entry.payload), parcel.text(entry.payload));
            assert_eq!(read_entry.packet_id, entry.packet_id);
        }
        for length in 0..bytes.len() {
            let _ = decode(&bytes[..length], 0);
        }
        assert!(decode(&bytes[..bytes.len() - 1], 0).is_err());
    }

    #[test]
    fn a_wide_window_is_not_kept() {
        let mut parcel = Parcel::default();
        parcel.push(b"a", &[b'x'; 1000], 7, false);
        let mut retained = Retained::default();
        retained.start();
        (0..100).for_each(|_| retained.push(&parcel, &parcel.entries[0]));
        assert!(!retained.encode(&mut Vec::new()));
        retained.start();
        assert!(retained.bytes.is_none(), "until the next connection");
        retained.connected();
        retained.start();
        assert!(retained.bytes.is_some());
    }
}
