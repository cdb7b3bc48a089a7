//! The files that the core fragment reads: tables that are looked up, and streams.
//!
//! Guarantees: no frame is taken before each table has been loaded once; a content replaces the one
//! before in one step. A stream holds the watermark from the start, until it is at its end or idle.
//! Positions are in one commit with the frames that met what was read. Other connectors are read at
//! the edge alone, and nothing is aligned here.

use headwater_engine::fragment::Fragment;
use headwater_engine::operator::WATERMARK_MIN;
use headwater_engine::pipeline::SplitId;
use headwater_plan::Plan;
use headwater_store::{PositionWrite, Snapshot};

use crate::agent::Now;
use crate::clock::{Keeper, Rules, Synchronised, Trust};
use crate::driver::RunError;
use crate::driver::wiring::{self, Environment};
use crate::metrics::Registry;
use crate::source::{Source, SourceBatch, SourceEvent};
use crate::task::{Origin, Task};

/// Events taken from one file before frames have their turn.
const EVENTS_PER_TURN: usize = 8;

/// The files, in the order of their scans.
pub(super) struct Sources {
    inputs: Vec<Input>,
    /// What their future guard goes by.
    keeper: Keeper,
    synchronised: Synchronised,
}

struct Input {
    scan: usize,
    split: SplitId,
    name: String,
    source: Box<dyn Source>,
    is_table: bool,
    idle_timeout_ms: Option<i64>,
    last_record_ms: i64,
    is_idle: bool,
}

impl Sources {
    /// Opens the files where the last commit left them.
    pub(super) fn open(
        (plan, fragment): (&Plan, &Fragment),
        task: &mut Task,
        snapshot: &Snapshot,
        env: &Environment<'_>,
        now: Now,
    ) -> Result<Self, RunError> {
        let positions = snapshot.positions()?;
        let mut inputs = Vec::new();
        for (scan, spec) in fragment.scans.iter().enumerate() {
            let Some(table) = plan.table(&spec.name) else { continue };
            let parts = positions.iter().filter(|((source, _), _)| *source == spec.name);
            let position = parts.map(|((_, part), value)| (part.clone(), value.clone())).collect();
            inputs.push(Input {
                scan,
                split: task.split(scan, SPLIT),
                name: spec.name.clone(),
                source: wiring::open_source(table, &position, env)?,
                is_table: table.is_looked_up,
                idle_timeout_ms: wiring::idle_timeout_ms(plan, table)
                    .filter(|_| !table.is_looked_up),
                last_record_ms: now.mono_ms,
                is_idle: false,
            });
        }
        let rules = Rules { trust: Trust::Plausible, ..Rules::default() };
        let keeper = Keeper::new(rules, 0, None, now)?;
        Ok(Sources { inputs, keeper, synchronised: Synchronised::default() })
    }

    /// Whether a table has never been loaded: frames wait.
    pub(super) fn are_awaited(&self, task: &Task) -> bool {
        let is_empty = |input: &Input| task.watermark(input.scan) == WATERMARK_MIN;
        self.inputs.iter().any(|input| input.is_table && is_empty(input))
    }

    /// Reads what there is; false when there was nothing.
    pub(super) fn read(
        &mut self,
        task: &mut Task,
        registry: &Registry,
        now: Now,
    ) -> Result<bool, RunError> {
        if self.inputs.is_empty() {
            return Ok(false);
        }
        self.keeper.observe(now, self.synchronised.ask(now));
        task.set_clock(self.keeper.guard_ms(now));
        let mut is_busy = false;
        let awaited = self.are_awaited(task);
        for input in self.inputs.iter_mut().filter(|input| input.is_table || !awaited) {
            for _ in 0..EVENTS_PER_TURN {
                let Some(event) = input.source.poll() else {
                    input.watch_idleness(task, now);
                    break;
                };
                input.take(event, task, registry, now)?;
                is_busy = true;
            }
        }
        Ok(is_busy)
    }

    /// What the next commit stores.
    pub(super) fn positions(&mut self) -> Vec<PositionWrite> {
        let mut positions = Vec::new();
        for Input { name, source, .. } in &mut self.inputs {
            source.position(&mut |split, value| {
                positions.push(PositionWrite { source: name.clone(), split, value: Some(value) });
            });
        }
        positions
    }

    /// The commit is durable.
    pub(super) fn committed(&mut self) {
        for input in &mut self.inputs {
            input.source.committed();
        }
    }
}

impl Input {
    fn take(
        &mut self,
        event: SourceEvent,
        task: &mut Task,
        registry: &Registry,
        now: Now,
    ) -> Result<(), RunError> {
        let component = format!("source {}", self.name);
        match event {
            SourceEvent::Batch(batch) => self.take_batch(batch, task, now),
            SourceEvent::Rejected { split, after, reason, sample, bytes_len } => {
                let detail = format!("{reason} ({bytes_len} bytes)");
                task.reject(self.scan, detail, &sample, now.wall_ms);
                self.source.consumed(split, after);
            }
            SourceEvent::Gap { reason, .. } => {
                tracing::error!(source = self.name, reason, "Readings are missing.");
                registry.counter("headwater_source_gaps_total", "Gaps in sources.", &[]).add(1);
            }
            SourceEvent::Connected { up: true, .. } => registry.well(&component),
            SourceEvent::Connected { detail, .. } => registry.unwell(&component, &detail),
            SourceEvent::Loaded { load } => {
                let number = i64::try_from(load).expect("loads are counted from 1");
                task.raise(self.scan, self.split, number);
                self.source.consumed(0, load);
                tracing::info!(table = self.name, load, "The table is loaded.");
                let help = "Loads of a table that is looked up, in this life of the process.";
                let labels = [("table", self.name.as_str())];
                registry.counter("headwater_table_loads_total", help, &labels).add(1);
            }
            SourceEvent::SplitEnd { .. } => {}
            SourceEvent::End => task.end(self.scan),
            SourceEvent::Failed { reason } => {
                return Err(RunError::Failed(format!("{component}: {reason}")));
            }
        }
        Ok(())
    }

    fn take_batch(&mut self, batch: SourceBatch, task: &mut Task, now: Now) {
        self.last_record_ms = now.mono_ms;
        if std::mem::take(&mut self.is_idle) {
            task.set_idle(self.scan, self.split, false);
        }
        for (number, record) in batch.records.iter().enumerate() {
            let (scan, split) = (self.scan, self.split);
            // A server's clock is taken as it is: nothing waits for it here.
            let origin = Origin { scan, split, topic: None, arrival_ms: now.wall_ms };
            task.record(origin, batch.record(number), now.wall_ms);
            self.source.consumed(batch.split, record.after);
        }
        self.source.recycle(batch);
    }

    /// A stream without records for its idle timeout does not hold the watermark back.
    fn watch_idleness(&mut self, task: &mut Task, now: Now) {
        let Some(timeout) = self.idle_timeout_ms else { return };
        if !self.is_idle && now.mono_ms - self.last_record_ms >= timeout {
            self.is_idle = true;
            task.set_idle(self.scan, self.split, true);
        }
    }
}

/// The name of a file's only split.
const SPLIT: &str = "0";
