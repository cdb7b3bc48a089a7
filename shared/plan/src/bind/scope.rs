//! What names mean in one SELECT.

use headwater_engine::expr::{Expr, Literal};
use headwater_engine::functions::FIELD;
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::ast::Name;
use crate::bind::call;
use crate::diagnostic::{Issue, Result, suggest};
use crate::logical::Column;

/// The columns in reach, by position, each with the alias of its relation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) entries: Vec<Entry>,
    /// Where the columns of a subquery begin: its names come before those of the query around it.
    pub(crate) inner_from: usize,
    /// Calls with OVER that are planned, by the place of their function's name, and subqueries as
    /// values, by theirs.
    pub(crate) planned: Vec<(Span, Expr)>,
}

/// One column in reach.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) qualifier: Option<String>,
    pub(crate) column: Column,
    /// Another column of the same name stands for it, unless it is named with its table: USING.
    pub(crate) is_merged: bool,
    /// Its place before the other columns of `*`: it is what USING made of two.
    pub(crate) using: Option<usize>,
}

impl Entry {
    pub(crate) fn new(qualifier: Option<String>, column: Column) -> Self {
        Self { qualifier, column, is_merged: false, using: None }
    }
}

impl Scope {
    pub(crate) fn new(qualifier: Option<&str>, columns: &[Column]) -> Self {
        let entry = |column: &Column| Entry::new(qualifier.map(str::to_owned), column.clone());
        Self { entries: columns.iter().map(entry).collect(), inner_from: 0, planned: Vec::new() }
    }

    /// The columns at these positions alone.
    pub(crate) fn part(
        &self,
        range: impl core::slice::SliceIndex<[Entry], Output = [Entry]>,
    ) -> Self {
        Self { entries: self.entries[range].to_vec(), inner_from: 0, planned: Vec::new() }
    }

    /// The columns of `*` or `alias.*`, by position.
    pub(crate) fn star(&self, qualifier: Option<&Name>) -> Result<Vec<usize>> {
        let fits = |e: &Entry| match qualifier {
            None => !e.is_merged,
            Some(q) => e.qualifier.as_deref() == Some(q.value.as_str()),
        };
        let visible = self.entries.iter().enumerate().filter(|(_, e)| !e.column.hidden && fits(e));
        let mut found: Vec<usize> = visible.map(|(i, _)| i).collect();
        if qualifier.is_none() {
            found.sort_by_key(|i| self.entries[*i].using.unwrap_or(usize::MAX));
        }
        match qualifier {
            Some(q) if found.is_empty() => Err(self.unknown_table(q)),
            _ => Ok(found),
        }
    }

    /// The fields of ROWs among `*`: they go on beside their rows, so that what is read of a field
    /// is no more than the field.
    pub(crate) fn fields(&self, qualifier: Option<&Name>) -> Vec<usize> {
        let is_of =
            |e: &Entry| qualifier.is_none_or(|q| e.qualifier.as_deref() == Some(q.value.as_str()));
        let is_field = |e: &Entry| e.column.hidden && e.column.is_named() && !e.is_merged;
        let found = self.entries.iter().enumerate().filter(|(_, e)| is_field(e) && is_of(e));
        found.map(|(i, _)| i).collect()
    }

    /// What a path of names means: a column, or a field of one.
    pub(crate) fn column(&self, path: &[Name]) -> Result<Expr> {
        let (index, fields) = self.place(path)?;
        let column = self.entries[index].column.at(index);
        fields.iter().try_fold(column, field)
    }

    /// The position of the column that a path of names means, and the names of fields behind it.
    pub(crate) fn place<'n>(&self, path: &'n [Name]) -> Result<(usize, &'n [Name])> {
        for length in (1..path.len()).rev() {
            if self.has(path) {
                break;
            }
            let before = &path[..length];
            if let Ok(index) = self.position(before)
                && matches!(self.entries[index].column.data_type, DataType::Row(_))
            {
                return Ok((index, &path[length..]));
            }
        }
        Ok((self.position(path)?, &[]))
    }

    fn has(&self, path: &[Name]) -> bool {
        self.entries.iter().any(|e| e.column.is_named() && matches(path, e, is_whole))
    }

    /// The position of the column that a path of names means.
    pub(crate) fn position(&self, path: &[Name]) -> Result<usize> {
        let fits = |e: &Entry| e.column.is_named() && matches(path, e, is_whole);
        let inner = self.entries[self.inner_from..].iter().any(fits);
        let from = if inner { self.inner_from } else { 0 };
        let mut found = self.entries.iter().enumerate().skip(from).filter(|(_, e)| fits(e));
        let span = path[0].span.union(&path[path.len() - 1].span);
        let written = path.iter().map(|n| n.value.as_str()).collect::<Vec<_>>().join(".");
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Ok(index),
            (Some(_), Some(_)) => {
                let message = format!("column '{written}' is ambiguous");
                Err(Issue::new(span, message, "put the table's alias in front: t.column"))
            }
            (None, _) => Err(self.unknown(path, &written, span)),
        }
    }

    fn unknown(&self, path: &[Name], written: &str, span: Span) -> Issue {
        let qualifiers: Vec<&str> =
            self.entries.iter().filter_map(|e| e.qualifier.as_deref()).collect();
        if path.len() > 1
            && !qualifiers.contains(&path[0].value.as_str())
            && !self.entries.iter().any(|e| e.column.path[0] == path[0].value)
        {
            return self.unknown_table(&path[0]);
        }
        let names: Vec<String> =
            self.entries.iter().filter(|e| !e.column.hidden).map(|e| e.column.name()).collect();
        let last = path.last().map_or("", |n| n.value.as_str());
        let target = if path.len() > 1 && qualifiers.contains(&path[0].value.as_str()) {
            last
        } else {
            written
        };
        let remedy = suggest(target, names.iter().map(String::as_str), "columns");
        Issue::new(span, format!("unknown column '{written}'"), remedy)
    }

    fn unknown_table(&self, name: &Name) -> Issue {
        let mut names: Vec<&str> =
            self.entries.iter().filter_map(|e| e.qualifier.as_deref()).collect();
        names.dedup();
        let remedy = suggest(&name.value, names.iter().copied(), "tables");
        Issue::new(name.span, format!("unknown table '{}' in this query", name.value), remedy)
    }
}

fn is_whole(rest: &[Name], own: &[String]) -> bool {
    rest.len() == own.len()
}

/// `row.name`
pub(crate) fn field(row: Expr, name: &Name) -> Result<Expr> {
    let DataType::Row(fields) = &row.data_type else {
        let message = format!("a {} has no field '{}'", row.data_type, name.value);
        return Err(Issue::new(name.span, message, "only a ROW has fields"));
    };
    let Some(at) = fields.iter().position(|(own, _)| *own == name.value) else {
        let message = format!("the ROW has no field '{}'", name.value);
        let names = fields.iter().map(|(own, _)| own.as_str());
        return Err(Issue::new(name.span, message, suggest(&name.value, names, "fields")));
    };
    let at = i64::try_from(at).expect("few fields");
    call(FIELD, vec![row, Expr::literal(Literal::Int(at), DataType::Int)], name.span)
}

/// Whether a path begins like a column's own path, with or without the qualifier.
fn matches(path: &[Name], entry: &Entry, lengths: impl Fn(&[Name], &[String]) -> bool) -> bool {
    let own = &entry.column.path;
    let begins = |rest: &[Name]| {
        !rest.is_empty()
            && lengths(rest, own)
            && rest.iter().zip(own).all(|(name, own)| name.value == *own)
    };
    let qualified = entry.qualifier.as_deref() == Some(path[0].value.as_str());
    (!entry.is_merged && begins(path)) || (qualified && begins(&path[1..]))
}
