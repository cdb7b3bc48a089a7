//! Planted bugs, so that a test can show that it would find them.
//!
//! Guarantees: without the feature `mutations`, which only the test programs ask for, there is no
//! planted bug and no code for one. With it none is active until a test plants it.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutation {
    /// The core acknowledges a frame before the commit.
    AckBeforeCommit = 1,
    /// The core drops frames up to the highest seq seen, also those that it has never had.
    DedupByMaxSeq,
    /// The core applies a frame again that it has applied.
    ApplyRepeats,
    /// The core acknowledges a frame that it only holds.
    AckHeld,
    /// The core's mark is not in the transaction of the state that the frame changed.
    MarkApart,
    /// The core grants a term before that is durable.
    GrantBeforeCommit,
    /// The core passes a lost range and tells nobody.
    SilentGap,
    /// A correction does not know what the fired window held.
    ForgetFired,
    /// The next seq of a channel is not in the transaction of its frames.
    ForgetNextSeq,
    /// A commit returns before it is durable.
    CommitNotDurable,
    /// A step is restored without its watermark.
    RestoreWithoutWatermark,
    /// State is restored without the changes since it was last written as a whole.
    RestoreBaseOnly,
    /// The position of a source is stored before the state that its rows changed.
    PositionBeforeState,
    /// A frame leaves the outbox when the broker has it.
    DeleteAtPuback,
    /// Frames are not offered again after a new connection or a long silence.
    NoResend,
    /// Frames are sent before they are committed.
    SendBeforeCommit,
    /// An old copy of a state goes on under its old incarnation.
    ReuseIncarnation,
    /// An acknowledgement counts for whichever life and term hears it.
    AckOfAnotherLife,
    /// A life that comes back sends what its copy has sent.
    ForgetOtherLives,
    /// What was made of frames that are made coarser goes out twice.
    CoarsenTwice,
    /// A frame that was dropped at the quota is declared twice.
    DeclareTwice,
    /// Two processes that speak for one agent are never stopped.
    IgnoreConflict,
    /// An old copy throws away what it took in before it knew that it is one.
    DropOwnFrames,
    /// An agent takes the core's marks for its own, whoever sent those frames.
    TrustOtherFrames,
}

/// All of them.
pub const MUTATIONS: [Mutation; 24] = [
    Mutation::AckBeforeCommit,
    Mutation::DedupByMaxSeq,
    Mutation::ApplyRepeats,
    Mutation::AckHeld,
    Mutation::MarkApart,
    Mutation::GrantBeforeCommit,
    Mutation::SilentGap,
    Mutation::ForgetFired,
    Mutation::ForgetNextSeq,
    Mutation::CommitNotDurable,
    Mutation::RestoreWithoutWatermark,
    Mutation::RestoreBaseOnly,
    Mutation::PositionBeforeState,
    Mutation::DeleteAtPuback,
    Mutation::NoResend,
    Mutation::SendBeforeCommit,
    Mutation::ReuseIncarnation,
    Mutation::AckOfAnotherLife,
    Mutation::ForgetOtherLives,
    Mutation::CoarsenTwice,
    Mutation::DeclareTwice,
    Mutation::IgnoreConflict,
    Mutation::DropOwnFrames,
    Mutation::TrustOtherFrames,
];

/// Whether this bug is planted.
#[cfg(not(feature = "mutations"))]
#[inline]
pub const fn mutated(_: Mutation) -> bool {
    false
}

#[cfg(feature = "mutations")]
pub use planted::{mutated, plant};

#[cfg(feature = "mutations")]
mod planted {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Mutation;

    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Whether this bug is planted.
    pub fn mutated(mutation: Mutation) -> bool {
        PLANTED.load(Ordering::Relaxed) == mutation as u8
    }

    /// Plants a bug in this process instead of the one before; none is the honest program.
    pub fn plant(mutation: Option<Mutation>) {
        PLANTED.store(mutation.map_or(0, |mutation| mutation as u8), Ordering::Relaxed);
    }
}
