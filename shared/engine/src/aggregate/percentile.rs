//! PERCENTILE: exact, with linear interpolation at position p · (n − 1) of the sorted values.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use super::{Accumulator, Aggregate, Arguments, Binding, Finish, Kind};
use crate::{
    context::Context,
    decimal::{self, DecimalType},
    expr::Literal,
    functions::arrays::put_array,
    slot::Datum,
    types::DataType,
};

/// `PERCENTILE(x, p)` and `PERCENTILE(x, ARRAY[p, …])`, with each p from 0 to 1.
pub(super) const PERCENTILE: Aggregate = Aggregate { name: "PERCENTILE", bind };

fn bind(call: &Arguments<'_>) -> Result<Binding, String> {
    let Some((is_array, fractions)) = fractions(call.params) else {
        return Err("PERCENTILE takes a number, and a number from 0 to 1 as literal".into());
    };
    if !fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)) {
        return Err("the second argument of PERCENTILE is not between 0 and 1".into());
    }
    let result = match is_array {
        true => DataType::Array(Box::new(DataType::Double)),
        false => DataType::Double,
    };
    match call.arg {
        Some(t) if t.is_numeric() => {
            Ok(Binding { kinds: vec![Kind::Values], finish: Finish::Percentile, result })
        }
        Some(t) => Err(format!("PERCENTILE takes a number, not {t}")),
        None => Err("PERCENTILE takes a number".into()),
    }
}

/// Whether an array is asked for, which TRUE in front says, and the fractions.
fn fractions(params: &[Literal]) -> Option<(bool, Vec<f64>)> {
    let (is_array, params) = match params {
        [Literal::Bool(true), rest @ ..] if !rest.is_empty() => (true, rest),
        [_] => (false, params),
        _ => return None,
    };
    let fraction = |param: &Literal| match param {
        Literal::Double(p) => Some(*p),
        #[expect(clippy::cast_precision_loss, reason = "0 and 1 are exact")]
        Literal::Int(p) => Some(*p as f64),
        _ => None,
    };
    Some((is_array, params.iter().map(fraction).collect::<Option<_>>()?))
}

/// The values at the fractions of those of a state; NULL when there are none.
pub(super) fn finish(
    state: &dyn Accumulator,
    pane: usize,
    params: &[Literal],
    arg: Option<&DataType>,
    cx: &mut Context,
) -> Datum {
    let mut count = 0;
    state.each(pane, &mut |_, times| count += times);
    let (Some((is_array, fractions)), Some(arg), 1..) = (fractions(params), arg, count) else {
        return Datum::NULL;
    };
    let at = |fraction: &f64| at(state, pane, *fraction, count, arg);
    let found: Vec<Datum> = fractions.iter().map(at).collect();
    match is_array {
        true => put_array(&found, &DataType::Double, cx),
        false => found[0],
    }
}

/// The value at a fraction of `count` values.
fn at(state: &dyn Accumulator, pane: usize, fraction: f64, count: i64, arg: &DataType) -> Datum {
    #[expect(clippy::cast_precision_loss, reason = "a count is below 2^53")]
    let position = fraction * (count - 1) as f64;
    let (lower, upper) = (libm::floor(position), libm::ceil(position));
    let (mut at_lower, mut at_upper, mut seen) = (None, None, 0);
    state.each(pane, &mut |value, times| {
        seen += times;
        #[expect(clippy::cast_precision_loss, reason = "a count is below 2^53")]
        let reached = seen as f64;
        if at_lower.is_none() && reached > lower {
            at_lower = Some(number(value, arg));
        }
        if at_upper.is_none() && reached > upper {
            at_upper = Some(number(value, arg));
        }
    });
    let (Some(low), Some(high)) = (at_lower, at_upper) else {
        return Datum::NULL;
    };
    if lower == upper || low == high {
        return Datum::f64(low);
    }
    Datum::f64((upper - position) * low + (position - lower) * high)
}

/// A number as a double.
#[expect(clippy::cast_precision_loss, reason = "as Flink converts numbers to doubles")]
fn number(value: Datum, data_type: &DataType) -> f64 {
    match data_type {
        DataType::Decimal { precision, scale } => {
            decimal::to_f64(value.slot.as_i128(), DecimalType::new(*precision, *scale))
        }
        t if t.is_integer() => value.slot.as_i64() as f64,
        _ => value.slot.as_f64(),
    }
}
