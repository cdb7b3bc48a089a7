//! Tests of OVER: the rules one by one, then random input against a naive model.

use alloc::{string::String, vec, vec::Vec};

use crate::{
    fragment::*,
    limits::Limits,
    testkit::*,
    types::{DataType, Field, Schema},
};

mod model;

/// A frame back from the present row.
fn back(unit: FrameUnit, preceding: i64) -> Frame {
    Frame { unit, preceding: Some(preceding), following: 0 }
}

fn unbounded(unit: FrameUnit) -> Frame {
    Frame { unit, preceding: None, following: 0 }
}

fn over(function: &str, column: Option<usize>, frame: Frame) -> OverCall {
    OverCall { function: OverFunction::Aggregate(call(function, column)), frame }
}

fn lag(column: usize, rows: i64, default: Option<usize>) -> OverCall {
    let frame = back(FrameUnit::Rows, rows);
    OverCall { function: OverFunction::Lag { column, default }, frame }
}

fn lead(column: usize, rows: i64) -> OverCall {
    let frame = Frame { unit: FrameUnit::Rows, preceding: Some(0), following: rows };
    OverCall { function: OverFunction::Lead { column, default: None }, frame }
}

fn spec(calls: Vec<OverCall>) -> OverSpec {
    OverSpec { partition: vec![KEY], rowtime: TIME, calls, ttl_ms: None }
}

fn result(call: &OverCall) -> DataType {
    match &call.function {
        OverFunction::Aggregate(AggregateSpec { function, arg, .. }) => {
            let arg = arg.as_ref().map(|(_, t)| t);
            crate::aggregate::bind(
                function,
                &crate::aggregate::Arguments { arg, params: &[], is_distinct: false },
            )
            .unwrap()
            .result
        }
        OverFunction::Lag { column, .. } | OverFunction::Lead { column, .. } => {
            readings().data_type(*column).clone()
        }
    }
}

fn fragment(spec: &OverSpec) -> Fragment {
    let mut fields = readings().fields;
    fields.extend(spec.calls.iter().map(|call| Field::new("c", result(call))));
    chain(vec![(OperatorSpec::Over(spec.clone()), Schema::new(fields))])
}

fn run(calls: Vec<OverCall>) -> Run {
    Run::new(fragment(&spec(calls)))
}

/// What came out: key, time and the appended columns of each row.
fn taken(run: &mut Run) -> Vec<String> {
    let short = |line: String| match line.starts_with("+I") {
        false => line,
        true => {
            let words: Vec<_> = line.split(' ').collect();
            [&words[1..3], &words[8..]].concat().join(" ")
        }
    };
    run.take().into_iter().map(short).collect()
}

/// Rows of one time come in the order in which they arrived, whatever order their keys had before;
/// so do rows behind the watermark, which all count as due with it.
#[test]
fn equal_times_come_in_order_of_arrival() {
    let mut run = run(vec![over("COUNT", None, back(FrameUnit::Range, 100))]);
    for (key, time) in [("a", 1), ("b", 2), ("c", 3), ("c", 9), ("a", 9), ("b", 9)] {
        run.row(&reading(key, time, 0.0));
    }
    run.watermark(3);
    assert_eq!(taken(&mut run), ["a 1 1", "b 2 1", "c 3 1"]);
    run.watermark(9);
    assert_eq!(taken(&mut run), ["c 9 2", "a 9 2", "b 9 2"]);
    for (key, time) in [("e", 7), ("d", 8), ("e", 6), ("f", 9)] {
        run.row(&reading(key, time, 0.0));
    }
    run.watermark(10);
    assert_eq!(taken(&mut run), ["e 6 1", "e 7 2", "d 8 1", "f 9 1"]);
}

#[test]
fn range_holds_its_bounds_and_rows_of_equal_time() {
    let frame = back(FrameUnit::Range, 5);
    let mut run = run(vec![over("COUNT", None, frame.clone()), over("SUM", Some(VALUE), frame)]);
    run.reading("a", 1, 1.0).reading("a", 6, 2.0).reading("a", 6, 4.0).reading("a", 12, 8.0);
    assert!(run.take().is_empty(), "rows wait for the watermark");
    run.watermark(11);
    assert_eq!(taken(&mut run), ["a 1 1 1.0", "a 6 3 7.0", "a 6 3 7.0"]);
    run.watermark(12);
    assert_eq!(taken(&mut run), ["a 12 1 8.0"]);
}

#[test]
fn rows_count_one_by_one_and_sums_know_when_they_are_empty() {
    let frame = back(FrameUnit::Rows, 1);
    let calls = vec![over("SUM", Some(VALUE), frame.clone()), over("MIN", Some(INT), frame)];
    let mut run = run(calls);
    let mut empty = reading("a", 3, 0.0);
    (empty[VALUE], empty[INT]) = (V::Null, V::Null);
    run.reading("a", 1, 1.0).reading("a", 1, 5.0).row(&empty).row(&empty).end();
    assert_eq!(taken(&mut run), ["a 1 1.0 1", "a 1 6.0 1", "a 3 5.0 5", "a 3 null null"]);
}

#[test]
fn bounded_frames_take_rows_behind_the_watermark_but_not_behind_the_key() {
    let mut run = run(vec![over("COUNT", None, back(FrameUnit::Range, 100))]);
    run.reading("a", 10, 1.0).watermark(20);
    run.reading("a", 10, 1.0).reading("a", 15, 1.0).reading("b", 3, 1.0);
    assert_eq!(taken(&mut run), ["a 10 1", "dropped late"]);
    run.watermark(21);
    assert_eq!(taken(&mut run), ["a 15 2", "b 3 1"], "in order of arrival");
}

#[test]
fn unbounded_frames_take_nothing_behind_the_watermark() {
    let mut run = run(vec![over("COUNT", None, unbounded(FrameUnit::Rows))]);
    run.reading("a", 10, 1.0).watermark(20);
    run.reading("a", 20, 1.0).reading("a", 21, 1.0).reading("a", 21, 1.0).watermark(21);
    assert_eq!(taken(&mut run), ["a 10 1", "dropped late", "a 21 2", "a 21 3"]);
}

#[test]
fn lag_and_lead_look_along_the_key() {
    let mut run = run(vec![lag(VALUE, 1, Some(VALUE)), lag(VALUE, 2, None), lead(TEXT, 1)]);
    run.reading("a", 1, 1.0).reading("a", 3, 3.0).reading("b", 1, 9.0).reading("a", 2, 2.0);
    run.watermark(2);
    assert_eq!(taken(&mut run), ["a 1 1.0 null t2"]);
    run.watermark(3);
    assert_eq!(taken(&mut run), ["a 2 1.0 null t3"]);
    run.end();
    assert_eq!(taken(&mut run), ["a 3 2.0 1.0 null", "b 1 9.0 null null"]);
}

#[test]
fn lag_looks_back_from_the_last_row_of_the_same_time() {
    let mut run = run(vec![lag(VALUE, 1, None), lag(VALUE, 4, Some(VALUE))]);
    run.reading("a", 1, 1.0).reading("a", 2, 2.0).reading("a", 2, 3.0).watermark(2);
    assert_eq!(taken(&mut run), ["a 1 null 1.0", "a 2 2.0 3.0", "a 2 2.0 3.0"]);
}

#[test]
fn a_frame_that_ends_later_makes_its_row_wait() {
    let frame = Frame { unit: FrameUnit::Range, preceding: Some(1), following: 2 };
    let mut run = run(vec![over("MAX", Some(VALUE), frame)]);
    run.reading("a", 1, 5.0).reading("a", 2, 1.0).reading("a", 4, 7.0).watermark(3);
    assert_eq!(taken(&mut run), ["a 1 5.0"]);
    run.watermark(4);
    assert_eq!(taken(&mut run), ["a 2 7.0"]);
    run.end();
    assert_eq!(taken(&mut run), ["a 4 7.0"]);
}

#[test]
fn a_key_out_of_reach_is_forgotten_with_its_texts() {
    let mut run = run(vec![over("COUNT", None, back(FrameUnit::Range, 10))]);
    run.reading("a", 0, 1.0).watermark(15);
    assert_eq!(run.pipeline.context().symbols.len(), 2);
    run.watermark(16);
    assert!(run.pipeline.context().symbols.is_empty());
    run.reading("a", 0, 1.0).watermark(17);
    assert_eq!(taken(&mut run), ["a 0 1", "a 0 1"], "its last time is forgotten too");
}

#[test]
fn a_ttl_ends_the_wait_for_rows_that_do_not_come() {
    let spec = OverSpec { ttl_ms: Some(10), ..spec(vec![lead(VALUE, 1)]) };
    let mut run = Run::new(fragment(&spec));
    run.reading("a", 0, 1.0).watermark(15);
    assert!(run.take().is_empty());
    run.watermark(16);
    assert_eq!(taken(&mut run), ["a 0 null"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn at_the_limit_a_row_is_set_aside() {
    let limits = Limits { rows_max: 2, ..Limits::default() };
    let calls = vec![over("COUNT", None, back(FrameUnit::Rows, 2))];
    let mut run = Run::with(fragment(&spec(calls)), limits);
    run.reading("a", 1, 1.0).reading("b", 1, 1.0).reading("c", 1, 1.0).watermark(1);
    assert_eq!(taken(&mut run), ["dropped state-full", "a 1 1", "b 1 1"]);
    assert_eq!(run.pipeline.context().symbols.len(), 3, "nothing is left of the third key");
}
