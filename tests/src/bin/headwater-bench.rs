//! `headwater-bench`: the benches by name, as a table and a line of JSON each.
#![deny(unsafe_code)]

use std::env;
use std::process::ExitCode;

use headwater_tests::bench::{Measure, Result, files, flink, gateway, steps};
use headwater_tests::broker::mosquitto_is_installed;

const USAGE: &str = "\
usage: headwater-bench [steps|w1|guarantees|mqtt|core|flash|flink|all] [--seconds N]

  steps  CPU of single operators per row, 800 keys, as differences of two queries
  w1     file to file, dedup and 10-s windows: W1 (4,000 keys) and 800 keys
  guarantees  the query of W1 at 800 keys, with checkpoints and without
  mqtt   the agent, readings from Mosquitto: unthrottled, 5,000/s, and 5,000/s over 3.1.1
  core   the aggregator, merging what three agents send
  flash  bytes written per checkpoint and uplink, 800 keys at one reading a second
  flink  Flink's job for W1 and ours in one run, with the ratio
  all    all of them (default)

--seconds N: event time of W1; the standard is 1500 (6,000,000 readings). The others shrink with
it. Run it with --release. Programs are built when they are missing or stale.";

/// W1's standard length, s.
const STANDARD_S: u64 = 1500;
/// Runs with and without guarantees.
const PAIRS: usize = 3;

fn main() -> ExitCode {
    let mut seconds = STANDARD_S;
    let mut names = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => match arguments.next().and_then(|n| n.parse().ok()) {
                Some(n @ 30..) => seconds = n,
                _ => return usage("--seconds needs a number of at least 30"),
            },
            "steps" | "w1" | "guarantees" | "mqtt" | "core" | "flash" | "flink" => {
                names.push(argument)
            }
            "all" => {}
            _ => return usage(&format!("no bench {argument}")),
        }
    }
    if names.is_empty() {
        names = ["steps", "w1", "guarantees", "flink", "core", "mqtt", "flash"]
            .map(str::to_owned)
            .to_vec();
    }
    let mut failed = false;
    for name in names {
        if let Err(why) = run(&name, seconds) {
            eprintln!("{name}: {why}");
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn usage(why: &str) -> ExitCode {
    eprintln!("{why}\n{USAGE}");
    ExitCode::from(2)
}

fn run(name: &str, seconds: u64) -> Result<()> {
    if matches!(name, "mqtt" | "core" | "flash") && !mosquitto_is_installed() {
        println!("skipped: {name}: Mosquitto is not installed");
        return Ok(());
    }
    match name {
        "steps" => step_costs((seconds / 5).max(30))?,
        "w1" => {
            print(&files::w1(seconds)?);
            print(&files::keys_800(seconds)?);
        }
        "guarantees" => guarantees(seconds)?,
        "mqtt" => {
            print(&gateway::mqtt(seconds * 700, None, false)?);
            print(&gateway::mqtt(seconds * 200, Some(5000), false)?);
            print(&gateway::mqtt(seconds * 200, Some(5000), true)?);
        }
        "core" => print(&gateway::core(seconds * 5)?),
        "flash" => print(&gateway::flash((seconds / 10).clamp(40, 120))?),
        _ => flink(seconds)?,
    }
    Ok(())
}

fn step_costs(seconds: u64) -> Result<()> {
    println!("steps of the engine, CPU time in ns");
    let costs = steps::run(seconds)?;
    for cost in &costs {
        let bar = cost.bar_ns.map_or(String::new(), |ns| format!(" (bar {ns:.0})"));
        let rows = cost.rows_per_reading;
        let per = if cost.is_per_row { "row out" } else { "reading" };
        println!("  {:40} {:>8.1} a {per}{bar}, {rows:.3} rows out", cost.name, cost.ns);
    }
    costs.iter().for_each(|cost| println!("{}", cost.measure.json()));
    println!();
    Ok(())
}

fn flink(seconds: u64) -> Result<()> {
    let Some(theirs) = flink::w1(seconds)? else { return Ok(()) };
    print(&theirs);
    let ours = files::w1(seconds)?;
    print(&ours);
    let ratio = ours.cpu_s_per_million() / theirs.cpu_s_per_million();
    println!("our CPU is {ratio:.3} of Flink's (1/{:.1})\n", 1.0 / ratio);
    Ok(())
}

/// The pairs alternate, so that a busy machine meets both alike.
fn guarantees(seconds: u64) -> Result<()> {
    let mut best = [f64::INFINITY; 2];
    for _ in 0..PAIRS {
        let pair = files::guarantees(seconds)?;
        for (best, measure) in best.iter_mut().zip(&pair) {
            print(measure);
            *best = best.min(measure.cpu_s_per_million());
        }
    }
    let [without, with] = best;
    let percent = (with / without - 1.0) * 100.0;
    println!(
        "the guarantees cost {percent:.1} % of CPU ({with:.3} and {without:.3} s a million)\n"
    );
    Ok(())
}

fn print(measure: &Measure) {
    println!("{}{}\n", measure.text(), measure.json());
}
