//! Conditions that compare columns with constants or with each other, alone or joined by AND. They
//! cannot fail, so that no order matters, and are answered without a walk through an expression.

use alloc::vec::Vec;

use super::{Expr, ExprKind, Literal};
use crate::{
    context::Context,
    functions::{self, Arg, Comparison, Direct, Test},
    row::Row,
    slot::Slot,
};

/// A comparison.
pub(crate) struct Check {
    column: usize,
    test: Test,
    with: With,
}

enum With {
    Constant(Slot),
    Column(usize),
}

impl Check {
    /// Adds the comparisons that must all hold for a condition to be TRUE, if it has the form.
    /// `column` says which column an expression is.
    pub(crate) fn all_of(
        condition: &Expr,
        column: &impl Fn(&Expr) -> Option<usize>,
        checks: &mut Vec<Self>,
    ) -> Option<()> {
        match &condition.kind {
            ExprKind::And(all) => {
                all.iter().try_for_each(|expr| Self::all_of(expr, column, checks))
            }
            ExprKind::Call(name, args) => {
                let [left, right] = args.as_slice() else { return None };
                let check = Self::new(name, left, right, column);
                let mirrored = || Self::new(mirrored(name)?, right, left, column);
                checks.push(check.or_else(mirrored)?);
                Some(())
            }
            _ => None,
        }
    }

    fn new(
        name: &str,
        left: &Expr,
        right: &Expr,
        column: &impl Fn(&Expr) -> Option<usize>,
    ) -> Option<Self> {
        let direct = functions::bind(name, &[Arg::of(left), Arg::of(right)]).ok()?.direct?;
        let Direct::Test(test) = direct else { return None };
        if test.comparison == Comparison::Bytes {
            return None;
        }
        let with = match right.as_literal() {
            Some(literal) => With::Constant(constant(literal)?),
            None => With::Column(column(right)?),
        };
        Some(Check { column: column(left)?, test, with })
    }

    /// Whether it is TRUE of a row: neither FALSE nor NULL.
    #[inline]
    pub(crate) fn holds(&self, row: Row<'_>, cx: &Context) -> bool {
        let with = match self.with {
            With::Constant(slot) => slot,
            With::Column(column) if row.is_null(column) => return false,
            With::Column(column) => row.slots[column],
        };
        !row.is_null(self.column) && self.test.holds(row.slots[self.column], with, cx)
    }
}

/// The comparison with its sides changed.
fn mirrored(name: &str) -> Option<&'static str> {
    Some(match name {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        "=" => "=",
        "<>" => "<>",
        _ => return None,
    })
}

/// A constant that lies in a slot.
fn constant(literal: &Literal) -> Option<Slot> {
    Some(match literal {
        Literal::Null | Literal::Text(_) => return None,
        Literal::Bool(v) => Slot::bool(*v),
        Literal::Int(v) => Slot::i64(*v),
        Literal::Double(v) => Slot::f64(*v),
        Literal::Decimal(v) => Slot::i128(*v),
        Literal::Timestamp(ms, ns) => Slot::timestamp(*ms, *ns),
    })
}
