//! COLLECT: each value and how often it is there, without NULLs.
//!
//! Flink calls the result MULTISET; here it is a map from the value to its count.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use super::{Accumulator, Aggregate, Arguments, Binding, Finish, Kind};
use crate::{context::Context, functions::put_map, slot::Datum, types::DataType};

/// `COLLECT(x)`.
pub(super) const COLLECT: Aggregate = Aggregate { name: "COLLECT", bind };

fn bind(call: &Arguments<'_>) -> Result<Binding, String> {
    match call.single()? {
        Some(t) if t.is_nested() || matches!(t, DataType::Null | DataType::Bytes) => {
            Err(format!("COLLECT does not take {t} here"))
        }
        Some(t) => Ok(Binding {
            kinds: vec![Kind::Values],
            finish: Finish::Collected,
            result: DataType::Map(Box::new(t.clone()), Box::new(DataType::Int)),
        }),
        None => Err("COLLECT takes one argument".into()),
    }
}

/// The map of a state.
pub(super) fn finish(
    state: &dyn Accumulator,
    pane: usize,
    arg: Option<&DataType>,
    cx: &mut Context,
) -> Datum {
    let mut entries = Vec::new();
    state.each(pane, &mut |value, times| {
        entries.push((value, Datum::i64(times.min(i64::from(i32::MAX)))));
    });
    let key = arg.cloned().unwrap_or(DataType::Null);
    put_map(entries, &(key, DataType::Int), cx)
}
