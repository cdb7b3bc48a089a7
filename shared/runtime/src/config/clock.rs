//! `[clock]`: whether the wall clock is believed, and what becomes of rows until then.

use serde::Deserialize;

use super::units::{Bytes, Span};
use crate::clock::{Rules, Trust};

/// How the wall clock of a gateway is judged.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ClockConfig {
    /// Whose word makes it right.
    pub trust: ClockTrust,
    /// A doubtful clock is believed when it has stood for this time.
    pub settle: Span,
    /// What becomes of rows that get their time here, until it is known.
    pub untrusted: Untrusted,
    /// Bytes of rows that wait for it; then their sources wait.
    pub hold_bytes: Bytes,
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self {
            trust: ClockTrust::Auto,
            settle: Span::from_secs(600),
            untrusted: Untrusted::Hold,
            hold_bytes: Bytes(4 << 20),
        }
    }
}

impl ClockConfig {
    /// The same for the judge.
    pub fn rules(&self) -> Rules {
        Rules {
            trust: match self.trust {
                ClockTrust::Auto => Trust::Auto,
                ClockTrust::Ntp => Trust::Ntp,
                ClockTrust::Plausible => Trust::Plausible,
                ClockTrust::Always => Trust::Always,
            },
            settle_ms: self.settle.ms(),
            estimates: self.untrusted == Untrusted::Estimate,
            hold_bytes_max: usize::try_from(self.hold_bytes.0).unwrap_or(usize::MAX),
        }
    }
}

/// Whose word makes a wall clock right.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ClockTrust {
    /// A time daemon's where one was ever seen, for a while; else the clock's own.
    #[default]
    Auto,
    /// A time daemon's only.
    Ntp,
    /// Its own, within what is known.
    Plausible,
    /// Its own, whatever it says.
    Always,
}

/// What becomes of rows whose time is not known yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Untrusted {
    /// They wait, and get their true time.
    #[default]
    Hold,
    /// They go on with a time that goes on from the last one known.
    Estimate,
}
