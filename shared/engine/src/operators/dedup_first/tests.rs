//! Tests of the first-row deduplication.

use alloc::{string::String, vec, vec::Vec};

use proptest::prelude::*;

use crate::{fragment::*, limits::Limits, testkit::*};

mod order;

fn run(spec: DedupSpec, limits: Limits) -> Run {
    Run::with(chain(vec![(OperatorSpec::DedupFirst(spec), readings())]), limits)
}

fn by_key() -> Run {
    run(dedup(&[KEY]), Limits::default())
}

#[test]
fn a_row_waits_for_the_watermark() {
    let mut run = by_key();
    run.reading("a", 5, 1.0).watermark(4);
    assert!(run.take().is_empty());
    run.watermark(5);
    assert_eq!(run.take(), ["+I a 5 1.0 1 t1 false 1d"]);
    run.reading("a", 9, 2.0).reading("a", 3, 2.0).watermark(10);
    assert_eq!(run.take(), ["dropped repeat", "dropped repeat"]);
}

#[test]
fn late_is_behind_the_watermark_also_for_a_new_key() {
    let mut run = by_key();
    run.watermark(5).reading("a", 4, 1.0).reading("b", 5, 1.0);
    assert_eq!(run.take(), ["dropped late"]);
    run.watermark(6);
    assert_eq!(run.take(), ["+I b 5 1.0 1 t1 false 1d"]);
}

#[test]
fn an_earlier_row_takes_the_place_and_equal_times_keep_the_first() {
    let mut run = by_key();
    run.reading("a", 5, 1.0).reading("a", 5, 2.0).reading("a", 3, 3.0).reading("a", 4, 4.0);
    assert_eq!(run.take(), vec!["dropped repeat"; 3]);
    run.watermark(5);
    assert_eq!(run.take(), ["+I a 3 3.0 3 t3 false 3d"]);
}

#[test]
fn rows_come_in_order_of_time_then_arrival() {
    let mut run = by_key();
    run.log.room = 1;
    for (key, time) in [("c", 3), ("a", 2), ("b", 2), ("d", 1)] {
        run.reading(key, time, 1.0);
    }
    run.watermark(9);
    let keys: alloc::string::String = run.take().iter().map(|r| &r[3..4]).collect();
    assert_eq!(keys, "dabc");
}

#[test]
fn null_is_a_key() {
    let mut run = by_key();
    let mut row = reading("a", 1, 1.0);
    row[KEY] = V::Null;
    run.row(&row).row(&row).watermark(1);
    assert_eq!(run.take(), ["dropped repeat", "+I null 1 1.0 1 t1 false 1d"]);
}

#[test]
fn a_repeat_at_the_watermark_itself_is_still_known() {
    let mut run = run(dedup(&[KEY, TIME]), Limits::default());
    run.reading("a", 5, 1.0).watermark(5).reading("a", 5, 1.0).watermark(6);
    run.reading("a", 5, 1.0);
    assert_eq!(run.take(), ["+I a 5 1.0 1 t1 false 1d", "dropped repeat", "dropped late"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn keys_are_forgotten_after_their_time() {
    let spec = DedupSpec { ttl_ms: Some(10), ..dedup(&[KEY]) };
    let mut run = run(spec, Limits::default());
    run.reading("a", 0, 1.0).watermark(10).reading("a", 10, 1.0);
    assert_eq!(run.take(), ["+I a 0 1.0 1 t1 false 1d", "dropped repeat"]);
    run.watermark(11).reading("a", 11, 1.0).watermark(12);
    assert_eq!(run.take(), ["+I a 11 1.0 1 t1 false 1d"]);
}

#[test]
fn the_oldest_key_makes_room_even_when_it_shares_a_text() {
    let limits = Limits { dedup_entries_max: 2, ..Limits::default() };
    let mut run = run(dedup(&[KEY, INT]), limits);
    run.reading("a", 0, 1.0).reading("a", 1, 2.0).watermark(1);
    run.take();
    run.reading("a", 2, 3.0).reading("a", 3, 1.0).reading("a", 4, 4.0);
    assert_eq!(run.take(), ["dropped evicted", "dropped evicted", "dropped state-full"]);
    run.watermark(9);
    assert_eq!(run.take(), ["+I a 2 3.0 3 t3 false 3d", "+I a 3 1.0 1 t1 false 1d"]);
}

#[test]
fn a_full_symbol_table_sets_the_new_row_aside() {
    let limits = Limits { symbols_max: 2, ..Limits::default() };
    let mut run = run(dedup(&[KEY]), limits);
    run.reading("a", 5, 1.0).reading("b", 5, 1.0).reading("a", 3, 2.0);
    assert_eq!(run.take(), ["dropped state-full", "dropped state-full"]);
    run.watermark(5);
    assert_eq!(run.take(), ["+I a 5 1.0 1 t1 false 1d"]);
}

#[test]
fn falling_times_of_one_key_leave_nothing_behind() {
    let limits = Limits { dedup_entries_max: 4, ..Limits::default() };
    let mut run = run(dedup(&[KEY]), limits);
    for time in (0..1_000).rev() {
        run.reading("a", time, 1.0);
    }
    run.take();
    run.watermark(0);
    assert_eq!(run.take(), ["+I a 0 1.0 1 t1 false 1d"]);
}

/// Windows over deduplicated readings.
fn windows() -> Fragment {
    let window = aggregate_step(aggregate(
        tumble(3000),
        Phase::Complete,
        vec![call("COUNT", None), call("SUM", Some(VALUE))],
    ));
    let first = (OperatorSpec::DedupFirst(dedup(&[KEY, TIME])), readings());
    chain(vec![first, window])
}

/// The same where the readings go elsewhere too, so that they leave in order.
fn ordered() -> Fragment {
    let mut fragment = windows();
    let rows = Output {
        input: Input::Step(0),
        schema: readings(),
        columns: None,
        order: Order::Arrival,
        ..fragment.outputs[0].clone()
    };
    fragment.outputs.push(rows);
    fragment
}

#[test]
fn in_front_of_windows_the_key_alone_is_kept() {
    let state = |fragment: Fragment| {
        let mut run = Run::new(fragment);
        for time in 1..100 {
            run.reading("a", time, 1.0);
        }
        run.checkpoint(false);
        run.disk.pages.iter().map(Vec::len).sum::<usize>()
    };
    let (alone, whole) = (state(windows()), state(ordered()));
    assert!(alone * 2 < whole, "{alone} and {whole} bytes");
}

#[test]
fn with_all_room_taken_a_row_is_set_aside_and_none_counts_twice() {
    let limits = Limits { dedup_entries_max: 2, ..Limits::default() };
    let mut run = Run::with(windows(), limits);
    run.reading("a", 100, 1.0).reading("a", 200, 1.0).reading("a", 300, 1.0);
    run.reading("a", 100, 1.0);
    assert_eq!(run.take(), ["dropped state-full", "dropped repeat"]);
    run.watermark(1024).reading("a", 1100, 1.0).end();
    assert_eq!(run.take(), ["+I a 3 3.0 0 3000 2999 0"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[derive(Clone, Debug)]
enum Action {
    /// Key and time before the newest.
    Row(usize, i64),
    /// Time before the newest.
    Watermark(i64),
    Restart,
    /// From now on the rows no longer go elsewhere too.
    Change,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        8 => (0..3_usize, 0..4000_i64).prop_map(|(key, back)| Action::Row(key, back / 100 * 100)),
        2 => (0..3000_i64).prop_map(Action::Watermark),
        1 => Just(Action::Restart),
        1 => Just(Action::Change),
    ];
    prop::collection::vec(action, 0..120)
}

/// The results and what was dropped, without the readings themselves.
fn results(fragment: Fragment, all: &[Action], changes: bool) -> Vec<String> {
    let mut run = Run::new(fragment);
    let mut newest = 0;
    for action in all {
        match action {
            Action::Row(key, back) => {
                run.reading(["a", "b", "c"][*key], newest - back, 1.0);
                newest += 170;
            }
            Action::Watermark(back) => {
                run.watermark(newest - back);
            }
            Action::Restart => {
                run.checkpoint(false);
                run.restart();
            }
            Action::Change if changes => {
                run.checkpoint(false);
                run.fragment = windows();
                run.restart();
            }
            Action::Change => {}
        }
    }
    run.end();
    assert!(run.pipeline.context().symbols.is_empty());
    let events = run.take().into_iter().filter(|event| !event.starts_with("1:"));
    let mut events: Vec<String> = events.collect();
    // Keys of one window are in order of arrival.
    events.sort();
    events
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn results_do_not_depend_on_when_rows_go_on(all in actions()) {
        let straight = results(windows(), &all, false);
        prop_assert_eq!(&results(ordered(), &all, false), &straight);
        prop_assert_eq!(&results(ordered(), &all, true), &straight);
    }
}
