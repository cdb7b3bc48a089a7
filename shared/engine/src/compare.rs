//! The order of values of one type, as comparison operators, MIN and MAX see it.

use core::cmp::Ordering;

use crate::{context::Context, fragment::SortKey, row::Row, slot::Slot, types::DataType};

/// Compares two values of `data_type` that are not NULL. NaN is greater than every number, as in
/// Java's `Double.compare`; texts are compared by their bytes.
pub fn compare(a: Slot, b: Slot, data_type: &DataType, context: &Context) -> Ordering {
    match data_type {
        DataType::Float | DataType::Double => compare_doubles(a.as_f64(), b.as_f64()),
        DataType::Decimal { .. } => a.as_i128().cmp(&b.as_i128()),
        DataType::Timestamp(_) | DataType::TimestampLtz(_) => {
            a.as_i64().cmp(&b.as_i64()).then(a.nanos().cmp(&b.nanos()))
        }
        t if t.is_referring() => context.bytes(a).cmp(context.bytes(b)),
        _ => a.as_i64().cmp(&b.as_i64()),
    }
}

/// Compares two doubles. NaN is greater than every number and equal to itself.
#[inline]
pub fn compare_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Compares two rows of columns `types` by the terms of an ORDER BY.
pub fn compare_row(
    a: Row<'_>,
    b: Row<'_>,
    order: &[SortKey],
    types: &[DataType],
    context: &Context,
) -> Ordering {
    for key in order {
        let column = key.column;
        let found = match (a.is_null(column), b.is_null(column)) {
            (true, true) => Ordering::Equal,
            (false, false) => {
                let data_type = &types[column];
                let found = compare(a.slots[column], b.slots[column], data_type, context);
                if key.descending { found.reverse() } else { found }
            }
            (true, false) if key.nulls_first => Ordering::Less,
            (false, true) if !key.nulls_first => Ordering::Less,
            _ => Ordering::Greater,
        };
        if found != Ordering::Equal {
            return found;
        }
    }
    Ordering::Equal
}
