//! What Flink's MATCH_RECOGNIZE has and the query parser has no place for.
//!
//! `WITHIN interval` becomes the first entry of DEFINE, under a name that no script can write, and
//! `SKIP TO v` the `SKIP TO LAST v` that it is short for. Every token keeps its place.

use std::iter::Peekable;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::diagnostic::{Issue, Result};
use crate::lex::is_word;

/// The name under which DEFINE holds the interval of WITHIN.
pub(crate) const WITHIN: &str = "$within";

/// Rewrites every MATCH_RECOGNIZE of a statement.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let opens = is_word(Some(&token), "MATCH_RECOGNIZE")
            && rest.peek().is_some_and(|next| next.token == Token::LParen);
        out.push(token);
        if opens {
            clauses(&mut rest, &mut out)?;
        }
    }
    Ok(out)
}

/// The clauses between the brackets, with both.
fn clauses(
    rest: &mut Peekable<impl Iterator<Item = TokenWithSpan>>,
    out: &mut Vec<TokenWithSpan>,
) -> Result<()> {
    let mut depth = 0usize;
    let mut within: Option<Vec<TokenWithSpan>> = None;
    let mut is_within = false;
    while let Some(token) = rest.next() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let at_clause = depth == 1;
        if at_clause && is_word(Some(&token), "SUBSET") {
            return Err(Issue::unsupported(token.span, "SUBSET"));
        }
        if at_clause && is_word(Some(&token), "WITHIN") && within.is_none() {
            within = Some(vec![token]);
            is_within = true;
            continue;
        }
        if at_clause && is_word(Some(&token), "DEFINE") {
            is_within = false;
            out.push(token);
            define(within.take(), out);
            continue;
        }
        if is_within && depth > 0 {
            within.get_or_insert_default().push(token);
            continue;
        }
        if let Some(first) = within.as_ref().and_then(|tokens| tokens.first()) {
            let message = "WITHIN stands between PATTERN and DEFINE";
            return Err(Issue::new(first.span, message, "write DEFINE behind it"));
        }
        // A match has no measures but final ones.
        let opens_call = rest.peek().is_some_and(|next| matches!(next.token, Token::Word(_)));
        if is_word(Some(&token), "FINAL") && opens_call {
            continue;
        }
        if at_clause && skips_to_variable(out, &token) {
            out.push(TokenWithSpan::new(Token::make_word("LAST", None), token.span));
        }
        out.push(token);
        if depth == 0 {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether `token` is the variable in `SKIP TO variable`.
fn skips_to_variable(before: &[TokenWithSpan], token: &TokenWithSpan) -> bool {
    let follows = |back: usize, word: &str| {
        before.len().checked_sub(back).is_some_and(|at| is_word(before.get(at), word))
    };
    let is_named = ["NEXT", "FIRST", "LAST"].iter().any(|word| is_word(Some(token), word));
    follows(2, "SKIP") && follows(1, "TO") && !is_named && matches!(token.token, Token::Word(_))
}

/// The entry of DEFINE for `WITHIN …`.
fn define(within: Option<Vec<TokenWithSpan>>, out: &mut Vec<TokenWithSpan>) {
    let Some(tokens) = within else { return };
    let span = tokens[0].span;
    out.push(TokenWithSpan::new(Token::make_word(WITHIN, Some('`')), span));
    out.push(TokenWithSpan::new(Token::make_word("AS", None), span));
    out.extend(tokens.into_iter().skip(1));
    out.push(TokenWithSpan::new(Token::Comma, span));
}
