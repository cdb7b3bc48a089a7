//! What the engine's tests share: fragments, rows and results in a form that is easy to compare.
//!
//! Everything runs over one table of readings, [`readings`]; watermarks are raised by hand.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::cell::Cell;

use crate::{
    context::Context,
    fragment::*,
    limits::Limits,
    operator::{Collector, Progress, Reason, Timestamp},
    operators::window_aggregate,
    pipeline::{CheckpointWriter, Pipeline, SplitId},
    row::{Change, Row},
    slot::{Datum, Slot},
    types::{DataType, Field, Schema},
};

/// Columns of [`readings`].
pub(crate) const KEY: usize = 0;
pub(crate) const TIME: usize = 1;
pub(crate) const VALUE: usize = 2;
pub(crate) const INT: usize = 3;
pub(crate) const TEXT: usize = 4;
pub(crate) const FLAG: usize = 5;
pub(crate) const MONEY: usize = 6;

pub(crate) const MONEY_TYPE: DataType = DataType::Decimal { precision: 10, scale: 2 };

/// A value of a test row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum V {
    Null,
    I(i64),
    F(f64),
    D(i128),
    B(bool),
    S(String),
    Bytes(Vec<u8>),
}

pub(crate) fn s(text: &str) -> V {
    V::S(text.into())
}

/// Columns of the table that tests read.
pub(crate) fn readings() -> Schema {
    let columns = [
        ("k", DataType::STRING),
        ("rt", DataType::TimestampLtz(3)),
        ("v", DataType::Double),
        ("n", DataType::Int),
        ("t", DataType::STRING),
        ("b", DataType::Boolean),
        ("d", MONEY_TYPE),
    ];
    Schema::new(columns.map(|(name, t)| Field::new(name, t)).into())
}

/// A reading with key, time and value; the other columns follow from the value.
pub(crate) fn reading(key: &str, time: i64, value: f64) -> Vec<V> {
    #[expect(clippy::cast_possible_truncation, reason = "small test values")]
    let n = value as i64;
    let text = V::S(format!("t{n}"));
    vec![s(key), V::I(time), V::F(value), V::I(n), text, V::B(n % 2 == 0), V::D(i128::from(n))]
}

fn datum(value: &V, context: &mut Context) -> Datum {
    match value {
        V::Null => Datum::NULL,
        V::I(v) => Datum::i64(*v),
        V::F(v) => Datum::f64(*v),
        V::D(v) => Datum::of(Slot::i128(*v)),
        V::B(v) => Datum::bool(*v),
        V::S(v) => context.put_text(v),
        V::Bytes(v) => context.put_bytes(v),
    }
}

fn value(datum: Datum, data_type: &DataType, context: &Context) -> V {
    if datum.is_null() {
        return V::Null;
    }
    match data_type {
        DataType::Double | DataType::Float => V::F(datum.slot.as_f64()),
        DataType::Decimal { .. } => V::D(datum.slot.as_i128()),
        DataType::Boolean => V::B(datum.slot.as_bool()),
        t if t.is_text() => V::S(context.text(datum.slot).into()),
        t if t.is_referring() => V::Bytes(context.bytes(datum.slot).to_vec()),
        _ => V::I(datum.slot.as_i64()),
    }
}

fn show(v: &V) -> String {
    match v {
        V::Null => "null".into(),
        V::I(v) => v.to_string(),
        V::F(v) => format!("{v:?}"),
        V::D(v) => format!("{v}d"),
        V::B(v) => v.to_string(),
        V::S(v) => v.clone(),
        V::Bytes(v) => format!("{v:02x?}"),
    }
}

/// What came out, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Row { output: usize, change: &'static str, values: Vec<V> },
    Watermark(usize, Timestamp),
    Dropped(&'static str),
}

impl Event {
    fn show(&self) -> String {
        match self {
            Event::Row { output, change, values } => {
                let values: Vec<_> = values.iter().map(show).collect();
                let sign = if *output == 0 { String::new() } else { format!("{output}:") };
                format!("{sign}{change} {}", values.join(" "))
            }
            Event::Watermark(output, watermark) => format!("{output}: watermark {watermark}"),
            Event::Dropped(reason) => format!("dropped {reason}"),
        }
    }
}

/// A collector that keeps everything; it can pretend to be full.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) schemas: Vec<Schema>,
    pub(crate) events: Vec<Event>,
    /// Answers of `has_room` between two refusals; 0 for no refusal.
    pub(crate) room: u32,
    asked: Cell<u32>,
}

impl Collector for Log {
    fn row(&mut self, output: usize, row: Row<'_>, context: &mut Context) {
        let fields = self.schemas[output].fields.iter().enumerate();
        assert_eq!(row.slots.len(), self.schemas[output].len());
        let values = fields.map(|(i, f)| value(row.datum(i), &f.data_type, context)).collect();
        self.events.push(Event::Row { output, change: row.change.as_str(), values });
    }

    fn watermark(&mut self, output: usize, watermark: Timestamp) {
        self.events.push(Event::Watermark(output, watermark));
    }

    fn dropped(&mut self, _: Option<usize>, reason: Reason, _: Row<'_>, _: &Context) {
        self.events.push(Event::Dropped(reason.as_str()));
    }

    fn has_room(&self) -> bool {
        if self.room == 0 {
            return true;
        }
        self.asked.set(self.asked.get() + 1);
        !self.asked.get().is_multiple_of(self.room + 1)
    }
}

/// Cold state by step and time.
pub(crate) type Cold = BTreeMap<(usize, Timestamp), Vec<u8>>;

/// Everything that a store would hold.
#[derive(Clone, Default, Debug, PartialEq)]
pub(crate) struct Disk {
    pub(crate) pages: Vec<Vec<u8>>,
    pub(crate) cold: Cold,
}

impl CheckpointWriter for Disk {
    fn page(&mut self, page: &[u8]) {
        self.pages.push(page.to_vec());
    }

    fn cold(&mut self, step: usize, time: Timestamp, value: &[u8]) {
        self.cold.insert((step, time), value.to_vec());
    }
}

/// A pipeline with its results and its store.
pub(crate) struct Run {
    pub(crate) fragment: Fragment,
    pub(crate) limits: Limits,
    pub(crate) pipeline: Pipeline,
    pub(crate) log: Log,
    pub(crate) disk: Disk,
}

impl Run {
    pub(crate) fn new(fragment: Fragment) -> Self {
        Run::with(fragment, Limits::default())
    }

    pub(crate) fn with(fragment: Fragment, limits: Limits) -> Self {
        let pipeline = Pipeline::build(&fragment, &limits).unwrap();
        let schemas = fragment.outputs.iter().map(|o| o.schema.clone()).collect();
        let log = Log { schemas, ..Log::default() };
        Run { fragment, limits, pipeline, log, disk: Disk::default() }
    }

    /// Lets steps without input give their rows, as a driver does.
    pub(crate) fn start(&mut self) -> &mut Self {
        if self.pipeline.is_new() {
            let progress = self.pipeline.start(&mut self.log);
            self.drain(progress);
        }
        self
    }

    fn split(&mut self) -> SplitId {
        self.pipeline.split(0, "split")
    }

    fn drain(&mut self, mut progress: Progress) {
        while progress == Progress::More {
            progress = self.pipeline.advance(&mut self.log);
        }
    }

    /// Pushes a row as a decoder does.
    pub(crate) fn row(&mut self, values: &[V]) -> &mut Self {
        self.row_in(0, values)
    }

    /// Pushes a row into one of several scans.
    pub(crate) fn row_in(&mut self, scan: usize, values: &[V]) -> &mut Self {
        let split = self.pipeline.split(scan, "split");
        let (slots, nulls, context) = self.pipeline.row_buffer(scan);
        for (index, v) in values.iter().enumerate() {
            let datum = datum(v, context);
            slots[index] = datum.slot;
            *nulls = *nulls & !(1 << index) | u64::from(datum.is_null()) << index;
        }
        let progress = self.pipeline.push(scan, split, &mut self.log);
        self.drain(progress);
        self
    }

    /// Pushes a change into one of several scans.
    pub(crate) fn change_in(&mut self, scan: usize, change: Change, values: &[V]) -> &mut Self {
        let context = self.pipeline.context();
        context.arena.clear();
        let data: Vec<_> = values.iter().map(|v| datum(v, context)).collect();
        let slots: Vec<_> = data.iter().map(|d| d.slot).collect();
        let nulls = data.iter().enumerate().fold(0, |n, (i, d)| n | u64::from(d.is_null()) << i);
        let row = Row { slots: &slots, nulls, change };
        let progress = self.pipeline.push_row(scan, row, &mut self.log);
        self.drain(progress);
        self
    }

    /// Pushes a row of an exchange, with the cold state it asks for.
    pub(crate) fn exchange_row(&mut self, values: &[V]) -> &mut Self {
        self.changed_row(Change::Insert, values)
    }

    /// Pushes a row of an exchange that is a change of this kind.
    pub(crate) fn changed_row(&mut self, change: Change, values: &[V]) -> &mut Self {
        let context = self.pipeline.context();
        context.arena.clear();
        let data: Vec<_> = values.iter().map(|v| datum(v, context)).collect();
        let slots: Vec<_> = data.iter().map(|d| d.slot).collect();
        let nulls = data.iter().enumerate().fold(0, |n, (i, d)| n | u64::from(d.is_null()) << i);
        let row = Row { slots: &slots, nulls, change };
        while let Some((step, time)) = self.pipeline.cold_wanted(0, row) {
            let value = self.disk.cold.get(&(step, time)).map(Vec::as_slice);
            self.pipeline.cold_load(step, time, value).unwrap();
        }
        let progress = self.pipeline.push_row(0, row, &mut self.log);
        self.drain(progress);
        self
    }

    pub(crate) fn reading(&mut self, key: &str, time: i64, value: f64) -> &mut Self {
        self.row(&reading(key, time, value))
    }

    pub(crate) fn watermark(&mut self, watermark: Timestamp) -> &mut Self {
        let split = self.split();
        self.watermark_of(split, watermark)
    }

    /// Raises the watermark of all scans.
    pub(crate) fn watermarks(&mut self, watermark: Timestamp) -> &mut Self {
        for scan in 0..self.fragment.scans.len() {
            let split = self.pipeline.split(scan, "split");
            let progress = self.pipeline.raise(scan, split, watermark, &mut self.log);
            self.drain(progress);
        }
        self
    }

    /// Raises the watermark of one of several scans.
    pub(crate) fn raise_in(&mut self, scan: usize, watermark: Timestamp) -> &mut Self {
        let split = self.pipeline.split(scan, "split");
        let progress = self.pipeline.raise(scan, split, watermark, &mut self.log);
        self.drain(progress);
        self
    }

    pub(crate) fn watermark_of(&mut self, split: SplitId, watermark: Timestamp) -> &mut Self {
        let progress = self.pipeline.raise(0, split, watermark, &mut self.log);
        self.drain(progress);
        self
    }

    pub(crate) fn end(&mut self) -> &mut Self {
        let progress = self.pipeline.end(0, &mut self.log);
        self.drain(progress);
        self
    }

    pub(crate) fn checkpoint(&mut self, is_full: bool) -> &mut Self {
        if is_full {
            self.disk.pages.clear();
        }
        self.pipeline.checkpoint(is_full, &mut self.disk);
        self
    }

    /// Goes on as a new process would, with what the store holds.
    pub(crate) fn restart(&mut self) -> &mut Self {
        self.pipeline = Pipeline::build(&self.fragment, &self.limits).unwrap();
        for page in &self.disk.pages {
            self.pipeline.restore(page).unwrap();
        }
        self.pipeline.restored();
        self
    }

    /// What has come out since the last call.
    pub(crate) fn take(&mut self) -> Vec<String> {
        core::mem::take(&mut self.log.events).iter().map(Event::show).collect()
    }
}

/// A chain of steps over [`readings`], each with its columns; the last one goes to output 0.
pub(crate) fn chain(steps: Vec<(OperatorSpec, Schema)>) -> Fragment {
    chain_over(readings(), steps)
}

pub(crate) fn chain_over(table: Schema, steps: Vec<(OperatorSpec, Schema)>) -> Fragment {
    let input_of = |index: usize| index.checked_sub(1).map_or(Input::Scan(0), Input::Step);
    let output = Output {
        name: "result".into(),
        input: input_of(steps.len()),
        columns: None,
        schema: steps.last().map_or(table.clone(), |(_, schema)| schema.clone()),
        kind: OutputKind::Exchange,
        order: Order::Arrival,
    };
    let step = |(index, (operator, schema)): (usize, (OperatorSpec, Schema))| Step {
        name: format!("step-{index}"),
        inputs: vec![input_of(index)],
        operator,
        schema,
        late_output: None,
    };
    let scan = Scan {
        name: "readings".into(),
        decoded: table,
        computed: Vec::new(),
        watermark: None,
        future_max_ms: None,
    };
    Fragment {
        scans: vec![scan],
        steps: steps.into_iter().enumerate().map(step).collect(),
        outputs: vec![Output { kind: OutputKind::Rows, ..output }],
        ..Fragment::default()
    }
}

/// A step that joins readings with readings.
pub(crate) fn join(operator: OperatorSpec, is_left_only: bool) -> Fragment {
    let mut schema = readings();
    if !is_left_only {
        schema.fields.extend(readings().fields);
    }
    let mut fragment = chain(vec![(operator, schema)]);
    let right = Scan { name: "others".into(), ..fragment.scans[0].clone() };
    fragment.scans.push(right);
    fragment.steps[0].inputs = vec![Input::Scan(0), Input::Scan(1)];
    fragment
}

/// First-row deduplication of readings by these columns.
pub(crate) fn dedup(key: &[usize]) -> DedupSpec {
    DedupSpec { key: key.into(), rowtime: TIME, key_holds_time: key.contains(&TIME), ttl_ms: None }
}

pub(crate) fn tumble(size_ms: i64) -> WindowSpec {
    hop(size_ms, size_ms)
}

pub(crate) fn hop(size_ms: i64, slide_ms: i64) -> WindowSpec {
    WindowSpec { rowtime: TIME, size_ms, slide_ms, offset_ms: 0, kind: WindowKind::Hopping }
}

pub(crate) fn cumulate(size_ms: i64, step_ms: i64) -> WindowSpec {
    WindowSpec { kind: WindowKind::Cumulating, ..hop(size_ms, step_ms) }
}

/// An aggregate call over a column of readings.
pub(crate) fn call(function: &str, column: Option<usize>) -> AggregateSpec {
    let schema = readings();
    let arg = column.map(|c| (c, schema.data_type(c).clone()));
    AggregateSpec {
        function: function.into(),
        arg,
        filter: None,
        distinct: false,
        params: Vec::new(),
        weight: None,
    }
}

/// An aggregation of readings by key.
pub(crate) fn aggregate(
    window: WindowSpec,
    phase: Phase,
    calls: Vec<AggregateSpec>,
) -> WindowAggregateSpec {
    WindowAggregateSpec {
        window,
        keys: vec![KEY],
        key_types: vec![DataType::STRING],
        aggregates: calls,
        phase,
        lateness_ms: 0,
        time_type: DataType::TimestampLtz(3),
    }
}

/// The step of an aggregation, with its columns.
pub(crate) fn aggregate_step(spec: WindowAggregateSpec) -> (OperatorSpec, Schema) {
    let keys = vec!["k"; spec.keys.len()];
    let names = vec!["a"; spec.aggregates.len()];
    let schema = match spec.phase {
        Phase::Partial => window_aggregate::partial_schema(&spec, &keys),
        _ => window_aggregate::result_schema(&spec, &keys, &names),
    };
    (OperatorSpec::WindowAggregate(spec), schema.unwrap())
}
