//! In front of steps that put rows in order themselves: the results are those of rows that wait.

use alloc::{format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use crate::{
    fragment::*,
    operator::Timestamp,
    testkit::*,
    types::{DataType, Field, Schema},
};

/// Columns that a step appends to readings.
fn appending(types: &[DataType]) -> Schema {
    let mut schema = readings();
    schema.fields.extend(types.iter().map(|data_type| Field::new("c", data_type.clone())));
    schema
}

/// Deduplicated readings, a step over them, and a table that only appends.
fn over_first(operator: OperatorSpec, schema: Schema) -> Fragment {
    let first = (OperatorSpec::DedupFirst(dedup(&[KEY, TIME])), readings());
    let mut fragment = chain(vec![first, (operator, schema)]);
    fragment.outputs[0].order = Order::Any;
    fragment
}

fn sorted(order: Vec<SortKey>) -> Fragment {
    over_first(OperatorSpec::Sort(SortSpec { rowtime: TIME, order }), readings())
}

fn frame(unit: FrameUnit, preceding: Option<i64>, following: i64) -> Frame {
    Frame { unit, preceding, following }
}

fn over(partition: Vec<usize>, function: &str, arg: Option<usize>, frame: Frame) -> Fragment {
    let calls = vec![OverCall { function: OverFunction::Aggregate(call(function, arg)), frame }];
    let spec = OverSpec { partition, rowtime: TIME, calls, ttl_ms: None };
    let result = if arg.is_some() { DataType::Double } else { DataType::BigInt };
    over_first(OperatorSpec::Over(spec), appending(&[result]))
}

fn neighbour(is_ahead: bool) -> Fragment {
    let (column, default) = (VALUE, None);
    let function = match is_ahead {
        true => OverFunction::Lead { column, default },
        false => OverFunction::Lag { column, default },
    };
    let frame = match is_ahead {
        true => frame(FrameUnit::Rows, Some(0), 2),
        false => frame(FrameUnit::Rows, Some(1), 0),
    };
    let calls = vec![OverCall { function, frame }];
    let spec = OverSpec { partition: vec![FLAG], rowtime: TIME, calls, ttl_ms: None };
    over_first(OperatorSpec::Over(spec), appending(&[DataType::Double]))
}

/// Pairs of readings that follow each other.
fn pairs(within_ms: Option<i64>) -> Fragment {
    let variable = |name: &str| MatchVariable {
        name: name.into(),
        min: 1,
        max: Some(1),
        greedy: true,
        define: None,
    };
    let measure = |from_first| {
        let item = MatchItem::Row { variable: None, from_first, offset: 0, column: VALUE };
        Formula { items: vec![item], expr: crate::expr::Expr::column(0, DataType::Double) }
    };
    let spec = MatchSpec {
        key: vec![FLAG],
        rowtime: TIME,
        order: Vec::new(),
        variables: vec![variable("A"), variable("B")],
        after: AfterMatch::NextRow,
        within_ms,
        measures: vec![measure(true), measure(false)],
    };
    let fields = [DataType::Boolean, DataType::Double, DataType::Double];
    let schema = Schema::new(fields.map(|data_type| Field::new("m", data_type)).into());
    over_first(OperatorSpec::MatchRecognize(spec), schema)
}

fn absence() -> Fragment {
    let spec = AbsenceSpec { key: vec![KEY], rowtime: TIME, gap_ms: 900, starts: None, ends: None };
    over_first(OperatorSpec::Absence(spec), appending(&[DataType::TimestampLtz(3)]))
}

fn sessions() -> Fragment {
    let spec = SessionWindowsSpec { key: vec![KEY], rowtime: TIME, gap_ms: 300 };
    let types = [DataType::Timestamp(3), DataType::Timestamp(3), DataType::TimestampLtz(3)];
    over_first(OperatorSpec::SessionWindows(spec), appending(&types))
}

/// The same where the readings go elsewhere too, so that they wait.
fn waiting(mut fragment: Fragment) -> Fragment {
    assert!(fragment.steps_at_once()[0], "{:?}", fragment.steps[1].operator);
    let rows = Output {
        input: Input::Step(0),
        schema: readings(),
        columns: None,
        order: Order::Arrival,
        ..fragment.outputs[0].clone()
    };
    fragment.outputs.push(rows);
    assert!(!fragment.steps_at_once()[0]);
    fragment
}

#[derive(Clone, Debug)]
enum Action {
    /// Key and time before the newest.
    Row(usize, i64),
    /// Time before the newest.
    Watermark(i64),
    Restart,
    /// From now on rows no longer wait.
    Change,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        12 => (0..4_usize, 0..30_i64).prop_map(|(key, back)| Action::Row(key, back * 100)),
        3 => (0..25_i64).prop_map(|back| Action::Watermark(back * 100)),
        1 => Just(Action::Restart),
        1 => Just(Action::Change),
    ];
    prop::collection::vec(action, 0..120)
}

/// The results in the order in which they came, and what was dropped.
fn results(fragment: Fragment, all: &[Action], later: Option<&Fragment>) -> [Vec<String>; 2] {
    let mut run = Run::new(fragment);
    let (mut newest, mut number): (Timestamp, f64) = (0, 0.0);
    for action in all {
        number += 1.0;
        match action {
            Action::Row(key, back) => {
                run.reading(&format!("k{key}"), newest - back, number);
                newest += 100;
            }
            Action::Watermark(back) => {
                run.watermark(newest - back);
            }
            Action::Restart => {
                run.checkpoint(false).restart();
            }
            Action::Change if let Some(later) = later => {
                run.checkpoint(false);
                run.fragment = later.clone();
                run.restart();
            }
            Action::Change => {}
        }
    }
    run.watermark(newest + 100_000);
    let events = run.take().into_iter().filter(|event| !event.starts_with("1:"));
    let (mut dropped, rows): (Vec<_>, Vec<_>) =
        events.partition(|event| event.starts_with("dropped"));
    dropped.sort();
    [rows, dropped]
}

/// Rows that go on at once give what waiting ones give, also from some point on.
fn check(fragment: &Fragment, all: &[Action], keeps_order: bool) -> Result<(), TestCaseError> {
    let results = |fragment: Fragment, later: Option<&Fragment>| {
        let [mut rows, dropped] = results(fragment, all, later);
        if !keeps_order {
            rows.sort();
        }
        [rows, dropped]
    };
    let waited = results(waiting(fragment.clone()), None);
    prop_assert_eq!(&results(fragment.clone(), None), &waited);
    prop_assert_eq!(&results(waiting(fragment.clone()), Some(fragment)), &waited);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn sorted_rows_come_in_the_same_order(all in actions()) {
        let by_value = SortKey { column: FLAG, descending: true, nulls_first: false };
        check(&sorted(Vec::new()), &all, true)?;
        check(&sorted(vec![by_value]), &all, true)?;
    }

    #[test]
    fn over_sees_the_same_rows(all in actions()) {
        let range = frame(FrameUnit::Range, Some(700), 0);
        check(&over(vec![FLAG], "SUM", Some(VALUE), range.clone()), &all, true)?;
        check(&over(vec![KEY], "COUNT", None, range), &all, true)?;
        let rows = frame(FrameUnit::Rows, Some(2), 0);
        check(&over(Vec::new(), "LAST_VALUE", Some(VALUE), rows.clone()), &all, true)?;
        check(&over(vec![FLAG], "SUM", Some(VALUE), rows), &all, true)?;
        check(&over(vec![FLAG], "COUNT", None, frame(FrameUnit::Rows, None, 0)), &all, true)?;
        check(&neighbour(false), &all, true)?;
        check(&neighbour(true), &all, false)?;
        let ahead = frame(FrameUnit::Range, Some(300), 500);
        check(&over(vec![FLAG], "SUM", Some(VALUE), ahead), &all, false)?;
    }

    #[test]
    fn patterns_see_the_same_rows(all in actions()) {
        check(&pairs(None), &all, false)?;
        check(&pairs(Some(400)), &all, false)?;
        check(&absence(), &all, false)?;
    }

    #[test]
    fn sessions_hold_the_same_rows(all in actions()) {
        check(&sessions(), &all, false)?;
    }
}

/// A text that comes again has another number than before, and a checkpoint that holds both: what
/// is restored keeps the one that it had.
#[test]
fn a_text_with_a_new_number_is_the_same_text() {
    use Action::{Change, Restart, Row, Watermark};
    let rows = |all: &[(usize, i64)]| -> Vec<Action> {
        all.iter().map(|&(key, back)| Row(key, back)).collect()
    };
    let newest = |count: usize| vec![Row(0, 0); count];
    let all = [
        vec![Watermark(400)],
        rows(&[(0, 0), (0, 0), (1, 500), (0, 0), (0, 0), (0, 100), (0, 1000), (0, 100)]),
        rows(&[(1, 100), (0, 200), (0, 300)]),
        vec![Change],
        rows(&[(1, 500), (0, 500), (0, 0), (2, 1800), (0, 0), (0, 0)]),
        vec![Restart, Watermark(300), Restart],
        rows(&[(2, 300), (0, 0), (0, 0), (0, 0)]),
        vec![Restart],
        newest(6),
        rows(&[(2, 1300)]),
    ];
    let fragment = over(vec![KEY], "COUNT", None, frame(FrameUnit::Range, Some(700), 0));
    check(&fragment, &all.concat(), true).unwrap();
}
