use alloc::{string::ToString, vec::Vec};

use proptest::prelude::*;

use super::Calls;
use crate::{
    context::Context, fragment::AggregateSpec, limits::Limits, row::Row, slot::Datum,
    types::DataType,
};

const FUNCTIONS: &[&str] =
    &["COUNT", "SUM", "AVG", "MIN", "MAX", "VAR_POP", "VAR_SAMP", "STDDEV_POP", "STDDEV_SAMP"];

fn specs(data_type: &DataType) -> Vec<AggregateSpec> {
    let is_variance = |name: &str| name.starts_with("VAR") || name.starts_with("STD");
    let takes = |name: &&&str| !is_variance(name) || *data_type == DataType::Double;
    let spec = |name: &&str| AggregateSpec {
        function: name.to_string(),
        arg: Some((0, data_type.clone())),
        filter: None,
        distinct: false,
        params: Vec::new(),
        weight: None,
    };
    FUNCTIONS.iter().filter(takes).map(spec).collect()
}

fn finished(calls: &Calls, values: &[Datum]) -> Vec<Datum> {
    let mut context = Context::new(&Limits::default());
    let mut states = calls.accumulators();
    states.iter_mut().for_each(|state| state.reserve(1));
    for value in values {
        let row = Row::insert(core::slice::from_ref(&value.slot), u64::from(value.is_null()));
        calls.add(&mut states, 0, row, &mut context);
    }
    (0..calls.len()).map(|i| calls.finish(&states, i, 0, &mut context)).collect()
}

/// Adds all, takes some away, goes through a partial, and compares with the ones that are left.
fn check(data_type: &DataType, values: &[(Datum, bool)]) {
    let specs = specs(data_type);
    let calls = Calls::bind_changing(&specs).unwrap();
    let mut context = Context::new(&Limits::default());
    let mut states = calls.accumulators();
    states.iter_mut().for_each(|state| state.reserve(2));
    let row = |value: &Datum| u64::from(value.is_null());
    for (value, _) in values {
        let row = Row::insert(core::slice::from_ref(&value.slot), row(value));
        calls.add(&mut states, 0, row, &mut context);
    }
    for (value, _) in values.iter().filter(|(_, stays)| !stays) {
        let row = Row::insert(core::slice::from_ref(&value.slot), row(value));
        calls.remove(&mut states, 0, row, &mut context);
    }
    let left: Vec<Datum> = values.iter().filter(|(_, stays)| *stays).map(|(v, _)| *v).collect();
    let expected = finished(&Calls::bind(&specs).unwrap(), &left);
    for (index, spec) in specs.iter().enumerate() {
        let here = calls.finish(&states, index, 0, &mut context);
        assert_eq!(here, expected[index], "{}", spec.function);
    }
    for state in &mut states {
        let partial = state.partial(0, &mut context);
        state.merge(1, partial, &mut context);
    }
    for (index, spec) in specs.iter().enumerate() {
        let there = calls.finish(&states, index, 1, &mut context);
        assert_eq!(there, expected[index], "{} through a partial", spec.function);
    }
}

fn integers() -> impl Strategy<Value = Vec<(Datum, bool)>> {
    let value = prop_oneof![1 => Just(Datum::NULL), 6 => (-9_i64..9).prop_map(Datum::i64)];
    prop::collection::vec((value, any::<bool>()), 0..24)
}

fn doubles() -> impl Strategy<Value = Vec<(Datum, bool)>> {
    let special = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(1e300), Just(-1e-300)];
    let value = prop_oneof![
        1 => Just(Datum::NULL),
        1 => special.prop_map(Datum::f64),
        6 => (-9.0..9.0_f64).prop_map(Datum::f64),
    ];
    prop::collection::vec((value, any::<bool>()), 0..24)
}

proptest! {
    #[test]
    fn taking_away_leaves_the_rest_of_integers(values in integers()) {
        check(&DataType::BigInt, &values);
    }

    #[test]
    fn taking_away_leaves_the_rest_of_doubles(values in doubles()) {
        check(&DataType::Double, &values);
    }
}

#[test]
fn what_depends_on_the_order_of_arrival_does_not_follow_changes() {
    let spec = AggregateSpec {
        function: "LAST_VALUE".to_string(),
        arg: Some((0, DataType::BigInt)),
        filter: None,
        distinct: false,
        params: Vec::new(),
        weight: None,
    };
    let why = Calls::bind_changing(&[spec]).unwrap_err();
    assert_eq!(why.0, "LAST_VALUE does not follow rows that change later");
}

#[test]
fn an_average_and_a_sum_share_their_states() {
    let calls = Calls::bind(&specs(&DataType::BigInt)).unwrap();
    assert_eq!(calls.parts().len(), 4, "count, sum, min, max");
}
