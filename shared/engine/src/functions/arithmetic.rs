//! `+ - * / %`, MOD and the unary minus: integers wrap, decimals round half up into Flink's result
//! type and are NULL where they do not fit, doubles follow IEEE 754; dates and timestamps move by
//! intervals.

use alloc::{format, string::String, vec};

use super::sig::{
    Bound, as_decimal, common_type, count, decimal_or_null, decimal_type, direct, number, rounded,
    strict, unscaled, wrapped,
};
use super::{Arg, Function, direct::Direct};
use crate::{
    calendar::{MS_PER_DAY, Moment, add_months},
    context::Fault,
    decimal::{self, DecimalType},
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) const LIST: &[Function] = &[
    Function { name: "+", bind: |args| plus_minus("+", args, &ADD) },
    Function { name: "-", bind: |args| plus_minus("-", args, &SUB) },
    Function { name: "*", bind: times },
    Function { name: "/", bind: |args| numeric("/", args, &DIV) },
    Function { name: "%", bind: |args| modulo("%", args) },
    Function { name: "MOD", bind: |args| modulo("MOD", args) },
    Function { name: "NEGATE", bind: negate },
];

type Decimals = fn(i128, u8, i128, u8, DecimalType) -> Option<i128>;

/// One operator over the three kinds of numbers.
struct Operator {
    /// None for a division by zero.
    integers: fn(i64, i64) -> Option<i64>,
    doubles: fn(Slot, Slot) -> Slot,
    decimals: Decimals,
    decimal_type: fn(DecimalType, DecimalType) -> DecimalType,
    divides: bool,
}

const ADD: Operator = Operator {
    integers: |a, b| Some(a.wrapping_add(b)),
    doubles: |a, b| Slot::f64(a.as_f64() + b.as_f64()),
    decimals: decimal::add,
    decimal_type: DecimalType::of_sum,
    divides: false,
};
const SUB: Operator = Operator {
    integers: |a, b| Some(a.wrapping_sub(b)),
    doubles: |a, b| Slot::f64(a.as_f64() - b.as_f64()),
    decimals: decimal::sub,
    decimal_type: DecimalType::of_sum,
    divides: false,
};
const MUL: Operator = Operator {
    integers: |a, b| Some(a.wrapping_mul(b)),
    doubles: |a, b| Slot::f64(a.as_f64() * b.as_f64()),
    decimals: decimal::mul,
    decimal_type: DecimalType::of_product,
    divides: false,
};
const DIV: Operator = Operator {
    integers: |a, b| (b != 0).then(|| a.wrapping_div(b)),
    doubles: |a, b| Slot::f64(a.as_f64() / b.as_f64()),
    decimals: decimal::div,
    decimal_type: DecimalType::of_quotient,
    divides: true,
};

fn refuse(name: &str, args: &[Arg<'_>]) -> String {
    format!("{name} does not take {} and {}", args[0].data_type, args[1].data_type)
}

fn numeric(name: &str, args: &[Arg<'_>], operator: &'static Operator) -> Bound {
    count(name, args, 2, 2)?;
    let common = common_type(args[0].data_type, args[1].data_type)
        .filter(|t| t.is_numeric() || *t == DataType::Null)
        .ok_or_else(|| refuse(name, args))?;
    if let DataType::Decimal { .. } = common {
        return decimals(name, args, operator);
    }
    let common = if common == DataType::Null { DataType::Int } else { common };
    let types = vec![common.clone(), common.clone()];
    let result = common.clone();
    if common == DataType::Double {
        return direct(types, result, Direct::Map(operator.doubles));
    }
    if common.is_approximate() {
        return strict(types, result, move |v, _| {
            let value = (operator.doubles)(v[0].slot, v[1].slot);
            Datum::f64(rounded(value.as_f64(), &common))
        });
    }
    strict(types, result, move |v, cx| {
        match (operator.integers)(v[0].slot.as_i64(), v[1].slot.as_i64()) {
            Some(value) => Datum::i64(wrapped(value, &common)),
            None => cx.fail(Fault::DivisionByZero),
        }
    })
}

/// Numbers, or an interval and a whole number. Months are counted in 32 bits, as in Flink.
fn times(args: &[Arg<'_>]) -> Bound {
    count("*", args, 2, 2)?;
    let (a, b) = (args[0].data_type, args[1].data_type);
    let is_interval = |t: &DataType| matches!(t, DataType::IntervalDay | DataType::IntervalMonth);
    let interval = match (a, b) {
        (a, b) if is_interval(a) && b.is_integer() => a,
        (a, b) if is_interval(b) && a.is_integer() => b,
        _ => return numeric("*", args, &MUL),
    };
    let is_months = *interval == DataType::IntervalMonth;
    strict(vec![a.clone(), b.clone()], interval.clone(), move |v, _| {
        let product = v[0].slot.as_i64().wrapping_mul(v[1].slot.as_i64());
        Datum::i64(if is_months { wrapped(product, &DataType::Int) } else { product })
    })
}

/// Operands keep their types: casting them to the result's would change their values.
fn decimals(name: &str, args: &[Arg<'_>], operator: &'static Operator) -> Bound {
    let own = |arg: &Arg<'_>| match arg.data_type {
        DataType::Null => DataType::Int,
        t => t.clone(),
    };
    let (a, b) = (own(&args[0]), own(&args[1]));
    let (Some(a_type), Some(b_type)) = (as_decimal(&a), as_decimal(&b)) else {
        return Err(refuse(name, args));
    };
    let to = (operator.decimal_type)(a_type, b_type);
    strict(vec![a.clone(), b.clone()], decimal_type(to), move |v, cx| {
        let (x, y) = (unscaled(v[0], &a), unscaled(v[1], &b));
        if operator.divides && y == 0 {
            return cx.fail(Fault::DivisionByZero);
        }
        decimal_or_null((operator.decimals)(x, a_type.scale, y, b_type.scale, to))
    })
}

/// The result has the divisor's type, as in Flink.
fn modulo(name: &str, args: &[Arg<'_>]) -> Bound {
    const REM: Operator = Operator {
        integers: |a, b| (b != 0).then(|| a.wrapping_rem(b)),
        doubles: |a, b| Slot::f64(a.as_f64() % b.as_f64()),
        decimals: decimal::rem,
        decimal_type: DecimalType::of_remainder,
        divides: true,
    };
    count(name, args, 2, 2)?;
    let (a, b) = (number(name, &args[0])?, number(name, &args[1])?);
    if a.is_approximate() || b.is_approximate() {
        return Err(format!("{name} needs exact numbers, not {a} and {b}"));
    }
    if !a.is_integer() || !b.is_integer() {
        return decimals(name, args, &REM);
    }
    let result = b.clone();
    strict(vec![a, b], result.clone(), move |v, cx| {
        match (REM.integers)(v[0].slot.as_i64(), v[1].slot.as_i64()) {
            Some(value) => Datum::i64(wrapped(value, &result)),
            None => cx.fail(Fault::DivisionByZero),
        }
    })
}

fn negate(args: &[Arg<'_>]) -> Bound {
    count("-", args, 1, 1)?;
    let own = match args[0].data_type {
        DataType::Null => DataType::Int,
        t => t.clone(),
    };
    let types = vec![own.clone()];
    match own {
        DataType::Float | DataType::Double => {
            strict(types, own, |v, _| Datum::f64(-v[0].slot.as_f64()))
        }
        DataType::Decimal { .. } => {
            strict(types, own, |v, _| Datum::of(Slot::i128(-v[0].slot.as_i128())))
        }
        DataType::IntervalDay | DataType::IntervalMonth => {
            strict(types, own, |v, _| Datum::i64(v[0].slot.as_i64().wrapping_neg()))
        }
        ref t if t.is_integer() => strict(types, own.clone(), move |v, _| {
            Datum::i64(wrapped(v[0].slot.as_i64().wrapping_neg(), &own))
        }),
        t => Err(format!("a {t} cannot be negated")),
    }
}

/// Numbers, or a point in time and an interval.
fn plus_minus(name: &'static str, args: &[Arg<'_>], operator: &'static Operator) -> Bound {
    count(name, args, 2, 2)?;
    let (a, b) = (args[0].data_type, args[1].data_type);
    let is_interval = |t: &DataType| matches!(t, DataType::IntervalDay | DataType::IntervalMonth);
    let subtract = name == "-";
    match (a, b) {
        (a, b) if is_interval(a) && a == b => {
            strict(vec![a.clone(), b.clone()], a.clone(), move |v, _| {
                let value = (operator.integers)(v[0].slot.as_i64(), v[1].slot.as_i64());
                value.map_or(Datum::NULL, Datum::i64)
            })
        }
        (point, DataType::IntervalDay) if point.is_timestamp() => {
            let by = if subtract { earlier } else { later };
            direct(vec![point.clone(), b.clone()], point.clone(), Direct::Map(by))
        }
        (point, interval) if is_interval(interval) => {
            let step = step(name, point, interval)?;
            strict(vec![point.clone(), interval.clone()], point.clone(), move |v, _| {
                let amount = v[1].slot.as_i64();
                step(v[0], if subtract { amount.saturating_neg() } else { amount })
            })
        }
        (interval, point) if is_interval(interval) && !subtract => {
            let step = step(name, point, interval)?;
            strict(vec![interval.clone(), point.clone()], point.clone(), move |v, _| {
                step(v[1], v[0].slot.as_i64())
            })
        }
        _ => numeric(name, args, operator),
    }
}

fn later(at: Slot, ms: Slot) -> Slot {
    moved(Datum::of(at), |m| m.plus_ms(ms.as_i64())).slot
}

fn earlier(at: Slot, ms: Slot) -> Slot {
    moved(Datum::of(at), |m| m.plus_ms(ms.as_i64().saturating_neg())).slot
}

type Step = fn(Datum, i64) -> Datum;

/// How a point in time moves by an interval.
fn step(name: &str, point: &DataType, interval: &DataType) -> Result<Step, String> {
    let months = *interval == DataType::IntervalMonth;
    match point {
        t if t.is_timestamp() && months => Ok(|at, months| moved(at, |m| m.plus_months(months))),
        t if t.is_timestamp() => Ok(|at, ms| moved(at, |m| m.plus_ms(ms))),
        DataType::Date if months => {
            Ok(|at, months| Datum::i64(add_months(at.slot.as_i64(), months)))
        }
        // Less than a day moves it by nothing, as in Flink.
        DataType::Date => Ok(|at, ms| Datum::i64(at.slot.as_i64().saturating_add(ms / MS_PER_DAY))),
        DataType::Time(_) if months => Ok(|at, _| at),
        DataType::Time(_) => {
            Ok(|at, ms| Datum::i64((at.slot.as_i64() + ms % MS_PER_DAY).rem_euclid(MS_PER_DAY)))
        }
        t => Err(format!("{name} does not take {t} and {interval}")),
    }
}

fn moved(at: Datum, by: impl FnOnce(Moment) -> Moment) -> Datum {
    let moment = by(Moment { ms: at.slot.as_i64(), nanos: at.slot.nanos() });
    Datum::of(Slot::timestamp(moment.ms, moment.nanos))
}
