//! Union: the rows of several inputs as one stream. Its watermark is the smallest of theirs.
//!
//! Holds nothing and drops nothing; a row that is behind the watermark of the other inputs passes.

use crate::{
    operator::{Emitter, Operator, Port},
    row::Row,
};

/// The operator.
pub struct Union;

impl Operator for Union {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        out.emit(row);
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>()
    }
}
