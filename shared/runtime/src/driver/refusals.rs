//! Publishes that a broker does not take (MQTT 5 says so in its acknowledgement).
//!
//! Guarantees: a refusal is counted and shown in health until the broker takes a publish of that
//! kind. Sends nothing again: what is refused counts as not acknowledged, and that is repeated
//! with back-off by whoever keeps it.

use crate::metrics::{Counter, Registry};

/// Refusals of the two kinds of publishes of one connection.
pub(super) struct Refusals {
    registry: Registry,
    /// Component of each kind, as health shows it.
    kinds: [&'static str; 2],
    is_refused: [bool; 2],
    refused: Counter,
    token: u64,
}

impl Refusals {
    pub(super) fn new(registry: &Registry, kinds: [&'static str; 2]) -> Self {
        let help = "Publishes that the broker of the uplink refused.";
        let refused = registry.counter("headwater_uplink_refused_total", help, &[]);
        Refusals { registry: registry.clone(), kinds, is_refused: [false; 2], refused, token: 0 }
    }

    /// A new token for a publish of kind 0 or 1.
    pub(super) fn token(&mut self, kind: usize) -> u64 {
        self.token += 2;
        self.token + u64::from(kind == 1)
    }

    /// The broker does not take the publish with this token.
    pub(super) fn refused(&mut self, token: u64, reason: &str) {
        self.refused.add(1);
        let kind = usize::from(token % 2 == 1);
        let component = self.kinds[kind];
        let problem = format!("the broker refuses them: {reason}; check its access rules");
        if !self.is_refused[kind] {
            tracing::warn!(component, reason, "The broker refuses what is published.");
        }
        self.is_refused[kind] = true;
        self.registry.unwell(component, &problem);
    }

    /// The broker took the publish with this token.
    pub(super) fn confirmed(&mut self, token: u64) {
        let kind = usize::from(token % 2 == 1);
        if std::mem::take(&mut self.is_refused[kind]) {
            self.registry.well(self.kinds[kind]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_shown_until_one_of_its_kind_is_taken() {
        let registry = Registry::new();
        let mut refusals = Refusals::new(&registry, ["hello", "frames"]);
        let (hello, frame) = (refusals.token(0), refusals.token(1));
        refusals.refused(frame, "NotAuthorized");
        assert!(registry.health().1.contains("frames"), "{}", registry.health().1);
        refusals.confirmed(hello);
        assert!(registry.health().1.contains("NotAuthorized"));
        let next = refusals.token(1);
        refusals.confirmed(next);
        assert!(!registry.health().1.contains("frames"));
        assert!(registry.render().contains("headwater_uplink_refused_total 1"));
    }
}
