//! The JSON functions with their clauses, as arguments of the engine's functions.

use headwater_engine::expr::{Expr, Literal};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast;
use crate::bind::{Binder, call, coerce, literal, typed_null};
use crate::diagnostic::{Issue, Result};

/// What the clauses of one call say.
#[derive(Default)]
struct Clauses<'a> {
    returning: Option<DataType>,
    wrapper: Option<&'a str>,
    /// ON EMPTY, ON ERROR.
    behaviours: [Option<&'a ast::Expr>; 2],
}

/// A behaviour that is a word; `DEFAULT x` is none.
fn word(behaviour: &ast::Expr) -> Option<String> {
    match &behaviour.kind {
        ast::ExprKind::Column(path) if path.len() == 1 => Some(path[0].value.to_uppercase()),
        ast::ExprKind::Null => Some("NULL".to_owned()),
        ast::ExprKind::Boolean(true) => Some("TRUE".to_owned()),
        ast::ExprKind::Boolean(false) => Some("FALSE".to_owned()),
        _ => None,
    }
}

impl Binder<'_> {
    pub(super) fn json(&mut self, from: &ast::Call, span: Span) -> Result<Expr> {
        let name = from.name.value.as_str();
        let mut args = Vec::new();
        let mut clauses = Clauses::default();
        for arg in &from.args {
            let at = arg.value.span;
            match (arg.name.as_ref().map(|n| n.value.as_str()), &arg.value.kind) {
                (None, _) => args.push(self.bind(&arg.value)?),
                (Some("RETURNING"), ast::ExprKind::Text(text)) if name != "JSON_EXISTS" => {
                    let ty = returning_type(name, text);
                    let refuse = || Issue::unsupported(at, &format!("{name} RETURNING {text}"));
                    clauses.returning = Some(ty.ok_or_else(refuse)?);
                }
                (Some("WRAPPER"), ast::ExprKind::Text(text)) => clauses.wrapper = Some(text),
                (Some("ON EMPTY"), _) if name != "JSON_EXISTS" => {
                    clauses.behaviours[0] = Some(&arg.value);
                }
                (Some("ON ERROR"), _) => clauses.behaviours[1] = Some(&arg.value),
                (Some(other), _) => {
                    return Err(Issue::not_flink(at, other, "ON EMPTY or ON ERROR"));
                }
            }
        }
        match name {
            "JSON_VALUE" => self.json_value(args, &clauses, span),
            "JSON_QUERY" => json_query(args, &clauses, span),
            _ => json_exists(args, &clauses, span),
        }
    }

    /// Text, path, type, default if empty, default on error, and the words of both if one fails.
    fn json_value(
        &mut self,
        mut args: Vec<Expr>,
        clauses: &Clauses<'_>,
        span: Span,
    ) -> Result<Expr> {
        let returning = clauses.returning.clone().unwrap_or(DataType::STRING);
        args.push(typed_null(returning.clone()));
        let mut words = Vec::new();
        for behaviour in clauses.behaviours {
            let word = behaviour.and_then(word);
            args.push(match (behaviour, word.as_deref()) {
                (None, _) | (_, Some("NULL" | "ERROR")) => typed_null(returning.clone()),
                (Some(value), Some(other)) if other.contains(' ') => {
                    return Err(Issue::not_flink(value.span, other, "NULL, ERROR or DEFAULT x"));
                }
                (Some(value), _) => {
                    let bound = self.bind(value)?;
                    coerce::implicit_cast(bound, returning.clone(), value.span)?
                }
            });
            words.push(literal::text(word.filter(|w| w == "ERROR").as_deref().unwrap_or("")));
        }
        if words.iter().any(|w| w.as_literal() == Some(&Literal::Text("ERROR".to_owned()))) {
            args.append(&mut words);
        }
        call("JSON_VALUE", args, span)
    }
}

impl Binder<'_> {
    /// JSON_OBJECT and JSON_ARRAY: the word for NULLs comes first.
    pub(super) fn json_made(&mut self, from: &ast::Call, span: Span) -> Result<Expr> {
        let is_object = from.name.value == "JSON_OBJECT";
        let mut args = vec![literal::text(if is_object { "NULL" } else { "ABSENT" })];
        for arg in &from.args {
            let is_name = is_object && args.len() % 2 == 1;
            match (&arg.name, &arg.value.kind) {
                (Some(_), ast::ExprKind::Text(word)) => args[0] = literal::text(word),
                (_, ast::ExprKind::Call(inner)) if !is_name && inner.name.value == "JSON" => {
                    let inner: Vec<_> = inner.args.iter().map(|a| &a.value).collect();
                    args.push(call("JSON", self.all(&inner)?, arg.value.span)?);
                }
                (_, ast::ExprKind::Null) if !is_name => {
                    let message = format!("the NULL in {} has no type", from.name.value);
                    return Err(Issue::new(arg.value.span, message, "write CAST(NULL AS STRING)"));
                }
                _ => args.push(self.bind(&arg.value)?),
            }
        }
        call(&from.name.value, args, span)
    }
}

fn json_query(mut args: Vec<Expr>, clauses: &Clauses<'_>, span: Span) -> Result<Expr> {
    args.push(literal::text(clauses.wrapper.unwrap_or("WITHOUT")));
    for behaviour in clauses.behaviours {
        let refuse = |b: &ast::Expr| {
            let remedy = "NULL, EMPTY ARRAY, EMPTY OBJECT or ERROR";
            Issue::not_flink(b.span, "this behaviour of JSON_QUERY", remedy)
        };
        let word = behaviour.map(|b| word(b).ok_or_else(|| refuse(b))).transpose()?;
        args.push(literal::text(word.as_deref().unwrap_or("NULL")));
    }
    args.push(typed_null(clauses.returning.clone().unwrap_or(DataType::STRING)));
    call("JSON_QUERY", args, span)
}

fn json_exists(mut args: Vec<Expr>, clauses: &Clauses<'_>, span: Span) -> Result<Expr> {
    if let Some(behaviour) = clauses.behaviours[1] {
        let remedy = "TRUE, FALSE, UNKNOWN or ERROR";
        let refuse = || Issue::not_flink(behaviour.span, "this behaviour of JSON_EXISTS", remedy);
        args.push(literal::text(&word(behaviour).ok_or_else(refuse)?));
    }
    call("JSON_EXISTS", args, span)
}

/// The types that the functions return in Flink.
fn returning_type(function: &str, text: &str) -> Option<DataType> {
    match text {
        "STRING" => Some(DataType::STRING),
        "ARRAY<STRING>" if function == "JSON_QUERY" => {
            Some(DataType::Array(Box::new(DataType::STRING)))
        }
        "BOOLEAN" if function == "JSON_VALUE" => Some(DataType::Boolean),
        "INT" if function == "JSON_VALUE" => Some(DataType::Int),
        "DOUBLE" if function == "JSON_VALUE" => Some(DataType::Double),
        _ => None,
    }
}
