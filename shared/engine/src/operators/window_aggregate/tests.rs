//! Tests of window aggregation in its three phases.

use alloc::{format, vec, vec::Vec};

use crate::{expr::Literal, fragment::*, limits::Limits, testkit::*};

mod oracle;
mod properties;

fn run(window: WindowSpec, calls: Vec<AggregateSpec>) -> Run {
    Run::new(chain(vec![aggregate_step(aggregate(window, Phase::Complete, calls))]))
}

fn count() -> Vec<AggregateSpec> {
    vec![call("COUNT", None)]
}

#[test]
fn late_is_when_the_window_has_ended() {
    let mut run = run(tumble(10), count());
    run.watermark(8).reading("a", 0, 1.0).watermark(9);
    assert_eq!(run.take(), ["+I a 1 0 10 9 0"]);
    run.reading("a", 9, 1.0).reading("a", 10, 1.0).end();
    assert_eq!(run.take(), ["dropped late", "+I a 1 10 20 19 0"]);
}

#[test]
fn windows_align_downward_before_1970_and_shift() {
    let mut first = run(tumble(10), count());
    first.reading("a", -1, 1.0).reading("a", -10, 1.0).reading("a", -11, 1.0).end();
    assert_eq!(first.take(), ["+I a 1 -20 -10 -11 0", "+I a 2 -10 0 -1 0"]);
    let mut shifted = run(WindowSpec { offset_ms: 3, ..tumble(10) }, count());
    shifted.reading("a", 2, 1.0).reading("a", 3, 1.0).end();
    assert_eq!(shifted.take(), ["+I a 1 -7 3 2 0", "+I a 1 3 13 12 0"]);
    let mut back = run(WindowSpec { offset_ms: -3, ..tumble(10) }, count());
    back.reading("a", 6, 1.0).reading("a", 7, 1.0).end();
    assert_eq!(back.take(), ["+I a 1 -3 7 6 0", "+I a 1 7 17 16 0"]);
}

#[test]
fn windows_of_several_slices_before_1970() {
    let mut hops = run(hop(10, 5), count());
    hops.reading("a", -7, 1.0).reading("a", -12, 1.0).end();
    assert_eq!(hops.take(), ["+I a 1 -20 -10 -11 0", "+I a 2 -15 -5 -6 0", "+I a 1 -10 0 -1 0"]);
    let mut steps = run(cumulate(10, 5), count());
    steps.reading("a", -7, 1.0).reading("a", -12, 1.0).end();
    assert_eq!(steps.take(), ["+I a 1 -20 -10 -11 0", "+I a 1 -10 -5 -6 0", "+I a 1 -10 0 -1 0"]);
}

#[test]
fn the_ends_of_time_are_in_range() {
    for window in [tumble(7), hop(21, 7)] {
        let mut run = run(window, count());
        run.reading("a", crate::pipeline::TIME_MIN, 1.0);
        run.reading("a", crate::pipeline::TIME_MAX, 1.0);
        run.watermark(i64::MAX - 1).end();
        assert!(run.take().len() >= 2);
    }
}

#[test]
fn a_hopping_window_decides_late_for_each_window() {
    let mut run = run(hop(15, 5), count());
    run.reading("a", 2, 1.0).watermark(9);
    assert_eq!(run.take(), ["+I a 1 -10 5 4 0", "+I a 1 -5 10 9 0"]);
    run.reading("a", 3, 1.0).watermark(14);
    assert_eq!(run.take(), ["+I a 2 0 15 14 0"]);
    run.reading("a", 4, 1.0).end();
    assert_eq!(run.take(), ["dropped late"]);
}

#[test]
fn hopping_windows_over_gaps() {
    let mut run = run(hop(10, 5), count());
    run.reading("a", 1, 1.0).reading("b", 101, 1.0).watermark(103);
    assert_eq!(run.take(), ["+I a 1 -5 5 4 0", "+I a 1 0 10 9 0"]);
    run.end();
    assert_eq!(run.take(), ["+I b 1 95 105 104 0", "+I b 1 100 110 109 0"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn hopping_windows_of_many_keys_are_put_together_key_by_key() {
    let mut run = run(hop(10, 5), vec![call("SUM", Some(VALUE)), call("COUNT", None)]);
    for key in 0..300 {
        run.reading(&format!("k{key}"), 6, f64::from(key)).reading(&format!("k{key}"), 11, 1.0);
    }
    run.watermark(9).take();
    run.watermark(14);
    let both = |key: i32| format!("+I k{key} {:?} 2 5 15 14 0", f64::from(key) + 1.0);
    assert_eq!(run.take(), (0..300).map(both).collect::<Vec<_>>());
}

#[test]
fn a_cumulating_window_gives_a_row_for_each_step_from_its_first_one() {
    let mut run = run(cumulate(15, 5), count());
    run.reading("a", 6, 1.0).reading("b", 1, 1.0).watermark(9);
    assert_eq!(run.take(), ["+I b 1 0 5 4 0", "+I b 1 0 10 9 0", "+I a 1 0 10 9 0"]);
    // Late for two steps, in time for the third.
    run.reading("a", 2, 1.0).watermark(14);
    assert_eq!(run.take(), ["+I b 1 0 15 14 0", "+I a 2 0 15 14 0"]);
    run.reading("a", 14, 1.0).reading("a", 15, 1.0).end();
    assert_eq!(
        run.take(),
        ["dropped late", "+I a 1 15 20 19 0", "+I a 1 15 25 24 0", "+I a 1 15 30 29 0"]
    );
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn the_size_of_a_hopping_window_need_not_be_a_multiple_of_its_slide() {
    let mut run = run(hop(10, 4), count());
    run.reading("a", 1, 1.0).watermark(5);
    assert_eq!(run.take(), ["+I a 1 -8 2 1 0", "+I a 1 -4 6 5 0"]);
    run.reading("a", 3, 1.0).end();
    assert_eq!(run.take(), ["+I a 2 0 10 9 0"]);
}

#[test]
fn a_row_between_two_windows_is_in_none() {
    let mut run = run(hop(4, 10), count());
    run.reading("a", 3, 1.0).reading("a", 4, 1.0).reading("a", 10, 1.0).end();
    assert_eq!(run.take(), ["+I a 1 0 4 3 0", "+I a 1 10 14 13 0"]);
}

#[test]
fn all_aggregates() {
    let calls: Vec<_> = ["SUM", "AVG", "MIN", "MAX", "STDDEV_POP", "VAR_SAMP", "COUNT"]
        .iter()
        .map(|name| call(name, Some(VALUE)))
        .collect();
    let mut run = run(tumble(10), calls);
    for v in [1.0, 2.0, 3.0, 4.0] {
        run.reading("a", 1, v);
    }
    let mut none = reading("b", 1, 0.0);
    none[VALUE] = V::Null;
    run.row(&none).end();
    let variance = 5.0_f64 / 3.0;
    let deviation = libm::sqrt(1.25);
    let a = format!("+I a 10.0 2.5 1.0 4.0 {deviation:?} {variance:?} 4 0 10 9 0");
    assert_eq!(run.take(), [a.as_str(), "+I b null null null null null null 0 0 10 9 0"]);
}

#[test]
fn one_value_has_no_sample_deviation() {
    let mut run = run(tumble(10), vec![call("STDDEV", Some(VALUE)), call("VAR_POP", Some(VALUE))]);
    run.reading("a", 1, 5.0).end();
    assert_eq!(run.take(), ["+I a null 0.0 0 10 9 0"]);
}

#[test]
fn integers_wrap_and_truncate_decimals_do_not() {
    let int = |f| call(f, Some(INT));
    let mut run =
        run(tumble(10), vec![int("SUM"), int("AVG"), int("MIN"), call("SUM", Some(MONEY))]);
    for n in [i64::from(i32::MAX), 1, -3] {
        let mut row = reading("a", 1, 0.0);
        row[INT] = V::I(n);
        row[MONEY] = V::D(i128::from(n));
        run.row(&row);
    }
    run.end();
    let sum = i64::from(i32::MAX) - 2;
    assert_eq!(run.take(), [format!("+I a {sum} {} -3 {sum}d 0 10 9 0", sum / 3)]);
    let mut wrapped = super::tests::run(tumble(10), vec![int("SUM"), int("AVG")]);
    for n in [i64::from(i32::MAX), 1] {
        let mut row = reading("a", 1, 0.0);
        row[INT] = V::I(n);
        wrapped.row(&row);
    }
    wrapped.end();
    assert_eq!(wrapped.take(), ["+I a -2147483648 1073741824 0 10 9 0"]);
}

#[test]
fn first_last_and_text_follow_arrival_and_order() {
    let text = |f| call(f, Some(TEXT));
    let calls = vec![text("FIRST_VALUE"), text("LAST_VALUE"), text("MIN"), text("MAX")];
    let mut run = run(tumble(10), calls);
    let mut none = reading("a", 1, 0.0);
    none[TEXT] = V::Null;
    run.row(&none).reading("a", 5, 7.0).reading("a", 1, 9.0).reading("a", 2, 1.0);
    run.reading("a", 2, 3.0).row(&none).end();
    assert_eq!(run.take(), ["+I a t7 t3 t1 t9 0 10 9 0"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn late_rows_within_the_allowed_lateness_correct_results() {
    let spec =
        WindowAggregateSpec { lateness_ms: 10, ..aggregate(hop(10, 5), Phase::Complete, count()) };
    for restarts in [false, true] {
        let mut run = Run::new(chain(vec![aggregate_step(spec.clone())]));
        let again = |run: &mut Run| {
            if restarts {
                run.checkpoint(false).restart();
            }
        };
        run.reading("a", 6, 1.0).watermark(9);
        assert_eq!(run.take(), ["+I a 1 0 10 9 0"]);
        again(&mut run);
        // One window has fired, the other one is open.
        run.reading("a", 7, 1.0);
        assert_eq!(run.take(), ["-U a 1 0 10 9 0", "+U a 2 0 10 9 1"]);
        again(&mut run);
        run.reading("b", 8, 1.0).watermark(14);
        assert_eq!(run.take()[..1], ["+I b 1 0 10 9 0"]);
        again(&mut run);
        run.watermark(19);
        again(&mut run);
        run.take();
        // The first window is beyond its lateness, the second is not.
        run.reading("a", 9, 1.0);
        let events = run.take();
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events[0].starts_with("-U a 2 5 15 14"), "{events:?}");
        assert!(events[1].starts_with("+U a 3 5 15 14"), "{events:?}");
        again(&mut run);
        run.watermark(24).reading("a", 9, 1.0);
        assert_eq!(run.take(), ["dropped late"]);
        run.end();
        run.checkpoint(true);
        assert!(run.pipeline.context().symbols.is_empty());
    }
}

#[test]
fn a_late_row_of_a_gateway_is_handed_over_at_once() {
    let spec =
        WindowAggregateSpec { lateness_ms: 10, ..aggregate(hop(10, 5), Phase::Partial, count()) };
    let mut run = Run::new(chain(vec![aggregate_step(spec)]));
    run.reading("a", 6, 1.0).watermark(9);
    assert_eq!(run.take(), ["+I a 5 10 1"]);
    run.reading("a", 7, 1.0);
    assert_eq!(run.take(), ["+I a 5 10 1"]);
    run.watermark(19).reading("a", 8, 1.0).watermark(24).reading("a", 9, 1.0);
    assert_eq!(run.take(), ["+I a 5 15 1", "dropped late"]);
    run.end();
    assert!(run.take().is_empty());
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn each_value_once_and_all_values_in_order() {
    let distinct = |f, column| AggregateSpec { distinct: true, ..call(f, Some(column)) };
    let params = |literal| vec![literal];
    let calls = vec![
        distinct("COUNT", TEXT),
        distinct("SUM", VALUE),
        distinct("AVG", VALUE),
        AggregateSpec { filter: Some(FLAG), ..distinct("COUNT", VALUE) },
        call("LISTAGG", Some(TEXT)),
        AggregateSpec { params: params(Literal::Text(" + ".into())), ..distinct("LISTAGG", TEXT) },
        AggregateSpec { params: params(Literal::Double(0.9)), ..call("PERCENTILE", Some(VALUE)) },
        distinct("MAX", VALUE),
    ];
    let mut run = run(tumble(10), calls);
    let mut none = reading("a", 1, 0.0);
    (none[VALUE], none[TEXT]) = (V::Null, V::Null);
    for value in [4.0, 1.0, 4.0, 2.0] {
        run.reading("a", 1, value);
        run.checkpoint(false).restart();
    }
    run.row(&none).reading("b", 1, 7.0).end();
    let a = "+I a 3 7.0 2.3333333333333335 2 t4,t1,t4,t2 t1 + t2 + t4 4.0 4.0 0 10 9 0";
    assert_eq!(run.take(), [a, "+I b 1 7.0 7.0 0 t7 t7 7.0 7.0 0 10 9 0"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn values_of_one_state_are_bounded() {
    let calls = vec![AggregateSpec { distinct: true, ..call("COUNT", Some(INT)) }];
    let mut run = run(tumble(10), calls);
    let most = i64::try_from(crate::limits::VALUES_PER_PANE_MAX).unwrap();
    for value in 0..most + 3 {
        let mut row = reading("a", 1, 0.0);
        row[INT] = V::I(value % (most + 1));
        run.row(&row);
    }
    run.end();
    assert_eq!(run.take(), ["dropped state-full".into(), format!("+I a {most} 0 10 9 0")]);
}

#[test]
fn a_filter_takes_only_true() {
    let filtered = AggregateSpec { filter: Some(FLAG), ..call("SUM", Some(VALUE)) };
    let count = AggregateSpec { filter: Some(FLAG), ..call("COUNT", None) };
    let mut run = run(tumble(10), vec![filtered, count, call("SUM", Some(VALUE))]);
    let mut unknown = reading("a", 1, 100.0);
    unknown[FLAG] = V::Null;
    run.reading("a", 1, 2.0).reading("a", 1, 3.0).row(&unknown).end();
    assert_eq!(run.take(), ["+I a 2.0 1 105.0 0 10 9 0"]);
}

#[test]
fn null_is_a_group_and_no_key_is_one_group() {
    let mut grouped = run(tumble(10), count());
    let mut none = reading("a", 1, 1.0);
    none[KEY] = V::Null;
    grouped.row(&none).reading("a", 1, 1.0).row(&none).end();
    assert_eq!(grouped.take(), ["+I null 2 0 10 9 0", "+I a 1 0 10 9 0"]);
    let spec = WindowAggregateSpec {
        keys: vec![],
        key_types: vec![],
        ..aggregate(tumble(10), Phase::Complete, count())
    };
    let mut all = Run::new(chain(vec![aggregate_step(spec)]));
    all.row(&none).reading("a", 1, 1.0).end();
    assert_eq!(all.take(), ["+I 2 0 10 9 0"]);
}

#[test]
fn panes_are_bounded_and_places_are_used_again() {
    let limits = Limits { panes_max: 2, ..Limits::default() };
    for window in [tumble(10), hop(20, 10)] {
        let spec = aggregate(window, Phase::Complete, count());
        let mut run = Run::with(chain(vec![aggregate_step(spec)]), limits.clone());
        for round in 0..5 {
            run.watermark(round * 100);
            for key in ["a", "b", "c", "a"] {
                run.reading(key, round * 100 + 5, 1.0);
            }
            let drops = run.take().iter().filter(|e| *e == "dropped state-full").count();
            assert_eq!(drops, 1);
        }
    }
}

#[test]
fn a_partial_is_handed_over_when_its_first_window_closes() {
    let spec = aggregate(hop(15, 5), Phase::Partial, count());
    let mut run = Run::new(chain(vec![aggregate_step(spec)]));
    run.reading("a", 2, 1.0).watermark(3);
    assert!(run.take().is_empty());
    run.watermark(4);
    assert_eq!(run.take(), ["+I a 0 5 1"]);
    run.reading("a", 2, 1.0).reading("a", 3, 1.0).watermark(8);
    assert!(run.take().is_empty());
    run.watermark(9);
    assert_eq!(run.take(), ["+I a 0 10 2"]);
    run.watermark(14).reading("a", 4, 1.0);
    assert_eq!(run.take(), ["dropped late"]);
}

fn merge(window: WindowSpec, correction_ms: i64) -> Run {
    let partial = aggregate(window, Phase::Partial, count());
    let table = aggregate_step(partial.clone()).1;
    let spec = WindowAggregateSpec { phase: Phase::Merge { correction_ms }, ..partial };
    Run::new(chain_over(table, vec![aggregate_step(spec)]))
}

fn partial(key: &str, slice: i64, from: i64, count: i64) -> [V; 4] {
    [s(key), V::I(slice), V::I(from), V::I(count)]
}

#[test]
fn a_window_over_corrected_windows_does_not_count_them_twice() {
    let partial_spec = aggregate(tumble(10), Phase::Partial, count());
    let table = aggregate_step(partial_spec.clone()).1;
    let inner =
        WindowAggregateSpec { phase: Phase::Merge { correction_ms: 1_000 }, ..partial_spec };
    let sum = AggregateSpec {
        function: "SUM".into(),
        arg: Some((1, crate::types::DataType::BigInt)),
        filter: None,
        distinct: false,
        params: vec![],
        weight: None,
    };
    let window = WindowSpec { rowtime: 4, ..tumble(100) };
    let outer = aggregate(window, Phase::Complete, vec![sum]);
    let steps = vec![aggregate_step(inner), aggregate_step(outer)];
    let mut run = Run::new(chain_over(table, steps));
    run.exchange_row(&partial("a", 0, 10, 2)).watermark(9);
    run.exchange_row(&partial("a", 0, 10, 4)).watermark(99);
    let expected = ["dropped correction", "dropped correction", "+I a 2 0 100 99 0"];
    assert_eq!(run.take(), expected);
}

#[test]
fn a_late_partial_corrects_what_has_fired() {
    let mut run = merge(tumble(10), 1_000);
    run.exchange_row(&partial("a", 0, 10, 2)).exchange_row(&partial("a", 0, 10, 1)).watermark(9);
    assert_eq!(run.take(), ["+I a 3 0 10 9 0"]);
    run.exchange_row(&partial("a", 0, 10, 4)).exchange_row(&partial("b", 0, 10, 1));
    assert_eq!(run.take(), ["-U a 3 0 10 9 0", "+U a 7 0 10 9 1", "+I b 1 0 10 9 0"]);
    run.checkpoint(false).exchange_row(&partial("a", 0, 10, 1));
    assert_eq!(run.take(), ["-U a 7 0 10 9 1", "+U a 8 0 10 9 2"]);
    run.checkpoint(false).restart().exchange_row(&partial("b", 0, 10, 1));
    assert_eq!(run.take(), ["-U b 1 0 10 9 0", "+U b 2 0 10 9 1"]);
    assert!(!run.disk.cold.is_empty());
    run.watermark(1_009).exchange_row(&partial("a", 0, 10, 1));
    assert_eq!(run.take(), ["-U a 8 0 10 9 2", "+U a 9 0 10 9 3"]);
    run.watermark(1_010).exchange_row(&partial("a", 0, 10, 1));
    assert_eq!(run.take(), ["dropped beyond-correction-horizon"]);
    run.checkpoint(false);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn partials_that_no_agent_can_have_sent_are_set_aside() {
    let mut run = merge(hop(10, 5), 1_000);
    run.watermark(100);
    let huge = i64::MAX - 3;
    for (slice, from) in [(1, 6), (0, 15), (0, 0), (0, 7), (huge, huge), (i64::MIN, 0), (0, huge)] {
        run.exchange_row(&partial("a", slice, from, 1));
        assert_eq!(run.take(), ["dropped event-time-out-of-range"], "{slice} {from}");
    }
}

#[test]
fn closed_slices_ask_for_a_checkpoint() {
    let mut run = merge(tumble(10), 1_000);
    run.limits.panes_max = 4;
    run.restart();
    run.exchange_row(&partial("a", 0, 10, 1)).exchange_row(&partial("b", 0, 10, 1));
    assert!(!run.pipeline.wants_checkpoint());
    run.watermark(9);
    assert!(run.pipeline.wants_checkpoint());
    run.checkpoint(false);
    assert!(!run.pipeline.wants_checkpoint());
}
