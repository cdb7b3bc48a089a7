//! COUNT.

use alloc::{vec, vec::Vec};

use super::{Accumulator, Aggregate, Binding, Finish, Kind};
use crate::{context::Context, slot::Datum, types::DataType};

/// `COUNT(*)` and `COUNT(x)`.
pub(super) const COUNT: Aggregate = Aggregate {
    name: "COUNT",
    bind: |call| {
        call.single()?;
        let result = DataType::BigInt;
        Ok(Binding { kinds: vec![Kind::Count], finish: Finish::Value, result })
    },
};

pub(super) struct Count {
    counts: Vec<i64>,
    /// Whether NULLs are counted rather than the other values.
    of_nulls: bool,
}

impl Count {
    pub(super) fn of_values() -> Self {
        Count { counts: Vec::new(), of_nulls: false }
    }

    pub(super) fn of_nulls() -> Self {
        Count { counts: Vec::new(), of_nulls: true }
    }
}

impl Accumulator for Count {
    fn reserve(&mut self, count: usize) {
        self.counts.resize(count.max(self.counts.len()), 0);
    }

    fn clear(&mut self, pane: usize, _: &mut Context) {
        self.counts[pane] = 0;
    }

    fn add(&mut self, pane: usize, value: Datum, _: &mut Context) {
        self.counts[pane] += i64::from(value.is_null() == self.of_nulls);
    }

    fn remove(&mut self, pane: usize, value: Datum, _: &mut Context) {
        self.counts[pane] -= i64::from(value.is_null() == self.of_nulls);
    }

    fn merge(&mut self, pane: usize, partial: Datum, _: &mut Context) {
        self.counts[pane] = self.counts[pane].saturating_add(partial.slot.as_i64());
    }

    fn merge_pane(&mut self, into: usize, from: usize, _: &mut Context) {
        self.counts[into] += self.counts[from];
    }

    fn partial(&self, pane: usize, _: &mut Context) -> Datum {
        Datum::i64(self.counts[pane])
    }

    fn value(&self, pane: usize, _: &mut Context) -> Datum {
        Datum::i64(self.counts[pane])
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<i64>()
    }
}
