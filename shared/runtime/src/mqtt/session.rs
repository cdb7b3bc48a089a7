//! The life of a connection on the network thread: connect, subscribe, pass events on, notice
//! a dead peer, wait, begin again with a fresh client.
//!
//! It polls only while the caller's queue has room, so an absent caller is back-pressure on the
//! socket. It never cancels a poll whose connection it wants to keep: the client crate may lose
//! a packet half-way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::{Message, MqttEvent, MqttOptions, Sender, Shared, Version, v4, v5};
use crate::backoff::Backoff;
use crate::source::Wake;

/// An event of the client crate, for either version.
#[derive(Debug)]
pub(super) enum Wire {
    Up {
        session_present: bool,
    },
    Message(Message),
    Confirmed {
        packet_id: u16,
        refused: Option<String>,
    },
    Subscribed {
        refused: Option<(usize, String)>,
    },
    Sent {
        packet_id: u16,
    },
    Acked {
        packet_id: u16,
    },
    Ping,
    /// Any other packet from the server.
    Heard,
    Other,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Failure {
    TooLarge {
        bytes: usize,
    },
    Other(String),
    /// The caller has dropped its handle.
    Closed,
}

enum Loop {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<rumqttc::v5::EventLoop>),
}

impl Loop {
    async fn poll(&mut self, connection: u64) -> Result<Wire, Failure> {
        match self {
            Self::V4(events) => v4::poll(events, connection).await,
            Self::V5(events) => v5::poll(events, connection).await,
        }
    }

    fn drain(&mut self, connection: u64) -> Option<Wire> {
        match self {
            Self::V4(events) => v4::drain(events, connection),
            Self::V5(events) => v5::drain(events, connection),
        }
    }
}

pub(super) struct Session {
    options: MqttOptions,
    shared: Arc<Shared>,
    events: mpsc::Sender<MqttEvent>,
    wake: Wake,
    space: Arc<Semaphore>,
    backoff: Backoff,
    connection: u64,
    /// Connections in a row that ended with a message over the packet limit.
    too_large_count: u32,
    subscribed: bool,
}

impl Session {
    pub(super) fn new(
        options: MqttOptions,
        shared: Arc<Shared>,
        events: mpsc::Sender<MqttEvent>,
        wake: Wake,
        space: Arc<Semaphore>,
    ) -> Self {
        let backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        let subscribed = options.subscribed_before;
        Self {
            options,
            shared,
            events,
            wake,
            space,
            backoff,
            connection: 0,
            too_large_count: 0,
            subscribed,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let started = Instant::now();
            let failure = self.one_connection(false).await;
            if started.elapsed() > STABLE {
                self.backoff.reset();
            }
            let error = match failure {
                Failure::Closed => return,
                Failure::Other(error) => {
                    self.too_large_count = 0;
                    error
                }
                Failure::TooLarge { bytes } => {
                    self.too_large_count += 1;
                    format!("a packet of {bytes} bytes is over the limit of {}", self.limit())
                }
            };
            let wait = self.backoff.next();
            let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            warn!(server = %self.server(), %error, retry_ms, "MQTT connection lost.");
            if self.send(MqttEvent::Disconnected { error: error.clone(), retry_ms }).await.is_err()
            {
                return;
            }
            if self.too_large_count >= TOO_LARGE_MAX && self.reset_session(&error).await.is_err() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Throws the server's session away: a message over the limit comes again for ever.
    async fn reset_session(&mut self, reason: &str) -> Result<(), Failure> {
        error!(server = %self.server(), reason, "MQTT session reset: queued messages are lost.");
        self.too_large_count = 0;
        self.subscribed = false;
        if let Ok(Failure::Closed) = timeout(CONNECT_MAX, self.one_connection(true)).await {
            return Err(Failure::Closed);
        }
        self.down();
        self.send(MqttEvent::SessionReset { reason: reason.into() }).await
    }

    /// Connects and serves until the connection ends. With `clean`, ends as soon as the server
    /// has answered.
    async fn one_connection(&mut self, clean: bool) -> Failure {
        self.connection += 1;
        let (sender, mut events) = match self.options.version {
            Version::V4 => {
                let (client, events) = v4::open(&self.options, clean);
                (Sender::V4(client), Loop::V4(Box::new(events)))
            }
            Version::V5 => {
                let (client, events) = v5::open(&self.options, clean);
                (Sender::V5(client), Loop::V5(Box::new(events)))
            }
        };
        let session_present = match timeout(CONNECT_MAX, events.poll(self.connection)).await {
            Ok(Ok(Wire::Up { session_present })) => session_present,
            Ok(Ok(other)) => return Failure::Other(format!("unexpected first packet: {other:?}")),
            Ok(Err(failure)) => return failure,
            Err(_) => return Failure::Other("no answer to the connection request".into()),
        };
        if clean {
            return Failure::Other("session reset".into());
        }
        if !session_present {
            self.subscribed = false;
        }
        let failure = match self.serve(sender, &mut events, session_present).await {
            Ok(()) => Failure::Closed,
            Err(failure) => failure,
        };
        self.down();
        // What came before the failure is passed on: the server will not send it again if it
        // is the session that is lost, and redelivery is recognised if it does.
        while let Some(wire) = events.drain(self.connection) {
            if let Wire::Message(_) | Wire::Confirmed { .. } | Wire::Sent { .. } = wire
                && self.pass_on(wire, &mut events).await.is_err()
            {
                return Failure::Closed;
            }
        }
        self.forget();
        failure
    }

    async fn serve(
        &mut self,
        sender: Sender,
        events: &mut Loop,
        session_present: bool,
    ) -> Result<(), Failure> {
        info!(server = %self.server(), session_present, "MQTT connected.");
        let subscribing = !self.subscribed && !self.options.subscriptions.is_empty();
        if subscribing {
            let taken = match &sender {
                Sender::V4(client) => v4::subscribe(client, &self.options),
                Sender::V5(client) => v5::subscribe(client, &self.options),
            };
            if !taken {
                return Err(Failure::Other("a topic filter is not valid".into()));
            }
        }
        {
            let mut link = self.shared.link();
            link.sender = Some(sender);
            link.connection = self.connection;
        }
        self.send(MqttEvent::Connected { session_present }).await?;
        let mut pinged = false;
        loop {
            let wire = self.next(events, pinged).await?;
            match wire {
                Wire::Ping => pinged = true,
                Wire::Message(_)
                | Wire::Confirmed { .. }
                | Wire::Heard
                | Wire::Subscribed { .. } => pinged = false,
                _ => {}
            }
            self.pass_on(wire, events).await?;
        }
    }

    async fn next(&self, events: &mut Loop, pinged: bool) -> Result<Wire, Failure> {
        let half = self.options.keep_alive / 2;
        let patience = if pinged { half } else { half * 3 };
        match timeout(patience, events.poll(self.connection)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Other("the server is silent".into())),
        }
    }

    async fn pass_on(&mut self, wire: Wire, events: &mut Loop) -> Result<(), Failure> {
        match wire {
            Wire::Message(message) => {
                let bytes = u32::try_from(message.payload.len()).unwrap_or(u32::MAX);
                let bytes = bytes.min(self.options.queue_bytes_max);
                let Ok(permit) = self.space.acquire_many(bytes).await else {
                    return Err(Failure::Closed);
                };
                permit.forget();
                self.send(MqttEvent::Message(message)).await
            }
            Wire::Sent { packet_id } => {
                let mut link = self.shared.link();
                if let Some(token) = link.unsent.pop_front() {
                    link.under_way.push((packet_id, token));
                }
                Ok(())
            }
            Wire::Confirmed { packet_id, refused } => self.confirmed(packet_id, refused).await,
            Wire::Subscribed { refused: None } => {
                self.subscribed = true;
                Ok(())
            }
            Wire::Subscribed { refused: Some((index, reason)) } => {
                let filter = self.options.subscriptions.get(index).cloned().unwrap_or_default();
                Err(Failure::Other(format!("subscription to '{filter}': {reason}")))
            }
            Wire::Acked { packet_id } => self.more_acks(packet_id, events).await,
            Wire::Up { .. } | Wire::Ping | Wire::Heard | Wire::Other => Ok(()),
        }
    }

    async fn confirmed(&self, packet_id: u16, refused: Option<String>) -> Result<(), Failure> {
        let token = {
            let mut link = self.shared.link();
            let index = link.under_way.iter().position(|(id, _)| *id == packet_id);
            index.map(|index| link.under_way.remove(index).1)
        };
        match (token, refused) {
            (None, _) => Ok(()),
            (Some(token), None) => self.send(MqttEvent::Confirmed { token }).await,
            (Some(token), Some(reason)) => self.send(MqttEvent::Refused { token, reason }).await,
        }
    }

    async fn more_acks(&self, packet_id: u16, events: &mut Loop) -> Result<(), Failure> {
        let Loop::V4(events) = events else { return Ok(()) };
        let ids = {
            let mut link = self.shared.link();
            match link.acks.front() {
                Some((first, _)) if *first == packet_id => link.acks.pop_front(),
                _ => None,
            }
        };
        match ids {
            Some((_, ids)) => v4::write_acks(events, &ids).await,
            None => Ok(()),
        }
    }

    async fn send(&self, event: MqttEvent) -> Result<(), Failure> {
        self.events.send(event).await.map_err(|_| Failure::Closed)?;
        self.wake.notify();
        Ok(())
    }

    /// No more publishes and acknowledgements for this connection.
    fn down(&self) {
        let mut link = self.shared.link();
        link.sender = None;
        link.acks.clear();
    }

    fn forget(&self) {
        let mut link = self.shared.link();
        link.unsent.clear();
        link.under_way.clear();
    }

    fn limit(&self) -> u32 {
        self.options.packet_bytes_max
    }

    fn server(&self) -> String {
        format!("{}:{}", self.options.host, self.options.port)
    }
}

const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A connection that held this long starts the back-off afresh.
const STABLE: Duration = Duration::from_secs(60);
/// Connections in a row that end with a message over the packet limit before the session is
/// reset. The first ones let messages before it be taken over.
const TOO_LARGE_MAX: u32 = 3;
