//! ARRAY_AGG: all values in order of arrival, NULLs among them, as in Flink. With DISTINCT in order
//! of the values, NULL at the end.

use alloc::{boxed::Box, format, string::String, vec};

use super::{Aggregate, Arguments, Binding, Finish, Kind};
use crate::types::DataType;

/// `ARRAY_AGG(x)`.
pub(super) const ARRAY_AGG: Aggregate = Aggregate { name: "ARRAY_AGG", bind };

fn bind(call: &Arguments<'_>) -> Result<Binding, String> {
    match call.single()? {
        Some(t @ (DataType::Null | DataType::Array(_) | DataType::Map(..) | DataType::Bytes)) => {
            Err(format!("ARRAY_AGG does not take {t} here"))
        }
        Some(t) => Ok(Binding {
            kinds: vec![Kind::ListWithNulls],
            finish: Finish::Value,
            result: DataType::Array(Box::new(t.clone())),
        }),
        None => Err("ARRAY_AGG takes one argument".into()),
    }
}
