//! Places for rows of one width, used again when a row goes. Texts are symbols here; those of key
//! columns are the key's own, so they are not looked up again.

use alloc::vec::Vec;

use crate::{
    context::Context,
    keys, memory,
    row::Row,
    slot::{BytesRef, Slot},
    types::DataType,
};

/// Where a column's value comes from when a row is stored.
#[derive(Clone, Copy)]
enum Origin {
    /// The slot as it is.
    Plain,
    /// The column of this number in the key.
    Key(usize),
    /// Text that must become a symbol.
    Text,
}

/// Stored values.
pub(super) struct Slab {
    types: Vec<DataType>,
    origins: Vec<Origin>,
    slots: Vec<Slot>,
    nulls: Vec<u64>,
    free: Vec<u32>,
}

impl Slab {
    /// For rows of these types whose key is in the columns `key`.
    pub(super) fn new(types: &[DataType], key: &[usize]) -> Self {
        let origin = |(column, data_type): (usize, &DataType)| {
            if !data_type.is_referring() {
                return Origin::Plain;
            }
            key.iter().position(|&k| k == column).map_or(Origin::Text, Origin::Key)
        };
        Slab {
            types: types.to_vec(),
            origins: types.iter().enumerate().map(origin).collect(),
            slots: Vec::new(),
            nulls: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn types(&self) -> &[DataType] {
        &self.types
    }

    pub(super) fn get(&self, place: u32) -> Row<'_> {
        let width = self.types.len();
        let at = place as usize * width;
        Row::insert(&self.slots[at..at + width], self.nulls[place as usize])
    }

    /// Reads a row for nothing but that it is read; see [`super::Rows::fetch`].
    pub(super) fn fetch(&self, place: u32) -> u64 {
        let width = self.types.len();
        let at = place as usize * width;
        let ends = [self.slots.get(at), self.slots.get(at + width - 1)];
        ends.into_iter().flatten().fold(0, |all, slot| all ^ slot.0[0])
    }

    /// Whether a stored row has the values of another one.
    pub(super) fn is_equal(&self, place: u32, row: Row<'_>, cx: &Context) -> bool {
        let own = self.get(place);
        own.nulls == row.nulls
            && self.types.iter().enumerate().all(|(column, data_type)| {
                let (a, b) = (own.slots[column], row.slots[column]);
                a == b
                    || row.is_null(column)
                    || (data_type.is_referring() && cx.bytes(a) == cx.bytes(b))
            })
    }

    /// Keeps a row whose key is `key`; `None` when the symbol table is full.
    pub(super) fn store(&mut self, row: Row<'_>, key: &[Slot], cx: &mut Context) -> Option<u32> {
        let width = self.types.len();
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.resize(self.slots.len() + width, Slot::ZERO);
            self.nulls.push(0);
            u32::try_from(self.nulls.len() - 1).expect("rows_max fits 32 bits")
        });
        let at = place as usize * width;
        self.nulls[place as usize] = row.nulls;
        self.slots[at..at + width].copy_from_slice(row.slots);
        for (index, origin) in self.origins.iter().enumerate() {
            if matches!(origin, Origin::Plain) || row.is_null(index) {
                continue;
            }
            let slot = match *origin {
                Origin::Key(position) => key[position],
                _ => row.slots[index],
            };
            let id = match slot.bytes_ref() {
                BytesRef::Symbol(id) => Some(id),
                BytesRef::Arena(offset, len) => cx.symbols.intern(cx.arena.get(offset, len)),
            };
            let Some(id) = id else {
                self.give_back(place, index, cx);
                return None;
            };
            cx.symbols.retain(id);
            self.slots[at + index] = Slot::symbol(id);
        }
        Some(place)
    }

    pub(super) fn release(&mut self, place: u32, cx: &mut Context) {
        self.give_back(place, self.types.len(), cx);
    }

    /// Frees a place of which the first `stored` columns are filled.
    fn give_back(&mut self, place: u32, stored: usize, cx: &mut Context) {
        let row = self.get(place);
        for symbol in keys::symbols(&self.types[..stored], &row.slots[..stored], row.nulls) {
            cx.symbols.release(symbol);
        }
        self.free.push(place);
    }

    pub(super) fn memory_bytes_max(&self, rows_max: usize) -> usize {
        memory::vec_bytes::<Slot>(rows_max * self.types.len())
            + memory::vec_bytes::<u64>(rows_max)
            + memory::vec_bytes::<u32>(rows_max)
    }
}
