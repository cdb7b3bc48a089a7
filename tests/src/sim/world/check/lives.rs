//! Lives of gateways as the core knows them: the present one and a few before it.

use std::collections::BTreeMap;

use headwater_store::AgentRecord;

use super::{Checker, Incarnation, node};

/// Lives of a name, the present one last.
pub(super) type Lives = BTreeMap<usize, Vec<Incarnation>>;

/// Lives whose marks the core keeps, the present one among them.
const KNOWN_MAX: usize = 5;

impl Checker {
    /// The core has committed which life holds a name. One that comes back after too many others
    /// is unknown to it, and so is what it was acknowledged.
    pub(super) fn lived(&mut self, name: &str, record: &AgentRecord) {
        let (node, life) = (node(name), record.incarnation);
        let known = self.known.entry(node).or_default();
        known.retain(|other| *other != life);
        known.push(life);
        if known.len() > KNOWN_MAX {
            let forgotten = known.remove(0);
            self.acked.retain(|stream, _| (stream.0, stream.1) != (node, forgotten));
        }
    }
}
