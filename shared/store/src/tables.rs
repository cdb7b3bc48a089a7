//! Names and keys of the tables; docs/formats/state.md describes them for readers without Rust.
//!
//! Guarantees: nothing outside this crate sees these types. Does not read or write.

use redb::TableDefinition;

/// Format version of the directory, in `meta` under `format`.
pub(crate) const FORMAT_VERSION: u32 = 1;

pub(crate) type Bytes = &'static [u8];
/// (kind, epoch, piece) of operator state; (channel, seq, piece) of the outbox.
pub(crate) type BlobKey = (u32, u64, u32);
pub(crate) type ColdKey = (u32, i64, u32);

pub(crate) const META: TableDefinition<&str, Bytes> = TableDefinition::new("meta");
pub(crate) const STATE: TableDefinition<BlobKey, Bytes> = TableDefinition::new("state");
pub(crate) const OFFSETS: TableDefinition<(&str, &str), Bytes> = TableDefinition::new("offsets");
pub(crate) const OUTBOX: TableDefinition<BlobKey, Bytes> = TableDefinition::new("outbox");
pub(crate) const LEDGER: TableDefinition<(&str, u32), Bytes> = TableDefinition::new("ledger");
pub(crate) const AGENTS: TableDefinition<&str, Bytes> = TableDefinition::new("agents");
pub(crate) const COLD: TableDefinition<ColdKey, Bytes> = TableDefinition::new("cold");
pub(crate) const DEAD_LETTERS: TableDefinition<u64, Bytes> = TableDefinition::new("dead_letters");
pub(crate) const QUARANTINE: TableDefinition<u64, Bytes> = TableDefinition::new("quarantine");
pub(crate) const GAPS: TableDefinition<u64, Bytes> = TableDefinition::new("gaps");

pub(crate) const META_FORMAT: &str = "format";
pub(crate) const META_HEAD: &str = "head";
pub(crate) const META_PLAN: &str = "plan";
pub(crate) const META_IDENTITY: &str = "identity";
pub(crate) const META_COUNTERS: &str = "counters";
/// Prefix of the node's own records, so that they never collide with the names above.
pub(crate) const META_RECORD_PREFIX: &str = "record/";

pub(crate) const STATE_BASE: u32 = 0;
pub(crate) const STATE_DELTA: u32 = 1;
