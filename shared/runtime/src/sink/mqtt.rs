//! Sink `mqtt`: each line of a chunk is one message at QoS 1.
//!
//! A chunk is confirmed when the server has acknowledged all of its messages. After a lost
//! connection the chunk is delivered again from its begin: a message may then come twice, which
//! MQTT cannot prevent; results with a key are idempotent for whoever reads them by key.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::backoff::Backoff;
use crate::mqtt::{MqttClient, MqttEvent, MqttOptions};
use crate::sink::{Chunk, Delivery, Sink, SinkError};
use crate::source::Wake;

/// The sink; see the module's text.
#[derive(Debug)]
pub struct Mqtt {
    client: MqttClient,
    topic: String,
    retain: bool,
    window: usize,
    chunk: Option<Work>,
    token: u64,
    confirmed: Option<u64>,
    resend: bool,
    backoff: Backoff,
    not_before: Option<Instant>,
    problem: Option<String>,
    is_refused: bool,
}

/// A chunk that is being sent.
#[derive(Debug)]
struct Work {
    seq: u64,
    bytes: Vec<u8>,
    /// Begin of the first line that was not handed to the client.
    next: usize,
    tokens: HashSet<u64>,
}

impl Mqtt {
    /// Starts to connect.
    pub fn open(
        options: MqttOptions,
        topic: String,
        retain: bool,
        wake: Wake,
        handle: &Handle,
    ) -> Self {
        let window = usize::from(options.publish_window);
        Self {
            client: MqttClient::connect(options, wake, handle),
            topic,
            retain,
            window,
            chunk: None,
            token: 0,
            confirmed: None,
            resend: false,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(30)),
            not_before: None,
            problem: None,
            is_refused: false,
        }
    }

    fn pump(&mut self) {
        while let Some(event) = self.client.poll() {
            match event {
                MqttEvent::Confirmed { token } => self.one_confirmed(token),
                MqttEvent::Refused { reason, .. } => {
                    self.is_refused = true;
                    self.problem = Some(format!(
                        "the broker refuses '{}': {reason}; check its access rules",
                        self.topic
                    ));
                    self.not_before = Some(Instant::now() + self.backoff.next());
                    self.give_up();
                }
                MqttEvent::Disconnected { error, .. } => {
                    self.problem = Some(error);
                    self.give_up();
                }
                // What was refused before is tried again; only its confirmation makes it well.
                MqttEvent::Connected { .. } if !self.is_refused => self.problem = None,
                MqttEvent::Connected { .. } => {}
                MqttEvent::Subscribed | MqttEvent::Message(_) | MqttEvent::SessionReset { .. } => {}
            }
        }
        self.send();
    }

    fn one_confirmed(&mut self, token: u64) {
        let Some(work) = &mut self.chunk else { return };
        work.tokens.remove(&token);
        if work.tokens.is_empty() && work.next == work.bytes.len() {
            self.confirmed = Some(work.seq);
            self.chunk = None;
            self.backoff.reset();
            self.problem = None;
            self.is_refused = false;
        }
    }

    fn give_up(&mut self) {
        self.resend |= self.chunk.take().is_some();
    }

    fn send(&mut self) {
        let Some(work) = &mut self.chunk else { return };
        while work.next < work.bytes.len() {
            let rest = &work.bytes[work.next..];
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let token = self.token + 1;
            let line = &rest[..length];
            if self.client.publish(&self.topic, line, self.retain, token, self.window).is_err() {
                return;
            }
            self.token = token;
            work.tokens.insert(token);
            work.next += (length + 1).min(rest.len());
        }
    }
}

impl Sink for Mqtt {
    fn start(&mut self, stored: Option<u64>) -> Result<u64, SinkError> {
        Ok(stored.unwrap_or(0))
    }

    fn deliver(&mut self, chunk: Chunk<'_>) -> Result<Delivery, SinkError> {
        self.pump();
        if self.chunk.as_ref().is_some_and(|work| work.seq == chunk.seq) {
            return Ok(Delivery::Pending);
        }
        let waiting = self.not_before.is_some_and(|until| Instant::now() < until);
        if self.chunk.is_some() || waiting || !self.client.is_connected() {
            return Ok(Delivery::Busy);
        }
        if chunk.bytes.is_empty() {
            return Ok(Delivery::Confirmed);
        }
        self.chunk = Some(Work {
            seq: chunk.seq,
            bytes: chunk.bytes.to_vec(),
            next: 0,
            tokens: HashSet::new(),
        });
        self.send();
        Ok(Delivery::Pending)
    }

    fn confirmed(&mut self) -> Option<u64> {
        self.pump();
        self.confirmed.take()
    }

    fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn must_resend(&mut self) -> bool {
        std::mem::take(&mut self.resend)
    }
}
