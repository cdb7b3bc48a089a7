//! Tests of the temporal join: Flink's rules by example, then random input against plain loops.

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use crate::{expr::Expr, fragment::*, limits::Limits, row::Change, testkit::*, types::DataType};

fn run_with(kind: JoinKind, condition: Option<Expr>, limits: Limits) -> Run {
    let keys = [vec![KEY], vec![KEY]];
    let spec = TemporalJoinSpec { join: JoinSpec { kind, keys, condition }, times: [TIME; 2] };
    Run::with(join(OperatorSpec::TemporalJoin(spec), false), limits)
}

fn run(kind: JoinKind) -> Run {
    run_with(kind, None, Limits::default())
}

/// Key, time and number of the left side, number of the right one.
fn short(events: &[String]) -> Vec<String> {
    let one = |event: &String| {
        let words: Vec<_> = event.split(' ').collect();
        let Some((left, right)) = words.get(1..15).map(|row| row.split_at(7)) else {
            return event.clone();
        };
        let number = if right[1] == "null" { "-" } else { right[3] };
        format!("{}{} {number}", left[0].replace("null", "~"), left[1])
    };
    events.iter().map(one).collect()
}

#[test]
fn a_version_holds_from_its_own_time_to_the_next_one() {
    let mut run = run(JoinKind::Left);
    for (time, number) in [(10, 1.0), (20, 2.0), (30, 3.0)] {
        run.row_in(1, &reading("a", time, number));
    }
    for time in [9, 10, 19, 20, 35] {
        run.row_in(0, &reading("a", time, 0.0));
    }
    assert!(run.take().is_empty());
    run.watermarks(20);
    assert_eq!(short(&run.take()), ["a9 -", "a10 1", "a19 1", "a20 2"]);
    run.watermarks(100);
    assert_eq!(short(&run.take()), ["a35 3"]);
}

#[test]
fn a_left_row_waits_for_both_watermarks() {
    let mut run = run(JoinKind::Inner);
    run.row_in(0, &reading("a", 10, 0.0));
    let left = run.pipeline.split(0, "split");
    run.watermark_of(left, 50);
    assert!(run.take().is_empty());
    run.row_in(1, &reading("a", 5, 1.0)).watermarks(50);
    assert_eq!(short(&run.take()), ["a10 1"]);
}

#[test]
fn rows_that_come_due_together_leave_in_order_of_arrival() {
    let mut run = run(JoinKind::Inner);
    run.row_in(1, &reading("a", 0, 1.0));
    for time in [30, 10, 20] {
        run.row_in(0, &reading("a", time, 0.0));
    }
    run.watermarks(100);
    assert_eq!(short(&run.take()), ["a30 1", "a10 1", "a20 1"]);
}

#[test]
fn a_version_of_the_same_time_replaces_the_one_before() {
    let mut run = run(JoinKind::Inner);
    run.row_in(1, &reading("a", 10, 1.0)).row_in(1, &reading("a", 10, 2.0));
    run.change_in(1, Change::UpdateBefore, &reading("a", 10, 2.0));
    run.row_in(0, &reading("a", 15, 0.0)).watermarks(20);
    assert_eq!(short(&run.take()), ["a15 2"]);
}

#[test]
fn a_row_behind_the_watermark_meets_what_is_kept_and_is_counted_where_nothing_is() {
    let mut run = run(JoinKind::Inner);
    run.row_in(1, &reading("a", 10, 1.0)).row_in(1, &reading("a", 20, 2.0)).watermarks(25);
    // The version at 10 is forgotten, the one at 20 is kept.
    run.row_in(0, &reading("a", 15, 0.0)).row_in(0, &reading("a", 21, 0.0));
    assert!(run.take().is_empty());
    run.watermarks(26);
    assert_eq!(short(&run.take()), ["dropped late", "a21 2"]);
    // A timer that is due waits for the watermark of both.
    run.row_in(0, &reading("a", 22, 0.0));
    let left = run.pipeline.split(0, "split");
    run.watermark_of(left, 90);
    assert!(run.take().is_empty());
    run.checkpoint(true).restart();
    let left = run.pipeline.split(0, "split");
    run.watermark_of(left, 91);
    assert!(run.take().is_empty());
    run.watermarks(91);
    assert_eq!(short(&run.take()), ["a22 2"]);
}

#[test]
fn null_keys_never_match() {
    let mut row = reading("a", 10, 1.0);
    row[KEY] = V::Null;
    let mut left = run(JoinKind::Left);
    left.row_in(1, &row).row_in(0, &row).watermarks(20);
    assert_eq!(short(&left.take()), ["~10 -"]);
    let mut inner = run(JoinKind::Inner);
    inner.row_in(1, &row).row_in(0, &row).watermarks(20);
    assert!(inner.take().is_empty());
    row[TIME] = V::Null;
    inner.row_in(0, &row);
    assert_eq!(inner.take(), ["dropped null-event-time"]);
}

#[test]
fn a_condition_is_asked_of_the_valid_version_alone() {
    let column = |at: usize| Expr::column(at, DataType::Double);
    let less = Expr::call("<", vec![column(VALUE), column(7 + VALUE)], DataType::Boolean);
    let mut run = run_with(JoinKind::Left, Some(less), Limits::default());
    run.row_in(1, &reading("a", 10, 9.0)).row_in(1, &reading("a", 20, 2.0));
    for (time, number) in [(15, 5.0), (25, 5.0), (26, 1.0)] {
        run.row_in(0, &reading("a", time, number));
    }
    run.watermarks(100);
    assert_eq!(short(&run.take()), ["a15 9", "a25 -", "a26 2"]);
}

#[test]
fn what_finds_no_room_is_set_aside() {
    let mut run = run_with(JoinKind::Inner, None, Limits { rows_max: 1, ..Limits::default() });
    run.row_in(1, &reading("a", 10, 1.0)).row_in(1, &reading("b", 10, 2.0));
    run.row_in(0, &reading("a", 11, 0.0)).row_in(0, &reading("a", 12, 0.0)).watermarks(20);
    assert_eq!(short(&run.take()), ["dropped state-full", "dropped state-full", "a11 1"]);
    run.row_in(0, &reading("b", 30, 0.0)).watermarks(40);
    assert!(run.take().is_empty());
}

#[derive(Clone, Debug)]
enum Act {
    Row { side: usize, key: u8, time: i64, number: u8 },
    Watermark(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..2usize, 0..4u8, 0..60i64, 0..100u8)
            .prop_map(|(side, key, time, number)| Act::Row { side, key, time, number }),
        1 => (1..15i64).prop_map(Act::Watermark),
    ]
}

/// Flink's operator as its documentation and its answers describe it, with plain loops.
#[derive(Default)]
struct Naive {
    left: BTreeMap<u8, Vec<(i64, u8)>>,
    right: BTreeMap<u8, BTreeMap<i64, u8>>,
    timers: BTreeMap<u8, i64>,
}

impl Naive {
    fn row(&mut self, side: usize, key: u8, time: i64, number: u8) {
        if side == 0 {
            self.left.entry(key).or_default().push((time, number));
        } else if key != 0 {
            self.right.entry(key).or_default().insert(time, number);
        } else {
            return;
        }
        let timer = self.timers.entry(key).or_insert(time);
        *timer = time.min(*timer);
    }

    fn advance(&mut self, watermark: i64) -> Vec<String> {
        let mut out = Vec::new();
        let due: Vec<u8> =
            self.timers.iter().filter(|(_, time)| **time <= watermark).map(|(k, _)| *k).collect();
        for key in due {
            let versions = self.right.entry(key).or_default();
            let left = self.left.entry(key).or_default();
            for (time, _) in left.iter().filter(|(time, _)| *time <= watermark) {
                let name = if key == 0 { "~".into() } else { format!("k{key}") };
                let version = versions.range(..=*time).next_back();
                let number = version.map_or("-".into(), |(_, number)| format!("{number}"));
                out.push(format!("{name}{time} {number}"));
            }
            left.retain(|(time, _)| *time > watermark);
            if let Some(valid) = versions.range(..=watermark).next_back().map(|(time, _)| *time) {
                versions.retain(|time, _| *time >= valid);
            }
            self.timers.remove(&key);
            if let Some(first) = left.iter().map(|(time, _)| *time).min() {
                self.timers.insert(key, first);
            }
        }
        out.sort();
        out
    }
}

fn row_of(key: u8, time: i64, number: u8) -> Vec<V> {
    let mut row = reading(&format!("k{key}"), time, f64::from(number));
    if key == 0 {
        row[KEY] = V::Null;
    }
    row
}

proptest! {
    #[test]
    fn the_results_are_flinks(acts in prop::collection::vec(act(), 0..80)) {
        let mut run = run(JoinKind::Left);
        run.checkpoint(true);
        let mut naive = Naive::default();
        let mut watermark = 0;
        for (number, act) in acts.iter().enumerate() {
            run.log.room = u32::from(number % 2 == 0);
            let mut expected = Vec::new();
            match act {
                Act::Row { side, key, time, number } => {
                    naive.row(*side, *key, *time, *number);
                    run.row_in(*side, &row_of(*key, *time, *number));
                }
                Act::Watermark(by) => {
                    watermark += by;
                    expected = naive.advance(watermark);
                    run.watermarks(watermark);
                }
            }
            let mut events = short(&run.take());
            events.sort();
            prop_assert_eq!(events, expected);
            run.checkpoint(number % 5 == 4).restart();
        }
        // Each key keeps the version that is valid, and nothing else.
        let expected = naive.advance(1_000);
        run.watermarks(1_000);
        let mut events = short(&run.take());
        events.sort();
        prop_assert_eq!(events, expected);
    }
}
