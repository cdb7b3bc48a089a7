//! A soak: real agents and a real aggregator over real Mosquittos, readings that flow all the time,
//! faults drawn from a seed, and the promises of docs/guarantees.md checked at the end. The
//! program `headwater-soak` is its command line.
//!
//! The server that the readings come from is frozen now and then and never killed: what it takes
//! and forgets is no reading that was taken in. The one that carries the frames is killed with
//! all that it has saved.

mod field;
mod judge;
mod load;
mod play;
mod report;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::sim::Chance;

use field::Field;
use load::Load;
use play::Play;
pub use report::Report;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long faults are injected.
    pub time: Duration,
    /// Of the faults, their moments and lengths.
    pub seed: u64,
    /// Agents.
    pub agents: usize,
    /// In name spaces of its own, where small file systems may be mounted: the process outside that
    /// it belongs to.
    pub outside: Option<u32>,
}

/// How long the backlog may take after the last fault.
const CATCH_UP_MAX: Duration = Duration::from_secs(180);
/// Between two looks at nodes that start, and at faults that are over.
const TICK: Duration = Duration::from_millis(10);
/// Between two measurements of memory and disk.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const PROGRESS_EVERY: Duration = Duration::from_secs(20);

/// Runs a soak to its end.
///
/// # Errors
/// When something that is not under test fails: a broker, a file, a process that cannot start.
pub fn run(options: &Options) -> io::Result<Report> {
    let mut field = Field::new(options)?;
    field.start()?;
    let load = Load::start(&field)?;
    let mut play = Play::new(Chance::new(options.seed), options);
    let started = Instant::now();
    let (mut sampled, mut told) = (started, started);
    while started.elapsed() < options.time {
        thread::sleep(TICK);
        play.step(&mut field, &load)?;
        if sampled.elapsed() >= SAMPLE_EVERY {
            sampled = Instant::now();
            field.sample();
        }
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            let minutes = started.elapsed().as_secs_f64() / 60.0;
            println!("{minutes:.1} min: {} readings, {}", load.accepted(), play.counts());
        }
    }
    play.end(&mut field)?;
    let healed = Instant::now();
    let truth = load.finish()?;
    println!("faults are over; {} readings are to be found", truth.readings());
    let lost = play.lost().to_vec();
    let verdict = judge::wait(&mut field, &truth, &lost, CATCH_UP_MAX, |field| {
        field.sample();
        play.look_after(field);
    });
    field.sample();
    Ok(Report::new(options, &play, &mut field, &truth, verdict, healed.elapsed()))
}
