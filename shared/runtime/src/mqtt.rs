//! The MQTT client, behind one small interface so that the crate below can be exchanged.
//!
//! Guarantees: reconnects for ever with bounded back-off and jitter; messages arrive in order
//! through a queue that is bounded in bytes and in number; a publish is confirmed or refused by
//! its token, and after `Disconnected` no token of before will be confirmed: offer those again.
//! Nothing is sent again behind the caller's back: each connection starts with a fresh client.
//! Messages are acknowledged only by [`MqttClient::ack`]. A message over the packet limit that
//! comes again with every connection ends in a reset of the session, which is said loudly.
//!
//! Does not keep anything over a restart and does not recognise redelivery: see `intake`.

mod session;
mod tls;
mod v4;
mod v5;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use crate::config::Secret;
use crate::source::Wake;
pub use tls::{TlsError, TlsFiles};

/// Version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    #[default]
    V4,
    /// MQTT 5.
    V5,
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
    /// The server's session is known to hold exactly these subscriptions, so that none is sent
    /// when the session is still there (subscribing again repeats retained messages).
    pub subscribed_before: bool,
    /// Bytes of payloads that may wait in the queue to the caller.
    pub queue_bytes_max: u32,
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
    /// QoS of the delivery: 0 or 1.
    pub qos: u8,
    /// Number of the connection it came with; an acknowledgement for another one is dropped.
    pub connection: u64,
}

/// What the connection has to say, in order.
#[derive(Debug)]
pub enum MqttEvent {
    /// Connected, and subscribed where that was needed.
    Connected {
        /// Whether the server still knew our session.
        session_present: bool,
    },
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
    events: mpsc::Receiver<MqttEvent>,
    space: Arc<Semaphore>,
    queue_bytes_max: u32,
    task: tokio::task::JoinHandle<()>,
}

/// What the caller's thread and the network thread share.
#[derive(Debug, Default)]
struct Shared {
    link: Mutex<Link>,
}

/// The present connection, if there is one.
#[derive(Debug, Default)]
struct Link {
    sender: Option<Sender>,
    connection: u64,
    /// Publishes handed to the client that have no packet id yet, in order.
    unsent: VecDeque<u64>,
    /// Publishes with packet id, until their acknowledgement.
    under_way: Vec<(u16, u64)>,
    /// Acknowledgements that follow the one with the packet id given first.
    acks: VecDeque<(u16, Vec<u16>)>,
}

/// The part of the client crate that takes requests, for either version.
#[derive(Debug)]
enum Sender {
    V4(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MqttClient {
    /// Starts connecting on the runtime of `handle`. `wake` is notified with every event.
    pub fn connect(options: MqttOptions, wake: Wake, handle: &Handle) -> Self {
        install_crypto();
        let shared = Arc::new(Shared::default());
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let queue_bytes_max = options.queue_bytes_max;
        let space = Arc::new(Semaphore::new(queue_bytes_max as usize));
        let session =
            session::Session::new(options, Arc::clone(&shared), sender, wake, Arc::clone(&space));
        let task = handle.spawn(session.run());
        Self { shared, events, space, queue_bytes_max, task }
    }

    /// The next event, without waiting.
    pub fn poll(&mut self) -> Option<MqttEvent> {
        let event = self.events.try_recv().ok()?;
        if let MqttEvent::Message(message) = &event {
            // A payload larger than the whole queue took all of it, and no more.
            self.space.add_permits(message.payload.len().min(self.queue_bytes_max as usize));
        }
        Some(event)
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
        if link.unsent.len() + link.under_way.len() >= window {
            return Err(NotTaken);
        }
        let taken = match &link.sender {
            Some(Sender::V4(client)) => {
                client.try_publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload).is_ok()
            }
            Some(Sender::V5(client)) => {
                let payload = Bytes::copy_from_slice(payload);
                let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
                client.try_publish(topic, qos, retain, payload).is_ok()
            }
            None => false,
        };
        if !taken {
            return Err(NotTaken);
        }
        link.unsent.push_back(token);
        Ok(())
    }

    /// Acknowledges messages of one connection, in order of receipt. Does nothing when that
    /// connection is gone: the server will deliver those messages again.
    pub fn ack(&self, connection: u64, packet_ids: &[u16]) {
        let mut link = self.shared.link();
        let Some((first, rest)) = packet_ids.split_first() else { return };
        if link.connection != connection {
            return;
        }
        match &link.sender {
            Some(Sender::V4(client)) if v4::ack(client, *first) => {
                link.acks.push_back((*first, rest.to_vec()));
            }
            Some(Sender::V5(client)) => {
                for packet_id in packet_ids {
                    v5::ack(client, *packet_id);
                }
            }
            Some(Sender::V4(_)) | None => {}
        }
    }

    /// Whether a connection is up.
    pub fn is_connected(&self) -> bool {
        self.shared.link().sender.is_some()
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

/// Events that may wait for the caller; messages are bounded in bytes besides.
const EVENTS_MAX: usize = 4096;

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
