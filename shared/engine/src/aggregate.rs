//! Aggregate functions: the list, and how a call is bound to accumulators.
//!
//! Calls are reduced to a few accumulators so that `AVG(v)` and `SUM(v)` share one sum, in state
//! and on the uplink. An accumulator holds one column of states, one for each pane; its unfinished
//! form is a typed value ([`Accumulator::partial`]) that merges exactly in any order.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use crate::{context::Context, expr::Literal, slot::Datum, types::DataType};

mod approx_count_distinct;
mod array_agg;
mod calls;
mod collect;
mod count;
mod list;
mod listagg;
mod min_max;
mod moments;
mod ordered;
mod percentile;
mod pool;
mod sum;
mod sums;
mod values;

pub use calls::{Calls, Part};
pub(crate) use sums::Sums;

/// What an accumulator keeps; equal kinds over the same column are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Number of rows, or of values that are not NULL.
    Count,
    /// Sum that wraps in 64 bits.
    IntegerSum,
    /// Sum of decimals in 128 bits; NULL once it overflows.
    DecimalSum,
    /// Exact sum of doubles.
    ExactSum,
    /// Exact n, Σx, Σx².
    Moments,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// First value to arrive.
    First,
    /// Last value to arrive.
    Last,
    /// All values, each with its count.
    Values,
    /// Number of NULLs.
    Nulls,
    /// Which values there are, roughly.
    Sketch,
    /// All values in order of arrival, without NULLs.
    List,
    /// The same with NULLs.
    ListWithNulls,
}

impl Kind {
    /// Whether [`Accumulator::remove`] undoes [`Accumulator::add`].
    pub fn can_remove(self) -> bool {
        match self {
            Kind::Count
            | Kind::IntegerSum
            | Kind::DecimalSum
            | Kind::ExactSum
            | Kind::Moments
            | Kind::Values
            | Kind::Nulls => true,
            Kind::Min
            | Kind::Max
            | Kind::First
            | Kind::Last
            | Kind::List
            | Kind::ListWithNulls
            | Kind::Sketch => false,
        }
    }

    /// For column names on the uplink and in state.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Count => "count",
            Kind::IntegerSum | Kind::DecimalSum | Kind::ExactSum => "sum",
            Kind::Moments => "moments",
            Kind::Min => "min",
            Kind::Max => "max",
            Kind::First => "first",
            Kind::Last => "last",
            Kind::Values => "values",
            Kind::Nulls => "nulls",
            Kind::Sketch => "sketch",
            Kind::List | Kind::ListWithNulls => "list",
        }
    }
}

/// How the result comes from the accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The value of the only accumulator.
    Value,
    /// The first accumulator's value, NULL when the second one counts nothing.
    Counted,
    /// The first accumulator's sum over the second one's count.
    Mean,
    /// Σ(x − mean)² / n.
    VarPop,
    /// Σ(x − mean)² / (n − 1), NULL for one value.
    VarSamp,
    /// Root of `VarPop`.
    StddevPop,
    /// Root of `VarSamp`.
    StddevSamp,
    /// The smallest of all values.
    Smallest,
    /// The largest of all values.
    Largest,
    /// The value at a fraction of all values.
    Percentile,
    /// The texts of the list, with the separator between them.
    Joined,
    /// What the function makes of each different value once; of NULL too, where a second
    /// accumulator counts some.
    Distinct,
    /// The values and their counts as a map.
    Collected,
}

/// An aggregate call bound to its argument type.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// What it needs.
    pub kinds: Vec<Kind>,
    /// How the result is made of it.
    pub finish: Finish,
    /// Type of the result.
    pub result: DataType,
}

/// What an aggregate function is called with.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    /// Type of the first argument; `None` for `*`.
    pub arg: Option<&'a DataType>,
    /// The arguments after it, which are constants.
    pub params: &'a [Literal],
    /// Each value counts once.
    pub is_distinct: bool,
}

impl<'a> Arguments<'a> {
    /// The argument of a function that takes no other.
    fn single(&self) -> Result<Option<&'a DataType>, String> {
        match self.params {
            [] => Ok(self.arg),
            _ => Err("this aggregate takes one argument".into()),
        }
    }
}

/// A named aggregate function.
pub struct Aggregate {
    /// Upper-case name.
    pub name: &'static str,
    /// Binds it to its arguments; the error is a lower-case sentence.
    pub bind: fn(&Arguments<'_>) -> Result<Binding, String>,
}

/// All aggregate functions.
pub const ALL: &[Aggregate] = &[
    count::COUNT,
    sum::SUM,
    sum::AVG,
    min_max::MIN,
    min_max::MAX,
    moments::STDDEV_POP,
    moments::STDDEV_SAMP,
    moments::STDDEV,
    moments::VAR_POP,
    moments::VAR_SAMP,
    moments::VARIANCE,
    ordered::FIRST_VALUE,
    ordered::LAST_VALUE,
    listagg::LISTAGG,
    array_agg::ARRAY_AGG,
    collect::COLLECT,
    approx_count_distinct::APPROX_COUNT_DISTINCT,
    percentile::PERCENTILE,
];

/// Binds the aggregate of this name, in any case. With DISTINCT its values are kept, and the
/// function is applied to each of them once in the end: [`plain`] tells which.
pub fn bind(name: &str, call: &Arguments<'_>) -> Result<Binding, String> {
    let bound = plain(name, call)?;
    // An extreme is the same of each value once.
    if !call.is_distinct || matches!(bound.kinds.as_slice(), [Kind::Min | Kind::Max]) {
        return Ok(bound);
    }
    match call.arg {
        None => Err("DISTINCT takes a column".into()),
        Some(t) if t.is_nested() || matches!(t, DataType::Null | DataType::Bytes) => {
            Err(format!("{name}(DISTINCT …) does not take {t} here"))
        }
        Some(_) => {
            let kinds = match bound.kinds.as_slice() {
                [Kind::ListWithNulls] => vec![Kind::Values, Kind::Nulls],
                _ => vec![Kind::Values],
            };
            Ok(Binding { kinds, finish: Finish::Distinct, ..bound })
        }
    }
}

/// Binds the aggregate of this name without regard to DISTINCT.
pub(crate) fn plain(name: &str, call: &Arguments<'_>) -> Result<Binding, String> {
    let found = ALL.iter().find(|a| a.name.eq_ignore_ascii_case(name));
    (found.ok_or_else(|| format!("there is no aggregate function {name}"))?.bind)(call)
}

/// A total over a count, in the type of the result.
pub fn mean(total: Datum, count: i64, arg: Option<&DataType>, result: &DataType) -> Datum {
    sum::mean(total, count, arg, result)
}

/// One column of aggregate states, one for each pane. Pane numbers are reused after `clear`.
pub trait Accumulator: Send {
    /// Makes room for panes below `count`; called while the number of panes grows to its limit.
    fn reserve(&mut self, count: usize);
    /// Empties the state of a pane and gives its symbols back.
    fn clear(&mut self, pane: usize, context: &mut Context);
    /// Adds a value (for COUNT(*) any value that is not NULL); NULL is skipped.
    fn add(&mut self, pane: usize, value: Datum, context: &mut Context);
    /// Adds a value so many times, where values are counted.
    fn add_times(&mut self, pane: usize, value: Datum, times: i64, context: &mut Context) {
        let _ = (pane, value, times, context);
        unreachable!("only values that are counted have weights");
    }
    /// Takes a value away that was added before, where [`Kind::can_remove`] says so.
    fn remove(&mut self, pane: usize, value: Datum, context: &mut Context) {
        let _ = (pane, value, context);
        unreachable!("values are taken away from accumulators that can do it");
    }
    /// Adds the partial of another pane or place.
    fn merge(&mut self, pane: usize, partial: Datum, context: &mut Context);
    /// Adds the state of pane `from` to that of pane `into`.
    fn merge_pane(&mut self, into: usize, from: usize, context: &mut Context);
    /// The same for pairs of panes, in their order: one call for many.
    fn merge_panes(&mut self, pairs: &[(u32, u32)], context: &mut Context) {
        for &(into, from) in pairs {
            self.merge_pane(into as usize, from as usize, context);
        }
    }
    /// The unfinished state, of type [`partial_type`]; bytes lie in the arena.
    fn partial(&self, pane: usize, context: &mut Context) -> Datum;
    /// The value, for [`Finish::Value`] and the parts of [`Finish::Mean`].
    fn value(&self, pane: usize, context: &mut Context) -> Datum;
    /// The sum that a mean divides: not yet in the width of the result.
    fn total(&self, pane: usize, context: &mut Context) -> Datum {
        self.value(pane, context)
    }
    /// The other ways to finish.
    fn moment(&self, pane: usize, finish: Finish) -> Datum {
        let _ = (pane, finish);
        Datum::NULL
    }
    /// Calls `visit` with the values that it holds and how often each is there.
    fn each(&self, pane: usize, visit: &mut dyn FnMut(Datum, i64)) {
        let _ = (pane, visit);
    }
    /// Bytes of one state.
    fn bytes_per_pane(&self) -> usize;
    /// Bytes that all states share, at the limit.
    fn bytes_shared(&self) -> usize {
        0
    }
}

/// The type of an accumulator's partial.
pub fn partial_type(kind: Kind, arg: Option<&DataType>) -> DataType {
    match (kind, arg) {
        (Kind::Count | Kind::IntegerSum | Kind::Nulls, _) => DataType::BigInt,
        (Kind::DecimalSum | Kind::ExactSum | Kind::Moments | Kind::Values, _)
        | (Kind::First | Kind::Last | Kind::List | Kind::ListWithNulls | Kind::Sketch, _) => {
            DataType::Bytes
        }
        (_, Some(arg)) => arg.clone(),
        (_, None) => DataType::Null,
    }
}

/// An accumulator of this kind over arguments of this type.
pub fn accumulator(kind: Kind, arg: Option<&DataType>) -> Box<dyn Accumulator> {
    let arg = arg.cloned().unwrap_or(DataType::BigInt);
    match kind {
        Kind::Count => Box::new(count::Count::of_values()),
        Kind::Nulls => Box::new(count::Count::of_nulls()),
        Kind::Sketch => Box::new(approx_count_distinct::Sketches::new(arg)),
        Kind::IntegerSum => Box::new(sum::IntegerSum::new(arg)),
        Kind::DecimalSum => Box::new(sum::DecimalSum::default()),
        Kind::ExactSum => Box::new(sum::DoubleSum::new(arg)),
        Kind::Moments => Box::new(moments::Moments::default()),
        Kind::Min => Box::new(min_max::Extreme::min(arg)),
        Kind::Max => Box::new(min_max::Extreme::max(arg)),
        Kind::First => Box::new(ordered::Ordered::first(arg)),
        Kind::Last => Box::new(ordered::Ordered::last(arg)),
        Kind::Values => Box::new(values::Values::new(arg)),
        Kind::List => Box::new(list::List::new(arg, false)),
        Kind::ListWithNulls => Box::new(list::List::new(arg, true)),
    }
}
