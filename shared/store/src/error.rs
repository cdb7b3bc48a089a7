//! Why a state directory could not be opened, read or written.
//!
//! Guarantees: every error says what is wrong and `remedy` says what a person can do about it;
//! a full disk is told from a broken one. Does not retry anything.

use std::io;
use std::path::PathBuf;

/// Result of the store's calls.
pub type Result<T> = core::result::Result<T, StoreError>;

/// What went wrong with a state directory.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the directory open for writing.
    #[error("state directory {} is in use by another process", path.display())]
    Locked {
        /// The state directory.
        path: PathBuf,
    },
    /// The file holds something that was not written by this program, or no longer does.
    #[error("state in {} is damaged: {detail}", path.display())]
    Damaged {
        /// The state directory.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The directory was written by a newer program.
    #[error("state in {} has format version {found}, this program knows up to {known}",
        path.display())]
    NewerVersion {
        /// The state directory.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Newest version this program reads.
        known: u32,
    },
    /// The directory holds the state of another pipeline.
    #[error("state belongs to another plan: operator '{operator}' differs")]
    OtherPlan {
        /// First operator that the two plans do not share.
        operator: String,
    },
    /// There is no state here and none was to be created.
    #[error("no state in {}", path.display())]
    Missing {
        /// The state directory.
        path: PathBuf,
    },
    /// No room on the device. Nothing of the commit is applied.
    #[error("disk full while writing state in {}", path.display())]
    Full {
        /// The state directory.
        path: PathBuf,
    },
    /// An earlier input/output error closed the database; `Store::reopen` opens it again.
    #[error("state in {} must be reopened after an input/output error", path.display())]
    NeedsReopen {
        /// The state directory.
        path: PathBuf,
    },
    /// The device failed.
    #[error("cannot access state in {}: {source}", path.display())]
    Io {
        /// The state directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The caller broke the contract of a commit; nothing of it is applied.
    #[error("commit refused: {what} is {found}, expected {expected}")]
    OutOfOrder {
        /// Which number.
        what: &'static str,
        /// The number that had to come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

impl StoreError {
    /// Whether the content is gone: damaged, or missing where there was some.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Missing { .. })
    }

    /// The program's exit code for this error (sysexits: 74 input/output, 78 configuration).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::OtherPlan { .. } => 78,
            Self::OutOfOrder { .. } => 1,
            _ => 74,
        }
    }

    /// One line of advice.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Locked { .. } => {
                "stop the other process, or give this one a state directory of its own"
            }
            Self::Damaged { .. } => {
                "restore the directory from a backup, or reset it (docs/formats/state.md, Reset)"
            }
            Self::NewerVersion { .. } => "run the program version that wrote it, or a newer one",
            Self::OtherPlan { .. } => {
                "run the pipeline it belongs to, or use another state directory, or reset this one"
            }
            Self::Missing { .. } => "check the path; `run` creates a state directory",
            Self::Full { .. } => "free space on the device; the node goes on by itself",
            Self::NeedsReopen { .. } => "none: the node reopens its state by itself",
            Self::Io { .. } => "check the path, its permissions and the device",
            Self::OutOfOrder { .. } => "this is a defect of the program: please report it",
        }
    }
}
