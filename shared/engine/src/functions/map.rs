//! Maps: made, measured, looked into, and made from one another.
//!
//! A map is its entries in the order of their keys, each key once: equal maps have equal bytes. Of
//! equal keys the last one counts. A key is never NULL: one that is is a fault.

use alloc::{format, string::String, vec, vec::Vec};

use super::array::{element_type, elements, put_array};
use super::row::put_row;
use super::sig::{Bound, common_type, constant_text, count, lenient, strict, text};
use super::{Arg, Function};
use crate::{
    codec::put_element,
    compare::compare,
    context::{Context, Fault},
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) const LIST: &[Function] = &[
    Function { name: "MAP", bind: construct },
    Function { name: "MAP_KEYS", bind: |args| one_side("MAP_KEYS", args, 0) },
    Function { name: "MAP_ENTRIES", bind: all_entries },
    Function { name: "MAP_VALUES", bind: |args| one_side("MAP_VALUES", args, 1) },
    Function { name: "MAP_FROM_ARRAYS", bind: from_arrays },
    Function { name: "MAP_UNION", bind: union },
    Function { name: "STR_TO_MAP", bind: str_to_map },
];

/// The types of keys and values.
pub(crate) type Types = (DataType, DataType);

fn types_of(name: &str, arg: &Arg<'_>) -> Result<Types, String> {
    match arg.data_type {
        DataType::Map(key, value) => Ok(((**key).clone(), (**value).clone())),
        t => Err(format!("{name} needs a map, not {t}")),
    }
}

/// The entries of a map, in order.
pub(crate) fn entries(map: Slot, types: &Types, cx: &mut Context) -> Vec<(Datum, Datum)> {
    let (mut position, mut found) = (0, Vec::new());
    while let Some((key, next)) = crate::codec::element_at(map, position, &types.0, cx)
        && let Some((value, next)) = crate::codec::element_at(map, next, &types.1, cx)
    {
        found.push((key, value));
        position = next;
    }
    found
}

/// A map of these entries; NULL and a fault where a key is NULL, or where it does not fit.
pub fn put_map(
    mut entries: Vec<(Datum, Datum)>,
    types: &(DataType, DataType),
    cx: &mut Context,
) -> Datum {
    if entries.iter().any(|(key, _)| key.is_null()) {
        return cx.fail(Fault::InvalidArgument);
    }
    entries.sort_by(|(a, _), (b, _)| compare(a.slot, b.slot, &types.0, cx));
    let mut bytes = Vec::new();
    for (i, (key, value)) in entries.iter().enumerate() {
        let is_same =
            |(next, _): &(Datum, Datum)| compare(key.slot, next.slot, &types.0, cx).is_eq();
        if !entries.get(i + 1).is_some_and(is_same) {
            put_element(&mut bytes, *key, &types.0, cx);
            put_element(&mut bytes, *value, &types.1, cx);
        }
    }
    cx.put_bytes(&bytes)
}

/// `map[key]`: NULL where there is no such key.
pub(super) fn item(args: &[Arg<'_>]) -> Bound {
    let types = types_of("a key", &args[0])?;
    let key = args[1].data_type;
    let fits = common_type(&types.0, key).is_some_and(|t| t == types.0)
        || types.0.is_text() && key.is_text();
    if !fits {
        return Err(format!("the keys of a {} are no {key}", args[0].data_type));
    }
    let wanted = vec![args[0].data_type.clone(), types.0.clone()];
    strict(wanted, types.1.clone(), move |v, cx| {
        let found = entries(v[0].slot, &types, cx).into_iter();
        let mut same = found.filter(|(k, _)| compare(k.slot, v[1].slot, &types.0, cx).is_eq());
        same.next().map_or(Datum::NULL, |(_, value)| value)
    })
}

pub(super) fn cardinality(args: &[Arg<'_>]) -> Bound {
    let types = types_of("CARDINALITY", &args[0])?;
    strict(vec![args[0].data_type.clone()], DataType::Int, move |v, cx| {
        Datum::i64(i64::try_from(entries(v[0].slot, &types, cx).len()).unwrap_or(i64::MAX))
    })
}

/// `MAP[key, value, …]`
fn construct(args: &[Arg<'_>]) -> Bound {
    count("MAP", args, 2, usize::MAX)?;
    if !args.len().is_multiple_of(2) {
        return Err("MAP needs a value for each key".into());
    }
    let common = |side: usize| {
        let mut types = args.iter().skip(side).step_by(2).map(|arg| arg.data_type);
        let first = types.next().cloned();
        types.try_fold(first?, |common, t| common_type(&common, t))
    };
    let none = || String::from("the keys or the values of MAP have no common type");
    let types = (common(0).ok_or_else(none)?, common(1).ok_or_else(none)?);
    let wanted = (0..args.len()).map(|i| if i % 2 == 0 { &types.0 } else { &types.1 });
    let wanted = wanted.cloned().collect();
    lenient(wanted, map_of(&types), move |v, cx| {
        let entries = v.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        put_map(entries, &types, cx)
    })
}

fn map_of(types: &Types) -> DataType {
    DataType::Map(types.0.clone().into(), types.1.clone().into())
}

/// MAP_KEYS and MAP_VALUES: arrays in the order of the keys.
fn one_side(name: &str, args: &[Arg<'_>], side: usize) -> Bound {
    count(name, args, 1, 1)?;
    let types = types_of(name, &args[0])?;
    let element = if side == 0 { types.0.clone() } else { types.1.clone() };
    let result = DataType::Array(element.clone().into());
    strict(vec![args[0].data_type.clone()], result, move |v, cx| {
        let all = entries(v[0].slot, &types, cx).into_iter();
        let one: Vec<_> = all.map(|(k, value)| if side == 0 { k } else { value }).collect();
        put_array(&one, &element, cx)
    })
}

/// MAP_ENTRIES(map): rows of `key` and `value`, in the order of the keys.
fn all_entries(args: &[Arg<'_>]) -> Bound {
    count("MAP_ENTRIES", args, 1, 1)?;
    let types = types_of("MAP_ENTRIES", &args[0])?;
    let fields = vec![("key".into(), types.0.clone()), ("value".into(), types.1.clone())];
    let row = DataType::Row(fields);
    let result = DataType::Array(row.clone().into());
    strict(vec![args[0].data_type.clone()], result, move |v, cx| {
        let rows: Vec<_> = entries(v[0].slot, &types, cx)
            .into_iter()
            .map(|(key, value)| put_row(&[key, value], [&types.0, &types.1], cx))
            .collect();
        // A row that did not fit is a fault already.
        put_array(&rows, &row, cx)
    })
}

/// MAP_FROM_ARRAYS(keys, values): as many of these as of those.
fn from_arrays(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "MAP_FROM_ARRAYS";
    count(NAME, args, 2, 2)?;
    let key = element_type(NAME, &args[0])?.clone();
    let types = (key, element_type(NAME, &args[1])?.clone());
    let wanted = args.iter().map(|arg| arg.data_type.clone()).collect();
    strict(wanted, map_of(&types), move |v, cx| {
        let keys = elements(v[0].slot, &types.0, cx);
        let values = elements(v[1].slot, &types.1, cx);
        if keys.len() != values.len() {
            return cx.fail(Fault::InvalidArgument);
        }
        put_map(keys.into_iter().zip(values).collect(), &types, cx)
    })
}

/// MAP_UNION(map, …): of equal keys the one of the last map.
fn union(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "MAP_UNION";
    count(NAME, args, 1, usize::MAX)?;
    let types = types_of(NAME, &args[0])?;
    for arg in &args[1..] {
        let other = types_of(NAME, arg)?;
        let same = |a: &DataType, b: &DataType| a == b || a.is_text() && b.is_text();
        if !same(&other.0, &types.0) || !same(&other.1, &types.1) {
            return Err(format!("{NAME} needs maps of one type: cast them"));
        }
    }
    let wanted = args.iter().map(|arg| arg.data_type.clone()).collect();
    strict(wanted, args[0].data_type.clone(), move |v, cx| {
        let all = v.iter().flat_map(|map| entries(map.slot, &types, cx)).collect();
        put_map(all, &types, cx)
    })
}

/// STR_TO_MAP(text[, between entries, between key and value]): without a value it is NULL. The
/// signs are patterns in Flink, and constants without a meaning as patterns here.
fn str_to_map(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "STR_TO_MAP";
    if args.len() != 1 {
        count(NAME, args, 3, 3)?;
    }
    let sign = |i: usize, default: &str| -> Result<String, String> {
        let Some(arg) = args.get(i) else { return Ok(default.into()) };
        let sign = constant_text(NAME, "what stands between", arg)?;
        if sign.is_empty() || sign.contains(|c| r"\^$.|?*+()[]{}".contains(c)) {
            return Err(format!("{NAME} cannot split at '{sign}'"));
        }
        Ok(sign.into())
    };
    let (between, equals) = (sign(1, ",")?, sign(2, "=")?);
    let types = (DataType::STRING, DataType::STRING);
    let wanted = args.iter().map(|arg| text(NAME, arg)).collect::<Result<Vec<_>, _>>()?;
    strict(wanted, map_of(&types), move |v, cx| {
        let source = v[0].slot;
        let all = String::from(cx.text(source));
        // As Java splits: empty parts at the end do not count.
        let mut parts: Vec<&str> = all.split(between.as_str()).collect();
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        let mut found = Vec::with_capacity(parts.len());
        for part in parts {
            let (key, value) = match part.split_once(equals.as_str()) {
                Some((key, value)) => (cx.put_text(key), cx.put_text(value)),
                None => (cx.put_text(part), Datum::NULL),
            };
            found.push((key, value));
        }
        put_map(found, &types, cx)
    })
}
