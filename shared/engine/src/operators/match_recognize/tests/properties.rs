//! Random rows: the naive answer, a restart at every row, bounded memory.

use alloc::{format, string::String, vec, vec::Vec};
use proptest::prelude::*;

use super::{
    oracle::{self, Variable},
    *,
};
use crate::limits::Limits;

const WITHIN_MS: i64 = 30;

fn between(from: f64, to: f64) -> Option<Formula> {
    let both = vec![compare(">=", value(0), number(from)), compare("<", value(0), number(to))];
    let expr = Expr { kind: ExprKind::And(both), data_type: DataType::Boolean };
    Some(Formula { items: vec![current(VALUE)], expr })
}

fn of(variables: &[Variable], after: AfterMatch) -> MatchSpec {
    let written = |v: &Variable| variable("V", (v.min, v.max, false), between(v.from, v.to));
    let spec = spec(variables.iter().map(written).collect(), after);
    let ends = [true, false].map(|first| pass(row(None, first, 0, TIME), DataType::BigInt));
    MatchSpec { within_ms: Some(WITHIN_MS), measures: ends.into(), ..spec }
}

fn any_variable() -> impl Strategy<Value = Variable> {
    let most = prop_oneof![Just(None), (1u32..4).prop_map(Some)];
    (0u32..3, most, 0i32..8, 2i32..7).prop_map(|(min, max, from, size)| Variable {
        min,
        // `{0,1}` and `??` are the same here: reluctant.
        max: max.map(|max| max.max(min).max(1)),
        from: f64::from(from),
        to: f64::from(from + size),
    })
}

fn any_pattern() -> impl Strategy<Value = Vec<Variable>> {
    let has_rows = |variables: &Vec<Variable>| variables.iter().any(|v| v.min > 0);
    prop::collection::vec(any_variable(), 1..4).prop_filter("matches no rows", has_rows)
}

/// Rows of two keys, with the lag of the watermark behind the largest time.
fn any_rows() -> impl Strategy<Value = Vec<(bool, i64, i32)>> {
    prop::collection::vec((any::<bool>(), 0i64..6, 0i32..10), 1..60)
}

/// Times that rise with a little disorder, each once for its key.
fn placed(rows: &[(bool, i64, i32)]) -> Vec<(&'static str, i64, f64)> {
    let place = |(at, &(is_b, jitter, v)): (i64, &(bool, i64, i32))| {
        (if is_b { "b" } else { "a" }, at * 7 + jitter * 7 + at % 7, f64::from(v))
    };
    (1..).zip(rows).map(place).collect()
}

fn feed(run: &mut Run, rows: &[(&str, i64, f64)], mut between: impl FnMut(&mut Run, usize)) {
    let mut largest = i64::MIN;
    for (index, &(key, time, v)) in rows.iter().enumerate() {
        run.reading(key, time, v);
        largest = largest.max(time);
        run.watermark(largest - 50);
        between(run, index);
    }
    run.end();
}

proptest! {
    #[test]
    fn the_matches_are_those_of_the_naive_way(
        variables in any_pattern(),
        rows in any_rows(),
        past in any::<bool>(),
    ) {
        let after = if past { AfterMatch::PastLastRow } else { AfterMatch::NextRow };
        let rows = placed(&rows);
        let mut run = Run::new(fragment(of(&variables, after)));
        feed(&mut run, &rows, |_, _| {});
        let mut expected = Vec::new();
        for key in ["a", "b"] {
            let mut own: Vec<_> =
                rows.iter().filter(|r| r.0 == key).map(|&(_, time, v)| (time, v)).collect();
            own.sort_by_key(|r| r.0);
            let found = oracle::matches(&variables, &own, WITHIN_MS, after);
            expected.extend(found.iter().map(|(from, to)| {
                format!("+I {key} {} {}", own[*from].0, own[*to].0)
            }));
        }
        let mut found = run.take();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    /// What a row does to a run is looked up where its conditions are known of every row; else they
    /// are asked for, as those are that stand in brackets of IS TRUE.
    #[test]
    fn what_is_known_in_advance_is_what_would_be_asked(
        variables in any_pattern(),
        greedy in any::<u8>(),
        asked in 1u8..8,
        after in prop_oneof![
            Just(AfterMatch::NextRow),
            Just(AfterMatch::PastLastRow),
            Just(AfterMatch::First(0)),
        ],
        rows in any_rows(),
    ) {
        let mut spec = of(&variables, after);
        for (index, variable) in spec.variables.iter_mut().enumerate() {
            variable.greedy = greedy >> index & 1 == 1;
        }
        let rows = placed(&rows);
        let mut known = Run::new(fragment(spec.clone()));
        feed(&mut known, &rows, |_, _| {});
        for (index, variable) in spec.variables.iter_mut().enumerate() {
            if asked >> index & 1 == 1 && let Some(define) = &mut variable.define {
                let kind = ExprKind::IsBool(alloc::boxed::Box::new(define.expr.clone()), true);
                define.expr = Expr { kind, data_type: DataType::Boolean };
            }
        }
        let mut run = Run::new(fragment(spec));
        feed(&mut run, &rows, |_, _| {});
        prop_assert_eq!(run.take(), known.take());
    }

    #[test]
    fn a_restart_at_any_row_changes_nothing(
        variables in any_pattern(),
        greedy in any::<bool>(),
        after in prop_oneof![
            Just(AfterMatch::NextRow),
            Just(AfterMatch::PastLastRow),
            Just(AfterMatch::Last(0)),
        ],
        rises in any::<bool>(),
        rows in any_rows(),
        full in any::<u64>(),
    ) {
        let mut spec = of(&variables, after);
        spec.order = vec![OrderTerm { column: VALUE, descending: true, nulls_first: false }];
        for (index, variable) in spec.variables.iter_mut().enumerate() {
            variable.greedy = greedy && index == 0;
        }
        if rises {
            // A match that begins later may be complete earlier, and waits.
            let items = vec![current(VALUE), row(None, true, 0, VALUE)];
            let rising = Formula { items, expr: compare(">", value(0), value(1)) };
            spec.variables.push(variable("R", ONE, Some(rising)));
        }
        let rows = placed(&rows);
        let mut whole = Run::new(fragment(spec.clone()));
        feed(&mut whole, &rows, |_, _| {});
        let mut cut = Run::new(fragment(spec));
        feed(&mut cut, &rows, |run, index| {
            run.checkpoint(full >> (index % 64) & 1 == 1).restart();
        });
        prop_assert_eq!(cut.take(), whole.take());
    }

    #[test]
    fn no_limit_is_exceeded(variables in any_pattern(), rows in any_rows()) {
        let limits = Limits { rows_max: 12, matches_max: 16, ..Limits::default() };
        let spec = MatchSpec { within_ms: None, ..of(&variables, AfterMatch::NextRow) };
        let mut run = Run::with(fragment(spec), limits);
        let mut told: Vec<String> = Vec::new();
        feed(&mut run, &placed(&rows), |run, _| {
            told.extend(run.take());
            run.checkpoint(true);
            let bytes: usize = run.disk.pages.iter().map(Vec::len).sum();
            // Twelve rows of about 70 bytes, sixteen runs of about 12.
            assert!(bytes < 3_000, "{bytes} bytes of state");
        });
        prop_assert!(told.iter().all(|e| e != "dropped state-full" || rows.len() >= 12));
    }
}
