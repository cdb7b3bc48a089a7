//! Benches of the whole programs: what a million readings cost in CPU, memory, bytes written to
//! the disk and bytes sent. They print and never fail on time; a wrong answer fails them.
//! Figures of a shared machine compare within one run only.

pub mod files;
pub mod flink;
pub mod gateway;
pub mod steps;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use serde_json::{Map, Value, json};

use crate::process::Usage;
use crate::scratch::target_dir;

/// One line of the result.
#[derive(Clone, Debug)]
pub struct Measure {
    /// What was run.
    pub name: String,
    /// Readings that went in.
    pub readings: u64,
    /// From the first reading to the last result.
    pub wall: Duration,
    /// Cost of the measured program alone.
    pub usage: Usage,
    /// Bytes of frames, and bytes of the same readings as JSON.
    pub uplink: Option<(u64, u64)>,
    /// Further figures, name with unit and value.
    pub notes: Vec<(&'static str, f64)>,
}

impl Measure {
    /// CPU seconds per million readings.
    #[must_use]
    pub fn cpu_s_per_million(&self) -> f64 {
        self.per_million(self.usage.cpu.as_secs_f64())
    }

    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    fn per_million(&self, amount: f64) -> f64 {
        amount * 1e6 / self.readings as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "for a table")]
    fn figures(&self) -> Vec<(&'static str, f64)> {
        let mut figures = vec![
            ("cpu_s_per_million", self.cpu_s_per_million()),
            ("readings_per_s", self.readings as f64 / self.wall.as_secs_f64()),
            ("rss_mb_max", self.usage.rss_bytes_max as f64 / 1e6),
            ("written_mb", self.usage.written_bytes as f64 / 1e6),
            ("written_mb_per_million", self.per_million(self.usage.written_bytes as f64 / 1e6)),
        ];
        if let Some((sent, raw)) = self.uplink {
            figures.push(("uplink_mb_per_million", self.per_million(sent as f64 / 1e6)));
            figures.push(("uplink_percent", sent as f64 * 100.0 / raw as f64));
        }
        figures.extend(self.notes.iter().copied());
        figures
    }

    /// The figures as text, one a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} ({} readings)\n", self.name, self.readings);
        for (name, value) in self.figures() {
            let _ = writeln!(text, "  {name:32} {value:>14.3}");
        }
        text
    }

    /// The figures as a JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("bench".into(), json!(self.name));
        object.insert("readings".into(), json!(self.readings));
        for (name, value) in self.figures() {
            object.insert(name.into(), json!(value));
        }
        Value::Object(object)
    }
}

/// A folder for what a bench makes once and keeps, under the target folder.
///
/// # Errors
/// When it cannot be made.
pub fn cache_dir() -> io::Result<PathBuf> {
    let dir = target_dir().join("bench");
    fs::create_dir_all(&dir)?;
    dir.canonicalize()
}

/// What a bench may do besides measuring: fail on a wrong answer.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
