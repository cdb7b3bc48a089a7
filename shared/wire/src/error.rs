//! What can be wrong with bytes from the wire, or with what is to be sent.

/// Why a frame, message or batch was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end early.
    #[error("cut short")]
    CutShort,
    /// More than a limit of `limits` allows.
    #[error("{what} is {found}, more than {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A version that this program does not know.
    #[error("version {found} is not known")]
    UnknownVersion {
        /// Version found.
        found: u8,
    },
    /// The bytes changed on their way.
    #[error("checksum does not match")]
    Checksum,
    /// A compression that this program does not know.
    #[error("compression {found} is not known")]
    UnknownCompression {
        /// Compression found.
        found: u8,
    },
    /// Content that breaks the format.
    #[error("malformed {what}")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
}

impl WireError {
    pub(crate) fn malformed(what: &'static str) -> Self {
        Self::Malformed { what }
    }
}
