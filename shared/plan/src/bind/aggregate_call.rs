//! Calls of aggregate functions.

use headwater_engine::aggregate::{self, Arguments};
use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast;
use crate::bind::{AggregateCall, Binder, has_aggregate};
use crate::diagnostic::{Issue, Result};

impl Binder<'_> {
    pub(crate) fn aggregate_call(&mut self, from: &ast::Call, span: Span) -> Result<AggregateCall> {
        let name = from.name.value.as_str();
        if from.over.is_some() {
            return Err(Issue::unsupported(span, "OVER beside GROUP BY in one SELECT"));
        }
        if !aggregate::ALL.iter().any(|a| a.name == name) {
            return Err(Issue::unsupported(span, &format!("the aggregate {name}")));
        }
        if let Some(inner) = from.args.iter().find(|a| has_aggregate(&a.value)) {
            let message = "an aggregate stands inside an aggregate";
            return Err(Issue::new(inner.value.span, message, "aggregate in a subquery first"));
        }
        let (arg, rest) = match (from.args.as_slice(), from.star) {
            ([], true) if name == "COUNT" => (None, &[][..]),
            ([ast::Arg { name: None, value }, rest @ ..], false)
                if rest.is_empty() || takes_constants(name) =>
            {
                (Some(self.bind(value)?), rest)
            }
            _ => {
                let message = format!("{name} takes one argument");
                return Err(Issue::new(span, message, format!("write {name}(column)")));
            }
        };
        let (rest, weight) = match rest {
            [fraction, weight] if name == "PERCENTILE" => {
                (core::slice::from_ref(fraction), Some(self.weight(weight, from.distinct)?))
            }
            _ => (rest, None),
        };
        let params = rest.iter().map(|arg| self.constants(arg)).collect::<Result<Vec<_>>>()?;
        let params = params.concat();
        let filter = from.filter.as_ref().map(|f| self.predicate(f, "FILTER")).transpose()?;
        let arg_type = arg.as_ref().map(|a| &a.data_type);
        let arguments = Arguments { arg: arg_type, params: &params, is_distinct: from.distinct };
        let binding = aggregate::bind(name, &arguments);
        let is_fraction = |t: &DataType| name == "PERCENTILE" && t.is_numeric();
        let remedy = match arg_type {
            Some(t) if is_fraction(t) => "write fractions from 0 to 1, such as 0.95",
            Some(t) if t.is_nested() => "take one of its elements, or another column",
            _ => "cast the argument: CAST(… AS DOUBLE)",
        };
        let binding = binding.map_err(|e| Issue::new(span, e, remedy))?;
        // An extreme is the same of each value once.
        let distinct = from.distinct && !matches!(name, "MIN" | "MAX");
        let function = name.to_owned();
        let result = binding.result;
        Ok(AggregateCall { function, arg, filter, distinct, params, weight, result })
    }

    /// How often a value counts: a whole number.
    fn weight(&mut self, arg: &ast::Arg, distinct: bool) -> Result<Expr> {
        let span = arg.value.span;
        if distinct {
            let message = "a value that counts once has no weight";
            return Err(Issue::new(span, message, "remove DISTINCT, or this argument"));
        }
        let bound = self.bind(&arg.value)?;
        if bound.data_type.is_integer() {
            return Ok(bound);
        }
        let message = format!("the weight is a whole number, not {}", bound.data_type);
        Err(Issue::new(span, message, "cast it to BIGINT"))
    }

    /// A constant argument, or TRUE and those of an array.
    fn constants(&mut self, arg: &ast::Arg) -> Result<Vec<Literal>> {
        let ast::ExprKind::Call(call) = &arg.value.kind else {
            return Ok(vec![self.constant(arg)?]);
        };
        if call.name.value != "ARRAY" {
            return Ok(vec![self.constant(arg)?]);
        }
        let elements = call.args.iter().map(|arg| self.constant(arg));
        core::iter::once(Ok(Literal::Bool(true))).chain(elements).collect()
    }

    /// A constant argument: a text, or a number as DOUBLE.
    fn constant(&mut self, arg: &ast::Arg) -> Result<Literal> {
        let span = arg.value.span;
        let bound = self.bind(&arg.value)?;
        let literal = match (&bound.kind, &bound.data_type) {
            (
                ExprKind::Literal(Literal::Decimal(unscaled)),
                DataType::Decimal { precision, scale },
            ) => {
                let ty = headwater_engine::decimal::DecimalType::new(*precision, *scale);
                Some(Literal::Double(headwater_engine::decimal::to_f64(*unscaled, ty)))
            }
            (ExprKind::Literal(literal), _) => Some(literal.clone()),
            _ => None,
        };
        literal.ok_or_else(|| Issue::new(span, "this argument is no constant", "write a literal"))
    }
}

/// Whether constants may follow the first argument.
fn takes_constants(name: &str) -> bool {
    matches!(name, "LISTAGG" | "PERCENTILE")
}

/// Names of aggregates, planned or not.
pub(crate) fn is_aggregate(name: &str) -> bool {
    const OTHERS: [&str; 8] =
        ["RANK", "DENSE_RANK", "NTILE", "LAG", "LEAD", "JSON_OBJECTAGG", "GROUPING", "GROUPING_ID"];
    aggregate::ALL.iter().any(|a| a.name == name) || OTHERS.contains(&name)
}
