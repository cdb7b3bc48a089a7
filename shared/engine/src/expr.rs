//! Scalar expressions: the typed tree that a plan holds, and its evaluation.
//!
//! [`Expr`] is data; [`Program`] is its executable form. Evaluation allocates nothing, has no
//! `Result`: a failure sets [`Context::fault`] and gives NULL. Branches of CASE, COALESCE, AND and
//! OR that SQL does not need are not evaluated.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::types::DataType;

mod check;
mod program;

pub(crate) use check::Check;
pub use program::{CompileError, Program};

#[cfg(doc)]
use crate::context::Context;

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// NULL of the expression's type.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of any width, a DATE (days), a TIME (ms), an INTERVAL (ms or months).
    Int(i64),
    /// FLOAT or DOUBLE.
    Double(f64),
    /// Unscaled DECIMAL; the scale is in the type.
    Decimal(i128),
    /// Text.
    Text(String),
    /// TIMESTAMP or TIMESTAMP_LTZ: milliseconds since the epoch, nanoseconds of the millisecond.
    Timestamp(i64, u32),
}

/// A typed expression over the columns of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// The type of its value.
    pub data_type: DataType,
}

/// The forms of an expression. What is not a special form is a call of a function of
/// [`crate::functions`]; operators are functions too (`"+"`, `"="`, `"<"`, …).
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A column by position.
    Column(usize),
    /// A constant.
    Literal(Literal),
    /// A function with arguments of exactly the types that its binding asks for.
    Call(String, Vec<Expr>),
    /// Three-valued AND.
    And(Vec<Expr>),
    /// Three-valued OR.
    Or(Vec<Expr>),
    /// Three-valued NOT.
    Not(Box<Expr>),
    /// `IS NULL`.
    IsNull(Box<Expr>),
    /// `IS TRUE` (with true) or `IS FALSE` (with false).
    IsBool(Box<Expr>, bool),
    /// The first argument that is not NULL.
    Coalesce(Vec<Expr>),
    /// Conditions with results in order, and the result of ELSE.
    Case(Vec<(Expr, Expr)>, Box<Expr>),
    /// `x IN (…)`: all of one type; NULLs as in SQL.
    In(Box<Expr>, Vec<Expr>),
    /// CAST (false) or TRY_CAST (true) to the expression's type.
    Cast(Box<Expr>, bool),
}

impl Expr {
    /// A column.
    pub fn column(index: usize, data_type: DataType) -> Self {
        Expr { kind: ExprKind::Column(index), data_type }
    }

    /// A constant.
    pub fn literal(literal: Literal, data_type: DataType) -> Self {
        Expr { kind: ExprKind::Literal(literal), data_type }
    }

    /// A call of a function that is already bound to these argument types.
    pub fn call(name: impl Into<String>, args: Vec<Expr>, data_type: DataType) -> Self {
        Expr { kind: ExprKind::Call(name.into(), args), data_type }
    }

    /// The constant, if it is one.
    pub fn as_literal(&self) -> Option<&Literal> {
        match &self.kind {
            ExprKind::Literal(literal) => Some(literal),
            _ => None,
        }
    }

    /// Direct parts, in order.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Column(_) | ExprKind::Literal(_) => Vec::new(),
            ExprKind::Call(_, args)
            | ExprKind::And(args)
            | ExprKind::Or(args)
            | ExprKind::Coalesce(args) => args.iter().collect(),
            ExprKind::Not(arg)
            | ExprKind::IsNull(arg)
            | ExprKind::IsBool(arg, _)
            | ExprKind::Cast(arg, _) => [&**arg].into(),
            ExprKind::Case(branches, otherwise) => {
                branches.iter().flat_map(|(c, v)| [c, v]).chain([&**otherwise]).collect()
            }
            ExprKind::In(arg, list) => core::iter::once(&**arg).chain(list).collect(),
        }
    }
}
