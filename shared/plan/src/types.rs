//! The types of the SQL language as a script writes them, and their parser.
//!
//! Guarantees: a type prints to text that parses to the same type again, because a CAST's type
//! travels through the query parser as that text. Says nothing about how a value is stored.

use core::fmt;

use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// A type as written in CREATE TABLE or CAST.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// `BOOLEAN`
    Boolean,
    /// `TINYINT`
    TinyInt,
    /// `SMALLINT`
    SmallInt,
    /// `INT`
    Int,
    /// `BIGINT`
    BigInt,
    /// `FLOAT`
    Float,
    /// `DOUBLE`
    Double,
    /// `DECIMAL(precision, scale)`
    Decimal(u8, u8),
    /// `CHAR(length)`
    Char(u32),
    /// `VARCHAR(length)`; `u32::MAX >> 1` is STRING
    Varchar(u32),
    /// `BYTES`, `VARBINARY(length)`
    Varbinary(u32),
    /// `BINARY(length)`
    Binary(u32),
    /// `DATE`
    Date,
    /// `TIME(precision)`
    Time(u8),
    /// `TIMESTAMP(precision)`: date and time without a zone
    Timestamp(u8),
    /// `TIMESTAMP_LTZ(precision)`: a point in time
    TimestampLtz(u8),
    /// `ARRAY<element>`
    Array(Box<SqlType>),
    /// `MAP<key, value>`
    Map(Box<SqlType>, Box<SqlType>),
    /// `ROW<name type, …>`
    Row(Vec<(String, SqlType)>),
    /// `type NOT NULL` inside ROW, ARRAY or MAP
    NotNull(Box<SqlType>),
}

/// Length of an unbounded VARCHAR or VARBINARY (Flink's `Integer.MAX_VALUE`).
pub const LENGTH_MAX: u32 = i32::MAX as u32;

impl SqlType {
    /// `STRING`, that is `VARCHAR` of unbounded length.
    pub const STRING: Self = Self::Varchar(LENGTH_MAX);
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal(p, s) => write!(f, "DECIMAL({p}, {s})"),
            Self::Char(n) => write!(f, "CHAR({n})"),
            Self::Varchar(LENGTH_MAX) => f.write_str("STRING"),
            Self::Varchar(n) => write!(f, "VARCHAR({n})"),
            Self::Varbinary(LENGTH_MAX) => f.write_str("BYTES"),
            Self::Varbinary(n) => write!(f, "VARBINARY({n})"),
            Self::Binary(n) => write!(f, "BINARY({n})"),
            Self::Date => f.write_str("DATE"),
            Self::Time(p) => write!(f, "TIME({p})"),
            Self::Timestamp(p) => write!(f, "TIMESTAMP({p})"),
            Self::TimestampLtz(p) => write!(f, "TIMESTAMP_LTZ({p})"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Row(fields) => {
                f.write_str("ROW<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}` {ty}", name.replace('`', "``"))?;
                }
                f.write_str(">")
            }
            Self::NotNull(inner) => write!(f, "{inner} NOT NULL"),
        }
    }
}

/// Parses a type at the parser's position. A trailing NULL or NOT NULL is left to the caller.
pub(crate) fn parse_type(parser: &mut Parser<'_>) -> Result<SqlType, ParserError> {
    let token = parser.next_token();
    let Token::Word(word) = &token.token else {
        return parser.expected("a type", token);
    };
    if word.quote_style.is_some() {
        return parser.expected("a type", token);
    }
    let ty = match word.value.to_uppercase().as_str() {
        "BOOLEAN" => SqlType::Boolean,
        "TINYINT" => SqlType::TinyInt,
        "SMALLINT" => SqlType::SmallInt,
        "INT" | "INTEGER" => SqlType::Int,
        "BIGINT" => SqlType::BigInt,
        "FLOAT" => SqlType::Float,
        "DOUBLE" => {
            let _ = parser.parse_keyword(Keyword::PRECISION);
            SqlType::Double
        }
        "DECIMAL" | "DEC" | "NUMERIC" => parse_decimal(parser)?,
        "CHAR" => SqlType::Char(parse_length(parser)?.unwrap_or(1)),
        "VARCHAR" => SqlType::Varchar(parse_length(parser)?.unwrap_or(1)),
        "STRING" => SqlType::STRING,
        "BYTES" => SqlType::Varbinary(LENGTH_MAX),
        "VARBINARY" => SqlType::Varbinary(parse_length(parser)?.unwrap_or(1)),
        "BINARY" => SqlType::Binary(parse_length(parser)?.unwrap_or(1)),
        "DATE" => SqlType::Date,
        "TIME" => SqlType::Time(parse_precision(parser, 0)?),
        "TIMESTAMP" => parse_timestamp(parser)?,
        "TIMESTAMP_LTZ" => SqlType::TimestampLtz(parse_precision(parser, 6)?),
        "ARRAY" => SqlType::Array(Box::new(parse_arguments(parser, parse_nullable)?)),
        "MAP" => parse_arguments(parser, |parser| {
            let key = parse_nullable(parser)?;
            parser.expect_token(&Token::Comma)?;
            Ok(SqlType::Map(Box::new(key), Box::new(parse_nullable(parser)?)))
        })?,
        // Each value and how often it is there.
        "MULTISET" => {
            let value = parse_arguments(parser, parse_nullable)?;
            SqlType::Map(Box::new(value), Box::new(SqlType::Int))
        }
        "ROW" => parse_row(parser)?,
        _ => return unknown_type(parser, &word.value, token.clone()),
    };
    if parser.peek_keyword(Keyword::ARRAY) || parser.peek_keyword(Keyword::MULTISET) {
        let token = parser.peek_token();
        return parser.expected("the type's end (write ARRAY<…>)", token);
    }
    Ok(ty)
}

/// A type with its own `NULL` or `NOT NULL`, as in the arguments of ROW, ARRAY and MAP.
pub(crate) fn parse_nullable(parser: &mut Parser<'_>) -> Result<SqlType, ParserError> {
    let ty = parse_type(parser)?;
    if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
        return Ok(SqlType::NotNull(Box::new(ty)));
    }
    let _ = parser.parse_keyword(Keyword::NULL);
    Ok(ty)
}

/// Names of types, for suggestions and for the reference.
pub(crate) const NAMES: [&str; 22] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "CHAR",
    "VARCHAR",
    "STRING",
    "BYTES",
    "VARBINARY",
    "BINARY",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "ARRAY",
    "MAP",
    "MULTISET",
    "ROW",
];

fn unknown_type<T>(
    parser: &Parser<'_>,
    name: &str,
    token: TokenWithSpan,
) -> Result<T, ParserError> {
    let name = match name.to_uppercase().as_str() {
        // What other databases call it.
        "TEXT" => "STRING".to_owned(),
        "REAL" => "FLOAT".to_owned(),
        "BOOL" => "BOOLEAN".to_owned(),
        "DATETIME" => "TIMESTAMP(3)".to_owned(),
        other => crate::diagnostic::nearest(other, NAMES).unwrap_or("").to_owned(),
    };
    if name.is_empty() {
        return parser.expected("a type", token);
    }
    parser.expected(&format!("a type (did you mean '{name}'?)"), token)
}

fn parse_decimal(parser: &mut Parser<'_>) -> Result<SqlType, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(SqlType::Decimal(10, 0));
    }
    let precision = parse_number(parser, 1, 38)?;
    let scale = match parser.consume_token(&Token::Comma) {
        true => parse_number(parser, 0, precision)?,
        false => 0,
    };
    parser.expect_token(&Token::RParen)?;
    let narrow = |n: u32| u8::try_from(n).expect("checked to be at most 38");
    Ok(SqlType::Decimal(narrow(precision), narrow(scale)))
}

fn parse_timestamp(parser: &mut Parser<'_>) -> Result<SqlType, ParserError> {
    let precision = parse_precision(parser, 6)?;
    if parser.parse_keyword(Keyword::WITHOUT) {
        parser.expect_keywords(&[Keyword::TIME, Keyword::ZONE])?;
    } else if parser.peek_keyword(Keyword::WITH) {
        let next = parser.peek_nth_token(1);
        if matches!(&next.token, Token::Word(w) if w.value.eq_ignore_ascii_case("LOCAL")) {
            parser.next_token();
            parser.next_token();
            parser.expect_keywords(&[Keyword::TIME, Keyword::ZONE])?;
            return Ok(SqlType::TimestampLtz(precision));
        }
        if matches!(&next.token, Token::Word(w) if w.keyword == Keyword::TIME) {
            return parser
                .expected("WITH LOCAL TIME ZONE (Flink has no TIMESTAMP WITH TIME ZONE)", next);
        }
    }
    Ok(SqlType::Timestamp(precision))
}

/// `ROW<name type, …>`, also in round brackets.
fn parse_row(parser: &mut Parser<'_>) -> Result<SqlType, ParserError> {
    if parser.consume_token(&Token::LParen) {
        let row = parse_fields(parser)?;
        parser.expect_token(&Token::RParen)?;
        return Ok(row);
    }
    parse_arguments(parser, parse_fields)
}

fn parse_fields(parser: &mut Parser<'_>) -> Result<SqlType, ParserError> {
    let mut fields = Vec::new();
    loop {
        let name = parser.parse_identifier()?;
        fields.push((name.value, parse_nullable(parser)?));
        if !parser.consume_token(&Token::Comma) {
            return Ok(SqlType::Row(fields));
        }
    }
}

/// `<…>` around the arguments of a type; `>>` closes two, and the tokenizer makes it one token.
fn parse_arguments<T>(
    parser: &mut Parser<'_>,
    inner: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T, ParserError> {
    parser.expect_token(&Token::Lt)?;
    let parsed = inner(parser)?;
    parser.expect_token(&Token::Gt)?;
    Ok(parsed)
}

fn parse_length(parser: &mut Parser<'_>) -> Result<Option<u32>, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(None);
    }
    let length = parse_number(parser, 1, LENGTH_MAX)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Some(length))
}

fn parse_precision(parser: &mut Parser<'_>, default: u8) -> Result<u8, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(default);
    }
    let precision = parse_number(parser, 0, 9)?;
    parser.expect_token(&Token::RParen)?;
    Ok(u8::try_from(precision).expect("checked to be at most 9"))
}

fn parse_number(parser: &mut Parser<'_>, min: u32, max: u32) -> Result<u32, ParserError> {
    let token = parser.next_token();
    if let Token::Number(digits, false) = &token.token
        && let Some(n) = digits.parse().ok().filter(|n| (min..=max).contains(n))
    {
        return Ok(n);
    }
    parser.expected(&format!("a number from {min} to {max}"), token)
}
