//! One sink's lines, and what becomes of changes on their way into them.
//!
//! A change is a `-U` and the `+U` of the same key after it. A `-U` whose `+U` does not come (a
//! filter has kept it back) is a row that went away: `-D`. A sink with a primary key is told that
//! a key is gone by a line of its own, where its format has one. What it cannot take is counted.
//! Guarantees: nothing is held over a checkpoint.

use std::collections::BTreeMap;

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
    /// The last row of a sink that follows changes, when it was a `-U`.
    held: Option<Held>,
    /// Keys of an upsert sink whose rows went and have not come again, each with the line that says
    /// so; empty where the format has none.
    gone: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A `-U` whose `+U` may follow.
#[derive(Default)]
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
        Self { channel, encoder, mode, key, lines: Vec::new(), held: None, gone: BTreeMap::new() }
    }

    pub(super) fn push(&mut self, row: Row<'_>, context: &Context) -> Written {
        match self.mode {
            SinkMode::Changelog => self.push_change(row, context),
            SinkMode::Upsert => self.push_latest(row, context),
            SinkMode::Append => match row.change {
                Change::Insert => self.write(row, context),
                Change::UpdateBefore => {
                    // Counted with its other half, or when that does not come.
                    let more = self.settle();
                    self.held = Some(Held::default());
                    more
                }
                Change::UpdateAfter | Change::Delete => {
                    let alone = row.change == Change::Delete && self.held.is_some();
                    self.held = None;
                    Written { rows: 0, refused: 1 + u64::from(alone) }
                }
            },
        }
    }

    fn push_change(&mut self, row: Row<'_>, context: &Context) -> Written {
        let key = match (&self.held, row.change) {
            (_, Change::UpdateBefore) | (Some(_), _) => self.key_of(row, context),
            _ => return self.write(row, context),
        };
        let is_pair = row.change == Change::UpdateAfter
            && self.held.as_ref().is_some_and(|held| held.key == key);
        let mut done = Written::default();
        match self.held.take() {
            Some(held) if is_pair => {
                self.lines.extend_from_slice(&held.before);
                done.rows += 1;
            }
            held => {
                self.held = held;
                done.rows += self.settle().rows;
            }
        }
        if row.change == Change::UpdateBefore {
            let (mut before, mut gone) = (Vec::new(), Vec::new());
            self.encoder.encode(&row, context, &mut before);
            self.encoder.encode(&Row { change: Change::Delete, ..row }, context, &mut gone);
            self.held = Some(Held { before, gone, key });
        } else {
            done.rows += self.write(row, context).rows;
        }
        done
    }

    fn push_latest(&mut self, row: Row<'_>, context: &Context) -> Written {
        match row.change {
            Change::Insert if self.gone.is_empty() => self.write(row, context),
            Change::Insert | Change::UpdateAfter => {
                let key = self.key_of(row, context);
                self.gone.remove(&key);
                self.write(row, context)
            }
            Change::UpdateBefore | Change::Delete => {
                let key = self.key_of(row, context);
                let full = self.gone.len() >= GONE_MAX;
                let more = if full { self.settle() } else { Written::default() };
                let mut line = Vec::new();
                let columns = self.key.iter().map(|(column, _)| *column);
                self.encoder.encode_gone(&row, columns, context, &mut line);
                self.gone.insert(key, line);
                more
            }
        }
    }

    /// Nothing more comes for now: what went and has not come again has gone away.
    pub(super) fn settle(&mut self) -> Written {
        let mut done = Written::default();
        for line in std::mem::take(&mut self.gone).into_values() {
            let count = if line.is_empty() { &mut done.refused } else { &mut done.rows };
            *count += 1;
            self.lines.extend_from_slice(&line);
        }
        let Some(held) = self.held.take() else { return done };
        if self.mode != SinkMode::Changelog {
            return Written { refused: done.refused + 1, ..done };
        }
        self.lines.extend_from_slice(&held.gone);
        Written { rows: done.rows + 1, ..done }
    }

    fn write(&mut self, row: Row<'_>, context: &Context) -> Written {
        self.encoder.encode(&row, context, &mut self.lines);
        Written { rows: 1, refused: 0 }
    }

    /// Equal for equal keys; without a primary key any two neighbours make a pair.
    fn key_of(&self, row: Row<'_>, context: &Context) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (column, data_type) in &self.key {
            let value = row.datum(*column);
            bytes.push(u8::from(value.is_null()));
            if value.is_null() {
                continue;
            }
            if data_type.is_referring() {
                let text = context.bytes(value.slot);
                bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                bytes.extend_from_slice(text);
            } else {
                [value.slot.0, value.slot.1]
                    .iter()
                    .for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
            }
        }
        bytes
    }
}

/// Keys that are kept until the next checkpoint tells whether they come again.
const GONE_MAX: usize = 4096;

#[cfg(test)]
mod tests;
