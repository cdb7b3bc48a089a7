//! `=`, `<>`, `<`, `<=`, `>`, `>=`, IS [NOT] DISTINCT FROM, GREATEST, LEAST.
//!
//! Numbers of different types are compared in their common type. As in Java, NaN is equal to
//! nothing and neither smaller nor larger than anything in operators.

use alloc::{format, vec, vec::Vec};
use core::cmp::Ordering;

use super::sig::{Bound, common_type, count, lenient, strict};
use super::{Arg, Function};
use crate::{
    compare::compare,
    context::Context,
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) const LIST: &[Function] = &[
    Function { name: "=", bind: |args| operator("=", args, |o| o == Some(Ordering::Equal)) },
    Function { name: "<>", bind: |args| operator("<>", args, |o| o != Some(Ordering::Equal)) },
    Function { name: "<", bind: |args| operator("<", args, |o| o == Some(Ordering::Less)) },
    Function { name: ">", bind: |args| operator(">", args, |o| o == Some(Ordering::Greater)) },
    Function { name: "<=", bind: |args| operator("<=", args, |o| o.is_some_and(Ordering::is_le)) },
    Function { name: ">=", bind: |args| operator(">=", args, |o| o.is_some_and(Ordering::is_ge)) },
    Function { name: "IS DISTINCT FROM", bind: |args| distinct("IS DISTINCT FROM", args, true) },
    Function {
        name: "IS NOT DISTINCT FROM",
        bind: |args| distinct("IS NOT DISTINCT FROM", args, false),
    },
    Function { name: "GREATEST", bind: |args| extreme("GREATEST", args, Ordering::Greater) },
    Function { name: "LEAST", bind: |args| extreme("LEAST", args, Ordering::Less) },
];

type Order = fn(Slot, Slot, &Context) -> Option<Ordering>;

/// The type in which two values are compared; a text beside a date is read as one.
fn compared(name: &str, args: &[Arg<'_>]) -> Result<DataType, alloc::string::String> {
    count(name, args, 2, 2)?;
    let (a, b) = (args[0].data_type, args[1].data_type);
    let is_temporal =
        |t: &DataType| t.is_timestamp() || matches!(t, DataType::Date | DataType::Time(_));
    let common = match (a, b) {
        (text, t) | (t, text) if text.is_text() && is_temporal(t) => Some(t.clone()),
        _ => common_type(a, b),
    };
    common.ok_or_else(|| format!("{a} and {b} cannot be compared with {name}"))
}

fn order(data_type: &DataType) -> Order {
    match data_type {
        DataType::Float | DataType::Double => |a, b, _| a.as_f64().partial_cmp(&b.as_f64()),
        DataType::Decimal { .. } => |a, b, _| Some(a.as_i128().cmp(&b.as_i128())),
        t if t.is_timestamp() => {
            |a, b, _| Some((a.as_i64(), a.nanos()).cmp(&(b.as_i64(), b.nanos())))
        }
        t if t.is_referring() => |a, b, cx| Some(cx.bytes(a).cmp(cx.bytes(b))),
        _ => |a, b, _| Some(a.as_i64().cmp(&b.as_i64())),
    }
}

fn operator(name: &str, args: &[Arg<'_>], holds: fn(Option<Ordering>) -> bool) -> Bound {
    let common = compared(name, args)?;
    if common.is_nested() && !matches!(name, "=" | "<>") {
        return Err(format!("{common} has no order for {name}"));
    }
    let order = order(&common);
    strict(vec![common.clone(), common], DataType::Boolean, move |v, cx| {
        Datum::bool(holds(order(v[0].slot, v[1].slot, cx)))
    })
}

fn distinct(name: &str, args: &[Arg<'_>], wanted: bool) -> Bound {
    let common = compared(name, args)?;
    let order = order(&common);
    lenient(vec![common.clone(), common], DataType::Boolean, move |v, cx| {
        let is_distinct = match (v[0].null, v[1].null) {
            (false, false) => order(v[0].slot, v[1].slot, cx) != Some(Ordering::Equal),
            (a, b) => a != b,
        };
        Datum::bool(is_distinct == wanted)
    })
}

fn extreme(name: &str, args: &[Arg<'_>], wanted: Ordering) -> Bound {
    count(name, args, 1, usize::MAX)?;
    let mut common = DataType::Null;
    for arg in args {
        let t = arg.data_type;
        common = common_type(&common, t)
            .ok_or_else(|| format!("{common} and {t} cannot be compared with {name}"))?;
    }
    let types: Vec<_> = args.iter().map(|_| common.clone()).collect();
    strict(types, common.clone(), move |v, cx| {
        let mut best = v[0];
        for value in &v[1..] {
            if compare(value.slot, best.slot, &common, cx) == wanted {
                best = *value;
            }
        }
        best
    })
}
