//! Workload W1: readings of 1,000 devices with four sensors, one a second each, with disorder up
//! to 5 s and 1 % repeats; deterministic from a seed. Its answers are known while it is made, so
//! a result can be checked without a second engine. Guarantees the same bytes as every other
//! generator of W1; memory is bounded by the readings of six seconds.

pub mod check;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Start of event time, ms since the epoch: a multiple of the window.
pub const START_MS: u64 = 1_700_000_000_000;
/// Window size of the query, ms.
pub const WINDOW_MS: u64 = 10_000;
/// sha256 of the standard size ([`W1::standard`]).
pub const STANDARD_SHA256: &str =
    "ad0e2037b044f6dfd2ff2f377230cbbe501d738d7cbb736a167733c5af06ba3e";

const SENSORS: [&str; 4] = ["temp", "hum", "pres", "vib"];

/// Which W1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct W1 {
    /// Seed of phases, values, delays and repeats.
    pub seed: u64,
    /// Seconds of event time.
    pub seconds: u64,
    /// Devices, of four sensors each.
    pub devices: u64,
    /// Repeated readings, per thousand.
    pub repeats_permille: u64,
}

/// What a right answer adds up to. Values are in thousandths, so that sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Input lines, repeats included.
    pub lines: u64,
    /// Input bytes.
    pub bytes: u64,
    /// Distinct readings.
    pub distinct: u64,
    /// Result rows: one per series and window.
    pub rows: u64,
    /// Sum of all distinct values.
    pub sum_milli: u64,
    /// Sum of the windows' minima.
    pub sum_min_milli: u64,
    /// Sum of the windows' maxima.
    pub sum_max_milli: u64,
}

/// One line of input; the order of the fields is the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at_ms: u64,
    series: u64,
    second: u64,
    copy: u64,
    ts_ms: u64,
    value_milli: u64,
}

/// A reading on its way to a consumer.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Device number.
    pub device: u64,
    /// Sensor name.
    pub sensor: &'static str,
    /// Event time, ms since the epoch.
    pub ts_ms: u64,
    /// Value in thousandths.
    pub value_milli: u64,
}

impl Reading {
    /// Writes the reading as its JSON line, without the line's end.
    ///
    /// # Errors
    /// As `to` has them.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (units, milli) = (self.value_milli / 1000, self.value_milli % 1000);
        write!(
            to,
            "{{\"device\":\"d{:04}\",\"sensor\":\"{}\",\"ts\":{},\"value\":{units}.{milli:03}}}",
            self.device, self.sensor, self.ts_ms
        )
    }
}

/// SplitMix64's finaliser: the generator's only source of chance.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl W1 {
    /// The standard size: 6,000,000 distinct readings in 6,060,172 lines, 414,515,028 bytes.
    #[must_use]
    pub fn standard() -> W1 {
        W1 { seed: 1, seconds: 1500, devices: 1000, repeats_permille: 10 }
    }

    /// The standard workload with another length.
    #[must_use]
    pub fn with_seconds(seconds: u64) -> W1 {
        W1 { seconds, ..W1::standard() }
    }

    fn chance(&self, series: u64, second: u64, tag: u64) -> u64 {
        mix(mix(mix(mix(self.seed) ^ series) ^ second) ^ tag)
    }

    /// One reading in five is late by up to 5 s, the others by less than 250 ms.
    fn delay_ms(&self, series: u64, second: u64, copy: u64) -> u64 {
        let chance = self.chance(series, second, 10 + copy);
        (chance >> 8) % if chance.is_multiple_of(5) { 5000 } else { 250 }
    }

    /// Hands every reading to `sink` in the order of arrival and answers what is expected.
    ///
    /// # Errors
    /// The first one of `sink`.
    pub fn for_each(
        &self,
        mut sink: impl FnMut(&Reading) -> io::Result<()>,
    ) -> io::Result<Expected> {
        let series_count = self.devices * SENSORS.len() as u64;
        let mut expected = Expected::default();
        let mut windows = BTreeMap::new();
        let mut waiting = Vec::new();
        for second in 0..=self.seconds {
            let last = second == self.seconds;
            if !last {
                for series in 0..series_count {
                    self.make(series, second, &mut waiting, &mut expected, &mut windows);
                }
            }
            waiting.sort_unstable();
            // All that is still to be made arrives at or after the next second.
            let limit = if last { u64::MAX } else { START_MS + (second + 1) * 1000 };
            let due = waiting.partition_point(|arrival: &Arrival| arrival.at_ms < limit);
            for arrival in waiting.drain(..due) {
                expected.lines += 1;
                sink(&arrival.reading())?;
            }
        }
        windows.into_values().for_each(|window| expected.close(window));
        Ok(expected)
    }

    fn make(
        &self,
        series: u64,
        second: u64,
        waiting: &mut Vec<Arrival>,
        expected: &mut Expected,
        windows: &mut BTreeMap<u64, Window>,
    ) {
        let ts_ms = START_MS + second * 1000 + self.chance(series, 0, 1) % 1000;
        let value_milli = self.chance(series, second, 2) % 100_000;
        let arrival = |copy| Arrival {
            at_ms: ts_ms + self.delay_ms(series, second, copy),
            series,
            second,
            copy,
            ts_ms,
            value_milli,
        };
        waiting.push(arrival(0));
        if self.chance(series, second, 3) % 1000 < self.repeats_permille {
            waiting.push(arrival(1));
        }
        expected.distinct += 1;
        expected.sum_milli += value_milli;
        let number = ts_ms / WINDOW_MS;
        let window = windows.entry(series).or_insert(Window::new(number));
        if window.number != number {
            expected.close(*window);
            *window = Window::new(number);
        }
        window.min_milli = window.min_milli.min(value_milli);
        window.max_milli = window.max_milli.max(value_milli);
    }

    /// Writes the readings as NDJSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<Expected> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let mut bytes = 0;
        let mut line = Vec::with_capacity(128);
        let mut expected = self.for_each(|reading| {
            line.clear();
            reading.write(&mut line)?;
            line.push(b'\n');
            bytes += line.len() as u64;
            file.write_all(&line)
        })?;
        file.flush()?;
        expected.bytes = bytes;
        Ok(expected)
    }
}

impl Arrival {
    fn reading(&self) -> Reading {
        let sensors = SENSORS.len() as u64;
        let sensor = usize::try_from(self.series % sensors).expect("a remainder below four");
        Reading {
            device: self.series / sensors,
            sensor: SENSORS[sensor],
            ts_ms: self.ts_ms,
            value_milli: self.value_milli,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Window {
    number: u64,
    min_milli: u64,
    max_milli: u64,
}

impl Window {
    fn new(number: u64) -> Window {
        Window { number, min_milli: u64::MAX, max_milli: 0 }
    }
}

impl Expected {
    fn close(&mut self, window: Window) {
        self.rows += 1;
        self.sum_min_milli += window.min_milli;
        self.sum_max_milli += window.max_milli;
    }
}
