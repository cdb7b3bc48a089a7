//! Rows that are written out: compared field by field.

use headwater_engine::expr::Expr;
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, BinaryOp};
use crate::bind::{Binder, connect, negate};
use crate::diagnostic::{Issue, Result};

impl Binder<'_> {
    /// `(a, b) = (c, d)` is `a = c AND b = d`, so that NULLs make it unknown; of other rows the
    /// values are compared. None where not both sides are written out. Within IN the fields on the
    /// right are cast as its values are.
    pub(super) fn rows_equal(
        &mut self,
        op: BinaryOp,
        left: &ast::Expr,
        right: &ast::Expr,
        is_member: bool,
        span: Span,
    ) -> Result<Option<Expr>> {
        let (Some(a), Some(b)) = (written(left), written(right)) else { return Ok(None) };
        match op {
            BinaryOp::Eq => {}
            BinaryOp::NotEq => {
                let message = "'<>' compares two rows that are written out";
                return Err(Issue::new(span, message, "write NOT (a, b) = (c, d)"));
            }
            _ => return Ok(None),
        }
        if a.len() != b.len() {
            let message =
                format!("a row of {} fields is compared with one of {}", a.len(), b.len());
            return Err(Issue::new(span, message, "give both the same number of fields"));
        }
        let mut terms = None;
        for (a, b) in a.iter().zip(b) {
            let equal = match is_member {
                true => self.member(&a.value, &b.value, span)?,
                false => self.binary(BinaryOp::Eq, &a.value, &b.value, span)?,
            };
            terms = Some(match terms {
                None => equal,
                Some(terms) => connect(BinaryOp::And, terms, equal),
            });
        }
        Ok(terms)
    }

    /// `(a, b) IN ((1, 2), (3, 4))`; None where no row is written out.
    pub(super) fn rows_in(
        &mut self,
        arg: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        span: Span,
    ) -> Result<Option<Expr>> {
        if written(arg).is_none() {
            return Ok(None);
        }
        let mut terms = None;
        for item in list {
            let Some(equal) = self.rows_equal(BinaryOp::Eq, arg, item, true, span)? else {
                return Err(of_rows(item.span));
            };
            terms = Some(match terms {
                None => equal,
                Some(terms) => connect(BinaryOp::Or, terms, equal),
            });
        }
        Ok(terms.map(|terms| negate(terms, negated)))
    }
}

/// IN over rows that are not written out.
pub(super) fn of_rows(span: Span) -> Issue {
    let message = "IN over a ROW that is not written out";
    Issue::new(span, message, "write (a, b) IN ((1, 2), (3, 4)), or compare with =")
}

/// The fields of `ROW(a, b)` and `(a, b)`.
pub(super) fn written(from: &ast::Expr) -> Option<&[ast::Arg]> {
    match &from.kind {
        ast::ExprKind::Call(call) if call.name.value == "ROW" => Some(&call.args),
        _ => None,
    }
}

/// Whether one of them is a ROW.
pub(super) fn any(exprs: &[Expr]) -> bool {
    exprs.iter().any(|expr| matches!(expr.data_type, DataType::Row(_)))
}
