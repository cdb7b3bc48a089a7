//! Reading the sources of a node.

use std::time::Instant;

use headwater_engine::operator::WATERMARK_MIN;
use headwater_engine::pipeline::SplitId;

use super::alignment::Alignment;
use super::arrivals::{self, Arrivals};
use super::{Node, UNDELIVERED_BYTES_MAX};
use crate::agent::Now;
use crate::clock::Arrival;
use crate::driver::RunError;
use crate::source::{Source, SourceBatch, SourceEvent};
use crate::task::Origin;

/// One source table.
pub(in crate::driver) struct Input {
    pub(in crate::driver) scan: usize,
    pub(in crate::driver) name: String,
    pub(in crate::driver) source: Box<dyn Source>,
    /// Splits by the source's number, with the time of the last record.
    pub(in crate::driver) splits: Vec<Option<(SplitId, i64)>>,
    /// All splits are one for the watermark: files that are read one after the other.
    pub(in crate::driver) is_sequential: bool,
    pub(in crate::driver) idle_timeout_ms: Option<i64>,
    pub(in crate::driver) is_idle: bool,
    pub(in crate::driver) is_ended: bool,
    /// The content of a table that is looked up: read before all else, and it ends with the others.
    pub(in crate::driver) is_table: bool,
    /// Waits for others of its group where it runs ahead.
    pub(in crate::driver) alignment: Option<Alignment>,
    /// The batch in which it had to stop, and the next record of it.
    pub(in crate::driver) held: Option<(SourceBatch, usize)>,
    /// In-flight window of the server, as shown last.
    pub(in crate::driver) window: Option<usize>,
    /// Rows have the time of their arrival.
    pub(in crate::driver) is_stamped: bool,
    /// When they came, where that is so.
    pub(in crate::driver) arrivals: Arrivals,
}

/// Set in the length of a source's name: the times of arrival follow the name.
const HAS_ARRIVALS: u16 = 1 << 15;

/// The beginning of a journal entry: whose it is, and when its messages came; `None` where that is
/// not known whole.
fn journal_entry(input: &Input, boot_id: u64) -> Option<Vec<u8>> {
    let length = u16::try_from(input.name.len()).expect("names of tables are short");
    let flag = if input.is_stamped { HAS_ARRIVALS } else { 0 };
    let mut entry = [&(length | flag).to_le_bytes(), input.name.as_bytes()].concat();
    (!input.is_stamped || input.arrivals.encode(boot_id, &mut entry)).then_some(entry)
}

/// Gives the sources back what the journal holds beyond the last checkpoint.
pub(super) fn replay(inputs: &mut [Input], entries: &[Vec<u8>]) -> Result<(), RunError> {
    let foreign = || RunError::StateOfAnotherPlan("the intake journal is of another plan".into());
    for entry in entries {
        let (length, rest) = entry.split_first_chunk().ok_or_else(foreign)?;
        let length = u16::from_le_bytes(*length);
        let (has_arrivals, length) = (length & HAS_ARRIVALS != 0, length & !HAS_ARRIVALS);
        let (name, mut content) = rest.split_at_checked(length.into()).ok_or_else(foreign)?;
        let mut came = None;
        if has_arrivals {
            let (boot_id, runs, rest) = arrivals::decode(content).ok_or_else(foreign)?;
            (came, content) = (Some((boot_id, runs)), rest);
        }
        let input = inputs.iter_mut().find(|input| input.name.as_bytes() == name);
        let input = input.ok_or_else(foreign)?;
        let replayed = input.source.replay(content);
        let messages = replayed.map_err(|error| RunError::Failed(error.to_string()))?;
        if let Some((boot_id, runs)) = came.filter(|_| input.is_stamped) {
            input.arrivals.replay(&runs, boot_id, messages);
        }
    }
    Ok(())
}

/// Rows that waited for the time and go on in one turn.
const RELEASED_PER_TURN: usize = 4096;
/// Events taken from one source before the others have their turn.
const EVENTS_PER_TURN: usize = 8;

impl Node {
    /// Reads from all sources; false when there was nothing.
    pub(super) fn read(&mut self, now: Now) -> Result<bool, RunError> {
        if self.is_paused() {
            self.registry.unwell("outbox", "the outbox is full: sources wait");
            return Ok(false);
        }
        self.registry.well("outbox");
        let wait_for_tables = self.inputs.iter().any(|input| self.is_empty_table(input));
        let mut is_busy = !wait_for_tables && self.release(now);
        if self.agent.wants_checkpoint(now) || self.is_paused() {
            return Ok(is_busy);
        }
        'sources: for index in 0..self.inputs.len() {
            if wait_for_tables && !self.inputs[index].is_table {
                continue;
            }
            for _ in 0..EVENTS_PER_TURN {
                if self.has_to_wait(index) {
                    continue 'sources;
                }
                if let Some((batch, from)) = self.inputs[index].held.take() {
                    self.take_batch(index, batch, from, now)?;
                } else if let Some(event) = self.inputs[index].source.poll() {
                    self.take(index, event, now)?;
                } else {
                    break;
                }
                is_busy = true;
                if self.agent.wants_checkpoint(now) || self.is_paused() {
                    return Ok(true);
                }
            }
            self.watch_idleness(index, now);
        }
        Ok(is_busy)
    }

    /// Whether a table has never been loaded.
    fn is_empty_table(&self, input: &Input) -> bool {
        input.is_table && self.agent.task.watermark(input.scan) == WATERMARK_MIN
    }

    fn is_paused(&self) -> bool {
        let undelivered: usize = self.undelivered.iter().map(|chunk| chunk.2.len()).sum();
        self.agent.is_paused() || undelivered > UNDELIVERED_BYTES_MAX
    }

    fn take(&mut self, index: usize, event: SourceEvent, now: Now) -> Result<(), RunError> {
        let component = format!("source {}", self.inputs[index].name);
        match event {
            SourceEvent::Batch(batch) => self.take_batch(index, batch, 0, now)?,
            SourceEvent::Rejected { split, after, reason, sample, bytes_len } => {
                let detail = format!("{reason} ({bytes_len} bytes)");
                let scan = self.inputs[index].scan;
                self.arrival(index, now);
                self.agent.task.reject(scan, detail, &sample, now.wall_ms);
                self.inputs[index].source.consumed(split, after);
                self.records += 1;
            }
            SourceEvent::Gap { reason, .. } => {
                tracing::error!(source = self.inputs[index].name, reason, "Readings are missing.");
                self.registry
                    .counter("headwater_source_gaps_total", "Gaps in sources.", &[])
                    .add(1);
            }
            SourceEvent::Connected { up: true, .. } => self.registry.well(&component),
            SourceEvent::Connected { detail, .. } => self.registry.unwell(&component, &detail),
            SourceEvent::Loaded { load } => {
                let split = self.split(index, 0, now);
                let input = &mut self.inputs[index];
                let number = i64::try_from(load).expect("loads are counted from 1");
                self.agent.task.raise(input.scan, split, number);
                input.source.consumed(0, load);
                self.records += 1;
                tracing::info!(table = input.name, load, "The table is loaded.");
                let help = "Loads of a table that is looked up, in this life of the process.";
                let labels = [("table", input.name.as_str())];
                self.registry.counter("headwater_table_loads_total", help, &labels).add(1);
            }
            SourceEvent::SplitEnd { .. } => {}
            SourceEvent::End => self.inputs[index].is_ended = true,
            SourceEvent::Failed { reason } => {
                return Err(RunError::Failed(format!("{component}: {reason}")));
            }
        }
        Ok(())
    }

    /// Takes the records of a batch from the one at `from` on, as far as the source may run.
    fn take_batch(
        &mut self,
        index: usize,
        batch: SourceBatch,
        from: usize,
        now: Now,
    ) -> Result<(), RunError> {
        let split = self.split(index, batch.split, now);
        let Input { scan, is_stamped, is_sequential, .. } = self.inputs[index];
        self.last_record_ms = now.mono_ms;
        let mut next = from;
        for (number, record) in batch.records.iter().enumerate().skip(from) {
            if number > from && self.has_to_wait(index) {
                break;
            }
            next = number + 1;
            let origin = Origin { scan, split, topic: batch.topic(number), arrival_ms: 0 };
            if is_stamped {
                let arrival = self.arrival(index, now);
                let number_of_split = if is_sequential { 0 } else { batch.split };
                self.agent.take(origin, number_of_split, batch.record(number), arrival, now);
            } else {
                self.agent.task.record(origin, batch.record(number), now.wall_ms);
            }
            self.records += 1;
            if self.setup.checkpoint_every_rows.is_some_and(|every| self.records >= every) {
                self.inputs[index].source.consumed(batch.split, record.after);
                self.checkpoint()?;
            }
        }
        self.metrics.records.add((next - from) as u64);
        let input = &mut self.inputs[index];
        if let Some(last) = next.checked_sub(1).and_then(|last| batch.records.get(last)) {
            input.source.consumed(batch.split, last.after);
        }
        if next < batch.records.len() {
            input.held = Some((batch, next));
        } else {
            input.source.recycle(batch);
        }
        Ok(())
    }

    /// When the next record of a source came.
    fn arrival(&mut self, index: usize, now: Now) -> Arrival {
        let now = self.agent.arrival(now);
        let input = &mut self.inputs[index];
        if input.is_stamped { input.arrivals.next(now) } else { now }
    }

    /// Whether a source has to wait: for others of its group, or because too many of its rows wait
    /// for the time. A source that waits is not an idle one.
    fn has_to_wait(&self, index: usize) -> bool {
        let is_full = self.inputs[index].is_stamped && self.agent.held().is_full();
        is_full || self.is_ahead(index)
    }

    /// Rows that waited for the time go on before new ones come.
    fn release(&mut self, now: Now) -> bool {
        let mut is_busy = false;
        for _ in 0..RELEASED_PER_TURN {
            if self.is_paused() || self.agent.wants_checkpoint(now) || !self.agent.release(now) {
                break;
            }
            is_busy = true;
        }
        is_busy
    }

    /// Lets servers go on that wait for a commit: by an entry of the intake journal where that is
    /// possible, as a checkpoint costs the flash far more.
    pub(super) fn commit_intake(&mut self) -> Result<(), RunError> {
        let now = Instant::now();
        for index in 0..self.inputs.len() {
            let input = &mut self.inputs[index];
            if input.source.commit_due().is_none_or(|due| due > now) {
                continue;
            }
            let entry = journal_entry(input, self.agent.keeper().boot_id());
            let entry =
                entry.and_then(|mut entry| input.source.journal(&mut entry).then_some(entry));
            let written = match (&mut self.store, entry) {
                (Some(store), Some(entry)) => store.append_journal(&entry),
                _ => Ok(None),
            };
            match written {
                Ok(Some(_)) => {
                    input.source.journaled();
                    input.arrivals.committed();
                    self.metrics.intake_commits.add(1);
                    let now = self.now();
                    self.count_flash(now);
                }
                Ok(None) => return self.checkpoint(),
                Err(error) => {
                    tracing::warn!(%error, "The intake journal failed; taking a checkpoint.");
                    return self.checkpoint();
                }
            }
        }
        Ok(())
    }

    /// The engine's split of a source's split, live from now on.
    fn split(&mut self, index: usize, number: u32, now: Now) -> SplitId {
        let input = &mut self.inputs[index];
        let number = if input.is_sequential { 0 } else { number as usize };
        if input.splits.len() <= number {
            input.splits.resize(number + 1, None);
        }
        let is_idle = std::mem::replace(&mut input.is_idle, false);
        let split = match input.splits[number] {
            Some((split, _)) => split,
            None => self.agent.task.split(input.scan, &number.to_string()),
        };
        input.splits[number] = Some((split, now.mono_ms));
        if is_idle || input.idle_timeout_ms.is_some() {
            self.agent.task.set_idle(input.scan, split, false);
        }
        split
    }

    /// Splits without records for the idle timeout do not hold the watermark back. An overloaded
    /// source is not an idle one: this is called only when the source had nothing more.
    fn watch_idleness(&mut self, index: usize, now: Now) {
        let input = &mut self.inputs[index];
        let Some(timeout) = input.idle_timeout_ms else { return };
        // A source that has never sent anything is silent from here on.
        if input.splits.is_empty() {
            let split = self.agent.task.split(input.scan, "0");
            input.splits.push(Some((split, now.mono_ms)));
        }
        // What waits for the time is still to come.
        if self.agent.held().has_scan(input.scan) {
            return;
        }
        let mut is_idle = true;
        let mut silent = Vec::new();
        for (split, last) in input.splits.iter().flatten() {
            if now.mono_ms - last >= timeout {
                silent.push((input.scan, *split));
            } else {
                is_idle = false;
            }
        }
        if is_idle && input.is_idle {
            return;
        }
        input.is_idle = is_idle && !silent.is_empty();
        for (scan, split) in silent {
            self.agent.task.set_idle(scan, split, true);
        }
    }
}
