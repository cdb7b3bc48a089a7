//! Source `mqtt`: payloads of subscribed topics, acknowledged after the commit.
//!
//! Guarantees, at QoS 1 with a persistent session and a server that keeps packet ids (see
//! [`Intake`]): every message exactly once, also over crashes between commit and
//! acknowledgement. A commit is a checkpoint or, where the server lets so few messages be under
//! way that it could not wait for one, an entry of the intake journal. Acknowledgements go out
//! in order of receipt. A payload over the limit is
//! rejected and acknowledged; a packet over the connection's limit, and a session that the
//! server has lost, are reported as gaps. QoS 2 publishers are served at QoS 1.

mod owed;
mod position;
mod retained;
mod window;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_64;

use crate::intake::{self, Intake, Offer};
use crate::mqtt::{Delivery, Entry, MqttClient, MqttEvent, MqttOptions, Parcel};
use crate::source::{
    OpenError, Position, PositionError, Record, Source, SourceBatch, SourceEvent, Wake,
};
use owed::Owed;
pub(super) use position::describe;
use retained::Retained;
use window::Window;

/// The pipeline's half.
#[derive(Debug)]
pub struct Mqtt {
    client: MqttClient,
    intake: Intake,
    filters: Vec<String>,
    filters_hash: u64,
    payload_bytes_max: usize,
    window: Window,
    owed: Owed,
    retained: Retained,
    /// Parcels of a journal, to be handed out first.
    replayed: VecDeque<Parcel>,
    /// Receipt number up to which the position or journal entry encoded last covers messages.
    encoded: u64,
    committed: u64,
    redelivered: u64,
    connected_before: bool,
    /// A parcel whose messages do not all fit one batch, and the next of them.
    open: Option<(Parcel, usize)>,
    spare: Option<SourceBatch>,
}

impl Mqtt {
    /// Starts to connect. `options.subscriptions` are the splits, in order.
    pub fn open(
        mut options: MqttOptions,
        payload_bytes_max: usize,
        position: &Position,
        wake: Wake,
        handle: &Handle,
    ) -> Result<Self, OpenError> {
        if options.subscriptions.is_empty() {
            return Err(OpenError::option("topic", "names no topic filter"));
        }
        let filters_hash = xxh3_64(options.subscriptions.join("\n").as_bytes());
        let (intake, stored_hash) = match position.is_empty() {
            false => position::decode(position, options.receive_max)?,
            true => (Intake::new(options.receive_max), None),
        };
        options.subscribed_before = stored_hash == Some(filters_hash);
        let limit = u32::try_from(payload_bytes_max).unwrap_or(u32::MAX);
        // Room for the topic, and for payloads a good deal over the limit to be dead letters.
        options.packet_bytes_max = limit.saturating_mul(4).max(PACKET_BYTES_MIN);
        options.queue_bytes_max = options.queue_bytes_max.max(limit);
        options.gather = GATHER;
        let filters = options.subscriptions.clone();
        let committed = intake.consumed();
        Ok(Self {
            window: Window::new(usize::from(options.receive_max), Instant::now()),
            client: MqttClient::connect(options, wake, handle),
            intake,
            filters,
            filters_hash,
            payload_bytes_max,
            owed: Owed::default(),
            retained: Retained::default(),
            replayed: VecDeque::new(),
            encoded: committed,
            committed,
            redelivered: 0,
            connected_before: !position.is_empty(),
            open: None,
            spare: None,
        })
    }

    fn split_of(&self, topic: &str) -> u32 {
        let found = match self.filters.as_slice() {
            [_] => Some(0),
            filters => filters.iter().position(|filter| matches_filter(filter, topic)),
        };
        u32::try_from(found.unwrap_or(0)).unwrap_or(0)
    }

    /// Takes note of a message: its receipt number if it is to be applied.
    fn offer(&mut self, parcel: &Parcel, entry: &Entry) -> Option<u64> {
        let hash = Intake::hash(parcel.text(entry.topic), parcel.text(entry.payload));
        let offer = self.intake.offer(entry.packet_id, entry.dup, hash);
        let receipt = match offer {
            Offer::Apply => self.intake.last_receipt(),
            Offer::Repeated { receipt } => receipt,
        };
        let is_owed = entry.packet_id != 0 && parcel.connection != REPLAYED;
        if is_owed {
            self.owed.push(receipt, parcel.connection, entry.packet_id);
        }
        if offer != Offer::Apply {
            self.redelivered += 1;
            return None;
        }
        if is_owed {
            self.retained.push(parcel, entry);
        }
        Some(receipt)
    }

    /// Messages that arrived together.
    fn parcel(&mut self, mut parcel: Parcel) -> Option<SourceEvent> {
        let is_plain =
            self.filters.len() == 1 && parcel.payload_bytes_max <= self.payload_bytes_max;
        if !is_plain {
            self.open = Some((parcel, 0));
            return self.next_of_open();
        }
        let mut batch = self.spare.take().unwrap_or_default();
        for entry in &parcel.entries {
            if let Some(after) = self.offer(&parcel, entry) {
                let (start, end) = entry.payload;
                batch.topics.push(entry.topic);
                batch.records.push(Record { start, end, after });
            }
        }
        self.window.received(self.owed.len(), Instant::now());
        std::mem::swap(&mut batch.bytes, &mut parcel.bytes);
        self.client.recycle(parcel);
        if batch.records.is_empty() {
            self.recycle(batch);
            return None;
        }
        Some(SourceEvent::Batch(batch))
    }

    /// The next run of messages of one split, or one that is too long, out of the open parcel.
    fn next_of_open(&mut self) -> Option<SourceEvent> {
        let (parcel, mut next) = self.open.take()?;
        let mut batch = self.spare.take().unwrap_or_default();
        let mut rejected = None;
        while let Some(entry) = parcel.entries.get(next) {
            let split = self.split_of(parcel.topic(entry));
            let is_long = parcel.text(entry.payload).len() > self.payload_bytes_max;
            if !batch.records.is_empty() && (is_long || split != batch.split) {
                break;
            }
            next += 1;
            let Some(after) = self.offer(&parcel, entry) else { continue };
            if is_long {
                self.retained.give_up();
                rejected = Some(self.reject(split, after, parcel.text(entry.payload)));
                break;
            }
            append(&mut batch, split, (&parcel, entry), after);
        }
        self.window.received(self.owed.len(), Instant::now());
        if next < parcel.entries.len() {
            self.open = Some((parcel, next));
        } else {
            self.client.recycle(parcel);
        }
        if rejected.is_some() || batch.records.is_empty() {
            self.spare = Some(batch);
            return rejected;
        }
        Some(SourceEvent::Batch(batch))
    }

    fn reject(&self, split: u32, after: u64, payload: &[u8]) -> SourceEvent {
        let bytes_len = payload.len();
        let limit = self.payload_bytes_max;
        SourceEvent::Rejected {
            split,
            after,
            reason: format!("payload of {bytes_len} bytes is over the limit of {limit}"),
            sample: payload[..bytes_len.min(SAMPLE)].to_vec(),
            bytes_len: bytes_len as u64,
        }
    }

    /// What an event other than a message means here.
    fn event(&mut self, event: MqttEvent) -> Option<SourceEvent> {
        match event {
            MqttEvent::Connected { session_present } => {
                // What came before comes again, with the same packet ids.
                self.owed.clear();
                self.retained.connected();
                self.window.connected(Instant::now());
                let is_lost = !session_present && self.connected_before;
                self.connected_before = true;
                if is_lost {
                    self.intake.forget();
                    let reason = "the server has lost the session: messages may be missing, and \
                                  repeats cannot be recognised";
                    return Some(SourceEvent::Gap { split: 0, reason: reason.into() });
                }
                None
            }
            MqttEvent::Subscribed => {
                Some(SourceEvent::Connected { up: true, detail: String::new() })
            }
            MqttEvent::Disconnected { error, .. } => {
                Some(SourceEvent::Connected { up: false, detail: error })
            }
            MqttEvent::SessionReset { reason } => {
                self.intake.forget();
                // The next connection finds no session, which is known already.
                self.connected_before = false;
                let reason = format!("session reset, queued messages are lost: {reason}");
                Some(SourceEvent::Gap { split: 0, reason })
            }
            MqttEvent::Message(_) | MqttEvent::Confirmed { .. } | MqttEvent::Refused { .. } => None,
        }
    }

    /// Acknowledges everything whose turn it is.
    fn acknowledge(&mut self) {
        while let Some((connection, first_id, count)) = self.owed.pop(self.committed) {
            self.client.ack(connection, first_id, count);
        }
    }
}

fn append(batch: &mut SourceBatch, split: u32, (parcel, entry): (&Parcel, &Entry), after: u64) {
    let small = |at: usize| u32::try_from(at).expect("a batch is far below 4 GiB");
    batch.split = split;
    let topic = small(batch.bytes.len());
    batch.bytes.extend_from_slice(parcel.text(entry.topic));
    let start = small(batch.bytes.len());
    batch.bytes.extend_from_slice(parcel.text(entry.payload));
    let end = small(batch.bytes.len());
    batch.topics.push((topic, start));
    batch.records.push(Record { start, end, after });
}

impl Source for Mqtt {
    fn poll(&mut self) -> Option<SourceEvent> {
        loop {
            let event = if self.open.is_some() {
                self.next_of_open()
            } else if let Some(parcel) = self.replayed.pop_front() {
                self.parcel(parcel)
            } else {
                match self.client.take()? {
                    Delivery::Parcel(parcel) => self.parcel(parcel),
                    Delivery::Event(event) => self.event(event),
                }
            };
            // Repeats of what is committed already.
            self.acknowledge();
            if event.is_some() {
                return event;
            }
        }
    }

    fn consumed(&mut self, _split: u32, after: u64) {
        self.intake.consume(after);
    }

    fn position(&mut self, put: &mut dyn FnMut(String, Vec<u8>)) {
        let filters_hash = self.filters_hash.to_le_bytes();
        self.intake.encode(&mut |name, value| match name.as_str() {
            intake::HEAD => put(name, [&filters_hash[..], &value].concat()),
            _ => put(name, value),
        });
        self.encoded = self.intake.consumed();
        self.window.closing(self.owed.len(), Instant::now());
    }

    fn committed(&mut self) {
        if self.encoded == self.intake.last_receipt() {
            self.retained.start();
        } else {
            self.retained.give_up();
        }
        self.committed = self.encoded;
        self.acknowledge();
        self.window.opened(Instant::now());
        self.client.set_hurried(self.window.limit().is_some());
    }

    fn commit_due(&self) -> Option<Instant> {
        self.window.due(self.owed.len())
    }

    fn journal(&mut self, out: &mut Vec<u8>) -> bool {
        if self.intake.consumed() != self.intake.last_receipt() || !self.retained.encode(out) {
            return false;
        }
        self.encoded = self.intake.consumed();
        self.window.closing(self.owed.len(), Instant::now());
        true
    }

    fn journaled(&mut self) {
        // The next checkpoint covers it too.
        self.committed();
    }

    fn replay(&mut self, journaled: &[u8]) -> Result<usize, PositionError> {
        let parcel = retained::decode(journaled, REPLAYED)?;
        let count = parcel.entries.len();
        self.replayed.push_back(parcel);
        self.retained.give_up();
        Ok(count)
    }

    fn window(&self) -> Option<usize> {
        self.window.limit()
    }

    fn redelivered(&self) -> u64 {
        self.redelivered
    }

    fn recycle(&mut self, mut batch: SourceBatch) {
        batch.clear();
        self.spare = Some(batch);
    }
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

/// Number of a connection that there never is.
const REPLAYED: u64 = 0;
const SAMPLE: usize = 256;
const PACKET_BYTES_MIN: u32 = 1 << 20;
/// At 5,000 messages a second a hundred are handed over together; windows and alerts are of
/// seconds.
const GATHER: Duration = Duration::from_millis(20);

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
