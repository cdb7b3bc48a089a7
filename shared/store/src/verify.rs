//! Whether a state directory is sound: everything in it is read once and checked.
//!
//! Guarantees: writes nothing. Of a directory at rest every page and every value is checked;
//! beside a running node, which has checked the pages at its start, every value.

use std::fs;
use std::path::Path;

use redb::{Key, ReadableTable as _, TableDefinition, TableError};

use crate::ballast;
use crate::commit::Head;
use crate::error::{Result, StoreError};
use crate::identity;
use crate::inspect::Inspector;
use crate::read::{ReadError, ReadResult, View, damaged, read_blobs};
use crate::reset::{DAMAGED, refuse_if_open};
use crate::snapshot::name_error;
use crate::tables::{
    AGENTS, BlobKey, Bytes, COLD, DEAD_LETTERS, GAPS, LEDGER, META, META_FORMAT, OUTBOX, QUARANTINE,
};
use crate::value::unseal;

/// What was found in a directory that is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soundness {
    /// Number of the last checkpoint.
    pub epoch: u64,
    /// A process has it open.
    pub is_in_use: bool,
    /// The last process did not close it: the next one repairs it.
    pub was_crashed: bool,
    /// Values that were checked.
    pub values_count: u64,
    /// Their bytes.
    pub values_bytes: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// What is not as it should be and mends itself at the next start.
    pub remarks: Vec<String>,
}

/// Reads everything in `dir`.
///
/// # Errors
/// `Missing`, `Damaged`, `NewerVersion`, `Locked` (for moments, while a node starts), `Io`.
pub fn verify(dir: &Path) -> Result<Soundness> {
    let is_in_use = match refuse_if_open(dir) {
        Ok(()) => false,
        Err(StoreError::Locked { .. }) => true,
        Err(error) => return Err(error),
    };
    let opened = if is_in_use { Inspector::open(dir) } else { Inspector::open_whole(dir) };
    let found = opened.and_then(|inspector| look(dir, &inspector, is_in_use));
    match found {
        // A node that has started meanwhile changes what was being read.
        Err(StoreError::Damaged { .. }) if !is_in_use => refuse_if_open(dir).and(found),
        found => found,
    }
}

fn look(dir: &Path, inspector: &Inspector, is_in_use: bool) -> Result<Soundness> {
    let snapshot = inspector.snapshot()?;
    let mut count = Count::default();
    let head = count.all(&snapshot.view).map_err(|error| name_error(error, dir, false))?;
    let mut remarks = Vec::new();
    match identity::read(dir) {
        Ok(Some(sidecar)) if sidecar.incarnation == snapshot.identity()?.incarnation => {}
        Ok(None) => remarks.push(format!("{} is missing", identity::SIDECAR)),
        Ok(Some(_)) => remarks.push(format!("{} is another state's", identity::SIDECAR)),
        Err(error) => remarks.push(error.to_string()),
    }
    if !ballast::is_there(dir) {
        remarks.push("the reserve for a full disk is missing".into());
    }
    if let Ok(meta) = fs::metadata(dir.join(DAMAGED)) {
        remarks.push(format!("{DAMAGED} was set aside earlier, {} bytes", meta.len()));
    }
    Ok(Soundness {
        epoch: head.epoch,
        is_in_use,
        was_crashed: inspector.was_crashed(),
        values_count: count.values,
        values_bytes: count.bytes,
        file_bytes: inspector.file_bytes(),
        remarks,
    })
}

#[derive(Default)]
struct Count {
    values: u64,
    bytes: u64,
}

impl Count {
    /// Every value of every table, and whether the outbox is as the head says.
    fn all(&mut self, view: &View) -> ReadResult<Head> {
        let head = view.head()?;
        view.identity()?;
        view.counters()?;
        view.plan()?;
        let state = view.state()?;
        for page in state.base.iter().chain(&state.deltas) {
            self.add(page.len());
        }
        for value in view.positions()?.values() {
            self.add(value.len());
        }
        self.outbox(view, &head)?;
        // The format has a check of its own.
        self.values(view, META, "meta", |name| name != META_FORMAT)?;
        self.values(view, LEDGER, "ledger", |_| true)?;
        self.values(view, AGENTS, "agents", |_| true)?;
        self.values(view, COLD, "cold", |_| true)?;
        self.values(view, DEAD_LETTERS, "dead_letters", |_| true)?;
        self.values(view, QUARANTINE, "quarantine", |_| true)?;
        self.values(view, GAPS, "gaps", |_| true)?;
        Ok(head)
    }

    fn add(&mut self, bytes: usize) {
        self.values += 1;
        self.bytes += bytes as u64;
    }

    fn outbox(&mut self, view: &View, head: &Head) -> ReadResult<()> {
        let table = match view.0.open_table(OUTBOX) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            opened => opened?,
        };
        let mut stray = None;
        let all: core::ops::RangeInclusive<BlobKey> = (0, 0, 0)..=(u32::MAX, u64::MAX, u32::MAX);
        read_blobs("outbox", &table, all, |(channel, seq, _), _, bytes| {
            self.add(bytes.len());
            let known = head.channels.get(&channel);
            if !known.is_some_and(|known| (known.oldest_seq..known.next_seq).contains(&seq)) {
                stray = Some(format!("outbox: frame {seq} of channel {channel} is not expected"));
            }
            stray.is_none()
        })?;
        stray.map_or(Ok(()), |detail| Err(ReadError::Damaged(detail)))
    }

    fn values<K: Key + 'static>(
        &mut self,
        view: &View,
        definition: TableDefinition<K, Bytes>,
        name: &'static str,
        is_sealed: impl Fn(K::SelfType<'_>) -> bool,
    ) -> ReadResult<()> {
        let table = match view.0.open_table(definition) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            opened => opened?,
        };
        for entry in table.iter()? {
            let (key, value) = entry?;
            if is_sealed(key.value()) {
                self.add(unseal(value.value()).map_err(damaged(name))?.len());
            }
        }
        Ok(())
    }
}
