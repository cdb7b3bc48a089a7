//! The MQTT connection between agents and the core, seen from either end.

use std::sync::Arc;
use std::time::Duration;

use headwater_store::Store;
use headwater_wire::Topics;
use tokio::runtime::Handle;

use super::RunError;
use super::refusals::Refusals;
use crate::agent::{Agent, Now, Post, PostError};
use crate::config::{AgentUplink, AggregatorUplink, MqttVersion, Secrets, Tls};
use crate::metrics::{Counter, Registry};
use crate::mqtt::{MqttClient, MqttEvent, MqttOptions, TlsFiles, Version};
use crate::source::Wake;

/// What is published, by its number in [`Refusals`].
const HELLO: usize = 0;
const FRAME: usize = 1;
/// Bytes of frames read from the store at a time.
const READ_BYTES: usize = 1 << 20;

/// What both ends configure in the same way.
pub(super) struct Endpoint<'a> {
    pub(super) broker: &'a str,
    pub(super) version: MqttVersion,
    pub(super) user: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    pub(super) tls: Option<&'a Tls>,
    pub(super) keep_alive: Duration,
}

impl<'a> From<&'a AgentUplink> for Endpoint<'a> {
    fn from(uplink: &'a AgentUplink) -> Self {
        Endpoint {
            broker: &uplink.broker,
            version: uplink.version,
            user: uplink.user.as_deref(),
            password: uplink.password.as_deref(),
            tls: uplink.tls.as_ref(),
            keep_alive: uplink.keep_alive.duration(),
        }
    }
}

impl<'a> From<&'a AggregatorUplink> for Endpoint<'a> {
    fn from(uplink: &'a AggregatorUplink) -> Self {
        Endpoint {
            broker: &uplink.broker,
            version: uplink.version,
            user: uplink.user.as_deref(),
            password: uplink.password.as_deref(),
            tls: uplink.tls.as_ref(),
            keep_alive: uplink.keep_alive.duration(),
        }
    }
}

impl Endpoint<'_> {
    /// Connection options of this endpoint.
    pub(super) fn options(
        &self,
        client_id: String,
        secrets: &Secrets,
    ) -> Result<MqttOptions, RunError> {
        let bad = |what: &str, problem: &dyn std::fmt::Display| {
            RunError::Config(format!("[uplink] {what}: {problem}"))
        };
        let (host, port, is_tls) =
            MqttOptions::parse_url(self.broker).map_err(|problem| bad("broker", &problem))?;
        let mut options = MqttOptions::new(client_id, host, port);
        options.version = match self.version {
            MqttVersion::V4 => Version::V4,
            MqttVersion::V5 => Version::V5,
        };
        options.keep_alive = self.keep_alive;
        if let Some(user) = self.user {
            let password = secrets.expand(self.password.unwrap_or_default());
            let password = password.map_err(|error| bad("password", &error))?;
            options.user = Some((user.to_owned(), password));
        }
        if is_tls {
            options.tls = Some(client_config(self.tls)?);
        }
        Ok(options)
    }
}

/// The TLS of a connection with these files.
pub(super) fn client_config(tls: Option<&Tls>) -> Result<Arc<rustls::ClientConfig>, RunError> {
    let config = tls_files(tls)?.client_config();
    config.map_err(|error| RunError::Config(format!("[uplink.tls] {}: {error}", error.file)))
}

fn tls_files(tls: Option<&Tls>) -> Result<TlsFiles, RunError> {
    let Some(tls) = tls else { return Ok(TlsFiles::default()) };
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path)
            .map_err(|error| RunError::Config(format!("[uplink.tls] {}: {error}", path.display())))
    };
    let client = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let text = String::from_utf8(read(key)?)
                .map_err(|_| RunError::Config("[uplink.tls] key: not in PEM".into()))?;
            Some((read(cert)?, crate::config::Secret::new(text)))
        }
        _ => None,
    };
    Ok(TlsFiles { ca: tls.ca.as_ref().map(read).transpose()?, client })
}

/// The agent's end.
pub(super) struct AgentLink {
    client: MqttClient,
    topics: Topics,
    window: usize,
    refusals: Refusals,
    bytes_sent: Counter,
    frames_sent: Counter,
}

impl AgentLink {
    pub(super) fn open(
        uplink: &AgentUplink,
        fleet: &str,
        agent: &Agent,
        secrets: &Secrets,
        registry: &Registry,
        (wake, handle): (&Wake, &Handle),
    ) -> Result<Self, RunError> {
        let topics = Topics::new(fleet).map_err(|e| RunError::Config(format!("fleet: {e}")))?;
        let id = &agent.settings().id;
        let client_id = super::wiring::client_id(id.as_str(), "uplink");
        let mut options = Endpoint::from(uplink).options(client_id, secrets)?;
        options.publish_window = uplink.window;
        options.subscriptions = vec![topics.ack(id), topics.control(id)];
        let sent = "Bytes of frames handed to the uplink, repeats included.";
        Ok(AgentLink {
            client: MqttClient::connect(options, wake.clone(), handle),
            topics,
            window: usize::from(uplink.window),
            refusals: Refusals::new(registry, ["uplink hello", "uplink frames"]),
            bytes_sent: registry.counter("headwater_uplink_bytes_total", sent, &[]),
            frames_sent: registry.counter(
                "headwater_uplink_frames_total",
                "Frames handed to the uplink, repeats included.",
                &[],
            ),
        })
    }

    /// Takes what arrived and sends what is due. `store` holds the frames.
    pub(super) fn pump(
        &mut self,
        agent: &mut Agent,
        store: &Store,
        registry: &Registry,
        now: Now,
    ) -> Result<(), RunError> {
        let ack_topic = self.topics.ack(&agent.settings().id);
        while let Some(event) = self.client.poll() {
            match event {
                MqttEvent::Connected { .. } => {
                    registry.well("uplink");
                    agent.connected(now);
                }
                MqttEvent::Disconnected { error, .. } => {
                    registry.unwell("uplink", &error);
                    agent.disconnected();
                }
                MqttEvent::Message(message) => {
                    if message.topic == ack_topic {
                        agent.ack_received(&message.payload, now);
                    } else {
                        agent.control_received(&message.payload, now);
                    }
                    // What the core says it says again: nothing depends on this message.
                    self.client.ack(message.connection, message.packet_id, 1);
                }
                MqttEvent::Refused { token, reason } => self.refusals.refused(token, &reason),
                MqttEvent::Confirmed { token } => self.refusals.confirmed(token),
                MqttEvent::Subscribed | MqttEvent::SessionReset { .. } => {}
            }
        }
        match agent.link_problem() {
            Some(problem) => registry.unwell("core", problem),
            None => registry.well("core"),
        }
        self.send(agent, store, now)
    }

    fn send(&mut self, agent: &mut Agent, store: &Store, now: Now) -> Result<(), RunError> {
        if !self.client.is_connected() {
            return Ok(());
        }
        let hello = self.topics.hello(&agent.settings().id);
        let frame = self.topics.frame(&agent.settings().id);
        let mut read = |channel, seq| store.snapshot()?.outbox(channel, seq, READ_BYTES);
        let mut publish = |post, bytes: &[u8]| {
            // Messages do not wait behind frames: the window is for those.
            let (topic, kind, window) = match post {
                Post::Message => (&hello, HELLO, usize::MAX),
                Post::Frame => (&frame, FRAME, self.window),
            };
            let token = self.refusals.token(kind);
            let is_sent = self.client.publish(topic, bytes, false, token, window).is_ok();
            if is_sent && post == Post::Frame {
                self.bytes_sent.add(bytes.len() as u64);
                self.frames_sent.add(1);
            }
            is_sent
        };
        agent.post(now, &mut read, &mut publish).map_err(|error| match error {
            PostError::Read(error) => RunError::State(error),
            other => RunError::Failed(other.to_string()),
        })
    }
}
