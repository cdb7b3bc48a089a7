//! The words of the language, as the program knows them: for the test that holds
//! docs/reference/sql.md to them. Says nothing about what they mean.

use crate::{bind, options, settings, statement, types};

/// First words of each statement.
#[must_use]
pub fn statements() -> &'static [&'static str] {
    &statement::STATEMENTS
}

/// Names of types that can be written; not all of them can be the type of a column.
#[must_use]
pub fn types() -> &'static [&'static str] {
    &types::NAMES
}

/// Keys of SET.
#[must_use]
pub fn settings() -> &'static [&'static str] {
    &settings::KEYS
}

/// Connectors.
#[must_use]
pub fn connectors() -> &'static [&'static str] {
    &options::CONNECTORS
}

/// Formats.
#[must_use]
pub fn formats() -> &'static [&'static str] {
    &options::FORMATS
}

/// Table options: connector or format (empty for every table), and key.
pub fn options() -> impl Iterator<Item = (&'static str, String)> {
    options::names()
}

/// Functions that are bound here and not by the engine.
#[must_use]
pub fn special_functions() -> &'static [&'static str] {
    &bind::special::NAMES
}
