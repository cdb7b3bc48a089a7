//! Tests of the window join, over windows assigned to readings.

use alloc::{format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use crate::{
    fragment::*,
    limits::Limits,
    row::Change,
    testkit::*,
    types::{DataType, Field},
};

/// Columns that a window step appends to readings.
const START: usize = 7;
const END: usize = 8;

fn run_with(kind: JoinKind, limits: Limits) -> Run {
    let mut fragment = join(OperatorSpec::Union, kind.is_left_only());
    let mut windowed = readings();
    let timestamp = DataType::Timestamp(3);
    for (name, data_type) in [("window_start", &timestamp), ("window_end", &timestamp)] {
        windowed.fields.push(Field::new(name, data_type.clone()));
    }
    for scan in &mut fragment.scans {
        scan.decoded = windowed.clone();
    }
    let keys = [vec![KEY, START, END], vec![KEY, START, END]];
    let spec = WindowJoinSpec { join: JoinSpec { kind, keys, condition: None }, ends: [END; 2] };
    fragment.steps[0].operator = OperatorSpec::WindowJoin(spec);
    let mut joined = windowed.clone();
    if !kind.is_left_only() {
        joined.fields.extend(windowed.fields);
    }
    fragment.steps[0].schema = joined.clone();
    fragment.outputs[0].schema = joined;
    Run::with(fragment, limits)
}

fn row_of(key: u8, time: i64, number: usize) -> Vec<V> {
    #[expect(clippy::cast_precision_loss, reason = "small test values")]
    let mut row = reading(&format!("k{key}"), time, number as f64);
    if key == 0 {
        row[KEY] = V::Null;
    }
    let start = time.div_euclid(10) * 10;
    row.extend([V::I(start), V::I(start + 10)]);
    row
}

fn short(events: &[String]) -> Vec<String> {
    let one = |event: &String| {
        let words: Vec<_> = event.split(' ').collect();
        let sides = words[1..].chunks(9).map(|side| match side[1] {
            "null" => "-".into(),
            time => format!("{}/{time}/{}", side[0].replace("null", "k0"), side[3]),
        });
        sides.collect::<Vec<_>>().join(" ")
    };
    events.iter().map(one).collect()
}

#[test]
fn pairs_come_when_the_window_closes() {
    let mut run = run_with(JoinKind::Inner, Limits::default());
    run.row_in(0, &row_of(1, 3, 0)).row_in(1, &row_of(1, 9, 1)).row_in(1, &row_of(1, 10, 2));
    run.watermarks(8);
    assert!(run.take().is_empty());
    run.watermarks(9);
    assert_eq!(short(&run.take()), ["k1/3/0 k1/9/1"]);
    run.row_in(0, &row_of(1, 4, 3));
    assert_eq!(run.take(), ["dropped late"]);
}

#[test]
fn a_row_that_is_taken_back_in_time_has_no_partner() {
    let mut run = run_with(JoinKind::Left, Limits::default());
    run.row_in(0, &row_of(1, 3, 0)).row_in(1, &row_of(1, 9, 1)).row_in(1, &row_of(1, 9, 2));
    run.change_in(1, Change::UpdateBefore, &row_of(1, 9, 1));
    run.change_in(1, Change::UpdateBefore, &row_of(1, 9, 2));
    run.watermarks(9);
    assert_eq!(short(&run.take()), ["k1/3/0 -"]);
}

#[test]
fn a_row_that_finds_no_room_is_set_aside() {
    let mut run = run_with(JoinKind::Inner, Limits { rows_max: 1, ..Limits::default() });
    run.row_in(0, &row_of(1, 3, 0)).row_in(0, &row_of(1, 4, 1));
    assert_eq!(run.take(), ["dropped state-full"]);
}

#[derive(Clone, Debug)]
enum Act {
    Row { side: usize, key: u8, time: i64 },
    Watermark(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..2usize, 0..3u8, 0..40i64)
            .prop_map(|(side, key, time)| Act::Row { side, key, time }),
        1 => (0..40i64).prop_map(Act::Watermark),
    ]
}

/// Window, key, time and number of a row, by side.
type Seen = [Vec<(i64, u8, i64, usize)>; 2];

fn naive(kind: JoinKind, sides: &Seen) -> Vec<String> {
    let pairs =
        |l: &(i64, u8, i64, usize), r: &(i64, u8, i64, usize)| (l.0, l.1) == (r.0, r.1) && l.1 != 0;
    let name = |row: &(i64, u8, i64, usize)| format!("k{}/{}/{}", row.1, row.2, row.3);
    let mut out = Vec::new();
    for l in &sides[0] {
        let partners: Vec<_> = sides[1].iter().filter(|r| pairs(l, r)).collect();
        match (kind, partners.is_empty()) {
            (JoinKind::Semi, false) | (JoinKind::Anti, true) => out.push(name(l)),
            (JoinKind::Semi | JoinKind::Anti, _) => {}
            (kind, true) if kind.is_outer(0) => out.push(format!("{} -", name(l))),
            _ => out.extend(partners.iter().map(|r| format!("{} {}", name(l), name(r)))),
        }
    }
    for r in sides[1].iter().filter(|r| !sides[0].iter().any(|l| pairs(l, r))) {
        if kind.is_outer(1) {
            out.push(format!("- {}", name(r)));
        }
    }
    out.sort();
    out
}

proptest! {
    #[test]
    fn the_results_are_those_of_plain_loops(
        kind in 0..6usize,
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let kinds = [
            JoinKind::Inner, JoinKind::Left, JoinKind::Right,
            JoinKind::Full, JoinKind::Semi, JoinKind::Anti,
        ];
        let kind = kinds[kind];
        let mut run = run_with(kind, Limits::default());
        run.checkpoint(true);
        let mut seen = Seen::default();
        let mut watermark = i64::MIN;
        for (number, act) in acts.iter().enumerate() {
            run.log.room = u32::from(number % 2 == 0);
            match act {
                Act::Row { side, key, time } => {
                    let start = time.div_euclid(10) * 10;
                    if start + 9 > watermark {
                        seen[*side].push((start, *key, *time, number));
                    }
                    run.row_in(*side, &row_of(*key, *time, number));
                }
                Act::Watermark(time) => {
                    watermark = watermark.max(*time);
                    run.watermarks(*time);
                }
            }
            run.checkpoint(number % 5 == 4).restart();
        }
        run.watermarks(i64::MAX);
        let mut results: Vec<_> =
            run.take().into_iter().filter(|event| event != "dropped late").collect();
        results = short(&results);
        results.sort();
        prop_assert_eq!(results, naive(kind, &seen));
        prop_assert!(run.pipeline.context().symbols.is_empty());
    }
}
