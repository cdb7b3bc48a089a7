//! Forms that are no plain functions: IN, BETWEEN, CASE and the functions that are short for CASE.

use headwater_engine::expr::{Expr, ExprKind};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, BinaryOp};
use crate::bind::pattern::clock_read;
use crate::bind::{Binder, boolean, call, coerce, connect, inverse, negate, row, typed_null};
use crate::diagnostic::{Issue, Result};

/// Names that are bound here and not by the engine's table.
pub(crate) const NAMES: [&str; 4] = ["COALESCE", "NULLIF", "IFNULL", "IF"];

/// Functions of Flink that may not be in the engine's table: refused by name, never guessed.
pub(crate) const FLINK: &[&str] =
    &["TYPEOF", "CURRENT_DATABASE", "GROUP_ID", "TRY_PARSE_JSON", "PARSE_JSON"];

/// Functions that read the clock or draw at random: the same rows must give the same answers.
pub(crate) const UNREPEATABLE: &[(&str, &str)] = &[
    ("PROCTIME", "reads the clock"),
    ("NOW", "reads the clock"),
    ("CURRENT_DATE", "reads the clock"),
    ("CURRENT_TIME", "reads the clock"),
    ("CURRENT_TIMESTAMP", "reads the clock"),
    ("CURRENT_ROW_TIMESTAMP", "reads the clock"),
    ("LOCALTIME", "reads the clock"),
    ("LOCALTIMESTAMP", "reads the clock"),
    ("RAND", "draws at random"),
    ("RAND_INTEGER", "draws at random"),
    ("UUID", "draws at random"),
    ("CURRENT_WATERMARK", "depends on which split's rows come first"),
];

/// Whether an expression is `NAME()` and nothing else.
pub(crate) fn is_bare_call(from: &ast::Expr, name: &str) -> bool {
    let ast::ExprKind::Call(call) = &from.kind else { return false };
    let ast::Call { name: own, args, star, distinct, filter, over } = &**call;
    own.value == name && args.is_empty() && !star && !distinct && filter.is_none() && over.is_none()
}

impl Binder<'_> {
    /// Forms with a grammar or laziness of their own; None for an ordinary function.
    pub(crate) fn special(&mut self, from: &ast::Call, span: Span) -> Result<Option<Expr>> {
        let values: Vec<&ast::Expr> = from.args.iter().map(|a| &a.value).collect();
        let bound = match (from.name.value.as_str(), values.as_slice()) {
            ("COALESCE", [_, ..]) | ("IFNULL", [_, _]) => {
                let args = self.all(&values)?;
                let args = unify(args, span, &from.name.value)?;
                let data_type = args[0].data_type.clone();
                Expr { kind: ExprKind::Coalesce(args), data_type }
            }
            ("NULLIF", [left, right]) => {
                let (l, r) = (self.bind(left)?, self.bind(right)?);
                if row::any(core::slice::from_ref(&l)) {
                    let remedy = "write CASE WHEN … THEN NULL ELSE … END";
                    return Err(Issue::new(span, "NULLIF does not take a ROW", remedy));
                }
                let data_type = l.data_type.clone();
                let equal = call("=", vec![l.clone(), r], span)?;
                let branches = vec![(equal, typed_null(data_type.clone()))];
                Expr { kind: ExprKind::Case(branches, Box::new(l)), data_type }
            }
            ("IF", [condition, then, otherwise]) => {
                let bound = self.bind(condition)?;
                let condition = boolean(bound, condition.span, "IF")?;
                let then = self.bind(then)?;
                let otherwise = like_then(&then, self.bind(otherwise)?, span)?;
                case_of(vec![condition], vec![then, otherwise], span)?
            }
            ("COALESCE" | "IFNULL" | "NULLIF" | "IF", _) => {
                let message = format!("{} has another number of arguments", from.name.value);
                let remedy = "COALESCE(a, …), IFNULL(a, b), NULLIF(a, b), IF(condition, a, b)";
                return Err(Issue::new(span, message, remedy));
            }
            (
                "TIMESTAMPDIFF" | "TIMESTAMPADD",
                [ast::Expr { kind: ast::ExprKind::Column(unit), .. }, left, right],
            ) => {
                let unit = crate::bind::literal::text(&unit[0].value.to_uppercase());
                let args = vec![unit, self.bind(left)?, self.bind(right)?];
                call(&from.name.value, args, span)?
            }
            ("BETWEEN SYMMETRIC", [arg, low, high]) => {
                let either = self.between(arg, low, high, false, span)?;
                let or = self.between(arg, high, low, false, span)?;
                connect(BinaryOp::Or, either, or)
            }
            ("MATCH_PROCTIME", _) => return Err(clock_read(span)),
            ("OVERLAPS", _) => self.overlaps(&values, span)?,
            ("JSON_VALUE" | "JSON_EXISTS" | "JSON_QUERY", _) => self.json(from, span)?,
            ("JSON_OBJECT" | "JSON_ARRAY", _) => self.json_made(from, span)?,
            ("JSON", _) => {
                let message = "JSON(…) stands outside of JSON_OBJECT and JSON_ARRAY";
                return Err(Issue::new(span, message, "a text needs no conversion elsewhere"));
            }
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    /// Two periods touch or overlap: of each, the later bound is not before the earlier one of the
    /// other. The second bound of a period may be its length.
    fn overlaps(&mut self, values: &[&ast::Expr], span: Span) -> Result<Expr> {
        let [a, b, c, d] = self.all(values)?.try_into().map_err(|_| {
            let remedy = "write (start, end) OVERLAPS (start, end)";
            Issue::new(span, "a period of OVERLAPS has two bounds", remedy)
        })?;
        let ordered = |start: Expr, end: Expr| {
            let is_length =
                matches!(end.data_type, DataType::IntervalDay | DataType::IntervalMonth);
            let end = if is_length { call("+", vec![start.clone(), end], span)? } else { end };
            let rises = call("<=", vec![start.clone(), end.clone()], span)?;
            // As Flink orders them where one is NULL.
            let low = case_of(vec![rises.clone()], vec![start.clone(), end.clone()], span)?;
            Ok((low, case_of(vec![rises], vec![end, start], span)?))
        };
        let ((low, high), (other_low, other_high)) = (ordered(a, b)?, ordered(c, d)?);
        let begins = call(">=", vec![high, other_low], span)?;
        Ok(connect(BinaryOp::And, begins, call(">=", vec![other_high, low], span)?))
    }

    pub(super) fn all(&mut self, from: &[&ast::Expr]) -> Result<Vec<Expr>> {
        from.iter().map(|e| self.bind(e)).collect()
    }

    pub(crate) fn is_in(
        &mut self,
        arg: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        span: Span,
    ) -> Result<Expr> {
        if let Some(bound) = self.rows_in(arg, list, negated, span)? {
            return Ok(bound);
        }
        let mut all = vec![self.bind(arg)?];
        let mut texts = 0;
        for item in list {
            let value = self.bind(item)?;
            texts += usize::from(value.data_type.is_text());
            all.push(like_left(&all[0], value, span)?);
        }
        if texts % list.len() != 0 {
            let message = "some values of IN are texts and others are not";
            return Err(Issue::new(span, message, "write all of them alike"));
        }
        if row::any(&all) {
            return Err(row::of_rows(span));
        }
        let mut all = unify(all, span, "IN")?;
        let arg = all.remove(0);
        let kind = ExprKind::In(Box::new(arg), all);
        Ok(negate(Expr { kind, data_type: DataType::Boolean }, negated))
    }

    /// `a = b` as a field of `(a, …) IN ((b, …))`.
    pub(super) fn member(&mut self, a: &ast::Expr, b: &ast::Expr, span: Span) -> Result<Expr> {
        if row::written(a).is_some() {
            return self.binary(BinaryOp::Eq, a, b, span);
        }
        let (left, right) = (self.bind(a)?, self.bind(b)?);
        let right = like_left(&left, right, span)?;
        call("=", vec![left, right], span)
    }

    pub(crate) fn between(
        &mut self,
        arg: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
        negated: bool,
        span: Span,
    ) -> Result<Expr> {
        let arg = self.bind(arg)?;
        let (low, high) = (self.bind(low)?, self.bind(high)?);
        if negated && inverse::any_approximate(&[arg.clone(), low.clone(), high.clone()]) {
            let below = call("<", vec![arg.clone(), low], span)?;
            let above = call(">", vec![arg, high], span)?;
            return Ok(connect(BinaryOp::Or, below, above));
        }
        let above = call(">=", vec![arg.clone(), low], span)?;
        let below = call("<=", vec![arg, high], span)?;
        Ok(negate(connect(BinaryOp::And, above, below), negated))
    }

    pub(crate) fn distinct_from(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        negated: bool,
        span: Span,
    ) -> Result<Expr> {
        let args = vec![self.bind(left)?, self.bind(right)?];
        call(if negated { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" }, args, span)
    }

    pub(crate) fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        span: Span,
    ) -> Result<Expr> {
        let operand = operand.map(|e| self.bind(e)).transpose()?;
        let mut conditions = Vec::new();
        let mut values = Vec::new();
        for (when, then) in branches {
            let bound = self.bind(when)?;
            conditions.push(match &operand {
                None => boolean(bound, when.span, "WHEN")?,
                Some(operand) => call("=", vec![operand.clone(), bound], when.span)?,
            });
            values.push(self.bind(then)?);
        }
        values.push(match otherwise {
            Some(e) => self.bind(e)?,
            None => typed_null(DataType::Null),
        });
        case_of(conditions, values, span)
    }
}

/// A value of IN, in the type of what is looked for where it is of another kind: Flink casts it, so
/// that 1.5 is among integers what 1 is. A text beside a date or a number is read as one, and a
/// number beside a STRING is shown as one.
fn like_left(left: &Expr, value: Expr, span: Span) -> Result<Expr> {
    let (to, own) = (&left.data_type, &value.data_type);
    let is_other = core::mem::discriminant(to) != core::mem::discriminant(own);
    let is_plain = |t: &DataType| t.is_numeric() || *t == DataType::Boolean;
    let is_read = coerce::is_temporal(to) || is_plain(to);
    let is_shown = *to == DataType::STRING && is_plain(own);
    if is_other && to.is_numeric() && own.is_numeric() || is_read && own.is_text() || is_shown {
        return coerce::explicit_cast(value, to.clone(), false, span);
    }
    Ok(value)
}

/// The other value of IF: of two timestamps it is the first whose type both have, unlike in CASE.
fn like_then(then: &Expr, otherwise: Expr, span: Span) -> Result<Expr> {
    let (to, own) = (&then.data_type, &otherwise.data_type);
    if to.is_timestamp() && own.is_timestamp() {
        return coerce::explicit_cast(otherwise, to.clone(), false, span);
    }
    Ok(otherwise)
}

/// CASE over conditions and one more value than them.
fn case_of(conditions: Vec<Expr>, values: Vec<Expr>, span: Span) -> Result<Expr> {
    let mut values = unify(values, span, "CASE")?;
    let otherwise = values.pop().expect("CASE has a value for ELSE");
    let data_type = otherwise.data_type.clone();
    let branches = conditions.into_iter().zip(values).collect();
    Ok(Expr { kind: ExprKind::Case(branches, Box::new(otherwise)), data_type })
}

/// The first of two values that is not NULL.
pub(crate) fn either(values: [Expr; 2], span: Span) -> Result<Expr> {
    let values = unify(values.into(), span, "USING")?;
    let data_type = values[0].data_type.clone();
    Ok(Expr { kind: ExprKind::Coalesce(values), data_type })
}

/// Casts all values to their common type.
fn unify(values: Vec<Expr>, span: Span, what: &str) -> Result<Vec<Expr>> {
    let types: Vec<&DataType> = values.iter().map(|v| &v.data_type).collect();
    let merges = matches!(what, "COALESCE" | "IFNULL");
    let common = match coerce::mixed_timestamps(&types, what == "CASE") {
        Some(mixed) if what != "USING" => Some(mixed),
        _ if merges => coerce::merged_type(&types),
        _ => coerce::common_type(&types),
    };
    let Some(common) = common else {
        let mut names: Vec<String> = types.iter().map(|t| t.to_string()).collect();
        names.dedup();
        let message = format!("the values of {what} have no common type: {}", names.join(", "));
        return Err(Issue::new(span, message, "cast them to one type"));
    };
    values
        .into_iter()
        .map(|value| {
            let mut cast = coerce::implicit_cast(value, common.clone(), span)?;
            if cast.data_type.is_text() {
                cast.data_type = common.clone();
            }
            Ok(cast)
        })
        .collect()
}
