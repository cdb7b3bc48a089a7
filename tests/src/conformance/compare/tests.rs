//! The comparer must neither pass a wrong answer nor refuse another spelling of a right one.

use super::{Rows, compare, materialise};

fn rows(lines: &[&str]) -> Rows {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn equal(expected: &str, actual: &str, rtol: f64) -> bool {
    compare(&rows(&[expected]), &rows(&[actual]), rtol).is_empty()
}

#[test]
fn spellings_of_one_value_are_equal() {
    for (a, b) in [
        (r#"{"a":1}"#, r#"{"a":1.0}"#),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        (r#"{"a":"2022-01-01 00:00:00.25"}"#, r#"{"a":"2022-01-01T00:00:00.250"}"#),
        (r#"{"a":"2022-01-01 00:00:00Z"}"#, r#"{"a":"2022-01-01T00:00:00.000Z"}"#),
        (r#"{"a":0.1}"#, r#"{"a":0.1000000000000001}"#),
        (r#"{"a":[1,null]}"#, r#"{"a":[1.0,null]}"#),
        (r#"{"a":0.0}"#, r#"{"a":-0.0}"#),
    ] {
        assert!(equal(a, b, 1e-12), "{a} {b}");
    }
}

#[test]
fn different_values_differ() {
    for (a, b) in [
        (r#"{"a":1}"#, r#"{"a":true}"#),
        (r#"{"a":1}"#, r#"{"a":"1"}"#),
        (r#"{"a":null}"#, r#"{}"#),
        (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740992}"#),
        (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740993.0}"#),
        (r#"{"a":"2022-01-01 00:00:00Z"}"#, r#"{"a":"2022-01-01 00:00:00"}"#),
        (r#"{"a":"NaN"}"#, r#"{"a":null}"#),
        (r#"{"a":0.1}"#, r#"{"a":0.1000001}"#),
        (r#"{"a":[1]}"#, r#"{"a":[1,1]}"#),
        (r#"{"a":"x 1"}"#, r#"{"a":"xT1"}"#),
    ] {
        assert!(!equal(a, b, 1e-12), "{a} {b}");
    }
}

#[test]
fn a_wider_tolerance_is_wider() {
    assert!(equal(r#"{"a":1.0000000001}"#, r#"{"a":1.0}"#, 1e-9));
    assert!(!equal(r#"{"a":1.0000000001}"#, r#"{"a":1.0}"#, 1e-12));
}

#[test]
fn rows_count_as_often_as_they_come() {
    let (one, two) = (rows(&[r#"{"a":1}"#]), rows(&[r#"{"a":1}"#, r#"{"a":1.0}"#]));
    assert_eq!(compare(&two, &one, 1e-12).missing.len(), 1);
    assert_eq!(compare(&one, &two, 1e-12).extra.len(), 1);
    assert!(compare(&two, &two, 1e-12).is_empty());
}

#[test]
fn near_rows_pair_up_one_to_one() {
    let expected = rows(&[r#"{"k":"a","x":0.1}"#, r#"{"k":"a","x":0.2}"#]);
    let actual = rows(&[r#"{"k":"a","x":0.20000000000000004}"#, r#"{"k":"a","x":0.1}"#]);
    assert!(compare(&expected, &actual, 1e-12).is_empty());
    let wrong = rows(&[r#"{"k":"a","x":0.1}"#, r#"{"k":"a","x":0.1}"#]);
    let difference = compare(&expected, &wrong, 1e-12);
    assert_eq!((difference.missing.len(), difference.extra.len()), (1, 1));
}

#[test]
fn a_changelog_comes_to_its_final_content() {
    let log = [
        r#"{"op":"+I","a":1}"#,
        r#"{"op":"-U","a":1}"#,
        r#"{"op":"+U","a":2}"#,
        r#"{"op":"+I","a":2}"#,
        r#"{"op":"-D","a":2}"#,
    ];
    assert_eq!(materialise(rows(&log), &[]).unwrap(), rows(&[r#"{"a":2}"#]));
    let error = materialise(rows(&log[1..]), &[]).unwrap_err();
    assert!(error.contains("not there"), "{error}");
}

#[test]
fn an_upsert_keeps_the_last_row_per_key() {
    let log = rows(&[
        r#"{"op":"+I","k":1,"a":1}"#,
        r#"{"op":"-U","k":1,"a":7}"#,
        r#"{"op":"+U","k":1,"a":2}"#,
        r#"{"op":"+I","k":2,"a":3}"#,
        r#"{"op":"-D","k":2,"a":3}"#,
    ]);
    assert_eq!(materialise(log, &["k".to_owned()]).unwrap(), rows(&[r#"{"k":1,"a":2}"#]));
}
