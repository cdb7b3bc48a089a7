//! PERCENTILE: exact, with linear interpolation at position p · (n − 1) of the sorted values.

use alloc::{format, string::String, vec};

use super::{Accumulator, Aggregate, Arguments, Binding, Finish, Kind};
use crate::{
    decimal::{self, DecimalType},
    expr::Literal,
    slot::Datum,
    types::DataType,
};

/// `PERCENTILE(x, p)` with p from 0 to 1.
pub(super) const PERCENTILE: Aggregate = Aggregate { name: "PERCENTILE", bind };

fn bind(call: &Arguments<'_>) -> Result<Binding, String> {
    let Some(fraction) = fraction(call.params) else {
        return Err("PERCENTILE takes a number, and a number from 0 to 1 as literal".into());
    };
    if !(0.0..=1.0).contains(&fraction) {
        return Err("the second argument of PERCENTILE is not between 0 and 1".into());
    }
    match call.arg {
        Some(t) if t.is_numeric() => Ok(Binding {
            kinds: vec![Kind::Values],
            finish: Finish::Percentile,
            result: DataType::Double,
        }),
        Some(t) => Err(format!("PERCENTILE takes a number, not {t}")),
        None => Err("PERCENTILE takes a number".into()),
    }
}

fn fraction(params: &[Literal]) -> Option<f64> {
    match params {
        [Literal::Double(p)] => Some(*p),
        #[expect(clippy::cast_precision_loss, reason = "0 and 1 are exact")]
        [Literal::Int(p)] => Some(*p as f64),
        _ => None,
    }
}

/// The value at the fraction of the values of a state.
pub(super) fn finish(
    state: &dyn Accumulator,
    pane: usize,
    params: &[Literal],
    arg: Option<&DataType>,
) -> Datum {
    let mut count = 0;
    state.each(pane, &mut |_, times| count += times);
    let (Some(fraction), Some(arg), 1..) = (fraction(params), arg, count) else {
        return Datum::NULL;
    };
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
