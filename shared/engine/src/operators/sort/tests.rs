//! Tests of the sort by event time.

use alloc::{string::String, vec, vec::Vec};
use proptest::prelude::*;

use crate::{fragment::*, limits::Limits, testkit::*};

fn fragment() -> Fragment {
    let order = vec![SortKey { column: VALUE, descending: true, nulls_first: false }];
    chain(vec![(OperatorSpec::Sort(SortSpec { rowtime: TIME, order }), readings())])
}

fn taken(run: &mut Run) -> Vec<String> {
    let short = |line: String| match line.starts_with("dropped") {
        true => line,
        false => line.split(' ').skip(1).take(3).collect::<Vec<_>>().join(" "),
    };
    run.take().into_iter().map(short).collect()
}

#[test]
fn rows_leave_in_order_and_late_is_behind_the_last_one() {
    let mut run = Run::new(fragment());
    run.log.room = 1;
    run.reading("a", 5, 1.0).reading("b", 3, 1.0).reading("c", 5, 2.0).watermark(9);
    assert_eq!(taken(&mut run), ["b 3 1.0", "c 5 2.0", "a 5 1.0"]);
    run.reading("a", 7, 1.0).reading("b", 5, 1.0).watermark(10);
    assert_eq!(taken(&mut run), ["dropped late", "a 7 1.0"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn at_the_limit_a_row_is_set_aside() {
    let limits = Limits { rows_max: 1, ..Limits::default() };
    let mut run = Run::with(fragment(), limits);
    run.reading("a", 5, 1.0).reading("b", 3, 1.0).end();
    assert_eq!(taken(&mut run), ["dropped state-full", "a 5 1.0"]);
}

proptest! {
    #[test]
    fn a_restart_changes_nothing(
        all in prop::collection::vec((0..3_usize, 0..12_i64, 0..4_i64, any::<bool>()), 0..50),
    ) {
        let (mut run, mut steady) = (Run::new(fragment()), Run::new(fragment()));
        let mut waiting: Vec<(i64, i64, usize)> = Vec::new();
        let (mut last, mut newest, mut watermark) = (i64::MIN, 0, i64::MIN);
        let mut expected: Vec<String> = Vec::new();
        for (index, (key, back, value, raises)) in all.into_iter().enumerate() {
            let time = newest - back;
            newest += value;
            #[expect(clippy::cast_precision_loss, reason = "small test values")]
            let row = reading(["a", "b", "c"][key], time, value as f64);
            run.row(&row);
            steady.row(&row);
            match time <= last {
                true => expected.push("dropped late".into()),
                false => waiting.push((time, -value, key)),
            }
            if raises && newest - 6 > watermark {
                watermark = newest - 6;
                run.watermark(watermark);
                steady.watermark(watermark);
                // Stable: equal times and values stay in order of arrival.
                waiting.sort_by_key(|(time, value, _)| (*time, *value));
                let due = waiting.partition_point(|(time, ..)| *time <= watermark);
                for (time, value, key) in waiting.drain(..due) {
                    last = time;
                    expected.push(alloc::format!("{} {time} {}.0", ["a", "b", "c"][key], -value));
                }
            }
            run.checkpoint(index % 4 == 0);
            steady.checkpoint(index % 4 == 0);
            if index % 3 != 0 {
                run.restart();
            }
            prop_assert_eq!(taken(&mut run), core::mem::take(&mut expected));
            prop_assert_eq!(&run.disk, &steady.disk, "bytes after step {}", index);
        }
    }
}
