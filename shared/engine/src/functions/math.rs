//! Mathematics: rounding, powers, logarithms, angles. All through `libm`: the same bits on every
//! CPU.

use alloc::{format, string::String, vec, vec::Vec};
use core::f64::consts;

use super::sig::{
    Bound, as_decimal, constant_int, count, decimal_or_null, decimal_type, double, double_of,
    number, rounded, strict, wrapped,
};
use super::{Arg, Function};
use crate::{
    calendar::TimeUnit,
    context::Fault,
    decimal::{self, DecimalType},
    java_double::Digits,
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) const LIST: &[Function] = &[
    Function { name: "ABS", bind: abs },
    Function { name: "SIGN", bind: sign },
    Function { name: "ROUND", bind: round },
    Function { name: "TRUNCATE", bind: truncate },
    Function { name: "FLOOR", bind: |args| whole("FLOOR", args, &FLOOR) },
    Function { name: "CEIL", bind: |args| whole("CEIL", args, &CEIL) },
    Function { name: "CEILING", bind: |args| whole("CEILING", args, &CEIL) },
    Function { name: "POWER", bind: |args| of_two("POWER", args, power) },
    Function { name: "ATAN2", bind: |args| of_two("ATAN2", args, libm::atan2) },
    Function { name: "LOG", bind: log },
    // Flink takes the power of a half, which of -Infinity is Infinity.
    Function {
        name: "SQRT",
        bind: |args| {
            of_one("SQRT", args, |x| if x.is_infinite() { x.abs() } else { libm::sqrt(x) })
        },
    },
    Function { name: "EXP", bind: |args| of_one("EXP", args, libm::exp) },
    Function { name: "LN", bind: |args| of_one("LN", args, libm::log) },
    Function { name: "LOG10", bind: |args| of_one("LOG10", args, libm::log10) },
    Function { name: "LOG2", bind: |args| of_one("LOG2", args, |x| log_to(2.0, x)) },
    Function { name: "SIN", bind: |args| of_one("SIN", args, libm::sin) },
    Function { name: "COS", bind: |args| of_one("COS", args, libm::cos) },
    Function { name: "TAN", bind: |args| of_one("TAN", args, libm::tan) },
    Function { name: "COT", bind: |args| of_one("COT", args, |x| 1.0 / libm::tan(x)) },
    Function { name: "ASIN", bind: |args| of_one("ASIN", args, libm::asin) },
    Function { name: "ACOS", bind: |args| of_one("ACOS", args, libm::acos) },
    Function { name: "ATAN", bind: |args| of_one("ATAN", args, libm::atan) },
    Function { name: "SINH", bind: |args| of_one("SINH", args, libm::sinh) },
    Function { name: "COSH", bind: |args| of_one("COSH", args, libm::cosh) },
    Function { name: "TANH", bind: |args| of_one("TANH", args, libm::tanh) },
    Function { name: "DEGREES", bind: |args| of_one("DEGREES", args, |x| x * DEGREES_PER_RADIAN) },
    Function { name: "RADIANS", bind: |args| of_one("RADIANS", args, |x| x * RADIANS_PER_DEGREE) },
    Function { name: "PI", bind: |args| constant("PI", args, consts::PI) },
    Function { name: "E", bind: |args| constant("E", args, consts::E) },
];

/// Java's constants, in its order of operations.
const DEGREES_PER_RADIAN: f64 = 57.295_779_513_082_32;
const RADIANS_PER_DEGREE: f64 = 0.017_453_292_519_943_295;

/// Digits after the point that Flink keeps when it truncates a DOUBLE.
const TRUNCATED: DecimalType = DecimalType::new(38, 18);

fn of_one(name: &str, args: &[Arg<'_>], f: fn(f64) -> f64) -> Bound {
    count(name, args, 1, 1)?;
    let types = vec![double(name, &args[0])?];
    strict(types, DataType::Double, move |v, _| Datum::f64(f(v[0].slot.as_f64())))
}

fn of_two(name: &str, args: &[Arg<'_>], f: fn(f64, f64) -> f64) -> Bound {
    count(name, args, 2, 2)?;
    let types = vec![double(name, &args[0])?, double(name, &args[1])?];
    strict(types, DataType::Double, move |v, _| {
        Datum::f64(f(v[0].slot.as_f64(), v[1].slot.as_f64()))
    })
}

fn constant(name: &str, args: &[Arg<'_>], value: f64) -> Bound {
    count(name, args, 0, 0)?;
    strict(vec![], DataType::Double, move |_, _| Datum::f64(value))
}

/// Java's pow has NaN where C's has 1.
fn power(base: f64, exponent: f64) -> f64 {
    let undefined = exponent.is_nan() || base.abs() == 1.0 && exponent.is_infinite();
    if undefined { f64::NAN } else { libm::pow(base, exponent) }
}

fn log_to(base: f64, x: f64) -> f64 {
    libm::log(x) / libm::log(base)
}

/// LOG(x) is natural; LOG(base, x).
fn log(args: &[Arg<'_>]) -> Bound {
    count("LOG", args, 1, 2)?;
    if args.len() == 1 { of_one("LOG", args, libm::log) } else { of_two("LOG", args, log_to) }
}

fn abs(args: &[Arg<'_>]) -> Bound {
    count("ABS", args, 1, 1)?;
    let own = number("ABS", &args[0])?;
    let types = vec![own.clone()];
    match own {
        DataType::Decimal { .. } => {
            strict(types, own, |v, _| Datum::of(Slot::i128(v[0].slot.as_i128().abs())))
        }
        ref t if t.is_approximate() => {
            strict(types, own, |v, _| Datum::f64(v[0].slot.as_f64().abs()))
        }
        _ => strict(types, own.clone(), move |v, _| {
            Datum::i64(wrapped(v[0].slot.as_i64().wrapping_abs(), &own))
        }),
    }
}

fn sign(args: &[Arg<'_>]) -> Bound {
    count("SIGN", args, 1, 1)?;
    let own = number("SIGN", &args[0])?;
    let types = vec![own.clone()];
    match own {
        DataType::Decimal { precision, scale } => strict(types, own, move |v, _| {
            let sign = v[0].slot.as_i128().signum() * decimal::power_of_ten(scale);
            decimal_or_null(decimal::checked(sign, precision))
        }),
        ref t if t.is_approximate() => strict(types, own, |v, _| {
            let x = v[0].slot.as_f64();
            Datum::f64(if x == 0.0 || x.is_nan() { x } else { x.signum() })
        }),
        _ => strict(types, own, |v, _| Datum::i64(v[0].slot.as_i64().signum())),
    }
}

/// FLOOR and CEIL of numbers and of points in time.
struct Whole {
    doubles: fn(f64) -> f64,
    decimals: fn(i128, u8) -> i128,
    moments: super::temporal::RoundMoment,
    days: fn(TimeUnit, i64) -> Option<i64>,
}

const FLOOR: Whole = Whole {
    doubles: libm::floor,
    decimals: decimal::floor,
    moments: TimeUnit::floor,
    days: TimeUnit::floor_date,
};
const CEIL: Whole = Whole {
    doubles: libm::ceil,
    decimals: decimal::ceil,
    moments: TimeUnit::ceil,
    days: TimeUnit::ceil_date,
};

fn whole(name: &str, args: &[Arg<'_>], by: &'static Whole) -> Bound {
    count(name, args, 1, 2)?;
    if args.len() == 2 {
        return super::temporal::round_to_unit(name, args, by.moments, by.days);
    }
    let own = number(name, &args[0])?;
    let types = vec![own.clone()];
    match own {
        DataType::Decimal { precision, scale } => {
            let result = DataType::Decimal { precision, scale: 0 };
            strict(types, result, move |v, _| {
                let value = (by.decimals)(v[0].slot.as_i128(), scale);
                decimal_or_null(decimal::checked(value, precision))
            })
        }
        ref t if t.is_approximate() => {
            strict(types, own, move |v, _| Datum::f64((by.doubles)(v[0].slot.as_f64())))
        }
        _ => strict(types, own, |v, _| v[0]),
    }
}

/// Arguments of ROUND and TRUNCATE: the number, and how many digits after the point.
fn places(name: &str, args: &[Arg<'_>]) -> Result<(DataType, Vec<DataType>), String> {
    count(name, args, 1, 2)?;
    let own = number(name, &args[0])?;
    let mut types = vec![own.clone()];
    if let Some(places) = args.get(1) {
        types.push(super::sig::integer(name, places)?);
    }
    Ok((own, types))
}

fn places_of(values: &[Datum]) -> i32 {
    let places = values.get(1).map_or(0, |v| v.slot.as_i64());
    i32::try_from(places.clamp(-1000, 1000)).expect("clamped")
}

/// The constant number of digits, which decides a decimal's result type.
fn constant_places(name: &str, args: &[Arg<'_>]) -> Result<i32, String> {
    let places = args.get(1).map_or(Ok(0), |a| constant_int(name, "the number of digits", a))?;
    Ok(i32::try_from(places.clamp(-1000, 1000)).expect("clamped"))
}

fn round(args: &[Arg<'_>]) -> Bound {
    let (own, types) = places("ROUND", args)?;
    match own {
        DataType::Decimal { precision, scale } => {
            let from = DecimalType::new(precision, scale);
            let places = constant_places("ROUND", args)?;
            strict(types, decimal_type(from.of_round(places)), move |v, _| {
                decimal_or_null(decimal::round(v[0].slot.as_i128(), from, places))
            })
        }
        ref t if t.is_approximate() => {
            strict(types, own.clone(), move |v, cx| {
                match round_double(v[0].slot.as_f64(), places_of(v), &own) {
                    Some(value) => Datum::f64(value),
                    None => cx.fail(Fault::InvalidArgument),
                }
            })
        }
        _ => whole_places(types, own, decimal::round),
    }
}

fn truncate(args: &[Arg<'_>]) -> Bound {
    let (own, types) = places("TRUNCATE", args)?;
    match own {
        DataType::Decimal { precision, scale } => {
            let from = DecimalType::new(precision, scale);
            let places = constant_places("TRUNCATE", args)?;
            strict(types, decimal_type(from.of_round(places)), move |v, _| {
                decimal_or_null(decimal::truncate(v[0].slot.as_i128(), from, places))
            })
        }
        ref t if t.is_approximate() => {
            strict(types, own.clone(), move |v, cx| {
                match truncate_double(v[0].slot.as_f64(), places_of(v)) {
                    Some(value) => Datum::f64(rounded(value, &own)),
                    None => cx.fail(Fault::InvalidArgument),
                }
            })
        }
        _ => whole_places(types, own, decimal::truncate),
    }
}

/// ROUND and TRUNCATE of integers, for negative numbers of digits.
fn whole_places(
    types: Vec<DataType>,
    own: DataType,
    f: fn(i128, DecimalType, i32) -> Option<i128>,
) -> Bound {
    let from = as_decimal(&own).ok_or_else(|| format!("{own} is no integer"))?;
    strict(types, own.clone(), move |v, _| {
        let value = f(i128::from(v[0].slot.as_i64()), from, places_of(v)).unwrap_or(0);
        Datum::i64(wrapped(decimal::to_i64(value, 0), &own))
    })
}

/// The shortest decimal of the double, rounded half up, as a double again. None for what is not
/// finite: Flink fails there.
fn round_double(x: f64, places: i32, data_type: &DataType) -> Option<f64> {
    if !x.is_finite() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a FLOAT is an f32 exactly")]
    let digits = match data_type {
        DataType::Float => Digits::of_f32(x as f32),
        _ => Digits::of_f64(x),
    };
    let dropped = -digits.exponent - places;
    if dropped <= 0 {
        return Some(x);
    }
    // At most 17 digits: beyond 18 places nothing is left.
    let Some(power) = u32::try_from(dropped).ok().filter(|d| *d <= 18) else { return Some(0.0) };
    let unit = 10_u128.pow(power);
    let kept = (u128::from(digits.mantissa) + unit / 2) / unit;
    Some(rounded(double_of(x < 0.0, kept, -places), data_type))
}

/// Through DECIMAL(38, 18), as in Flink; larger numbers have no fraction.
fn truncate_double(x: f64, places: i32) -> Option<f64> {
    if !x.is_finite() {
        return None;
    }
    let Some(value) = decimal::from_f64(x, TRUNCATED) else { return Some(x) };
    let kept = decimal::truncate(value, TRUNCATED, places)?;
    Some(decimal::to_f64(kept, TRUNCATED.of_round(places)))
}
