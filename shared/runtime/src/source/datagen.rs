//! Source `datagen`: made-up rows as JSON objects, at a rate.
//!
//! Guarantees: the n-th row is the same in every run with the same seed and options, so that
//! its position is a row number and reading resumes anywhere. Made only when polled; a small
//! thread wakes the pipeline when rows are due.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::source::{OpenError, PositionError, Record, Source, SourceBatch, SourceEvent, Wake};

/// How the values of a field are made.
#[derive(Clone, Debug, PartialEq)]
pub enum Generator {
    /// Whole numbers from `min` to `max`, both included, at random.
    Whole {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// Numbers from `min` to `max` at random.
    Real {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// Hexadecimal text of this many characters at random.
    Text {
        /// Characters.
        length: usize,
    },
    /// `true` or `false` at random.
    Bool,
    /// Whole numbers one after the other; the source ends after `end`.
    Sequence {
        /// First.
        start: i64,
        /// Last.
        end: i64,
    },
    /// Times in ms since 1970, `step_ms` apart.
    Time {
        /// Of the first row.
        start_ms: i64,
        /// From row to row.
        step_ms: i64,
    },
}

/// What to make.
#[derive(Clone, Debug)]
pub struct DatagenOptions {
    /// Names and generators of the fields, in order.
    pub fields: Vec<(String, Generator)>,
    /// Rows each second; 0 for as many as are taken.
    pub rows_per_second: u64,
    /// Rows in all; `None` for no end.
    pub rows_max: Option<u64>,
    /// Seed of the random values.
    pub seed: u64,
}

/// The source; see the module's text.
#[derive(Debug)]
pub struct Datagen {
    options: DatagenOptions,
    names: Vec<Vec<u8>>,
    rows_end: u64,
    next: u64,
    consumed: u64,
    started: Instant,
    first: u64,
    spare: Option<SourceBatch>,
    ending: u8,
    stop: Arc<AtomicBool>,
}

impl Datagen {
    /// Starts at the stored position.
    pub fn open(
        options: DatagenOptions,
        position: Option<&[u8]>,
        wake: Wake,
    ) -> Result<Self, OpenError> {
        for (name, generator) in &options.fields {
            let wrong = match generator {
                Generator::Whole { min, max } => min > max,
                Generator::Real { min, max } => !(min <= max && min.is_finite() && max.is_finite()),
                Generator::Text { length } => *length > TEXT_MAX,
                Generator::Sequence { start, end } => start > end,
                Generator::Bool | Generator::Time { .. } => false,
            };
            if wrong {
                let option = format!("fields.{name}");
                return Err(OpenError::option(&option, "has an empty range or is too long"));
            }
        }
        let next = position.map(decode).transpose()?.unwrap_or(0);
        let names = options.fields.iter().map(|(name, _)| quoted(name)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        if options.rows_per_second > 0 {
            start_ticks(wake, Arc::clone(&stop))?;
        }
        Ok(Self {
            rows_end: rows_end(&options),
            options,
            names,
            next,
            consumed: next,
            started: Instant::now(),
            first: next,
            spare: None,
            ending: 0,
            stop,
        })
    }

    fn due(&self) -> u64 {
        let rate = self.options.rows_per_second;
        let end = if rate == 0 {
            self.next + ROWS_MAX
        } else {
            let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            let made = u128::from(micros) * u128::from(rate) / 1_000_000;
            self.first.saturating_add(u64::try_from(made).unwrap_or(u64::MAX))
        };
        end.min(self.rows_end).min(self.next + ROWS_MAX)
    }

    fn write_row(&self, row: u64, out: &mut Vec<u8>) {
        for (index, (_, generator)) in self.options.fields.iter().enumerate() {
            out.push(if index == 0 { b'{' } else { b',' });
            out.extend_from_slice(&self.names[index]);
            out.push(b':');
            let random = mix(self.options.seed ^ mix(row ^ (index as u64) << 48));
            write_value(generator, row, random, out);
        }
        out.extend_from_slice(if self.names.is_empty() { b"{}\n" } else { b"}\n" });
    }
}

fn write_value(generator: &Generator, row: u64, random: u64, out: &mut Vec<u8>) {
    let row = i64::try_from(row).unwrap_or(i64::MAX);
    let number = match generator {
        Generator::Whole { min, max } => {
            let width = (i128::from(*max) - i128::from(*min) + 1).unsigned_abs();
            let offset = (u128::from(random) * width) >> 64;
            let value = i128::from(*min) + i128::try_from(offset).unwrap_or(0);
            i64::try_from(value).unwrap_or(*max)
        }
        Generator::Real { min, max } => {
            let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
            let _ = write!(out, "{}", min + (max - min) * unit);
            return;
        }
        Generator::Text { length } => {
            out.push(b'"');
            let end = out.len() + length;
            let mut word = random;
            while out.len() < end {
                let _ = write!(out, "{word:016x}");
                word = mix(word);
            }
            out.truncate(end);
            out.push(b'"');
            return;
        }
        Generator::Bool => {
            out.extend_from_slice(if random & 1 == 0 { b"false" } else { b"true" });
            return;
        }
        Generator::Sequence { start, .. } => start.saturating_add(row),
        Generator::Time { start_ms, step_ms } => {
            start_ms.saturating_add(step_ms.saturating_mul(row))
        }
    };
    let _ = write!(out, "{number}");
}

impl Source for Datagen {
    fn poll(&mut self) -> Option<SourceEvent> {
        let end = self.due();
        if self.next < end {
            let mut batch = self.spare.take().unwrap_or_default();
            for row in self.next..end {
                let start = batch.bytes.len();
                self.write_row(row, &mut batch.bytes);
                let small = |at: usize| u32::try_from(at).expect("a batch is far below 4 GiB");
                let end = small(batch.bytes.len() - 1);
                batch.records.push(Record { start: small(start), end, after: row + 1 });
            }
            self.next = end;
            return Some(SourceEvent::Batch(batch));
        }
        if self.next < self.rows_end {
            return None;
        }
        self.ending = self.ending.saturating_add(1);
        match self.ending {
            1 => Some(SourceEvent::SplitEnd { split: 0 }),
            2 => Some(SourceEvent::End),
            _ => None,
        }
    }

    fn consumed(&mut self, _split: u32, after: u64) {
        self.consumed = after;
    }

    fn position(&mut self, put: &mut dyn FnMut(String, Vec<u8>)) {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.consumed.to_le_bytes());
        put(String::new(), out);
    }

    fn committed(&mut self) {}

    fn recycle(&mut self, mut batch: SourceBatch) {
        batch.clear();
        self.spare = Some(batch);
    }
}

impl Drop for Datagen {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn start_ticks(wake: Wake, stop: Arc<AtomicBool>) -> Result<(), OpenError> {
    std::thread::Builder::new()
        .name("datagen-ticks".into())
        .stack_size(64 << 10)
        .spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                wake.notify();
            }
        })
        .map(|_| ())
        .map_err(|error| OpenError::option("connector", format!("no thread: {error}")))
}

/// The number of rows after which the source ends.
fn rows_end(options: &DatagenOptions) -> u64 {
    let sequences = options.fields.iter().filter_map(|(_, generator)| match generator {
        Generator::Sequence { start, end } => Some(end.abs_diff(*start).saturating_add(1)),
        _ => None,
    });
    sequences.chain(options.rows_max).min().unwrap_or(u64::MAX)
}

fn quoted(name: &str) -> Vec<u8> {
    serde_json::to_vec(name).expect("a text always becomes JSON")
}

/// A stored position in words, if it is one of this source.
pub(super) fn describe(bytes: &[u8]) -> Option<serde_json::Value> {
    let row = decode(bytes).ok()?;
    Some(serde_json::json!({ "kind": "datagen", "text": format!("row {row}"), "row": row }))
}

fn decode(bytes: &[u8]) -> Result<u64, PositionError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => <[u8; 8]>::try_from(rest)
            .map(u64::from_le_bytes)
            .map_err(|_| PositionError("it has a wrong length".into())),
        Some((version, _)) => Err(PositionError(format!("its version {version} is not known"))),
        None => Err(PositionError("it is empty".into())),
    }
}

/// Finaliser of SplitMix64: neighbouring inputs give unrelated outputs.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

const ROWS_MAX: u64 = 1000;
const TEXT_MAX: usize = 4096;
const TICK: Duration = Duration::from_millis(10);
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn options(rows_max: u64) -> DatagenOptions {
        let fields = [
            ("id", Generator::Sequence { start: 5, end: i64::MAX }),
            ("n", Generator::Whole { min: -3, max: 3 }),
            ("v", Generator::Real { min: 0.0, max: 1.0 }),
            ("s\"", Generator::Text { length: 5 }),
            ("ok", Generator::Bool),
            ("t", Generator::Time { start_ms: 1000, step_ms: 250 }),
        ];
        DatagenOptions {
            fields: fields.map(|(name, generator)| (name.to_owned(), generator)).into(),
            rows_per_second: 0,
            rows_max: Some(rows_max),
            seed: 42,
        }
    }

    fn rows(source: &mut Datagen, count: usize) -> Vec<String> {
        let mut rows = Vec::new();
        while let Some(SourceEvent::Batch(batch)) = source.poll() {
            for (index, record) in batch.records.iter().enumerate() {
                if rows.len() < count {
                    rows.push(String::from_utf8(batch.record(index).to_vec()).unwrap());
                    source.consumed(0, record.after);
                }
            }
            source.recycle(batch);
        }
        rows
    }

    #[test]
    fn rows_are_the_same_wherever_reading_resumes() {
        let all = rows(&mut Datagen::open(options(2500), None, Wake::new()).unwrap(), 9999);
        assert_eq!(all.len(), 2500);
        for row in &all {
            let value: serde_json::Value = serde_json::from_str(row).unwrap();
            assert!((-3..=3).contains(&value["n"].as_i64().unwrap()), "{row}");
            assert_eq!(value["s\""].as_str().unwrap().len(), 5);
        }
        assert!(all[0].starts_with("{\"id\":5,") && all[1].contains("\"t\":1250"));
        let mut source = Datagen::open(options(2500), None, Wake::new()).unwrap();
        let mut resumed = rows(&mut source, 1234);
        let mut position = Vec::new();
        source.position(&mut |_, value| position = value);
        let mut source = Datagen::open(options(2500), Some(&position), Wake::new()).unwrap();
        resumed.extend(rows(&mut source, 9999));
        assert_eq!(resumed, all);
    }

    #[test]
    fn a_rate_is_kept() {
        let options = DatagenOptions { rows_per_second: 1000, ..options(1_000_000) };
        let mut source = Datagen::open(options, None, Wake::new()).unwrap();
        assert!(source.poll().is_none());
        std::thread::sleep(Duration::from_millis(50));
        let Some(SourceEvent::Batch(batch)) = source.poll() else { panic!("no rows are due") };
        assert!((50..500).contains(&batch.records.len()), "{}", batch.records.len());
    }
}
