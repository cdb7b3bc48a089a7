//! The life of a connection on the network thread: connect, subscribe, pass messages on, notice
//! a dead peer, wait, begin again.
//!
//! It reads only while the caller's queue has room, so an absent caller is back-pressure on the
//! socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::connection::Connection;
use super::packet::{self, Incoming, Up};
use super::{Delivery, MqttEvent, MqttOptions, Parcel, QUEUE_MAX, Shared, Version, pace, tls};
use crate::backoff::Backoff;
use crate::source::Wake;

/// Why a connection ended.
#[derive(Debug)]
enum Failure {
    TooLarge {
        bytes: usize,
    },
    /// The server says that it does not speak this version of the protocol.
    OtherVersion,
    /// It closed the connection without an answer, as one that does not know the version would.
    NoAnswer(String),
    Other(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Other(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Failure::Other(error)
    }
}

pub(super) struct Session {
    options: MqttOptions,
    shared: Arc<Shared>,
    wake: Wake,
    backoff: Backoff,
    /// The version in use.
    version: Version,
    /// A server was seen that speaks it.
    is_version_sure: bool,
    no_answer_count: u32,
    connection: u64,
    /// Connections in a row that ended with a message over the packet limit.
    too_large_count: u32,
    subscribed: bool,
    /// The server may have taken a connection request whose answer was never read: the session
    /// that it has may be a new one, without subscriptions.
    is_unanswered: bool,
    parcel: Parcel,
}

impl Session {
    pub(super) fn new(options: MqttOptions, shared: Arc<Shared>, wake: Wake) -> Self {
        let subscribed = options.subscribed_before;
        let version = match options.version {
            Version::Auto => Version::V5,
            version => version,
        };
        Self {
            is_version_sure: options.version != Version::Auto,
            options,
            shared,
            wake,
            backoff: Backoff::new(RETRY_MIN, RETRY_MAX),
            version,
            no_answer_count: 0,
            connection: 0,
            too_large_count: 0,
            subscribed,
            is_unanswered: false,
            parcel: Parcel::default(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let started = Instant::now();
            let failure = self.one_connection(false).await;
            self.down();
            if started.elapsed() > STABLE {
                self.backoff.reset();
            }
            if !matches!(failure, Failure::TooLarge { .. }) {
                self.too_large_count = 0;
            }
            let error = match failure {
                Failure::Other(error) => error,
                Failure::OtherVersion => {
                    self.other_version(true);
                    "the server does not speak this version of MQTT".into()
                }
                Failure::NoAnswer(error) => {
                    self.other_version(false);
                    error
                }
                Failure::TooLarge { bytes } => {
                    self.too_large_count += 1;
                    let limit = self.options.packet_bytes_max;
                    format!("a packet of {bytes} bytes is over the limit of {limit}")
                }
            };
            let wait = self.backoff.next();
            let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            warn!(server = %self.server(), %error, retry_ms, "MQTT connection lost.");
            self.send(MqttEvent::Disconnected { error: error.clone(), retry_ms }).await;
            if self.too_large_count >= TOO_LARGE_MAX {
                self.reset_session(&error).await;
            }
            sleep(wait).await;
        }
    }

    /// Tries the other version the next time, unless this one was asked for or has worked. A
    /// server that starts, or a proxy before it, may close one connection without an answer.
    fn other_version(&mut self, is_said: bool) {
        self.no_answer_count += 1;
        if self.is_version_sure || (!is_said && self.no_answer_count < 2) {
            return;
        }
        self.no_answer_count = 0;
        self.version = match self.version {
            Version::V4 => Version::V5,
            _ => Version::V4,
        };
    }

    /// Throws the server's session away: a message over the limit comes again for ever.
    async fn reset_session(&mut self, reason: &str) {
        error!(server = %self.server(), reason, "MQTT session reset: queued messages are lost.");
        self.too_large_count = 0;
        self.subscribed = false;
        // It fails in any case: by design once the server has answered.
        let _ = self.one_connection(true).await;
        self.send(MqttEvent::SessionReset { reason: reason.into() }).await;
    }

    /// Connects and serves until the connection ends. With `clean`, ends as soon as the server
    /// has answered.
    async fn one_connection(&mut self, clean: bool) -> Failure {
        self.connection += 1;
        let (mut connection, up) = match timeout(CONNECT_MAX, self.connect(clean)).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(failure)) => return failure,
            Err(_) => return Failure::Other("no answer to the connection request".into()),
        };
        self.is_version_sure = true;
        if clean {
            return Failure::Other("session reset".into());
        }
        match self.serve(&mut connection, up).await {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    async fn connect(&mut self, clean: bool) -> Result<(Connection, Up), Failure> {
        let server = (self.options.host.as_str(), self.options.port);
        let keep_alive = self.options.keep_alive;
        let tls = self.options.tls.clone();
        let opened = Connection::open(server, tls, keep_alive).await;
        let mut connection =
            opened.map_err(|error| Failure::Other(tls::words(&error, &self.options.host)))?;
        let was_unanswered = std::mem::replace(&mut self.is_unanswered, true);
        packet::connect(&self.options, self.version, clean, &mut connection.output.bytes);
        while connection.output.is_waiting() {
            connection.output.write().await?;
        }
        loop {
            let input = &mut connection.input;
            let header = packet::header(&input.bytes)?;
            if header.is_some_and(|header| header.len() > ANSWER_BYTES_MAX) {
                return Err(Failure::Other("the server's answer is too long".into()));
            }
            // Messages of the session may have come in the same read, and stay in the buffer.
            if let Some(header) = header.filter(|header| header.len() <= input.bytes.len()) {
                return match packet::take(self.version, header, &mut input.bytes)? {
                    Incoming::Up(up) => {
                        self.is_unanswered = was_unanswered;
                        Ok((connection, up))
                    }
                    Incoming::OtherVersion => Err(Failure::OtherVersion),
                    Incoming::Ended(reason) => Err(Failure::Other(reason)),
                    other => Err(Failure::Other(format!("unexpected first packet: {other:?}"))),
                };
            }
            match input.read().await {
                Ok((0, _)) => {
                    let error = "the server has closed the connection".to_owned();
                    return Err(Failure::NoAnswer(error));
                }
                Ok(_) => {}
                Err(error) => {
                    return Err(Failure::NoAnswer(tls::words(&error, &self.options.host)));
                }
            }
        }
    }

    async fn serve(
        &mut self,
        connection: &mut Connection,
        up: Up,
    ) -> Result<std::convert::Infallible, Failure> {
        let session_present = up.session_present;
        let version = if self.version == Version::V5 { "5" } else { "3.1.1" };
        info!(server = %self.server(), version, session_present, "MQTT connected.");
        if !session_present {
            self.subscribed = false;
        }
        if let Some(seconds) = up.keep_alive_s.filter(|seconds| *seconds > 0) {
            connection.life.set_keep_alive(Duration::from_secs(seconds.into()));
        }
        // MQTT 5 is told to keep retained messages back; 3.1.1 would repeat them each time.
        let is_believed = self.subscribed && !self.is_unanswered && self.version != Version::V5;
        if !is_believed
            && !self.options.subscriptions.is_empty()
            && !packet::subscribe(&self.options, self.version, &mut connection.output.bytes)
        {
            return Err(Failure::Other("the topic filters do not fit a packet".into()));
        }
        {
            let mut link = self.shared.link();
            (link.up, link.connection, link.version) = (Some(up), self.connection, self.version);
        }
        self.send(MqttEvent::Connected { session_present }).await;
        if is_believed {
            self.send(MqttEvent::Subscribed).await;
        }
        self.decode(connection).await?;
        let mut alarm = Box::pin(sleep(connection.life.interval()));
        loop {
            let has_room = self.collect(connection);
            let Connection { input, output, life } = connection;
            tokio::select! {
                biased;
                () = self.shared.work.notified() => {}
                done = output.write(), if output.is_waiting() => {
                    done?;
                    life.sent(Instant::now());
                }
                read = input.read(), if has_room => {
                    let (count, was_filled) = read?;
                    if count == 0 {
                        return Err(Failure::Other("the server has closed the connection".into()));
                    }
                    life.heard(Instant::now());
                    let had_messages = self.decode(connection).await?;
                    if had_messages && !was_filled && self.gathers() {
                        pace::ask(self.options.gather);
                    }
                }
                () = &mut alarm => {
                    let now = Instant::now();
                    if !has_room {
                        life.heard(now);
                    }
                    if !life.look(now, &mut output.bytes) {
                        return Err(Failure::Other("the server is silent".into()));
                    }
                    alarm.as_mut().reset(tokio::time::Instant::now() + life.interval());
                }
            }
        }
    }

    fn gathers(&self) -> bool {
        let is_hurried = self.shared.is_hurried.load(std::sync::atomic::Ordering::Relaxed);
        !is_hurried && !self.options.gather.is_zero()
    }

    /// Takes over what the caller has written; whether its queue has room for more.
    fn collect(&self, connection: &mut Connection) -> bool {
        let mut link = self.shared.link();
        if !link.out.is_empty() {
            connection.output.bytes.extend_from_slice(&link.out);
            link.out.clear();
            // Frames may be large; acknowledgements are not.
            link.out.shrink_to(OUT_BYTES_KEPT);
        }
        let output = &mut connection.output.bytes;
        while output.len() < ACK_BYTES
            && let Some((first, count)) = link.acks.front_mut()
        {
            packet::acknowledge(*first, output);
            (*first, *count) = (first.wrapping_add(1), *count - 1);
            if *count == 0 {
                link.acks.pop_front();
            }
        }
        let has_room = link.queued_bytes < self.options.queue_bytes_max as usize
            && link.queue.len() < QUEUE_MAX;
        link.is_stalled = !has_room;
        has_room
    }

    /// Passes on every packet that is complete; whether messages were among them.
    async fn decode(&mut self, connection: &mut Connection) -> Result<bool, Failure> {
        let mut had_messages = false;
        let outcome = loop {
            let input = &mut connection.input;
            let header = match packet::header(&input.bytes) {
                Ok(Some(header)) => header,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            };
            if header.len() > self.options.packet_bytes_max as usize {
                break Err(Failure::TooLarge { bytes: header.len() });
            }
            if header.len() > input.bytes.len() {
                break Ok(());
            }
            if header.is_message() {
                had_messages = true;
                let body = &input.bytes[header.header_len..header.len()];
                match packet::message(self.version, header.first, body) {
                    Ok(m) => self.parcel.push(m.topic, m.payload, m.packet_id, m.dup),
                    Err(error) => break Err(error.into()),
                }
                packet::skip(header, &mut input.bytes);
                if self.parcel.is_large() {
                    self.hand_over();
                }
                continue;
            }
            self.hand_over();
            match packet::take(self.version, header, &mut input.bytes) {
                Ok(packet) => {
                    if let Err(failure) = self.packet(packet).await {
                        break Err(failure);
                    }
                }
                Err(error) => break Err(error.into()),
            }
        };
        // Also what came before a failure: the server will not send it again if it is the
        // session that is lost, and redelivery is recognised if it does.
        self.hand_over();
        outcome.map(|()| had_messages)
    }

    async fn packet(&mut self, packet: Incoming) -> Result<(), Failure> {
        match packet {
            Incoming::Confirmed { packet_id, refused } => {
                let token = {
                    let mut link = self.shared.link();
                    let index = link.under_way.iter().position(|(id, _)| *id == packet_id);
                    index.and_then(|index| link.under_way.remove(index)).map(|(_, token)| token)
                };
                match (token, refused) {
                    (None, _) => {}
                    (Some(token), None) => self.send(MqttEvent::Confirmed { token }).await,
                    (Some(token), Some(reason)) => {
                        self.send(MqttEvent::Refused { token, reason }).await;
                    }
                }
                Ok(())
            }
            Incoming::Subscribed { refused: None } => {
                self.subscribed = true;
                self.is_unanswered = false;
                self.send(MqttEvent::Subscribed).await;
                Ok(())
            }
            Incoming::Subscribed { refused: Some((index, reason)) } => {
                let filter = self.options.subscriptions.get(index).cloned().unwrap_or_default();
                Err(Failure::Other(format!("subscription to '{filter}': {reason}")))
            }
            Incoming::Ended(reason) => Err(Failure::Other(reason)),
            Incoming::Up(_) | Incoming::OtherVersion | Incoming::Other => Ok(()),
        }
    }

    /// Puts the messages gathered so far into the caller's queue.
    fn hand_over(&mut self) {
        if self.parcel.entries.is_empty() {
            return;
        }
        let mut link = self.shared.link();
        link.queued_bytes += self.parcel.bytes.len();
        match link.queue.back_mut() {
            // The caller is busy: fill up what it has not taken yet.
            Some(Delivery::Parcel(last))
                if last.connection == self.connection && !last.is_large() =>
            {
                last.append(&self.parcel);
                self.parcel.clear();
            }
            _ => {
                self.parcel.connection = self.connection;
                let spare = link.spare.pop().unwrap_or_default();
                let full = std::mem::replace(&mut self.parcel, spare);
                link.queue.push_back(Delivery::Parcel(full));
            }
        }
        drop(link);
        self.wake.notify();
    }

    async fn send(&self, event: MqttEvent) {
        loop {
            {
                let mut link = self.shared.link();
                link.is_stalled = link.queue.len() >= QUEUE_MAX;
                if !link.is_stalled {
                    link.queue.push_back(Delivery::Event(event));
                    break;
                }
            }
            self.shared.work.notified().await;
        }
        self.wake.notify();
    }

    /// No more publishes and acknowledgements for this connection.
    fn down(&mut self) {
        let mut link = self.shared.link();
        link.up = None;
        link.out.clear();
        link.acks.clear();
        link.under_way.clear();
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
/// Longest answer to a connection request.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Acknowledgements are encoded in portions of this size: thousands may wait.
const ACK_BYTES: usize = 16 << 10;
/// Memory for packets that wait to be sent, kept between them.
const OUT_BYTES_KEPT: usize = 64 << 10;

#[cfg(test)]
mod tests;
