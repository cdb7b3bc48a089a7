//! Properties: edge and core together give what one place gives, and corrections end there too.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use proptest::prelude::*;

use crate::{expr::Literal, fragment::*, testkit::*};

/// A reading of a gateway: gateway, key, time after the gateway's last watermark or before, value.
type Reading = (usize, u8, i64, i64);

fn calls() -> Vec<AggregateSpec> {
    let filtered = AggregateSpec { filter: Some(FLAG), ..call("SUM", Some(INT)) };
    vec![
        call("COUNT", None),
        call("AVG", Some(VALUE)),
        call("MIN", Some(TEXT)),
        call("MAX", Some(VALUE)),
        call("VAR_SAMP", Some(VALUE)),
        call("SUM", Some(MONEY)),
        filtered,
        distinct("SUM", VALUE),
        AggregateSpec { filter: Some(FLAG), ..distinct("COUNT", TEXT) },
        AggregateSpec { params: vec![Literal::Double(0.3)], ..call("PERCENTILE", Some(MONEY)) },
        AggregateSpec {
            params: vec![Literal::Bool(true), Literal::Double(0.1), Literal::Int(1)],
            weight: Some(INT),
            ..call("PERCENTILE", Some(VALUE))
        },
        distinct("ARRAY_AGG", TEXT),
        call("COLLECT", Some(TEXT)),
        call("APPROX_COUNT_DISTINCT", Some(VALUE)),
    ]
}

fn distinct(function: &str, column: usize) -> AggregateSpec {
    AggregateSpec { distinct: true, ..call(function, Some(column)) }
}

fn row(key: u8, time: i64, value: i64) -> Vec<V> {
    #[expect(clippy::cast_precision_loss, reason = "small test values")]
    let mut row = reading(["a", "b", "c", "d"][usize::from(key % 4)], time, value as f64 * 0.1);
    row[INT] = V::I(value);
    if key == 3 {
        row[KEY] = V::Null;
    }
    if value % 7 == 0 {
        row[VALUE] = V::Null;
        row[TEXT] = V::Null;
    }
    row
}

/// Edge fragments of some gateways and the core that merges what they send.
struct Cut {
    edges: Vec<Run>,
    core: Run,
}

impl Cut {
    fn new(window: &WindowSpec, gateways: usize) -> Self {
        let spec = aggregate(window.clone(), Phase::Partial, calls());
        let step = aggregate_step(spec.clone());
        let table = step.1.clone();
        let edge = || Run::new(chain(vec![step.clone()]));
        let merge = WindowAggregateSpec { phase: Phase::Merge { correction_ms: 1 << 40 }, ..spec };
        let core = chain_over(table, vec![aggregate_step(merge)]);
        Cut { edges: (0..gateways).map(|_| edge()).collect(), core: Run::new(core) }
    }

    /// Hands over what a gateway has emitted.
    fn forward(&mut self, gateway: usize) {
        let events = core::mem::take(&mut self.edges[gateway].log.events);
        for event in events {
            if let Event::Row { values, .. } = event {
                self.core.exchange_row(&values);
            }
        }
    }
}

fn rows_of(run: &Run) -> Vec<(&'static str, Vec<V>)> {
    let events = run.log.events.iter().filter_map(|e| match e {
        Event::Row { change, values, .. } => Some((*change, values.clone())),
        _ => None,
    });
    events.collect()
}

/// The final content of a result with corrections; retractions must match what is there.
fn materialise(run: &Run) -> Vec<alloc::string::String> {
    let mut content: Vec<Vec<V>> = Vec::new();
    let mut revisions: BTreeMap<alloc::string::String, i64> = BTreeMap::new();
    for (change, values) in rows_of(run) {
        let identity = alloc::format!("{:?} {:?}", values[0], values[values.len() - 3]);
        let Some(V::I(revision)) = values.last().cloned() else { panic!("no revision") };
        if change == "-U" {
            let at = content.iter().position(|row| *row == values);
            content.swap_remove(at.expect("what is retracted is there"));
            continue;
        }
        if let Some(before) = revisions.insert(identity, revision) {
            assert!(before < revision, "revisions rise");
            assert_eq!(change, "+U");
        } else {
            assert_eq!(change, "+I");
        }
        content.push(values);
    }
    let mut shown: Vec<_> =
        content.iter().map(|row| alloc::format!("{:?}", &row[..row.len() - 1])).collect();
    shown.sort();
    shown
}

fn windows() -> impl Strategy<Value = WindowSpec> {
    let hopping =
        |(slide, count, offset)| WindowSpec { offset_ms: offset, ..hop(slide * count, slide) };
    let uneven =
        |(slide, more, offset)| WindowSpec { offset_ms: offset, ..hop(slide + more, slide) };
    let cumulating =
        |(step, count, offset)| WindowSpec { offset_ms: offset, ..cumulate(step * count, step) };
    let shapes = || (1..8_i64, 1..5_i64, -9..9_i64);
    prop_oneof![
        shapes().prop_map(hopping),
        (1..8_i64, 0..9_i64, -9..9_i64).prop_map(uneven),
        shapes().prop_map(cumulating),
    ]
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    prop::collection::vec((0..3_usize, 0..4_u8, 0..20_i64, -50..50_i64), 0..60)
}

fn complete(window: &WindowSpec) -> Run {
    Run::new(chain(vec![aggregate_step(aggregate(window.clone(), Phase::Complete, calls()))]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Rows in any order and split, none late anywhere: bit for bit the same as in one place.
    #[test]
    fn partial_and_merge_are_complete(
        window in windows(), all in readings(), gateways in 1..4_usize,
    ) {
        let mut whole = complete(&window);
        let mut cut = Cut::new(&window, gateways);
        for &(gateway, key, time, value) in &all {
            let row = row(key, time, value);
            whole.row(&row);
            cut.edges[gateway % gateways].row(&row);
        }
        whole.end();
        for gateway in 0..gateways {
            cut.edges[gateway].end();
            cut.forward(gateway);
        }
        cut.core.end();
        prop_assert_eq!(materialise(&whole), materialise(&cut.core));
        prop_assert!(rows_of(&cut.core).iter().all(|(change, _)| *change == "+I"));
    }

    /// One gateway, late rows among them: the core needs no knowledge of its watermark.
    #[test]
    fn late_rows_of_one_gateway(window in windows(), all in readings(), flaky in 0..3_u32) {
        let mut whole = complete(&window);
        let mut cut = Cut::new(&window, 1);
        cut.edges[0].log.room = flaky;
        let mut top = i64::MIN;
        for (index, &(_, key, time, value)) in all.iter().enumerate() {
            let time = time + i64::try_from(index).unwrap() / 2;
            top = top.max(time - 6);
            let row = row(key, time, value);
            whole.row(&row).watermark(top);
            cut.edges[0].row(&row).watermark(top);
            cut.forward(0);
            cut.core.watermark(top);
        }
        whole.end();
        cut.edges[0].end();
        cut.forward(0);
        cut.core.end();
        let (straight, merged) = (rows_of(&whole), rows_of(&cut.core));
        let sorted = |mut rows: Vec<_>| {
            rows.sort_by_key(|row| alloc::format!("{row:?}"));
            rows
        };
        prop_assert_eq!(sorted(straight), sorted(merged));
    }

    /// Gateways that come late, with restarts of the core and cold state: corrections end in what
    /// one place computes over all rows.
    #[test]
    fn corrections_end_in_the_whole(
        window in windows(),
        all in readings(),
        steps in prop::collection::vec((0..3_usize, 0..4_u8), 0..40),
    ) {
        let mut whole = complete(&window);
        let mut cut = Cut::new(&window, 3);
        let mut waiting: Vec<Vec<Event>> = Vec::new();
        for &(gateway, key, time, value) in &all {
            let row = row(key, time, value);
            whole.row(&row);
            cut.edges[gateway].row(&row);
        }
        whole.end();
        for edge in &mut cut.edges {
            edge.end();
            let mut rows = core::mem::take(&mut edge.log.events);
            rows.reverse();
            waiting.push(rows);
        }
        let mut watermark = -20;
        for (gateway, what) in steps {
            match what {
                0 => {
                    watermark += 5;
                    cut.core.watermark(watermark);
                }
                1 => {
                    cut.core.checkpoint(gateway == 0);
                    if gateway == 1 {
                        cut.core.restart();
                    }
                }
                _ => {
                    if let Some(Event::Row { values, .. }) = waiting[gateway].pop() {
                        cut.core.exchange_row(&values);
                    }
                }
            }
        }
        for event in waiting.into_iter().flatten() {
            if let Event::Row { values, .. } = event {
                cut.core.exchange_row(&values);
            }
        }
        cut.core.end();
        prop_assert_eq!(materialise(&whole), materialise(&cut.core));
        cut.core.checkpoint(false);
        prop_assert!(cut.core.pipeline.context().symbols.is_empty());
    }
}
