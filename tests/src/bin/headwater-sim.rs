//! `headwater-sim`: runs seeds of the simulator and says what they met. Exit status 1 when one
//! breaks a promise.
#![deny(unsafe_code)]

use std::env;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use headwater_engine::mutation::{MUTATIONS, plant};
use headwater_tests::sim::world::{
    Coverage, Mix, Options, Outcome, cores, first_failure, run, run_seeds,
};

const USAGE: &str = "\
usage: headwater-sim [--seeds A..B] [--replay N] [--faults MIX] [--agents N] [--jobs N]
       headwater-sim --mutations [--seeds A..B] [--jobs N]

Runs a fleet per seed in virtual time, with faults, and checks what docs/guarantees.md promises.
MIX is a list of kinds: all, none, a name, -name; for example all,-no-room.
--replay prints the whole trace of one seed; --mutations plants bugs, one after the other, and
says which seed found each.";

struct Arguments {
    seeds: Range<u64>,
    replay: bool,
    mutations: bool,
    jobs: usize,
    options: Options,
}

fn main() -> ExitCode {
    let arguments = match parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic is a finding like others: it is reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    if arguments.replay {
        return replay(&arguments);
    }
    if arguments.mutations {
        return hunt(&arguments);
    }
    let mut totals = Totals::default();
    let start = Instant::now();
    run_seeds(arguments.seeds.clone(), &arguments.options, arguments.jobs, &mut |outcome| {
        totals.add(&outcome);
        if !outcome.violations.is_empty() && totals.failed <= SHOWN_MAX {
            println!("{}\n", outcome.report());
        }
        if totals.runs.is_multiple_of(PROGRESS_EVERY) {
            println!("{}", totals.line(start));
        }
        true
    });
    println!("{}\n\n{}", totals.coverage, totals.line(start));
    if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plants each bug and looks for it.
fn hunt(arguments: &Arguments) -> ExitCode {
    let mut missed = 0;
    for mutation in MUTATIONS {
        plant(Some(mutation));
        match first_failure(arguments.seeds.clone(), &arguments.options, arguments.jobs) {
            Some(outcome) => {
                println!("{mutation:?}: seed {}: {}", outcome.seed, outcome.violations[0].what);
            }
            None => {
                missed += 1;
                println!("{mutation:?}: NOT FOUND in {:?}", arguments.seeds);
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Totals {
    runs: u64,
    failed: u64,
    readings: u64,
    virtual_ms: u64,
    catch_up_ms: u64,
    coverage: Coverage,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.failed += u64::from(!outcome.violations.is_empty());
        self.readings += outcome.readings;
        self.virtual_ms += outcome.virtual_ms;
        self.catch_up_ms = self.catch_up_ms.max(outcome.catch_up_ms);
        self.coverage.add(&outcome.coverage);
    }

    fn line(&self, start: Instant) -> String {
        let seconds = start.elapsed().as_secs().max(1);
        format!(
            "{} runs in {seconds} s, {} failed: {} readings, {} faults, {} h of virtual time \
             ({} x real time), slowest to catch up {} s",
            self.runs,
            self.failed,
            self.readings,
            self.coverage.faults_count(),
            self.virtual_ms / 3_600_000,
            self.virtual_ms / 1000 / seconds,
            self.catch_up_ms / 1000,
        )
    }
}

/// Failures that are printed.
const SHOWN_MAX: u64 = 5;
/// Runs between two lines of progress.
const PROGRESS_EVERY: u64 = 1000;

fn replay(arguments: &Arguments) -> ExitCode {
    let outcome = run(arguments.seeds.start, &arguments.options);
    for node in 0..=outcome.nodes {
        println!("{}", outcome.trace.shortened(node, usize::MAX));
    }
    println!("{}\nhash {:016x}", outcome.report(), outcome.trace.hash());
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        seeds: 0..1000,
        replay: false,
        mutations: false,
        jobs: cores(),
        options: Options::default(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--seeds" => {
                let text = value()?;
                let (from, to) = text.split_once("..").ok_or("--seeds needs A..B")?;
                arguments.seeds = number(from)?..number(to)?;
            }
            "--replay" => {
                let seed = number(&value()?)?;
                (arguments.seeds, arguments.replay) = (seed..seed + 1, true);
            }
            "--faults" => arguments.options.mix = Mix::parse(&value()?)?,
            "--agents" => {
                let count = usize::try_from(number(&value()?)?).map_err(|e| e.to_string())?;
                arguments.options.gateways = Some(count.clamp(1, 50));
            }
            "--mutations" => arguments.mutations = true,
            "--jobs" => arguments.jobs = usize::try_from(number(&value()?)?).unwrap_or(1),
            other => return Err(format!("unknown argument '{other}'")),
        }
    }
    Ok(arguments)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}
