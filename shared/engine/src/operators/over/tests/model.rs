//! OVER as it is defined: every frame computed from all rows of its key.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use proptest::prelude::*;

use super::*;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Action {
    /// Key, time before the newest, value.
    Row(usize, i64, i64),
    Watermark(i64),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let row = (0..4_usize, 0..12_i64, 0..8_i64).prop_map(|(k, back, v)| Action::Row(k, back, v));
    let action = prop_oneof![4 => row, 1 => (0..9_i64).prop_map(Action::Watermark)];
    prop::collection::vec(action, 0..80)
}

fn values(key: usize, time: i64, value: i64) -> Vec<V> {
    #[expect(clippy::cast_precision_loss, reason = "small test values")]
    let mut row = reading(KEYS[key], time, value as f64 * 0.25);
    row[INT] = V::I(value);
    row[TEXT] = s(&value.to_string());
    if value == 7 {
        (row[VALUE], row[INT], row[TEXT]) = (V::Null, V::Null, V::Null);
    }
    if key == 3 {
        row[KEY] = V::Null;
    }
    row
}

/// The rows of one key in order of time, then arrival.
#[derive(Default)]
struct Rows {
    rows: Vec<(i64, usize, Vec<V>)>,
    emitted: usize,
    forget: Option<i64>,
}

struct Model {
    spec: OverSpec,
    keys: BTreeMap<String, Rows>,
    arrived: usize,
    watermark: i64,
    out: Vec<String>,
}

impl Model {
    fn row(&mut self, row: Vec<V>) {
        let V::I(time) = row[TIME] else { unreachable!() };
        let is_strict = super::super::is_strict(&self.spec);
        let rows = self.keys.entry(alloc::format!("{:?}", row[KEY])).or_default();
        let last = rows.emitted.checked_sub(1).map_or(i64::MIN, |at| rows.rows[at].0);
        if (is_strict && time <= self.watermark) || time <= last {
            self.out.push("late".into());
            return;
        }
        let at = rows.rows.partition_point(|(t, ..)| *t <= time);
        rows.rows.insert(at, (time, self.arrived, row));
        self.arrived += 1;
        if let Some(kept) = super::super::kept_ms(&self.spec)
            && rows.forget.is_none_or(|forget| forget < time + kept + 1)
        {
            rows.forget = Some(time + kept + kept / 2 + 1);
        }
    }

    fn watermark(&mut self, watermark: i64) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        let spec = self.spec.clone();
        let (ms, count) = super::super::following(&spec);
        let count = usize::try_from(count).unwrap();
        for rows in self.keys.values_mut() {
            let is_forgotten = rows.forget.is_some_and(|forget| forget <= self.watermark);
            while let Some((time, ..)) = rows.rows.get(rows.emitted) {
                let ahead = rows.rows.get(rows.emitted + count).map_or(i64::MAX, |(t, ..)| *t);
                if !is_forgotten && (time + ms).max(ahead) > self.watermark {
                    break;
                }
                self.out.push(emitted(&spec, rows));
                rows.emitted += 1;
            }
            if is_forgotten {
                *rows = Rows::default();
            }
        }
    }
}

fn emitted(spec: &OverSpec, rows: &Rows) -> String {
    let at = rows.emitted;
    let mut values = rows.rows[at].2.clone();
    for call in &spec.calls {
        let frame = held(&call.frame, rows, at);
        let value = match &call.function {
            OverFunction::Aggregate(call) => aggregated(call, frame),
            OverFunction::Lag { column, default } => {
                let back = usize::try_from(call.frame.preceding.unwrap()).unwrap();
                let time = rows.rows[at].0;
                let last = rows.rows.partition_point(|(t, ..)| *t <= time) - 1;
                let stand_in = || default.map_or(V::Null, |c| rows.rows[last].2[c].clone());
                last.checked_sub(back).map_or_else(stand_in, |i| rows.rows[i].2[*column].clone())
            }
            OverFunction::Lead { column, .. } => {
                let ahead = usize::try_from(call.frame.following).unwrap();
                rows.rows.get(at + ahead).map_or(V::Null, |(.., row)| row[*column].clone())
            }
        };
        values.push(value);
    }
    alloc::format!("{values:?}")
}

fn held<'a>(frame: &Frame, rows: &'a Rows, at: usize) -> Vec<&'a [V]> {
    let time = rows.rows[at].0;
    let is_held = |(i, (t, ..)): &(usize, &(i64, usize, Vec<V>))| {
        let away = match frame.unit {
            FrameUnit::Range => t - time,
            FrameUnit::Rows => i64::try_from(*i).unwrap() - i64::try_from(at).unwrap(),
        };
        frame.preceding.is_none_or(|p| -p <= away) && away <= frame.following
    };
    let all = rows.rows.iter().enumerate();
    all.filter(is_held).map(|(_, (.., row))| row.as_slice()).collect()
}

fn aggregated(call: &AggregateSpec, rows: Vec<&[V]>) -> V {
    let counted = |filter: usize| move |row: &&[V]| row[filter] == V::B(true);
    let rows: Vec<&[V]> = match call.filter {
        Some(filter) => rows.into_iter().filter(counted(filter)).collect(),
        None => rows,
    };
    let Some((column, _)) = call.arg else { return V::I(rows.len().try_into().unwrap()) };
    let all: Vec<V> =
        rows.iter().map(|row| row[column].clone()).filter(|v| *v != V::Null).collect();
    let order = |a: &V, b: &V| match (a, b) {
        (V::S(a), V::S(b)) => a.cmp(b),
        (V::F(a), V::F(b)) => a.total_cmp(b),
        (V::I(a), V::I(b)) => a.cmp(b),
        _ => unreachable!(),
    };
    let found = match call.function.as_str() {
        "COUNT" => return V::I(all.len().try_into().unwrap()),
        "MIN" => all.iter().min_by(|a, b| order(a, b)).cloned(),
        "MAX" => all.iter().max_by(|a, b| order(a, b)).cloned(),
        "FIRST_VALUE" => all.first().cloned(),
        "LAST_VALUE" => all.last().cloned(),
        _ => all.iter().cloned().reduce(|a, b| match (a, b) {
            (V::F(a), V::F(b)) => V::F(a + b),
            (V::I(a), V::I(b)) => V::I(a + b),
            _ => unreachable!(),
        }),
    };
    found.unwrap_or(V::Null)
}

fn specs() -> Vec<OverSpec> {
    let all = |frame: &Frame| {
        let mut calls = vec![over("COUNT", None, frame.clone())];
        for (function, column) in [
            ("SUM", VALUE),
            ("SUM", INT),
            ("MIN", INT),
            ("MAX", TEXT),
            ("FIRST_VALUE", TEXT),
            ("LAST_VALUE", VALUE),
        ] {
            calls.push(over(function, Some(column), frame.clone()));
        }
        let filtered = AggregateSpec { filter: Some(FLAG), ..call("MAX", Some(VALUE)) };
        let function = OverFunction::Aggregate(filtered);
        calls.push(OverCall { function, frame: frame.clone() });
        calls
    };
    let around = |unit| Frame { unit, preceding: Some(2), following: 2 };
    let rows = FrameUnit::Rows;
    let range = FrameUnit::Range;
    let mixed = vec![
        over("SUM", Some(VALUE), back(range, 4)),
        over("MIN", Some(VALUE), back(range, 9)),
        over("COUNT", Some(INT), unbounded(rows)),
        over("LAST_VALUE", Some(TEXT), around(range)),
        lead(INT, 2),
        lag(TEXT, 3, None),
    ];
    // Nothing but sums and counts over one frame, and none of a text: an operator of its own.
    let sums = |counted: usize, preceding: i64| {
        let frame = || back(range, preceding);
        let count = over("COUNT", Some(counted), frame());
        vec![over("SUM", Some(VALUE), frame()), count, over("COUNT", None, frame())]
    };
    vec![
        spec(vec![over("SUM", Some(VALUE), back(range, 5))]),
        spec(sums(INT, 5)),
        spec(sums(INT, 0)),
        spec(sums(TEXT, 5)),
        spec(all(&back(range, 5))),
        spec(all(&back(range, 0))),
        spec(all(&back(rows, 2))),
        spec(all(&back(rows, 0))),
        spec(all(&unbounded(range))),
        spec(all(&unbounded(rows))),
        spec(all(&around(range))),
        spec(all(&around(rows))),
        spec(vec![lag(VALUE, 1, Some(VALUE)), lag(TEXT, 2, None), lead(TEXT, 1)]),
        spec(mixed.clone()),
        OverSpec { ttl_ms: Some(8), ..spec(mixed) },
        OverSpec { ttl_ms: Some(8), ..spec(all(&unbounded(range))) },
    ]
}

/// Rows since the last call.
fn shown(run: &mut Run) -> Vec<String> {
    let show = |event: Event| match event {
        Event::Row { values, .. } => alloc::format!("{values:?}"),
        Event::Dropped(reason) => reason.into(),
        Event::Watermark(..) => unreachable!("the output is no exchange"),
    };
    core::mem::take(&mut run.log.events).into_iter().map(show).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(144))]

    /// With a checkpoint and often a restart after every step, and output that is full at times.
    #[test]
    fn every_row_is_that_of_the_model(all in actions(), which in 0..16_usize, room in 0..3_u32) {
        let spec = specs().swap_remove(which);
        let is_by_key = super::super::following(&spec).1 == 0;
        let fragment = fragment(&spec);
        let mut run = Run::new(fragment.clone());
        let mut steady = Run::new(fragment);
        run.log.room = room;
        let keys = BTreeMap::new();
        let mut model = Model { spec, keys, arrived: 0, watermark: i64::MIN, out: Vec::new() };
        let mut newest = 0;
        for (index, action) in all.iter().chain([&Action::Watermark(-100)]).enumerate() {
            match action {
                Action::Row(key, back, value) => {
                    let row = values(*key, newest - back, *value);
                    newest += value / 2;
                    run.row(&row);
                    steady.row(&row);
                    model.row(row);
                }
                Action::Watermark(behind) => {
                    run.watermark(newest - behind);
                    steady.watermark(newest - behind);
                    model.watermark(newest - behind);
                }
            }
            run.checkpoint(index % 5 == 0);
            steady.checkpoint(index % 5 == 0);
            if index % 3 != 1 {
                run.restart();
            }
            // Of the order between keys the model knows nothing.
            let mut expected = core::mem::take(&mut model.out);
            expected.sort();
            let (mut found, steady_found) = (shown(&mut run), shown(&mut steady));
            if is_by_key {
                prop_assert_eq!(&found, &steady_found, "order in step {}", index);
            }
            found.sort();
            prop_assert_eq!(found, expected, "step {}", index);
            prop_assert_eq!(&run.disk, &steady.disk, "bytes after step {}", index);
        }
    }

    /// The limit holds whatever comes, and what is over it is counted.
    #[test]
    fn the_limit_holds(all in actions(), which in 0..16_usize) {
        let spec = specs().swap_remove(which);
        let limits = Limits { rows_max: 5, ..Limits::default() };
        let mut run = Run::with(fragment(&spec), limits);
        let (mut newest, mut pushed) = (0, 0);
        for action in &all {
            match action {
                Action::Row(key, back, value) => {
                    run.row(&values(*key, newest - back, *value));
                    newest += value / 2;
                    pushed += 1;
                }
                Action::Watermark(behind) => drop(run.watermark(newest - behind)),
            }
            // Keys and texts of five rows, and those of held keys and their last values.
            prop_assert!(run.pipeline.context().symbols.len() <= 5 * 2 + 6 * 4);
        }
        run.end();
        prop_assert_eq!(run.log.events.len(), pushed, "no row vanishes");
    }
}
