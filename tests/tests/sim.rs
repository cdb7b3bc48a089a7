//! The protocol under faults, in virtual time: a fixed set of seeds, each a whole fleet.

use headwater_tests::sim::world::{Coverage, Mix, Options, cores, run, run_seeds};

/// Seeds of the fixed set; `headwater-sim` runs as many as one likes.
const SEEDS: u64 = 400;

/// Runs seeds on all cores.
fn run_all(seeds: u64, options: &Options) -> Coverage {
    let mut coverage = Coverage::default();
    let mut reports = Vec::new();
    run_seeds(0..seeds, options, cores(), &mut |outcome| {
        coverage.add(&outcome.coverage);
        if !outcome.violations.is_empty() {
            reports.push(outcome.report());
        }
        reports.is_empty()
    });
    assert!(reports.is_empty(), "{}", reports.join("\n\n"));
    coverage
}

#[test]
fn no_seed_breaks_a_promise() {
    let coverage = run_all(SEEDS, &Options::default());
    println!("{coverage}");
    for fault in Mix::all().kinds() {
        assert!(coverage.count_of(fault.name()) > 0, "{} never happened", fault.name());
    }
    for state in ["off", "offline", "hello-sent", "granted", "awaiting-ack", "outbox-full"] {
        assert!(coverage.has("kill", state), "no gateway was killed when {state}");
    }
    for state in ["core-storing", "core-holding", "core-applied", "core-settled"] {
        assert!(coverage.has("power-cut", state), "no power cut of the core when {state}");
    }
}

#[test]
fn without_faults_nothing_is_lost_either() {
    let options = Options { mix: Mix::parse("none").expect("a mix"), gateways: None };
    assert_eq!(run_all(20, &options).faults_count(), 0);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let options = Options::default();
    for seed in 0..10 {
        assert_eq!(run(seed, &options).trace.hash(), run(seed, &options).trace.hash());
    }
}
