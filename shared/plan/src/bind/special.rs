//! Forms that are no plain functions: IN, BETWEEN, CASE and the functions that are short for CASE.

use headwater_engine::expr::{Expr, ExprKind};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::{self, BinaryOp};
use crate::bind::{Binder, boolean, call, coerce, connect, negate, typed_null};
use crate::diagnostic::{Issue, Result};

/// Names that are bound here and not by the engine's table.
pub(crate) const NAMES: [&str; 4] = ["COALESCE", "NULLIF", "IFNULL", "IF"];

/// Functions of Flink that may not be in the engine's table: refused by name, never guessed.
pub(crate) const FLINK: &[&str] = &[
    "ARRAY",
    "MAP",
    "ROW",
    "PROCTIME",
    "NOW",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "CURRENT_ROW_TIMESTAMP",
    "CURRENT_WATERMARK",
    "RAND",
    "RAND_INTEGER",
    "UUID",
    "JSON_VALUE",
    "JSON_EXISTS",
    "JSON_QUERY",
    "JSON_OBJECT",
    "JSON_ARRAY",
    "JSON_STRING",
    "JSON",
    "JSON_QUOTE",
    "JSON_UNQUOTE",
    "ELEMENT_AT",
    "ELEMENT",
    "CARDINALITY",
    "ARRAY_CONTAINS",
    "ARRAY_DISTINCT",
    "ARRAY_MAX",
    "ARRAY_MIN",
    "ARRAY_SORT",
    "ARRAY_SLICE",
    "ARRAY_JOIN",
    "ARRAY_CONCAT",
    "ARRAY_APPEND",
    "ARRAY_POSITION",
    "ARRAY_REMOVE",
    "ARRAY_REVERSE",
    "ARRAY_UNION",
    "ARRAY_EXCEPT",
    "MAP_KEYS",
    "MAP_VALUES",
    "MAP_ENTRIES",
    "SPLIT",
    "SPLIT_INDEX",
    "STR_TO_MAP",
    "PARSE_URL",
    "URL_ENCODE",
    "URL_DECODE",
    "REGEXP",
    "REGEXP_EXTRACT",
    "REGEXP_REPLACE",
    "REGEXP_COUNT",
    "REGEXP_EXTRACT_ALL",
    "REGEXP_INSTR",
    "REGEXP_SUBSTR",
    "CONVERT_TZ",
    "FROM_UNIXTIME",
    "UNIX_TIMESTAMP",
    "TO_DATE",
    "TO_TIMESTAMP",
    "TO_TIMESTAMP_LTZ",
    "DATE_FORMAT",
    "TIMESTAMPADD",
    "TIMESTAMPDIFF",
    "MD5",
    "SHA1",
    "SHA224",
    "SHA256",
    "SHA384",
    "SHA512",
    "SHA2",
    "CRC32",
    "OVERLAPS",
    "PRINTF",
    "TYPEOF",
    "CURRENT_DATABASE",
    "LIKE",
    "||",
    "CONCAT",
    "CONCAT_WS",
    "UPPER",
    "LOWER",
    "UCASE",
    "LCASE",
    "TRIM",
    "LTRIM",
    "RTRIM",
    "BTRIM",
    "SUBSTRING",
    "SUBSTR",
    "CHAR_LENGTH",
    "CHARACTER_LENGTH",
    "OCTET_LENGTH",
    "POSITION",
    "LOCATE",
    "INSTR",
    "REPLACE",
    "OVERLAY",
    "INITCAP",
    "REVERSE",
    "REPEAT",
    "LPAD",
    "RPAD",
    "LEFT",
    "RIGHT",
    "ASCII",
    "CHR",
    "ENCODE",
    "DECODE",
    "TO_BASE64",
    "FROM_BASE64",
    "HEX",
    "UNHEX",
    "BIN",
    "STARTSWITH",
    "ENDSWITH",
    "TRANSLATE",
    "ELT",
    "IS_ALPHA",
    "IS_DECIMAL",
    "IS_DIGIT",
    "SIMILAR",
    "BITAND",
    "BITOR",
    "BITXOR",
    "BITNOT",
    "PERCENTILE",
    "GROUP_ID",
];

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
                let data_type = l.data_type.clone();
                let equal = call("=", vec![l.clone(), r], span)?;
                let branches = vec![(equal, typed_null(data_type.clone()))];
                Expr { kind: ExprKind::Case(branches, Box::new(l)), data_type }
            }
            ("IF", [condition, then, otherwise]) => {
                let bound = self.bind(condition)?;
                let condition = boolean(bound, condition.span, "IF")?;
                let values = self.all(&[then, otherwise])?;
                case_of(vec![condition], values, span)?
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
            ("JSON_VALUE" | "JSON_EXISTS", _) => self.json(from, span)?,
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    fn all(&mut self, from: &[&ast::Expr]) -> Result<Vec<Expr>> {
        from.iter().map(|e| self.bind(e)).collect()
    }

    /// JSON_VALUE's result is a text that RETURNING casts; what a clause changes beyond DEFAULT
    /// and NULL is refused.
    fn json(&mut self, from: &ast::Call, span: Span) -> Result<Expr> {
        let name = from.name.value.as_str();
        let mut args = Vec::new();
        let mut behaviours = [None, None];
        let mut returning = DataType::STRING;
        for arg in &from.args {
            let at = arg.value.span;
            match arg.name.as_ref().map(|n| n.value.as_str()) {
                None => args.push(self.bind(&arg.value)?),
                Some("RETURNING") => {
                    let ast::ExprKind::Text(text) = &arg.value.kind else { continue };
                    returning = returning_type(text)
                        .ok_or_else(|| Issue::unsupported(at, &format!("RETURNING {text}")))?;
                }
                Some("ON EMPTY") => behaviours[0] = Some(&arg.value),
                Some("ON ERROR") => behaviours[1] = Some(&arg.value),
                Some(other) => {
                    return Err(Issue::not_flink(at, other, "ON EMPTY or ON ERROR"));
                }
            }
        }
        if name == "JSON_EXISTS" {
            if let Some(behaviour) = behaviours.into_iter().flatten().next() {
                return Err(Issue::unsupported(behaviour.span, "JSON_EXISTS with ON ERROR"));
            }
            return call(name, args, span);
        }
        // Arguments of the engine's function: text, path, type, default if empty, default if error.
        args.push(typed_null(returning.clone()));
        for behaviour in behaviours {
            let default = match behaviour.map(|b| (&b.kind, b)) {
                None => typed_null(returning.clone()),
                Some((ast::ExprKind::Column(word), b)) if word.len() == 1 => {
                    if word[0].value.eq_ignore_ascii_case("NULL") {
                        typed_null(returning.clone())
                    } else {
                        return Err(Issue::unsupported(b.span, "JSON_VALUE with ERROR ON …"));
                    }
                }
                Some((_, b)) => {
                    let bound = self.bind(b)?;
                    coerce::implicit_cast(bound, returning.clone(), b.span)?
                }
            };
            args.push(default);
        }
        call(name, args, span)
    }

    pub(crate) fn is_in(
        &mut self,
        arg: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        span: Span,
    ) -> Result<Expr> {
        let mut all = vec![self.bind(arg)?];
        for item in list {
            all.push(self.bind(item)?);
        }
        let mut all = unify(all, span, "IN")?;
        let arg = all.remove(0);
        let kind = ExprKind::In(Box::new(arg), all);
        Ok(negate(Expr { kind, data_type: DataType::Boolean }, negated))
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

/// CASE over conditions and one more value than them.
fn case_of(conditions: Vec<Expr>, values: Vec<Expr>, span: Span) -> Result<Expr> {
    let mut values = unify(values, span, "CASE")?;
    let otherwise = values.pop().expect("CASE has a value for ELSE");
    let data_type = otherwise.data_type.clone();
    let branches = conditions.into_iter().zip(values).collect();
    Ok(Expr { kind: ExprKind::Case(branches, Box::new(otherwise)), data_type })
}

/// Casts all values to their common type.
fn unify(values: Vec<Expr>, span: Span, what: &str) -> Result<Vec<Expr>> {
    let types: Vec<&DataType> = values.iter().map(|v| &v.data_type).collect();
    let Some(common) = coerce::common_type(&types) else {
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

/// The types that JSON_VALUE returns in Flink.
fn returning_type(text: &str) -> Option<DataType> {
    match text {
        "STRING" => Some(DataType::STRING),
        "BOOLEAN" => Some(DataType::Boolean),
        "INT" => Some(DataType::Int),
        "DOUBLE" => Some(DataType::Double),
        _ => None,
    }
}
