//! Places for rows of one width, used again when a row goes. Texts are symbols here; those of key
//! columns are the key's own, which outlives its rows, so they are neither looked up nor counted.

use alloc::vec::Vec;

use crate::{
    context::Context,
    memory,
    row::Row,
    slot::{BytesRef, Slot},
    types::DataType,
};

/// Stored values.
pub(crate) struct Slab {
    types: Vec<DataType>,
    /// Slots of a place: bitmap, values, and the room behind them for what its owner appends.
    stride: usize,
    /// Columns with texts of the key, and their positions in it.
    keyed: Vec<(usize, usize)>,
    /// Other columns with texts.
    texts: Vec<usize>,
    /// Of each place the NULL bitmap, then the values: what is read together lies together.
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slab {
    /// For rows of these types whose key is in the columns `key`.
    pub(crate) fn new(types: &[DataType], key: &[usize]) -> Self {
        Self::with_room(types, key, 0)
    }

    /// The same with so many slots behind each row.
    pub(crate) fn with_room(types: &[DataType], key: &[usize], room: usize) -> Self {
        let referring = (0..types.len()).filter(|&column| types[column].is_referring());
        let position = |column: usize| key.iter().position(|&k| k == column);
        let (keyed, texts): (Vec<_>, Vec<_>) =
            referring.partition(|&column| position(column).is_some());
        let keyed = keyed.into_iter().filter_map(|column| Some((column, position(column)?)));
        Slab {
            types: types.to_vec(),
            stride: 1 + types.len() + room,
            keyed: keyed.collect(),
            texts,
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn types(&self) -> &[DataType] {
        &self.types
    }

    #[inline]
    fn at(&self, place: u32) -> usize {
        place as usize * self.stride
    }

    pub(crate) fn get(&self, place: u32) -> Row<'_> {
        let place = &self.slots[self.at(place)..][..=self.types.len()];
        Row::insert(&place[1..], place[0].0)
    }

    /// The values of a row with the room behind them, and its NULL bitmap.
    #[inline]
    pub(crate) fn get_mut(&mut self, place: u32) -> (&mut [Slot], u64) {
        let at = self.at(place);
        match self.slots[at..at + self.stride].split_first_mut() {
            Some((nulls, slots)) => (slots, nulls.0),
            None => (&mut [], 0),
        }
    }

    /// Reads a row for nothing but that it is read; see [`super::Rows::fetch`].
    pub(super) fn fetch(&self, place: u32) -> u64 {
        let at = self.at(place);
        let ends = [self.slots.get(at), self.slots.get(at + self.types.len())];
        ends.into_iter().flatten().fold(0, |all, slot| all ^ slot.0)
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
    #[inline]
    pub(crate) fn store(&mut self, row: Row<'_>, key: &[Slot], cx: &mut Context) -> Option<u32> {
        self.store_here(row, key, cx)
    }

    /// The same without a call.
    #[inline(always)]
    pub(crate) fn store_here(
        &mut self,
        row: Row<'_>,
        key: &[Slot],
        cx: &mut Context,
    ) -> Option<u32> {
        let place = self.free.pop().unwrap_or_else(|| self.grow());
        let at = self.at(place);
        let (nulls, slots) = self.slots[at..at + self.stride].split_first_mut()?;
        *nulls = Slot(row.nulls, 0);
        // Not copied as one: a call costs more than the few columns of most rows.
        slots.iter_mut().zip(row.slots).for_each(|(own, slot)| *own = *slot);
        for &(column, position) in &self.keyed {
            if !row.is_null(column) {
                slots[column] = key[position];
            }
        }
        match self.texts.is_empty() {
            true => Some(place),
            false => self.store_texts(place, row, cx),
        }
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        let place = self.slots.len() / self.stride;
        self.slots.resize(self.slots.len() + self.stride, Slot::ZERO);
        u32::try_from(place).expect("rows_max fits 32 bits")
    }

    /// Makes the texts of a row symbols; `None`, and its place is free, when there is no room.
    #[inline(never)]
    fn store_texts(&mut self, place: u32, row: Row<'_>, cx: &mut Context) -> Option<u32> {
        let at = self.at(place) + 1;
        for (index, &column) in self.texts.iter().enumerate() {
            if row.is_null(column) {
                continue;
            }
            let Some(id) = cx.intern(row.slots[column]) else {
                self.give_back(place, index, cx);
                return None;
            };
            cx.symbols.retain(id);
            self.slots[at + column] = Slot::symbol(id);
        }
        Some(place)
    }

    #[inline]
    pub(crate) fn release(&mut self, place: u32, cx: &mut Context) {
        match self.texts.len() {
            0 => self.free.push(place),
            texts => self.give_back(place, texts, cx),
        }
    }

    /// Columns with texts that are not the key's: they are symbols that the row counts.
    pub(crate) fn texts(&self) -> &[usize] {
        &self.texts
    }

    /// Frees a place whose texts somebody else counts from now on.
    #[inline]
    pub(crate) fn hand_over(&mut self, place: u32) {
        self.free.push(place);
    }

    /// Frees a place of which the first `stored` texts are counted.
    fn give_back(&mut self, place: u32, stored: usize, cx: &mut Context) {
        for &column in &self.texts[..stored] {
            let row = self.get(place);
            if let BytesRef::Symbol(id) = row.slots[column].bytes_ref()
                && !row.is_null(column)
            {
                cx.symbols.release(id);
            }
        }
        self.free.push(place);
    }

    pub(crate) fn memory_bytes_max(&self, rows_max: usize) -> usize {
        memory::vec_bytes::<Slot>(rows_max * self.stride) + memory::vec_bytes::<u32>(rows_max)
    }
}
