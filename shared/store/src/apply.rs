//! Writing one `Commit` into one transaction.
//!
//! Guarantees: checks every number that must be dense before it writes; what it returns is true
//! only once the transaction has committed. Does not commit.

use std::collections::BTreeMap;

use headwater_engine::mutation::{Mutation, mutated};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::commit::{Commit, Head, LogState, OutboxRow, StateWrite};
use crate::read::{
    FORMAT_MAGIC, LOG_BATCH_ENTRIES, ReadError, ReadResult, blob_tag, damaged, join_pages,
};
use crate::tables::{
    AGENTS, BlobKey, Bytes, COLD, DEAD_LETTERS, FORMAT_VERSION, GAPS, LEDGER, META, META_COUNTERS,
    META_FORMAT, META_HEAD, META_IDENTITY, META_PLAN, META_RECORD_PREFIX, OFFSETS, OUTBOX,
    QUARANTINE, STATE, STATE_BASE, STATE_DELTA,
};
use crate::value::{blob_head, pieces, seal, seal_record, unseal_record};

/// Why a commit was not written.
pub(crate) enum ApplyError {
    Read(ReadError),
    OutOfOrder { what: &'static str, expected: u64, found: u64 },
}

impl<E: Into<ReadError>> From<E> for ApplyError {
    fn from(error: E) -> Self {
        Self::Read(error.into())
    }
}

type ApplyResult<T> = Result<T, ApplyError>;

/// Entries kept in the bounded lists.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// Dead letters kept.
    pub dead_letters_max: u64,
    /// Quarantined frames kept.
    pub quarantine_max: u64,
    /// Declared gaps kept.
    pub gaps_max: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { dead_letters_max: 10_000, quarantine_max: 100, gaps_max: 10_000 }
    }
}

/// Writes the format version and an empty head: a directory exists from this commit on.
pub(crate) fn initialise(
    txn: &WriteTransaction,
    identity: &crate::commit::Identity,
) -> ReadResult<()> {
    let mut meta = txn.open_table(META)?;
    let format = [FORMAT_MAGIC, &FORMAT_VERSION.to_le_bytes()].concat();
    meta.insert(META_FORMAT, format.as_slice())?;
    meta.insert(META_IDENTITY, seal_record(identity).as_slice())?;
    meta.insert(META_HEAD, seal_record(&Head::default()).as_slice())?;
    Ok(())
}

/// Writes everything of `commit`; returns the head and the counters that it leaves.
pub(crate) fn apply(
    txn: &WriteTransaction,
    commit: &Commit,
    head: &Head,
    counters: &BTreeMap<String, u64>,
    limits: &LogLimits,
) -> ApplyResult<(Head, BTreeMap<String, u64>)> {
    let mut head = head.clone();
    in_order("epoch", head.epoch + 1, commit.epoch)?;
    head.epoch = commit.epoch;
    if let Some(state) = &commit.state {
        write_state(txn, commit.epoch, state, &mut head)?;
    }
    write_positions(txn, commit)?;
    write_outbox(txn, commit, &mut head)?;
    write_ledger(txn, commit)?;
    write_cold(txn, commit)?;
    let dead_max = limits.dead_letters_max;
    append(txn, DEAD_LETTERS, &commit.dead_letters, dead_max, &mut head.dead_letters)?;
    append(txn, QUARANTINE, &commit.quarantine, limits.quarantine_max, &mut head.quarantine)?;
    append(txn, GAPS, &commit.gaps, limits.gaps_max, &mut head.gaps)?;
    let counters = write_meta(txn, commit, &head, counters)?;
    Ok((head, counters))
}

fn write_state(
    txn: &WriteTransaction,
    epoch: u64,
    state: &StateWrite,
    head: &mut Head,
) -> ApplyResult<()> {
    if state.full {
        // Whole trees are freed without being rewritten.
        txn.delete_table(STATE)?;
        (head.base_bytes, head.delta_bytes) = (0, 0);
    }
    if state.pages.is_empty() {
        return Ok(());
    }
    let kind = if state.full { STATE_BASE } else { STATE_DELTA };
    let blob = join_pages(&state.pages);
    let size = if state.full { &mut head.base_bytes } else { &mut head.delta_bytes };
    *size += blob.len() as u64;
    let mut table = txn.open_table(STATE)?;
    write_blob(&mut table, kind, epoch, state.pages.len() as u64, &blob)?;
    Ok(())
}

fn write_positions(txn: &WriteTransaction, commit: &Commit) -> ApplyResult<()> {
    if commit.positions.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(OFFSETS)?;
    for position in &commit.positions {
        let key = (position.source.as_str(), position.split.as_str());
        match &position.value {
            Some(value) => drop(table.insert(key, seal(value).as_slice())?),
            None => drop(table.remove(key)?),
        }
    }
    Ok(())
}

fn write_outbox(txn: &WriteTransaction, commit: &Commit, head: &mut Head) -> ApplyResult<()> {
    let changes = commit.outbox_acked.len() + commit.outbox_delete.len() + commit.outbox_put.len();
    if changes + commit.outbox_remove.len() == 0 {
        return Ok(());
    }
    let mut table = txn.open_table(OUTBOX)?;
    for &(channel, from, to) in &commit.outbox_remove {
        remove_range(&mut table, head.channels.entry(channel).or_default(), channel, from, to)?;
    }
    for &(channel, upto) in &commit.outbox_acked {
        let state = head.channels.entry(channel).or_default();
        let upto = upto.min(state.next_seq - 1);
        if upto > state.acked_upto {
            state.acked_upto = upto;
            state.acked_bytes = bytes_upto(&table, channel, upto, state)?;
        }
    }
    for &(channel, upto) in &commit.outbox_delete {
        let state = head.channels.entry(channel).or_default();
        let upto = upto.min(state.next_seq - 1);
        if upto >= state.oldest_seq {
            state.deleted_bytes = bytes_upto(&table, channel, upto, state)?;
            let range = (channel, state.oldest_seq, 0)..=(channel, upto, u32::MAX);
            table.retain_in(range, |_, _| false)?;
            state.oldest_seq = upto + 1;
        }
    }
    for row in &commit.outbox_put {
        put_frame(&mut table, row, head)?;
    }
    Ok(())
}

fn remove_range(
    table: &mut Table<'_, BlobKey, Bytes>,
    state: &mut crate::commit::ChannelState,
    channel: u32,
    from: u64,
    to: u64,
) -> ApplyResult<()> {
    // From behind the last number on there may only be left out, not before it.
    in_order("outbox range", state.next_seq.min(from), from)?;
    if from <= state.oldest_seq && to >= state.oldest_seq {
        state.deleted_bytes = bytes_upto(table, channel, to.min(state.next_seq - 1), state)?;
        state.oldest_seq = to + 1;
    }
    table.retain_in((channel, from, 0)..=(channel, to, u32::MAX), |_, _| false)?;
    state.next_seq = state.next_seq.max(to + 1);
    Ok(())
}

/// Sum of the bytes of all frames ever put up to `upto`: each row carries it. Bytes of a removed
/// range count until everything before it is deleted.
fn bytes_upto(
    table: &Table<'_, BlobKey, Bytes>,
    channel: u32,
    upto: u64,
    state: &crate::commit::ChannelState,
) -> ApplyResult<u64> {
    if upto + 1 == state.next_seq {
        return Ok(state.put_bytes);
    }
    if upto < state.oldest_seq {
        return Ok(state.deleted_bytes);
    }
    let last = table.range((channel, state.oldest_seq, 0)..=(channel, upto, u32::MAX))?.next_back();
    let Some(last) = last else { return Ok(state.deleted_bytes) };
    let seq = last?.0.value().1;
    let tag = blob_tag("outbox", table, (channel, seq, 0))?;
    Ok(tag.ok_or_else(|| ReadError::Damaged(format!("outbox: {channel}/{seq} is missing")))?)
}

fn put_frame(
    table: &mut Table<'_, BlobKey, Bytes>,
    row: &OutboxRow,
    head: &mut Head,
) -> ApplyResult<()> {
    let state = head.channels.entry(row.channel).or_default();
    in_order("outbox seq", state.next_seq, row.seq)?;
    state.next_seq += 1;
    state.put_bytes += row.bytes.len() as u64;
    write_blob(table, row.channel, row.seq, state.put_bytes, &row.bytes)?;
    Ok(())
}

fn write_ledger(txn: &WriteTransaction, commit: &Commit) -> ApplyResult<()> {
    let is_apart = mutated(Mutation::MarkApart) && commit.epoch.is_multiple_of(2);
    if !commit.marks.is_empty() && !is_apart {
        let mut table = txn.open_table(LEDGER)?;
        for write in &commit.marks {
            let key = (write.agent.as_str(), write.channel);
            match &write.mark {
                Some(mark) => drop(table.insert(key, seal_record(mark).as_slice())?),
                None => drop(table.remove(key)?),
            }
        }
    }
    if !commit.agents.is_empty() {
        let mut table = txn.open_table(AGENTS)?;
        for (agent, record) in &commit.agents {
            table.insert(agent.as_str(), seal_record(record).as_slice())?;
        }
    }
    Ok(())
}

fn write_cold(txn: &WriteTransaction, commit: &Commit) -> ApplyResult<()> {
    let changes = commit.cold.len() + commit.cold_delete.len() + commit.cold_delete_before.len();
    if changes == 0 {
        return Ok(());
    }
    let mut table = txn.open_table(COLD)?;
    for &(operator, horizon) in &commit.cold_delete_before {
        table.retain_in((operator, i64::MIN, 0)..(operator, horizon, 0), |_, _| false)?;
    }
    for &(operator, end) in &commit.cold_delete {
        table.retain_in((operator, end, 0)..=(operator, end, u32::MAX), |_, _| false)?;
    }
    for write in &commit.cold {
        let key = (write.operator, write.window_end, write.chunk);
        match &write.value {
            Some(value) => drop(table.insert(key, seal(value).as_slice())?),
            None => drop(table.remove(key)?),
        }
    }
    Ok(())
}

/// Appends entries in batches, then removes whole batches from the front until the limit holds.
fn append<T: Serialize + DeserializeOwned>(
    txn: &WriteTransaction,
    definition: TableDefinition<u64, Bytes>,
    entries: &[T],
    entries_max: u64,
    log: &mut LogState,
) -> ApplyResult<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(definition)?;
    for batch in entries.chunks(LOG_BATCH_ENTRIES) {
        table.insert(log.next, seal_record(&batch).as_slice())?;
        log.next += batch.len() as u64;
    }
    // The newest batch always stays, so the limit may be exceeded by one batch.
    while log.count() > entries_max && log.first + (LOG_BATCH_ENTRIES as u64) < log.next {
        let Some((_, value)) = table.pop_first()? else { break };
        let batch: Vec<T> = unseal_record(value.value()).map_err(damaged("log"))?;
        log.first += batch.len() as u64;
        log.dropped += batch.len() as u64;
    }
    Ok(())
}

fn write_meta(
    txn: &WriteTransaction,
    commit: &Commit,
    head: &Head,
    counters: &BTreeMap<String, u64>,
) -> ApplyResult<BTreeMap<String, u64>> {
    let mut meta = txn.open_table(META)?;
    let mut counters = counters.clone();
    if !commit.counters.is_empty() {
        counters.extend(commit.counters.iter().cloned());
        meta.insert(META_COUNTERS, seal_record(&counters).as_slice())?;
    }
    if let Some(plan) = &commit.plan {
        put_if_changed(&mut meta, META_PLAN, &seal_record(plan))?;
    }
    if let Some(identity) = &commit.identity {
        meta.insert(META_IDENTITY, seal_record(identity).as_slice())?;
    }
    for (name, value) in &commit.records {
        let key = format!("{META_RECORD_PREFIX}{name}");
        match value {
            Some(value) => put_if_changed(&mut meta, &key, &seal(value))?,
            None => drop(meta.remove(key.as_str())?),
        }
    }
    let mut head = head.clone();
    if mutated(Mutation::ForgetNextSeq) {
        head.channels.values_mut().for_each(|channel| channel.next_seq = channel.first_unacked());
    }
    meta.insert(META_HEAD, seal_record(&head).as_slice())?;
    Ok(counters)
}

fn put_if_changed(meta: &mut Table<'_, &str, Bytes>, key: &str, value: &[u8]) -> ReadResult<()> {
    let same = meta.get(key)?.is_some_and(|stored| stored.value() == value);
    if !same {
        meta.insert(key, value)?;
    }
    Ok(())
}

fn write_blob(
    table: &mut Table<'_, BlobKey, Bytes>,
    group: u32,
    number: u64,
    tag: u64,
    content: &[u8],
) -> ReadResult<()> {
    let blob = [&blob_head(tag, content.len()), content].concat();
    for (piece, bytes) in (0..).zip(pieces(&blob)) {
        table.insert((group, number, piece), seal(bytes).as_slice())?;
    }
    Ok(())
}

fn in_order(what: &'static str, expected: u64, found: u64) -> ApplyResult<()> {
    if expected == found { Ok(()) } else { Err(ApplyError::OutOfOrder { what, expected, found }) }
}
