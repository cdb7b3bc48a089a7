//! Conditions that are answered for every row whether a run asks or not: those that only compare
//! columns of the tested row with constants or with each other.

use alloc::vec::Vec;

use crate::{
    context::Context,
    expr::{Check, Expr, ExprKind},
    fragment::{Formula, MatchItem},
    row::Row,
};

/// The conditions of all variables that have this form.
#[derive(Default)]
pub(super) struct Checks {
    /// Each with the bit of its variable, whose condition holds if all its checks do.
    checks: Vec<(u64, Check)>,
    /// One bit for each variable whose condition is here.
    pub(super) variables: u64,
}

impl Checks {
    /// Takes the condition of a variable if it has the form.
    pub(super) fn add(&mut self, variable: u8, condition: &Formula) {
        let variable = 1 << variable;
        let mut checks = Vec::new();
        if Check::all_of(&condition.expr, &|expr| column(condition, expr), &mut checks).is_some() {
            self.checks.extend(checks.into_iter().map(|check| (variable, check)));
            self.variables |= variable;
        }
    }

    /// The bits of the variables whose conditions are TRUE of a row.
    #[inline]
    pub(super) fn hold_of(&self, row: Row<'_>, cx: &Context) -> u64 {
        let mut yes = self.variables;
        for (variable, check) in &self.checks {
            if !check.holds(row, cx) {
                yes &= !variable;
            }
        }
        yes
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.checks.len() * size_of::<(u64, Check)>()
    }
}

/// The column of the tested row that an expression is.
fn column(condition: &Formula, expr: &Expr) -> Option<usize> {
    let ExprKind::Column(item) = expr.kind else { return None };
    match condition.items.get(item)? {
        MatchItem::Current(column) => Some(*column),
        _ => None,
    }
}
