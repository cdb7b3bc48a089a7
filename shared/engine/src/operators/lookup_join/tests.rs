//! Tests of the lookup join: loads by example, then random input against plain loops.

use alloc::{format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use crate::{expr::Expr, fragment::*, limits::Limits, testkit::*, types::DataType};

fn run_with(kind: JoinKind, condition: Option<Expr>, limits: Limits) -> Run {
    let spec = JoinSpec { kind, keys: [vec![KEY], vec![KEY]], condition };
    Run::with(join(OperatorSpec::LookupJoin(spec), false), limits)
}

fn run(kind: JoinKind) -> Run {
    run_with(kind, None, Limits::default())
}

/// The load of this number is complete.
fn loaded(run: &mut Run, load: i64) -> &mut Run {
    run.raise_in(1, load)
}

/// Key and number of the left side, number of the right one.
fn short(events: &[String]) -> Vec<String> {
    let one = |event: &String| {
        let words: Vec<_> = event.split(' ').collect();
        let Some((left, right)) = words.get(1..15).map(|row| row.split_at(7)) else {
            return event.clone();
        };
        let number = if right[1] == "null" { "-" } else { right[3] };
        format!("{}{} {number}", left[0].replace("null", "~"), left[3])
    };
    events.iter().map(one).collect()
}

#[test]
fn a_row_meets_the_last_complete_load() {
    let mut run = run(JoinKind::Left);
    run.row_in(1, &reading("a", 0, 1.0)).row_in(1, &reading("a", 0, 2.0));
    run.row_in(1, &reading("b", 0, 3.0)).row_in(0, &reading("a", 5, 7.0));
    assert_eq!(short(&run.take()), ["a7 -"]);
    loaded(&mut run, 1).row_in(0, &reading("a", 5, 7.0)).row_in(0, &reading("b", 5, 8.0));
    assert_eq!(short(&run.take()), ["a7 1", "a7 2", "b8 3"]);
    // The next load is not met before it is complete; then nothing of the one before is left.
    run.row_in(1, &reading("a", 0, 4.0)).row_in(0, &reading("a", 5, 7.0));
    assert_eq!(short(&run.take()), ["a7 1", "a7 2"]);
    loaded(&mut run, 2).row_in(0, &reading("a", 5, 7.0)).row_in(0, &reading("b", 5, 8.0));
    assert_eq!(short(&run.take()), ["a7 4", "b8 -"]);
    loaded(&mut run, 3).row_in(0, &reading("a", 5, 7.0));
    assert_eq!(short(&run.take()), ["a7 -"]);
}

#[test]
fn the_watermark_is_the_left_sides_alone() {
    let mut run = run(JoinKind::Inner);
    run.row_in(1, &reading("a", 0, 1.0));
    loaded(&mut run, 1).row_in(0, &reading("a", 5, 7.0));
    assert_eq!(run.take().len(), 1);
    run.raise_in(0, 90).row_in(0, &reading("a", 5, 7.0));
    assert_eq!(run.take().len(), 1);
}

#[test]
fn the_end_of_the_tables_source_is_no_load() {
    let mut run = run(JoinKind::Left);
    run.row_in(1, &reading("a", 0, 1.0));
    loaded(&mut run, 1);
    loaded(&mut run, i64::MAX).row_in(0, &reading("a", 5, 7.0));
    assert_eq!(short(&run.take()), ["a7 1"]);
}

#[test]
fn a_load_that_was_cut_off_begins_again() {
    let mut run = run(JoinKind::Left);
    run.row_in(1, &reading("a", 0, 1.0));
    loaded(&mut run, 1).row_in(1, &reading("a", 0, 2.0)).checkpoint(true).restart();
    run.row_in(0, &reading("a", 5, 7.0));
    assert_eq!(short(&run.take()), ["a7 1"]);
    run.row_in(1, &reading("a", 0, 3.0));
    loaded(&mut run, 2).row_in(0, &reading("a", 5, 7.0));
    assert_eq!(short(&run.take()), ["a7 3"]);
}

#[test]
fn null_keys_never_match() {
    let mut row = reading("a", 5, 1.0);
    row[KEY] = V::Null;
    for (kind, expected) in [(JoinKind::Left, 1), (JoinKind::Inner, 0)] {
        let mut run = run(kind);
        run.row_in(1, &row);
        loaded(&mut run, 1).row_in(0, &row);
        assert_eq!(run.take().len(), expected);
    }
}

#[test]
fn a_condition_is_asked_of_each_row() {
    let column = |at: usize| Expr::column(at, DataType::Double);
    let less = Expr::call("<", vec![column(VALUE), column(7 + VALUE)], DataType::Boolean);
    let mut run = run_with(JoinKind::Left, Some(less), Limits::default());
    run.row_in(1, &reading("a", 0, 3.0)).row_in(1, &reading("a", 0, 9.0));
    loaded(&mut run, 1);
    for number in [1.0, 5.0, 20.0] {
        run.row_in(0, &reading("a", 5, number));
    }
    assert_eq!(short(&run.take()), ["a1 3", "a1 9", "a5 9", "a20 -"]);
}

#[test]
fn a_table_has_at_most_rows_max_rows_in_each_load() {
    let mut run = run_with(JoinKind::Left, None, Limits { rows_max: 2, ..Limits::default() });
    for load in 1..4 {
        for number in [1.0, 2.0, 3.0] {
            run.row_in(1, &reading("a", 0, number));
        }
        loaded(&mut run, load);
        assert_eq!(run.take(), ["dropped state-full"]);
        run.row_in(0, &reading("a", 5, 7.0));
        assert_eq!(short(&run.take()), ["a7 1", "a7 2"]);
    }
}

#[derive(Clone, Debug)]
enum Act {
    Left(u8, u8),
    Table(u8, u8),
    Loaded,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..4u8, 0..100u8).prop_map(|(key, number)| Act::Left(key, number)),
        3 => (0..4u8, 0..100u8).prop_map(|(key, number)| Act::Table(key, number)),
        1 => Just(Act::Loaded),
    ]
}

fn row_of(key: u8, number: u8) -> Vec<V> {
    let mut row = reading(&format!("k{key}"), 1, f64::from(number));
    if key == 0 {
        row[KEY] = V::Null;
    }
    row
}

proptest! {
    #[test]
    fn the_results_are_those_of_plain_loops(acts in prop::collection::vec(act(), 0..60)) {
        let mut run = run(JoinKind::Left);
        run.checkpoint(true);
        let (mut table, mut loading, mut load) = (Vec::new(), Vec::new(), 0);
        for (number, act) in acts.iter().enumerate() {
            run.log.room = u32::from(number % 2 == 0);
            let mut expected: Vec<String> = Vec::new();
            match act {
                Act::Left(key, number) => {
                    let name = if *key == 0 { "~".into() } else { format!("k{key}") };
                    let pairs = table.iter().filter(|(other, _)| other == key && *key != 0);
                    expected.extend(pairs.map(|(_, right)| format!("{name}{number} {right}")));
                    if expected.is_empty() {
                        expected.push(format!("{name}{number} -"));
                    }
                    run.row_in(0, &row_of(*key, *number));
                }
                Act::Table(key, number) => {
                    loading.push((*key, *number));
                    run.row_in(1, &row_of(*key, *number));
                }
                Act::Loaded => {
                    load += 1;
                    table = core::mem::take(&mut loading);
                    loaded(&mut run, load);
                }
            }
            prop_assert_eq!(short(&run.take()), expected);
            run.checkpoint(number % 5 == 4);
            // A load that is cut off begins again: then nothing of it is kept.
            if number % 3 == 0 {
                loading.clear();
                run.restart();
            }
        }
        loaded(&mut run, load + 1);
        loaded(&mut run, load + 2);
        prop_assert!(run.pipeline.context().symbols.is_empty());
    }
}
