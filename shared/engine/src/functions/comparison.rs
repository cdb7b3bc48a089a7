//! `=`, `<>`, `<`, `<=`, `>`, `>=`, IS [NOT] DISTINCT FROM, GREATEST, LEAST.
//!
//! Numbers of different types are compared in their common type. As in Java, NaN is equal to
//! nothing and neither smaller nor larger than anything in operators; beside a DECIMAL, which Flink
//! compares by another function, it is larger than all.

use alloc::{format, vec, vec::Vec};
use core::cmp::Ordering;

use super::direct::{Comparison, Direct, Test};
use super::sig::{Bound, common_type, count, direct, lenient, merged_type, strict};
use super::{Arg, Function};
use crate::{compare::compare, slot::Datum, types::DataType};

pub(super) const LIST: &[Function] = &[
    Function { name: "=", bind: |args| operator("=", args, |o| o == Some(Ordering::Equal)) },
    Function { name: "<>", bind: |args| operator("<>", args, |o| o != Some(Ordering::Equal)) },
    Function { name: "<", bind: |args| operator("<", args, |o| o == Some(Ordering::Less)) },
    Function { name: ">", bind: |args| operator(">", args, |o| o == Some(Ordering::Greater)) },
    Function { name: "<=", bind: |args| operator("<=", args, |o| o.is_some_and(Ordering::is_le)) },
    Function { name: ">=", bind: |args| operator(">=", args, |o| o.is_some_and(Ordering::is_ge)) },
    Function {
        name: "< OR NAN",
        bind: |args| operator("< OR NAN", args, |o| o.is_none_or(Ordering::is_lt)),
    },
    Function {
        name: "> OR NAN",
        bind: |args| operator("> OR NAN", args, |o| o.is_none_or(Ordering::is_gt)),
    },
    Function {
        name: "<= OR NAN",
        bind: |args| operator("<= OR NAN", args, |o| o.is_none_or(Ordering::is_le)),
    },
    Function {
        name: ">= OR NAN",
        bind: |args| operator(">= OR NAN", args, |o| o.is_none_or(Ordering::is_ge)),
    },
    Function { name: "IS DISTINCT FROM", bind: |args| distinct("IS DISTINCT FROM", args, true) },
    Function {
        name: "IS NOT DISTINCT FROM",
        bind: |args| distinct("IS NOT DISTINCT FROM", args, false),
    },
    Function { name: "GREATEST", bind: |args| extreme("GREATEST", args, Ordering::Greater) },
    Function { name: "LEAST", bind: |args| extreme("LEAST", args, Ordering::Less) },
];

/// Behind the name of an order: NaN beside a DECIMAL is larger.
pub const OR_NAN: &str = " OR NAN";

/// The name of the operator by which Flink compares values of these types.
#[must_use]
pub fn order_of<'a>(name: &'a str, left: &DataType, right: &DataType) -> &'a str {
    let is_decimal = |t: &DataType| matches!(t, DataType::Decimal { .. });
    match name {
        ">" if left.is_approximate() && is_decimal(right) => "> OR NAN",
        ">=" if left.is_approximate() && is_decimal(right) => ">= OR NAN",
        "<" if is_decimal(left) && right.is_approximate() => "< OR NAN",
        "<=" if is_decimal(left) && right.is_approximate() => "<= OR NAN",
        _ => name,
    }
}

/// The type in which two values are compared; a text beside a date is read as one.
fn compared(name: &str, args: &[Arg<'_>]) -> Result<DataType, alloc::string::String> {
    count(name, args, 2, 2)?;
    let (a, b) = (args[0].data_type, args[1].data_type);
    let is_temporal =
        |t: &DataType| t.is_timestamp() || matches!(t, DataType::Date | DataType::Time(_));
    let common = match (a, b) {
        (text, t) | (t, text) if text.is_text() && is_temporal(t) => Some(t.clone()),
        // As Java compares them; for `=` Flink casts to the type of the first.
        (DataType::Float, DataType::Double) if !matches!(name, "=" | "<>") => {
            Some(DataType::Double)
        }
        _ => common_type(a, b),
    };
    common.ok_or_else(|| format!("{a} and {b} cannot be compared with {name}"))
}

fn operator(name: &str, args: &[Arg<'_>], holds: fn(Option<Ordering>) -> bool) -> Bound {
    let common = compared(name, args)?;
    if common.is_nested() && !matches!(name, "=" | "<>") {
        return Err(format!("{common} has no order for {name}"));
    }
    let test = Test::new(Comparison::of(&common), holds);
    direct(vec![common.clone(), common], DataType::Boolean, Direct::Test(test))
}

fn distinct(name: &str, args: &[Arg<'_>], wanted: bool) -> Bound {
    let common = compared(name, args)?;
    if matches!(common, DataType::Row(_)) {
        return Err(format!("{common} cannot be compared with {name}"));
    }
    let comparison = Comparison::of(&common);
    lenient(vec![common.clone(), common], DataType::Boolean, move |v, cx| {
        let is_distinct = match (v[0].is_null(), v[1].is_null()) {
            (false, false) => comparison.compare(v[0].slot, v[1].slot, cx) != Some(Ordering::Equal),
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
        common = merged_type(&common, t)
            .ok_or_else(|| format!("{common} and {t} cannot be compared with {name}"))?;
    }
    if matches!(common, DataType::Row(_)) {
        return Err(format!("{common} has no order for {name}"));
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
