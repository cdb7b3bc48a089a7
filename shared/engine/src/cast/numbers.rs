//! Numbers to numbers.

use crate::{
    context::Context,
    decimal::{self, DecimalType},
    functions::numbers::{as_decimal, rounded, wrapped},
    slot::Datum,
    types::DataType,
};

pub(super) fn convert(
    value: Datum,
    from: &DataType,
    to: &DataType,
    _: &mut Context,
) -> Option<Datum> {
    let from_decimal = match from {
        DataType::Decimal { precision, scale } => Some(DecimalType::new(*precision, *scale)),
        _ => None,
    };
    Some(match to {
        DataType::Decimal { precision, scale } => {
            let to = DecimalType::new(*precision, *scale);
            super::decimal_or_null(match as_decimal(from) {
                Some(t) if from_decimal.is_some() => {
                    decimal::rescale(value.slot.as_i128(), t.scale, to)
                }
                Some(_) => decimal::from_i64(value.slot.as_i64(), to),
                None => decimal::from_f64(value.slot.as_f64(), to),
            })
        }
        to if to.is_approximate() => {
            let x = match from_decimal {
                Some(t) => decimal::to_f64(value.slot.as_i128(), t),
                None if from.is_approximate() => value.slot.as_f64(),
                #[expect(clippy::cast_precision_loss, reason = "Java rounds too")]
                None => value.slot.as_i64() as f64,
            };
            Datum::f64(rounded(x, to))
        }
        to => {
            let x = match from_decimal {
                Some(t) => decimal::to_i64(value.slot.as_i128(), t.scale),
                None if from.is_approximate() => saturated(value.slot.as_f64(), to),
                None => value.slot.as_i64(),
            };
            Datum::i64(wrapped(x, to))
        }
    })
}

/// Java narrows a double to int or long with saturation, and to shorter ones through int.
#[expect(clippy::cast_possible_truncation, reason = "saturates: NaN is 0")]
fn saturated(x: f64, to: &DataType) -> i64 {
    if *to == DataType::BigInt { x as i64 } else { i64::from(x as i32) }
}
