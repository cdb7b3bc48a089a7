//! Tests of rankings: the kinds one by one, then random changes against a plain sorted list.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use proptest::prelude::*;

use crate::{
    fragment::*,
    limits::Limits,
    row::Change,
    testkit::*,
    types::{DataType, Field, Schema},
};

fn by(column: usize, descending: bool) -> SortKey {
    SortKey { column, descending, nulls_first: !descending }
}

fn spec(last: u64, mode: RankMode) -> RankSpec {
    let order = vec![by(VALUE, true)];
    let partition = vec![KEY];
    RankSpec { partition, order, first: 1, last, with_number: false, mode, ttl_ms: None }
}

fn fragment(spec: &RankSpec) -> Fragment {
    let mut fields = readings().fields;
    if spec.with_number {
        fields.push(Field::new("rn", DataType::BigInt));
    }
    chain(vec![(OperatorSpec::Rank(spec.clone()), Schema::new(fields))])
}

/// Change, key, value and the rank where it is there.
fn taken(run: &mut Run) -> Vec<String> {
    let short = |line: String| match line.starts_with("dropped") {
        true => line,
        false => {
            let words: Vec<_> = line.split(' ').collect();
            [&words[..2], &words[3..4], &words[8..]].concat().join(" ")
        }
    };
    run.take().into_iter().map(short).collect()
}

#[test]
fn without_the_rank_a_row_enters_and_one_leaves() {
    let mut run = Run::new(fragment(&spec(2, RankMode::Append)));
    run.reading("a", 1, 1.0).reading("a", 2, 3.0).reading("a", 3, 2.0).reading("a", 4, 0.0);
    run.reading("b", 5, 0.0);
    assert_eq!(taken(&mut run), ["+I a 1.0", "+I a 3.0", "-D a 1.0", "+I a 2.0", "+I b 0.0"]);
}

#[test]
fn with_the_rank_the_rows_below_move() {
    let spec = RankSpec { with_number: true, ..spec(2, RankMode::Append) };
    let mut run = Run::new(fragment(&spec));
    run.reading("a", 1, 1.0).reading("a", 2, 3.0).reading("a", 3, 1.0).reading("a", 4, 2.0);
    let expected =
        ["+I a 1.0 1", "-U a 1.0 1", "+U a 3.0 1", "+I a 1.0 2", "-U a 1.0 2", "+U a 2.0 2"];
    assert_eq!(taken(&mut run), expected, "of equal rows the first stays first");
}

#[test]
fn the_last_row_of_a_key_is_updated_and_of_equal_times_the_later_wins() {
    let order = vec![by(TIME, true)];
    let spec = RankSpec { order, ..spec(1, RankMode::Latest) };
    let mut run = Run::new(fragment(&spec));
    run.reading("a", 5, 1.0).reading("a", 4, 2.0).reading("a", 5, 3.0).reading("a", 6, 4.0);
    let expected = ["+I a 1.0", "-U a 1.0", "+U a 3.0", "-U a 3.0", "+U a 4.0"];
    assert_eq!(taken(&mut run), expected);
}

#[test]
fn flinks_first_place_only_adds() {
    let spec = RankSpec { order: vec![by(VALUE, false)], ..spec(1, RankMode::Improving) };
    let mut run = Run::new(fragment(&spec));
    run.reading("a", 1, 5.0).reading("a", 2, 3.0).reading("a", 3, 3.0).reading("a", 4, 9.0);
    assert_eq!(taken(&mut run), ["+I a 5.0", "+I a 3.0"]);
}

#[test]
fn nulls_stand_where_they_are_asked_to() {
    let mut empty = reading("a", 1, 0.0);
    empty[VALUE] = V::Null;
    for (nulls_first, expected) in [(false, ["+I a null", "-U a null"]), (true, ["+I a null", ""])]
    {
        let order = vec![SortKey { column: VALUE, descending: true, nulls_first }];
        let mut run = Run::new(fragment(&RankSpec { order, ..spec(1, RankMode::Append) }));
        run.row(&empty).reading("a", 2, 1.0);
        let expected: Vec<_> = expected.into_iter().filter(|e| !e.is_empty()).collect();
        assert_eq!(taken(&mut run)[..expected.len()], expected);
    }
}

#[test]
fn a_window_gives_its_rows_when_it_has_ended() {
    let mode = RankMode::Window { end: INT, latest: false };
    let partition = vec![INT, KEY];
    let spec = RankSpec { partition, with_number: true, ..spec(2, mode) };
    let mut run = Run::new(fragment(&spec));
    let row = |key: &str, value: f64, end: i64| {
        let mut row = reading(key, 0, value);
        row[INT] = V::I(end);
        row
    };
    run.row(&row("a", 1.0, 10)).row(&row("b", 4.0, 10)).row(&row("a", 3.0, 10));
    run.row(&row("a", 2.0, 10)).row(&row("a", 7.0, 20));
    run.log.room = 1;
    run.watermark(8);
    assert!(run.take().is_empty());
    run.watermark(9).row(&row("a", 9.0, 10));
    let expected = ["+I b 4.0 1", "+I a 3.0 1", "+I a 2.0 2", "dropped late"];
    assert_eq!(taken(&mut run), expected, "keys in order of the rows that are left");
    run.end();
    assert_eq!(taken(&mut run), ["+I a 7.0 1"]);
    assert!(run.pipeline.context().symbols.is_empty());
}

#[test]
fn at_the_limit_a_new_row_is_set_aside_but_a_better_one_comes_in() {
    let limits = Limits { rows_max: 2, ..Limits::default() };
    let mut run = Run::with(fragment(&spec(1, RankMode::Append)), limits);
    run.reading("a", 1, 1.0).reading("b", 1, 1.0).reading("c", 1, 1.0).reading("a", 1, 2.0);
    let expected = ["+I a 1.0", "+I b 1.0", "dropped state-full", "-U a 1.0", "+U a 2.0"];
    assert_eq!(taken(&mut run), expected);
}

#[test]
fn a_key_without_new_rows_is_forgotten_and_its_result_stays() {
    let spec = RankSpec { ttl_ms: Some(10), ..spec(1, RankMode::Append) };
    let mut run = Run::new(fragment(&spec));
    run.watermark(0).reading("a", 1, 5.0).watermark(5).reading("a", 1, 6.0);
    run.checkpoint(true).restart().watermark(14).reading("a", 1, 1.0).watermark(15);
    assert_eq!(taken(&mut run), ["+I a 5.0", "-U a 5.0", "+U a 6.0"]);
    assert!(run.pipeline.context().symbols.is_empty());
    run.reading("a", 1, 1.0);
    assert_eq!(taken(&mut run), ["+I a 1.0"]);
}

#[derive(Clone, Debug)]
enum Action {
    Add(usize, i64),
    /// Takes a row away that is there.
    Take(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let add = (0..3_usize, 0..6_i64).prop_map(|(key, value)| Action::Add(key, value));
    let take = any::<usize>().prop_map(Action::Take);
    prop::collection::vec(prop_oneof![3 => add, 1 => take], 0..60)
}

/// The content that changes leave behind, each row once for each time it is there.
fn materialise(content: &mut BTreeMap<String, usize>, run: &mut Run) {
    for event in core::mem::take(&mut run.log.events) {
        let Event::Row { change, values, .. } = event else { panic!("{event:?}") };
        let row = alloc::format!("{values:?}");
        match change {
            "+I" | "+U" => *content.entry(row).or_default() += 1,
            _ => {
                let count = content.get_mut(&row).unwrap_or_else(|| panic!("{row} is not there"));
                *count -= 1;
                if *count == 0 {
                    content.remove(&row);
                }
            }
        }
    }
}

fn expected(spec: &RankSpec, rows: &[(usize, Vec<V>)]) -> BTreeMap<String, usize> {
    let mut content = BTreeMap::new();
    for key in 0..3 {
        let mut own: Vec<_> = rows.iter().filter(|(k, _)| *k == key).map(|(_, r)| r).collect();
        // Falling by value, NULLs last; stable, so equal rows stay in order of arrival.
        own.sort_by(|a, b| match (&a[VALUE], &b[VALUE]) {
            (V::F(a), V::F(b)) => b.total_cmp(a),
            (a, b) => (*a == V::Null).cmp(&(*b == V::Null)),
        });
        for (rank, row) in (1..).zip(own) {
            if (spec.first..=spec.last).contains(&rank) {
                let mut row = row.clone();
                if spec.with_number {
                    row.push(V::I(rank.try_into().unwrap()));
                }
                *content.entry(alloc::format!("{row:?}")).or_default() += 1;
            }
        }
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// After every change, with a checkpoint and often a restart, the content is the ranking.
    #[test]
    fn the_content_is_the_ranking(
        all in actions(),
        first in 1..3_u64,
        count in 0..3_u64,
        with_number: bool,
        is_append: bool,
    ) {
        let mode = if is_append { RankMode::Append } else { RankMode::Retract };
        let spec = RankSpec { first, with_number, ..spec(first + count, mode) };
        let fragment = fragment(&spec);
        let mut run = Run::new(fragment.clone());
        let mut steady = Run::new(fragment);
        let (mut rows, mut content): (Vec<(usize, Vec<V>)>, _) = (Vec::new(), BTreeMap::new());
        for (index, action) in all.iter().enumerate() {
            let change = match action {
                Action::Add(key, value) => {
                    #[expect(clippy::cast_precision_loss, reason = "small test values")]
                    let mut row = reading(["a", "b", "c"][*key], 0, *value as f64);
                    row[TEXT] = s(&(index % 2).to_string());
                    if *value == 5 {
                        row[VALUE] = V::Null;
                    }
                    rows.push((*key, row));
                    Some((Change::Insert, rows[rows.len() - 1].1.clone()))
                }
                Action::Take(_) if is_append || rows.is_empty() => None,
                Action::Take(at) => {
                    let picked = rows[at % rows.len()].1.clone();
                    // Of equal rows the first one goes.
                    let first = rows.iter().position(|(_, row)| *row == picked).unwrap();
                    Some((Change::Delete, rows.remove(first).1))
                }
            };
            let Some((change, row)) = change else { continue };
            run.changed_row(change, &row);
            steady.changed_row(change, &row);
            run.checkpoint(index % 5 == 0);
            steady.checkpoint(index % 5 == 0);
            if index % 3 != 1 {
                run.restart();
            }
            materialise(&mut content, &mut run);
            prop_assert_eq!(&content, &expected(&spec, &rows), "after step {}", index);
            prop_assert_eq!(&run.disk, &steady.disk, "bytes after step {}", index);
        }
    }
}
