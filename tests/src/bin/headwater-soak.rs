//! `headwater-soak`: real processes, random faults, and what became of the promises. Exit status 1
//! when one is broken.
#![deny(unsafe_code)]

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headwater_tests::broker::mosquitto_is_installed;
use headwater_tests::soak::{Options, run};

const USAGE: &str = "\
usage: headwater-soak [--minutes M] [--seed N] [--agents N]

Agents and an aggregator with Mosquitto: readings flow over MQTT and from files, faults are drawn
from the seed. Says at the end what was injected, and whether each promise of docs/guarantees.md
was kept.
60 minutes and 3 agents unless told otherwise.

Runs in name spaces of its own where that is allowed (root, or unshare -r): then some nodes run out
of disk as well, and everything ends with the program, however it ends.";

/// Says that the program runs in its own name spaces, and whose they are.
const INSIDE: &str = "HEADWATER_SOAK_INSIDE";
/// Name spaces of mounts and processes; the kernel ends what is in them with the first process.
const UNSHARE: [&str; 6] = ["-m", "-r", "-p", "-f", "--kill-child=KILL", "--mount-proc"];

fn main() -> ExitCode {
    let mut options = match parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return ExitCode::SUCCESS;
    }
    options.outside = env::var(INSIDE).ok().and_then(|id| id.parse().ok());
    if options.outside.is_none() && may_isolate() {
        // Comes back only when it cannot be done.
        let failed = isolate(options.seed);
        eprintln!("no name spaces: {failed}");
    }
    if options.outside.is_none() {
        println!("no name spaces of its own: no disk runs full, and a kill leaves processes");
    }
    println!("seed {}, {} agents, {:?}", options.seed, options.agents, options.time);
    match run(&options) {
        Ok(report) => {
            println!("{report}");
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the soak itself failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn may_isolate() -> bool {
    let mut command = Command::new("unshare");
    command.args(UNSHARE).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Becomes the same program in its own name spaces.
fn isolate(seed: u64) -> std::io::Error {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    // It stays the same outside.
    let id = std::process::id();
    let mut command = Command::new("unshare");
    command.args(UNSHARE).arg(program).args(env::args().skip(1));
    command.args(["--seed", &seed.to_string()]).env(INSIDE, id.to_string()).exec()
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
    let mut options =
        Options { time: Duration::from_secs(3600), seed: now, agents: 3, outside: None };
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("'{value}' is no number"));
        match word.as_str() {
            "--minutes" => {
                let minutes = value.parse::<f64>().ok().filter(|m| (0.1..=10_000.0).contains(m));
                let minutes = minutes.ok_or(format!("'{value}' is no number of minutes"))?;
                options.time = Duration::from_secs_f64(minutes * 60.0);
            }
            "--seed" => options.seed = number()?,
            "--agents" => options.agents = usize::try_from(number()?.clamp(1, 20)).unwrap_or(3),
            other => return Err(format!("unknown argument '{other}'")),
        }
    }
    Ok(options)
}
