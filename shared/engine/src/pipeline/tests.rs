//! Tests of whole fragments: what comes out, and that it does not depend on restarts.

use alloc::{vec, vec::Vec};

use crate::{
    fragment::*,
    limits::Limits,
    operator::WATERMARK_MAX,
    testkit::*,
    types::{DataType, Field, Schema},
};

mod restart;

fn count_and_sum() -> Vec<AggregateSpec> {
    vec![call("COUNT", None), call("SUM", Some(VALUE))]
}

fn tumbling(size_ms: i64) -> Run {
    let spec = aggregate(tumble(size_ms), Phase::Complete, count_and_sum());
    Run::new(chain(vec![aggregate_step(spec)]))
}

#[test]
fn a_row_is_processed_before_the_watermark_it_causes() {
    let mut run = tumbling(10);
    run.reading("a", 0, 1.0).reading("a", 9, 2.0).watermark(9);
    assert_eq!(run.take(), ["+I a 2 3.0 0 10 9 0"]);
}

#[test]
fn the_smallest_watermark_of_live_splits_counts() {
    let mut run = tumbling(10);
    let (a, b) = (run.pipeline.split(0, "a"), run.pipeline.split(0, "b"));
    run.reading("x", 5, 1.0).watermark_of(a, 50);
    assert!(run.take().is_empty());
    let split = run.pipeline.split(0, "split");
    let _ = run.pipeline.set_idle(0, split, true, &mut run.log);
    run.watermark_of(b, 8);
    assert!(run.take().is_empty());
    run.watermark_of(b, 9);
    assert_eq!(run.take(), ["+I x 1 1.0 0 10 9 0"]);
    assert_eq!(run.pipeline.watermark(0), 9);
    let _ = run.pipeline.set_idle(0, b, true, &mut run.log);
    assert_eq!(run.pipeline.watermark(0), 50);
    run.pipeline.split(0, "a new one is not back at the beginning");
    assert_eq!(run.pipeline.watermark(0), 50);
}

/// An outer row of the first scan waits for the watermarks of both.
fn joined() -> Run {
    let spec = JoinSpec { kind: JoinKind::Left, keys: [vec![KEY], vec![KEY]], condition: None };
    let spec = IntervalJoinSpec { join: spec, times: [TIME; 2], low_ms: -10, high_ms: 4 };
    Run::new(join(OperatorSpec::IntervalJoin(spec), false))
}

#[test]
fn a_scan_without_live_splits_holds_nobody_back() {
    let mut run = joined();
    let silent = run.pipeline.split(1, "silent");
    let split = run.pipeline.split(0, "split");
    run.reading("a", 100, 1.0).watermark_of(split, 1_000);
    assert!(run.take().is_empty(), "the second scan may still have a partner");
    let _ = run.pipeline.set_idle(1, silent, true, &mut run.log);
    assert_eq!(run.take().len(), 1, "nobody waits for it any more");
    // Also after a restart; and once it is back, it counts again.
    run.checkpoint(true).restart();
    run.reading("a", 2_000, 1.0).watermark_of(split, 3_000);
    assert_eq!(run.take().len(), 1);
    let _ = run.pipeline.set_idle(1, silent, false, &mut run.log);
    run.reading("a", 4_000, 1.0).watermark_of(split, 5_000);
    assert!(run.take().is_empty());
    // All idle: everything stays where it is.
    for (scan, split) in [(0, split), (1, silent)] {
        let _ = run.pipeline.set_idle(scan, split, true, &mut run.log);
    }
    assert!(run.take().is_empty());
}

#[test]
fn the_end_of_input_closes_everything_and_what_follows_is_late() {
    let mut run = tumbling(10);
    run.reading("a", 3, 1.0).end();
    assert_eq!(run.take(), ["+I a 1 1.0 0 10 9 0"]);
    run.reading("a", 1_000, 1.0);
    assert_eq!(run.take(), ["dropped late"]);
}

#[test]
fn windows_follow_windows() {
    let first = aggregate_step(aggregate(tumble(10), Phase::Complete, count_and_sum()));
    let second = WindowAggregateSpec {
        window: WindowSpec { rowtime: 5, ..tumble(20) },
        aggregates: vec![AggregateSpec {
            function: "SUM".into(),
            arg: Some((1, DataType::BigInt)),
            filter: None,
            distinct: false,
            params: vec![],
            weight: None,
        }],
        ..aggregate(tumble(20), Phase::Complete, Vec::new())
    };
    let mut run = Run::new(chain(vec![first, aggregate_step(second)]));
    run.log.room = 1;
    for time in [1, 12, 15, 19, 25] {
        run.reading("a", time, 1.0).reading("b", time, 1.0);
    }
    run.watermark(19);
    assert_eq!(run.take(), ["+I a 4 0 20 19 0", "+I b 4 0 20 19 0"]);
    run.watermark(WATERMARK_MAX);
    assert_eq!(run.take(), ["+I a 1 20 40 39 0", "+I b 1 20 40 39 0"]);
}

#[test]
fn deduplication_feeds_windows() {
    let aggregation = aggregate_step(aggregate(tumble(10), Phase::Complete, count_and_sum()));
    let steps = vec![(OperatorSpec::DedupFirst(dedup(&[KEY, TIME])), readings()), aggregation];
    let mut run = Run::new(chain(steps));
    run.reading("a", 1, 1.0).reading("a", 1, 1.0).watermark(1).reading("a", 1, 1.0);
    run.reading("a", 2, 1.0).watermark(3).reading("a", 2, 1.0);
    let drops = ["dropped repeat", "dropped repeat", "dropped late"];
    assert_eq!(run.take(), drops);
    run.end();
    assert_eq!(run.take(), ["+I a 2 2.0 0 10 9 0"]);
}

#[test]
fn late_rows_go_to_their_table() {
    let mut fragment =
        chain(vec![aggregate_step(aggregate(tumble(10), Phase::Complete, count_and_sum()))]);
    fragment.steps[0].late_output = Some(1);
    fragment.outputs.push(Output {
        name: "late".into(),
        input: Input::Step(0),
        columns: Some(vec![
            crate::expr::Expr::column(TIME, DataType::TimestampLtz(3)),
            crate::expr::Expr::column(KEY, DataType::STRING),
        ]),
        schema: Schema::new(vec![
            Field::new("rt", DataType::TimestampLtz(3)),
            Field::new("k", DataType::STRING),
        ]),
        kind: OutputKind::Late,
        order: Order::Any,
    });
    let mut run = Run::new(fragment);
    run.watermark(9).reading("a", 9, 1.0).reading("a", 10, 1.0).end();
    assert_eq!(run.take(), ["dropped late", "1:+I 9 a", "+I a 1 1.0 10 20 19 0"]);
}

#[test]
fn a_full_output_only_delays() {
    for room in [0, 1, 2, 3] {
        let mut run = tumbling(10);
        run.log.room = room;
        for key in ["a", "b", "c", "d"] {
            run.reading(key, 3, 1.0).reading(key, 13, 2.0);
        }
        run.watermark(25);
        let rows = run.take();
        assert_eq!(rows.len(), 8);
        assert_eq!(rows[0], "+I a 1 1.0 0 10 9 0");
        assert_eq!(rows[7], "+I d 1 2.0 10 20 19 0");
    }
}

#[test]
fn bad_event_times_are_set_aside() {
    let mut fragment = chain(vec![]);
    fragment.scans[0].watermark = Some(Watermark {
        rowtime: TIME,
        expr: crate::expr::Expr::column(TIME, DataType::TimestampLtz(3)),
    });
    fragment.scans[0].future_max_ms = Some(100);
    let mut run = Run::new(fragment);
    let mut none = reading("a", 0, 1.0);
    none[TIME] = V::Null;
    run.row(&none).reading("a", i64::MAX, 1.0).reading("a", i64::MIN, 1.0);
    let range = "dropped event-time-out-of-range";
    assert_eq!(run.take(), ["dropped null-event-time", range, range]);
    run.pipeline.set_clock(Some(1_000));
    run.reading("a", 1_101, 1.0);
    assert_eq!(run.take(), [range]);
    run.reading("a", 1_100, 1.0);
    assert_eq!(run.take(), ["+I a 1100 1.0 1 t1 false 1d"]);
    assert_eq!(run.pipeline.watermark(0), 1_100);
}

#[test]
fn arrays_become_rows() {
    let list = Schema::new(vec![Field::new("x", DataType::Array(DataType::STRING.into()))]);
    let mut fields = list.fields.clone();
    fields.push(Field::new("e", DataType::STRING));
    let step = (OperatorSpec::Unnest { column: 0 }, Schema::new(fields));
    let mut run = Run::new(chain_over(list, vec![step]));
    run.row(&[V::Bytes(vec![1, 2, b'p', 0, 1, 4, b'q', b'r'])]);
    run.row(&[V::Null]).row(&[V::Bytes(vec![])]);
    let rows = run.take();
    assert_eq!(rows.len(), 3);
    assert!(rows[0].ends_with(" p"), "{rows:?}");
    assert!(rows[1].ends_with(" null"));
    assert!(rows[2].ends_with(" qr"));
}

#[test]
fn rows_get_their_windows() {
    let mut fields = readings().fields;
    for name in ["window_start", "window_end", "window_time"] {
        fields.push(Field::new(name, DataType::Timestamp(3)));
    }
    let step = (OperatorSpec::WindowAssign(hop(10, 5)), Schema::new(fields));
    let mut run = Run::new(chain(vec![step]));
    run.watermark(100).reading("a", -1, 1.0);
    let row = "+I a -1 1.0 1 t1 false 1d";
    assert_eq!(run.take(), [alloc::format!("{row} -5 5 4"), alloc::format!("{row} -10 0 -1")]);
}

#[test]
fn ceilings_are_not_zero_and_memory_starts_small() {
    let run = tumbling(10);
    let (steps, shared) = run.pipeline.memory_bytes_max();
    let limits = Limits::default();
    assert!(steps[0] > limits.panes_max * 100, "{steps:?}");
    assert!(shared > limits.arena_bytes_max + limits.symbol_bytes_max);
}
