//! Source `mqtt`: payloads of subscribed topics, acknowledged after the commit.
//!
//! Guarantees, at QoS 1 with a persistent session and a server that keeps packet ids (see
//! [`Intake`]): every message exactly once, also over crashes between commit and
//! acknowledgement. Acknowledgements go out in order of receipt. A payload over the limit is
//! rejected and acknowledged; a packet over the connection's limit, and a session that the
//! server has lost, are reported as gaps. QoS 2 publishers are served at QoS 1.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_64;

use crate::intake::{Intake, Offer};
use crate::mqtt::{Message, MqttClient, MqttEvent, MqttOptions, Version};
use crate::source::{OpenError, PositionError, Record, Source, SourceBatch, SourceEvent, Wake};

/// A message that waits to be acknowledged.
#[derive(Clone, Copy, Debug)]
struct Owed {
    /// Receipt number that must be committed before: its own or, for a repeat, the first one's.
    receipt: u64,
    connection: u64,
    packet_id: u16,
}

/// The pipeline's half.
#[derive(Debug)]
pub struct Mqtt {
    client: MqttClient,
    intake: Intake,
    filters: Vec<String>,
    filters_hash: u64,
    payload_bytes_max: usize,
    /// Messages the server surely lets be under way; grows with what is seen.
    window: usize,
    owed: VecDeque<Owed>,
    encoded: Cell<u64>,
    committed: u64,
    connected_before: bool,
    last_message: Instant,
    waiting: VecDeque<SourceEvent>,
    spare: Vec<SourceBatch>,
}

impl Mqtt {
    /// Starts to connect. `options.subscriptions` are the splits, in order.
    pub fn open(
        mut options: MqttOptions,
        payload_bytes_max: usize,
        position: Option<&[u8]>,
        wake: Wake,
        handle: &Handle,
    ) -> Result<Self, OpenError> {
        if options.subscriptions.is_empty() {
            return Err(OpenError::option("topic", "names no topic filter"));
        }
        let filters_hash = xxh3_64(options.subscriptions.join("\n").as_bytes());
        let (intake, stored_hash) = match position {
            Some(bytes) => decode(bytes, options.receive_max)?,
            None => (Intake::new(options.receive_max), None),
        };
        options.subscribed_before = stored_hash == Some(filters_hash);
        let limit = u32::try_from(payload_bytes_max).unwrap_or(u32::MAX);
        // Room for the topic, and for payloads a good deal over the limit to be dead letters.
        options.packet_bytes_max = limit.saturating_mul(4).max(PACKET_BYTES_MIN);
        options.queue_bytes_max = options.queue_bytes_max.max(limit);
        let window = match options.version {
            Version::V4 => WINDOW_SURE,
            Version::V5 => usize::from(options.receive_max) * 3 / 4,
        };
        let filters = options.subscriptions.clone();
        let committed = intake.consumed();
        Ok(Self {
            client: MqttClient::connect(options, wake, handle),
            intake,
            filters,
            filters_hash,
            payload_bytes_max,
            window,
            owed: VecDeque::new(),
            encoded: Cell::new(committed),
            committed,
            connected_before: position.is_some(),
            last_message: Instant::now(),
            waiting: VecDeque::new(),
            spare: Vec::new(),
        })
    }

    fn split_of(&self, topic: &str) -> u32 {
        let found = match self.filters.as_slice() {
            [_] => Some(0),
            filters => filters.iter().position(|filter| matches_filter(filter, topic)),
        };
        u32::try_from(found.unwrap_or(0)).unwrap_or(0)
    }

    /// Adds a message to the batch. What does not fit the batch waits for the next call.
    fn message(&mut self, message: &Message, batch: &mut SourceBatch) {
        self.last_message = Instant::now();
        let hash = Intake::hash(message.topic.as_bytes(), &message.payload);
        let offer = self.intake.offer(message.packet_id, message.dup, hash);
        let receipt = match offer {
            Offer::Apply => self.intake.last_receipt(),
            Offer::Repeated { receipt } => receipt,
        };
        if message.packet_id != 0 {
            let (connection, packet_id) = (message.connection, message.packet_id);
            self.owed.push_back(Owed { receipt, connection, packet_id });
        }
        if offer != Offer::Apply {
            return;
        }
        let split = self.split_of(&message.topic);
        if message.payload.len() > self.payload_bytes_max {
            let bytes_len = message.payload.len();
            self.waiting.push_back(SourceEvent::Rejected {
                split,
                after: receipt,
                reason: format!(
                    "payload of {bytes_len} bytes is over the limit of {}",
                    self.payload_bytes_max
                ),
                sample: message.payload[..bytes_len.min(SAMPLE)].to_vec(),
                bytes_len: bytes_len as u64,
            });
        } else if batch.records.is_empty() || batch.split == split {
            append(batch, split, message, receipt);
        } else {
            let mut other = self.spare.pop().unwrap_or_default();
            append(&mut other, split, message, receipt);
            self.waiting.push_back(SourceEvent::Batch(other));
        }
    }

    /// What an event other than a message means here.
    fn event(&mut self, event: MqttEvent) {
        match event {
            MqttEvent::Connected { session_present } => {
                if !session_present && self.connected_before {
                    self.intake.forget();
                    let reason = "the server has lost the session: messages may be missing, and \
                                  repeats cannot be recognised";
                    self.waiting.push_back(SourceEvent::Gap { split: 0, reason: reason.into() });
                }
                self.connected_before = true;
                self.window = self.window.min(self.owed.len().max(WINDOW_SURE));
                let detail = String::new();
                self.waiting.push_back(SourceEvent::Connected { up: true, detail });
            }
            MqttEvent::Disconnected { error, .. } => {
                self.waiting.push_back(SourceEvent::Connected { up: false, detail: error });
            }
            MqttEvent::SessionReset { reason } => {
                self.intake.forget();
                // The next connection finds no session, which is known already.
                self.connected_before = false;
                let reason = format!("session reset, queued messages are lost: {reason}");
                self.waiting.push_back(SourceEvent::Gap { split: 0, reason });
            }
            MqttEvent::Message(_) | MqttEvent::Confirmed { .. } | MqttEvent::Refused { .. } => {}
        }
    }

    /// Acknowledges everything whose turn it is.
    fn acknowledge(&mut self) {
        let mut ids = Vec::new();
        let mut connection = 0;
        while let Some(owed) = self.owed.front().copied() {
            if owed.receipt > self.committed {
                break;
            }
            if owed.connection != connection {
                self.client.ack(connection, &ids);
                ids.clear();
                connection = owed.connection;
            }
            ids.push(owed.packet_id);
            self.owed.pop_front();
        }
        self.client.ack(connection, &ids);
    }
}

fn append(batch: &mut SourceBatch, split: u32, message: &Message, receipt: u64) {
    let small = |at: usize| u32::try_from(at).expect("a batch is far below 4 GiB");
    batch.split = split;
    let topic = small(batch.bytes.len());
    batch.bytes.extend_from_slice(message.topic.as_bytes());
    let start = small(batch.bytes.len());
    batch.bytes.extend_from_slice(&message.payload);
    let end = small(batch.bytes.len());
    batch.topics.push((topic, start));
    batch.records.push(Record { start, end, after: receipt });
}

impl Source for Mqtt {
    fn poll(&mut self) -> Option<SourceEvent> {
        if let Some(event) = self.waiting.pop_front() {
            return Some(event);
        }
        let mut batch = self.spare.pop().unwrap_or_default();
        while self.waiting.is_empty()
            && batch.records.len() < BATCH_MAX
            && batch.bytes.len() < BATCH_BYTES
        {
            match self.client.poll() {
                Some(MqttEvent::Message(message)) => self.message(&message, &mut batch),
                Some(event) => self.event(event),
                None => break,
            }
        }
        if self.owed.front().is_some_and(|owed| owed.receipt <= self.committed) {
            self.acknowledge();
        }
        if batch.records.is_empty() {
            self.spare.push(batch);
            return self.waiting.pop_front();
        }
        Some(SourceEvent::Batch(batch))
    }

    fn consumed(&mut self, _split: u32, after: u64) {
        self.intake.consume(after);
    }

    fn position(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.filters_hash.to_le_bytes());
        self.intake.encode(out);
        self.encoded.set(self.intake.consumed());
    }

    fn committed(&mut self) {
        self.committed = self.encoded.get();
        self.acknowledge();
    }

    fn wants_checkpoint(&self) -> bool {
        // The server has fallen silent with as many under way as were ever seen: it waits for
        // us. A server with a wider window goes on sending and is not taken for silent.
        self.owed.len() >= self.window && self.last_message.elapsed() > SILENT
    }

    fn recycle(&mut self, mut batch: SourceBatch) {
        if self.spare.len() < 2 && batch.bytes.capacity() <= 4 * BATCH_BYTES {
            batch.clear();
            self.spare.push(batch);
        }
    }
}

fn decode(bytes: &[u8], window: u16) -> Result<(Intake, Option<u64>), PositionError> {
    let (hash, rest) =
        bytes.split_first_chunk().ok_or_else(|| PositionError("it is cut short".into()))?;
    Ok((Intake::decode(rest, window)?, Some(u64::from_le_bytes(*hash))))
}

/// A stored position in words, if it is one of this source.
pub(super) fn describe(bytes: &[u8]) -> Option<serde_json::Value> {
    let (hash, rest) = bytes.split_first_chunk()?;
    let runs = crate::intake::runs(rest)?;
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
    Some(serde_json::json!({
        "kind": "mqtt",
        "text": text,
        "messages": count,
        "packet_ids": ids,
        "subscriptions": format!("{:016x}", u64::from_le_bytes(*hash)),
    }))
}

/// Whether a topic fits a filter with `+` and `#`.
pub fn matches_filter(filter: &str, topic: &str) -> bool {
    let filter = match filter.strip_prefix("$share/") {
        Some(shared) => shared.split_once('/').map_or("", |(_, filter)| filter),
        None => filter,
    };
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topics = topic.split('/');
    for level in filter.split('/') {
        match (level, topics.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(topic)) if level == topic => {}
            _ => return false,
        }
    }
    topics.next().is_none()
}

const BATCH_MAX: usize = 1024;
const BATCH_BYTES: usize = 128 << 10;
const SAMPLE: usize = 256;
const PACKET_BYTES_MIN: u32 = 1 << 20;
/// What every known server lets be under way to a 3.1.1 client (Mosquitto's default).
const WINDOW_SURE: usize = 20;
const SILENT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_fit_filters() {
        for (filter, topic, fits) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a", true),
            ("#", "$SYS/x", false),
            ("+/b", "a/b", true),
            ("a", "a/b", false),
            ("$share/g/a/+", "a/b", true),
        ] {
            assert_eq!(matches_filter(filter, topic), fits, "{filter} {topic}");
        }
    }
}
