//! Rows: made of values, and their fields taken.
//!
//! A row is its fields in their order, each as an element of an array: equal rows have equal bytes,
//! and a field that is NULL is equal to one that is NULL, as in Flink.

use alloc::{format, vec, vec::Vec};

use super::sig::{Bound, constant_int, count, lenient, strict};
use super::{Arg, Function};
use crate::{
    codec::{element_at, put_element},
    context::Context,
    slot::{Datum, Slot},
    types::DataType,
};

/// `FIELD(row, n)`: the field at this position, from 0. Not for scripts, which write `row.name`.
pub const FIELD: &str = "$FIELD";

pub(super) const LIST: &[Function] =
    &[Function { name: "ROW", bind: construct }, Function { name: FIELD, bind: field }];

/// The names and types of the fields of a ROW.
pub(crate) type Fields = [(alloc::string::String, DataType)];

/// The fields of a row, in order.
pub(crate) fn fields(row: Slot, types: &Fields, cx: &mut Context) -> Vec<Datum> {
    let (mut position, mut found) = (0, Vec::with_capacity(types.len()));
    for (_, data_type) in types {
        let Some((value, next)) = element_at(row, position, data_type, cx) else { break };
        found.push(value);
        position = next;
    }
    found
}

/// A row of these fields.
pub(crate) fn put_row<'a>(
    values: &[Datum],
    types: impl IntoIterator<Item = &'a DataType>,
    cx: &mut Context,
) -> Datum {
    let mut bytes = Vec::new();
    for (value, data_type) in values.iter().zip(types) {
        put_element(&mut bytes, *value, data_type, cx);
    }
    cx.put_bytes(&bytes)
}

/// `ROW(a, b, …)`: fields without names of their own.
fn construct(args: &[Arg<'_>]) -> Bound {
    count("ROW", args, 1, usize::MAX)?;
    if args.iter().any(|arg| *arg.data_type == DataType::Null) {
        return Err("a field of ROW is NULL without a type".into());
    }
    let types: Vec<DataType> = args.iter().map(|arg| arg.data_type.clone()).collect();
    let named = types.iter().enumerate().map(|(i, t)| (format!("EXPR${i}"), t.clone()));
    let result = DataType::Row(named.collect());
    lenient(types.clone(), result, move |v, cx| put_row(v, &types, cx))
}

fn field(args: &[Arg<'_>]) -> Bound {
    count(FIELD, args, 2, 2)?;
    let position = usize::try_from(constant_int(FIELD, "the position", &args[1])?);
    let position = position.map_err(|_| format!("{FIELD} counts from 0"))?;
    let DataType::Row(types) = args[0].data_type else {
        return Err(format!("a {} has no fields", args[0].data_type));
    };
    let Some((_, result)) = types.get(position) else {
        return Err(format!("a {} has no field {position}", args[0].data_type));
    };
    let before: Vec<DataType> = types[..position].iter().map(|(_, t)| t.clone()).collect();
    let (wanted, own) = (result.clone(), result.clone());
    strict(vec![args[0].data_type.clone(), DataType::Int], wanted, move |v, cx| {
        let mut at = 0;
        for data_type in &before {
            let Some((_, next)) = element_at(v[0].slot, at, data_type, cx) else {
                return Datum::NULL;
            };
            at = next;
        }
        element_at(v[0].slot, at, &own, cx).map_or(Datum::NULL, |(value, _)| value)
    })
}
