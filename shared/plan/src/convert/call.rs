//! Function calls, and the functions whose arguments have a grammar of their own.

use sqlparser::ast::{self as sql, Spanned, Value};
use sqlparser::tokenizer::Span;

use crate::ast::{Arg, Call, Expr, ExprKind, Name, OrderBy};
use crate::convert::{self, expr, name, simple_name};
use crate::diagnostic::{Issue, Result};

/// A call with plain arguments in their order.
pub(crate) fn plain(function: &str, span: Span, args: Vec<sql::Expr>) -> Result<ExprKind> {
    let args = args.into_iter().map(|e| Ok(Arg { name: None, value: expr(e)? }));
    Ok(built(function, span, args.collect::<Result<_>>()?))
}

fn built(function: &str, span: Span, args: Vec<Arg>) -> ExprKind {
    ExprKind::Call(Box::new(Call {
        name: Name { value: function.to_owned(), span },
        args,
        star: false,
        distinct: false,
        filter: None,
        over: None,
    }))
}

fn symbol(text: &str, span: Span) -> Arg {
    Arg { name: None, value: Expr { kind: ExprKind::Symbol(text.to_owned()), span } }
}

/// `EXTRACT(unit FROM value)`
pub(crate) fn extract(
    field: sql::DateTimeField,
    syntax: sql::ExtractSyntax,
    arg: sql::Expr,
    span: Span,
) -> Result<ExprKind> {
    if syntax == sql::ExtractSyntax::Comma {
        return Err(Issue::not_flink(span, "EXTRACT(unit, value)", "EXTRACT(unit FROM value)"));
    }
    let unit = symbol(&field.to_string().to_uppercase(), span);
    Ok(built("EXTRACT", span, vec![unit, Arg { name: None, value: expr(arg)? }]))
}

/// `FLOOR(value)`, `FLOOR(value TO unit)` and the same with CEIL.
pub(crate) fn rounding(
    function: &str,
    mut arg: sql::Expr,
    mut field: sql::CeilFloorKind,
    span: Span,
) -> Result<ExprKind> {
    if let sql::CeilFloorKind::DateTimeField(unit @ sql::DateTimeField::NoDateTime) = &mut field
        && let Some(taken) = taken_unit(&mut arg)
    {
        *unit = taken;
    }
    let mut args = vec![Arg { name: None, value: expr(arg)? }];
    match field {
        sql::CeilFloorKind::DateTimeField(sql::DateTimeField::NoDateTime) => {}
        sql::CeilFloorKind::DateTimeField(unit) => {
            args.push(symbol(&unit.to_string().to_uppercase(), span));
        }
        sql::CeilFloorKind::Scale(_) => {
            let what = format!("{function} with a scale");
            return Err(Issue::not_flink(span, &what, "use ROUND or TRUNCATE"));
        }
    }
    Ok(built(function, span, args))
}

/// A function of one argument.
pub(crate) fn called(name: &str, span: Span, value: Expr) -> ExprKind {
    built(name, span, vec![Arg { name: None, value }])
}

/// The unit of `FLOOR(t + INTERVAL '1' DAY TO MONTH)`, which the parser gives to the interval
/// although there is none from a day to a month.
fn taken_unit(arg: &mut sql::Expr) -> Option<sql::DateTimeField> {
    use sql::DateTimeField as F;
    match arg {
        sql::Expr::BinaryOp { right, .. } => taken_unit(right),
        sql::Expr::Interval(interval) => match (&interval.leading_field, &interval.last_field) {
            (Some(F::Year), Some(F::Month))
            | (Some(F::Day), Some(F::Hour | F::Minute | F::Second))
            | (Some(F::Hour), Some(F::Minute | F::Second))
            | (Some(F::Minute), Some(F::Second)) => None,
            _ => interval.last_field.take(),
        },
        _ => None,
    }
}

/// `TRIM([BOTH | LEADING | TRAILING] [what] FROM value)`: side, value, what.
pub(crate) fn trim(
    side: Option<sql::TrimWhereField>,
    what: Option<Box<sql::Expr>>,
    arg: sql::Expr,
    span: Span,
) -> Result<ExprKind> {
    let side_given = side.is_some();
    let side = match side {
        None | Some(sql::TrimWhereField::Both) => "BOTH",
        Some(sql::TrimWhereField::Leading) => "LEADING",
        Some(sql::TrimWhereField::Trailing) => "TRAILING",
    };
    if what.is_none() && side_given {
        return Err(Issue::not_flink(span, "TRIM with a side alone", "TRIM(LEADING x FROM y)"));
    }
    let blank = || Expr { kind: ExprKind::Text(" ".to_owned()), span };
    let what = what.map(|e| expr(*e)).transpose()?.unwrap_or_else(blank);
    let args = [expr(arg)?, what].map(|value| Arg { name: None, value });
    Ok(built("TRIM", span, core::iter::once(symbol(side, span)).chain(args).collect()))
}

/// Any other call.
pub(crate) fn function(from: sql::Function, span: Span) -> Result<ExprKind> {
    let sql::Function {
        name: object,
        uses_odbc_syntax,
        parameters,
        args,
        within_group,
        filter,
        null_treatment,
        over,
    } = from;
    let mut name = simple_name(object)?;
    name.value = name.value.to_uppercase();
    if uses_odbc_syntax || parameters != sql::FunctionArguments::None {
        return Err(Issue::not_flink(span, "this call", "write NAME(arguments)"));
    }
    if null_treatment.is_some() {
        return Err(Issue::unsupported(span, "IGNORE NULLS and RESPECT NULLS"));
    }
    if !within_group.is_empty() {
        return Err(Issue::unsupported(span, "WITHIN GROUP"));
    }
    let mut call =
        Call { name, args: Vec::new(), star: false, distinct: false, filter: None, over: None };
    match args {
        sql::FunctionArguments::None => {}
        sql::FunctionArguments::Subquery(_) => {
            return Err(Issue::unsupported(span, "a subquery as an argument"));
        }
        sql::FunctionArguments::List(list) => arguments(list, span, &mut call)?,
    }
    call.filter = filter.map(|e| expr(*e)).transpose()?;
    call.over = over.map(|over| convert::over::over(over, span)).transpose()?;
    Ok(ExprKind::Call(Box::new(call)))
}

fn arguments(list: sql::FunctionArgumentList, span: Span, call: &mut Call) -> Result<()> {
    let sql::FunctionArgumentList { duplicate_treatment, args, clauses } = list;
    call.distinct = match duplicate_treatment {
        None | Some(sql::DuplicateTreatment::All) => false,
        Some(sql::DuplicateTreatment::Distinct) => true,
    };
    if !clauses.is_empty() {
        return Err(Issue::unsupported(span, "a clause inside the arguments of a function"));
    }
    for arg in args {
        let arg_span = arg.span();
        let at = if arg_span == Span::empty() { span } else { arg_span };
        let (arg_name, value) = match arg {
            sql::FunctionArg::Unnamed(value) => (None, value),
            sql::FunctionArg::Named {
                name: ident,
                arg,
                operator: sql::FunctionArgOperator::RightArrow,
            } => (Some(name(ident)?), arg),
            sql::FunctionArg::Named { .. } | sql::FunctionArg::ExprNamed { .. } => {
                return Err(Issue::not_flink(at, "this argument", "write name => value"));
            }
        };
        match value {
            sql::FunctionArgExpr::Expr(value) => {
                call.args.push(Arg { name: arg_name, value: argument(value)? });
            }
            sql::FunctionArgExpr::Wildcard if arg_name.is_none() && !call.distinct => {
                call.star = true;
            }
            _ => return Err(Issue::not_flink(at, "this argument", "name a column, or write *")),
        }
    }
    if call.star && !call.args.is_empty() {
        return Err(Issue::not_flink(span, "'*' beside other arguments", "write COUNT(*)"));
    }
    Ok(())
}

/// An argument; a time unit such as SECOND is a bare name here, to be read by its function.
fn argument(value: sql::Expr) -> Result<Expr> {
    if let sql::Expr::Value(sql::ValueWithSpan { value: Value::Placeholder(_), span }) = &value {
        return Err(Issue::not_flink(*span, "a placeholder", "use a variable: ${name}"));
    }
    expr(value)
}

/// One term of ORDER BY.
pub(crate) fn order_term(from: sql::OrderByExpr) -> Result<OrderBy> {
    let span = from.span();
    let sql::OrderByExpr { expr: term, options, with_fill } = from;
    let sql::OrderByOptions { sort, nulls_first } = options;
    let descending = match sort {
        None | Some(sql::OrderBySort::Asc) => false,
        Some(sql::OrderBySort::Desc) => true,
        Some(sql::OrderBySort::Using(_)) => {
            return Err(Issue::not_flink(span, "ORDER BY … USING", "write ASC or DESC"));
        }
    };
    if with_fill.is_some() {
        return Err(Issue::not_flink(span, "WITH FILL", "remove it"));
    }
    Ok(OrderBy { expr: expr(term)?, descending, nulls_first })
}
