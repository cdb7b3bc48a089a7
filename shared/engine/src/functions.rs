//! Scalar functions: the list, and how one is bound to argument types.
//!
//! A function is one entry: a name and a `bind` that, given the argument types, says what types it
//! wants (the planner inserts casts), what it returns and how it is computed. Operators are
//! functions named by their sign, the unary minus `NEGATE`. Special forms that evaluate lazily are
//! in [`crate::expr`].
//!
//! Keywords inside a call arrive as constant texts: `EXTRACT('HOUR', t)`, `FLOOR(t, 'DAY')`,
//! `TRIM('BOTH', text, what)`, `TIMESTAMPDIFF('SECOND', a, b)`. Types and answers are Flink's.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use crate::{
    context::Context,
    expr::{Expr, ExprKind, Literal},
    slot::Datum,
    types::DataType,
};

mod arithmetic;
mod array;
pub(crate) mod build;
mod comparison;
mod direct;
mod encode;
mod hash;
mod json;
mod like;
mod map;
mod math;
mod printf;
mod regexp;
mod row;
mod sig;
mod temporal;
#[cfg(test)]
mod tests;
mod text;
mod url;

pub use array::COPIES;
pub use comparison::{OR_NAN, order_of};
pub use direct::{Comparison, Direct, Test};
pub use map::put_map;
pub use row::FIELD;
pub use sig::{common_type, merged_type};

/// What casts need of arrays.
pub(crate) mod arrays {
    pub(crate) use super::array::{elements, put_array};
}

/// What casts need of maps.
pub(crate) mod maps {
    pub(crate) use super::map::{Types, entries, put_map};
}

/// What casts need of rows.
pub(crate) mod rows {
    pub(crate) use super::row::{Fields, fields, put_row};
}

/// What casts need of numbers.
pub(crate) mod numbers {
    pub(crate) use super::sig::{as_decimal, rounded, wrapped};
}

/// An argument as `bind` sees it.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    /// Its type before any cast.
    pub data_type: &'a DataType,
    /// Its value, when it is a constant.
    pub literal: Option<&'a Literal>,
    /// Whether it is a call of a function that makes JSON.
    pub is_json: bool,
}

impl<'a> Arg<'a> {
    /// A value that is not known, of this type.
    pub fn of_type(data_type: &'a DataType) -> Self {
        Arg { data_type, literal: None, is_json: false }
    }

    /// The value of an expression.
    pub fn of(expr: &'a Expr) -> Self {
        let is_json = matches!(&expr.kind, ExprKind::Call(name, _)
            if json::make::MAKERS.contains(&name.as_str()));
        Arg { data_type: &expr.data_type, literal: expr.as_literal(), is_json }
    }
}

/// Computes a function from its arguments.
pub type Eval = Box<dyn Fn(&[Datum], &mut Context) -> Datum + Send + Sync>;

/// A function bound to argument types.
pub struct Binding {
    /// The types that the arguments must have, one for each.
    pub args: Vec<DataType>,
    /// The type of the result.
    pub result: DataType,
    /// Whether any NULL argument makes the result NULL without a call of `eval`.
    pub is_strict: bool,
    /// The computation; a failure sets [`Context::fault`] and returns NULL.
    pub eval: Eval,
    /// The same without a call through a box, where there is such a form.
    pub direct: Option<Direct>,
}

/// A named function.
pub struct Function {
    /// Upper-case name, or the sign of an operator.
    pub name: &'static str,
    /// Binds it; the error is a lower-case sentence without position.
    pub bind: fn(&[Arg<'_>]) -> Result<Binding, String>,
}

/// The lists of all kinds of functions; a new kind is one line.
const LISTS: &[&[Function]] = &[
    comparison::LIST,
    arithmetic::LIST,
    math::LIST,
    text::LIST,
    text::more::LIST,
    encode::LIST,
    hash::LIST,
    like::LIST,
    regexp::LIST,
    url::LIST,
    printf::LIST,
    json::LIST,
    json::make::LIST,
    temporal::LIST,
    array::LIST,
    map::LIST,
    row::LIST,
];

/// All functions.
pub fn all() -> impl Iterator<Item = &'static Function> {
    LISTS.iter().copied().flatten()
}

/// The function of this name, in any case.
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// Finds and binds in one step.
pub fn bind(name: &str, args: &[Arg<'_>]) -> Result<Binding, String> {
    let function = find(name).ok_or_else(|| format!("there is no function {name}"))?;
    (function.bind)(args)
}
