//! Flink's dialect for the query parser.
//!
//! Guarantees: identifiers quoted by back-quotes only, Flink's operator precedence, and Flink's
//! own forms in expressions (CAST with Flink's types, `TABLE t` as an argument, the clauses of
//! the JSON functions), encoded so that `convert` can read them back. What the parser accepts
//! beyond Flink is refused by `convert`.

use sqlparser::ast::{CastKind, DataType, Expr, Ident, ObjectName, UnaryOperator};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token};

use crate::types;

mod json;

/// See the module.
#[derive(Debug)]
pub(crate) struct FlinkDialect;

impl Dialect for FlinkDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_match_recognize(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    /// Calcite binds BETWEEN, IN and LIKE more tightly than the comparisons.
    fn prec_value(&self, prec: Precedence) -> u8 {
        match prec {
            Precedence::Period => 100,
            Precedence::DoubleColon => 50,
            Precedence::AtTz => 41,
            Precedence::MulDivModOp => 40,
            Precedence::PlusMinus => 30,
            Precedence::Xor => 27,
            Precedence::Ampersand => 26,
            Precedence::Caret => 25,
            Precedence::Pipe | Precedence::Colon | Precedence::PgOther => 24,
            Precedence::Between | Precedence::Like => 22,
            Precedence::Eq => 20,
            Precedence::Is => 17,
            Precedence::UnaryNot => 15,
            Precedence::And => 10,
            Precedence::Or => 5,
        }
    }

    /// `BETWEEN SYMMETRIC` and `BETWEEN ASYMMETRIC`, with or without NOT.
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        _: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let is = |at: usize, wanted: &str| {
            matches!(&parser.peek_nth_token_ref(at).token, Token::Word(w)
                if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(wanted))
        };
        let negated = is(0, "NOT");
        let at = usize::from(negated);
        let symmetric = is(at + 1, "SYMMETRIC");
        if !is(at, "BETWEEN") || !(symmetric || is(at + 1, "ASYMMETRIC")) {
            return None;
        }
        let span = parser.peek_token_ref().span;
        (0..at + 2).for_each(|_| drop(parser.next_token()));
        Some(parse_between(parser, expr.clone(), negated, symmetric, span))
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let token = parser.peek_token_ref();
        let Token::Word(word) = &token.token else { return None };
        if word.quote_style.is_some() {
            return None;
        }
        let opens = parser.peek_nth_token_ref(1).token == Token::LParen;
        if word.value.eq_ignore_ascii_case("MAP")
            && parser.peek_nth_token_ref(1).token == Token::LBracket
        {
            return Some(parse_map(parser));
        }
        match word.value.to_uppercase().as_str() {
            "CAST" if opens => Some(parse_cast(parser, CastKind::Cast)),
            "TRY_CAST" if opens => Some(parse_cast(parser, CastKind::TryCast)),
            "JSON_VALUE" | "JSON_EXISTS" | "JSON_QUERY" if opens => Some(json::parse(parser)),
            "JSON_OBJECT" | "JSON_ARRAY" if opens => Some(json::make(parser)),
            "TABLE" if !opens => Some(parse_table_argument(parser)),
            _ => None,
        }
    }
}

/// A type travels as the only part of a custom type's name; `convert` parses it again.
fn encode_type(parser: &mut Parser<'_>) -> Result<DataType, ParserError> {
    let span = parser.peek_token_ref().span;
    let ty = types::parse_type(parser)?;
    let ident = Ident { value: ty.to_string(), quote_style: None, span };
    Ok(DataType::Custom(ObjectName::from(vec![ident]), Vec::new()))
}

/// The bounds of BETWEEN; with SYMMETRIC a call of a function of that name.
fn parse_between(
    parser: &mut Parser<'_>,
    expr: Expr,
    negated: bool,
    symmetric: bool,
    span: Span,
) -> Result<Expr, ParserError> {
    let precedence = FlinkDialect.prec_value(Precedence::Between);
    let low = parser.parse_subexpr(precedence)?;
    parser.expect_keyword(Keyword::AND)?;
    let high = parser.parse_subexpr(precedence)?;
    if !symmetric {
        let (expr, low, high) = (Box::new(expr), Box::new(low), Box::new(high));
        return Ok(Expr::Between { expr, negated, low, high });
    }
    let args = [expr, low, high].map(json::unnamed).to_vec();
    let name = Ident { value: "BETWEEN SYMMETRIC".to_owned(), quote_style: None, span };
    let called = json::call(name, args);
    let op = UnaryOperator::Not;
    Ok(if negated { Expr::UnaryOp { op, expr: Box::new(called) } } else { called })
}

/// `MAP[key, value, …]`, a call of a function of that name.
fn parse_map(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LBracket)?;
    let args = parser.parse_comma_separated(|parser| parser.parse_expr().map(json::unnamed))?;
    parser.expect_token(&Token::RBracket)?;
    Ok(json::call(name, args))
}

fn parse_cast(parser: &mut Parser<'_>, kind: CastKind) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(parser.parse_expr()?);
    parser.expect_keyword(Keyword::AS)?;
    let data_type = encode_type(parser)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Cast { kind, expr, data_type, format: None })
}

/// Prefix of a table argument with PARTITION BY: a tuple of the table and the columns.
pub(crate) const PARTITIONED_TABLE: &str = "TABLE PARTITION BY";

/// A comma goes on with the columns unless the next argument follows it.
fn is_partition_column(parser: &Parser<'_>) -> bool {
    let is_name = matches!(&parser.peek_nth_token_ref(1).token, Token::Word(_));
    let after = &parser.peek_nth_token_ref(2).token;
    parser.peek_token_ref().token == Token::Comma
        && is_name
        && matches!(after, Token::Comma | Token::RParen)
}

/// `TABLE name` as an argument of a window function, encoded as a prefixed identifier.
fn parse_table_argument(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let token = parser.next_token();
    let prefix = Ident { value: "TABLE".to_owned(), quote_style: None, span: token.span };
    let mut parts = vec![parser.parse_identifier()?];
    while parser.consume_token(&Token::Period) {
        parts.push(parser.parse_identifier()?);
    }
    let mut prefix = prefix;
    if parser.parse_keyword(Keyword::PARTITION) {
        prefix.value = PARTITIONED_TABLE.to_owned();
        parser.expect_keyword(Keyword::BY)?;
        let is_bracketed = parser.consume_token(&Token::LParen);
        let mut all = vec![Expr::CompoundIdentifier(parts)];
        all.push(Expr::Identifier(parser.parse_identifier()?));
        while is_partition_column(parser) {
            parser.next_token();
            all.push(Expr::Identifier(parser.parse_identifier()?));
        }
        if is_bracketed {
            parser.expect_token(&Token::RParen)?;
        }
        return Ok(Expr::Prefixed { prefix, value: Box::new(Expr::Tuple(all)) });
    }
    Ok(Expr::Prefixed { prefix, value: Box::new(Expr::CompoundIdentifier(parts)) })
}
