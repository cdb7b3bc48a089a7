//! Tests of the regular join: after every change the results are the join of what the inputs hold.

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use crate::{
    expr::Expr,
    fragment::*,
    limits::Limits,
    row::Change,
    testkit::{self, *},
    types::DataType,
};

fn run_with(kind: JoinKind, condition: Option<Expr>, limits: Limits) -> Run {
    let keys = [vec![KEY], vec![KEY]];
    run_of(JoinSpec { kind, keys, condition }, None, limits)
}

fn run_of(join: JoinSpec, ttl_ms: Option<i64>, limits: Limits) -> Run {
    let is_left_only = join.kind.is_left_only();
    let operator = OperatorSpec::Join(RegularJoinSpec { join, ttl_ms });
    Run::with(testkit::join(operator, is_left_only), limits)
}

fn run(kind: JoinKind) -> Run {
    run_with(kind, None, Limits::default())
}

/// `left value < right value`
fn less() -> Expr {
    let column = |at: usize| Expr::column(at, DataType::Double);
    Expr::call("<", vec![column(VALUE), column(7 + VALUE)], DataType::Boolean)
}

/// Change, then key and number of each side.
fn short(events: &[String]) -> Vec<String> {
    let one = |event: &String| {
        let words: Vec<_> = event.split(' ').collect();
        let sides = words[1..].chunks(7).map(|side| match side[1] {
            "null" => "-".into(),
            _ => format!("{}{}", side[0].replace("null", "~"), side[3]),
        });
        format!("{} {}", words[0], sides.collect::<Vec<_>>().join(" "))
    };
    events.iter().map(one).collect()
}

#[test]
fn a_null_row_goes_when_a_partner_comes_and_is_back_when_it_leaves() {
    let mut run = run(JoinKind::Left);
    run.row_in(0, &reading("a", 1, 1.0)).row_in(1, &reading("a", 1, 2.0));
    assert_eq!(short(&run.take()), ["+I a1 -", "-D a1 -", "+I a1 a2"]);
    run.row_in(1, &reading("a", 1, 3.0)).change_in(1, Change::Delete, &reading("a", 1, 2.0));
    assert_eq!(short(&run.take()), ["+I a1 a3", "-D a1 a2"]);
    run.change_in(1, Change::UpdateBefore, &reading("a", 1, 3.0));
    assert_eq!(short(&run.take()), ["-D a1 a3", "+I a1 -"]);
}

#[test]
fn null_keys_never_match() {
    let mut run = run(JoinKind::Full);
    let mut row = reading("a", 1, 1.0);
    row[KEY] = V::Null;
    run.row_in(0, &row).row_in(1, &row);
    assert_eq!(short(&run.take()), ["+I ~1 -", "+I - ~1"]);
    let mut run = run_with(JoinKind::Anti, None, Limits::default());
    run.row_in(1, &row).row_in(0, &row);
    assert_eq!(short(&run.take()), ["+I ~1"]);
}

#[test]
fn equal_rows_count_each() {
    let mut run = run(JoinKind::Semi);
    run.row_in(0, &reading("a", 1, 1.0)).row_in(0, &reading("a", 1, 1.0));
    run.row_in(1, &reading("a", 1, 9.0));
    assert_eq!(short(&run.take()), ["+I a1", "+I a1"]);
    run.change_in(0, Change::Delete, &reading("a", 1, 1.0));
    run.change_in(1, Change::Delete, &reading("a", 1, 9.0));
    assert_eq!(short(&run.take()), ["-D a1", "-D a1"]);
}

#[test]
fn a_row_that_finds_no_room_is_set_aside_and_so_is_its_deletion() {
    let limits = Limits { rows_max: 1, ..Limits::default() };
    let mut run = run_with(JoinKind::Left, None, limits);
    run.row_in(0, &reading("a", 1, 1.0)).row_in(0, &reading("a", 1, 2.0));
    run.change_in(0, Change::Delete, &reading("a", 1, 2.0));
    let events = run.take();
    assert_eq!(short(&events[..1]), ["+I a1 -"]);
    assert_eq!(events[1..], ["dropped state-full", "dropped unmatched"]);
}

#[test]
fn a_row_is_forgotten_when_its_time_is_over() {
    let join = JoinSpec { kind: JoinKind::Left, keys: [vec![KEY], vec![KEY]], condition: None };
    let mut run = run_of(join, Some(10), Limits::default());
    run.watermarks(100).row_in(0, &reading("a", 1, 1.0)).watermarks(105);
    run.row_in(0, &reading("a", 1, 2.0)).checkpoint(true).restart().watermarks(109);
    run.row_in(1, &reading("a", 1, 7.0));
    assert_eq!(
        short(&run.take()),
        ["+I a1 -", "+I a2 -", "-D a1 -", "+I a1 a7", "-D a2 -", "+I a2 a7"]
    );
    // What it gave stays, and it is not there to be taken back.
    run.watermarks(110).row_in(1, &reading("a", 1, 8.0));
    run.change_in(0, Change::Delete, &reading("a", 1, 1.0));
    let events = run.take();
    assert_eq!(short(&events[..1]), ["+I a2 a8"]);
    assert_eq!(events[1..], ["dropped unmatched"]);
    run.watermarks(200);
    assert!(run.take().is_empty());
    assert!(run.pipeline.context().symbols.is_empty());
}

#[derive(Clone, Debug)]
enum Act {
    Add {
        side: usize,
        key: u8,
        value: u8,
    },
    /// Takes back one of the rows that are there.
    Remove {
        side: usize,
        at: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..2usize, 0..4u8, 0..4u8)
            .prop_map(|(side, key, value)| Act::Add { side, key, value }),
        1 => (0..2usize, any::<usize>()).prop_map(|(side, at)| Act::Remove { side, at }),
    ]
}

fn row_of((key, value): (u8, u8)) -> Vec<V> {
    let mut row = reading(&format!("k{key}"), 1, f64::from(value));
    if key == 0 {
        row[KEY] = V::Null;
    }
    row
}

/// The join by plain loops, as a multiset of short texts.
fn naive(kind: JoinKind, is_less: bool, sides: &[Vec<(u8, u8)>; 2]) -> BTreeMap<String, i64> {
    let pairs = |l: &(u8, u8), r: &(u8, u8)| l.0 == r.0 && l.0 != 0 && (!is_less || l.1 < r.1);
    let name = |row: &(u8, u8)| match row.0 {
        0 => format!("~{}", row.1),
        key => format!("k{key}{}", row.1),
    };
    let mut out = BTreeMap::new();
    let mut add = |text: String| *out.entry(text).or_insert(0) += 1;
    for l in &sides[0] {
        let partners: Vec<_> = sides[1].iter().filter(|r| pairs(l, r)).collect();
        match (kind, partners.is_empty()) {
            (JoinKind::Semi, false) | (JoinKind::Anti, true) => add(name(l)),
            (JoinKind::Semi | JoinKind::Anti, _) => {}
            (kind, true) if kind.is_outer(0) => add(format!("{} -", name(l))),
            _ => partners.iter().for_each(|r| add(format!("{} {}", name(l), name(r)))),
        }
    }
    for r in sides[1].iter().filter(|r| !sides[0].iter().any(|l| pairs(l, r))) {
        if kind.is_outer(1) {
            add(format!("- {}", name(r)));
        }
    }
    out
}

proptest! {
    #[test]
    fn the_results_are_the_join_of_what_is_there(
        kind in 0..6usize,
        is_less in any::<bool>(),
        acts in prop::collection::vec(act(), 0..50),
    ) {
        let kinds = [
            JoinKind::Inner, JoinKind::Left, JoinKind::Right,
            JoinKind::Full, JoinKind::Semi, JoinKind::Anti,
        ];
        let kind = kinds[kind];
        let mut run = run_with(kind, is_less.then(less), Limits::default());
        run.checkpoint(true);
        let mut sides = [Vec::new(), Vec::new()];
        let mut results = BTreeMap::new();
        for (number, act) in acts.iter().enumerate() {
            run.log.room = u32::from(number % 2 == 0);
            match act {
                Act::Add { side, key, value } => {
                    sides[*side].push((*key, *value));
                    run.row_in(*side, &row_of((*key, *value)));
                }
                Act::Remove { side, at } if !sides[*side].is_empty() => {
                    let at = at % sides[*side].len();
                    let row = sides[*side].swap_remove(at);
                    run.change_in(*side, Change::Delete, &row_of(row));
                }
                Act::Remove { .. } => {}
            }
            for event in short(&run.take()) {
                let (change, text) = event.split_once(' ').unwrap();
                let count = results.entry(text.into()).or_insert(0);
                *count += if change.starts_with('+') { 1 } else { -1 };
                prop_assert!(*count >= 0, "{} is taken back but not there", event);
            }
            results.retain(|_, count| *count != 0);
            prop_assert_eq!(&results, &naive(kind, is_less, &sides));
            run.checkpoint(number % 5 == 4).restart();
        }
        for (side, rows) in sides.into_iter().enumerate() {
            for row in rows {
                run.change_in(side, Change::Delete, &row_of(row));
            }
        }
        prop_assert!(run.pipeline.context().symbols.is_empty());
    }

    #[test]
    fn with_a_time_to_live_the_results_are_of_rows_that_are_not_forgotten(
        acts in prop::collection::vec((act(), 0..6i64), 0..60),
    ) {
        const TTL: i64 = 10;
        let keys = [vec![KEY], vec![KEY]];
        let join = JoinSpec { kind: JoinKind::Inner, keys, condition: None };
        let mut run = run_of(join, Some(TTL), Limits::default());
        run.watermarks(0).checkpoint(true);
        let mut watermark = 0;
        // Key, value, and the watermark at which it came.
        let mut sides: [Vec<(u8, u8, i64)>; 2] = [Vec::new(), Vec::new()];
        for (number, (act, step)) in acts.iter().enumerate() {
            run.log.room = u32::from(number % 2 == 0);
            watermark += step;
            run.watermarks(watermark);
            for side in &mut sides {
                side.retain(|(_, _, came)| came + TTL > watermark);
            }
            let (side, row, change) = match act {
                Act::Add { side, key, value } => (*side, (*key, *value, watermark), Change::Insert),
                Act::Remove { side, at } if !sides[*side].is_empty() => {
                    let at = at % sides[*side].len();
                    // Of equal rows the first one goes.
                    let (key, value, _) = sides[*side][at];
                    let is_equal = |row: &(u8, u8, i64)| (row.0, row.1) == (key, value);
                    let at = sides[*side].iter().position(is_equal).unwrap();
                    (*side, sides[*side].remove(at), Change::Delete)
                }
                Act::Remove { .. } => continue,
            };
            let mut expected: Vec<String> = Vec::new();
            for other in sides[1 - side].iter().filter(|other| other.0 == row.0 && row.0 != 0) {
                let (l, r) = if side == 0 { (&row, other) } else { (other, &row) };
                expected.push(format!("{} k{}{} k{}{}", change.as_str(), l.0, l.1, r.0, r.1));
            }
            if change == Change::Insert && row.0 != 0 {
                sides[side].push(row);
            }
            run.change_in(side, change, &row_of((row.0, row.1)));
            prop_assert_eq!(short(&run.take()), expected);
            run.checkpoint(number % 5 == 4).restart();
        }
        run.watermarks(watermark + TTL);
        prop_assert!(run.take().is_empty());
        prop_assert!(run.pipeline.context().symbols.is_empty());
    }
}
