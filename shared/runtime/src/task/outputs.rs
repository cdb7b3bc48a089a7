//! The collector of a task: encodes rows for sinks and exchanges, counts what is dropped.

use std::collections::BTreeMap;

use headwater_engine::context::Context;
use headwater_engine::fragment::{Fragment, OperatorSpec, Phase};
use headwater_engine::operator::{Collector, Reason, Timestamp};
use headwater_engine::row::Row;
use headwater_engine::types::{DataType, Schema};
use headwater_store::DeadLetter;
use headwater_wire::BatchEncoder;

use super::sink_port::{SinkPort, Written};
use crate::format::Encoder;

/// Which changes a sink can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkMode {
    /// New rows only: a correction is counted and dropped.
    Append,
    /// The last row of a key counts: `+I` and `+U` are written, and that a key is gone.
    Upsert,
    /// Every change is written with its kind.
    Changelog,
}

/// Where the rows of one output go.
pub enum OutputPort {
    /// Lines for a sink.
    Sink {
        /// Number of the sink's channel in the outbox.
        channel: u32,
        /// The format.
        encoder: Encoder,
        /// Which changes it takes.
        mode: SinkMode,
        /// Columns of its primary key.
        key: Vec<(usize, DataType)>,
    },
    /// Rows for the other fragment.
    Exchange {
        /// Number of the exchange's channel in the outbox and on the wire.
        channel: u32,
        /// Columns that cross.
        schema: Schema,
        /// Column whose times the frame header tells.
        time_column: Option<usize>,
        /// Whether watermarks cross with the rows.
        has_watermarks: bool,
    },
}

/// The column whose times the frame header tells: a slice's start, or the first timestamp.
pub(crate) fn time_column(schema: &Schema) -> Option<usize> {
    schema
        .index_of("$slice_start")
        .or_else(|| schema.fields.iter().position(|field| field.data_type.is_timestamp()))
}

/// The content of a frame to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Channel.
    pub channel: u32,
    /// Encoded rows and watermarks.
    pub payload: Vec<u8>,
    /// Rows in it.
    pub rows_count: u32,
    /// Smallest and largest event time.
    pub times: (Timestamp, Timestamp),
    /// Watermark after it.
    pub watermark: Timestamp,
}

enum Port {
    Sink(SinkPort),
    Exchange(Exchange),
}

struct Exchange {
    channel: u32,
    encoder: BatchEncoder,
    time_column: Option<usize>,
    has_watermarks: bool,
    times: (Timestamp, Timestamp),
    rows_count: u32,
    watermark: Timestamp,
    ready: Vec<Batch>,
}

impl Exchange {
    fn cut(&mut self) {
        if self.encoder.is_empty() {
            return;
        }
        let batch = self.batch();
        self.ready.push(batch);
    }

    fn batch(&mut self) -> Batch {
        Batch {
            channel: self.channel,
            payload: self.encoder.finish(),
            rows_count: std::mem::take(&mut self.rows_count),
            times: std::mem::replace(&mut self.times, (i64::MAX, i64::MIN)),
            watermark: self.watermark,
        }
    }
}

/// Buffers between the pipeline and the next checkpoint.
pub struct Outputs {
    ports: Vec<Port>,
    names: Vec<String>,
    /// Totals by step (`None`: a scan) and reason.
    drops: BTreeMap<(Option<usize>, Reason), u64>,
    totals: BTreeMap<String, u64>,
    rows_out: Vec<u64>,
    output_names: Vec<String>,
    dead_letters: Vec<DeadLetter>,
    dead_letters_skipped: u64,
    record: Vec<u8>,
    wall_ms: i64,
}

impl Outputs {
    pub(super) fn new(fragment: &Fragment, ports: Vec<OutputPort>) -> Self {
        let ports: Vec<_> = ports
            .into_iter()
            .map(|port| match port {
                OutputPort::Sink { channel, encoder, mode, key } => {
                    Port::Sink(SinkPort::new(channel, encoder, mode, key))
                }
                OutputPort::Exchange { channel, schema, time_column, has_watermarks } => {
                    Port::Exchange(Exchange {
                        channel,
                        has_watermarks,
                        encoder: BatchEncoder::new(&schema),
                        time_column,
                        times: (i64::MAX, i64::MIN),
                        rows_count: 0,
                        watermark: i64::MIN,
                        ready: Vec::new(),
                    })
                }
            })
            .collect();
        Outputs {
            rows_out: vec![0; ports.len()],
            ports,
            names: fragment.steps.iter().map(|step| step.name.clone()).collect(),
            output_names: fragment.outputs.iter().map(|output| output.name.clone()).collect(),
            drops: BTreeMap::new(),
            totals: BTreeMap::new(),
            dead_letters: Vec::new(),
            dead_letters_skipped: 0,
            record: Vec::new(),
            wall_ms: 0,
        }
    }

    /// Notes the record being processed, for a dead letter it may become.
    pub(super) fn begin(&mut self, record: &[u8], wall_ms: i64) {
        self.record.clear();
        self.record.extend_from_slice(&record[..record.len().min(super::DEAD_LETTER_BYTES_MAX)]);
        self.wall_ms = wall_ms;
    }

    pub(super) fn dead_letter(
        &mut self,
        place: &str,
        reason: &'static str,
        detail: String,
        record: &[u8],
        wall_ms: i64,
    ) {
        *self.totals.entry(format!("drop/{place}/{reason}")).or_default() += 1;
        if self.dead_letters.len() >= DEAD_LETTERS_PER_CHECKPOINT_MAX {
            self.dead_letters_skipped += 1;
            return;
        }
        let letter = super::dead_letter(place, reason, detail, record, wall_ms);
        self.dead_letters.push(letter);
    }

    pub(super) fn take_dead_letters(&mut self) -> Vec<DeadLetter> {
        let skipped = std::mem::take(&mut self.dead_letters_skipped);
        if skipped > 0 {
            *self.totals.entry("dead-letters-not-kept".into()).or_default() += skipped;
        }
        std::mem::take(&mut self.dead_letters)
    }

    pub(super) fn bytes_pending(&self) -> usize {
        let of = |port: &Port| match port {
            Port::Sink(sink) => sink.lines.len(),
            Port::Exchange(exchange) => {
                let ready: usize = exchange.ready.iter().map(|batch| batch.payload.len()).sum();
                let open =
                    if exchange.encoder.is_empty() { 0 } else { exchange.encoder.bytes_max() };
                open + ready
            }
        };
        self.ports.iter().map(of).sum()
    }

    /// Takes the lines of all sinks: channel and bytes, cut at line ends into chunks of at most
    /// `chunk_bytes` where lines allow.
    pub fn take_lines(&mut self, chunk_bytes: usize, mut take: impl FnMut(u32, Vec<u8>)) {
        self.settle();
        for port in &mut self.ports {
            let Port::Sink(SinkPort { channel, lines, .. }) = port else { continue };
            if lines.len() <= chunk_bytes {
                if !lines.is_empty() {
                    take(*channel, std::mem::take(lines));
                }
                continue;
            }
            let mut rest = &lines[..];
            while !rest.is_empty() {
                let cut = cut_lines(rest, chunk_bytes);
                take(*channel, rest[..cut].to_vec());
                rest = &rest[cut..];
            }
            lines.clear();
        }
    }

    /// Takes the batches of all exchanges, in order.
    pub fn take_batches(&mut self) -> Vec<Batch> {
        let mut batches = Vec::new();
        for port in &mut self.ports {
            if let Port::Exchange(exchange) = port {
                exchange.cut();
                batches.append(&mut exchange.ready);
            }
        }
        batches
    }

    /// A batch without rows on this channel.
    pub(crate) fn empty_batch(&mut self, channel: u32) -> Option<Batch> {
        self.ports.iter_mut().find_map(|port| match port {
            Port::Exchange(exchange) if exchange.channel == channel => Some(exchange.batch()),
            _ => None,
        })
    }

    /// Whether rows of the exchange on this channel have a time of their own.
    pub(crate) fn has_times(&self, channel: u32) -> bool {
        self.ports.iter().any(|port| match port {
            Port::Exchange(exchange) => {
                exchange.channel == channel && exchange.time_column.is_some()
            }
            Port::Sink(_) => false,
        })
    }

    /// Watermarks of the exchanges, by channel.
    pub fn watermarks(&self) -> Vec<(u32, Timestamp)> {
        let of = |port: &Port| match port {
            Port::Exchange(exchange) => Some((exchange.channel, exchange.watermark)),
            Port::Sink(_) => None,
        };
        self.ports.iter().filter_map(of).collect()
    }

    /// The number among the outputs of the exchange on this channel.
    pub(super) fn exchange(&self, channel: u32) -> Option<usize> {
        self.ports.iter().position(
            |port| matches!(port, Port::Exchange(exchange) if exchange.channel == channel),
        )
    }

    pub(super) fn count_name(&self, step: Option<usize>, reason: Reason) -> String {
        let place = step.map_or("scan", |step| self.names[step].as_str());
        format!("drop/{place}/{}", reason.as_str())
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = self.totals.clone();
        for ((step, reason), count) in &self.drops {
            *counts.entry(self.count_name(*step, *reason)).or_default() += count;
        }
        for (name, count) in self.output_names.iter().zip(&self.rows_out) {
            *counts.entry(format!("rows-out/{name}")).or_default() += count;
        }
        counts
    }

    pub(super) fn restore_counts(&mut self, counters: &BTreeMap<String, u64>) {
        let ours = |name: &&String| {
            name.starts_with("drop/")
                || name.starts_with("rows-out/")
                || *name == "dead-letters-not-kept"
        };
        let kept = counters.keys().filter(ours);
        for name in kept {
            *self.totals.entry(name.clone()).or_default() += counters[name];
        }
    }

    /// Sinks hold nothing back any longer: before a checkpoint.
    pub(super) fn settle(&mut self) {
        for output in 0..self.ports.len() {
            if let Port::Sink(sink) = &mut self.ports[output] {
                let done = sink.settle();
                self.note(output, done);
            }
        }
    }

    fn note(&mut self, output: usize, done: Written) {
        self.rows_out[output] += done.rows;
        if done.refused > 0 {
            *self.drops.entry((None, Reason::Correction)).or_default() += done.refused;
        }
    }
}

impl Collector for Outputs {
    fn row(&mut self, output: usize, row: Row<'_>, context: &mut Context) {
        let exchange = match &mut self.ports[output] {
            Port::Exchange(exchange) => exchange,
            Port::Sink(sink) => {
                let done = sink.push(row, context);
                return self.note(output, done);
            }
        };
        if let Some(column) = exchange.time_column {
            let time = row.slots[column].as_i64();
            exchange.times = (exchange.times.0.min(time), exchange.times.1.max(time));
        }
        exchange.encoder.push(row, context);
        exchange.rows_count += 1;
        self.rows_out[output] += 1;
        if exchange.encoder.bytes_max() >= BATCH_BYTES || exchange.encoder.is_full() {
            exchange.cut();
        }
    }

    fn watermark(&mut self, output: usize, watermark: Timestamp) {
        if let Port::Exchange(exchange) = &mut self.ports[output]
            && exchange.has_watermarks
        {
            exchange.encoder.watermark(watermark);
            exchange.watermark = watermark;
        }
    }

    fn dropped(&mut self, step: Option<usize>, reason: Reason, _: Row<'_>, _: &Context) {
        *self.drops.entry((step, reason)).or_default() += 1;
        if let Reason::Fault(fault) = reason {
            if self.dead_letters.len() >= DEAD_LETTERS_PER_CHECKPOINT_MAX {
                self.dead_letters_skipped += 1;
                return;
            }
            let place = step.map_or("scan", |step| self.names[step].as_str());
            let record = std::mem::take(&mut self.record);
            let letter =
                super::dead_letter(place, fault.as_str(), String::new(), &record, self.wall_ms);
            self.dead_letters.push(letter);
            self.record = record;
        }
    }

    fn has_room(&self) -> bool {
        // What one watermark can release is bounded by the capacities of the operators' state.
        true
    }
}

/// The longest prefix of whole lines of at most `max` bytes, at least one line.
fn cut_lines(bytes: &[u8], max: usize) -> usize {
    if bytes.len() <= max {
        return bytes.len();
    }
    match memchr::memrchr(b'\n', &bytes[..max]) {
        Some(at) => at + 1,
        None => memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1),
    }
}

/// Steps that keep cold state, and for how long, in ms.
pub(super) fn cold_horizons(fragment: &Fragment) -> Vec<(usize, i64)> {
    let horizon = |(index, step): (usize, &headwater_engine::fragment::Step)| {
        let OperatorSpec::WindowAggregate(spec) = &step.operator else { return None };
        let Phase::Merge { correction_ms } = spec.phase else { return None };
        Some((index, correction_ms.saturating_add(spec.window.size_ms)))
    };
    fragment.steps.iter().enumerate().filter_map(horizon).collect()
}

/// Bytes after which the rows of an exchange become a frame: a frame is at most 256 KiB long, also
/// when it does not compress.
const BATCH_BYTES: usize = 192 << 10;
/// Dead letters that one checkpoint stores; more are only counted.
const DEAD_LETTERS_PER_CHECKPOINT_MAX: usize = 1000;
