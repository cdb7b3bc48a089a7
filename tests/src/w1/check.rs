//! Checks an answer to W1: rows, sums of counts, values, minima and maxima, repeated keys. Reads
//! NDJSON rows with `device`, `sensor`, a window start, and the aggregates count, min, max and
//! avg under the short or the long names. Does not look at the order of rows.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead};

use serde_json::Value;

use super::Expected;

/// What an answer adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Rows.
    pub rows: u64,
    /// Sum of counts.
    pub distinct: u64,
    /// Sum of values, from average and count, thousandths.
    pub sum_milli: u64,
    /// Sum of minima, thousandths.
    pub sum_min_milli: u64,
    /// Sum of maxima, thousandths.
    pub sum_max_milli: u64,
    /// Rows whose (device, sensor, window) came before.
    pub repeated: u64,
}

/// What is wrong with an answer.
#[derive(Debug)]
pub struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl Sums {
    /// Adds up the rows of an answer.
    ///
    /// # Errors
    /// When a line cannot be read or is no such row.
    pub fn read(rows: impl BufRead) -> io::Result<Sums> {
        let mut sums = Sums::default();
        let mut seen = HashSet::new();
        for (number, line) in rows.lines().enumerate() {
            let line = line?;
            if line.is_empty() {
                continue;
            }
            let row: Value = serde_json::from_str(&line)?;
            sums.add(&row, &mut seen).ok_or_else(|| {
                let text = format!("line {}: not a row of W1: {line}", number + 1);
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
        }
        Ok(sums)
    }

    fn add(&mut self, row: &Value, seen: &mut HashSet<String>) -> Option<()> {
        let column = |names: [&str; 2]| names.into_iter().find_map(|name| row.get(name));
        let start = column(["window_start", "start"])?;
        let key = format!("{} {} {start}", row.get("device")?, row.get("sensor")?);
        let count = column(["n", "count"])?.as_u64()?;
        let average = column(["av", "avg"])?.as_f64()?;
        self.rows += 1;
        self.distinct += count;
        self.sum_milli += milli(average * f64::from(u32::try_from(count).ok()?))?;
        self.sum_min_milli += milli(column(["mn", "min"])?.as_f64()?)?;
        self.sum_max_milli += milli(column(["mx", "max"])?.as_f64()?)?;
        self.repeated += u64::from(!seen.insert(key));
        Some(())
    }

    /// Compares with what is expected.
    ///
    /// # Errors
    /// Names every sum that differs.
    pub fn compare(&self, expected: &Expected) -> Result<(), Wrong> {
        let pairs = [
            ("rows", self.rows, expected.rows),
            ("readings", self.distinct, expected.distinct),
            ("sum, thousandths", self.sum_milli, expected.sum_milli),
            ("sum of minima, thousandths", self.sum_min_milli, expected.sum_min_milli),
            ("sum of maxima, thousandths", self.sum_max_milli, expected.sum_max_milli),
            ("repeated rows", self.repeated, 0),
        ];
        let wrong: Vec<_> = pairs
            .into_iter()
            .filter(|(_, got, want)| got != want)
            .map(|(name, got, want)| format!("{name}: got {got}, want {want}"))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(Wrong(wrong.join("; "))) }
    }
}

/// Thousandths of a value that has at most three decimals.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked range")]
fn milli(value: f64) -> Option<u64> {
    let milli = (value * 1000.0).round();
    (0.0..9e15).contains(&milli).then_some(milli as u64)
}
