//! The clauses of the JSON functions, encoded as named arguments that `bind` reads back.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Value,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token};

use crate::types;

/// `JSON_VALUE(text, path [RETURNING type] [behaviour ON EMPTY] [behaviour ON ERROR])`,
/// `JSON_QUERY(text, path [RETURNING type] [wrapper] [behaviour ON EMPTY] [behaviour ON ERROR])`
/// and `JSON_EXISTS(text, path [behaviour ON ERROR])`.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let mut args = vec![unnamed(parser.parse_expr()?)];
    parser.expect_token(&Token::Comma)?;
    args.push(unnamed(parser.parse_expr()?));
    if parser.parse_keyword(Keyword::RETURNING) {
        let span = parser.peek_token_ref().span;
        let ty = types::parse_type(parser)?;
        args.push(named("RETURNING", text(ty.to_string(), span), span));
    }
    if name.value.eq_ignore_ascii_case("JSON_QUERY") {
        let span = parser.peek_token_ref().span;
        if let Some(word) = wrapper(parser)? {
            args.push(named("WRAPPER", text(word.to_owned(), span), span));
        }
    }
    while parser.peek_token_ref().token != Token::RParen {
        let span = parser.peek_token_ref().span;
        let behaviour = behaviour(parser)?;
        parser.expect_keyword(Keyword::ON)?;
        let which = parser.parse_identifier()?;
        args.push(named(&format!("ON {}", which.value.to_uppercase()), behaviour, span));
    }
    parser.expect_token(&Token::RParen)?;
    Ok(call(name, args))
}

/// `JSON_OBJECT([[KEY] 'name' VALUE value, …] [NULL | ABSENT ON NULL])`, also `'name': value`, and
/// `JSON_ARRAY([value, …] [NULL | ABSENT ON NULL])`: names and values are arguments in turn.
pub(super) fn make(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let name = parser.parse_identifier()?;
    let is_object = name.value.eq_ignore_ascii_case("JSON_OBJECT");
    parser.expect_token(&Token::LParen)?;
    let mut args = Vec::new();
    while parser.peek_token_ref().token != Token::RParen {
        let span = parser.peek_token_ref().span;
        if let Some(word) = on_null(parser) {
            args.push(named("ON NULL", text(word.to_owned(), span), span));
            break;
        }
        let goes_on = args.is_empty() || parser.consume_token(&Token::Comma);
        if !goes_on {
            let token = parser.peek_token();
            return parser.expected("',' or ')'", token);
        }
        if is_object {
            args.push(unnamed(member_name(parser)?));
        }
        args.push(unnamed(parser.parse_expr()?));
    }
    parser.expect_token(&Token::RParen)?;
    Ok(call(name, args))
}

/// `[KEY] 'name' VALUE` or `'name':`
fn member_name(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let is_text = |token: &Token| matches!(token, Token::SingleQuotedString(_));
    if is_text(&parser.peek_nth_token_ref(1).token) {
        word(parser, "KEY");
    }
    let token = parser.next_token();
    let Token::SingleQuotedString(name) = token.token else {
        return parser.expected("the name of a member, in quotes", token);
    };
    if !parser.consume_token(&Token::Colon) && !word(parser, "VALUE") {
        let token = parser.peek_token();
        return parser.expected("VALUE", token);
    }
    Ok(text(name, token.span))
}

/// `NULL ON NULL` or `ABSENT ON NULL`.
fn on_null(parser: &mut Parser<'_>) -> Option<&'static str> {
    let is = |at: usize, wanted: &str| {
        matches!(&parser.peek_nth_token_ref(at).token, Token::Word(w)
            if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(wanted))
    };
    let found = ["NULL", "ABSENT"].into_iter().find(|w| is(0, w))?;
    if !is(1, "ON") || !is(2, "NULL") {
        return None;
    }
    (0..3).for_each(|_| drop(parser.next_token()));
    Some(found)
}

pub(super) fn call(name: Ident, args: Vec<FunctionArg>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        within_group: Vec::new(),
        filter: None,
        null_treatment: None,
        over: None,
    })
}

/// Steps over a word, if it is the next one.
fn word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    let is_it = matches!(&parser.peek_token_ref().token, Token::Word(w)
        if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(wanted));
    if is_it {
        parser.next_token();
    }
    is_it
}

/// `DEFAULT value`, one word, or `EMPTY ARRAY` and `EMPTY OBJECT` as one name of two words.
fn behaviour(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    if parser.parse_keyword(Keyword::DEFAULT) {
        return parser.parse_expr();
    }
    let mut word = parser.parse_identifier()?;
    if word.value.eq_ignore_ascii_case("EMPTY") {
        let kind = parser.parse_identifier()?;
        word.value = format!("EMPTY {}", kind.value.to_uppercase());
    }
    Ok(Expr::Identifier(word))
}

/// `WITHOUT [ARRAY] WRAPPER` or `WITH [CONDITIONAL | UNCONDITIONAL] [ARRAY] WRAPPER`.
fn wrapper(parser: &mut Parser<'_>) -> Result<Option<&'static str>, ParserError> {
    let found = if word(parser, "WITHOUT") {
        "WITHOUT"
    } else if word(parser, "WITH") {
        match word(parser, "CONDITIONAL") {
            true => "CONDITIONAL",
            false => {
                word(parser, "UNCONDITIONAL");
                "UNCONDITIONAL"
            }
        }
    } else {
        return Ok(None);
    };
    word(parser, "ARRAY");
    if !word(parser, "WRAPPER") {
        let token = parser.peek_token();
        return parser.expected("WRAPPER", token);
    }
    Ok(Some(found))
}

fn text(value: String, span: Span) -> Expr {
    Expr::Value(Value::SingleQuotedString(value).with_span(span))
}

pub(super) fn unnamed(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn named(name: &str, expr: Expr, span: Span) -> FunctionArg {
    FunctionArg::Named {
        name: Ident { value: name.to_owned(), quote_style: None, span },
        arg: FunctionArgExpr::Expr(expr),
        operator: FunctionArgOperator::RightArrow,
    }
}
