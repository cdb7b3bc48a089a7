//! Format `changelog-json`: as `json`, with the kind of change under the key `op`. For sinks.

use headwater_engine::context::Context;
use headwater_engine::row::Row;
use headwater_engine::types::Schema;

use crate::format::json::{JsonEncodeOptions, Keys};

/// Encodes rows, one object a line.
#[derive(Debug)]
pub struct ChangelogJsonEncoder {
    keys: Keys,
}

impl ChangelogJsonEncoder {
    /// An encoder of rows of this schema.
    pub fn new(schema: &Schema, options: JsonEncodeOptions) -> Self {
        Self { keys: Keys::new(schema, options) }
    }

    /// Appends one row and a line end.
    pub fn encode(&mut self, row: &Row<'_>, context: &Context, out: &mut Vec<u8>) {
        out.push(b'{');
        if self.keys.write_fields(row, context, out) {
            out.push(b',');
        }
        out.extend_from_slice(b"\"op\":\"");
        out.extend_from_slice(row.change.as_str().as_bytes());
        out.extend_from_slice(b"\"}\n");
    }
}
