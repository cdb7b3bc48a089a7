//! Statements: which one it is, and the parts the query parser has no grammar for.
//!
//! Guarantees: each statement is read to its last token; every error has a place, also at the end
//! of input. Does not look at what names mean.

mod create_table;
mod match_recognize;
mod syntax;

use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use crate::ast::{Expr, Name, Query};
use crate::convert;
use crate::diagnostic::{Issue, Result};
use crate::lex::{StatementTokens, is_keyword, is_word};
use crate::types::SqlType;

pub(crate) use match_recognize::WITHIN;
pub(crate) use syntax::Cursor;

/// One statement of a script.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    CreateTable(CreateTable),
    CreateView(CreateView),
    Insert(Insert),
    Set(Set),
    Describe(Name),
    Explain(Explained),
    /// The end of a statement set.
    End,
}

/// What EXPLAIN asks about.
#[derive(Clone, Debug)]
pub(crate) enum Explained {
    Insert(Insert),
    Query(Query),
    /// The first INSERT of a statement set, which goes on until END.
    Set(Insert),
}

/// `CREATE TABLE name (…) WITH (…)`
#[derive(Clone, Debug)]
pub(crate) struct CreateTable {
    pub(crate) name: Name,
    pub(crate) columns: Vec<Column>,
    pub(crate) watermark: Option<Watermark>,
    pub(crate) primary_key: Option<Vec<Name>>,
    pub(crate) options: Vec<Setting>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Name,
    pub(crate) kind: ColumnKind,
}

/// Where a column's values come from.
#[derive(Clone, Debug)]
pub(crate) enum ColumnKind {
    /// From the record itself.
    Physical { ty: SqlType, not_null: bool, span: Span },
    /// `name AS expression`
    Computed(Expr),
    /// `name type METADATA [FROM 'key'] [VIRTUAL]`
    Metadata { ty: SqlType, not_null: bool, key: Option<Setting>, read_only: bool },
}

/// `WATERMARK FOR column AS expression`
#[derive(Clone, Debug)]
pub(crate) struct Watermark {
    pub(crate) column: Name,
    pub(crate) expr: Expr,
}

/// `'key' = 'value'` with the places of both.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: String,
    pub(crate) value_span: Span,
}

/// `CREATE [TEMPORARY] VIEW name [(columns)] AS query`
#[derive(Clone, Debug)]
pub(crate) struct CreateView {
    pub(crate) name: Name,
    pub(crate) columns: Vec<Name>,
    pub(crate) query: Query,
}

/// `INSERT INTO table [(columns)] query`
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    pub(crate) table: Name,
    pub(crate) columns: Vec<Name>,
    pub(crate) query: Query,
}

/// `SET 'key' = 'value'`
pub(crate) type Set = Setting;

/// Every statement, by its first words.
pub(crate) const STATEMENTS: [&str; 7] =
    ["CREATE TABLE", "CREATE VIEW", "INSERT INTO", "SET", "DESCRIBE", "DESC", "EXPLAIN"];
/// More tokens than any pipeline needs, few enough that no tree is deeper than the stack.
const STATEMENT_TOKENS_MAX: usize = 4_000;

/// Reads one statement. `None`: there is nothing.
pub(crate) fn parse(statement: StatementTokens) -> Result<Option<Statement>> {
    let StatementTokens { tokens, end, faulty: _ } = statement;
    let tokens = match_recognize::rewrite(strip_set(tokens))?;
    let Some(first) = tokens.first().cloned() else { return Ok(None) };
    if tokens.len() > STATEMENT_TOKENS_MAX {
        let message = format!("the statement has more than {STATEMENT_TOKENS_MAX} words");
        return Err(Issue::new(first.span, message, "split it by a view"));
    }
    let mut cursor = Cursor::new(tokens, end);
    let statement = match keyword(&first).as_str() {
        "CREATE" => create(&mut cursor)?,
        "INSERT" => Statement::Insert(insert(&mut cursor)?),
        "SET" => Statement::Set(set(&mut cursor)?),
        "DESCRIBE" | "DESC" => Statement::Describe(describe(&mut cursor)?),
        "EXPLAIN" => Statement::Explain(explain(&mut cursor)?),
        "END" => end_of_set(&mut cursor),
        other => return Err(refuse(other, first.span)),
    };
    cursor.end()?;
    Ok(Some(statement))
}

fn keyword(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
        other => other.to_string(),
    }
}

/// `EXECUTE STATEMENT SET BEGIN` and `BEGIN STATEMENT SET` in front: every INSERT of a script runs
/// in one job anyway.
fn strip_set(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let starts = |words: &[&str]| {
        tokens.len() >= words.len()
            && words.iter().enumerate().all(|(i, word)| is_word(tokens.get(i), word))
    };
    let skip = if starts(&["EXECUTE", "STATEMENT", "SET", "BEGIN"]) {
        4
    } else if starts(&["BEGIN", "STATEMENT", "SET"]) {
        3
    } else {
        0
    };
    tokens.into_iter().skip(skip).collect()
}

fn refuse(word: &str, span: Span) -> Issue {
    const FLINK: [&str; 17] = [
        "DROP", "ALTER", "SHOW", "USE", "LOAD", "UNLOAD", "ADD", "REMOVE", "ANALYZE", "DELETE",
        "UPDATE", "TRUNCATE", "CALL", "COMPILE", "EXECUTE", "RESET", "BEGIN",
    ];
    if matches!(word, "SELECT" | "WITH" | "TABLE" | "VALUES") {
        let message = "a query alone has no place for its rows";
        return Issue::new(span, message, "write INSERT INTO table SELECT …");
    }
    if FLINK.contains(&word) {
        return Issue::unsupported(span, &format!("the statement {word}"));
    }
    let words = STATEMENTS.iter().map(|s| s.split(' ').next().unwrap_or_default());
    let remedy = crate::diagnostic::suggest(word, words, "statements");
    Issue::new(span, format!("unknown statement '{word}'"), remedy)
}

fn create(cursor: &mut Cursor) -> Result<Statement> {
    cursor.step(|p| p.expect_keyword(Keyword::CREATE))?;
    if cursor.peek_keyword(Keyword::OR) {
        return Err(Issue::unsupported(cursor.next_span(), "CREATE OR REPLACE"));
    }
    let temporary = cursor.parser().parse_keyword(Keyword::TEMPORARY);
    let word = cursor.next_word();
    match word.as_str() {
        "TABLE" => create_table::parse(cursor).map(Statement::CreateTable),
        "VIEW" => create_view(cursor).map(Statement::CreateView),
        "MODEL" | "FUNCTION" | "CATALOG" | "DATABASE" | "MATERIALIZED" | "CONNECTION" => {
            Err(Issue::unsupported(cursor.next_span(), &format!("CREATE {word}")))
        }
        "SYSTEM" if temporary => Err(Issue::unsupported(cursor.next_span(), "CREATE FUNCTION")),
        _ => {
            let message = format!("CREATE {word} is not known");
            Err(Issue::new(cursor.next_span(), message, "write CREATE TABLE or CREATE VIEW"))
        }
    }
}

fn create_view(cursor: &mut Cursor) -> Result<CreateView> {
    cursor.step(|p| p.expect_keyword(Keyword::VIEW))?;
    if_not_exists(cursor)?;
    let name = cursor.name()?;
    let columns = match cursor.peek_is(&Token::LParen) {
        true => cursor.names()?,
        false => Vec::new(),
    };
    comment(cursor)?;
    cursor.step(|p| p.expect_keyword(Keyword::AS))?;
    let query = query(cursor)?;
    Ok(CreateView { name, columns, query })
}

/// `IF NOT EXISTS`, which changes nothing: a script starts empty.
fn if_not_exists(cursor: &mut Cursor) -> Result<()> {
    if cursor.parser().parse_keyword(Keyword::IF) {
        cursor.step(|p| p.expect_keywords(&[Keyword::NOT, Keyword::EXISTS]))?;
    }
    Ok(())
}

/// `COMMENT 'text'`, read and dropped.
fn comment(cursor: &mut Cursor) -> Result<()> {
    if cursor.parser().parse_keyword(Keyword::COMMENT) {
        cursor.step(Parser::parse_literal_string)?;
    }
    Ok(())
}

fn insert(cursor: &mut Cursor) -> Result<Insert> {
    cursor.step(|p| p.expect_keyword(Keyword::INSERT))?;
    if cursor.peek_keyword(Keyword::OVERWRITE) {
        return Err(Issue::unsupported(cursor.next_span(), "INSERT OVERWRITE"));
    }
    cursor.step(|p| p.expect_keyword(Keyword::INTO))?;
    let table = cursor.name()?;
    if cursor.peek_keyword(Keyword::PARTITION) {
        return Err(Issue::unsupported(cursor.next_span(), "PARTITION in INSERT"));
    }
    let opens_query = cursor.peek_is(&Token::LParen) && is_query(cursor.peek_nth(1));
    let columns = match cursor.peek_is(&Token::LParen) && !opens_query {
        true => cursor.names()?,
        false => Vec::new(),
    };
    let query = query(cursor)?;
    Ok(Insert { table, columns, query })
}

fn is_query(token: &TokenWithSpan) -> bool {
    [Keyword::SELECT, Keyword::WITH, Keyword::VALUES]
        .iter()
        .any(|keyword| is_keyword(Some(token), *keyword))
}

fn query(cursor: &mut Cursor) -> Result<Query> {
    let parsed = cursor.query()?;
    convert::query(parsed)
}

fn set(cursor: &mut Cursor) -> Result<Set> {
    cursor.step(|p| p.expect_keyword(Keyword::SET))?;
    cursor.setting("SET 'key' = 'value'")
}

/// `DESCRIBE [EXTENDED] name`
fn describe(cursor: &mut Cursor) -> Result<Name> {
    cursor.parser().next_token();
    if cursor.next_word() == "EXTENDED" {
        cursor.parser().next_token();
    }
    cursor.name()
}

fn end_of_set(cursor: &mut Cursor) -> Statement {
    cursor.parser().next_token();
    Statement::End
}

/// `EXPLAIN [detail, … | PLAN FOR]` and what it asks about; every detail is shown anyway.
fn explain(cursor: &mut Cursor) -> Result<Explained> {
    const DETAILS: [&str; 4] =
        ["ESTIMATED_COST", "CHANGELOG_MODE", "JSON_EXECUTION_PLAN", "PLAN_ADVICE"];
    cursor.parser().next_token();
    if cursor.next_word() == "PLAN" {
        cursor.parser().next_token();
        cursor.step(|p| p.expect_keyword(Keyword::FOR))?;
    }
    while DETAILS.contains(&cursor.next_word().as_str()) || cursor.peek_is(&Token::Comma) {
        cursor.parser().next_token();
    }
    match cursor.next_word().as_str() {
        "INSERT" => insert(cursor).map(Explained::Insert),
        "SELECT" | "WITH" | "VALUES" | "(" => query(cursor).map(Explained::Query),
        "STATEMENT" => {
            for _ in 0..2 {
                cursor.parser().next_token();
            }
            cursor.step(|p| p.expect_keyword(Keyword::BEGIN))?;
            insert(cursor).map(Explained::Set)
        }
        _ => {
            let message = "EXPLAIN is followed by an INSERT, a query or a statement set";
            let remedy = "write EXPLAIN INSERT INTO table SELECT …";
            Err(Issue::new(cursor.next_span(), message, remedy))
        }
    }
}

/// A parser's error with the help of its place.
pub(crate) type Parsed<T> = core::result::Result<T, ParserError>;

#[cfg(test)]
mod tests;
