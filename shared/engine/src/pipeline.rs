//! A fragment at work: rows in at scans, through the stages, out to a [`Collector`].
//!
//! Stages stand in topological order and call each other directly; only the collector buffers.
//! A row is processed completely before the watermark that it causes, and a watermark passes stage
//! by stage, so that nothing a stage emits is late for the stage after it.
//!
//! The driver's loop: fill [`Pipeline::row_buffer`], [`push`](Pipeline::push), and whenever a call
//! answers [`Progress::More`] drain the collector and call [`advance`](Pipeline::advance).

use alloc::{boxed::Box, string::String, vec, vec::Vec};

use crate::{
    context::Context,
    expr::CompileError,
    fragment::{Fragment, Input, OperatorSpec, OutputKind, Step},
    inbox::Inbox,
    limits::{FIELDS_MAX, Limits},
    operator::{
        Collector, Emitter, Operator, OutputStage, Port, Progress, RestoreError, Stage, Target,
        Timestamp, WATERMARK_MAX, WATERMARK_MIN,
    },
    operators::{self, project::Columns},
    row::Row,
    slot::Slot,
    types::Schema,
};

mod checkpoint;
mod scan;

pub use checkpoint::CheckpointWriter;
use scan::ScanStage;
pub use scan::SplitId;

/// The earliest event time, 0001-01-01 00:00 UTC, in ms.
pub const TIME_MIN: Timestamp = -62_135_596_800_000;
/// The latest event time, the end of the year 9999 UTC, in ms.
pub const TIME_MAX: Timestamp = 253_402_300_799_999;

/// A running fragment.
pub struct Pipeline {
    context: Context,
    scans: Vec<ScanStage>,
    stages: Vec<Stage>,
    /// Inputs of each stage, for its watermark.
    inputs: Vec<Vec<Input>>,
    /// The input of each stage that is a table.
    tables: Vec<Option<Input>>,
    names: Vec<String>,
    outputs: Vec<OutputStage>,
    /// Input and last watermark of each exchange output.
    exchanges: Vec<(usize, Input, Timestamp)>,
    /// The stage that a watermark on its way has reached.
    advancing: Option<usize>,
}

impl Pipeline {
    /// Makes a fragment executable, with all capacities of `limits`.
    pub fn build(fragment: &Fragment, limits: &Limits) -> Result<Self, CompileError> {
        let schema_of = |input: &Input| -> Schema {
            match *input {
                Input::Scan(i) => fragment.scans[i].schema(),
                Input::Step(i) => fragment.steps[i].schema.clone(),
            }
        };
        let mut stages = Vec::new();
        for (step, is_at_once) in fragment.steps.iter().zip(fragment.steps_at_once()) {
            let inputs: Vec<Schema> = step.inputs.iter().map(schema_of).collect();
            let operator = operators::build(step, &inputs, is_at_once, limits)?;
            stages.push(Stage {
                inbox: operator.is_resumable().then(|| Inbox::new(&inputs)),
                operator,
                targets: Vec::new(),
                late_output: step.late_output,
                watermark: WATERMARK_MIN,
                is_idle: false,
            });
        }
        let mut scans: Vec<_> =
            fragment.scans.iter().map(ScanStage::new).collect::<Result<_, _>>()?;
        connect(fragment, &mut scans, &mut stages);
        let outputs = fragment.outputs.iter().map(output).collect::<Result<_, _>>()?;
        let is_exchange = |kind| kind == OutputKind::Exchange;
        let exchanges = fragment.outputs.iter().enumerate().filter(|(_, o)| is_exchange(o.kind));
        let zone = operators::place(&fragment.zone)?;
        Ok(Pipeline {
            context: Context { zone, ..Context::new(limits) },
            scans,
            stages,
            inputs: fragment.steps.iter().map(|step| step.timed_inputs().to_vec()).collect(),
            tables: fragment.steps.iter().map(Step::table).collect(),
            names: fragment.steps.iter().map(|step| step.name.clone()).collect(),
            outputs,
            exchanges: exchanges.map(|(i, o)| (i, o.input, WATERMARK_MIN)).collect(),
            advancing: None,
        })
    }

    /// Where a decoder writes the next row of `scan`: slots in the order of its decoded columns,
    /// the NULL bitmap, and the context for texts. Starts empty: all NULL, arena cleared.
    pub fn row_buffer(&mut self, scan: usize) -> (&mut [Slot], &mut u64, &mut Context) {
        self.context.arena.clear();
        self.context.fault = None;
        let stage = &mut self.scans[scan];
        let width = stage.decoded_count;
        stage.slots[..width].fill(Slot::ZERO);
        stage.nulls = u64::MAX >> (64 - width.max(1));
        (&mut stage.slots[..width], &mut stage.nulls, &mut self.context)
    }

    /// Texts, symbols.
    pub fn context(&mut self) -> &mut Context {
        &mut self.context
    }

    /// Processes the row in the buffer of `scan`, then the watermark it causes.
    pub fn push(&mut self, scan: usize, split: SplitId, out: &mut dyn Collector) -> Progress {
        self.assert_idle();
        let stage = &mut self.scans[scan];
        let mut emitter = Emitter {
            later: &mut self.stages,
            base: 0,
            targets: &stage.targets,
            late_output: None,
            outputs: &mut self.outputs,
            collector: out,
            step: None,
            watermark: stage.watermark,
            context: &mut self.context,
        };
        let mut slots = core::mem::take(&mut stage.slots);
        let raised = stage.emit(&mut slots, &mut emitter);
        stage.slots = slots;
        match raised.and_then(|watermark| stage.raise(split, watermark)) {
            Some(_) => self.start_advance(out),
            None => self.settle(out),
        }
    }

    /// Processes a row that comes complete, with its change kind (an exchange).
    pub fn push_row(&mut self, scan: usize, row: Row<'_>, out: &mut dyn Collector) -> Progress {
        self.assert_idle();
        let stage = &self.scans[scan];
        let mut emitter = Emitter {
            later: &mut self.stages,
            base: 0,
            targets: &stage.targets,
            late_output: None,
            outputs: &mut self.outputs,
            collector: out,
            step: None,
            watermark: stage.watermark,
            context: &mut self.context,
        };
        emitter.emit(row);
        self.settle(out)
    }

    /// The split of this name of a scan, new if need be.
    pub fn split(&mut self, scan: usize, name: &str) -> SplitId {
        self.scans[scan].split(name)
    }

    /// Raises the watermark of a split: from an exchange, or the end of a source.
    pub fn raise(
        &mut self,
        scan: usize,
        split: SplitId,
        watermark: Timestamp,
        out: &mut dyn Collector,
    ) -> Progress {
        match self.scans[scan].raise(split, watermark) {
            Some(_) => self.start_advance(out),
            None => Progress::Done,
        }
    }

    /// Takes a split out of the minimum (idle), or back in; the watermark never falls.
    pub fn set_idle(
        &mut self,
        scan: usize,
        split: SplitId,
        is_idle: bool,
        out: &mut dyn Collector,
    ) -> Progress {
        match self.scans[scan].set_idle(split, is_idle) {
            true => self.start_advance(out),
            false => Progress::Done,
        }
    }

    /// The end of a scan: its watermark becomes the largest.
    pub fn end(&mut self, scan: usize, out: &mut dyn Collector) -> Progress {
        match self.scans[scan].end() {
            Some(_) => self.start_advance(out),
            None => Progress::Done,
        }
    }

    /// The trusted wall clock in ms, for the future guard; `None` while it is not trusted.
    pub fn set_clock(&mut self, now: Option<Timestamp>) {
        for scan in &mut self.scans {
            scan.now = now;
        }
    }

    /// Whether steps without an input have rows that they have not given: after
    /// [`build`](Pipeline::build), unless a checkpoint that was taken after them is restored.
    pub fn is_new(&self) -> bool {
        let mut stages = self.stages.iter().zip(&self.inputs);
        stages.any(|(stage, inputs)| inputs.is_empty() && stage.operator.due() < WATERMARK_MAX)
    }

    /// Lets steps without an input give their rows. Called once, when all state is back; otherwise
    /// they come with the first watermark.
    pub fn start(&mut self, out: &mut dyn Collector) -> Progress {
        self.start_advance(out)
    }

    fn start_advance(&mut self, out: &mut dyn Collector) -> Progress {
        assert!(self.advancing.is_none(), "a watermark is on its way when another one rises");
        self.advancing = Some(0);
        self.advance(out)
    }

    pub(crate) fn assert_idle(&self) {
        assert!(self.advancing.is_none(), "nothing comes in while a watermark is on its way");
        assert_eq!(self.context.busy_until, 0, "nothing comes in while a row is unfinished");
    }

    /// Goes on with a row or a watermark after [`Progress::More`].
    pub fn advance(&mut self, out: &mut dyn Collector) -> Progress {
        loop {
            if self.context.busy_until > 0 && self.settle(out) == Progress::More {
                return Progress::More;
            }
            let Some(index) = self.advancing else {
                return Progress::Done;
            };
            if index == self.stages.len() {
                self.advancing = None;
                self.tell_exchanges(out);
            } else if self.advance_stage(index, out) == Progress::Done {
                self.advancing = Some(index + 1);
            } else if self.context.busy_until == 0 {
                return Progress::More;
            }
        }
    }

    fn advance_stage(&mut self, index: usize, out: &mut dyn Collector) -> Progress {
        let (watermark, is_idle) = self.watermark_at(index);
        let load = self.tables[index].map(|table| self.watermark_of(table));
        let stage = &mut self.stages[index];
        stage.is_idle = is_idle;
        if let Some(load) = load {
            stage.operator.loaded(load, &mut self.context);
        }
        stage.watermark = stage.watermark.max(watermark);
        if stage.operator.due() > stage.watermark {
            return Progress::Done;
        }
        let watermark = stage.watermark;
        let (operator, _, mut emitter) = self.stage(index, out);
        operator.advance(watermark, &mut emitter)
    }

    /// The watermark that the inputs of a stage have together, and whether all of them are idle.
    #[inline]
    fn watermark_at(&self, index: usize) -> (Timestamp, bool) {
        let live = |input: &Input| (!self.is_idle(*input)).then(|| self.watermark_of(*input));
        match &self.inputs[index][..] {
            // A step without an input is at its end from the beginning.
            [] => (WATERMARK_MAX, false),
            [input] => (live(input).unwrap_or(WATERMARK_MIN), self.is_idle(*input)),
            inputs => match inputs.iter().filter_map(live).min() {
                Some(watermark) => (watermark, false),
                // One that has idle inputs alone stays where it is.
                None => (WATERMARK_MIN, true),
            },
        }
    }

    /// Finishes rows that had more results than there was room for, from the last stage on.
    fn settle(&mut self, out: &mut dyn Collector) -> Progress {
        while let Some(index) = self.context.busy_until.checked_sub(1) {
            let (operator, inbox, mut emitter) = self.stage(index, out);
            let Some(inbox) = inbox.as_mut().filter(|inbox| inbox.is_busy) else {
                self.context.busy_until = index;
                continue;
            };
            if !operator.is_unfinished() {
                push_waiting(inbox, operator, &mut emitter);
            } else if operator.resume(&mut emitter) == Progress::More
                && self.context.busy_until == index + 1
            {
                return Progress::More;
            }
        }
        Progress::Done
    }

    fn stage<'a>(
        &'a mut self,
        index: usize,
        out: &'a mut dyn Collector,
    ) -> (&'a mut dyn Operator, &'a mut Option<Inbox>, Emitter<'a>) {
        let (before, later) = self.stages.split_at_mut(index + 1);
        let stage = before.last_mut().expect("split after at least one stage");
        let emitter = Emitter {
            later,
            base: index + 1,
            targets: &stage.targets,
            late_output: stage.late_output,
            outputs: &mut self.outputs,
            collector: out,
            step: Some(index),
            watermark: stage.watermark,
            context: &mut self.context,
        };
        (&mut *stage.operator, &mut stage.inbox, emitter)
    }

    fn watermark_of(&self, input: Input) -> Timestamp {
        match input {
            Input::Scan(i) => self.scans[i].watermark,
            Input::Step(i) => self.stages[i].watermark_out(),
        }
    }

    fn is_idle(&self, input: Input) -> bool {
        match input {
            Input::Scan(i) => self.scans[i].is_idle,
            Input::Step(i) => self.stages[i].is_idle,
        }
    }

    /// Whether all that leads to an exchange is idle, so that nobody need wait for it.
    pub fn is_output_idle(&self, output: usize) -> bool {
        self.exchanges.iter().any(|&(number, input, _)| number == output && self.is_idle(input))
    }

    fn tell_exchanges(&mut self, out: &mut dyn Collector) {
        for index in 0..self.exchanges.len() {
            let (output, input, told) = self.exchanges[index];
            let watermark = self.watermark_of(input);
            if watermark > told {
                self.exchanges[index].2 = watermark;
                out.watermark(output, watermark);
            }
        }
    }

    /// The time under which cold state must be loaded before `row` may be pushed to `scan`, and the
    /// step that wants it.
    pub fn cold_wanted(&self, scan: usize, row: Row<'_>) -> Option<(usize, Timestamp)> {
        self.scans[scan].targets.iter().find_map(|target| match *target {
            Target::Stage(index, _) => {
                let stage = &self.stages[index];
                Some((index, stage.operator.cold_wanted(row, stage.watermark)?))
            }
            Target::Output(_) => None,
        })
    }

    /// Hands over the cold state that [`cold_wanted`](Pipeline::cold_wanted) asked for.
    pub fn cold_load(
        &mut self,
        step: usize,
        time: Timestamp,
        value: Option<&[u8]>,
    ) -> Result<(), RestoreError> {
        let mark = self.context.arena.mark();
        let done = self.stages[step].operator.cold_load(time, value, &mut self.context);
        self.context.arena.release(mark);
        done
    }

    /// Whether a checkpoint should come soon, because state waits for one to leave memory. A driver
    /// that puts it off longer gets [`Fault::StateFull`](crate::context::Fault::StateFull).
    pub fn wants_checkpoint(&self) -> bool {
        self.stages.iter().any(|stage| stage.operator.wants_checkpoint())
    }

    /// Watermark of a scan.
    pub fn watermark(&self, scan: usize) -> Timestamp {
        self.scans[scan].watermark
    }

    /// Names of the steps, by number.
    pub fn step_names(&self) -> &[String] {
        &self.names
    }

    /// The most memory that the state can come to hold, in bytes, by step; then what is shared.
    pub fn memory_bytes_max(&self) -> (Vec<usize>, usize) {
        let steps = self.stages.iter().map(|stage| stage.operator.memory_bytes_max()).collect();
        let context = &self.context;
        (steps, context.arena.capacity() + context.symbols.memory_bytes_max())
    }
}

/// Pushes the first row that waits; without one the step is idle again.
fn push_waiting(inbox: &mut Inbox, operator: &mut dyn Operator, out: &mut Emitter<'_>) {
    let mark = out.context.arena.mark();
    let mut slots = [Slot::ZERO; FIELDS_MAX];
    match inbox.take(&mut slots, out.context) {
        Some((port, width, nulls, change)) => {
            let row = Row { slots: &slots[..width], nulls, change };
            if !out.take_fault(row) {
                operator.push(port, row, out);
            }
        }
        None => inbox.is_busy = false,
    }
    out.context.arena.release(mark);
}

fn connect(fragment: &Fragment, scans: &mut [ScanStage], stages: &mut [Stage]) {
    let mut link = |input: Input, target: Target| match input {
        Input::Scan(i) => scans[i].targets.push(target),
        Input::Step(i) => stages[i].targets.push(target),
    };
    for (index, step) in fragment.steps.iter().enumerate() {
        for (port, input) in (0u8..).zip(&step.inputs) {
            link(*input, Target::Stage(index, Port(port)));
        }
    }
    for (index, output) in fragment.outputs.iter().enumerate() {
        if output.kind != OutputKind::Late {
            link(output.input, Target::Output(index));
        }
    }
    for (index, scan) in scans.iter_mut().enumerate() {
        narrow(fragment, index, scan, stages);
    }
}

/// Lets the scan of a source do what a projection of plain columns behind it does, which nothing
/// else reads: one step less for each row. The step's watermark rises as before.
fn narrow(fragment: &Fragment, index: usize, scan: &mut ScanStage, stages: &mut [Stage]) {
    let [Target::Stage(step, _)] = scan.targets[..] else { return };
    if let OperatorSpec::Project(columns) = &fragment.steps[step].operator
        && fragment.scans[index].watermark.is_some()
        && let Some(plain) = Columns::plain(columns)
    {
        scan.targets = core::mem::take(&mut stages[step].targets);
        scan.pass(plain);
    }
}

fn output(output: &crate::fragment::Output) -> Result<OutputStage, CompileError> {
    let columns = output.columns.as_deref();
    let slots = vec![Slot::ZERO; columns.map_or(0, <[_]>::len)].into();
    Ok(OutputStage { columns: columns.map(Columns::new).transpose()?, slots })
}

#[cfg(test)]
mod tests;

const _: fn(Box<dyn Collector>) = drop;
