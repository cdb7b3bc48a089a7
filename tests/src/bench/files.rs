//! File to file in one process: W1 and the same query at 800 keys.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Measure, Result, cache_dir};
use crate::process::{binary, run};
use crate::rig::pipeline;
use crate::scratch::Scratch;
use crate::w1::check::Sums;
use crate::w1::{Expected, STANDARD_SHA256, W1};

/// An input that is made once and kept.
#[derive(Clone, Debug)]
pub struct Input {
    /// The NDJSON file.
    pub path: PathBuf,
    /// What the right answer adds up to.
    pub expected: Expected,
}

/// W1 with 1,000 devices: 4,000 keys.
///
/// # Errors
/// When the answer is wrong or nothing can be run.
pub fn w1(seconds: u64) -> Result<Measure> {
    standalone(&format!("w1, file to file, 4,000 keys, {seconds} s"), &W1::with_seconds(seconds))
}

/// The query of W1 with 200 devices: 800 keys, as many readings as W1 of `seconds`.
///
/// # Errors
/// When the answer is wrong or nothing can be run.
pub fn keys_800(seconds: u64) -> Result<Measure> {
    let w1 = W1 { devices: 200, ..W1::with_seconds(seconds * 5) };
    standalone("dedup and window, file to file, 800 keys", &w1)
}

/// What the guarantees cost: the same readings with a checkpoint for every 50,000, which is one in
/// ten seconds at 5,000 a second, and with none. Without first.
///
/// # Errors
/// When an answer is wrong or nothing can be run.
pub fn guarantees(seconds: u64) -> Result<[Measure; 2]> {
    let w1 = W1 { devices: 200, ..W1::with_seconds(seconds * 5) };
    let query = "dedup and window, file to file, 800 keys";
    let without = measure(&format!("{query}, no checkpoints"), &w1, Checkpoints::None)?;
    let every = Checkpoints::EveryRows(50_000);
    Ok([without, measure(&format!("{query}, checkpoints as at 5,000/s"), &w1, every)?])
}

/// When a run takes checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checkpoints {
    /// Never: there is no state directory.
    None,
    /// As often as by default.
    Default,
    EveryRows(u64),
}

/// Makes the input, unless it is there from an earlier run.
///
/// # Errors
/// When it cannot be written, or is not what W1 is.
pub fn input(w1: &W1) -> Result<Input> {
    let name = format!("w1-{}-{}x{}", w1.seed, w1.devices, w1.seconds);
    let path = cache_dir()?.join(format!("{name}.ndjson"));
    let sidecar = path.with_extension("json");
    if let Some(expected) = fs::read_to_string(&sidecar).ok().and_then(|text| read(&text))
        && fs::metadata(&path).is_ok_and(|m| m.len() == expected.bytes)
    {
        return Ok(Input { path, expected });
    }
    eprintln!("making {}", path.display());
    let expected = w1.write(&path)?;
    if *w1 == W1::standard() {
        let output = Command::new("sha256sum").arg(&path).output()?;
        if !String::from_utf8_lossy(&output.stdout).starts_with(STANDARD_SHA256) {
            return Err("the generator does not make W1".into());
        }
    }
    fs::write(sidecar, write(&expected))?;
    Ok(Input { path, expected })
}

fn write(e: &Expected) -> String {
    json!([e.lines, e.bytes, e.distinct, e.rows, e.sum_milli, e.sum_min_milli, e.sum_max_milli])
        .to_string()
}

fn read(text: &str) -> Option<Expected> {
    let numbers: Vec<u64> = serde_json::from_str::<Value>(text)
        .ok()?
        .as_array()?
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    let [lines, bytes, distinct, rows, sum_milli, sum_min_milli, sum_max_milli] = numbers[..]
    else {
        return None;
    };
    Some(Expected { lines, bytes, distinct, rows, sum_milli, sum_min_milli, sum_max_milli })
}

fn standalone(name: &str, w1: &W1) -> Result<Measure> {
    measure(name, w1, Checkpoints::Default)
}

fn measure(name: &str, w1: &W1, checkpoints: Checkpoints) -> Result<Measure> {
    let input = input(w1)?;
    // Warm page cache, as for every engine that is compared.
    std::io::copy(&mut File::open(&input.path)?, &mut std::io::sink())?;
    let scratch = Scratch::new("bench")?;
    let out = scratch.path().to_string_lossy().into_owned();
    let text = pipeline("w1.sql", &[("in", &input.path.to_string_lossy()), ("out", &out)])?;
    fs::write(scratch.join("w1.sql"), text)?;
    let mut command = Command::new(binary("headwater-aggregator"));
    command.args(["run", "--standalone"]).arg(scratch.join("w1.sql"));
    if checkpoints == Checkpoints::None {
        command.args(["--checkpoint-interval", "1d"]);
    } else {
        command.arg("--state-dir").arg(scratch.join("state"));
    }
    if let Checkpoints::EveryRows(rows) = checkpoints {
        command.args(["--checkpoint-every-rows", &rows.to_string()]);
    }
    let finished = run(&mut command, Duration::from_secs(1800))?.ok_or("did not end")?;
    if finished.code != Some(0) {
        return Err(format!("{:?}: {}", finished.code, finished.stderr).into());
    }
    let rows = BufReader::new(File::open(scratch.join("result.ndjson"))?);
    Sums::read(rows)?.compare(&input.expected)?;
    Ok(Measure {
        name: name.to_owned(),
        readings: input.expected.lines,
        wall: finished.took,
        usage: finished.usage,
        uplink: None,
        notes: Vec::new(),
    })
}
