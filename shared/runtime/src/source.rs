//! Sources: where readings come from. One file per kind and one line in [`KINDS`].
//!
//! Guarantees: a source hands out records in order, keeps a bounded amount in memory, and its
//! [`Source::position`] covers exactly the records that were [`Source::consumed`], so that a
//! checkpoint may be taken after any record. Whoever does not poll a source pauses it: every
//! queue between it and the pipeline's thread is bounded. Does not decode records, does not
//! filter them by content and does not judge idleness: it says only that nothing is there.

pub mod datagen;
pub mod filesystem;
pub mod mqtt;
pub mod shown;
pub mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Every kind of source: the value of the option `connector`.
pub const KINDS: &[&str] = &["datagen", "filesystem", "mqtt"];

/// Bounds of one record within [`SourceBatch::bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// First byte.
    pub start: u32,
    /// One past the last byte; the line end is not part of a record.
    pub end: u32,
    /// Position after this record, for [`Source::consumed`].
    pub after: u64,
}

/// Records that arrived together, with their text in one buffer.
#[derive(Debug, Default)]
pub struct SourceBatch {
    /// Number of the split (one file, one subscription filter) that all records came from.
    pub split: u32,
    /// Text of all records; bytes between records have no meaning.
    pub bytes: Vec<u8>,
    /// Bounds of the records, in order.
    pub records: Vec<Record>,
    /// Bounds of each record's topic within `bytes`; empty for sources without topics.
    pub topics: Vec<(u32, u32)>,
}

impl SourceBatch {
    /// Text of one record.
    pub fn record(&self, index: usize) -> &[u8] {
        let record = self.records[index];
        &self.bytes[record.start as usize..record.end as usize]
    }

    /// Topic of one record, if its source has topics.
    pub fn topic(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = *self.topics.get(index)?;
        Some(&self.bytes[start as usize..end as usize])
    }

    /// Empties the batch but keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.topics.clear();
    }
}

/// What a source has to say.
#[derive(Debug)]
pub enum SourceEvent {
    /// Records to process.
    Batch(SourceBatch),
    /// A record that was not even handed out (too long, for example), as a dead letter.
    Rejected {
        /// Split it came from.
        split: u32,
        /// Position after it, for [`Source::consumed`].
        after: u64,
        /// Why, as a short lower-case sentence.
        reason: String,
        /// The first bytes of the record.
        sample: Vec<u8>,
        /// Its whole length in bytes.
        bytes_len: u64,
    },
    /// Readings are known to be missing here (file truncated, session lost or reset).
    Gap {
        /// Split that has the gap.
        split: u32,
        /// What happened, as a short lower-case sentence.
        reason: String,
    },
    /// The connection to the server came up (`true`) or was lost; informs health only.
    Connected {
        /// Whether it is up now.
        up: bool,
        /// Error text of a lost connection; empty when up.
        detail: String,
    },
    /// All records since the last load are the whole content of a table that is looked up.
    Loaded {
        /// Its number, for [`Source::consumed`]; loads have rising numbers.
        load: u64,
    },
    /// The split is at its end; no record will follow from it.
    SplitEnd {
        /// The split.
        split: u32,
    },
    /// All splits are at their end (bounded sources only).
    End,
    /// The source cannot go on (file not readable, for example).
    Failed {
        /// What is wrong, with the place.
        reason: String,
    },
}

/// A stored position: its parts by name. Empty for a source that is opened for the first time.
pub type Position = BTreeMap<String, Vec<u8>>;

/// The pipeline thread's half of a source. The other half reads on a thread of its own or on
/// the network thread and fills a bounded queue.
pub trait Source: Send {
    /// The next event, without waiting.
    fn poll(&mut self) -> Option<SourceEvent>;

    /// Every record up to position `after` (from [`Record::after`] or a rejected record) is in
    /// the state that the next checkpoint will store.
    fn consumed(&mut self, split: u32, after: u64);

    /// Encodes the position of all consumed records: what a checkpoint stores and what the
    /// source is opened with after a restart. It has parts by name, of which only those need be
    /// given that have changed since the last time; most sources have one, without a name.
    fn position(&mut self, put: &mut dyn FnMut(String, Vec<u8>));

    /// The position last encoded is durable now: acknowledge to the server what it covers.
    fn committed(&mut self);

    /// When a commit should be taken because the server's in-flight window is used up, or may
    /// be, by records that wait for it. Asked again after every event.
    fn commit_due(&self) -> Option<Instant> {
        None
    }

    /// Appends what was consumed since the last commit, encoded for [`Source::replay`]: a journal
    /// of a few KiB can hold it until the next checkpoint. False when that would be too much, or
    /// is not known whole.
    fn journal(&mut self, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// What was appended last is durable: acknowledge to the server what it covers.
    fn journaled(&mut self) {}

    /// Hands out, before anything else, what a journal holds beyond the position: so many records.
    fn replay(&mut self, _journaled: &[u8]) -> Result<usize, PositionError> {
        Err(PositionError("this source keeps no journal".into()))
    }

    /// How many records the server delivers before it waits for a commit, if it was seen to.
    fn window(&self) -> Option<usize> {
        None
    }

    /// Messages that the server delivered again and that were recognised and not handed out again.
    fn redelivered(&self) -> u64 {
        0
    }

    /// Gives the memory of a processed batch back.
    fn recycle(&mut self, batch: SourceBatch);
}

/// A position that cannot be used: of a newer version, damaged, or of another source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the stored position of this source: {0}")]
pub struct PositionError(pub String);

/// Why a source or sink cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An option is missing or has a value that cannot be used.
    #[error("option '{option}': {reason}")]
    Option {
        /// Name of the option in the `WITH` clause.
        option: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The stored position cannot be used.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// A file or directory.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
}

impl OpenError {
    pub(crate) fn option(option: &str, reason: impl Into<String>) -> Self {
        Self::Option { option: option.into(), reason: reason.into() }
    }

    pub(crate) fn file(path: &std::path::Path, error: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), error }
    }
}

/// Wakes the pipeline's thread when any source or connection has something for it.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<(Mutex<bool>, Condvar)>);

impl Wake {
    /// A new one, not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it; the waiting thread goes on.
    pub fn notify(&self) {
        let mut set = self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !*set {
            *set = true;
            self.0.1.notify_one();
        }
    }

    /// Waits until set or until `timeout` has passed, and clears it. Returns whether it was set.
    pub fn wait(&self, timeout: Duration) -> bool {
        let set = self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (mut set, _) = self
            .0
            .1
            .wait_timeout_while(set, timeout, |set| !*set)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut *set, false)
    }
}
