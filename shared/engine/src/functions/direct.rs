//! Functions of two values that a program computes without a call through a box: comparisons, and
//! arithmetic that cannot fail. Each is defined here or by whoever binds it, once: the boxed form
//! that every function has calls the same.

use core::cmp::Ordering;

use crate::{context::Context, slot::Slot, types::DataType};

/// A function of two values, none of them NULL, that gives a value.
#[derive(Clone, Copy)]
pub enum Direct {
    /// A truth value.
    Test(Test),
    /// Anything else that is computed from the slots alone.
    Map(fn(Slot, Slot) -> Slot),
    /// The same where some values have no result: then it gives NULL, by the last argument.
    MapSome(fn(Slot, Slot, &mut bool) -> Slot),
}

impl Direct {
    /// The value, or that it is NULL. Unlike a [`Datum`](crate::slot::Datum) it comes back in
    /// registers.
    #[inline]
    pub fn apply(self, a: Slot, b: Slot, cx: &Context, is_null: &mut bool) -> Slot {
        match self {
            Direct::Map(map) => map(a, b),
            Direct::MapSome(map) => map(a, b, is_null),
            Direct::Test(test) => test.value(a, b, cx),
        }
    }
}

/// How values of a type are compared by operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Integers and what is held as one.
    Ints,
    /// FLOAT and DOUBLE: NaN is neither equal to anything nor smaller nor larger.
    Doubles,
    /// DECIMAL of one scale.
    Decimals,
    /// Milliseconds, then nanoseconds.
    Times,
    /// Bytes outside of the row.
    Bytes,
}

impl Comparison {
    /// That of a type.
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float | DataType::Double => Comparison::Doubles,
            DataType::Decimal { .. } => Comparison::Decimals,
            t if t.is_timestamp() => Comparison::Times,
            t if t.is_referring() => Comparison::Bytes,
            _ => Comparison::Ints,
        }
    }

    /// How `a` stands to `b`.
    #[inline]
    pub(super) fn compare(self, a: Slot, b: Slot, cx: &Context) -> Option<Ordering> {
        match self {
            Comparison::Ints => Some(a.as_i64().cmp(&b.as_i64())),
            Comparison::Doubles => a.as_f64().partial_cmp(&b.as_f64()),
            Comparison::Decimals => Some(a.as_i128().cmp(&b.as_i128())),
            Comparison::Times => Some((a.as_i64(), a.nanos()).cmp(&(b.as_i64(), b.nanos()))),
            Comparison::Bytes => Some(cx.bytes(a).cmp(cx.bytes(b))),
        }
    }
}

/// A comparison and the outcomes for which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// How the values are compared.
    pub comparison: Comparison,
    /// One bit for each outcome.
    outcomes: u8,
}

/// The bit of an outcome.
#[inline]
fn bit(outcome: Option<Ordering>) -> u8 {
    match outcome {
        Some(Ordering::Less) => 1,
        Some(Ordering::Equal) => 2,
        Some(Ordering::Greater) => 4,
        None => 8,
    }
}

impl Test {
    pub(super) fn new(comparison: Comparison, holds: fn(Option<Ordering>) -> bool) -> Self {
        let all = [Some(Ordering::Less), Some(Ordering::Equal), Some(Ordering::Greater), None];
        let outcomes = all.into_iter().filter(|o| holds(*o)).map(bit).sum();
        Test { comparison, outcomes }
    }

    /// Whether it holds for an outcome.
    #[inline]
    pub fn admits(self, outcome: Option<Ordering>) -> bool {
        self.outcomes & bit(outcome) != 0
    }

    /// The same as a value.
    #[inline(never)]
    fn value(self, a: Slot, b: Slot, cx: &Context) -> Slot {
        Slot::bool(self.holds(a, b, cx))
    }

    /// Whether it holds between two values.
    #[inline]
    pub fn holds(self, a: Slot, b: Slot, cx: &Context) -> bool {
        self.admits(self.comparison.compare(a, b, cx))
    }
}
