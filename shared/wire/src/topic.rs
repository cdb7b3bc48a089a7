//! Topics: where each kind of message goes.
//!
//! Guarantees: names in topics are checked, so a topic has exactly the levels shown. Does not
//! subscribe.

use alloc::format;
use alloc::string::String;

use crate::ident::{AgentId, InvalidName, check_name};

/// What an agent sends on one of its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpKind {
    /// Frames.
    Frame,
    /// `UpMessage`s.
    Hello,
}

/// Topics of one fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    root: String,
}

impl Topics {
    /// Topics of a fleet: `headwater/v1/<fleet>/…`.
    ///
    /// # Errors
    /// `InvalidName` for what is not `[A-Za-z0-9_-]{1,64}`.
    pub fn new(fleet: &str) -> Result<Self, InvalidName> {
        check_name(fleet)?;
        Ok(Self { root: format!("headwater/v1/{fleet}") })
    }

    /// Frames of an agent.
    #[must_use]
    pub fn frame(&self, agent: &AgentId) -> String {
        format!("{}/up/{agent}/frame", self.root)
    }

    /// Hello, heartbeat and declared losses of an agent.
    #[must_use]
    pub fn hello(&self, agent: &AgentId) -> String {
        format!("{}/up/{agent}/hello", self.root)
    }

    /// Acknowledgements to an agent (retained).
    #[must_use]
    pub fn ack(&self, agent: &AgentId) -> String {
        format!("{}/down/{agent}/ack", self.root)
    }

    /// Control messages to an agent.
    #[must_use]
    pub fn control(&self, agent: &AgentId) -> String {
        format!("{}/down/{agent}/control", self.root)
    }

    /// Filter for the frames of all agents.
    #[must_use]
    pub fn all_frames(&self) -> String {
        format!("{}/up/+/frame", self.root)
    }

    /// Filter for the hellos of all agents.
    #[must_use]
    pub fn all_hellos(&self) -> String {
        format!("{}/up/+/hello", self.root)
    }

    /// Who sends what on an upward topic of this fleet; `None` for any other topic.
    #[must_use]
    pub fn parse_up(&self, topic: &str) -> Option<(AgentId, UpKind)> {
        let rest = topic.strip_prefix(&self.root)?.strip_prefix("/up/")?;
        let (agent, kind) = rest.split_once('/')?;
        let kind = match kind {
            "frame" => UpKind::Frame,
            "hello" => UpKind::Hello,
            _ => return None,
        };
        Some((agent.parse().ok()?, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_name_their_sender() {
        let topics = Topics::new("plant-7").unwrap();
        let agent: AgentId = "gw_1".parse().unwrap();
        assert_eq!(topics.frame(&agent), "headwater/v1/plant-7/up/gw_1/frame");
        assert_eq!(topics.control(&agent), "headwater/v1/plant-7/down/gw_1/control");
        assert_eq!(topics.parse_up(&topics.frame(&agent)), Some((agent.clone(), UpKind::Frame)));
        assert_eq!(topics.parse_up(&topics.hello(&agent)), Some((agent.clone(), UpKind::Hello)));
        for other in [
            topics.ack(&agent),
            "headwater/v1/plant-70/up/gw_1/frame".into(),
            "headwater/v1/plant-7/up//frame".into(),
            "headwater/v1/plant-7/up/gw_1/frame/x".into(),
        ] {
            assert_eq!(topics.parse_up(&other), None, "{other}");
        }
        assert!(Topics::new("a/b").is_err());
    }
}
