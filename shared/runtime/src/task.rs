//! A fragment with its formats: records in, chunks of lines and payloads of rows out.
//!
//! Guarantees: what a record caused (rows, drops, dead letters) is in the task's buffers and in the
//! pipeline's state when the call returns; [`Task::checkpoint`] hands all of it over as one commit.
//! Pure: takes no clock and does no input or output. It does not number frames and does not know
//! acknowledgements: see `agent` and `hub`.

mod outputs;
mod sink_port;

use std::collections::BTreeMap;

use crate::format::{Decoded, Decoder};
use headwater_engine::context::Context;
use headwater_engine::expr::CompileError;
use headwater_engine::fragment::Fragment;
use headwater_engine::limits::Limits;
use headwater_engine::mutation::{Mutation, mutated};
use headwater_engine::operator::{Progress, Reason, RestoreError, Timestamp};
use headwater_engine::pipeline::{CheckpointWriter, Pipeline, SplitId};
use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_store::{ColdWrite, Commit, DeadLetter, StateRead, StateWrite};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use outputs::time_column;
pub use outputs::{Batch, OutputPort, Outputs, SinkMode};

/// Columns that come with a record rather than in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// The topic of a message.
    Topic,
    /// The segment of the topic at this position, from 1.
    TopicSegment(usize),
    /// A text that is the same for all records, such as the agent's id.
    Constant(String),
    /// The time at which the record came to this node.
    Arrival,
}

/// How the records of a scan become rows.
pub struct ScanPort {
    /// Name of the source table or of the exchange.
    pub name: String,
    /// The format; `None` for an exchange.
    pub decoder: Option<Decoder>,
    /// Metadata columns by position among the decoded columns.
    pub metadata: Vec<(usize, Metadata)>,
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Scan of the fragment.
    pub scan: usize,
    /// Split of the scan.
    pub split: SplitId,
    /// Topic, for sources that have topics.
    pub topic: Option<&'a [u8]>,
    /// The time of the record's arrival, for scans with a column of it.
    pub arrival_ms: i64,
}

/// A node's own record as it is stored: a version, then its fields.
pub(crate) fn write_record<T: Serialize>(record: &T, version: u8) -> Vec<u8> {
    postcard::to_extend(record, vec![version]).expect("a record has a known length")
}

/// Reads a stored record; the default where there is none.
///
/// # Errors
/// When it is of another version.
pub(crate) fn read_record<T: DeserializeOwned + Default>(
    stored: Option<&[u8]>,
    version: u8,
) -> Result<T, RestoreError> {
    let Some(bytes) = stored else { return Ok(T::default()) };
    let (found, fields) = bytes.split_first().ok_or_else(unreadable)?;
    if *found != version {
        return Err(RestoreError(format!(
            "the node's record is of version {found}, not {version}"
        )));
    }
    postcard::from_bytes(fields).map_err(|_| unreadable())
}

fn unreadable() -> RestoreError {
    RestoreError("the node's record is unreadable".into())
}

/// Reads cold state: (step, time) to value.
pub type ColdReader<'a> = dyn FnMut(usize, Timestamp) -> Option<Vec<u8>> + 'a;

/// A running fragment.
pub struct Task {
    pipeline: Pipeline,
    scans: Vec<ScanPort>,
    out: Outputs,
    /// Rows since the last checkpoint.
    changes: u64,
    /// Rows decoded in this life of the process.
    rows_in: u64,
    /// Rows decoded in earlier lives, as of the checkpoint that this one goes on from.
    rows_in_before: u64,
    cold_horizon: Vec<(usize, i64)>,
    /// Scans whose watermark is a time: the others are tables that are looked up.
    timed_scans: Vec<usize>,
}

impl Task {
    /// A task for `fragment`.
    pub fn new(
        fragment: &Fragment,
        limits: &Limits,
        scans: Vec<ScanPort>,
        outputs: Vec<OutputPort>,
    ) -> Result<Self, CompileError> {
        Ok(Task {
            pipeline: Pipeline::build(fragment, limits)?,
            scans,
            out: Outputs::new(fragment, outputs),
            changes: 0,
            rows_in: 0,
            rows_in_before: 0,
            cold_horizon: outputs::cold_horizons(fragment),
            timed_scans: (0..fragment.scans.len())
                .filter(|scan| fragment.table_scans().all(|table| table != *scan))
                .collect(),
        })
    }

    /// Lets the rows that the plan itself holds in, unless the restored state has them already.
    pub fn start(&mut self, wall_ms: i64) {
        if self.pipeline.is_new() {
            self.changes += 1;
            self.out.begin(&[], wall_ms);
            let progress = self.pipeline.start(&mut self.out);
            self.finish(progress);
        }
    }

    /// The split of this name, new if need be.
    pub fn split(&mut self, scan: usize, name: &str) -> SplitId {
        self.pipeline.split(scan, name)
    }

    /// Decodes and processes one record; `wall_ms` dates a dead letter.
    pub fn record(&mut self, origin: Origin<'_>, record: &[u8], wall_ms: i64) {
        self.changes += 1;
        let port = &mut self.scans[origin.scan];
        let (slots, nulls, context) = self.pipeline.row_buffer(origin.scan);
        let decoder = port.decoder.as_mut().expect("exchanges do not take records");
        match decoder.decode(record, slots, nulls, context) {
            Ok(Decoded::Row) => {}
            Ok(Decoded::Skipped) => return,
            Err(error) => {
                let (reason, detail) = (error.reason.as_str(), error.to_string());
                self.out.dead_letter(&port.name, reason, detail, record, wall_ms);
                return;
            }
        }
        for (column, metadata) in &port.metadata {
            put_metadata(*column, metadata, origin, slots, nulls, context);
        }
        self.rows_in += 1;
        self.out.begin(record, wall_ms);
        let progress = self.pipeline.push(origin.scan, origin.split, &mut self.out);
        self.finish(progress);
    }

    /// Sets a record aside that did not even reach a decoder.
    pub fn reject(&mut self, scan: usize, detail: String, sample: &[u8], wall_ms: i64) {
        self.changes += 1;
        let name = self.scans[scan].name.clone();
        self.out.dead_letter(&name, "too-large", detail, sample, wall_ms);
    }

    /// Processes a row of an exchange; `cold` reads what corrections need.
    pub fn exchange_row(
        &mut self,
        scan: usize,
        row: Row<'_>,
        cold: &mut ColdReader<'_>,
    ) -> Result<(), RestoreError> {
        self.changes += 1;
        self.rows_in += 1;
        while let Some((step, time)) = self.pipeline.cold_wanted(scan, row) {
            let value = cold(step, time).filter(|_| !mutated(Mutation::ForgetFired));
            self.pipeline.cold_load(step, time, value.as_deref())?;
        }
        self.out.begin(&[], 0);
        let progress = self.pipeline.push_row(scan, row, &mut self.out);
        self.finish(progress);
        Ok(())
    }

    /// The context, for decoding a row of an exchange; its arena is emptied.
    pub(crate) fn exchange_context(&mut self) -> &mut Context {
        let context = self.pipeline.context();
        context.arena.clear();
        context
    }

    /// Raises the watermark of a split.
    pub fn raise(&mut self, scan: usize, split: SplitId, watermark: Timestamp) {
        let progress = self.pipeline.raise(scan, split, watermark, &mut self.out);
        self.finish(progress);
    }

    /// Takes a split out of the minimum, or back in.
    pub fn set_idle(&mut self, scan: usize, split: SplitId, is_idle: bool) {
        let progress = self.pipeline.set_idle(scan, split, is_idle, &mut self.out);
        self.finish(progress);
    }

    /// Whether all sources of an exchange are idle, by its channel.
    pub fn is_exchange_idle(&self, channel: u32) -> bool {
        self.out.exchange(channel).is_some_and(|output| self.pipeline.is_output_idle(output))
    }

    /// The end of a scan.
    pub fn end(&mut self, scan: usize) {
        self.changes += 1;
        let progress = self.pipeline.end(scan, &mut self.out);
        self.finish(progress);
    }

    /// The trusted wall clock, for the future guard.
    pub fn set_clock(&mut self, wall_ms: Option<i64>) {
        self.pipeline.set_clock(wall_ms);
    }

    fn finish(&mut self, mut progress: Progress) {
        while progress == Progress::More {
            progress = self.pipeline.advance(&mut self.out);
        }
    }

    /// Watermark of a scan.
    pub fn watermark(&self, scan: usize) -> Timestamp {
        self.pipeline.watermark(scan)
    }

    /// The smallest watermark of the scans that have one.
    pub fn event_time(&self) -> Option<Timestamp> {
        self.timed_scans.iter().map(|scan| self.pipeline.watermark(*scan)).min()
    }

    /// Whether rows of a scan have the time of their arrival.
    pub fn is_stamped(&self, scan: usize) -> bool {
        self.scans[scan].metadata.iter().any(|(_, metadata)| *metadata == Metadata::Arrival)
    }

    /// Scans, in order.
    pub fn scans(&self) -> &[ScanPort] {
        &self.scans
    }

    /// Whether a checkpoint would have something to store.
    pub fn is_dirty(&self) -> bool {
        self.changes > 0 || self.out.bytes_pending() > 0
    }

    /// Whether state waits in memory for a checkpoint to take it to the disk.
    pub fn wants_checkpoint(&self) -> bool {
        self.pipeline.wants_checkpoint()
    }

    /// Rows processed since the last checkpoint.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Bytes of results that wait for the next checkpoint.
    pub fn bytes_pending(&self) -> usize {
        self.out.bytes_pending()
    }

    /// Rows decoded in this life of the process.
    pub fn rows_in(&self) -> u64 {
        self.rows_in
    }

    /// Buffers and counts.
    pub fn outputs(&mut self) -> &mut Outputs {
        &mut self.out
    }

    /// Totals by place and reason, since the state directory was made.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = self.out.counts();
        counts.insert(ROWS_IN.into(), self.rows_in_before + self.rows_in);
        counts
    }

    /// Puts totals of earlier lives back.
    pub fn restore_counts(&mut self, counters: &BTreeMap<String, u64>) {
        self.out.restore_counts(counters);
        self.rows_in_before = counters.get(ROWS_IN).copied().unwrap_or(0);
    }

    /// Adds state, cold state, dead letters and totals to `commit`.
    pub fn checkpoint(&mut self, full: bool, commit: &mut Commit) {
        self.changes = 0;
        self.out.settle();
        let mut pages = Pages { commit, pages: Vec::new() };
        self.pipeline.checkpoint(full, &mut pages);
        let pages = pages.pages;
        commit.state = Some(StateWrite { full, pages });
        for &(step, correction_ms) in &self.cold_horizon {
            let horizon = self.event_time().unwrap_or(i64::MIN).saturating_sub(correction_ms);
            if horizon > headwater_engine::pipeline::TIME_MIN && horizon < i64::MAX - correction_ms
            {
                commit.cold_delete_before.push((operator_number(step), horizon));
            }
        }
        commit.dead_letters.append(&mut self.out.take_dead_letters());
        commit.counters.extend(self.counts());
    }

    /// Puts stored state back.
    pub fn restore(&mut self, state: &StateRead) -> Result<(), RestoreError> {
        let deltas = if mutated(Mutation::RestoreBaseOnly) { &[] } else { &state.deltas[..] };
        for page in state.base.iter().chain(deltas) {
            self.pipeline.restore(page)?;
        }
        self.pipeline.restored();
        Ok(())
    }

    /// Why and where a row was dropped, as a key of [`counts`](Task::counts).
    pub fn count_name(&self, step: Option<usize>, reason: Reason) -> String {
        self.out.count_name(step, reason)
    }
}

/// Name of the total of rows decoded.
const ROWS_IN: &str = "rows-in";

/// Number of a step in the store.
pub fn operator_number(step: usize) -> u32 {
    u32::try_from(step).expect("a fragment has at most STEPS_MAX steps")
}

struct Pages<'a> {
    commit: &'a mut Commit,
    pages: Vec<Vec<u8>>,
}

impl CheckpointWriter for Pages<'_> {
    fn page(&mut self, page: &[u8]) {
        self.pages.push(page.to_vec());
    }

    fn cold(&mut self, step: usize, time: Timestamp, value: &[u8]) {
        let operator = operator_number(step);
        self.commit.cold_delete.push((operator, time));
        let chunks = value.chunks(COLD_CHUNK_BYTES).zip(0u32..);
        self.commit.cold.extend(chunks.map(|(bytes, chunk)| ColdWrite {
            operator,
            window_end: time,
            chunk,
            value: Some(bytes.to_vec()),
        }));
    }
}

/// Bytes of one row of cold state.
const COLD_CHUNK_BYTES: usize = 32 << 10;

fn put_metadata(
    column: usize,
    metadata: &Metadata,
    origin: Origin<'_>,
    slots: &mut [Slot],
    nulls: &mut u64,
    context: &mut Context,
) {
    let text = match metadata {
        Metadata::Arrival => {
            slots[column] = Slot::timestamp(origin.arrival_ms, 0);
            *nulls &= !(1 << column);
            return;
        }
        Metadata::Constant(text) => Some(text.as_bytes()),
        Metadata::Topic => origin.topic,
        Metadata::TopicSegment(position) => origin
            .topic
            .and_then(|topic| topic.split(|byte| *byte == b'/').nth(position.saturating_sub(1))),
    };
    *nulls |= 1 << column;
    slots[column] = Slot::ZERO;
    if let Some(text) = text {
        let value = context.put_bytes(text);
        slots[column] = value.slot;
        *nulls &= !(u64::from(!value.is_null()) << column);
    }
}

/// Cuts a record to what a dead letter keeps.
pub(crate) fn dead_letter(
    place: &str,
    reason: &str,
    detail: String,
    record: &[u8],
    at_ms: i64,
) -> DeadLetter {
    let bytes = record[..record.len().min(DEAD_LETTER_BYTES_MAX)].to_vec();
    DeadLetter { at_ms, place: place.into(), reason: reason.into(), detail, bytes }
}

/// Bytes of a record that a dead letter keeps.
const DEAD_LETTER_BYTES_MAX: usize = 4096;
