//! Every case of the project's own suite, and of the shared one where it is there: the answer is
//! Flink's, or the pipeline is refused and listed with the construct it lacks.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_tests::conformance::case::{Refusals, Suite};
use headwater_tests::conformance::report::{Options, Report, cases_path, refusals_path};
use headwater_tests::conformance::run::Mode;
use headwater_tests::process::binary;
use headwater_tests::scratch::{Scratch, shared_dir};
use regex::Regex;

fn check(root: &Path, mode: &str) {
    let all = Regex::new("").expect("the empty expression is one");
    let suite = Suite::read(root, &all).unwrap();
    assert!(!suite.cases.is_empty());
    let refusals = Refusals::read(&refusals_path()).unwrap();
    let scratch = Scratch::new("conformance").unwrap();
    let mode = Mode::named(mode, 20_261_123).expect("a mode of the runner");
    let simulated = matches!(mode, Mode::Simulated { .. });
    let options = Options {
        program: if simulated { PathBuf::new() } else { binary("headwater-aggregator") },
        out: scratch.path().to_owned(),
        mode,
        timeout: Duration::from_secs(60),
        jobs: 2,
    };
    let report = Report::run(&suite, &options);
    println!("{}", report.text(&refusals));
    let faults = report.faults(&refusals);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The project's own cases and, where they are, the shared ones: those hold the own ones too.
fn check_all(mode: &str) {
    check(&shared_dir().map_or_else(cases_path, |shared| shared.join("conformance")), mode);
}

#[test]
fn own_cases_straight() {
    check(&cases_path(), "straight");
}

#[test]
fn all_cases_straight() {
    check_all("straight");
}

#[test]
fn killed_at_random_moments() {
    check_all("kill");
}

#[test]
fn power_cuts_around_the_checkpoint_of_every_row() {
    check_all("restart");
}

#[test]
fn cut_over_one_gateway() {
    check_all("cut-1");
}

#[test]
fn cut_over_three_gateways() {
    check_all("cut-3");
}

#[test]
fn shuffled_within_the_bound() {
    check_all("shuffled");
}

/// A list that names cases nobody has would hide a slip of the pen.
#[test]
fn every_listed_refusal_is_a_case() {
    let Some(shared) = shared_dir() else {
        println!("skipped: no shared cases here");
        return;
    };
    let refusals = Refusals::read(&refusals_path()).unwrap();
    for case in refusals.cases() {
        assert!(shared.join("conformance").join(case).is_dir(), "{case} is no case");
    }
}

/// The comparer's own control: every case's expected rows pass, and lose one row and they do not.
#[test]
fn expected_rows_pass_and_fewer_do_not() {
    use headwater_tests::conformance::compare::{compare, read};
    let suite = Suite::read(&cases_path(), &Regex::new("").unwrap()).unwrap();
    for case in &suite.cases {
        let expected = read(&case.expected()).unwrap();
        assert!(compare(&expected, &expected, case.rtol).is_empty(), "{}", case.name);
        let Some((_, fewer)) = expected.split_last() else { continue };
        let fewer = fewer.to_vec();
        assert_eq!(compare(&expected, &fewer, case.rtol).missing.len(), 1, "{}", case.name);
    }
}
