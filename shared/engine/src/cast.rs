//! CAST and TRY_CAST with Flink's rules.

use alloc::{format, string::String};

use crate::{context::Context, slot::Datum, types::DataType};

/// A conversion of values that are not NULL; `None` when this value cannot be converted.
pub type Convert = fn(Datum, &DataType, &DataType, &mut Context) -> Option<Datum>;

/// The conversion between two types, or why Flink has none.
pub fn find(from: &DataType, to: &DataType) -> Result<Convert, String> {
    if from == to || *from == DataType::Null {
        return Ok(|value, _, _, _| Some(value));
    }
    Err(format!("a {from} cannot be cast to {to}"))
}
