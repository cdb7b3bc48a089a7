//! The contract of an operator, and the emitter through which it calls the next stage.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use crate::{
    context::{Context, Fault},
    inbox::Inbox,
    row::Row,
};

/// Milliseconds since the Unix epoch, UTC.
pub type Timestamp = i64;

/// The watermark before anything is known.
pub const WATERMARK_MIN: Timestamp = i64::MIN;
/// The watermark after the end of input.
pub const WATERMARK_MAX: Timestamp = i64::MAX;

/// Input of a step: 0, or 1 for the right side of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u8);

/// Whether `advance` has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All that was due is emitted.
    Done,
    /// The output is full: drain it and call again.
    More,
}

/// Why a row left the stream on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its event time is behind the watermark by the operator's own rule.
    Late,
    /// Its key was seen before.
    Repeat,
    /// It takes away a row that is not there, or no longer.
    Unmatched,
    /// It is late beyond the time in which results can be corrected.
    BeyondCorrection,
    /// It would correct a result of a sink that takes only new rows.
    Correction,
    /// An old entry was forgotten to make room for it; the row itself went on.
    Evicted,
    /// Set aside with a fault.
    Fault(Fault),
}

impl Reason {
    /// The word used in counters, side outputs and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Late => "late",
            Reason::Repeat => "repeat",
            Reason::Unmatched => "unmatched",
            Reason::BeyondCorrection => "beyond-correction-horizon",
            Reason::Correction => "correction",
            Reason::Evicted => "evicted",
            Reason::Fault(fault) => fault.as_str(),
        }
    }
}

/// Stored state that does not fit the operator: of another plan, or damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreError(pub String);

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for RestoreError {}

/// Takes the changes of one operator's state since the last checkpoint.
pub trait StateWriter {
    /// Sets (`Some`) or deletes (`None`) one entry.
    fn entry(&mut self, key: &[u8], value: Option<&[u8]>);
    /// Sets what is kept on disk only, by time; replaces an earlier value.
    fn cold(&mut self, time: Timestamp, value: &[u8]);
}

/// A step at work. Calls do a bounded amount of work; none touches clock, randomness or I/O.
///
/// A row may have more results than there is room for, as in a join. Such an operator is
/// [resumable](Operator::is_resumable): it stops when [`Emitter::has_room`] says no, and goes on in
/// [`resume`](Operator::resume). Rows that reach it in between wait in order in the pipeline, and
/// what comes before it is told that there is no room.
pub trait Operator: Send {
    /// Takes a row; emits at most [`fanout_max`](Operator::fanout_max) rows, or as many as there is
    /// room for if it is resumable. It is not called while the row before is unfinished.
    fn push(&mut self, port: Port, row: Row<'_>, out: &mut Emitter<'_>);

    /// Whether a `push` may stay unfinished.
    fn is_resumable(&self) -> bool {
        false
    }

    /// Whether the last row that was pushed has results that are not emitted.
    fn is_unfinished(&self) -> bool {
        false
    }

    /// Goes on with an unfinished row.
    fn resume(&mut self, out: &mut Emitter<'_>) -> Progress {
        let _ = out;
        Progress::Done
    }

    /// How far the event times of its results may be behind its own watermark, in ms: the steps
    /// after it see a watermark that is later by this.
    fn delay_ms(&self) -> i64 {
        0
    }

    /// The watermark that the steps after it see; rises with its own.
    fn watermark_after(&self, watermark: Timestamp) -> Timestamp {
        watermark.saturating_sub(self.delay_ms())
    }

    /// Rows that one `push` may emit.
    fn fanout_max(&self) -> usize {
        1
    }

    /// Emits what is due at `watermark`. Between `More` and `Done` no row is pushed.
    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        let _ = (watermark, out);
        Progress::Done
    }

    /// A table that it looks things up in was loaded; loads have rising numbers.
    fn loaded(&mut self, load: Timestamp, context: &mut Context) {
        let _ = (load, context);
    }

    /// The lowest watermark at which `advance` has something to do.
    fn due(&self) -> Timestamp {
        WATERMARK_MAX
    }

    /// Writes what changed since the last call, or everything.
    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        let _ = (full, context, write);
    }

    /// Whether state fills up that leaves memory only with a checkpoint.
    fn wants_checkpoint(&self) -> bool {
        false
    }

    /// Takes back one entry of a checkpoint; later ones replace earlier ones.
    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let _ = (key, value, context);
        Err(RestoreError("this operator has no state".into()))
    }

    /// All entries are back; the step's watermark was `watermark`.
    fn restored(&mut self, watermark: Timestamp, context: &mut Context) {
        let _ = (watermark, context);
    }

    /// The time under which cold state must be loaded before this row may be pushed.
    fn cold_wanted(&self, row: Row<'_>, watermark: Timestamp) -> Option<Timestamp> {
        let _ = (row, watermark);
        None
    }

    /// Takes the cold state stored under `time`; `None` when there is none.
    fn cold_load(
        &mut self,
        time: Timestamp,
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        let _ = (time, value, context);
        Ok(())
    }

    /// The largest memory this operator can come to hold, in bytes.
    fn memory_bytes_max(&self) -> usize;
}

/// Where the rows of a fragment go; implemented by whoever drives the pipeline.
pub trait Collector {
    /// A row of output number `output`.
    fn row(&mut self, output: usize, row: Row<'_>, context: &mut Context);
    /// The watermark of an exchange rose.
    fn watermark(&mut self, output: usize, watermark: Timestamp);
    /// A row left the stream at step `step` (`None`: at a scan).
    fn dropped(&mut self, step: Option<usize>, reason: Reason, row: Row<'_>, context: &Context);
    /// Whether there is room for one more fan-out.
    fn has_room(&self) -> bool;
}

/// What a stage's rows go to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Stage(usize, Port),
    Output(usize),
}

/// A step, its place and its watermark.
pub(crate) struct Stage {
    pub(crate) operator: Box<dyn Operator>,
    pub(crate) targets: Vec<Target>,
    pub(crate) late_output: Option<usize>,
    pub(crate) watermark: Timestamp,
    /// All its inputs are idle: what follows does not wait for it.
    pub(crate) is_idle: bool,
    /// Rows that wait for it, if it is resumable.
    pub(crate) inbox: Option<Inbox>,
}

impl Stage {
    /// The watermark of what it emits.
    pub(crate) fn watermark_out(&self) -> Timestamp {
        match self.watermark {
            WATERMARK_MAX => WATERMARK_MAX,
            watermark => self.operator.watermark_after(watermark),
        }
    }
}

/// An output's own projection.
pub(crate) struct OutputStage {
    pub(crate) columns: Option<crate::operators::project::Columns>,
    /// The projected row.
    pub(crate) slots: Box<[crate::slot::Slot]>,
}

/// Calls the stages after the present one.
pub struct Emitter<'a> {
    pub(crate) later: &'a mut [Stage],
    pub(crate) base: usize,
    pub(crate) targets: &'a [Target],
    pub(crate) late_output: Option<usize>,
    pub(crate) outputs: &'a mut [OutputStage],
    pub(crate) collector: &'a mut dyn Collector,
    pub(crate) step: Option<usize>,
    /// The watermark of this step: all rows it was pushed so far came before anything later.
    pub watermark: Timestamp,
    /// Texts, symbols and the pending fault.
    pub context: &'a mut Context,
}

impl Emitter<'_> {
    /// Hands a row to everything that reads this step.
    pub fn emit(&mut self, row: Row<'_>) {
        let targets = self.targets;
        match *targets {
            [target] => self.emit_to(target, row),
            _ => targets.iter().for_each(|target| self.emit_to(*target, row)),
        }
    }

    #[inline]
    fn emit_to(&mut self, target: Target, row: Row<'_>) {
        let mark = self.context.arena.mark();
        match target {
            Target::Stage(index, port) => self.push_stage(index, port, row),
            Target::Output(index) => self.push_output(index, row),
        }
        self.context.arena.release(mark);
    }

    /// Sets a late row aside: counted, and to the pipeline's late table if there is one.
    pub fn late(&mut self, row: Row<'_>) {
        self.drop_row(Reason::Late, row);
        if let Some(output) = self.late_output {
            let mark = self.context.arena.mark();
            self.push_output(output, row);
            self.context.arena.release(mark);
        }
    }

    /// Counts a row that leaves the stream.
    pub fn drop_row(&mut self, reason: Reason, row: Row<'_>) {
        self.collector.dropped(self.step, reason, row, self.context);
    }

    /// Takes the pending fault; if there is one, `row` becomes a dead letter.
    pub fn take_fault(&mut self, row: Row<'_>) -> bool {
        match self.context.fault.take() {
            Some(fault) => {
                self.drop_row(Reason::Fault(fault), row);
                true
            }
            None => false,
        }
    }

    /// Whether one more row may be emitted from `advance`, or by a resumable operator.
    pub fn has_room(&self) -> bool {
        self.context.busy_until <= self.base && self.collector.has_room()
    }

    fn push_stage(&mut self, index: usize, port: Port, row: Row<'_>) {
        let (before, later) = self.later.split_at_mut(index - self.base + 1);
        let stage = before.last_mut().expect("split after at least one stage");
        if let Some(inbox) = &mut stage.inbox
            && inbox.is_busy
        {
            return inbox.put(port, row, self.context);
        }
        let mut out = Emitter {
            later,
            base: index + 1,
            targets: &stage.targets,
            late_output: stage.late_output,
            outputs: self.outputs,
            collector: self.collector,
            step: Some(index),
            watermark: stage.watermark,
            context: self.context,
        };
        stage.operator.push(port, row, &mut out);
        if let Some(inbox) = &mut stage.inbox
            && stage.operator.is_unfinished()
        {
            inbox.is_busy = true;
            self.context.busy_until = self.context.busy_until.max(index + 1);
        }
    }

    fn push_output(&mut self, index: usize, row: Row<'_>) {
        let OutputStage { columns, slots } = &mut self.outputs[index];
        let Some(columns) = columns else {
            return self.collector.row(index, row, self.context);
        };
        let nulls = columns.eval(row, self.context, slots);
        if !self.take_fault(row) {
            let slots = &self.outputs[index].slots;
            self.collector.row(index, Row { slots, nulls, change: row.change }, self.context);
        }
    }
}
