//! Matches of small patterns over readings; the larger body of answers is in conformance.

use alloc::{vec, vec::Vec};

use crate::{
    expr::{Expr, ExprKind, Literal},
    fragment::*,
    testkit::*,
    types::{DataType, Field, Schema},
};

mod checks;
mod oracle;
mod properties;

/// `v`, `n` of the row that is tested, as the only item.
fn current(column: usize) -> MatchItem {
    MatchItem::Current(column)
}

fn row(variable: Option<usize>, from_first: bool, offset: u32, column: usize) -> MatchItem {
    MatchItem::Row { variable, from_first, offset, column }
}

fn value(index: usize) -> Expr {
    Expr::column(index, DataType::Double)
}

fn number(value: f64) -> Expr {
    Expr::literal(Literal::Double(value), DataType::Double)
}

fn compare(op: &str, left: Expr, right: Expr) -> Expr {
    Expr::call(op, vec![left, right], DataType::Boolean)
}

/// `v op number`
fn tested(op: &str, with: f64) -> Option<Formula> {
    Some(Formula { items: vec![current(VALUE)], expr: compare(op, value(0), number(with)) })
}

fn variable(
    name: &str,
    quantifier: (u32, Option<u32>, bool),
    define: Option<Formula>,
) -> MatchVariable {
    let (min, max, greedy) = quantifier;
    MatchVariable { name: name.into(), min, max, greedy, define }
}

const ONE: (u32, Option<u32>, bool) = (1, Some(1), true);

fn pass(item: MatchItem, data_type: DataType) -> Formula {
    Formula { items: vec![item], expr: Expr::column(0, data_type) }
}

/// A pattern by key; its measures are the values of the first and last row, the time of the match
/// and the number of rows.
fn spec(variables: Vec<MatchVariable>, after: AfterMatch) -> MatchSpec {
    let count = MatchItem::Aggregate { variable: None, function: "COUNT".into(), arg: None };
    MatchSpec {
        key: vec![KEY],
        rowtime: TIME,
        order: Vec::new(),
        variables,
        after,
        within_ms: None,
        measures: vec![
            pass(row(None, true, 0, VALUE), DataType::Double),
            pass(row(None, false, 0, VALUE), DataType::Double),
            pass(MatchItem::Time, DataType::Timestamp(3)),
            pass(count, DataType::BigInt),
        ],
    }
}

fn schema(spec: &MatchSpec) -> Schema {
    let keys = spec.key.iter().map(|column| readings().fields[*column].clone());
    let measures = spec.measures.iter().map(|m| Field::new("m", m.expr.data_type.clone()));
    Schema::new(keys.chain(measures).collect())
}

fn fragment(spec: MatchSpec) -> Fragment {
    let schema = schema(&spec);
    chain(vec![(OperatorSpec::MatchRecognize(spec), schema)])
}

fn high_then_low(after: AfterMatch) -> MatchSpec {
    let any = variable("X", (0, None, false), None);
    spec(
        vec![variable("A", ONE, tested(">", 50.0)), any, variable("B", ONE, tested("<", 10.0))],
        after,
    )
}

#[test]
fn a_match_is_found_when_the_watermark_reaches_its_last_row() {
    let mut run = Run::new(fragment(high_then_low(AfterMatch::PastLastRow)));
    run.reading("a", 10, 60.0).reading("a", 30, 5.0).reading("b", 15, 1.0).reading("a", 20, 20.0);
    assert_eq!(run.watermark(29).take(), [""; 0]);
    assert_eq!(run.watermark(30).take(), ["+I a 60.0 5.0 30 3"]);
    run.reading("a", 30, 99.0).reading("b", 30, 99.0);
    assert_eq!(run.take(), ["dropped late"; 2], "at the watermark is late, whatever the key");
}

#[test]
fn after_match_decides_where_the_next_one_begins() {
    let found = |after| {
        let mut run = Run::new(fragment(high_then_low(after)));
        for (time, v) in (1..).zip([60.0, 70.0, 5.0, 80.0, 20.0, 3.0]) {
            run.reading("a", time, v);
        }
        run.end().take()
    };
    let all = ["+I a 60.0 5.0 3 3", "+I a 70.0 5.0 3 2", "+I a 80.0 3.0 6 3"];
    assert_eq!(found(AfterMatch::NextRow), all);
    assert_eq!(found(AfterMatch::PastLastRow), [all[0], all[2]]);
    // B is the last row and no start; X is empty in the second match of row 2.
    assert_eq!(found(AfterMatch::Last(2)), [all[0], all[2]]);
    assert_eq!(
        found(AfterMatch::First(1)),
        [all[0], "dropped invalid-argument", all[2]],
        "where X has no row Flink's job fails; here the match is set aside",
    );
}

#[test]
fn within_ends_runs_by_the_watermark() {
    let spec = MatchSpec { within_ms: Some(10), ..high_then_low(AfterMatch::NextRow) };
    let mut run = Run::new(fragment(spec));
    run.reading("a", 100, 60.0).reading("a", 110, 5.0);
    run.reading("b", 100, 60.0).reading("b", 109, 5.0);
    assert_eq!(run.watermark(500).take(), ["+I b 60.0 5.0 109 2"]);
    let (steps, _) = run.pipeline.memory_bytes_max();
    assert!(steps[0] > 0);
}

/// A match that began later waits for the open one before it, and is freed when that one's time is
/// over; its time is then the watermark, as in Flink.
#[test]
fn a_later_match_waits_for_an_open_one_before_it() {
    let above = Formula {
        items: vec![current(VALUE), row(Some(0), false, 0, VALUE)],
        expr: compare(">", value(0), value(1)),
    };
    let variables = vec![
        variable("A", ONE, None),
        variable("X", (0, None, false), tested("<", 1000.0)),
        variable("B", ONE, Some(above)),
    ];
    let spec = MatchSpec { within_ms: Some(100), ..spec(variables, AfterMatch::PastLastRow) };
    let mut run = Run::new(fragment(spec));
    run.reading("a", 1, 50.0).reading("a", 2, 10.0).reading("a", 3, 20.0);
    assert_eq!(run.watermark(90).take(), [""; 0]);
    assert_eq!(run.checkpoint(false).restart().watermark(100).take(), [""; 0]);
    assert_eq!(run.watermark(101).take(), ["+I a 10.0 20.0 101 2"]);
}

#[test]
fn rows_of_one_time_stand_by_the_other_columns_then_by_arrival() {
    let rising = Formula {
        items: vec![current(VALUE), row(Some(0), false, 0, VALUE)],
        expr: compare(">", value(0), value(1)),
    };
    let variables = vec![variable("A", ONE, None), variable("B", ONE, Some(rising))];
    let plain = spec(variables, AfterMatch::PastLastRow);
    let term = |descending| vec![OrderTerm { column: VALUE, descending, nulls_first: !descending }];
    for (order, expected) in [
        (vec![], vec!["+I a 5.0 7.0 1 2"]),
        (term(false), vec!["+I a 1.0 5.0 1 2"]),
        (term(true), vec![]),
    ] {
        let mut run = Run::new(fragment(MatchSpec { order, ..plain.clone() }));
        run.reading("a", 1, 5.0).reading("a", 1, 7.0).reading("a", 1, 1.0);
        assert_eq!(run.end().take(), expected);
    }
}

#[test]
fn a_row_whose_condition_fails_to_compute_is_told_and_does_not_match() {
    let divide = Expr::call("/", vec![Expr::column(0, DataType::Int); 2], DataType::Int);
    let one = Expr::literal(Literal::Int(1), DataType::Int);
    let define = Formula { items: vec![current(INT)], expr: compare("=", divide, one) };
    let variables = vec![variable("A", ONE, Some(define))];
    let mut run = Run::new(fragment(spec(variables, AfterMatch::NextRow)));
    run.reading("a", 1, 0.0).reading("a", 2, 4.0);
    assert_eq!(run.end().take(), ["dropped division-by-zero", "+I a 4.0 4.0 2 1"]);
}

/// Greedy variables keep rows that the next one would take too, as in Flink, even where the
/// pattern cannot be completed then.
#[test]
fn quantifiers_as_in_flink() {
    let found = |a: (u32, Option<u32>, bool), values: &[f64]| {
        let variables =
            vec![variable("A", a, tested(">", 5.0)), variable("B", ONE, tested(">", 0.0))];
        let mut run = Run::new(fragment(spec(variables, AfterMatch::PastLastRow)));
        for (time, v) in (1..).zip(values) {
            run.reading("a", time, *v);
        }
        run.end().take()
    };
    let rows = [6.0, 7.0, 8.0, 4.0, 3.0];
    assert_eq!(found((1, None, true), &rows), ["+I a 6.0 4.0 4 4"]);
    assert_eq!(found((1, None, false), &rows), ["+I a 6.0 7.0 2 2", "+I a 8.0 4.0 4 2"]);
    assert_eq!(found((1, Some(2), true), &rows), ["+I a 7.0 4.0 4 3"]);
    assert_eq!(found((2, Some(2), true), &rows), ["+I a 6.0 8.0 3 3"]);
    assert_eq!(found((0, Some(1), true), &rows).len(), 5, "`?` is not greedy in Flink");
    assert_eq!(found((2, None, false), &rows), ["+I a 6.0 8.0 3 3"]);
}

#[test]
fn aggregates_run_over_the_rows_of_a_variable_and_the_tested_one() {
    let sum = MatchItem::Aggregate {
        variable: Some(0),
        function: "SUM".into(),
        arg: Some(Expr::column(VALUE, DataType::Double)),
    };
    let define = Formula { items: vec![sum.clone()], expr: compare("<", value(0), number(20.0)) };
    let variables = vec![variable("A", (1, None, true), Some(define)), variable("B", ONE, None)];
    let mut spec = spec(variables, AfterMatch::PastLastRow);
    let smallest = MatchItem::Aggregate {
        variable: None,
        function: "MIN".into(),
        arg: Some(Expr::column(TEXT, DataType::STRING)),
    };
    spec.measures = vec![pass(sum, DataType::Double), pass(smallest, DataType::STRING)];
    let mut run = Run::new(fragment(spec));
    for (time, v) in (1..).zip([8.0, 9.0, 7.0, 19.0, 30.0]) {
        run.reading("a", time, v);
    }
    assert_eq!(run.end().take(), ["+I a 17.0 t7", "+I a 19.0 t19"]);
    assert!(run.pipeline.context().symbols.is_empty(), "every text is given back");
}

#[test]
fn a_missing_row_is_null() {
    let define = Formula {
        items: vec![row(Some(0), false, 1, VALUE)],
        expr: Expr {
            kind: ExprKind::IsNull(alloc::boxed::Box::new(value(0))),
            data_type: DataType::Boolean,
        },
    };
    let variables =
        vec![variable("A", (1, None, false), Some(define)), variable("B", ONE, tested(">", 1.0))];
    let mut spec = spec(variables, AfterMatch::PastLastRow);
    spec.measures = vec![
        pass(row(Some(0), true, 0, VALUE), DataType::Double),
        pass(row(Some(0), true, 1, VALUE), DataType::Double),
        pass(row(None, false, 1, VALUE), DataType::Double),
    ];
    let mut run = Run::new(fragment(spec));
    run.reading("a", 1, 5.0).reading("a", 2, 6.0);
    assert_eq!(run.end().take(), ["+I a 5.0 null 5.0"]);
}

/// At either limit the oldest open matches go, counted; the rest is as it would be without them.
#[test]
fn the_oldest_open_match_goes_at_a_limit() {
    for limits in [
        crate::limits::Limits { rows_max: 4, ..Default::default() },
        crate::limits::Limits { matches_max: 8, ..Default::default() },
    ] {
        let mut run = Run::with(fragment(high_then_low(AfterMatch::PastLastRow)), limits);
        for time in 1..20 {
            run.reading("a", time, 60.0).watermark(time);
        }
        run.reading("b", 20, 70.0).watermark(20).reading("b", 21, 1.0).watermark(21);
        let events = run.take();
        let evicted = events.iter().filter(|e| *e == "dropped evicted").count();
        assert!(evicted > 5, "{events:?}");
        assert_eq!(events.last().unwrap(), "+I b 70.0 1.0 21 2");
    }
}

#[test]
fn a_row_is_set_aside_when_all_rows_are_waiting() {
    let limits = crate::limits::Limits { rows_max: 2, ..Default::default() };
    let mut run = Run::with(fragment(high_then_low(AfterMatch::PastLastRow)), limits);
    run.reading("a", 1, 60.0).reading("a", 2, 60.0).reading("a", 3, 1.0);
    assert_eq!(run.take(), ["dropped state-full"]);
}
