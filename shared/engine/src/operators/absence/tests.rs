//! Silences of keys, and a restart at every row.

use alloc::{format, string::String, vec, vec::Vec};
use proptest::prelude::*;

use crate::{fragment::*, limits::Limits, testkit::*, types::Field};

fn fragment(starts: Option<usize>, ends: Option<usize>) -> Fragment {
    let spec = AbsenceSpec { key: vec![KEY], rowtime: TIME, gap_ms: 10, starts, ends };
    let mut schema = readings();
    schema.fields.push(Field::new("deadline", schema.data_type(TIME).clone()));
    chain(vec![(OperatorSpec::Absence(spec), schema)])
}

/// Key, time and deadline of what came out.
fn short(events: &[String]) -> Vec<String> {
    let part = |e: &String| match e.split(' ').collect::<Vec<_>>().as_slice() {
        [_, key, time, .., deadline] => format!("{key} {time} {deadline}"),
        _ => e.clone(),
    };
    events.iter().map(part).collect()
}

#[test]
fn a_silence_is_told_once_when_the_watermark_reaches_its_deadline() {
    let mut run = Run::new(fragment(None, None));
    run.reading("a", 1, 1.0).reading("b", 2, 1.0).reading("a", 11, 1.0).watermark(11);
    assert_eq!(run.take(), [""; 0], "a row just at the deadline is in time");
    run.watermark(12);
    assert_eq!(short(&run.take()), ["b 2 12"]);
    run.watermark(20).watermark(500);
    assert_eq!(short(&run.take()), ["a 11 21"], "b stays silent, and is not told again");
    run.reading("b", 501, 1.0).reading("b", 500, 1.0).end();
    assert_eq!(short(&run.take()), ["dropped late", "b 501 511"]);
}

#[test]
fn a_row_that_comes_late_but_in_time_ends_the_wait_of_one_before() {
    let mut run = Run::new(fragment(None, None));
    run.reading("a", 1, 1.0).reading("a", 30, 1.0).reading("a", 9, 1.0).watermark(31);
    assert_eq!(short(&run.take()), ["a 9 19"]);
}

/// "No row with b for 10 ms after one whose number is even": the testkit's `b` says even.
#[test]
fn columns_narrow_what_starts_and_what_ends_a_wait() {
    let mut run = Run::new(fragment(Some(FLAG), None));
    // 2 starts, 3 ends; 4 starts and nothing ends it; 5 starts none.
    run.reading("a", 1, 2.0).reading("a", 5, 3.0).reading("a", 20, 4.0).watermark(30);
    assert_eq!(short(&run.take()), ["a 20 30"]);
    run.reading("a", 40, 5.0).watermark(90);
    assert_eq!(run.take(), [""; 0]);

    let mut run = Run::new(fragment(None, Some(FLAG)));
    // The first row starts; odd ones end nothing and are covered by it.
    run.reading("a", 1, 1.0).reading("a", 5, 3.0).watermark(50);
    assert_eq!(short(&run.take()), ["a 1 11"]);
    run.reading("a", 51, 1.0).reading("a", 55, 2.0).watermark(65);
    assert_eq!(short(&run.take()), ["a 55 65"]);
}

#[test]
fn a_row_is_set_aside_at_the_limit() {
    let limits = Limits { rows_max: 2, ..Limits::default() };
    let mut run = Run::with(fragment(None, None), limits);
    run.reading("a", 1, 1.0).reading("b", 1, 1.0).reading("c", 1, 1.0);
    assert_eq!(run.take(), ["dropped state-full"]);
    run.watermark(20).reading("c", 21, 1.0).end();
    assert_eq!(short(&run.take()), ["a 1 11", "b 1 11", "c 21 31"]);
}

fn naive(rows: &[(&str, i64)]) -> Vec<String> {
    let mut expected = Vec::new();
    for (index, (key, time)) in rows.iter().enumerate() {
        let mut later = rows.iter().enumerate().filter(|(at, (other, t))| {
            other == key && (*t, *at) > (*time, index) && *t <= time + 10
        });
        if later.next().is_none() {
            expected.push(format!("{key} {time} {}", time + 10));
        }
    }
    expected.sort();
    expected
}

proptest! {
    #[test]
    fn the_naive_way_gives_the_same_and_a_restart_changes_nothing(
        steps in prop::collection::vec((0usize..3, 0i64..40), 1..60),
        full in any::<u64>(),
    ) {
        let mut rows = Vec::new();
        let mut whole = Run::new(fragment(None, None));
        let mut cut = Run::new(fragment(None, None));
        for (index, (key, jitter)) in (0i64..).zip(&steps) {
            let (key, time) = (["a", "b", "c"][*key], index * 3 + jitter);
            rows.push((key, time));
            for run in [&mut whole, &mut cut] {
                run.reading(key, time, 1.0).watermark(index * 3 - 1);
            }
            cut.checkpoint(full >> (index % 64) & 1 == 1).restart();
        }
        let events = whole.end().take();
        prop_assert_eq!(cut.end().take(), events.clone());
        let mut found = short(&events);
        found.sort();
        prop_assert_eq!(found, naive(&rows));
    }
}
