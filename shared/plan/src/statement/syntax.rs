//! A cursor over one statement's tokens: the query parser with errors that have a place.

use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use crate::ast::Name;
use crate::convert;
use crate::diagnostic::{Issue, Result};
use crate::dialect::FlinkDialect;
use crate::lex::is_keyword;
use crate::statement::{Parsed, Setting};

/// Deep enough for any script, shallow enough for a small stack.
const NESTING_MAX: usize = 50;

/// See the module.
pub(crate) struct Cursor {
    parser: Parser<'static>,
    tokens: Vec<TokenWithSpan>,
    end: Span,
}

impl Cursor {
    pub(crate) fn new(tokens: Vec<TokenWithSpan>, end: Span) -> Self {
        Self { parser: parser(tokens.clone()), tokens, end }
    }

    pub(crate) fn parser(&mut self) -> &mut Parser<'static> {
        &mut self.parser
    }

    /// Runs one step of the query parser.
    pub(crate) fn step<T>(
        &mut self,
        step: impl FnOnce(&mut Parser<'static>) -> Parsed<T>,
    ) -> Result<T> {
        step(&mut self.parser).map_err(|e| self.located(e))
    }

    pub(crate) fn peek_keyword(&self, keyword: Keyword) -> bool {
        self.parser.peek_keyword(keyword)
    }

    pub(crate) fn peek_is(&self, token: &Token) -> bool {
        self.parser.peek_token_ref().token == *token
    }

    pub(crate) fn peek_nth(&self, n: usize) -> &TokenWithSpan {
        self.parser.peek_nth_token_ref(n)
    }

    /// The next word in upper case; empty when it is quoted or no word.
    pub(crate) fn next_word(&self) -> String {
        match &self.parser.peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
            _ => String::new(),
        }
    }

    /// Where the next token stands; at the end, where the statement ends.
    pub(crate) fn next_span(&self) -> Span {
        let span = self.parser.peek_token_ref().span;
        if span == Span::empty() { self.end } else { span }
    }

    pub(crate) fn name(&mut self) -> Result<Name> {
        let object = self.step(|p| p.parse_object_name(false))?;
        convert::simple_name(object)
    }

    /// `(a, b, …)`
    pub(crate) fn names(&mut self) -> Result<Vec<Name>> {
        self.step(|p| p.expect_token(&Token::LParen))?;
        let idents = self.step(|p| p.parse_comma_separated(Parser::parse_identifier))?;
        self.step(|p| p.expect_token(&Token::RParen))?;
        idents.into_iter().map(convert::name).collect()
    }

    /// `'key' = 'value'`
    pub(crate) fn setting(&mut self, form: &str) -> Result<Setting> {
        let (key, key_span) = self.text(form)?;
        self.step(|p| p.expect_token(&Token::Eq))?;
        let (value, value_span) = self.text(form)?;
        Ok(Setting { key, key_span, value, value_span })
    }

    /// A text in quotes and its place.
    pub(crate) fn text(&mut self, form: &str) -> Result<(String, Span)> {
        let span = self.next_span();
        let token = self.parser.next_token();
        match token.token {
            Token::SingleQuotedString(text) => Ok((text, span)),
            Token::EOF => {
                let message = "the statement ends where a text in quotes is expected";
                Err(Issue::new(span, message, format!("write {form}")))
            }
            other => {
                let message = format!("expected a text in quotes, found {other}");
                Err(Issue::new(span, message, format!("write {form}")))
            }
        }
    }

    /// A query up to the end of the statement.
    pub(crate) fn query(&mut self) -> Result<ast::Query> {
        if !self.parser.peek_token_ref().token.is_query_start() {
            let span = self.next_span();
            return Err(Issue::new(span, "expected a query", "write SELECT … FROM …"));
        }
        let start = self.parser.index();
        let parsed = self.step(|p| p.parse_query()).and_then(|query| {
            self.end()?;
            Ok(*query)
        });
        // The parser speculates on brackets after FROM and then blames the bracket: look for the
        // innermost query that is wrong by itself.
        parsed.map_err(|outer| innermost(&self.tokens[start..]).unwrap_or(outer))
    }

    /// Requires that everything was read.
    pub(crate) fn end(&self) -> Result<()> {
        let token = self.parser.peek_token();
        if token.token == Token::EOF {
            return Ok(());
        }
        let message = format!("expected the end of the statement, found {}", token.token);
        Err(Issue::new(self.next_span(), message, "end statements with ';', or remove the rest"))
    }

    fn located(&self, error: ParserError) -> Issue {
        located(error, &self.tokens, self.end)
    }
}

trait QueryStart {
    fn is_query_start(&self) -> bool;
}

impl QueryStart for Token {
    fn is_query_start(&self) -> bool {
        match self {
            Token::LParen => true,
            Token::Word(w) => matches!(
                w.keyword,
                Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE | Keyword::FROM
            ),
            _ => false,
        }
    }
}

fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&FlinkDialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens)
}

/// The error of the deepest bracketed query that does not parse alone.
fn innermost(tokens: &[TokenWithSpan]) -> Option<Issue> {
    let opens = |i: usize| {
        tokens[i].token == Token::LParen && is_keyword(tokens.get(i + 1), Keyword::SELECT)
    };
    (0..tokens.len())
        .rev()
        .filter(|i| opens(*i))
        .find_map(|open| {
            let close = matching(tokens, open)?;
            let inner = &tokens[open + 1..close];
            let at_end = tokens[close].span;
            let mut cursor = parser(inner.to_vec());
            let failed = match cursor.parse_query() {
                Err(e) => located(e, inner, at_end),
                Ok(_) => {
                    let token = cursor.peek_token();
                    if token.token == Token::EOF {
                        return None;
                    }
                    let message = format!("expected the end of the query, found {}", token.token);
                    Issue::new(token.span, message, REMEDY)
                }
            };
            Some(failed)
        })
        .or_else(|| unclosed(tokens))
}

fn matching(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
    }
    None
}

/// A bracket that is never closed.
fn unclosed(tokens: &[TokenWithSpan]) -> Option<Issue> {
    let open = (0..tokens.len())
        .rev()
        .find(|i| tokens[*i].token == Token::LParen && matching(tokens, *i).is_none())?;
    let message = "this bracket is never closed";
    Some(Issue::new(tokens[open].span, message, "add the missing ')'"))
}

const REMEDY: &str = "docs/reference/sql.md has the grammar";

/// Finds the place in the parser's text and says it in our words.
fn located(error: ParserError, tokens: &[TokenWithSpan], end: Span) -> Issue {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            let span = tokens.first().map_or(end, |t| t.span);
            let message = format!("the statement nests deeper than {NESTING_MAX}");
            return Issue::new(span, message, "split it by a view");
        }
    };
    let (text, start) = match text.rsplit_once(" at Line: ") {
        Some((text, place)) => (text.to_owned(), parse_place(place)),
        None => (text, None),
    };
    let span = start.map_or(end, |start| {
        let token = tokens.iter().find(|t| t.span.start == start);
        token.map_or(Span::new(start, start), |t| t.span)
    });
    let text = text.replacen("Expected: ", "expected ", 1).replace("found: EOF", "found its end");
    let text = text.replacen(", found: ", ", found ", 1);
    let mut chars = text.chars();
    let message: String =
        chars.next().map_or(String::new(), |c| c.to_lowercase().chain(chars).collect());
    // What a name may have meant is a remedy.
    if let Some((before, rest)) = message.split_once(" (did you mean ")
        && let Some((meant, after)) = rest.split_once("?)")
    {
        return Issue::new(span, [before, after].concat(), format!("did you mean {meant}?"));
    }
    Issue::new(span, message, REMEDY)
}

fn parse_place(place: &str) -> Option<Location> {
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location::new(line.parse().ok()?, column.parse().ok()?))
}
