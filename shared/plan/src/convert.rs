//! The query parser's tree to our own: the allow-list.
//!
//! Guarantees: every field of every node that is let through has been looked at (no `..`), so
//! that nothing the generic parser accepts beyond Flink, and nothing of Flink that is not planned,
//! passes silently. Does not resolve names or types.

mod absence;
mod call;
mod expr;
mod grouping;
mod match_recognize;
mod over;
mod query;
mod relation;
mod values;

pub(crate) use expr::expr;
pub(crate) use query::query;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use crate::ast::Name;
use crate::diagnostic::{Issue, Result};

/// An identifier; quoting is all the same once it is read.
pub(crate) fn name(ident: Ident) -> Result<Name> {
    let Ident { value, quote_style, span } = ident;
    match quote_style {
        None | Some('`') => Ok(Name { value, span }),
        Some(_) => Err(Issue::not_flink(span, "a text as a name", "quote names with back-quotes")),
    }
}

/// A name of one part; catalogs and databases do not exist here.
pub(crate) fn simple_name(object: ObjectName) -> Result<Name> {
    let ObjectName(parts) = object;
    let mut names = Vec::new();
    for part in parts {
        match part {
            ObjectNamePart::Identifier(ident) => names.push(name(ident)?),
            ObjectNamePart::Function(function) => {
                return Err(Issue::not_flink(function.name.span, "a computed name", "write it"));
            }
        }
    }
    let last = names.pop().expect("an object name has at least one part");
    match names.first() {
        None => Ok(last),
        Some(first) => Err(Issue::new(
            first.span,
            format!("'{}.{}' names a catalog or database", first.value, last.value),
            format!("tables live in the script alone: write {}", last.value),
        )),
    }
}
