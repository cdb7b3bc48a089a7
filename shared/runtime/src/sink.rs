//! Sinks: where results go. One file per kind and one line in [`KINDS`].
//!
//! Guarantees: a sink confirms a chunk only when it is durable at its destination, and chunks
//! are confirmed in order. A chunk is delivered after the commit that holds it and again after
//! a crash until it was confirmed; it carries its offset, so that a sink that can be cut back
//! (`filesystem`) has every byte exactly once. Does not encode rows and does not keep a queue
//! beyond its stated window: the outbox in the store is the truth.

pub mod blackhole;
pub mod filesystem;
pub mod mqtt;
pub mod print;

/// Every kind of sink: the value of the option `connector`.
pub const KINDS: &[&str] = &["blackhole", "filesystem", "mqtt", "print"];

/// Whole lines that were committed together.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Gap-free number of the chunk within its sink, from 1.
    pub seq: u64,
    /// How many bytes of all chunks of this sink lie before this one.
    pub offset: u64,
    /// Lines, each with its line end.
    pub bytes: &'a [u8],
}

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Durable at the destination.
    Confirmed,
    /// On its way; [`Sink::confirmed`] will say when.
    Pending,
    /// Not taken now: the window is full or the server is away. Deliver it again later.
    Busy,
}

/// Why a chunk could not be delivered; the caller retries with back-off and shows it in health.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// One open sink, owned by the pipeline's thread.
pub trait Sink: Send {
    /// Where the next chunk's offset starts, asked once before the first delivery.
    /// `stored` is the offset of the oldest chunk that is not confirmed according to the state,
    /// or `None` for a sink that the state does not know yet. Returns the offset to count from.
    fn start(&mut self, stored: Option<u64>) -> Result<u64, SinkError>;

    /// Delivers a chunk. The same chunk may come again after an error, `Busy` or a restart.
    fn deliver(&mut self, chunk: Chunk<'_>) -> Result<Delivery, SinkError>;

    /// Largest `seq` up to which everything is durable, if it moved since the last call.
    fn confirmed(&mut self) -> Option<u64>;

    /// Whether chunks that were `Pending` may have been lost with a connection, so that all
    /// unconfirmed ones must be delivered again. Reading it clears it.
    fn must_resend(&mut self) -> bool {
        false
    }

    /// What is wrong at present with a sink that does not answer at once, for health.
    fn problem(&self) -> Option<&str> {
        None
    }
}
