//! The entry of a pipeline: computed columns, checks, event time, watermarks by split.

use alloc::{boxed::Box, string::String, vec, vec::Vec};

use super::{TIME_MAX, TIME_MIN};
use crate::{
    context::Fault,
    expr::{CompileError, Program},
    fragment::Scan,
    limits::SPLITS_MAX,
    operator::{Emitter, Reason, Target, Timestamp, WATERMARK_MAX, WATERMARK_MIN},
    operators::project::pass_on,
    row::Row,
    slot::Slot,
};

/// A split of a scan: a file, a subscription, a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitId(pub(super) usize);

pub(super) struct Split {
    pub(super) name: String,
    pub(super) watermark: Timestamp,
    pub(super) is_idle: bool,
}

pub(super) struct ScanStage {
    pub(super) decoded_count: usize,
    computed: Vec<Program>,
    not_null: Vec<usize>,
    rowtime: Option<(usize, Program)>,
    future_max_ms: Option<i64>,
    pub(super) now: Option<Timestamp>,
    pub(super) slots: Vec<Slot>,
    pub(super) nulls: u64,
    pub(super) targets: Vec<Target>,
    /// The columns that are passed on, if not all: a projection that would follow.
    passed: Option<Box<[usize]>>,
    pub(super) splits: Vec<Split>,
    pub(super) watermark: Timestamp,
    /// All splits are idle: nothing waits for this scan.
    pub(super) is_idle: bool,
}

impl ScanStage {
    pub(super) fn new(scan: &Scan) -> Result<Self, CompileError> {
        let computed: Vec<_> =
            scan.computed.iter().map(|(_, e)| Program::compile(e)).collect::<Result<_, _>>()?;
        let rowtime = match &scan.watermark {
            Some(w) => Some((w.rowtime, Program::compile(&w.expr)?)),
            None => None,
        };
        let decoded = scan.decoded.fields.iter().enumerate();
        Ok(ScanStage {
            decoded_count: scan.decoded.len(),
            not_null: decoded.filter(|(_, f)| !f.nullable).map(|(i, _)| i).collect(),
            slots: vec![Slot::ZERO; scan.decoded.len() + computed.len()],
            computed,
            rowtime,
            future_max_ms: scan.future_max_ms,
            now: None,
            nulls: 0,
            targets: Vec::new(),
            passed: None,
            splits: Vec::new(),
            watermark: WATERMARK_MIN,
            is_idle: false,
        })
    }

    /// Takes over what a projection of plain columns would do behind it.
    pub(super) fn pass(&mut self, columns: Box<[usize]>) {
        self.slots.resize(self.width() + columns.len(), Slot::ZERO);
        self.passed = Some(columns);
    }

    fn width(&self) -> usize {
        self.decoded_count + self.computed.len()
    }

    /// Emits the row in `slots`; gives the watermark it causes.
    pub(super) fn emit(&self, slots: &mut [Slot], out: &mut Emitter<'_>) -> Option<Timestamp> {
        let (slots, passed) = slots.split_at_mut(self.width());
        let mut nulls = self.nulls;
        for (index, program) in self.computed.iter().enumerate() {
            let at = self.decoded_count + index;
            let value = program.eval(Row::insert(&slots[..at], nulls), out.context);
            slots[at] = value.slot;
            nulls = nulls & !(1 << at) | u64::from(value.is_null()) << at;
        }
        let row = Row::insert(slots, nulls);
        if let Some(fault) = self.fault(row, out) {
            out.context.fault = None;
            out.drop_row(Reason::Fault(fault), row);
            return None;
        }
        let watermark = self.rowtime.as_ref().and_then(|(_, program)| {
            let value = program.eval(row, out.context);
            (!value.is_null()).then(|| value.slot.as_i64())
        });
        if out.take_fault(row) {
            return None;
        }
        match &self.passed {
            None => out.emit(row),
            Some(columns) => {
                let nulls = pass_on(columns, row, passed);
                out.emit(Row::insert(passed, nulls));
            }
        }
        watermark
    }

    fn fault(&self, row: Row<'_>, out: &mut Emitter<'_>) -> Option<Fault> {
        if let Some(fault) = out.context.fault {
            return Some(fault);
        }
        if self.not_null.iter().any(|&column| row.is_null(column)) {
            return Some(Fault::NotNullViolated);
        }
        let (column, _) = self.rowtime.as_ref()?;
        if row.is_null(*column) {
            return Some(Fault::NullEventTime);
        }
        let time = row.slots[*column].as_i64();
        let latest = match (self.future_max_ms, self.now) {
            (Some(max), Some(now)) => now.saturating_add(max).min(TIME_MAX),
            _ => TIME_MAX,
        };
        (!(TIME_MIN..=latest).contains(&time)).then_some(Fault::EventTimeOutOfRange)
    }

    pub(super) fn has_split(&self, name: &str) -> bool {
        self.splits.iter().any(|split| split.name == name)
    }

    pub(super) fn split(&mut self, name: &str) -> SplitId {
        let found = self.splits.iter().position(|split| split.name == name);
        SplitId(found.unwrap_or_else(|| {
            assert!(self.splits.len() < SPLITS_MAX, "the driver bounds the number of splits");
            self.is_idle = false;
            self.splits.push(Split { name: name.into(), watermark: WATERMARK_MIN, is_idle: false });
            self.splits.len() - 1
        }))
    }

    /// Raises one split; gives the scan's watermark if that rose.
    pub(super) fn raise(&mut self, split: SplitId, watermark: Timestamp) -> Option<Timestamp> {
        let split = &mut self.splits[split.0];
        // Beyond the latest event time there is only the end; this keeps window arithmetic in
        // range.
        let is_end = watermark == WATERMARK_MAX;
        let watermark = if is_end { watermark } else { watermark.min(TIME_MAX) };
        if watermark <= split.watermark {
            return None;
        }
        split.watermark = watermark;
        self.update()
    }

    /// Takes a split out or back in; whether that may raise the watermark of what follows.
    pub(super) fn set_idle(&mut self, split: SplitId, is_idle: bool) -> bool {
        self.splits[split.0].is_idle = is_idle;
        let was_idle = self.is_idle;
        self.check_idle();
        self.update().is_some() || self.is_idle && !was_idle
    }

    /// A scan without splits has not begun, and one at its end holds nobody back.
    pub(super) fn check_idle(&mut self) {
        let is_open = self.watermark < WATERMARK_MAX && !self.splits.is_empty();
        self.is_idle = is_open && self.splits.iter().all(|split| split.is_idle);
    }

    pub(super) fn end(&mut self) -> Option<Timestamp> {
        if self.watermark == WATERMARK_MAX {
            return None;
        }
        self.watermark = WATERMARK_MAX;
        self.is_idle = false;
        Some(WATERMARK_MAX)
    }

    fn update(&mut self) -> Option<Timestamp> {
        let live = self.splits.iter().filter(|split| !split.is_idle);
        let watermark = live.map(|split| split.watermark).min()?;
        if watermark <= self.watermark {
            return None;
        }
        self.watermark = watermark;
        Some(watermark)
    }
}
