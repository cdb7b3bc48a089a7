//! The MQTT client: a connection of our own over the packet codec of `rumqttc`.
//!
//! Guarantees: reconnects for ever with bounded back-off and jitter; messages arrive in order
//! through a queue that is bounded in bytes and in number; a publish is confirmed or refused by
//! its token, and after `Disconnected` no token of before will be confirmed: offer those again.
//! Nothing is sent again behind the caller's back: each connection starts with nothing.
//! Messages and acknowledgements move in batches: one step between the threads and one system
//! call for as many as there are, no allocation for each.
//! Messages are acknowledged only by [`MqttClient::ack`]. A message over the packet limit that
//! comes again with every connection ends in a reset of the session, which is said loudly.
//!
//! Does not keep anything over a restart and does not recognise redelivery: see `intake`.

mod connection;
pub(crate) mod pace;
mod packet;
mod parcel;
mod session;
mod tls;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::config::Secret;
use crate::source::Wake;
use packet::Up;
pub use parcel::{Entry, Parcel};
pub use tls::{TlsError, TlsFiles};

/// Version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    #[default]
    V4,
    /// MQTT 5.
    V5,
    /// MQTT 5 where the server speaks it, otherwise 3.1.1.
    Auto,
}

/// Everything a connection needs.
#[derive(Clone, Debug)]
pub struct MqttOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Version of the protocol.
    pub version: Version,
    /// TLS, if the URL asked for it.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Client id; the server keeps the session under it.
    pub client_id: String,
    /// User and password.
    pub user: Option<(String, Secret)>,
    /// Keep-alive, at least 5 s; a silent server is given up after 1.5 times this.
    pub keep_alive: Duration,
    /// Whether the server keeps subscriptions and unacknowledged messages while we are away.
    pub persistent: bool,
    /// How long the server keeps them (MQTT 5), seconds.
    pub session_expiry_s: u32,
    /// Largest packet accepted, bytes; set it well above the largest payload.
    pub packet_bytes_max: u32,
    /// Unacknowledged messages that we let the server have under way (MQTT 5).
    pub receive_max: u16,
    /// Publishes under way to the server at a time.
    pub publish_window: u16,
    /// Topic filters, all at QoS 1 unless `subscribe_qos0`.
    pub subscriptions: Vec<String>,
    /// Subscribe at QoS 0.
    pub subscribe_qos0: bool,
    /// The server's session is known to hold exactly these subscriptions, so that none is sent in
    /// MQTT 3.1.1 when the session is still there (subscribing again repeats retained messages).
    pub subscribed_before: bool,
    /// Bytes of messages that may wait in the queue to the caller.
    pub queue_bytes_max: u32,
    /// How long messages may gather at the socket before they are read and handed over: each
    /// step costs a switch of threads, which is far more than a message does.
    pub gather: Duration,
}

impl MqttOptions {
    /// Options for `host` with the defaults of this project.
    pub fn new(client_id: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            version: Version::V4,
            tls: None,
            client_id: client_id.into(),
            user: None,
            keep_alive: Duration::from_secs(30),
            persistent: true,
            session_expiry_s: 7 * 24 * 3600,
            packet_bytes_max: 1 << 20,
            receive_max: u16::MAX,
            publish_window: 32,
            subscriptions: Vec::new(),
            subscribe_qos0: false,
            subscribed_before: false,
            queue_bytes_max: 4 << 20,
            gather: Duration::ZERO,
        }
    }

    /// Reads `mqtt://host:port` or `mqtts://host:port` into host, port and whether TLS is on.
    pub fn parse_url(url: &str) -> Result<(String, u16, bool), String> {
        let (rest, tls) = if let Some(rest) =
            url.strip_prefix("mqtt://").or_else(|| url.strip_prefix("tcp://"))
        {
            (rest, false)
        } else if let Some(rest) =
            url.strip_prefix("mqtts://").or_else(|| url.strip_prefix("ssl://"))
        {
            (rest, true)
        } else {
            return Err(format!("'{url}' does not start with mqtt:// or mqtts://"));
        };
        let rest = rest.trim_end_matches('/');
        if rest.contains('@') {
            return Err("user and password do not belong into the URL".into());
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().map_err(|_| format!("'{port}' is no port number"))?;
                (host, port)
            }
            _ => (rest, if tls { 8883 } else { 1883 }),
        };
        if host.is_empty() || host.contains('/') {
            return Err(format!("'{url}' names no host"));
        }
        Ok((host.trim_matches(['[', ']']).into(), port, tls))
    }
}

/// One received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topic it was published on.
    pub topic: String,
    /// Payload.
    pub payload: Bytes,
    /// Packet id; 0 at QoS 0.
    pub packet_id: u16,
    /// The server says that it may have sent this message before.
    pub dup: bool,
    /// Number of the connection it came with; an acknowledgement for another one is dropped.
    pub connection: u64,
}

/// What the connection has to say, in order.
#[derive(Debug)]
pub enum MqttEvent {
    /// Connected.
    Connected {
        /// Whether the server still knew our session.
        session_present: bool,
    },
    /// The server has the subscriptions of this connection: nothing that is published from now
    /// on passes by.
    Subscribed,
    /// The connection is gone or could not be made; it is tried again.
    Disconnected {
        /// Why.
        error: String,
        /// When it is tried again, in ms from now.
        retry_ms: u64,
    },
    /// A message.
    Message(Message),
    /// The server has the publish with this token.
    Confirmed {
        /// The caller's token.
        token: u64,
    },
    /// The server does not take the publish with this token (MQTT 5).
    Refused {
        /// The caller's token.
        token: u64,
        /// The server's reason.
        reason: String,
    },
    /// The server's session was thrown away because a message over the packet limit blocked
    /// it. Whatever the server had queued for us is lost: a gap.
    SessionReset {
        /// What happened.
        reason: String,
    },
}

/// A publish that was not taken: no connection, or the window is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not connected or window full")]
pub struct NotTaken;

/// Handle to a connection that lives on the network thread. Dropping it closes the connection.
#[derive(Debug)]
pub struct MqttClient {
    shared: Arc<Shared>,
    /// A parcel that [`MqttClient::poll`] hands out message by message, and the next one.
    open: Option<(Parcel, usize)>,
    task: tokio::task::JoinHandle<()>,
}

/// What the caller takes in one step.
#[derive(Debug)]
pub enum Delivery {
    /// Messages that arrived together; give it back by [`MqttClient::recycle`].
    Parcel(Parcel),
    /// Anything else.
    Event(MqttEvent),
}

/// What the caller's thread and the network thread share.
#[derive(Debug, Default)]
struct Shared {
    link: Mutex<Link>,
    /// The caller has written something, or has made room in the queue.
    work: Notify,
    /// The caller waits for messages: do not gather them.
    is_hurried: AtomicBool,
}

/// Both queues, and the present connection if there is one.
#[derive(Debug, Default)]
struct Link {
    /// Encoded packets that wait to be sent over the present connection.
    out: Vec<u8>,
    /// Messages to acknowledge: first packet id and how many follow it, itself included.
    acks: VecDeque<(u16, u16)>,
    up: Option<Up>,
    connection: u64,
    version: Version,
    /// Publishes under way, until their acknowledgement: packet id and token.
    under_way: VecDeque<(u16, u64)>,
    last_id: u16,
    /// What waits for the caller.
    queue: VecDeque<Delivery>,
    queued_bytes: usize,
    /// The network thread waits for room in the queue.
    is_stalled: bool,
    spare: Vec<Parcel>,
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// A packet id above the subscription's that is not under way.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(0).max(packet::SUBSCRIBE_ID + 1);
            if !self.under_way.iter().any(|(id, _)| *id == self.last_id) {
                return self.last_id;
            }
        }
    }
}

impl MqttClient {
    /// Starts connecting on the runtime of `handle`. `wake` is notified with every event.
    pub fn connect(options: MqttOptions, wake: Wake, handle: &Handle) -> Self {
        install_crypto();
        let shared = Arc::new(Shared::default());
        let session = session::Session::new(options, Arc::clone(&shared), wake);
        let task = handle.spawn(session.run());
        Self { shared, open: None, task }
    }

    /// The next event, without waiting; messages one at a time.
    pub fn poll(&mut self) -> Option<MqttEvent> {
        loop {
            if let Some((parcel, next)) = &mut self.open {
                if let Some(entry) = parcel.entries.get(*next) {
                    *next += 1;
                    return Some(MqttEvent::Message(Message {
                        topic: parcel.topic(entry).to_owned(),
                        payload: Bytes::copy_from_slice(parcel.text(entry.payload)),
                        packet_id: entry.packet_id,
                        dup: entry.dup,
                        connection: parcel.connection,
                    }));
                }
                if let Some((parcel, _)) = self.open.take() {
                    self.recycle(parcel);
                }
            }
            match self.take()? {
                Delivery::Parcel(parcel) => self.open = Some((parcel, 0)),
                Delivery::Event(event) => return Some(event),
            }
        }
    }

    /// The next event, without waiting; messages as they arrived together.
    pub fn take(&mut self) -> Option<Delivery> {
        let mut link = self.shared.link();
        let delivery = link.queue.pop_front()?;
        if let Delivery::Parcel(parcel) = &delivery {
            link.queued_bytes -= parcel.bytes.len();
        }
        if std::mem::take(&mut link.is_stalled) {
            self.shared.work.notify_one();
        }
        Some(delivery)
    }

    /// Gives the memory of a parcel back.
    pub fn recycle(&mut self, mut parcel: Parcel) {
        parcel.clear();
        let mut link = self.shared.link();
        if link.spare.len() < SPARE_MAX {
            link.spare.push(parcel);
        }
    }

    /// Publishes at QoS 1; `token` comes back in `Confirmed` or `Refused`.
    pub fn publish(
        &self,
        topic: &str,
        payload: &[u8],
        retain: bool,
        token: u64,
        window: usize,
    ) -> Result<(), NotTaken> {
        let mut link = self.shared.link();
        let Some(up) = link.up else { return Err(NotTaken) };
        let version = link.version;
        let window = window.min(usize::from(up.receive_max)).min(UNDER_WAY_MAX);
        if link.under_way.len() >= window {
            return Err(NotTaken);
        }
        let length = packet::publish_len(version, topic, payload);
        let packet_id = link.next_id();
        let fits = u32::try_from(length).is_ok_and(|length| length <= up.packet_bytes_max);
        if !fits || !packet::publish(version, (topic, payload), retain, packet_id, &mut link.out) {
            let reason = format!("a message of {length} bytes is over the server's limit");
            link.queue.push_back(Delivery::Event(MqttEvent::Refused { token, reason }));
            return Ok(());
        }
        link.under_way.push_back((packet_id, token));
        drop(link);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Acknowledges `count` messages of one connection whose packet ids follow each other, in
    /// order of receipt. Does nothing when that connection is gone: the server will deliver those
    /// messages again.
    pub fn ack(&self, connection: u64, first_id: u16, count: u16) {
        let mut link = self.shared.link();
        // At QoS 0 there is nothing to acknowledge.
        if link.connection != connection || link.up.is_none() || first_id == 0 || count == 0 {
            return;
        }
        link.acks.push_back((first_id, count));
        drop(link);
        self.shared.work.notify_one();
    }

    /// Whether messages should be handed over at once instead of gathered for some ms: the
    /// server waits for their acknowledgement before it sends more.
    pub fn set_hurried(&self, is_hurried: bool) {
        self.shared.is_hurried.store(is_hurried, Ordering::Relaxed);
    }

    /// Whether a connection is up.
    pub fn is_connected(&self) -> bool {
        self.shared.link().up.is_some()
    }
}

impl Drop for MqttClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Chooses `ring` for the whole process, once.
fn install_crypto() {
    // An error says that it was chosen before: that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Parcels and events that may wait for the caller; messages are bounded in bytes besides.
const QUEUE_MAX: usize = 4096;
/// Parcels whose memory is kept for the next ones.
const SPARE_MAX: usize = 2;
/// Publishes under way, whatever a caller asks for: each of them is looked through.
const UNDER_WAY_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let parse = MqttOptions::parse_url;
        assert_eq!(parse("mqtt://localhost"), Ok(("localhost".into(), 1883, false)));
        assert_eq!(parse("mqtts://b.example:8884/"), Ok(("b.example".into(), 8884, true)));
        assert_eq!(parse("mqtt://[::1]:1900"), Ok(("::1".into(), 1900, false)));
        assert_eq!(parse("mqtt://[::1]"), Ok(("::1".into(), 1883, false)));
        assert!(parse("http://x").is_err());
        assert!(parse("mqtt://").is_err());
        assert!(parse("mqtt://u:p@x").is_err());
        assert!(parse("mqtt://x:99999").is_err());
    }
}
