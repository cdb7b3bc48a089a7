//! Tests of sessions: by hand, against a naive oracle, over restarts at every row.

use alloc::{string::String, vec, vec::Vec};
use proptest::prelude::*;

use crate::{fragment::*, limits::Limits, testkit::*, types::DataType};

fn spec(gap_ms: i64, aggregates: Vec<AggregateSpec>) -> SessionSpec {
    SessionSpec {
        rowtime: TIME,
        gap_ms,
        keys: vec![KEY],
        key_types: vec![DataType::STRING],
        aggregates,
        time_type: DataType::TimestampLtz(3),
    }
}

fn with(limits: Limits, spec: SessionSpec) -> Run {
    let names = vec!["a"; spec.aggregates.len()];
    let schema = super::result_schema(&spec, &vec!["k"; spec.keys.len()], &names).unwrap();
    Run::with(chain(vec![(OperatorSpec::SessionAggregate(spec), schema)]), limits)
}

fn run(gap_ms: i64) -> Run {
    with(Limits::default(), spec(gap_ms, vec![call("COUNT", None), call("SUM", Some(VALUE))]))
}

#[test]
fn rows_one_gap_apart_are_one_session() {
    let mut run = run(5);
    run.reading("a", 1, 1.0).reading("a", 6, 2.0).reading("a", 12, 4.0).reading("b", 3, 8.0);
    run.watermark(9);
    assert_eq!(run.take(), ["+I b 1 8.0 3 8 7"]);
    run.end();
    assert_eq!(run.take(), ["+I a 2 3.0 1 11 10", "+I a 1 4.0 12 17 16"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn a_row_out_of_order_puts_sessions_together() {
    let mut run = run(5);
    run.reading("a", 20, 1.0).reading("a", 8, 2.0).reading("a", 1, 4.0).watermark(4);
    run.reading("a", 13, 8.0).end();
    assert_eq!(run.take(), ["+I a 1 4.0 1 6 5", "+I a 2 10.0 8 18 17", "+I a 1 1.0 20 25 24"]);
    run.restart().reading("a", 20, 1.0).reading("a", 10, 2.0).reading("a", 15, 4.0).end();
    assert_eq!(run.take(), ["+I a 3 7.0 10 25 24"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn late_is_decided_after_putting_together() {
    let mut run = run(5);
    run.reading("a", 20, 1.0).watermark(16);
    // Its own session would have ended, but it joins an open one.
    run.reading("a", 15, 2.0).reading("a", 9, 4.0);
    assert_eq!(run.take(), ["dropped late"]);
    run.watermark(24);
    assert_eq!(run.take(), ["+I a 2 3.0 15 25 24"]);
    run.reading("a", 20, 8.0).reading("a", 21, 16.0).end();
    assert_eq!(run.take(), ["dropped late", "+I a 1 16.0 21 26 25"]);
}

#[test]
fn sessions_are_bounded_and_places_are_used_again() {
    let limits = Limits { panes_max: 2, ..Limits::default() };
    let mut run = with(limits, spec(5, vec![call("COUNT", None)]));
    for round in 0..5 {
        run.watermark(round * 100);
        for key in ["a", "b", "c", "a"] {
            run.reading(key, round * 100 + 50, 1.0);
        }
        run.watermark(round * 100 + 99);
        let events = run.take();
        assert_eq!(events.len(), 3, "{events:?}");
        assert_eq!(events[0], "dropped state-full");
        run.checkpoint(round % 2 == 0).restart();
    }
    run.end();
    assert!(run.pipeline.context().symbols.is_empty());
}

/// Sessions of rows without late ones, by their definition.
fn naive(rows: &[(u8, i64, i64)], gap: i64) -> Vec<String> {
    let mut all = Vec::new();
    for key in 0..3 {
        let mut own: Vec<_> = rows.iter().filter(|r| r.0 == key).collect();
        own.sort_by_key(|r| r.1);
        for session in own.chunk_by(|a, b| b.1 - a.1 <= gap) {
            let (start, end) = (session[0].1, session[session.len() - 1].1 + gap);
            let sum: i64 = session.iter().map(|r| r.2).sum();
            let (name, count) = (["a", "b", "c"][usize::from(key)], session.len());
            all.push((end, alloc::format!("+I {name} {count} {sum} {start} {end} {}", end - 1)));
        }
    }
    all.sort();
    all.into_iter().map(|(_, row)| row).collect()
}

fn feed(run: &mut Run, key: u8, time: i64, value: i64) {
    let mut row = reading(["a", "b", "c"][usize::from(key)], time, 0.0);
    row[INT] = V::I(value);
    run.row(&row);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the order of rows, restarts and full outputs: the sessions of the definition.
    #[test]
    fn sessions_are_those_of_the_definition(
        rows in prop::collection::vec((0..3_u8, 0..200_i64, -9..9_i64), 0..60),
        gap in 1..25_i64,
        restart_every in 0..4_usize,
        room in 0..3_u32,
    ) {
        let mut run = with(
            Limits::default(),
            spec(gap, vec![call("COUNT", None), call("SUM", Some(INT))]),
        );
        run.log.room = room;
        for (index, &(key, time, value)) in rows.iter().enumerate() {
            feed(&mut run, key, time, value);
            if restart_every > 0 && index % restart_every == 0 {
                run.checkpoint(index % 7 == 0).restart();
            }
        }
        run.end();
        let mut rows_out = run.take();
        rows_out.sort();
        let mut expected = naive(&rows, gap);
        expected.sort();
        prop_assert_eq!(rows_out, expected);
        prop_assert!(run.pipeline.context().symbols.is_empty());
    }

    /// With late rows and watermarks: restarts at every row change nothing.
    #[test]
    fn restarts_change_nothing(
        rows in prop::collection::vec((0..3_u8, 0..40_i64, -9..9_i64), 0..60),
        gap in 1..12_i64,
    ) {
        let calls = || vec![call("COUNT", None), call("MIN", Some(TEXT)), call("SUM", Some(INT))];
        let mut straight = with(Limits::default(), spec(gap, calls()));
        let mut killed = with(Limits::default(), spec(gap, calls()));
        for (index, &(key, time, value)) in rows.iter().enumerate() {
            let time = time + i64::try_from(index).unwrap();
            for run in [&mut straight, &mut killed] {
                feed(run, key, time, value);
                run.watermark(time - 15);
            }
            killed.checkpoint(index % 5 == 0).restart();
        }
        prop_assert_eq!(straight.end().take(), killed.end().take());
    }
}
