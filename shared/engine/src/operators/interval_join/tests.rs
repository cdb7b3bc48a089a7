//! Tests of the interval join: Flink's rules by example, then random input against plain loops.

use alloc::{format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use crate::{expr::Expr, fragment::*, limits::Limits, testkit::*, types::DataType};

const LOW: i64 = -10;
const HIGH: i64 = 4;

fn spec(kind: JoinKind) -> IntervalJoinSpec {
    let keys = [vec![KEY], vec![KEY]];
    let join = JoinSpec { kind, keys, condition: None };
    IntervalJoinSpec { join, times: [TIME; 2], low_ms: LOW, high_ms: HIGH }
}

fn run_of(spec: IntervalJoinSpec, limits: Limits) -> Run {
    Run::with(join(OperatorSpec::IntervalJoin(spec), false), limits)
}

fn run(kind: JoinKind) -> Run {
    run_of(spec(kind), Limits::default())
}

/// Key, value of each side and `-` for NULLs: what tells the rows of a test apart.
fn short(events: &[String]) -> Vec<String> {
    let one = |event: &String| {
        let words: Vec<_> = event.split(' ').collect();
        let [left, right] = [&words[1..8], &words[8..]].map(|side| match side[1] {
            "null" => "-".into(),
            time => format!("{}{time}", side[0]),
        });
        format!("{left} {right}")
    };
    events.iter().map(one).collect()
}

#[test]
fn both_bounds_are_inclusive() {
    let mut run = run(JoinKind::Inner);
    run.row_in(0, &reading("a", 100, 1.0));
    for time in [89, 90, 104, 105] {
        run.row_in(1, &reading("a", time, 2.0));
    }
    run.row_in(1, &reading("b", 100, 2.0));
    assert_eq!(short(&run.take()), ["a100 a90", "a100 a104"]);
}

#[test]
fn null_keys_never_match_and_come_alone_once() {
    let mut run = run(JoinKind::Full);
    let mut row = reading("a", 100, 1.0);
    row[KEY] = V::Null;
    run.row_in(0, &row).row_in(1, &row).watermarks(1_000);
    assert_eq!(short(&run.take()), ["null100 -", "- null100"]);
}

#[test]
fn an_outer_row_waits_for_the_timer_of_its_key() {
    // A left row at 100 has partners up to 104; Flink looks again half an interval later.
    let mut run = run(JoinKind::Left);
    run.row_in(0, &reading("a", 100, 1.0)).watermarks(111);
    assert!(run.take().is_empty());
    run.watermarks(112);
    assert_eq!(short(&run.take()), ["a100 -"]);
    run.watermarks(10_000);
    assert!(run.take().is_empty());
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn a_late_row_meets_what_has_not_left_yet() {
    let mut run = run(JoinKind::Inner);
    run.row_in(1, &reading("a", 100, 1.0)).watermarks(112);
    // Behind the watermark, and the right row has expired at 110; its timer fires at 118.
    run.row_in(0, &reading("a", 101, 2.0));
    assert_eq!(short(&run.take()), ["a101 a100"]);
    // Passing by has removed it.
    run.row_in(0, &reading("a", 101, 2.0));
    assert!(run.take().is_empty());
}

#[test]
fn a_late_outer_row_without_partner_comes_at_once() {
    let mut run = run(JoinKind::Left);
    run.watermarks(200).row_in(0, &reading("a", 100, 1.0));
    assert_eq!(short(&run.take()), ["a100 -"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn the_condition_decides_who_is_a_partner() {
    let column = |at: usize| Expr::column(at, DataType::Double);
    let less = Expr::call("<", vec![column(VALUE), column(7 + VALUE)], DataType::Boolean);
    let mut spec = spec(JoinKind::Left);
    spec.join.condition = Some(less);
    let mut run = run_of(spec, Limits::default());
    run.row_in(0, &reading("a", 100, 1.0)).row_in(0, &reading("a", 101, 5.0));
    run.row_in(1, &reading("a", 100, 3.0)).watermarks(1_000);
    assert_eq!(short(&run.take()), ["a100 a100", "a101 -"]);
}

#[test]
fn a_row_that_finds_no_room_is_set_aside() {
    let limits = Limits { rows_max: 3, ..Limits::default() };
    let mut run = run_of(spec(JoinKind::Inner), limits);
    run.row_in(0, &reading("a", 100, 1.0)).row_in(0, &reading("a", 101, 1.0));
    // The key's timer takes a place too.
    run.row_in(0, &reading("a", 102, 1.0));
    assert_eq!(run.take(), ["dropped state-full"]);
    run.row_in(1, &reading("a", 100, 1.0));
    assert_eq!(short(&run.take()), ["a100 a100", "a101 a100"]);
}

#[test]
fn the_steps_after_it_see_an_earlier_watermark() {
    let mut fragment = join(OperatorSpec::IntervalJoin(spec(JoinKind::Inner)), false);
    fragment.outputs[0].kind = OutputKind::Exchange;
    let mut run = Run::new(fragment);
    run.watermarks(100);
    assert_eq!(run.take(), ["0: watermark 90"]);
    run.watermarks(i64::MAX);
    assert_eq!(run.take(), ["0: watermark 9223372036854775807"]);
}

#[test]
fn a_join_after_a_join_takes_many_rows_of_one() {
    // Each row of the first join has ten results in the second; only one at a time has room.
    let mut fragment = join(OperatorSpec::IntervalJoin(spec(JoinKind::Inner)), false);
    let schema = fragment.steps[0].schema.clone();
    let mut wide = schema.clone();
    wide.fields.extend(readings().fields);
    let second = OperatorSpec::IntervalJoin(spec(JoinKind::Inner));
    fragment.steps.push(Step {
        name: "step-1".into(),
        inputs: vec![Input::Step(0), Input::Scan(1)],
        operator: second,
        schema: wide.clone(),
        late_output: None,
    });
    fragment.outputs[0].input = Input::Step(1);
    fragment.outputs[0].schema = wide;
    let count = |room: u32| {
        let mut run = Run::new(fragment.clone());
        run.log.room = room;
        for value in [1.0, 2.0, 3.0] {
            for _ in 0..10 {
                run.row_in(0, &reading("a", 100, value));
            }
        }
        for time in 100..103 {
            run.row_in(1, &reading("a", time, 9.0));
        }
        let mut events = run.take();
        events.sort();
        events
    };
    assert_eq!(count(0).len(), 30 * 9);
    assert_eq!(count(1), count(0));
    assert_eq!(count(3), count(0));
}

#[derive(Clone, Debug)]
enum Act {
    Row { side: usize, key: u8, time: i64 },
    Watermark(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..2usize, 0..4u8, 0..60i64)
            .prop_map(|(side, key, time)| Act::Row { side, key, time }),
        1 => (0..60i64).prop_map(Act::Watermark),
    ]
}

fn row_of(key: u8, time: i64, number: usize) -> Vec<V> {
    #[expect(clippy::cast_precision_loss, reason = "small test values")]
    let mut row = reading(&format!("k{key}"), time, number as f64);
    if key == 0 {
        row[KEY] = V::Null;
    }
    row
}

/// Runs `acts`; with `disturbed` there is little room and a restart after every act.
fn results(kind: JoinKind, acts: &[Act], disturbed: bool) -> Vec<String> {
    let mut run = run(kind);
    run.checkpoint(true);
    for (number, act) in acts.iter().enumerate() {
        if disturbed {
            run.log.room = 1;
        }
        match act {
            Act::Row { side, key, time } => drop(run.row_in(*side, &row_of(*key, *time, number))),
            Act::Watermark(time) => drop(run.watermarks(*time)),
        }
        if disturbed {
            run.checkpoint(number % 7 == 6).restart();
        }
    }
    run.watermarks(i64::MAX);
    assert!(run.pipeline.context().symbols.is_empty());
    run.take()
}

/// All pairs by plain loops; right for rows that are not behind the watermark.
fn naive(kind: JoinKind, acts: &[Act]) -> Vec<String> {
    let side = |wanted: usize| -> Vec<(u8, i64, usize)> {
        let rows = acts.iter().enumerate().filter_map(|(number, act)| match act {
            Act::Row { side, key, time } if *side == wanted => Some((*key, *time, number)),
            _ => None,
        });
        rows.collect()
    };
    let (left, right) = (side(0), side(1));
    let pairs = |l: &(u8, i64, usize), r: &(u8, i64, usize)| {
        l.0 == r.0 && l.0 != 0 && (LOW..=HIGH).contains(&(r.1 - l.1))
    };
    let name = |row: Option<&(u8, i64, usize)>| {
        row.map_or("-".into(), |(key, time, number)| format!("{key}/{time}/{number}"))
    };
    let mut out = Vec::new();
    for l in &left {
        let partners: Vec<_> = right.iter().filter(|r| pairs(l, r)).collect();
        out.extend(partners.iter().map(|r| format!("{} {}", name(Some(l)), name(Some(r)))));
        if partners.is_empty() && kind.is_outer(0) {
            out.push(format!("{} -", name(Some(l))));
        }
    }
    for r in right.iter().filter(|r| kind.is_outer(1) && !left.iter().any(|l| pairs(l, r))) {
        out.push(format!("- {}", name(Some(r))));
    }
    out.sort();
    out
}

fn named(events: &[String]) -> Vec<String> {
    let one = |event: &String| {
        let words: Vec<_> = event.split(' ').collect();
        let [left, right] = [&words[1..8], &words[8..]].map(|side| match side[1] {
            "null" => "-".into(),
            time => {
                format!("{}/{time}/{}", side[0].replace("null", "k0").replace('k', ""), side[3])
            }
        });
        format!("{left} {right}")
    };
    let mut out: Vec<_> = events.iter().map(one).collect();
    out.sort();
    out
}

fn kind() -> impl Strategy<Value = JoinKind> {
    let all = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];
    (0..4usize).prop_map(move |at| all[at])
}

proptest! {
    #[test]
    fn neither_restarts_nor_little_room_change_anything(
        kind in kind(),
        acts in prop::collection::vec(act(), 0..60),
    ) {
        prop_assert_eq!(results(kind, &acts, true), results(kind, &acts, false));
    }

    #[test]
    fn the_results_are_those_of_plain_loops(
        kind in kind(),
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let mut watermark = 0;
        let on_time: Vec<Act> = acts.into_iter().filter(|act| match act {
            Act::Watermark(time) => {
                watermark = watermark.max(*time);
                true
            }
            Act::Row { time, .. } => *time >= watermark,
        }).collect();
        prop_assert_eq!(named(&results(kind, &on_time, false)), naive(kind, &on_time));
    }
}
