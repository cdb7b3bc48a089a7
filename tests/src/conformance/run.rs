//! Runs one case and judges its answer: through the product's binary, straight or with SIGKILL at
//! random moments and restarts until it ends by itself, or simulated in this process.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::case::Case;
use super::compare::{compare, materialise, read};
use super::inprocess::{Simulated, simulate};
use crate::process::{Process, run};
use crate::sim::Chance;

/// Exit status of the product for "this I do not accept".
const EXIT_CONFIG: i32 = 78;
/// Kills per case.
const KILLS_COUNT: u64 = 5;

/// How a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Once, from start to end.
    Straight,
    /// With a checkpoint after every row (every 97th of a large input) and SIGKILL at five random
    /// moments, then to its end.
    Kill {
        /// Seed of the moments.
        seed: u64,
    },
    /// In this process.
    Simulated {
        /// How.
        how: Simulated,
        /// Seed of everything that is left to chance.
        seed: u64,
    },
}

impl Mode {
    /// The modes by name.
    #[must_use]
    pub fn named(name: &str, seed: u64) -> Option<Mode> {
        let how = match name {
            "straight" => return Some(Mode::Straight),
            "kill" => return Some(Mode::Kill { seed }),
            "restart" => Simulated::Restart,
            "cut-1" => Simulated::Cut(1),
            "cut-3" => Simulated::Cut(3),
            "shuffled" => Simulated::Shuffled,
            _ => return None,
        };
        Some(Mode::Simulated { how, seed })
    }
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is Flink's.
    Pass,
    /// The product ended well with another answer.
    Different(String),
    /// The product does not accept the pipeline, and says why.
    Refused(String),
    /// The product failed otherwise.
    Failed(String),
    /// The product ended well and left no readable answer.
    BadOutput(String),
    /// The product did not end.
    Timeout,
    /// The mode changes the order of rows, and this case's answer depends on it.
    OrderMatters,
}

impl Verdict {
    /// The names of all verdicts, in the order of the report's columns.
    pub const NAMES: [&str; 7] =
        ["pass", "different", "refused", "failed", "bad output", "timeout", "ordered"];

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        Verdict::NAMES[match self {
            Verdict::Pass => 0,
            Verdict::Different(_) => 1,
            Verdict::Refused(_) => 2,
            Verdict::Failed(_) => 3,
            Verdict::BadOutput(_) => 4,
            Verdict::Timeout => 5,
            Verdict::OrderMatters => 6,
        }]
    }

    /// What explains it.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Verdict::Pass | Verdict::OrderMatters => "",
            Verdict::Timeout => "did not end in time",
            Verdict::Different(why)
            | Verdict::Refused(why)
            | Verdict::Failed(why)
            | Verdict::BadOutput(why) => why,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why() {
            "" => f.write_str(self.name()),
            why => write!(f, "{}: {why}", self.name()),
        }
    }
}

/// Runs `case` with the aggregator `program`, leaving everything in the empty folder `out`.
///
/// # Panics
/// When `out` cannot be written to: no verdict can be given then.
#[must_use]
pub fn run_case(case: &Case, program: &Path, out: &Path, mode: Mode, timeout: Duration) -> Verdict {
    if let Mode::Simulated { how, seed } = mode {
        return simulate(case, out, how, seed);
    }
    let pipeline = match case.pipeline(out) {
        Ok(pipeline) => pipeline,
        Err(why) => return Verdict::Failed(why),
    };
    let path = out.join("pipeline.sql");
    fs::write(&path, pipeline).expect("the output folder can be written to");
    let mut command = Command::new(program);
    command.args(["run", "--standalone"]).current_dir(out);
    if let Mode::Kill { seed } = mode {
        let is_large = case.reads_data();
        let rows = if is_large { "97" } else { "1" };
        command.arg("--state-dir").arg(out.join("state")).args(["--checkpoint-every-rows", rows]);
        command.arg(&path);
        if let Err(why) = kill_some(&mut command, seed, is_large) {
            return Verdict::Failed(why);
        }
    } else {
        command.arg(&path);
    }
    let finished = match run(&mut command, timeout) {
        Ok(Some(finished)) => finished,
        Ok(None) => return Verdict::Timeout,
        Err(e) => return Verdict::Failed(e.to_string()),
    };
    match finished.code {
        Some(0) => judge(case, &out.join("result.ndjson")),
        Some(EXIT_CONFIG) => Verdict::Refused(first_line(&finished.stderr)),
        Some(code) => Verdict::Failed(format!("exit {code}: {}", finished.last_line())),
        None => Verdict::Failed(format!("ended by a signal: {}", finished.last_line())),
    }
}

/// Starts the command and kills it after a random time, several times over. A kill that comes
/// late finds a finished run: then the next one starts from its state, which is a case too.
fn kill_some(command: &mut Command, seed: u64, is_large: bool) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    // Start-up takes some milliseconds, a small case ends within some tens.
    let spread_us = if is_large { 600_000 } else { 40_000 };
    for _ in 0..KILLS_COUNT {
        let mut process = Process::start(command).map_err(|e| e.to_string())?;
        thread::sleep(Duration::from_micros(2_000 + chance.below(spread_us)));
        process.kill();
    }
    Ok(())
}

/// Compares the answer in `result` with the expected one.
#[must_use]
pub fn judge(case: &Case, result: &Path) -> Verdict {
    let expected = match read(&case.expected()) {
        Ok(rows) => rows,
        Err(why) => return Verdict::BadOutput(why),
    };
    match read(result).and_then(|rows| materialise(rows, &case.key)) {
        Ok(actual) => {
            let difference = compare(&expected, &actual, case.rtol);
            if difference.is_empty() {
                Verdict::Pass
            } else {
                let of = expected.len();
                Verdict::Different(format!("of {of} rows {}", difference.summary()))
            }
        }
        Err(why) => Verdict::BadOutput(why),
    }
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("says nothing").trim().to_owned()
}
