//! STDDEV and VAR, from the exact n, Σx and Σx²: no cancellation, 0 where all values are equal.

use alloc::{format, string::String, vec, vec::Vec};

use super::{Accumulator, Aggregate, Binding, Finish, Kind};
use crate::{context::Context, exact::ExactMoments, slot::Datum, types::DataType};

/// `STDDEV_POP(x)`.
pub(super) const STDDEV_POP: Aggregate =
    Aggregate { name: "STDDEV_POP", bind: |call| bind(call.single()?, Finish::StddevPop) };
/// `STDDEV_SAMP(x)`.
pub(super) const STDDEV_SAMP: Aggregate =
    Aggregate { name: "STDDEV_SAMP", bind: |call| bind(call.single()?, Finish::StddevSamp) };
/// `STDDEV(x)`, the same as `STDDEV_SAMP`.
pub(super) const STDDEV: Aggregate =
    Aggregate { name: "STDDEV", bind: |call| bind(call.single()?, Finish::StddevSamp) };
/// `VAR_POP(x)`.
pub(super) const VAR_POP: Aggregate =
    Aggregate { name: "VAR_POP", bind: |call| bind(call.single()?, Finish::VarPop) };
/// `VAR_SAMP(x)`.
pub(super) const VAR_SAMP: Aggregate =
    Aggregate { name: "VAR_SAMP", bind: |call| bind(call.single()?, Finish::VarSamp) };
/// `VARIANCE(x)`, the same as `VAR_SAMP`.
pub(super) const VARIANCE: Aggregate =
    Aggregate { name: "VARIANCE", bind: |call| bind(call.single()?, Finish::VarSamp) };

fn bind(arg: Option<&DataType>, finish: Finish) -> Result<Binding, String> {
    match arg {
        Some(DataType::Double) => {
            Ok(Binding { kinds: vec![Kind::Moments], finish, result: DataType::Double })
        }
        Some(other) => Err(format!("a deviation or variance takes a DOUBLE here, not {other}")),
        None => Err("a deviation or variance takes one argument".into()),
    }
}

#[derive(Default)]
pub(super) struct Moments {
    states: Vec<Option<ExactMoments>>,
    scratch: core::cell::RefCell<Vec<u8>>,
}

impl Accumulator for Moments {
    fn reserve(&mut self, count: usize) {
        self.states.resize_with(count.max(self.states.len()), || None);
    }

    fn clear(&mut self, pane: usize, _: &mut Context) {
        self.states[pane] = None;
    }

    fn add(&mut self, pane: usize, value: Datum, _: &mut Context) {
        if !value.is_null() {
            self.states[pane].get_or_insert_with(ExactMoments::default).add(value.slot.as_f64());
        }
    }

    fn remove(&mut self, pane: usize, value: Datum, _: &mut Context) {
        if !value.is_null() {
            self.states[pane].get_or_insert_with(ExactMoments::default).sub(value.slot.as_f64());
        }
    }

    fn merge(&mut self, pane: usize, partial: Datum, context: &mut Context) {
        if partial.is_null() {
            return;
        }
        if let Some((state, _)) = ExactMoments::decode(context.bytes(partial.slot)) {
            self.states[pane].get_or_insert_with(ExactMoments::default).merge(&state);
        }
    }

    fn merge_pane(&mut self, into: usize, from: usize, _: &mut Context) {
        if let Some(state) = self.states[from].clone() {
            self.states[into].get_or_insert_with(ExactMoments::default).merge(&state);
        }
    }

    fn partial(&self, pane: usize, context: &mut Context) -> Datum {
        let Some(state) = &self.states[pane] else {
            return Datum::NULL;
        };
        let mut bytes = self.scratch.borrow_mut();
        bytes.clear();
        state.encode(&mut bytes);
        context.put_bytes(&bytes)
    }

    fn value(&self, _: usize, _: &mut Context) -> Datum {
        Datum::NULL
    }

    fn moment(&self, pane: usize, finish: Finish) -> Datum {
        let Some(state) = &self.states[pane] else {
            return Datum::NULL;
        };
        let value = match finish {
            Finish::VarPop => state.var_pop(),
            Finish::VarSamp => state.var_samp(),
            Finish::StddevPop => state.stddev_pop(),
            Finish::StddevSamp => state.stddev_samp(),
            _ => None,
        };
        value.map_or(Datum::NULL, Datum::f64)
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Option<ExactMoments>>()
    }
}
