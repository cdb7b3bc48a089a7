//! The key of the row that is looked at, with its texts as symbols.

use alloc::{vec, vec::Vec};

use crate::{
    context::{Context, Fault},
    keys::hash_key,
    row::Row,
    slot::{BytesRef, Slot},
    types::DataType,
};

/// The key.
pub(super) struct Probe {
    pub(super) types: Vec<DataType>,
    pub(super) slots: Vec<Slot>,
    /// NULL bitmap of the slots.
    pub(super) nulls: u64,
    pub(super) hash: u32,
}

/// A hash of 32 bits where a table takes bits from both ends of 64.
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Probe {
    pub(super) fn new(types: Vec<DataType>) -> Self {
        Probe { slots: vec![Slot::ZERO; types.len()], nulls: 0, hash: 0, types }
    }

    /// Takes the key of `row` from its `columns`. A text that is no symbol yet becomes one: who
    /// does not keep the key calls [`discard`](Probe::discard). `Err` when the symbol table is
    /// full.
    pub(super) fn take(
        &mut self,
        row: Row<'_>,
        columns: &[usize],
        cx: &mut Context,
    ) -> Result<(), Fault> {
        self.nulls = 0;
        for (index, &column) in columns.iter().enumerate() {
            let datum = row.datum(column);
            self.nulls |= u64::from(datum.is_null()) << index;
            let mut slot = if datum.is_null() { Slot::ZERO } else { datum.slot };
            if !datum.is_null() && self.types[index].is_referring() {
                let Some(id) = cx.intern(slot) else {
                    self.nulls |= u64::MAX << index;
                    self.discard(cx);
                    return Err(Fault::StateFull);
                };
                slot = Slot::symbol(id);
            }
            self.slots[index] = slot;
        }
        self.set_hash();
        Ok(())
    }

    pub(super) fn set_hash(&mut self) {
        let hash = hash_key(&self.slots, self.nulls);
        self.hash = u32::try_from(hash >> 32).expect("half of a word");
    }

    /// Gives symbols back that the probe alone made.
    pub(super) fn discard(&self, cx: &mut Context) {
        for (index, data_type) in self.types.iter().enumerate() {
            if data_type.is_referring()
                && self.nulls >> index & 1 == 0
                && let BytesRef::Symbol(id) = self.slots[index].bytes_ref()
            {
                cx.symbols.discard(id);
            }
        }
    }
}
