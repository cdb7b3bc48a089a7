//! Reading a state directory: the same code serves a running node and `inspect`.
//!
//! Guarantees: one `View` is one committed checkpoint; damaged values are reported with the
//! table they are in. Does not write.

use std::collections::BTreeMap;

use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, TableError};
use serde::de::DeserializeOwned;

use crate::commit::{
    AgentRecord, DeadLetter, Gap, Head, Identity, Mark, OutboxRow, PlanRecord, Quarantined,
    StateRead,
};
use crate::tables::{
    AGENTS, BlobKey, Bytes, COLD, DEAD_LETTERS, FORMAT_VERSION, GAPS, LEDGER, META, META_COUNTERS,
    META_FORMAT, META_HEAD, META_IDENTITY, META_PLAN, META_RECORD_PREFIX, OFFSETS, OUTBOX,
    QUARANTINE, STATE, STATE_BASE, STATE_DELTA,
};
use crate::value::{split_head, unseal, unseal_record};

/// Why a read failed, before it is given the directory's name.
pub(crate) enum ReadError {
    Damaged(String),
    NewerVersion(u32),
    Redb(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for ReadError {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

pub(crate) type ReadResult<T> = core::result::Result<T, ReadError>;

/// One committed checkpoint.
pub(crate) struct View(pub(crate) ReadTransaction);

impl View {
    /// `false` when nothing was ever committed; an error when the format is not ours.
    pub(crate) fn check_format(&self) -> ReadResult<bool> {
        let Some(table) = self.table(META)? else { return Ok(false) };
        let Some(value) = table.get(META_FORMAT)? else { return Ok(false) };
        let version = value
            .value()
            .strip_prefix(FORMAT_MAGIC)
            .and_then(|rest| rest.try_into().ok())
            .map(u32::from_le_bytes)
            .ok_or_else(|| ReadError::Damaged("not a Headwater state file".into()))?;
        match version {
            FORMAT_VERSION => Ok(true),
            newer if newer > FORMAT_VERSION => Err(ReadError::NewerVersion(newer)),
            other => Err(ReadError::Damaged(format!("unknown format version {other}"))),
        }
    }

    pub(crate) fn head(&self) -> ReadResult<Head> {
        self.meta(META_HEAD)?.ok_or_else(|| ReadError::Damaged("meta: no head".into()))
    }

    pub(crate) fn identity(&self) -> ReadResult<Identity> {
        self.meta(META_IDENTITY)?.ok_or_else(|| ReadError::Damaged("meta: no identity".into()))
    }

    pub(crate) fn plan(&self) -> ReadResult<Option<PlanRecord>> {
        self.meta(META_PLAN)
    }

    pub(crate) fn counters(&self) -> ReadResult<BTreeMap<String, u64>> {
        Ok(self.meta(META_COUNTERS)?.unwrap_or_default())
    }

    pub(crate) fn record(&self, name: &str) -> ReadResult<Option<Vec<u8>>> {
        let Some(table) = self.table(META)? else { return Ok(None) };
        let key = format!("{META_RECORD_PREFIX}{name}");
        let Some(value) = table.get(key.as_str())? else { return Ok(None) };
        Ok(Some(unseal(value.value()).map_err(damaged("meta"))?.to_vec()))
    }

    pub(crate) fn state(&self) -> ReadResult<StateRead> {
        Ok(StateRead { base: self.state_of(STATE_BASE)?, deltas: self.state_of(STATE_DELTA)? })
    }

    pub(crate) fn positions(&self) -> ReadResult<BTreeMap<(String, String), Vec<u8>>> {
        let mut positions = BTreeMap::new();
        let Some(table) = self.table(OFFSETS)? else { return Ok(positions) };
        for entry in table.iter()? {
            let (key, value) = entry?;
            let (source, split) = key.value();
            let content = unseal(value.value()).map_err(damaged("offsets"))?;
            positions.insert((source.to_owned(), split.to_owned()), content.to_vec());
        }
        Ok(positions)
    }

    /// Frames from `from_seq` on until `bytes_max` is reached; at least one if there is one.
    pub(crate) fn outbox(
        &self,
        channel: u32,
        from_seq: u64,
        bytes_max: usize,
    ) -> ReadResult<Vec<OutboxRow>> {
        let mut rows: Vec<OutboxRow> = Vec::new();
        let Some(table) = self.table(OUTBOX)? else { return Ok(rows) };
        let mut total = 0;
        let range = (channel, from_seq, 0)..=(channel, u64::MAX, u32::MAX);
        read_blobs("outbox", &table, range, |(_, seq, _), _, bytes| {
            total += bytes.len();
            let fits = rows.is_empty() || total <= bytes_max;
            if fits {
                rows.push(OutboxRow { channel, seq, bytes });
            }
            fits && total < bytes_max
        })?;
        Ok(rows)
    }

    pub(crate) fn ledger(&self) -> ReadResult<BTreeMap<(String, u32), Mark>> {
        let mut marks = BTreeMap::new();
        let Some(table) = self.table(LEDGER)? else { return Ok(marks) };
        for entry in table.iter()? {
            let (key, value) = entry?;
            let (agent, channel) = key.value();
            let mark = unseal_record(value.value()).map_err(damaged("ledger"))?;
            marks.insert((agent.to_owned(), channel), mark);
        }
        Ok(marks)
    }

    pub(crate) fn agents(&self) -> ReadResult<BTreeMap<String, AgentRecord>> {
        let mut agents = BTreeMap::new();
        let Some(table) = self.table(AGENTS)? else { return Ok(agents) };
        for entry in table.iter()? {
            let (key, value) = entry?;
            let record = unseal_record(value.value()).map_err(damaged("agents"))?;
            agents.insert(key.value().to_owned(), record);
        }
        Ok(agents)
    }

    pub(crate) fn cold(&self, operator: u32, window_end: i64) -> ReadResult<Vec<(u32, Vec<u8>)>> {
        let mut chunks = Vec::new();
        let Some(table) = self.table(COLD)? else { return Ok(chunks) };
        let range = (operator, window_end, 0)..=(operator, window_end, u32::MAX);
        for entry in table.range(range)? {
            let (key, value) = entry?;
            let content = unseal(value.value()).map_err(damaged("cold"))?;
            chunks.push((key.value().2, content.to_vec()));
        }
        Ok(chunks)
    }

    /// Window ends of an operator that have cold rows, oldest first, at most `limit`.
    pub(crate) fn cold_windows(&self, operator: u32, limit: usize) -> ReadResult<Vec<i64>> {
        let mut ends: Vec<i64> = Vec::new();
        let Some(table) = self.table(COLD)? else { return Ok(ends) };
        let mut from = (operator, i64::MIN, 0);
        while ends.len() < limit {
            let mut range = table.range(from..=(operator, i64::MAX, u32::MAX))?;
            let Some(entry) = range.next() else { break };
            let (_, end, _) = entry?.0.value();
            ends.push(end);
            let Some(next) = end.checked_add(1) else { break };
            from = (operator, next, 0);
        }
        Ok(ends)
    }

    pub(crate) fn dead_letters(
        &self,
        from: u64,
        limit: usize,
    ) -> ReadResult<Vec<(u64, DeadLetter)>> {
        self.log("dead_letters", DEAD_LETTERS, from, limit)
    }

    pub(crate) fn quarantine(
        &self,
        from: u64,
        limit: usize,
    ) -> ReadResult<Vec<(u64, Quarantined)>> {
        self.log("quarantine", QUARANTINE, from, limit)
    }

    pub(crate) fn gaps(&self, from: u64, limit: usize) -> ReadResult<Vec<(u64, Gap)>> {
        self.log("gaps", GAPS, from, limit)
    }

    fn log<T: DeserializeOwned>(
        &self,
        name: &'static str,
        definition: TableDefinition<u64, Bytes>,
        from: u64,
        limit: usize,
    ) -> ReadResult<Vec<(u64, T)>> {
        let mut entries = Vec::new();
        let Some(table) = self.table(definition)? else { return Ok(entries) };
        // The batch that holds `from` begins at most one batch earlier.
        for entry in table.range(from.saturating_sub(LOG_BATCH_ENTRIES as u64)..)? {
            let (key, value) = entry?;
            let batch: Vec<T> = unseal_record(value.value()).map_err(damaged(name))?;
            let numbered = (key.value()..).zip(batch).filter(|(number, _)| *number >= from);
            entries.extend(numbered.take(limit - entries.len()));
            if entries.len() == limit {
                break;
            }
        }
        Ok(entries)
    }

    fn state_of(&self, kind: u32) -> ReadResult<Vec<Vec<u8>>> {
        let mut pages = Vec::new();
        let Some(table) = self.table(STATE)? else { return Ok(pages) };
        let mut fault = None;
        let range = (kind, 0, 0)..=(kind, u64::MAX, u32::MAX);
        read_blobs("state", &table, range, |_, count, blob| match split_pages(count, &blob) {
            Ok(mut found) => {
                pages.append(&mut found);
                true
            }
            Err(detail) => {
                fault = Some(detail);
                false
            }
        })?;
        match fault {
            Some(detail) => Err(ReadError::Damaged(format!("state: {detail}"))),
            None => Ok(pages),
        }
    }

    fn meta<T: DeserializeOwned>(&self, name: &str) -> ReadResult<Option<T>> {
        let Some(table) = self.table(META)? else { return Ok(None) };
        let Some(value) = table.get(name)? else { return Ok(None) };
        Ok(Some(unseal_record(value.value()).map_err(damaged("meta"))?))
    }

    /// `None` when no commit has needed this table yet.
    fn table<K: Key + 'static>(
        &self,
        definition: TableDefinition<K, Bytes>,
    ) -> ReadResult<Option<redb::ReadOnlyTable<K, Bytes>>> {
        match self.0.open_table(definition) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Joins the pages of one state write into a blob.
pub(crate) fn join_pages(pages: &[Vec<u8>]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(pages.iter().map(|page| page.len() + 4).sum());
    for page in pages {
        let len = u32::try_from(page.len()).expect("state pages are far below 4 GiB");
        blob.extend_from_slice(&len.to_le_bytes());
        blob.extend_from_slice(page);
    }
    blob
}

/// Gives each blob in `range` to `take` (key of its first piece, tag, content) until it refuses.
pub(crate) fn read_blobs(
    name: &'static str,
    table: &impl ReadableTable<BlobKey, Bytes>,
    range: core::ops::RangeInclusive<BlobKey>,
    mut take: impl FnMut(BlobKey, u64, Vec<u8>) -> bool,
) -> ReadResult<()> {
    let mut open: Option<(BlobKey, u64, usize, Vec<u8>)> = None;
    for entry in table.range(range)? {
        let (key, value) = entry?;
        let (group, number, piece) = key.value();
        let content = unseal(value.value()).map_err(damaged(name))?;
        let (start, tag, len, mut bytes) = match open.take() {
            None if piece == 0 => {
                let (tag, len, content) = split_head(content).map_err(damaged(name))?;
                ((group, number, 0), tag, len, content.to_vec())
            }
            Some((start, tag, len, mut bytes)) if (start.0, start.1) == (group, number) => {
                bytes.extend_from_slice(content);
                (start, tag, len, bytes)
            }
            _ => return Err(ReadError::Damaged(format!("{name}: a piece is missing"))),
        };
        if bytes.len() > len {
            return Err(ReadError::Damaged(format!("{name}: a piece is too many")));
        }
        if bytes.len() < len {
            open = Some((start, tag, len, bytes));
            continue;
        }
        bytes.shrink_to_fit();
        if !take(start, tag, bytes) {
            return Ok(());
        }
    }
    match open {
        Some(_) => Err(ReadError::Damaged(format!("{name}: a piece is missing"))),
        None => Ok(()),
    }
}

/// Tag of the blob at `key`, without reading all of it.
pub(crate) fn blob_tag(
    name: &'static str,
    table: &impl ReadableTable<BlobKey, Bytes>,
    key: BlobKey,
) -> ReadResult<Option<u64>> {
    let Some(value) = table.get(key)? else { return Ok(None) };
    let content = unseal(value.value()).map_err(damaged(name))?;
    Ok(Some(split_head(content).map_err(damaged(name))?.0))
}

pub(crate) fn damaged<E: Into<String>>(table: &'static str) -> impl Fn(E) -> ReadError {
    move |detail| ReadError::Damaged(format!("{table}: {}", detail.into()))
}

fn split_pages(count: u64, mut blob: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut pages = Vec::new();
    while let Some((len, rest)) = blob.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        let (page, rest) = rest.split_at_checked(len).ok_or("a page is cut short")?;
        pages.push(page.to_vec());
        blob = rest;
    }
    if !blob.is_empty() || pages.len() as u64 != count {
        return Err("pages do not add up".into());
    }
    Ok(pages)
}

/// Small entries share a row: a row of its own costs a page path each.
pub(crate) const LOG_BATCH_ENTRIES: usize = 32;
/// Opens the value of `meta.format`, before the version number (u32 LE).
pub(crate) const FORMAT_MAGIC: &[u8] = b"headwater-state";
