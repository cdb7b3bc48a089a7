//! The aggregate calls of one step: bound, reduced to shared accumulators, added up, finished.
//!
//! Guarantees: `AVG(v)` and `SUM(v)` under the same condition share one sum. Where rows are taken
//! away as well as added ([`Calls::bind_changing`]), a result is that of the rows that are left.
//! It does not know what a pane is.

use alloc::{boxed::Box, format, vec::Vec};

use super::{
    Accumulator, Arguments, Binding, Finish, Kind, accumulator, bind, collect, listagg, mean,
    partial_type, percentile, plain,
};
use crate::{
    context::Context,
    expr::{CompileError, Literal},
    fragment::AggregateSpec,
    row::Row,
    slot::Datum,
    types::DataType,
};

/// One accumulator of the step: what, of which column, under which condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it keeps.
    pub kind: Kind,
    /// The column that it takes and its type; `None` counts rows.
    pub arg: Option<(usize, DataType)>,
    /// The boolean column of the FILTER clause.
    pub filter: Option<usize>,
    /// The column that says how often a value counts.
    pub weight: Option<usize>,
}

impl Part {
    fn arg_type(&self) -> Option<&DataType> {
        self.arg.as_ref().map(|(_, data_type)| data_type)
    }

    /// The value that a row gives it; `None` when the condition leaves the row out.
    fn value(&self, row: Row<'_>) -> Option<Datum> {
        if self.filter.is_some_and(|column| !row.datum(column).is_true()) {
            return None;
        }
        Some(self.arg.as_ref().map_or(Datum::bool(true), |(column, _)| row.datum(*column)))
    }

    /// How often a row's value counts.
    fn times(&self, row: Row<'_>) -> Option<i64> {
        let weight = row.datum(self.weight?);
        Some(if weight.is_null() { 0 } else { weight.slot.as_i64().max(0) })
    }
}

/// How one call is finished: positions among the parts.
#[derive(Clone, Debug)]
struct Call {
    parts: Vec<usize>,
    finish: Finish,
    result: DataType,
    params: Vec<Literal>,
    /// With DISTINCT: what the values are given to once each, and how that is finished.
    distinct: Option<Binding>,
}

/// The calls of a step.
#[derive(Clone, Debug)]
pub struct Calls {
    parts: Vec<Part>,
    calls: Vec<Call>,
}

impl Calls {
    /// For rows that are only added.
    pub fn bind(specs: &[AggregateSpec]) -> Result<Self, CompileError> {
        Self::bind_with(specs, Ok)
    }

    /// For rows that are also taken away. An aggregate that cannot follow that is an error.
    pub fn bind_changing(specs: &[AggregateSpec]) -> Result<Self, CompileError> {
        Self::bind_with(specs, changing)
    }

    fn bind_with(
        specs: &[AggregateSpec],
        adapt: fn(Binding) -> Result<Binding, &'static str>,
    ) -> Result<Self, CompileError> {
        let (mut parts, mut calls) = (Vec::new(), Vec::new());
        for spec in specs {
            let arg_type = spec.arg.as_ref().map(|(_, data_type)| data_type);
            let arguments =
                Arguments { arg: arg_type, params: &spec.params, is_distinct: spec.distinct };
            let bound = bind(&spec.function, &arguments).map_err(CompileError)?;
            let distinct = match bound.finish {
                Finish::Distinct => Some(plain(&spec.function, &arguments).map_err(CompileError)?),
                _ => None,
            };
            let bound =
                adapt(bound).map_err(|why| CompileError(format!("{} {why}", spec.function)))?;
            let positions = bound.kinds.iter().map(|&kind| {
                let (arg, filter, weight) = (spec.arg.clone(), spec.filter, spec.weight);
                let part = Part { kind, arg, filter, weight };
                parts.iter().position(|p| *p == part).unwrap_or_else(|| {
                    parts.push(part);
                    parts.len() - 1
                })
            });
            let positions = positions.collect();
            calls.push(Call {
                parts: positions,
                finish: bound.finish,
                result: bound.result,
                params: spec.params.clone(),
                distinct,
            });
        }
        Ok(Calls { parts, calls })
    }

    /// The accumulators they share, in the order of their states.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// An accumulator for each part.
    pub fn accumulators(&self) -> Vec<Box<dyn Accumulator>> {
        self.parts.iter().map(|part| accumulator(part.kind, part.arg_type())).collect()
    }

    /// The type of each part's unfinished state.
    pub fn partial_types(&self) -> Vec<DataType> {
        self.parts.iter().map(|part| partial_type(part.kind, part.arg_type())).collect()
    }

    /// The type of each call's result.
    pub fn results(&self) -> impl ExactSizeIterator<Item = &DataType> {
        self.calls.iter().map(|call| &call.result)
    }

    /// How many calls.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a row to the states of a pane.
    pub fn add(
        &self,
        states: &mut [Box<dyn Accumulator>],
        pane: usize,
        row: Row<'_>,
        context: &mut Context,
    ) {
        for (part, state) in self.parts.iter().zip(states) {
            let Some(value) = part.value(row) else { continue };
            match part.times(row) {
                None => state.add(pane, value, context),
                Some(times) => state.add_times(pane, value, times, context),
            }
        }
    }

    /// Takes a row away that was added before; for calls bound with
    /// [`bind_changing`](Calls::bind_changing).
    pub fn remove(
        &self,
        states: &mut [Box<dyn Accumulator>],
        pane: usize,
        row: Row<'_>,
        context: &mut Context,
    ) {
        for (part, state) in self.parts.iter().zip(states) {
            let Some(value) = part.value(row) else { continue };
            match part.times(row) {
                None => state.remove(pane, value, context),
                Some(times) => state.add_times(pane, value, -times, context),
            }
        }
    }

    /// The result of call number `index` over a pane.
    pub fn finish(
        &self,
        states: &[Box<dyn Accumulator>],
        index: usize,
        pane: usize,
        context: &mut Context,
    ) -> Datum {
        let call = &self.calls[index];
        let part = |n: usize| &*states[call.parts[n]];
        let arg = self.parts[call.parts[0]].arg_type();
        match &call.distinct {
            Some(binding) => {
                let nulls = call.parts.get(1).map(|n| states[*n].value(pane, context));
                let has_null = nulls.is_some_and(|nulls| nulls.slot.as_i64() > 0);
                call.distinct((part(0), has_null), binding, pane, arg, context)
            }
            None => call.finish(call.finish, &part, pane, arg, context),
        }
    }
}

impl Call {
    /// The function over each value of a state once, and over NULL where there is one.
    fn distinct(
        &self,
        (values, has_null): (&dyn Accumulator, bool),
        binding: &Binding,
        pane: usize,
        arg: Option<&DataType>,
        context: &mut Context,
    ) -> Datum {
        let mut states: Vec<Box<dyn Accumulator>> =
            binding.kinds.iter().map(|kind| accumulator(*kind, arg)).collect();
        for state in &mut states {
            state.reserve(1);
            values.each(pane, &mut |value, _| state.add(0, value, context));
            if has_null {
                state.add(0, Datum::NULL, context);
            }
        }
        let result = self.finish(binding.finish, &|n| &*states[n], 0, arg, context);
        for state in &mut states {
            state.clear(0, context);
        }
        result
    }

    fn finish<'a>(
        &self,
        finish: Finish,
        part: &dyn Fn(usize) -> &'a dyn Accumulator,
        pane: usize,
        arg: Option<&DataType>,
        context: &mut Context,
    ) -> Datum {
        match finish {
            Finish::Value => part(0).value(pane, context),
            Finish::Counted => match part(1).value(pane, context).slot.as_i64() {
                0 => Datum::NULL,
                _ => part(0).value(pane, context),
            },
            Finish::Mean => {
                let total = part(0).total(pane, context);
                let count = part(1).value(pane, context).slot.as_i64();
                mean(total, count, arg, &self.result)
            }
            Finish::Percentile => percentile::finish(part(0), pane, &self.params, arg, context),
            Finish::Collected => collect::finish(part(0), pane, arg, context),
            Finish::Joined => listagg::finish(part(0), pane, &self.params, context),
            finish => part(0).moment(pane, finish),
        }
    }
}

/// What a call needs where rows are taken away as well: a sum has to know when it is empty, an
/// extreme all its values.
fn changing(bound: Binding) -> Result<Binding, &'static str> {
    let kinds = |kinds: &[Kind]| kinds.to_vec();
    let (kinds, finish) = match (bound.kinds.as_slice(), bound.finish) {
        ([sum @ (Kind::IntegerSum | Kind::DecimalSum | Kind::ExactSum)], Finish::Value) => {
            (kinds(&[*sum, Kind::Count]), Finish::Counted)
        }
        ([Kind::Min], _) => (kinds(&[Kind::Values]), Finish::Smallest),
        ([Kind::Max], _) => (kinds(&[Kind::Values]), Finish::Largest),
        (all, finish) if all.iter().all(|kind| kind.can_remove()) => (kinds(all), finish),
        _ => return Err("does not follow rows that change later"),
    };
    Ok(Binding { kinds, finish, ..bound })
}

#[cfg(test)]
mod tests;
