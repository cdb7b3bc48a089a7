//! Conditions that compare columns of the tested row with constants or with each other. They
//! cannot fail and cost little, so they are answered for every row whether a run asks or not, and
//! without a walk through an expression.

use alloc::vec::Vec;

use crate::{
    context::Context,
    expr::{Expr, ExprKind, Literal},
    fragment::{Formula, MatchItem},
    functions::{self, Arg, Comparison, Direct, Test},
    row::Row,
    slot::Slot,
};

/// The conditions of all variables that have this form.
#[derive(Default)]
pub(super) struct Checks {
    checks: Vec<Check>,
    /// One bit for each variable whose condition is here.
    pub(super) variables: u64,
}

/// A comparison; the condition of a variable holds if all its comparisons do.
struct Check {
    /// The bit of the variable.
    variable: u64,
    column: usize,
    test: Test,
    with: With,
}

enum With {
    Constant(Slot),
    Column(usize),
}

impl Checks {
    /// Takes the condition of a variable if it has the form.
    pub(super) fn add(&mut self, variable: u8, condition: &Formula) {
        let variable = 1 << variable;
        let before = self.checks.len();
        match self.add_all(variable, condition, &condition.expr) {
            Some(()) => self.variables |= variable,
            None => self.checks.truncate(before),
        }
    }

    fn add_all(&mut self, variable: u64, condition: &Formula, expr: &Expr) -> Option<()> {
        match &expr.kind {
            ExprKind::And(all) => {
                all.iter().try_for_each(|expr| self.add_all(variable, condition, expr))
            }
            ExprKind::Call(name, args) => {
                let [left, right] = args.as_slice() else { return None };
                let check = Check::new(variable, condition, name, left, right);
                let mirrored = || Check::new(variable, condition, mirrored(name)?, right, left);
                self.checks.push(check.or_else(mirrored)?);
                Some(())
            }
            _ => None,
        }
    }

    /// The bits of the variables whose conditions are TRUE of a row.
    #[inline]
    pub(super) fn hold_of(&self, row: Row<'_>, cx: &Context) -> u64 {
        let mut yes = self.variables;
        for check in &self.checks {
            if !check.holds(row, cx) {
                yes &= !check.variable;
            }
        }
        yes
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.checks.len() * size_of::<Check>()
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

/// The column of the tested row that an expression is.
fn column(condition: &Formula, expr: &Expr) -> Option<usize> {
    let ExprKind::Column(item) = expr.kind else { return None };
    match condition.items.get(item)? {
        MatchItem::Current(column) => Some(*column),
        _ => None,
    }
}

impl Check {
    fn new(
        variable: u64,
        condition: &Formula,
        name: &str,
        left: &Expr,
        right: &Expr,
    ) -> Option<Self> {
        let direct = functions::bind(name, &[Arg::of(left), Arg::of(right)]).ok()?.direct?;
        let Direct::Test(test) = direct else { return None };
        if test.comparison == Comparison::Bytes {
            return None;
        }
        let with = match right.as_literal() {
            Some(literal) => With::Constant(constant(literal)?),
            None => With::Column(column(condition, right)?),
        };
        Some(Check { variable, column: column(condition, left)?, test, with })
    }

    #[inline]
    fn holds(&self, row: Row<'_>, cx: &Context) -> bool {
        let with = match self.with {
            With::Constant(slot) => slot,
            With::Column(column) if row.is_null(column) => return false,
            With::Column(column) => row.slots[column],
        };
        !row.is_null(self.column) && self.test.holds(row.slots[self.column], with, cx)
    }
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
