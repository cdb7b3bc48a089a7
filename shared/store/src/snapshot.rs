//! Reading one committed checkpoint, of a running node or of a directory at rest.
//!
//! Guarantees: all answers of one snapshot belong to the same checkpoint. Long-lived snapshots
//! keep the pages that they show, so the file grows meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::commit::{
    AgentRecord, DeadLetter, Gap, Head, Identity, Mark, OutboxRow, PlanRecord, Quarantined,
    StateRead,
};
use crate::error::{Result, StoreError};
use crate::read::{ReadError, ReadResult, View};

/// One committed checkpoint, read-only.
pub struct Snapshot {
    pub(crate) view: View,
    pub(crate) path: PathBuf,
}

impl core::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Snapshot").field("path", &self.path).finish_non_exhaustive()
    }
}

/// All calls fail with `Damaged` where a value fails its check, and with `Io`.
#[expect(clippy::missing_errors_doc, reason = "said once for all of them, above")]
impl Snapshot {
    /// Numbers of the last checkpoint: epoch, state sizes, outbox by channel, lists.
    pub fn head(&self) -> Result<Head> {
        self.named(self.view.head())
    }

    /// Who the directory is.
    pub fn identity(&self) -> Result<Identity> {
        self.named(self.view.identity())
    }

    /// The plan whose state this is.
    pub fn plan(&self) -> Result<Option<PlanRecord>> {
        self.named(self.view.plan())
    }

    /// Totals by name.
    pub fn counters(&self) -> Result<BTreeMap<String, u64>> {
        self.named(self.view.counters())
    }

    /// One of the node's own small records.
    pub fn record(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.named(self.view.record(name))
    }

    /// Operator state: the last full write and the deltas after it.
    pub fn load_state(&self) -> Result<StateRead> {
        self.named(self.view.state())
    }

    /// Positions by (source, split).
    pub fn positions(&self) -> Result<BTreeMap<(String, String), Vec<u8>>> {
        self.named(self.view.positions())
    }

    /// Frames of a channel from `from_seq` on, about `bytes_max` bytes; at least one if any.
    pub fn outbox(&self, channel: u32, from_seq: u64, bytes_max: usize) -> Result<Vec<OutboxRow>> {
        self.named(self.view.outbox(channel, from_seq, bytes_max))
    }

    /// Every mark by (agent, channel).
    pub fn ledger(&self) -> Result<BTreeMap<(String, u32), Mark>> {
        self.named(self.view.ledger())
    }

    /// Every agent that was heard.
    pub fn agents(&self) -> Result<BTreeMap<String, AgentRecord>> {
        self.named(self.view.agents())
    }

    /// Cold rows of a window: (chunk, content), in order.
    pub fn cold(&self, operator: u32, window_end: i64) -> Result<Vec<(u32, Vec<u8>)>> {
        self.named(self.view.cold(operator, window_end))
    }

    /// Ends of the windows of an operator that have cold rows, oldest first.
    pub fn cold_windows(&self, operator: u32, limit: usize) -> Result<Vec<i64>> {
        self.named(self.view.cold_windows(operator, limit))
    }

    /// Dead letters from a number on, oldest first.
    pub fn dead_letters(&self, from: u64, limit: usize) -> Result<Vec<(u64, DeadLetter)>> {
        self.named(self.view.dead_letters(from, limit))
    }

    /// Quarantined frames from a number on, oldest first.
    pub fn quarantine(&self, from: u64, limit: usize) -> Result<Vec<(u64, Quarantined)>> {
        self.named(self.view.quarantine(from, limit))
    }

    /// Declared gaps from a number on, oldest first.
    pub fn gaps(&self, from: u64, limit: usize) -> Result<Vec<(u64, Gap)>> {
        self.named(self.view.gaps(from, limit))
    }

    fn named<T>(&self, result: ReadResult<T>) -> Result<T> {
        result.map_err(|error| name_error(error, &self.path, false))
    }
}

/// Gives an error of the database the directory's name; `full`: the medium said "no room".
pub(crate) fn name_error(error: ReadError, path: &std::path::Path, full: bool) -> StoreError {
    use redb::Error as E;
    let path = path.to_owned();
    let error = match error {
        ReadError::Damaged(detail) => return StoreError::Damaged { path, detail },
        ReadError::NewerVersion(found) => {
            return StoreError::NewerVersion { path, found, known: crate::tables::FORMAT_VERSION };
        }
        ReadError::Redb(error) => error,
    };
    match error {
        E::DatabaseAlreadyOpen | E::LockProtocolMismatch => StoreError::Locked { path },
        E::Io(source) if crate::disk::is_no_room(&source) => StoreError::Full { path },
        _ if full => StoreError::Full { path },
        E::PreviousIo | E::DatabaseClosed => StoreError::NeedsReopen { path },
        E::Io(source)
            if matches!(
                source.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            StoreError::Damaged { path, detail: source.to_string() }
        }
        E::Io(source) => StoreError::Io { path, source },
        E::UpgradeRequired(version) => {
            StoreError::Damaged { path, detail: format!("database format {version}") }
        }
        other => StoreError::Damaged { path, detail: other.to_string() },
    }
}
