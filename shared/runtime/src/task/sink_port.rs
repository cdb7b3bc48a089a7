//! One sink's lines, and what becomes of changes on their way into them.
//!
//! A change is a `-U` and the `+U` of the same key after it. A filter between may have let one of
//! the two through alone: then a row went away (`-D`), or a new one came (`+I`). What a sink cannot
//! take is counted. Guarantees: nothing is held over a checkpoint.

use headwater_engine::context::Context;
use headwater_engine::row::{Change, Row};
use headwater_engine::types::DataType;

use super::SinkMode;
use crate::format::Encoder;

/// See the module.
pub(super) struct SinkPort {
    pub(super) channel: u32,
    encoder: Encoder,
    mode: SinkMode,
    /// Columns of the primary key.
    key: Vec<(usize, DataType)>,
    pub(super) lines: Vec<u8>,
    held: Option<Held>,
}

/// A `-U` whose `+U` may follow.
struct Held {
    /// Its line as half of a change.
    before: Vec<u8>,
    /// Its line as a row that goes away.
    gone: Vec<u8>,
    key: Vec<u8>,
}

/// What a call did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rows: u64,
    /// Changes that the sink cannot take.
    pub(super) refused: u64,
}

impl SinkPort {
    pub(super) fn new(
        channel: u32,
        encoder: Encoder,
        mode: SinkMode,
        key: Vec<(usize, DataType)>,
    ) -> Self {
        Self { channel, encoder, mode, key, lines: Vec::new(), held: None }
    }

    pub(super) fn push(&mut self, row: Row<'_>, context: &Context) -> Written {
        if self.held.is_none() && row.change == Change::Insert {
            return self.write(row, context);
        }
        let key = self.key_of(row, context);
        let is_pair = row.change == Change::UpdateAfter
            && self.held.as_ref().is_some_and(|held| held.key == key);
        if is_pair {
            return self.write_pair(row, context);
        }
        let mut done = self.settle();
        match (row.change, self.mode) {
            (Change::UpdateBefore, _) => self.hold(row, key, context),
            (Change::Insert, _) | (Change::Delete, SinkMode::Changelog) => {
                done.rows += self.write(row, context).rows;
            }
            // Its other half was filtered out: for the sink it is a new row.
            (Change::UpdateAfter, _) => {
                let change = match self.mode {
                    SinkMode::Upsert => Change::UpdateAfter,
                    SinkMode::Append | SinkMode::Changelog => Change::Insert,
                };
                done.rows += self.write(Row { change, ..row }, context).rows;
            }
            (Change::Delete, _) => done.refused += 1,
        }
        done
    }

    /// Nothing more comes for now: a `-U` that is held was a row that went away.
    pub(super) fn settle(&mut self) -> Written {
        let Some(held) = self.held.take() else { return Written::default() };
        if self.mode != SinkMode::Changelog {
            return Written { rows: 0, refused: 1 };
        }
        self.lines.extend_from_slice(&held.gone);
        Written { rows: 1, refused: 0 }
    }

    fn write(&mut self, row: Row<'_>, context: &Context) -> Written {
        self.encoder.encode(&row, context, &mut self.lines);
        Written { rows: 1, refused: 0 }
    }

    fn write_pair(&mut self, row: Row<'_>, context: &Context) -> Written {
        let held = self.held.take().expect("the caller has looked");
        match self.mode {
            SinkMode::Append => Written { rows: 0, refused: 1 },
            SinkMode::Upsert => self.write(row, context),
            SinkMode::Changelog => {
                self.lines.extend_from_slice(&held.before);
                self.write(row, context);
                Written { rows: 2, refused: 0 }
            }
        }
    }

    fn hold(&mut self, row: Row<'_>, key: Vec<u8>, context: &Context) {
        let (mut before, mut gone) = (Vec::new(), Vec::new());
        if self.mode == SinkMode::Changelog {
            self.encoder.encode(&row, context, &mut before);
            self.encoder.encode(&Row { change: Change::Delete, ..row }, context, &mut gone);
        }
        self.held = Some(Held { before, gone, key });
    }

    /// Equal for equal keys; without a primary key any two neighbours make a pair.
    fn key_of(&self, row: Row<'_>, context: &Context) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (column, data_type) in &self.key {
            let value = row.datum(*column);
            bytes.push(u8::from(value.null));
            if value.null {
                continue;
            }
            if data_type.is_referring() {
                let text = context.bytes(value.slot);
                bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                bytes.extend_from_slice(text);
            } else {
                value.slot.0.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
