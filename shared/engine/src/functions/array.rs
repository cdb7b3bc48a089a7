//! Arrays: made, measured, searched, and made from one another.
//!
//! Elements of one array have one type, and any of them may be NULL. Where elements are compared,
//! NULL is equal to NULL, as in Flink.

use alloc::{format, string::String, vec, vec::Vec};
use core::cmp::Ordering;

use super::build::Builder;
use super::sig::{Bound, common_type, count, integer, lenient, strict, text};
use super::{Arg, Function};
use crate::{
    codec::{element_at, put_element},
    compare::compare,
    context::{Context, Fault},
    expr::Literal,
    operators::unnest::ELEMENTS_MAX,
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) const LIST: &[Function] = &[
    Function { name: "ARRAY", bind: construct },
    Function { name: COPIES, bind: copies },
    Function { name: "CARDINALITY", bind: cardinality },
    Function { name: "ELEMENT_AT", bind: element },
    Function { name: "ELEMENT", bind: only_element },
    Function { name: "ARRAY_CONTAINS", bind: contains },
    Function { name: "ARRAY_POSITION", bind: position },
    Function { name: "ARRAY_MAX", bind: |args| extreme("ARRAY_MAX", args, Ordering::Greater) },
    Function { name: "ARRAY_MIN", bind: |args| extreme("ARRAY_MIN", args, Ordering::Less) },
    Function { name: "ARRAY_JOIN", bind: join },
    Function { name: "ARRAY_SLICE", bind: slice },
    Function { name: "ARRAY_SORT", bind: sort },
    Function {
        name: "ARRAY_REVERSE",
        bind: |args| change("ARRAY_REVERSE", args, |all, _, _| all.reverse()),
    },
    Function { name: "ARRAY_DISTINCT", bind: |args| change("ARRAY_DISTINCT", args, distinct) },
    Function { name: "ARRAY_APPEND", bind: |args| with_one("ARRAY_APPEND", args, append) },
    Function { name: "ARRAY_PREPEND", bind: |args| with_one("ARRAY_PREPEND", args, prepend) },
    Function { name: "ARRAY_REMOVE", bind: |args| with_one("ARRAY_REMOVE", args, remove) },
    Function { name: "ARRAY_CONCAT", bind: concat },
    Function { name: "ARRAY_UNION", bind: |args| of_two("ARRAY_UNION", args, union) },
    Function { name: "ARRAY_EXCEPT", bind: |args| of_two("ARRAY_EXCEPT", args, except) },
    Function { name: "ARRAY_INTERSECT", bind: |args| of_two("ARRAY_INTERSECT", args, intersect) },
];

/// The array of `n` TRUE, for rows that come several times. Not for scripts, which cannot write it.
pub const COPIES: &str = "$COPIES";

fn copies(args: &[Arg<'_>]) -> Bound {
    count(COPIES, args, 1, 1)?;
    let result = DataType::Array(DataType::Boolean.into());
    strict(vec![DataType::BigInt], result, |v, cx| {
        let n = usize::try_from(v[0].slot.as_i64()).unwrap_or(0);
        if n > ELEMENTS_MAX {
            return cx.fail(Fault::TextTooLarge);
        }
        put_array(&vec![Datum::bool(true); n], &DataType::Boolean, cx)
    })
}

pub(super) fn element_type<'a>(name: &str, arg: &Arg<'a>) -> Result<&'a DataType, String> {
    match arg.data_type {
        DataType::Array(element) => Ok(element),
        t => Err(format!("{name} needs an array, not {t}")),
    }
}

/// The elements of an array, in order.
pub(crate) fn elements(array: Slot, data_type: &DataType, cx: &mut Context) -> Vec<Datum> {
    let (mut position, mut found) = (0, Vec::new());
    while let Some((value, next)) = element_at(array, position, data_type, cx) {
        found.push(value);
        position = next;
    }
    found
}

/// An array of these elements.
pub(crate) fn put_array(elements: &[Datum], data_type: &DataType, cx: &mut Context) -> Datum {
    let mut bytes = Vec::new();
    elements.iter().for_each(|value| put_element(&mut bytes, *value, data_type, cx));
    cx.put_bytes(&bytes)
}

fn is_same(a: Datum, b: Datum, data_type: &DataType, cx: &Context) -> bool {
    match (a.is_null(), b.is_null()) {
        (false, false) => compare(a.slot, b.slot, data_type, cx).is_eq(),
        (a, b) => a && b,
    }
}

fn has(all: &[Datum], value: Datum, data_type: &DataType, cx: &Context) -> bool {
    all.iter().any(|v| is_same(*v, value, data_type, cx))
}

/// `ARRAY[a, b, …]`: of the type that all values can take.
fn construct(args: &[Arg<'_>]) -> Bound {
    count("ARRAY", args, 1, usize::MAX)?;
    let mut element = DataType::Null;
    for arg in args {
        let t = arg.data_type;
        element = common_type(&element, t)
            .ok_or_else(|| format!("the values of ARRAY have no common type: {element}, {t}"))?;
    }
    let types = args.iter().map(|_| element.clone()).collect();
    let result = DataType::Array(element.clone().into());
    lenient(types, result, move |v, cx| put_array(v, &element, cx))
}

fn cardinality(args: &[Arg<'_>]) -> Bound {
    count("CARDINALITY", args, 1, 1)?;
    if matches!(args[0].data_type, DataType::Map(..)) {
        return super::map::cardinality(args);
    }
    let element = element_type("CARDINALITY", &args[0])?.clone();
    strict(vec![args[0].data_type.clone()], DataType::Int, move |v, cx| {
        let (mut position, mut elements) = (0, 0);
        while let Some((_, next)) = element_at(v[0].slot, position, &element, cx) {
            position = next;
            elements += 1;
        }
        Datum::i64(elements)
    })
}

/// `array[index]`, from 1; NULL beyond the end.
fn element(args: &[Arg<'_>]) -> Bound {
    count("ELEMENT_AT", args, 2, 2)?;
    if matches!(args[0].data_type, DataType::Map(..)) {
        return super::map::item(args);
    }
    let element = element_type("an index", &args[0])?.clone();
    let types = vec![args[0].data_type.clone(), integer("an index", &args[1])?];
    if let Some(Literal::Int(index @ ..=0)) = args[1].literal {
        return Err(format!("the index of an array starts at 1, not {index}"));
    }
    strict(types, element.clone(), move |v, cx| nth(v[0].slot, v[1].slot.as_i64(), &element, cx))
}

fn nth(array: Slot, index: i64, data_type: &DataType, cx: &mut Context) -> Datum {
    let (mut position, mut left) = (0, index);
    while left > 0
        && let Some((value, next)) = element_at(array, position, data_type, cx)
    {
        if left == 1 {
            return value;
        }
        position = next;
        left -= 1;
    }
    Datum::NULL
}

/// ELEMENT(array): of an array with one element at most; another one ends the job in Flink.
fn only_element(args: &[Arg<'_>]) -> Bound {
    count("ELEMENT", args, 1, 1)?;
    let element = element_type("ELEMENT", &args[0])?.clone();
    strict(vec![args[0].data_type.clone()], element.clone(), move |v, cx| {
        match element_at(v[0].slot, 0, &element, cx) {
            None => Datum::NULL,
            Some((value, next)) if next == cx.bytes(v[0].slot).len() => value,
            Some(_) => cx.fail(Fault::InvalidArgument),
        }
    })
}

/// The types of an array and of a value that is looked for in it.
fn array_and_value(name: &str, args: &[Arg<'_>]) -> Result<(Vec<DataType>, DataType), String> {
    count(name, args, 2, 2)?;
    let element = element_type(name, &args[0])?.clone();
    let value = args[1].data_type;
    let fits = common_type(&element, value).is_some_and(|t| t == element)
        || element.is_text() && value.is_text();
    if !fits {
        return Err(format!("{name} needs a value of type {element} here, not {value}"));
    }
    Ok((vec![args[0].data_type.clone(), element.clone()], element))
}

fn contains(args: &[Arg<'_>]) -> Bound {
    let (types, element) = array_and_value("ARRAY_CONTAINS", args)?;
    lenient(types, DataType::Boolean, move |v, cx| {
        if v[0].is_null() {
            return Datum::NULL;
        }
        let all = elements(v[0].slot, &element, cx);
        Datum::bool(has(&all, v[1], &element, cx))
    })
}

/// From 1; 0 when it is not there.
fn position(args: &[Arg<'_>]) -> Bound {
    let (types, element) = array_and_value("ARRAY_POSITION", args)?;
    strict(types, DataType::Int, move |v, cx| {
        let all = elements(v[0].slot, &element, cx);
        let at = all.iter().position(|value| is_same(*value, v[1], &element, cx));
        Datum::i64(at.and_then(|at| i64::try_from(at + 1).ok()).unwrap_or(0))
    })
}

fn extreme(name: &str, args: &[Arg<'_>], wanted: Ordering) -> Bound {
    count(name, args, 1, 1)?;
    let element = element_type(name, &args[0])?.clone();
    if element.is_nested() {
        return Err(format!("{name} needs elements with an order, not {element}"));
    }
    strict(vec![args[0].data_type.clone()], element.clone(), move |v, cx| {
        let all = elements(v[0].slot, &element, cx);
        let better = |best: Datum, value: &Datum| {
            let is_better = compare(value.slot, best.slot, &element, cx) == wanted;
            if is_better { *value } else { best }
        };
        let mut values = all.iter().filter(|value| !value.is_null());
        values.next().map_or(Datum::NULL, |first| values.fold(*first, better))
    })
}

/// ARRAY_JOIN(array of texts, separator[, text for NULL]): without the third, NULLs are left out.
fn join(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "ARRAY_JOIN";
    count(NAME, args, 2, 3)?;
    let element = element_type(NAME, &args[0])?.clone();
    if !element.is_text() {
        return Err(format!("{NAME} needs an array of texts, not {}", args[0].data_type));
    }
    let mut types = vec![args[0].data_type.clone(), text(NAME, &args[1])?];
    types.extend(args.get(2).map(|a| text(NAME, a)).transpose()?);
    strict(types, DataType::STRING, move |v, cx| {
        let all = elements(v[0].slot, &element, cx);
        let for_null = v.get(2).copied();
        let mut out = Builder::new(cx);
        let shown = all.into_iter().filter_map(|e| if e.is_null() { for_null } else { Some(e) });
        for (i, value) in shown.enumerate() {
            if i > 0 {
                out.push_all(v[1].slot);
            }
            out.push_all(value.slot);
        }
        out.finish()
    })
}

/// ARRAY_SLICE(array, start[, end]): from 1, both inclusive, negative from the end.
fn slice(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "ARRAY_SLICE";
    count(NAME, args, 2, 3)?;
    let element = element_type(NAME, &args[0])?.clone();
    let own = args[0].data_type.clone();
    let mut types = vec![own.clone(), integer(NAME, &args[1])?];
    types.extend(args.get(2).map(|a| integer(NAME, a)).transpose()?);
    strict(types, own, move |v, cx| {
        let all = elements(v[0].slot, &element, cx);
        let length = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let place = |i: i64| if i < 0 { length.saturating_add(i).saturating_add(1) } else { i };
        let start = place(v[1].slot.as_i64()).max(1);
        let end = v.get(2).map_or(length, |v| match v.slot.as_i64() {
            0 => 1,
            end => place(end).min(length),
        });
        let bound = |i: i64| usize::try_from(i).unwrap_or(0).min(all.len());
        let part = all.get(bound(start - 1)..bound(end)).unwrap_or(&[]);
        put_array(part, &element, cx)
    })
}

/// ARRAY_SORT(array[, ascending[, NULLs first]]): NULLs come first when ascending.
fn sort(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "ARRAY_SORT";
    count(NAME, args, 1, 3)?;
    let element = element_type(NAME, &args[0])?.clone();
    if element.is_nested() {
        return Err(format!("{NAME} needs elements with an order, not {element}"));
    }
    let own = args[0].data_type.clone();
    let mut types = vec![own.clone()];
    for arg in &args[1..] {
        if !matches!(arg.data_type, DataType::Boolean | DataType::Null) {
            return Err(format!("{NAME} needs a BOOLEAN here, not {}", arg.data_type));
        }
        types.push(DataType::Boolean);
    }
    strict(types, own, move |v, cx| {
        let is_ascending = v.get(1).is_none_or(|v| v.slot.as_bool());
        let nulls_first = v.get(2).map_or(is_ascending, |v| v.slot.as_bool());
        let mut all = elements(v[0].slot, &element, cx);
        all.sort_by(|a, b| match (a.is_null(), b.is_null()) {
            (false, false) => {
                let order = compare(a.slot, b.slot, &element, cx);
                if is_ascending { order } else { order.reverse() }
            }
            (a, b) => {
                if nulls_first {
                    b.cmp(&a)
                } else {
                    a.cmp(&b)
                }
            }
        });
        put_array(&all, &element, cx)
    })
}

type Change = fn(&mut Vec<Datum>, &DataType, &Context);

fn change(name: &str, args: &[Arg<'_>], change: Change) -> Bound {
    count(name, args, 1, 1)?;
    let element = element_type(name, &args[0])?.clone();
    let own = args[0].data_type.clone();
    strict(vec![own.clone()], own, move |v, cx| {
        let mut all = elements(v[0].slot, &element, cx);
        change(&mut all, &element, cx);
        put_array(&all, &element, cx)
    })
}

/// The first one of equal elements stays.
fn distinct(all: &mut Vec<Datum>, data_type: &DataType, cx: &Context) {
    let mut kept: Vec<Datum> = Vec::new();
    for value in all.iter() {
        if !has(&kept, *value, data_type, cx) {
            kept.push(*value);
        }
    }
    *all = kept;
}

type WithOne = fn(&mut Vec<Datum>, Datum, &DataType, &Context);

/// The value may be NULL, the array not.
fn with_one(name: &str, args: &[Arg<'_>], change: WithOne) -> Bound {
    let (types, element) = array_and_value(name, args)?;
    lenient(types, args[0].data_type.clone(), move |v, cx| {
        if v[0].is_null() {
            return Datum::NULL;
        }
        let mut all = elements(v[0].slot, &element, cx);
        change(&mut all, v[1], &element, cx);
        put_array(&all, &element, cx)
    })
}

fn append(all: &mut Vec<Datum>, value: Datum, _: &DataType, _: &Context) {
    all.push(value);
}

fn prepend(all: &mut Vec<Datum>, value: Datum, _: &DataType, _: &Context) {
    all.insert(0, value);
}

fn remove(all: &mut Vec<Datum>, value: Datum, data_type: &DataType, cx: &Context) {
    all.retain(|v| !is_same(*v, value, data_type, cx));
}

/// Arrays of one type, or NULL.
fn arrays(name: &str, args: &[Arg<'_>]) -> Result<(Vec<DataType>, DataType), String> {
    let element = element_type(name, &args[0])?.clone();
    for arg in &args[1..] {
        let other = element_type(name, arg)?;
        if *other != element && !(other.is_text() && element.is_text()) {
            return Err(format!("{name} needs arrays of one type, not {element} and {other}"));
        }
    }
    Ok((args.iter().map(|arg| arg.data_type.clone()).collect(), element))
}

fn concat(args: &[Arg<'_>]) -> Bound {
    count("ARRAY_CONCAT", args, 1, usize::MAX)?;
    let (types, _) = arrays("ARRAY_CONCAT", args)?;
    // The encodings of arrays one after the other are the encoding of all.
    strict(types, args[0].data_type.clone(), |v, cx| {
        let bytes: Vec<u8> = v.iter().flat_map(|v| cx.bytes(v.slot).iter().copied()).collect();
        cx.put_bytes(&bytes)
    })
}

type OfTwo = fn(&mut Vec<Datum>, &[Datum], &DataType, &Context);

/// Operations on sets: equal elements are there once.
fn of_two(name: &str, args: &[Arg<'_>], change: OfTwo) -> Bound {
    count(name, args, 2, 2)?;
    let (types, element) = arrays(name, args)?;
    strict(types, args[0].data_type.clone(), move |v, cx| {
        let mut all = elements(v[0].slot, &element, cx);
        let others = elements(v[1].slot, &element, cx);
        change(&mut all, &others, &element, cx);
        distinct(&mut all, &element, cx);
        put_array(&all, &element, cx)
    })
}

fn union(all: &mut Vec<Datum>, others: &[Datum], _: &DataType, _: &Context) {
    all.extend_from_slice(others);
}

fn except(all: &mut Vec<Datum>, others: &[Datum], data_type: &DataType, cx: &Context) {
    all.retain(|v| !has(others, *v, data_type, cx));
}

fn intersect(all: &mut Vec<Datum>, others: &[Datum], data_type: &DataType, cx: &Context) {
    all.retain(|v| has(others, *v, data_type, cx));
}
