//! The W1 generator makes the bytes that its description promises, and the checker finds faults.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::process::Command;

use headwater_tests::scratch::Scratch;
use headwater_tests::w1::check::Sums;
use headwater_tests::w1::{START_MS, W1};

fn sha256(path: &std::path::Path) -> Option<String> {
    let output = Command::new("sha256sum").arg(path).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.split(' ').next()?.to_owned())
}

/// Of 30 s, as every generator of W1 makes them.
const SHA256_30: &str = "4fa0c63261e0b7ba2be35195370086e34425d4c74bdf19ef59894d8ddbc4b91b";
const LINES_30: u64 = 121_236;
const SUMS_30: (u64, u64, u64) = (6_007_789_732, 108_845_298, 1_091_862_048);

#[test]
fn small_input_is_the_same_bytes_as_ever() {
    let scratch = Scratch::new("w1").unwrap();
    let file = scratch.join("w1.ndjson");
    let expected = W1::with_seconds(30).write(&file).unwrap();
    assert_eq!(expected.lines, LINES_30);
    assert_eq!((expected.distinct, expected.rows), (120_000, 12_000));
    assert_eq!(expected.bytes, std::fs::metadata(&file).unwrap().len());
    assert_eq!((expected.sum_milli, expected.sum_min_milli, expected.sum_max_milli), SUMS_30);
    if let Some(sum) = sha256(&file) {
        assert_eq!(sum, SHA256_30);
    }
}

#[test]
fn the_checker_accepts_the_answer_and_names_each_fault() {
    let w1 = W1 { devices: 3, ..W1::with_seconds(20) };
    let mut readings = Vec::new();
    let expected = w1
        .for_each(|r| {
            readings.push(*r);
            Ok(())
        })
        .unwrap();
    readings.sort_by_key(|r| (r.device, r.sensor, r.ts_ms));
    readings.dedup_by_key(|r| (r.device, r.sensor, r.ts_ms));
    let mut rows = Vec::new();
    for group in readings.chunk_by(|a, b| {
        let key = |r: &headwater_tests::w1::Reading| (r.device, r.sensor, r.ts_ms / 10_000);
        key(a) == key(b)
    }) {
        let values = group.iter().map(|r| r.value_milli);
        let n = group.len() as f64;
        rows.push(format!(
            "{{\"device\":\"{}\",\"sensor\":\"{}\",\"start\":{},\"count\":{n},\
             \"min\":{},\"max\":{},\"avg\":{}}}",
            group[0].device,
            group[0].sensor,
            (group[0].ts_ms - START_MS) / 10_000,
            values.clone().min().unwrap() as f64 / 1000.0,
            values.clone().max().unwrap() as f64 / 1000.0,
            values.sum::<u64>() as f64 / 1000.0 / n,
        ));
    }
    let check = |rows: &[String]| Sums::read(rows.join("\n").as_bytes()).unwrap();
    check(&rows).compare(&expected).unwrap();
    let lost = check(&rows[1..]).compare(&expected).unwrap_err().to_string();
    assert!(lost.contains("rows: got 23, want 24"), "{lost}");
    rows[0] = rows[1].clone();
    let twice = check(&rows).compare(&expected).unwrap_err().to_string();
    assert!(twice.contains("repeated rows: got 1, want 0"), "{twice}");
}
