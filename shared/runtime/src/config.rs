//! Node configuration: `agent.toml` and `aggregator.toml`.
//!
//! Guarantees: an unknown key, a wrong type or a value out of range is an error with file, line,
//! column, the source line and a remedy; times and sizes always carry a unit; a [`Secret`] is
//! never printed. Does not open sockets and reads no other file than the ones named.

mod clock;
mod diagnostic;
mod secret;
mod template;
mod units;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer};

use crate::agent::FlashLimits;
pub use clock::{ClockConfig, ClockTrust, Untrusted};
pub use diagnostic::{ConfigError, did_you_mean};
pub use secret::{Secret, SecretError, Secrets, expand_vars};
pub use template::{agent_template, aggregator_template};
pub use units::{Bytes, FlashBudget, Span, parse_bytes, parse_duration};

/// Name of a node or fleet: 1 to 64 of `A-Z a-z 0-9 _ -`; it is part of topics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(String);

impl NodeId {
    /// Checks the text.
    pub fn new(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(format!("'{text}' is no valid name: use 1 to 64 of A-Z, a-z, 0-9, _ and -"))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// `agent.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgentConfig {
    /// Name of this agent, unique in its fleet.
    pub id: NodeId,
    /// Fleet it belongs to.
    #[serde(default = "default_fleet")]
    pub fleet: NodeId,
    /// Directory that holds state, outbox and identity.
    pub state_dir: PathBuf,
    /// What may be written to the medium in a day.
    #[serde(default)]
    pub flash_budget: FlashBudget,
    /// Connection to the broker that carries frames; absent for an agent that runs alone.
    pub uplink: Option<AgentUplink>,
    /// When to take checkpoints.
    #[serde(default)]
    pub checkpoint: AgentCheckpoint,
    /// Bounds of the outbox.
    #[serde(default)]
    pub outbox: Outbox,
    /// How the wall clock is judged.
    #[serde(default)]
    pub clock: ClockConfig,
    /// Bounds of what is read and kept.
    #[serde(default)]
    pub limits: Limits,
    /// Metrics and health.
    #[serde(default)]
    pub http: Http,
    /// Logging.
    #[serde(default)]
    pub log: Log,
    /// Values of `${name}` in the pipeline.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// Files that hold the values of `${secret:name}`.
    #[serde(default)]
    pub secrets: BTreeMap<String, PathBuf>,
}

/// `aggregator.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AggregatorConfig {
    /// Name of this aggregator.
    pub id: NodeId,
    /// Fleet whose agents it serves.
    #[serde(default = "default_fleet")]
    pub fleet: NodeId,
    /// Directory that holds state and ledger.
    pub state_dir: PathBuf,
    /// Agents whose data the watermark waits for even before they are heard the first time.
    #[serde(default)]
    pub agents: Vec<NodeId>,
    /// Connection to the broker that carries frames.
    pub uplink: AggregatorUplink,
    /// When to take checkpoints.
    #[serde(default)]
    pub checkpoint: Checkpoint,
    /// Bounds of what is read and kept.
    #[serde(default)]
    pub limits: Limits,
    /// Metrics and health.
    #[serde(default)]
    pub http: Http,
    /// Logging.
    #[serde(default)]
    pub log: Log,
    /// Values of `${name}` in the pipeline.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// Files that hold the values of `${secret:name}`.
    #[serde(default)]
    pub secrets: BTreeMap<String, PathBuf>,
}

/// How an agent reaches the broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AgentUplink {
    /// `mqtt://host:port` or `mqtts://host:port`.
    pub broker: String,
    /// Version of MQTT.
    #[serde(default)]
    pub version: MqttVersion,
    /// User name.
    pub user: Option<String>,
    /// Password, usually `${secret:name}`.
    pub password: Option<String>,
    /// TLS files; only with `mqtts://`.
    pub tls: Option<Tls>,
    /// Frames under way at a time.
    #[serde(default = "default_window")]
    pub window: u16,
    /// Frames that are not acknowledged for this long are sent again.
    #[serde(default = "default_resend")]
    pub resend_after: Span,
    /// Keep-alive of the connection.
    #[serde(default = "default_keep_alive")]
    pub keep_alive: Span,
}

/// How an aggregator reaches the broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AggregatorUplink {
    /// `mqtt://host:port` or `mqtts://host:port`.
    pub broker: String,
    /// Version of MQTT.
    #[serde(default)]
    pub version: MqttVersion,
    /// User name.
    pub user: Option<String>,
    /// Password, usually `${secret:name}`.
    pub password: Option<String>,
    /// TLS files; only with `mqtts://`.
    pub tls: Option<Tls>,
    /// An agent that says nothing for this long no longer holds back the watermark.
    #[serde(default = "default_idle")]
    pub idle_timeout: Span,
    /// How long partials are kept so that results can be corrected.
    #[serde(default = "default_horizon")]
    pub correction_horizon: Span,
    /// Keep-alive of the connection.
    #[serde(default = "default_keep_alive")]
    pub keep_alive: Span,
}

/// Version of MQTT in a configuration.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum MqttVersion {
    /// MQTT 3.1.1: less CPU a publish.
    #[default]
    #[serde(rename = "3.1.1")]
    V4,
    /// MQTT 5: reasons with refusals.
    #[serde(rename = "5")]
    V5,
}

/// Files for TLS, in PEM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// Certificates that may sign the server's one; the system's if absent.
    pub ca: Option<PathBuf>,
    /// Certificate chain of this node.
    pub cert: Option<PathBuf>,
    /// Private key of this node.
    pub key: Option<PathBuf>,
}

/// When checkpoints are taken.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Checkpoint {
    /// Longest time between two.
    pub interval: Span,
    /// Changed state that makes one earlier.
    pub dirty_bytes: Bytes,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { interval: Span::from_secs(10), dirty_bytes: Bytes(1 << 20) }
    }
}

/// When an agent takes checkpoints.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AgentCheckpoint {
    /// Longest time between two while the flash budget allows it.
    pub interval: Span,
    /// Longest time between two for the sake of the flash budget.
    pub interval_max: Span,
    /// Changed state that makes one earlier.
    pub dirty_bytes: Bytes,
}

impl Default for AgentCheckpoint {
    fn default() -> Self {
        let Checkpoint { interval, dirty_bytes } = Checkpoint::default();
        Self { interval, interval_max: Span::from_secs(300), dirty_bytes }
    }
}

/// Bounds of the outbox.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Outbox {
    /// Bytes that unacknowledged frames may take on the disk.
    pub quota: Bytes,
    /// What happens when they do.
    pub policy: OutboxPolicy,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { quota: Bytes(256 << 20), policy: OutboxPolicy::Pause }
    }
}

/// What happens when the outbox is full.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum OutboxPolicy {
    /// Sources are paused; nothing is lost here.
    #[default]
    Pause,
    /// The oldest frames go; the loss is counted and declared to the aggregator.
    DropOldest,
    /// New frames are not kept; the loss is counted and declared to the aggregator.
    DropNewest,
    /// Partials of neighbouring windows are added up, as `headwater.coarsen` of the pipeline says.
    Coarsen,
}

/// Bounds of what is read and kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Limits {
    /// Largest payload or line; a larger one becomes a dead letter.
    pub payload_bytes_max: Bytes,
    /// Memory that operators may take; `check` refuses a pipeline whose ceiling is higher.
    pub memory: Bytes,
    /// Memory of the cache of the state file.
    pub state_cache: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes_max: Bytes(256 << 10),
            memory: Bytes(128 << 20),
            state_cache: Bytes(2 << 20),
        }
    }
}

/// Metrics and health over HTTP.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Http {
    /// Whether to listen at all.
    pub enabled: bool,
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Allows an address other than loopback.
    pub public: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from(([127, 0, 0, 1], 0)), public: false }
    }
}

/// Logging to standard error.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Log {
    /// Least severe level written.
    pub level: LogLevel,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Data lost or a person is needed.
    Error,
    /// Recovered by itself.
    Warn,
    /// Life-cycle.
    #[default]
    Info,
    /// For finding faults.
    Debug,
    /// Every row.
    Trace,
}

impl AgentConfig {
    /// The flash budget, and how far it may stretch the time between checkpoints.
    pub(crate) fn flash_limits(&self) -> FlashLimits {
        FlashLimits {
            bytes_per_day: self.flash_budget.bytes_per_day(),
            interval_max_ms: self.checkpoint.interval_max.ms(),
        }
    }

    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::file(path, &error))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Checks a text; `file` is the name used in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let config: Self = parse(file, text)?;
        if let Some(uplink) = &config.uplink {
            check_broker(file, text, &uplink.broker, uplink.tls.as_ref(), uplink.keep_alive)?;
            if uplink.window == 0 {
                return Err(ConfigError::at_key(file, text, "window", "must be at least 1"));
            }
        }
        let AgentCheckpoint { interval, interval_max, .. } = config.checkpoint;
        if interval_max < interval {
            let reason = "must not be shorter than interval";
            return Err(ConfigError::at_key(file, text, "interval-max", reason));
        }
        if !(1..=1 << 30).contains(&config.clock.hold_bytes.0) {
            let reason = "must be between 1B and 1GiB";
            return Err(ConfigError::at_key(file, text, "hold-bytes", reason));
        }
        check_common(file, text, &config.http, &config.limits)?;
        Ok(config)
    }
}

impl AggregatorConfig {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::file(path, &error))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Checks a text; `file` is the name used in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let config: Self = parse(file, text)?;
        let uplink = &config.uplink;
        check_broker(file, text, &uplink.broker, uplink.tls.as_ref(), uplink.keep_alive)?;
        check_common(file, text, &config.http, &config.limits)?;
        Ok(config)
    }
}

fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::toml(file, text, &error))
}

fn check_broker(
    file: &str,
    text: &str,
    broker: &str,
    tls: Option<&Tls>,
    keep_alive: Span,
) -> Result<(), ConfigError> {
    let at = |key: &str, reason: &str| ConfigError::at_key(file, text, key, reason);
    let (_, _, secure) =
        crate::mqtt::MqttOptions::parse_url(broker).map_err(|reason| at("broker", &reason))?;
    if let Some(tls) = tls {
        if !secure {
            return Err(at("broker", "has TLS files but is no mqtts:// URL"));
        }
        if tls.cert.is_some() != tls.key.is_some() {
            return Err(at(
                if tls.cert.is_some() { "cert" } else { "key" },
                "needs its partner: \
                 a client certificate is given by both 'cert' and 'key'",
            ));
        }
    }
    if keep_alive < Span::from_secs(5) || keep_alive > Span::from_secs(18 * 3600) {
        return Err(at("keep-alive", "must be between 5s and 18h"));
    }
    Ok(())
}

fn check_common(file: &str, text: &str, http: &Http, limits: &Limits) -> Result<(), ConfigError> {
    if !http.listen.ip().is_loopback() && !http.public {
        let reason = "is not a loopback address; set 'public = true' to allow that";
        return Err(ConfigError::at_key(file, text, "listen", reason));
    }
    if limits.payload_bytes_max.0 == 0 || limits.payload_bytes_max.0 > 64 << 20 {
        let reason = "must be between 1B and 64MiB";
        return Err(ConfigError::at_key(file, text, "payload-bytes-max", reason));
    }
    Ok(())
}

fn default_fleet() -> NodeId {
    NodeId("default".into())
}

fn default_window() -> u16 {
    32
}

fn default_resend() -> Span {
    Span::from_secs(30)
}

fn default_keep_alive() -> Span {
    Span::from_secs(30)
}

fn default_idle() -> Span {
    Span::from_secs(60)
}

fn default_horizon() -> Span {
    Span::from_secs(7 * 24 * 3600)
}

#[cfg(test)]
mod tests;
