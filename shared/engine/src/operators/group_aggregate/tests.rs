//! Tests of the aggregation without a window.

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use crate::{fragment::*, limits::Limits, row::Change, testkit::*, types::*};

fn spec(keys: &[usize], calls: Vec<AggregateSpec>) -> GroupAggregateSpec {
    let schema = readings();
    GroupAggregateSpec {
        keys: keys.into(),
        key_types: keys.iter().map(|&k| schema.data_type(k).clone()).collect(),
        aggregates: calls,
        takes_changes: true,
        ttl_ms: None,
    }
}

fn run(spec: GroupAggregateSpec, limits: Limits) -> Run {
    let mut fields: Vec<Field> =
        spec.key_types.iter().map(|t| Field::new("k", t.clone())).collect();
    let calls = crate::aggregate::Calls::bind_changing(&spec.aggregates).unwrap();
    fields.extend(calls.results().map(|t| Field::new("a", t.clone())));
    let step = (OperatorSpec::GroupAggregate(spec), Schema::new(fields));
    Run::with(chain(vec![step]), limits)
}

fn counted() -> Run {
    let calls = vec![call("COUNT", None), call("MAX", Some(VALUE)), call("MIN", Some(TEXT))];
    run(spec(&[KEY], calls), Limits::default())
}

#[test]
fn the_first_row_inserts_and_later_ones_update() {
    let mut run = counted();
    run.reading("a", 1, 2.0).reading("a", 2, 1.0);
    assert_eq!(run.take(), ["+I a 1 2.0 t2", "-U a 1 2.0 t2", "+U a 2 2.0 t1"]);
}

#[test]
fn rows_are_taken_away_down_to_the_last_one() {
    let mut run = counted();
    run.reading("a", 1, 2.0).reading("a", 2, 1.0).take();
    run.changed_row(Change::UpdateBefore, &reading("a", 1, 2.0));
    assert_eq!(run.take(), ["-U a 2 2.0 t1", "+U a 1 1.0 t1"]);
    run.changed_row(Change::Delete, &reading("a", 2, 1.0));
    assert_eq!(run.take(), ["-D a 1 1.0 t1"]);
    run.changed_row(Change::Delete, &reading("a", 2, 1.0));
    assert_eq!(run.take(), ["dropped unmatched"]);
}

#[test]
fn a_result_that_stays_gives_nothing() {
    let mut run = run(spec(&[KEY], vec![call("MAX", Some(VALUE))]), Limits::default());
    run.reading("a", 1, 2.0).reading("a", 2, 1.0).reading("a", 3, 3.0);
    assert_eq!(run.take(), ["+I a 2.0", "-U a 2.0", "+U a 3.0"]);
}

#[test]
fn without_aggregates_each_key_comes_once() {
    let mut run = run(spec(&[KEY], vec![]), Limits::default());
    run.reading("a", 1, 2.0).reading("a", 2, 1.0).reading("b", 2, 1.0);
    run.changed_row(Change::Delete, &reading("a", 1, 2.0));
    assert_eq!(run.take(), ["+I a", "+I b"]);
    run.changed_row(Change::Delete, &reading("a", 2, 1.0));
    assert_eq!(run.take(), ["-D a"]);
}

#[test]
fn a_group_too_many_is_set_aside() {
    let limits = Limits { panes_max: 2, ..Limits::default() };
    let mut run = run(spec(&[KEY], vec![call("COUNT", None)]), limits);
    run.reading("a", 1, 2.0).reading("b", 2, 1.0).reading("c", 3, 1.0).reading("a", 4, 1.0);
    assert_eq!(run.take(), ["+I a 1", "+I b 1", "dropped state-full", "-U a 1", "+U a 2"]);
}

#[test]
fn groups_that_nothing_uses_are_forgotten() {
    let ttl_ms = Some(10);
    let spec = GroupAggregateSpec { ttl_ms, ..spec(&[KEY], vec![call("COUNT", None)]) };
    let mut run = run(spec, Limits::default());
    run.watermark(100).reading("a", 100, 1.0).reading("b", 100, 1.0);
    run.watermark(109).reading("a", 100, 1.0).watermark(110);
    run.checkpoint(false).restart().take();
    run.reading("a", 100, 1.0).reading("b", 100, 1.0);
    assert_eq!(run.take(), ["-U a 2", "+U a 3", "+I b 1"]);
    run.watermark(121).reading("a", 100, 1.0);
    assert_eq!(run.take(), ["+I a 1"]);
}

/// A row to add, or the number of an earlier one to take away.
type Step = (u8, i64, bool);

/// What is left of a changelog.
fn materialised(log: &[String]) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for line in log {
        let (op, row) = line.split_at(2);
        let by = if matches!(op, "+I" | "+U") { 1 } else { -1 };
        let count: &mut i64 = rows.entry(row.into()).or_default();
        *count += by;
        assert!(*count >= 0, "{line} takes away what is not there");
        if *count == 0 {
            rows.remove(row);
        }
    }
    rows
}

fn check(steps: &[Step], restarts: usize) -> Vec<String> {
    let mut run = counted();
    let mut live: Vec<(u8, i64)> = Vec::new();
    let mut log = Vec::new();
    for (at, &(key, value, adds)) in steps.iter().enumerate() {
        let row = |(k, v): (u8, i64)| reading(&format!("k{k}"), v, v as f64);
        if adds || live.is_empty() {
            live.push((key, value));
            run.row(&row((key, value)));
        } else {
            let gone = live.remove(usize::try_from(value.unsigned_abs()).unwrap() % live.len());
            run.changed_row(Change::Delete, &row(gone));
        }
        log.append(&mut run.take());
        if restarts > 0 && at % restarts == 0 {
            run.checkpoint(at % 7 == 0).restart();
        }
    }
    let mut expected = BTreeMap::new();
    for key in live.iter().map(|(key, _)| key) {
        let values = || live.iter().filter(|(k, _)| k == key).map(|(_, v)| *v);
        let text = values().map(|v| format!("t{}", v as f64)).min().unwrap();
        let max = values().max().unwrap();
        expected.insert(format!(" k{key} {} {:?} {text}", values().count(), max as f64), 1);
    }
    assert_eq!(materialised(&log), expected);
    log
}

proptest! {
    #[test]
    fn what_is_left_is_the_aggregate_of_what_is_left(
        steps in prop::collection::vec((0_u8..4, -5_i64..5, prop::bool::weighted(0.6)), 1..60),
        restarts in 1_usize..4,
    ) {
        let straight = check(&steps, 0);
        prop_assert_eq!(straight, check(&steps, restarts));
    }
}
