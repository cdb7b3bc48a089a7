//! SUM and AVG: integers wrap as in Flink, decimals overflow to NULL, doubles are exact.

use alloc::{format, string::String, vec, vec::Vec};

use super::{Accumulator, Aggregate, Binding, Finish, Kind};
use crate::{
    context::Context,
    decimal::{self, DecimalType},
    exact::ExactSum,
    slot::{Datum, Slot},
    types::DataType,
};

/// `SUM(x)`.
pub(super) const SUM: Aggregate = Aggregate {
    name: "SUM",
    bind: |call| {
        let (kind, arg) = kind_of("SUM", call.single()?)?;
        let result = match arg {
            DataType::Decimal { scale, .. } => DataType::Decimal { precision: 38, scale: *scale },
            other => other.clone(),
        };
        Ok(Binding { kinds: vec![kind], finish: Finish::Value, result })
    },
};

/// `AVG(x)`: of integers an integer, truncated toward zero, summed in 64 bits.
pub(super) const AVG: Aggregate = Aggregate {
    name: "AVG",
    bind: |call| {
        let (kind, arg) = kind_of("AVG", call.single()?)?;
        let result = match arg {
            DataType::Decimal { precision, scale } => {
                let DecimalType { precision, scale } =
                    DecimalType::new(*precision, *scale).of_average();
                DataType::Decimal { precision, scale }
            }
            other => other.clone(),
        };
        Ok(Binding { kinds: vec![kind, Kind::Count], finish: Finish::Mean, result })
    },
};

fn kind_of<'a>(name: &str, arg: Option<&'a DataType>) -> Result<(Kind, &'a DataType), String> {
    match arg {
        Some(t) if t.is_integer() => Ok((Kind::IntegerSum, t)),
        Some(t) if t.is_approximate() => Ok((Kind::ExactSum, t)),
        Some(t @ DataType::Decimal { .. }) => Ok((Kind::DecimalSum, t)),
        Some(other) => Err(format!("{name} takes a number, not {other}")),
        None => Err(format!("{name} takes one argument")),
    }
}

/// Sum of integers in 64 bits; `SUM` of a narrower type wraps when it is finished.
pub(super) struct IntegerSum {
    arg: DataType,
    sums: Vec<Option<i64>>,
}

impl IntegerSum {
    pub(super) fn new(arg: DataType) -> Self {
        IntegerSum { arg, sums: Vec::new() }
    }

    fn plus(&mut self, pane: usize, value: i64) {
        let sum = &mut self.sums[pane];
        *sum = Some(sum.unwrap_or(0).wrapping_add(value));
    }
}

/// Wraps a sum to the width of its type, as Flink's generated code does.
#[expect(clippy::cast_possible_truncation, reason = "wrapping is the semantics")]
pub(super) fn wrap(value: i64, data_type: &DataType) -> i64 {
    match data_type {
        DataType::TinyInt => i64::from(value as i8),
        DataType::SmallInt => i64::from(value as i16),
        DataType::Int => i64::from(value as i32),
        _ => value,
    }
}

impl Accumulator for IntegerSum {
    fn reserve(&mut self, count: usize) {
        self.sums.resize(count.max(self.sums.len()), None);
    }

    fn clear(&mut self, pane: usize, _: &mut Context) {
        self.sums[pane] = None;
    }

    fn add(&mut self, pane: usize, value: Datum, _: &mut Context) {
        if !value.is_null() {
            self.plus(pane, value.slot.as_i64());
        }
    }

    fn remove(&mut self, pane: usize, value: Datum, _: &mut Context) {
        if !value.is_null() {
            self.plus(pane, value.slot.as_i64().wrapping_neg());
        }
    }

    fn merge(&mut self, pane: usize, partial: Datum, context: &mut Context) {
        self.add(pane, partial, context);
    }

    fn merge_pane(&mut self, into: usize, from: usize, _: &mut Context) {
        if let Some(sum) = self.sums[from] {
            self.plus(into, sum);
        }
    }

    fn partial(&self, pane: usize, _: &mut Context) -> Datum {
        self.sums[pane].map_or(Datum::NULL, Datum::i64)
    }

    fn value(&self, pane: usize, _: &mut Context) -> Datum {
        self.sums[pane].map_or(Datum::NULL, |sum| Datum::i64(wrap(sum, &self.arg)))
    }

    fn total(&self, pane: usize, _: &mut Context) -> Datum {
        self.sums[pane].map_or(Datum::NULL, Datum::i64)
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Option<i64>>()
    }
}

/// Sum of decimals; `None` inside `Some` marks an overflow.
#[derive(Default)]
pub(super) struct DecimalSum {
    sums: Vec<Option<Option<i128>>>,
}

impl DecimalSum {
    fn plus(&mut self, pane: usize, value: Option<i128>) {
        let sum = self.sums[pane].unwrap_or(Some(0));
        self.sums[pane] = Some(match (sum, value) {
            (Some(a), Some(b)) => {
                a.checked_add(b).and_then(|sum| decimal::checked(sum, decimal::PRECISION_MAX))
            }
            _ => None,
        });
    }
}

impl Accumulator for DecimalSum {
    fn reserve(&mut self, count: usize) {
        self.sums.resize(count.max(self.sums.len()), None);
    }

    fn clear(&mut self, pane: usize, _: &mut Context) {
        self.sums[pane] = None;
    }

    fn add(&mut self, pane: usize, value: Datum, _: &mut Context) {
        if !value.is_null() {
            self.plus(pane, Some(value.slot.as_i128()));
        }
    }

    fn remove(&mut self, pane: usize, value: Datum, _: &mut Context) {
        if !value.is_null() {
            self.plus(pane, Some(-value.slot.as_i128()));
        }
    }

    fn merge(&mut self, pane: usize, partial: Datum, context: &mut Context) {
        if !partial.is_null() {
            let bytes = context.bytes(partial.slot);
            let value = bytes.try_into().ok().map(i128::from_le_bytes);
            self.plus(pane, value);
        }
    }

    fn merge_pane(&mut self, into: usize, from: usize, _: &mut Context) {
        if let Some(sum) = self.sums[from] {
            self.plus(into, sum);
        }
    }

    fn partial(&self, pane: usize, context: &mut Context) -> Datum {
        match self.sums[pane] {
            None => Datum::NULL,
            Some(None) => context.put_bytes(&[]),
            Some(Some(sum)) => context.put_bytes(&sum.to_le_bytes()),
        }
    }

    fn value(&self, pane: usize, _: &mut Context) -> Datum {
        match self.sums[pane] {
            Some(Some(sum)) => Datum::of(Slot::i128(sum)),
            _ => Datum::NULL,
        }
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Option<Option<i128>>>()
    }
}

/// Exact sum of doubles: correctly rounded, the same in any order and split.
pub(super) struct DoubleSum {
    arg: DataType,
    sums: Vec<Option<ExactSum>>,
    scratch: core::cell::RefCell<Vec<u8>>,
}

impl DoubleSum {
    pub(super) fn new(arg: DataType) -> Self {
        DoubleSum { arg, sums: Vec::new(), scratch: core::cell::RefCell::default() }
    }
}

/// A double in the precision of its type.
#[expect(clippy::cast_possible_truncation, reason = "FLOAT has the precision of f32")]
pub(super) fn round_to(value: f64, data_type: &DataType) -> f64 {
    match data_type {
        DataType::Float => f64::from(value as f32),
        _ => value,
    }
}

impl Accumulator for DoubleSum {
    fn reserve(&mut self, count: usize) {
        self.sums.resize_with(count.max(self.sums.len()), || None);
    }

    fn clear(&mut self, pane: usize, _: &mut Context) {
        self.sums[pane] = None;
    }

    fn add(&mut self, pane: usize, value: Datum, _: &mut Context) {
        if !value.is_null() {
            self.sums[pane].get_or_insert_with(ExactSum::default).add(value.slot.as_f64());
        }
    }

    fn remove(&mut self, pane: usize, value: Datum, _: &mut Context) {
        if !value.is_null() {
            self.sums[pane].get_or_insert_with(ExactSum::default).sub(value.slot.as_f64());
        }
    }

    fn merge(&mut self, pane: usize, partial: Datum, context: &mut Context) {
        if partial.is_null() {
            return;
        }
        if let Some((sum, _)) = ExactSum::decode(context.bytes(partial.slot)) {
            self.sums[pane].get_or_insert_with(ExactSum::default).merge(&sum);
        }
    }

    fn merge_pane(&mut self, into: usize, from: usize, _: &mut Context) {
        if let Ok([into, from]) = self.sums.get_disjoint_mut([into, from])
            && let Some(sum) = from
        {
            into.get_or_insert_with(ExactSum::default).merge(sum);
        }
    }

    fn partial(&self, pane: usize, context: &mut Context) -> Datum {
        let Some(sum) = &self.sums[pane] else {
            return Datum::NULL;
        };
        let mut bytes = self.scratch.borrow_mut();
        bytes.clear();
        sum.encode(&mut bytes);
        context.put_bytes(&bytes)
    }

    fn value(&self, pane: usize, _: &mut Context) -> Datum {
        let sum = self.sums[pane].as_ref();
        sum.map_or(Datum::NULL, |sum| Datum::f64(round_to(sum.value(), &self.arg)))
    }

    fn total(&self, pane: usize, _: &mut Context) -> Datum {
        self.sums[pane].as_ref().map_or(Datum::NULL, |sum| Datum::f64(sum.value()))
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Option<ExactSum>>()
    }
}

/// A total over a count, in the type of the result.
pub(super) fn mean(total: Datum, count: i64, arg: Option<&DataType>, result: &DataType) -> Datum {
    if total.is_null() || count == 0 {
        return Datum::NULL;
    }
    match (arg, result) {
        (Some(DataType::Decimal { scale: from, .. }), DataType::Decimal { precision, scale }) => {
            let to = DecimalType::new(*precision, *scale);
            let quotient = decimal::div(total.slot.as_i128(), *from, i128::from(count), 0, to);
            quotient.map_or(Datum::NULL, |v| Datum::of(Slot::i128(v)))
        }
        (_, t) if t.is_integer() => Datum::i64(wrap(total.slot.as_i64() / count, t)),
        #[expect(clippy::cast_precision_loss, reason = "a count is below 2^53")]
        _ => Datum::f64(round_to(total.slot.as_f64() / count as f64, result)),
    }
}
