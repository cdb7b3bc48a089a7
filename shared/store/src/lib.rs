//! State directory of a node: checkpoints, outbox, ledger, dead letters, over redb.
//!
//! Guarantees: one `Commit` is one durable transaction; types of redb stay inside this crate;
//! every stored value has a version and a checksum. The format is docs/formats/state.md.
//! Does not know what operator state, positions or frames mean.
//!
//! Map: `store` opens and commits; `apply` writes one commit; `read` and `snapshot` read; `tidy`
//! keeps the file small; `inspect` reads beside a running node, `verify` everything; `journal`
//! holds records between checkpoints; `reset` removes or sets aside; `crash` fakes a disk.

mod apply;
mod ballast;
mod commit;
pub mod crash;
mod disk;
mod error;
mod identity;
mod inspect;
mod journal;
mod place;
mod read;
mod reset;
mod snapshot;
mod store;
mod tables;
mod tidy;
mod value;
mod verify;

pub use apply::LogLimits;
pub use commit::{
    AgentRecord, ChannelState, ColdWrite, Commit, CommitStats, DeadLetter, Gap, Head, Identity,
    Incarnation, LogState, Mark, MarkWrite, OutboxRow, OutboxTotals, PlanRecord, PositionWrite,
    Quarantined, StateRead, StateWrite,
};
pub use disk::{Disk, Meter};
pub use error::{Result, StoreError};
pub use identity::hex;
pub use inspect::Inspector;
pub use reset::{SetAside, reset, set_aside};
pub use snapshot::Snapshot;
pub use store::{Options, Store};
pub use tidy::{TIDY_BYTES_MAX, Tidied};
pub use verify::{Soundness, verify};
