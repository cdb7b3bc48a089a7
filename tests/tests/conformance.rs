//! Every case of the project's own suite, and of the shared one where it is there: the answer is
//! Flink's, or the pipeline is refused and listed with the construct it lacks.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use headwater_tests::conformance::case::{Refusals, Suite};
use headwater_tests::conformance::report::{cases_path, refusals_path};
use headwater_tests::scratch::shared_dir;
use regex::Regex;

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
