//! `headwater-conformance`: runs a folder of cases through the aggregator's binary and prints
//! what became of each. Exit status 1 when a case is neither answered as Flink does nor refused
//! as listed.
#![deny(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use headwater_tests::conformance::case::{Refusals, Suite};
use headwater_tests::conformance::report::{Options, Report, cases_path, refusals_path};
use headwater_tests::conformance::run::Mode;
use headwater_tests::process::binary;
use headwater_tests::scratch::target_dir;
use regex::Regex;

const USAGE: &str = "\
usage: headwater-conformance [--cases DIR] [--only REGEX] [--mode MODE] [--seed N]
                             [--refused FILE] [--keep DIR] [--timeout SECONDS] [--jobs N]
                             [--program FILE]

Runs each case of DIR (default: HEADWATER_CASES, else the project's own) through
`headwater-aggregator run --standalone`, or through the program given, such as an agent's.
HEADWATER_BIN_DIR names another folder with the aggregator.
MODE is one of: straight, kill (SIGKILL at random moments); in this process: restart (power cuts
around the checkpoint of every row), cut-1 and cut-3 (edge and core over that many gateways),
shuffled (within the out-of-order bound).";

struct Arguments {
    cases: PathBuf,
    only: Regex,
    refused: PathBuf,
    options: Options,
}

fn main() -> ExitCode {
    let arguments = match parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut from: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut cases = env::var_os("HEADWATER_CASES").map_or_else(cases_path, PathBuf::from);
    let mut only = Regex::new("").expect("the empty expression is one");
    let mut refused = refusals_path();
    let mut options = Options {
        program: PathBuf::new(),
        out: target_dir().join("conformance"),
        mode: Mode::Straight,
        timeout: Duration::from_secs(30),
        jobs: 2,
    };
    let (mut mode, mut seed) = ("straight".to_owned(), 1);
    while let Some(name) = from.next() {
        let value = from.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{name} {value}: {e}"));
        match name.as_str() {
            "--cases" => cases = PathBuf::from(value),
            "--only" => only = Regex::new(&value).map_err(|e| e.to_string())?,
            "--refused" => refused = PathBuf::from(value),
            "--program" => options.program = PathBuf::from(value),
            "--keep" => options.out = PathBuf::from(value),
            "--timeout" => options.timeout = Duration::from_secs(number()?),
            "--jobs" => options.jobs = usize::try_from(number()?).unwrap_or(usize::MAX),
            "--seed" => seed = number()?,
            "--mode" => mode = value,
            _ => return Err(format!("no option {name}")),
        }
    }
    options.mode = Mode::named(&mode, seed).ok_or_else(|| format!("no mode {mode}"))?;
    Ok(Arguments { cases, only, refused, options })
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    let suite = Suite::read(&arguments.cases, &arguments.only)?;
    if suite.cases.is_empty() {
        return Err(format!("no case in {}", suite.root.display()));
    }
    let refusals = Refusals::read(&arguments.refused)?;
    let out = &arguments.options.out;
    fs::create_dir_all(out).map_err(|e| format!("{}: {e}", out.display()))?;
    let out = out.canonicalize().map_err(|e| format!("{}: {e}", out.display()))?;
    let given = &arguments.options;
    let program = if matches!(given.mode, Mode::Simulated { .. }) {
        PathBuf::new()
    } else if given.program.as_os_str().is_empty() {
        binary("headwater-aggregator")
    } else {
        given.program.canonicalize().map_err(|e| format!("{}: {e}", given.program.display()))?
    };
    let options = Options { program, out, ..*given };
    let report = Report::run(&suite, &options);
    print!("{}", report.text(&refusals));
    let faults = report.faults(&refusals);
    for fault in &faults {
        println!("FAULT {fault}");
    }
    let (passed, refused) = (report.count("pass"), report.count("refused"));
    println!("{passed} passed, {refused} refused, {} faults", faults.len());
    Ok(faults.is_empty())
}
