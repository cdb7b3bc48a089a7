//! Arrays: how many elements, and one of them.

use alloc::{format, vec};

use super::sig::{Bound, count, integer, strict};
use super::{Arg, Function};
use crate::{
    codec::element_at,
    context::Context,
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) const LIST: &[Function] = &[
    Function { name: "CARDINALITY", bind: cardinality },
    Function { name: "ELEMENT_AT", bind: element },
];

fn element_type<'a>(name: &str, arg: &Arg<'a>) -> Result<&'a DataType, alloc::string::String> {
    match arg.data_type {
        DataType::Array(element) => Ok(element),
        t => Err(format!("{name} needs an array, not {t}")),
    }
}

fn cardinality(args: &[Arg<'_>]) -> Bound {
    count("CARDINALITY", args, 1, 1)?;
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
    let element = element_type("an index", &args[0])?.clone();
    let types = vec![args[0].data_type.clone(), integer("an index", &args[1])?];
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
