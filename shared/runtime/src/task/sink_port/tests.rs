use headwater_engine::limits::Limits;
use headwater_engine::slot::Slot;
use headwater_engine::types::{Field, Schema};

use super::*;
use crate::format::changelog_json::ChangelogJsonEncoder;
use crate::format::csv::{CsvEncoder, CsvOptions};
use crate::format::json::{JsonEncodeOptions, JsonEncoder};

fn port(mode: SinkMode, has_key: bool) -> SinkPort {
    let schema =
        Schema::new(vec![Field::new("k", DataType::BigInt), Field::new("v", DataType::BigInt)]);
    let options = JsonEncodeOptions::default();
    let encoder = match mode {
        SinkMode::Changelog => Encoder::ChangelogJson(ChangelogJsonEncoder::new(&schema, options)),
        _ => Encoder::Json(JsonEncoder::new(&schema, options)),
    };
    let key = if has_key { vec![(0, DataType::BigInt)] } else { Vec::new() };
    SinkPort::new(1000, encoder, mode, key)
}

/// Pushes rows `(change, k, v)` and settles: the lines, rows written, changes refused.
fn run(mode: SinkMode, has_key: bool, rows: &[(Change, i64, i64)]) -> (Vec<String>, u64, u64) {
    let (mut port, context) = (port(mode, has_key), Context::new(&Limits::default()));
    let mut done = Written::default();
    let mut add = |more: Written| {
        done.rows += more.rows;
        done.refused += more.refused;
    };
    for (change, k, v) in rows {
        let slots = [Slot::i64(*k), Slot::i64(*v)];
        add(port.push(Row { slots: &slots, nulls: 0, change: *change }, &context));
    }
    add(port.settle());
    let lines = String::from_utf8(port.lines).unwrap();
    (lines.lines().map(str::to_owned).collect(), done.rows, done.refused)
}

use Change::{Delete, Insert, UpdateAfter, UpdateBefore};

#[test]
fn both_halves_of_a_change() {
    let rows = [(Insert, 1, 5), (UpdateBefore, 1, 5), (UpdateAfter, 1, 6)];
    let (lines, written, refused) = run(SinkMode::Changelog, false, &rows);
    assert_eq!(lines[1..], [r#"{"k":1,"v":5,"op":"-U"}"#, r#"{"k":1,"v":6,"op":"+U"}"#]);
    assert_eq!((written, refused), (3, 0));
    let (lines, written, refused) = run(SinkMode::Upsert, true, &rows);
    assert_eq!(lines, [r#"{"k":1,"v":5}"#, r#"{"k":1,"v":6}"#]);
    assert_eq!((written, refused), (2, 0));
    let (lines, written, refused) = run(SinkMode::Append, false, &rows);
    assert_eq!(lines, [r#"{"k":1,"v":5}"#]);
    assert_eq!((written, refused), (1, 1));
}

#[test]
fn a_row_that_no_longer_passes_goes_away() {
    let rows = [(Insert, 1, 5), (UpdateBefore, 1, 5)];
    for has_key in [false, true] {
        let (lines, ..) = run(SinkMode::Changelog, has_key, &rows);
        assert_eq!(lines[1], r#"{"k":1,"v":5,"op":"-D"}"#);
    }
    let (lines, written, refused) = run(SinkMode::Upsert, true, &rows);
    assert_eq!(lines[1], r#"{"k":1,"__deleted":true}"#);
    assert_eq!((written, refused), (2, 0));
    assert_eq!(run(SinkMode::Append, false, &rows).2, 1);
    assert_eq!(run(SinkMode::Append, false, &[(Delete, 1, 5)]).2, 1);
}

#[test]
fn another_key_is_no_other_half() {
    let rows = [(UpdateBefore, 1, 5), (UpdateAfter, 2, 7)];
    let (lines, written, refused) = run(SinkMode::Changelog, true, &rows);
    assert_eq!(lines, [r#"{"k":1,"v":5,"op":"-D"}"#, r#"{"k":2,"v":7,"op":"+U"}"#]);
    assert_eq!((written, refused), (2, 0));
    let (lines, written, refused) = run(SinkMode::Upsert, true, &rows);
    assert_eq!(lines, [r#"{"k":2,"v":7}"#, r#"{"k":1,"__deleted":true}"#]);
    assert_eq!((written, refused), (2, 0));
}

#[test]
fn a_key_that_comes_again_is_not_gone() {
    let rows = [(Insert, 1, 5), (Delete, 1, 5), (Insert, 1, 6), (Insert, 2, 6), (Delete, 2, 6)];
    let (lines, written, refused) = run(SinkMode::Upsert, true, &rows);
    assert_eq!(lines[1..], [r#"{"k":1,"v":6}"#, r#"{"k":2,"v":6}"#, r#"{"k":2,"__deleted":true}"#]);
    assert_eq!((written, refused), (4, 0));
}

#[test]
fn a_format_without_a_mark_counts_what_it_cannot_say() {
    let schema = Schema::new(vec![Field::new("k", DataType::BigInt)]);
    let encoder = Encoder::Csv(CsvEncoder::new(&schema, CsvOptions::default()));
    let key = vec![(0, DataType::BigInt)];
    let mut port = SinkPort::new(1000, encoder, SinkMode::Upsert, key);
    let context = Context::new(&Limits::default());
    let row = Row { slots: &[Slot::i64(1)], nulls: 0, change: Delete };
    assert_eq!(port.push(row, &context), Written::default());
    assert_eq!(port.settle(), Written { rows: 0, refused: 1 });
    assert!(port.lines.is_empty());
}

#[test]
fn halves_of_several_changes_may_be_apart() {
    let rows =
        [(UpdateBefore, 1, 5), (UpdateBefore, 2, 5), (UpdateAfter, 1, 6), (UpdateAfter, 2, 6)];
    let (lines, written, refused) = run(SinkMode::Upsert, true, &rows);
    assert_eq!((lines.len(), written, refused), (2, 2, 0));
    let (lines, ..) = run(SinkMode::Changelog, true, &rows);
    let ops: Vec<&str> = lines.iter().map(|line| &line[line.len() - 4..line.len() - 2]).collect();
    assert_eq!(ops, ["-D", "-D", "+U", "+U"]);
}
