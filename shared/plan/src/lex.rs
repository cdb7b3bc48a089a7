//! Text to tokens: variables, the allow-list of tokens, and the split into statements.
//!
//! Guarantees: a variable's value never changes what a quoted text is (it cannot close the
//! quote); every token has the place of the text it came from, also inside a variable; tokens
//! that Flink's own lexer would refuse, and hints, are refused here.

use std::collections::BTreeMap;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::diagnostic::{Issue, Result, Source, suggest};
use crate::dialect::FlinkDialect;

/// Values of `${name}`, from the node's `[vars]` and `--set`.
pub type Vars = BTreeMap<String, String>;

/// The tokens of one statement, without its semicolon.
pub(crate) struct StatementTokens {
    pub(crate) tokens: Vec<TokenWithSpan>,
    /// Where the statement ends: its semicolon or its last character.
    pub(crate) end: Span,
    /// A fault inside is reported already; what the parser would say of the rest is noise.
    pub(crate) faulty: bool,
}

/// Splits a script into statements, or says what the lexer cannot accept.
pub(crate) fn statements(
    source: &Source<'_>,
    vars: &Vars,
    issues: &mut Vec<Issue>,
) -> Vec<StatementTokens> {
    let tokens = match tokenize(source.text) {
        Ok(tokens) => tokens,
        Err(issue) => {
            issues.push(issue);
            return Vec::new();
        }
    };
    let mut accepted = Vec::new();
    let before = issues.len();
    for token in substitute(tokens, vars, issues) {
        if let Err(issue) = check(source, &token) {
            issues.push(issue);
        }
        push_split(&mut accepted, token);
    }
    let faults: Vec<Span> = issues[before..].iter().map(|issue| issue.span).collect();
    split(accepted, &faults)
}

fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>> {
    Tokenizer::new(&FlinkDialect, text).tokenize_with_location().map_err(|e| {
        let end = Location::new(e.location.line, e.location.column + 1);
        let remedy = if e.message.contains("Unterminated") {
            "close the quote or comment that starts here"
        } else {
            "remove or quote what starts here"
        };
        Issue::new(Span::new(e.location, end), e.message.to_lowercase(), remedy)
    })
}

/// `>>` closes two type arguments (`ROW<a ARRAY<INT>>`); Flink SQL has no shift operators.
fn push_split(out: &mut Vec<TokenWithSpan>, token: TokenWithSpan) {
    if token.token == Token::ShiftRight {
        let Span { start, end } = token.span;
        let middle = Location::new(start.line, start.column + 1);
        out.push(TokenWithSpan::new(Token::Gt, Span::new(start, middle)));
        out.push(TokenWithSpan::new(Token::Gt, Span::new(middle, end)));
    } else {
        out.push(token);
    }
}

fn split(tokens: Vec<TokenWithSpan>, faults: &[Span]) -> Vec<StatementTokens> {
    let mut statements = Vec::new();
    let mut current: Vec<TokenWithSpan> = Vec::new();
    let mut begin = Location::new(0, 0);
    let mut is_faulty = |end: Location| {
        let inside = |fault: &&Span| fault.start >= begin && fault.start < end;
        let found = faults.iter().any(|fault| inside(&fault));
        begin = end;
        found
    };
    for token in tokens {
        if token.token == Token::SemiColon {
            let faulty = is_faulty(token.span.end);
            if !current.is_empty() {
                statements.push(StatementTokens { tokens: current, end: token.span, faulty });
                current = Vec::new();
            }
        } else if !matches!(token.token, Token::Whitespace(_) | Token::EOF) {
            current.push(token);
        }
    }
    if let Some(last) = current.last() {
        let end = last.span.end;
        let start = Location::new(end.line, end.column.saturating_sub(1).max(1));
        let faulty = is_faulty(Location::new(end.line + 1, 0));
        statements.push(StatementTokens { tokens: current, end: Span::new(start, end), faulty });
    }
    statements
}

/// The allow-list of tokens.
fn check(source: &Source<'_>, token: &TokenWithSpan) -> Result<()> {
    let refuse = |what: &str, remedy: &str| Err(Issue::not_flink(token.span, what, remedy));
    match &token.token {
        Token::EOF
        | Token::SingleQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::Comma
        | Token::Eq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::ShiftRight
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::SemiColon
        | Token::LBracket
        | Token::RBracket
        | Token::RArrow => Ok(()),
        // Only inside the patterns of MATCH_RECOGNIZE.
        Token::LBrace | Token::RBrace | Token::Question | Token::Pipe => Ok(()),
        Token::Caret | Token::Placeholder(_) => Ok(()),
        Token::Word(word) => match word.quote_style {
            None | Some('`') => Ok(()),
            Some(_) => refuse("this quoting", "quote identifiers with back-quotes"),
        },
        Token::Number(_, false) => Ok(()),
        Token::Number(_, true) => refuse("a number with the suffix L", "remove the suffix"),
        Token::Whitespace(Whitespace::MultiLineComment(text)) if text.starts_with('+') => {
            Err(Issue::new(
                token.span,
                "hints are not supported",
                "remove the hint; table options belong into WITH (…)",
            ))
        }
        Token::Whitespace(_) => Ok(()),
        Token::Neq if source.slice(token.span) == "!=" => refuse("'!='", "write <>"),
        Token::Neq => Ok(()),
        Token::DoubleEq => refuse("'=='", "write ="),
        Token::DoubleColon => refuse("'::'", "write CAST(… AS type)"),
        Token::DoubleQuotedString(_) => {
            refuse("a text in double quotes", "quote texts with ' and identifiers with back-quotes")
        }
        other => refuse(&format!("'{other}'"), "remove it"),
    }
}

/// Replaces `${name}` in quoted texts and, as tokens of its own, between them.
fn substitute(
    tokens: Vec<TokenWithSpan>,
    vars: &Vars,
    issues: &mut Vec<Issue>,
) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if let Some((name, span, used)) = reference(&tokens[at..]) {
            match lookup(&name, span, vars).and_then(|value| retokenize(value, span)) {
                Ok(values) => out.extend(values),
                Err(issue) => issues.push(issue),
            }
            at += used;
            continue;
        }
        if let Token::SingleQuotedString(text) = &token.token {
            match expand(text, token.span, vars) {
                Ok(text) => {
                    out.push(TokenWithSpan::new(Token::SingleQuotedString(text), token.span));
                }
                Err(issue) => {
                    issues.push(issue);
                    out.push(token.clone());
                }
            }
        } else {
            out.push(token.clone());
        }
        at += 1;
    }
    out
}

/// `$`, `{`, a name and `}` in a row: the name, where it stands, and how many tokens it takes.
fn reference(tokens: &[TokenWithSpan]) -> Option<(String, Span, usize)> {
    let [dollar, open, rest @ ..] = tokens else { return None };
    let is_dollar = matches!(&dollar.token, Token::Placeholder(p) if p == "$");
    if !is_dollar || open.token != Token::LBrace {
        return None;
    }
    let length = rest.iter().position(|t| t.token == Token::RBrace)?;
    let name: String = rest[..length].iter().map(|t| t.token.to_string()).collect();
    Some((name, Span::new(dollar.span.start, rest[length].span.end), length + 3))
}

fn lookup<'a>(name: &str, span: Span, vars: &'a Vars) -> Result<&'a str> {
    if name.starts_with("secret:") {
        let message = "a secret may stand only in the value of a table option";
        return Err(Issue::new(span, message, "use a variable from [vars]"));
    }
    vars.get(name).map(String::as_str).ok_or_else(|| {
        let hint = suggest(name, vars.keys().map(String::as_str), "variables");
        let remedy = format!("set it in [vars] or by --set {name}=…; {hint}");
        Issue::new(span, format!("variable '{name}' is not defined"), remedy)
    })
}

fn retokenize(value: &str, span: Span) -> Result<Vec<TokenWithSpan>> {
    let tokens = tokenize(value).map_err(|issue| Issue { span, ..issue })?;
    Ok(tokens
        .into_iter()
        .filter(|t| t.token != Token::EOF)
        .map(|t| TokenWithSpan::new(t.token, span))
        .collect())
}

/// Expands `${name}` in a quoted text; `${secret:name}` stays for the run time.
fn expand(text: &str, span: Span, vars: &Vars) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            let message = "a variable has no closing brace";
            return Err(Issue::new(span, message, "write ${name}"));
        };
        let whole = &rest[start..=start + length];
        let name = &whole[2..whole.len() - 1];
        if name.starts_with("secret:") {
            out.push_str(whole);
        } else {
            out.push_str(lookup(name, locate(text, rest.len() - start, whole, span), vars)?);
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The place of a variable inside a quoted text; the whole text where it has line breaks or
/// doubled quotes in front (then columns do not add up).
fn locate(text: &str, bytes_to_end: usize, whole: &str, span: Span) -> Span {
    let before = &text[..text.len() - bytes_to_end];
    if before.contains(['\n', '\'']) {
        return span;
    }
    let chars = |s: &str| u64::try_from(s.chars().count()).unwrap_or(0);
    let start = span.start.column + 1 + chars(before);
    let line = span.start.line;
    Span::new(Location::new(line, start), Location::new(line, start + chars(whole)))
}

/// Whether a token is the given keyword.
pub(crate) fn is_word(token: Option<&TokenWithSpan>, word: &str) -> bool {
    matches!(token.map(|t| &t.token), Some(Token::Word(w))
        if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// Whether a token is the given keyword of the query parser.
pub(crate) fn is_keyword(token: Option<&TokenWithSpan>, keyword: Keyword) -> bool {
    matches!(token.map(|t| &t.token), Some(Token::Word(w)) if w.keyword == keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, vars: &[(&str, &str)]) -> (Vec<String>, Vec<Issue>) {
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut issues = Vec::new();
        let source = Source { file: "p.sql", text };
        let statements = statements(&source, &vars, &mut issues);
        let text = |s: &StatementTokens| {
            s.tokens.iter().map(|t| t.token.to_string()).collect::<Vec<_>>().join(" ")
        };
        (statements.iter().map(text).collect(), issues)
    }

    #[test]
    fn a_variable_cannot_close_its_quote() {
        let (statements, issues) = run("SET 'a' = '${x}/b'", &[("x", "it's")]);
        assert_eq!(statements, ["SET 'a' = 'it's/b'"]);
        assert!(issues.is_empty());
    }

    #[test]
    fn a_variable_between_texts_becomes_tokens() {
        let (statements, issues) = run("SELECT ${limit} + 1", &[("limit", "2.5")]);
        assert_eq!(statements, ["SELECT 2.5 + 1"]);
        assert!(issues.is_empty());
    }

    #[test]
    fn unknown_variables_and_foreign_tokens_are_located() {
        let (_, issues) = run("SELECT a == '${nam}',\n b::INT /*+ x */", &[("name", "1")]);
        let places: Vec<_> =
            issues.iter().map(|i| (i.span.start.line, i.span.start.column)).collect();
        assert_eq!(places, [(1, 14), (1, 10), (2, 3), (2, 9)]);
        assert!(issues[0].remedy.contains("did you mean 'name'"));
    }

    #[test]
    fn secrets_stay_for_the_run_time() {
        let (statements, issues) = run("SET 'a' = '${secret:pw}'; ; SET 'b' = 'c'", &[]);
        assert_eq!(statements.len(), 2);
        assert!(statements[0].contains("${secret:pw}"));
        assert!(issues.is_empty());
    }
}
