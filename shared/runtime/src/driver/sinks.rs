//! The sinks of a node: committed chunks are delivered in order and confirmed.

use std::time::{Duration, Instant};

use headwater_store::{Commit, Snapshot, Store};

use crate::backoff::Backoff;
use crate::metrics::Registry;
use crate::sink::{Chunk, Delivery, Sink, SinkError};

/// One sink and how far it is.
pub(super) struct Outlet {
    pub(super) name: String,
    pub(super) channel: u32,
    pub(super) sink: Box<dyn Sink>,
    /// Next chunk to deliver.
    next: u64,
    confirmed: u64,
    is_started: bool,
    backoff: Backoff,
    /// The last error, and until when nothing is tried again.
    failed: Option<(String, Instant)>,
}

/// A delivery that failed is tried again between these times.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Bytes of chunks read back from the store at a time.
const READ_BYTES: usize = 1 << 20;

impl Outlet {
    pub(super) fn new(name: String, channel: u32, sink: Box<dyn Sink>) -> Self {
        let backoff = Backoff::new(RETRY.0, RETRY.1);
        let (next, confirmed, is_started, failed) = (1, 0, false, None);
        Outlet { name, channel, sink, next, confirmed, is_started, backoff, failed }
    }

    /// Asks the sink where its chunks start. `range` is the first unconfirmed chunk and the next
    /// one to be made, `offset` where the next one starts according to the state.
    pub(super) fn start(
        &mut self,
        range: (u64, u64),
        offset: u64,
        snapshot: Option<&Snapshot>,
    ) -> Result<u64, SinkError> {
        self.next = range.0;
        self.confirmed = range.0 - 1;
        let is_new = range == (1, 1) && offset == 0;
        let oldest = match snapshot.map(|s| s.outbox(self.channel, range.0, 1)) {
            Some(Ok(rows)) => rows.first().map(|row| split(&row.bytes).0),
            _ => None,
        };
        let stored = if is_new { None } else { Some(oldest.unwrap_or(offset)) };
        let start = self.sink.start(stored)?;
        self.is_started = true;
        Ok(if is_new { start } else { offset })
    }

    /// Delivers a chunk that was just committed without reading it back, if it is next.
    fn deliver(&mut self, seq: u64, bytes: &[u8]) -> Result<bool, SinkError> {
        if seq != self.next {
            return Ok(seq < self.next);
        }
        let (offset, bytes) = split(bytes);
        match self.try_deliver(Chunk { seq, offset, bytes })? {
            Delivery::Confirmed => {
                self.confirmed = seq;
                self.next = seq + 1;
                Ok(true)
            }
            Delivery::Pending => {
                self.next = seq + 1;
                Ok(true)
            }
            Delivery::Busy => Ok(false),
        }
    }

    /// Hands a chunk to the sink, with back-off after a failure: until then the failure stands.
    fn try_deliver(&mut self, chunk: Chunk<'_>) -> Result<Delivery, SinkError> {
        if let Some((error, until)) = &self.failed
            && Instant::now() < *until
        {
            return Err(SinkError(error.clone()));
        }
        match self.sink.deliver(chunk) {
            Ok(delivery) => {
                self.backoff.reset();
                self.failed = None;
                Ok(delivery)
            }
            Err(error) => {
                tracing::warn!(sink = self.name, %error, "Results wait; trying again.");
                self.failed = Some((error.to_string(), Instant::now() + self.backoff.next()));
                Err(error)
            }
        }
    }

    /// Delivers the chunks of a commit that has become durable.
    pub(super) fn committed(&mut self, commit: &Commit) -> Result<(), SinkError> {
        let channel = self.channel;
        for row in commit.outbox_put.iter().filter(|row| row.channel == channel) {
            if !self.deliver(row.seq, &row.bytes)? {
                break;
            }
        }
        Ok(())
    }

    /// Delivers chunks that are kept in memory: seq and bytes, in order.
    pub(super) fn offer<'a>(
        &mut self,
        chunks: impl Iterator<Item = (u64, &'a [u8])>,
    ) -> Result<(), SinkError> {
        for (seq, bytes) in chunks {
            if !self.deliver(seq, bytes)? {
                break;
            }
        }
        Ok(())
    }

    /// Delivers what is waiting in the store up to `end` (exclusive); gives what is confirmed.
    pub(super) fn pump(&mut self, end: u64, store: Option<&Store>) -> Result<u64, SinkError> {
        self.poll_confirmed();
        if self.sink.must_resend() {
            self.next = self.confirmed + 1;
        }
        while self.next < end {
            let Some(store) = store else { break };
            let rows = store
                .snapshot()
                .and_then(|snapshot| snapshot.outbox(self.channel, self.next, READ_BYTES))
                .map_err(|error| SinkError(error.to_string()))?;
            let before = self.next;
            for row in rows {
                if row.seq >= end || !self.deliver(row.seq, &row.bytes)? {
                    break;
                }
            }
            if self.next == before {
                break;
            }
        }
        self.poll_confirmed();
        Ok(self.confirmed)
    }

    fn poll_confirmed(&mut self) {
        if let Some(seq) = self.sink.confirmed() {
            self.confirmed = self.confirmed.max(seq);
        }
    }

    /// Whether everything before `end` is confirmed.
    pub(super) fn is_done(&self, end: u64) -> bool {
        self.confirmed + 1 >= end
    }

    /// Shows an error, or that there is none.
    pub(super) fn show<T>(&self, result: Result<T, SinkError>, registry: &Registry) -> Option<T> {
        let component = format!("sink {}", self.name);
        match result {
            Ok(value) => {
                match self.sink.problem() {
                    Some(problem) => registry.unwell(&component, problem),
                    None => registry.well(&component),
                }
                Some(value)
            }
            Err(error) => {
                registry.unwell(&component, &error.to_string());
                None
            }
        }
    }
}

/// Offset and lines of a stored chunk.
fn split(bytes: &[u8]) -> (u64, &[u8]) {
    match bytes.split_first_chunk::<8>() {
        Some((offset, lines)) => (u64::from_le_bytes(*offset), lines),
        None => (0, bytes),
    }
}
