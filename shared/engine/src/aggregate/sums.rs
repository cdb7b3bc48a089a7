//! SUM, AVG and COUNT of plain columns over rows that come and go, by pane.
//!
//! What [`super::Calls`] gives when it is bound for rows that are taken away, with fewer
//! instructions a row: nothing is called through a table, and a sum and the count that says when
//! it is empty lie together. It has no unfinished form, so it is for states that are built again.

use alloc::vec::Vec;

use super::{Arguments, Finish, Kind, bind, mean, sum::round_to};
use crate::{
    exact::ExactSum,
    fragment::AggregateSpec,
    row::Row,
    slot::{Datum, Slot},
    types::DataType,
};

/// The calls and their states.
#[derive(Default)]
pub(crate) struct Sums {
    columns: Vec<Column>,
    calls: Vec<Call>,
    /// Of each call.
    types: Vec<Typed>,
    /// Of each pane one for each column.
    states: Vec<State>,
}

/// What is counted and added up.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Column {
    /// `None` counts rows.
    at: Option<usize>,
    is_double: bool,
}

#[derive(Clone, Default)]
struct State {
    sum: ExactSum,
    count: i64,
}

#[derive(Clone, Copy)]
struct Call {
    /// Position among the columns.
    column: usize,
    what: What,
}

/// Types of a call.
struct Typed {
    arg: Option<DataType>,
    result: DataType,
}

#[derive(Clone, Copy)]
enum What {
    Count,
    /// Of doubles: rounded once.
    Sum,
    /// Of floats: rounded again.
    FloatSum,
    Mean,
}

impl Sums {
    /// Takes a call on, if it is one of these; its number.
    pub(crate) fn accept(&mut self, spec: &AggregateSpec) -> Option<usize> {
        let arg = spec.arg.as_ref().map(|(_, data_type)| data_type);
        let arguments = Arguments { arg, params: &spec.params, is_distinct: spec.distinct };
        let bound = bind(&spec.function, &arguments).ok()?;
        let what = match (bound.kinds.as_slice(), bound.finish) {
            ([Kind::Count], Finish::Value) => What::Count,
            ([Kind::ExactSum], Finish::Value) if arg == Some(&DataType::Double) => What::Sum,
            ([Kind::ExactSum], Finish::Value) => What::FloatSum,
            ([Kind::ExactSum, Kind::Count], Finish::Mean) => What::Mean,
            _ => return None,
        };
        if spec.filter.is_some() || spec.weight.is_some() {
            return None;
        }
        let column = Column {
            at: spec.arg.as_ref().map(|(column, _)| *column),
            is_double: arg.is_some_and(DataType::is_approximate),
        };
        let column = self.columns.iter().position(|held| *held == column).unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        });
        self.calls.push(Call { column, what });
        self.types.push(Typed { arg: arg.cloned(), result: bound.result });
        Some(self.calls.len() - 1)
    }

    /// Makes room for panes below `count`.
    pub(crate) fn reserve(&mut self, count: usize) {
        let len = (count * self.columns.len()).max(self.states.len());
        self.states.resize(len, State::default());
    }

    /// Empties the state of a pane.
    pub(crate) fn clear(&mut self, pane: usize) {
        self.of(pane).for_each(|(_, state)| *state = State::default());
    }

    #[inline]
    fn of(&mut self, pane: usize) -> impl Iterator<Item = (Column, &mut State)> {
        let len = self.columns.len();
        let states = &mut self.states[pane * len..][..len];
        self.columns.iter().copied().zip(states)
    }

    /// Adds a row to a pane.
    #[inline]
    pub(crate) fn add(&mut self, pane: usize, row: Row<'_>) {
        if let [column] = self.columns[..] {
            // Most have one: no loop.
            if let Some(slot) = column.slot(row) {
                self.states[pane].add(column, slot.0);
            }
            return;
        }
        self.add_each(pane, row);
    }

    #[inline(never)]
    fn add_each(&mut self, pane: usize, row: Row<'_>) {
        for (column, state) in self.of(pane) {
            if let Some(slot) = column.slot(row) {
                state.add(column, slot.0);
            }
        }
    }

    /// Takes a row away that was added before.
    #[inline]
    pub(crate) fn remove(&mut self, pane: usize, row: Row<'_>) {
        for (column, state) in self.of(pane) {
            if let Some(slot) = column.slot(row) {
                state.remove(column, slot.0);
            }
        }
    }

    /// How many columns are counted or added up.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// What of a row is added and taken away: for the first column, and one bit for each that is
    /// NULL. The others go to `rest`.
    #[inline]
    pub(crate) fn arguments(&self, row: Row<'_>, rest: &mut [u64]) -> (u64, u64) {
        let argument = |index: usize| match self.columns[index].slot(row) {
            Some(slot) => (slot.0, 0),
            None => (0, 1 << index),
        };
        let (first, mut nulls) = argument(0);
        for (index, word) in (1..self.columns.len()).zip(rest) {
            let (own, null) = argument(index);
            *word = own;
            nulls |= null;
        }
        (first, nulls)
    }

    /// Takes a row away of which these are the [arguments](Sums::arguments).
    #[inline]
    pub(crate) fn take_away(&mut self, pane: usize, first: u64, nulls: u64, rest: &[u64]) {
        if let [column] = self.columns[..] {
            if nulls == 0 {
                self.states[pane].remove(column, first);
            }
            return;
        }
        self.take_away_each(pane, first, nulls, rest);
    }

    #[inline(never)]
    fn take_away_each(&mut self, pane: usize, first: u64, nulls: u64, rest: &[u64]) {
        let words = core::iter::once(&first).chain(rest);
        for (index, ((column, state), word)) in self.of(pane).zip(words).enumerate() {
            if nulls >> index & 1 == 0 {
                state.remove(column, *word);
            }
        }
    }

    /// Puts them back where they were in a row; `bitmap` becomes its own.
    pub(crate) fn put_back(
        &self,
        (first, nulls): (u64, u64),
        rest: &[u64],
        slots: &mut [Slot],
        bitmap: &mut u64,
    ) {
        let words = core::iter::once(&first).chain(rest);
        for (index, (column, word)) in self.columns.iter().zip(words).enumerate() {
            if let Some(at) = column.at.filter(|_| nulls >> index & 1 == 0) {
                slots[at] = Slot(*word, 0);
                *bitmap &= !(1 << at);
            }
        }
    }

    /// The results of these calls over a pane, and one bit for each that is NULL.
    #[inline]
    pub(crate) fn values(&self, pane: usize, calls: &[usize], slots: &mut [Slot]) -> u64 {
        let states = &self.states[pane * self.columns.len()..];
        let mut nulls = 0;
        for (index, (slot, &call)) in slots.iter_mut().zip(calls).enumerate() {
            let Call { column, what, .. } = self.calls[call];
            let State { sum, count } = &states[column];
            *slot = match what {
                What::Count => Slot::i64(*count),
                _ if *count == 0 => {
                    nulls |= 1 << index;
                    Slot::ZERO
                }
                What::Sum => Slot::f64(sum.value()),
                _ => self.value(pane, call).slot,
            };
        }
        nulls
    }

    /// The result of a call over a pane.
    pub(crate) fn value(&self, pane: usize, call: usize) -> Datum {
        let Call { column, what } = self.calls[call];
        let Typed { arg, result } = &self.types[call];
        let State { sum, count } = &self.states[pane * self.columns.len() + column];
        match (what, arg) {
            (What::Count, _) => Datum::i64(*count),
            _ if *count == 0 => Datum::NULL,
            (What::Sum | What::FloatSum, Some(arg)) => Datum::f64(round_to(sum.value(), arg)),
            _ => mean(Datum::f64(sum.value()), *count, arg.as_ref(), result),
        }
    }

    /// Bytes of the state of a pane.
    pub(crate) fn bytes_per_pane(&self) -> usize {
        self.columns.len() * size_of::<State>()
    }
}

impl State {
    #[inline]
    fn add(&mut self, column: Column, word: u64) {
        self.count += 1;
        if column.is_double {
            self.sum.add(f64::from_bits(word));
        }
    }

    #[inline]
    fn remove(&mut self, column: Column, word: u64) {
        self.count -= 1;
        if column.is_double {
            self.sum.sub(f64::from_bits(word));
        }
    }
}

impl Column {
    /// The value that a row gives it; `None` for NULL.
    #[inline]
    fn slot(self, row: Row<'_>) -> Option<Slot> {
        match self.at {
            None => Some(Slot::ZERO),
            Some(column) => (!row.is_null(column)).then(|| row.slots[column]),
        }
    }
}
