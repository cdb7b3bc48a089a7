//! `CREATE TABLE`: columns, watermark, primary key and options.

use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

use crate::convert;
use crate::diagnostic::{Issue, Result};
use crate::statement::syntax::Cursor;
use crate::statement::{
    Column, ColumnKind, CreateTable, Setting, Watermark, comment, if_not_exists,
};
use crate::types;

pub(crate) fn parse(cursor: &mut Cursor) -> Result<CreateTable> {
    cursor.step(|p| p.expect_keyword(Keyword::TABLE))?;
    if_not_exists(cursor)?;
    let name = cursor.name()?;
    let mut table = CreateTable {
        name,
        columns: Vec::new(),
        watermark: None,
        primary_key: None,
        options: Vec::new(),
    };
    cursor.step(|p| p.expect_token(&Token::LParen))?;
    loop {
        element(cursor, &mut table)?;
        if !cursor.parser().consume_token(&Token::Comma) {
            break;
        }
    }
    cursor.step(|p| p.expect_token(&Token::RParen))?;
    comment(cursor)?;
    match cursor.next_word().as_str() {
        "PARTITIONED" => return Err(Issue::unsupported(cursor.next_span(), "PARTITIONED BY")),
        "DISTRIBUTED" => return Err(Issue::unsupported(cursor.next_span(), "DISTRIBUTED BY")),
        "LIKE" => return Err(Issue::unsupported(cursor.next_span(), "CREATE TABLE … LIKE")),
        _ => {}
    }
    if cursor.parser().parse_keyword(Keyword::WITH) {
        options(cursor, &mut table.options)?;
    }
    match cursor.next_word().as_str() {
        "AS" => Err(Issue::unsupported(cursor.next_span(), "CREATE TABLE … AS SELECT")),
        "LIKE" => Err(Issue::unsupported(cursor.next_span(), "CREATE TABLE … LIKE")),
        _ => Ok(table),
    }
}

fn options(cursor: &mut Cursor, out: &mut Vec<Setting>) -> Result<()> {
    cursor.step(|p| p.expect_token(&Token::LParen))?;
    loop {
        let option = cursor.setting("WITH ('connector' = '…', 'key' = 'value')")?;
        if out.iter().any(|o| o.key == option.key) {
            let message = format!("the option '{}' is given twice", option.key);
            return Err(Issue::new(option.key_span, message, "remove one of them"));
        }
        out.push(option);
        if !cursor.parser().consume_token(&Token::Comma) {
            break;
        }
    }
    cursor.step(|p| p.expect_token(&Token::RParen)).map(|_| ())
}

/// One comma-separated element: a column, the watermark or a constraint.
fn element(cursor: &mut Cursor, table: &mut CreateTable) -> Result<()> {
    let second = cursor.peek_nth(1).token.clone();
    let second_is = |keyword| matches!(&second, Token::Word(w) if w.keyword == keyword);
    match cursor.next_word().as_str() {
        "WATERMARK" if second_is(Keyword::FOR) => watermark(cursor, table),
        "PRIMARY" if second_is(Keyword::KEY) => primary_key(cursor, table),
        "CONSTRAINT" => {
            cursor.parser().next_token();
            cursor.step(Parser::parse_identifier)?;
            primary_key(cursor, table)
        }
        _ => column(cursor, table),
    }
}

fn watermark(cursor: &mut Cursor, table: &mut CreateTable) -> Result<()> {
    let span = cursor.next_span();
    cursor.step(|p| {
        p.next_token();
        p.expect_keyword(Keyword::FOR)
    })?;
    let column = convert::name(cursor.step(Parser::parse_identifier)?)?;
    if cursor.peek_is(&Token::Period) {
        return Err(Issue::unsupported(cursor.next_span(), "a watermark on a field of a ROW"));
    }
    cursor.step(|p| p.expect_keyword(Keyword::AS))?;
    let expr = convert::expr(cursor.step(Parser::parse_expr)?)?;
    if table.watermark.is_some() {
        let message = "the table has two watermarks";
        return Err(Issue::new(span, message, "keep one; a table has one event time"));
    }
    table.watermark = Some(Watermark { column, expr });
    Ok(())
}

fn primary_key(cursor: &mut Cursor, table: &mut CreateTable) -> Result<()> {
    let span = cursor.next_span();
    if cursor.next_word() == "UNIQUE" {
        return Err(Issue::unsupported(span, "UNIQUE"));
    }
    cursor.step(|p| p.expect_keywords(&[Keyword::PRIMARY, Keyword::KEY]))?;
    let columns = cursor.names()?;
    not_enforced(cursor, span)?;
    set_primary_key(table, columns, span)
}

fn set_primary_key(
    table: &mut CreateTable,
    columns: Vec<crate::ast::Name>,
    span: Span,
) -> Result<()> {
    if table.primary_key.is_some() {
        return Err(Issue::new(span, "the table has two primary keys", "keep one"));
    }
    table.primary_key = Some(columns);
    Ok(())
}

fn not_enforced(cursor: &mut Cursor, span: Span) -> Result<()> {
    if cursor.parser().parse_keywords(&[Keyword::NOT, Keyword::ENFORCED]) {
        return Ok(());
    }
    let message = "a primary key is not enforced here";
    Err(Issue::new(span, message, "add NOT ENFORCED"))
}

fn column(cursor: &mut Cursor, table: &mut CreateTable) -> Result<()> {
    let ident = cursor.step(Parser::parse_identifier)?;
    let name = convert::name(ident)?;
    if cursor.parser().parse_keyword(Keyword::AS) {
        let expr = convert::expr(cursor.step(Parser::parse_expr)?)?;
        comment(cursor)?;
        table.columns.push(Column { name, kind: ColumnKind::Computed(expr) });
        return Ok(());
    }
    let from = cursor.next_span();
    let ty = cursor.step(types::parse_type)?;
    let mut not_null = false;
    let mut metadata = None;
    let span = from;
    loop {
        match cursor.next_word().as_str() {
            "NOT" => {
                cursor.step(|p| p.expect_keywords(&[Keyword::NOT, Keyword::NULL]))?;
                not_null = true;
            }
            "NULL" => {
                cursor.parser().next_token();
            }
            "PRIMARY" => {
                cursor.step(|p| p.expect_keywords(&[Keyword::PRIMARY, Keyword::KEY]))?;
                not_enforced(cursor, name.span)?;
                set_primary_key(table, vec![name.clone()], name.span)?;
                not_null = true;
            }
            "METADATA" => metadata = Some(parse_metadata(cursor)?),
            "COMMENT" => comment(cursor)?,
            _ => break,
        }
    }
    let kind = match metadata {
        None => ColumnKind::Physical { ty, not_null, span },
        Some((key, read_only)) => ColumnKind::Metadata { ty, not_null, key, read_only },
    };
    table.columns.push(Column { name, kind });
    Ok(())
}

/// `METADATA [FROM 'key'] [VIRTUAL]`
fn parse_metadata(cursor: &mut Cursor) -> Result<(Option<Setting>, bool)> {
    cursor.parser().next_token();
    let mut key = None;
    if cursor.parser().parse_keyword(Keyword::FROM) {
        let (text, span) = cursor.text("METADATA FROM 'key'")?;
        key = Some(Setting { key: text, key_span: span, value: String::new(), value_span: span });
    }
    Ok((key, cursor.parser().parse_keyword(Keyword::VIRTUAL)))
}
