//! NOT over comparisons. Flink's optimiser makes `a >= b` of `NOT a < b`, and carries NOT through
//! AND and OR. The two differ where a value is NaN, so that this is done for FLOAT and DOUBLE only.

use headwater_engine::expr::{Expr, ExprKind};

use crate::ast::{self, BinaryOp, UnaryOp};
use crate::bind::{Binder, boolean, call, connect, negate, row};
use crate::diagnostic::Result;

impl Binder<'_> {
    /// The opposite of a condition that compares FLOAT or DOUBLE; None for others, of which NOT is
    /// the opposite.
    pub(super) fn inverse(&mut self, of: &ast::Expr) -> Result<Option<Expr>> {
        let span = of.span;
        match &of.kind {
            ast::ExprKind::Binary(op @ (BinaryOp::And | BinaryOp::Or), left, right) => {
                let sides = [self.inverse(left)?, self.inverse(right)?];
                if sides.iter().all(Option::is_none) {
                    return Ok(None);
                }
                let [l, r] = sides;
                let (l, r) = (self.or_negated(l, left)?, self.or_negated(r, right)?);
                let other = if *op == BinaryOp::And { BinaryOp::Or } else { BinaryOp::And };
                Ok(Some(connect(other, l, r)))
            }
            ast::ExprKind::Binary(op, left, right) => {
                let Some(name) = opposite(*op) else { return Ok(None) };
                if row::written(left).is_some() {
                    return Ok(None);
                }
                let sides = vec![self.bind(left)?, self.bind(right)?];
                if !any_approximate(&sides) {
                    return Ok(None);
                }
                call(name, sides, span).map(Some)
            }
            ast::ExprKind::Between { arg, low, high, negated } => {
                let bound = self.between(arg, low, high, !negated, span)?;
                Ok(Some(bound).filter(|e| *negated || !matches!(e.kind, ExprKind::Not(_))))
            }
            ast::ExprKind::Call(function) if function.name.value == "BETWEEN SYMMETRIC" => {
                let [arg, low, high] = function.args.as_slice() else { return Ok(None) };
                let (arg, low, high) = (&arg.value, &low.value, &high.value);
                let outside = self.between(arg, low, high, true, span)?;
                if matches!(outside.kind, ExprKind::Not(_)) {
                    return Ok(None);
                }
                let or = self.between(arg, high, low, true, span)?;
                Ok(Some(connect(BinaryOp::And, outside, or)))
            }
            ast::ExprKind::Unary(UnaryOp::Not, inner) => match self.inverse(inner)? {
                Some(_) => self.bind(inner).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn or_negated(&mut self, inverse: Option<Expr>, of: &ast::Expr) -> Result<Expr> {
        match inverse {
            Some(bound) => Ok(bound),
            None => Ok(negate(boolean(self.bind(of)?, of.span, "NOT")?, true)),
        }
    }
}

/// Whether one of them can be NaN.
pub(super) fn any_approximate(values: &[Expr]) -> bool {
    values.iter().any(|value| value.data_type.is_approximate())
}

const fn opposite(op: BinaryOp) -> Option<&'static str> {
    Some(match op {
        BinaryOp::Eq => "<>",
        BinaryOp::NotEq => "=",
        BinaryOp::Lt => ">=",
        BinaryOp::LtEq => ">",
        BinaryOp::Gt => "<=",
        BinaryOp::GtEq => "<",
        _ => return None,
    })
}
