//! What a script asks: DESCRIBE and EXPLAIN, answered while it is compiled; and settings that
//! change nothing here.
//!
//! Guarantees: what is only explained is never run.

use std::fmt::Write as _;

use headwater_engine::types::{DataType, Field};
use sqlparser::tokenizer::Span;

use crate::ast::{Name, Query};
use crate::bind::coerce;
use crate::catalog::{self, SinkColumn, TableDef};
use crate::changes;
use crate::compile::{build, insert};
use crate::diagnostic::{Issue, Result, Source, suggest};
use crate::logical::Role;
use crate::lower::Sink;
use crate::plan::Target;
use crate::script::{Definition, Question, Script};
use crate::select::{Planner, Source as Named};
use crate::settings::Settings;
use crate::statement::{Column, ColumnKind, CreateTable, Setting};

/// See the module.
pub(crate) struct Answers {
    pub(crate) notes: Vec<String>,
    /// The INSERTs of EXPLAIN.
    pub(crate) explained: Vec<Sink>,
}

/// Answers what the script asks.
pub(crate) fn answers(
    source: &Source<'_>,
    script: &Script,
    planner: &mut Planner,
    settings: &Settings,
    target: Target,
    issues: &mut Vec<Issue>,
) -> Answers {
    let mut answers = Answers { notes: Vec::new(), explained: Vec::new() };
    for (key, span) in &settings.ignored {
        let place = place(source, *span);
        answers.notes.push(format!("{place}: '{key}' changes nothing here"));
    }
    for question in &script.questions {
        let answer = match question {
            Question::Describe(name) => describe(source, script, planner, name),
            Question::Explain(inserts) => {
                let sinks: Result<Vec<Sink>> =
                    inserts.iter().map(|from| insert(from, planner)).collect();
                sinks.and_then(|sinks| {
                    answers.explain(source, sinks, planner, settings, target, issues)
                })
            }
            Question::ExplainQuery(query) => shown(query, planner).and_then(|sink| {
                answers.explain(source, vec![sink], planner, settings, target, issues)
            }),
        };
        match answer {
            Ok(answer) => answers.notes.push(answer),
            Err(issue) => issues.push(issue),
        }
    }
    answers
}

impl Answers {
    /// The plan of these INSERTs alone.
    fn explain(
        &mut self,
        source: &Source<'_>,
        sinks: Vec<Sink>,
        planner: &Planner,
        settings: &Settings,
        target: Target,
        issues: &mut Vec<Issue>,
    ) -> Result<String> {
        let (graph, tables) = (&planner.graph, &planner.tables);
        for sink in &sinks {
            changes::check(graph, tables, sink)?;
        }
        let place = place(source, sinks.first().map_or(Span::empty(), |sink| sink.span));
        let plan = build(graph, tables, &sinks, settings, target, issues);
        self.explained.extend(sinks);
        Ok(format!("{place}: EXPLAIN\n{}", plan.map_or(String::new(), |p| p.explain())))
    }
}

/// A query alone, as if it were written to a table that takes all changes.
fn shown(query: &Query, planner: &mut Planner) -> Result<Sink> {
    let node = planner.query(query)?;
    let name = |value: &str| Name { value: value.to_owned(), span: query.span };
    let option = |key: &str, value: &str| Setting {
        key: key.to_owned(),
        key_span: query.span,
        value: value.to_owned(),
        value_span: query.span,
    };
    let from = CreateTable {
        name: name("(query)"),
        columns: Vec::new(),
        watermark: None,
        primary_key: None,
        options: vec![option("connector", "print")],
    };
    let mut table = catalog::table(&from, &mut Vec::new()).expect("a table that prints");
    let mut exprs = Vec::new();
    for (at, column) in planner.graph.columns(node).iter().enumerate().filter(|(_, c)| !c.hidden) {
        let data_type = match &column.data_type {
            DataType::Null => DataType::STRING,
            other => other.clone(),
        };
        exprs.push(coerce::implicit_cast(column.at(at), data_type.clone(), query.span)?);
        let field = Field { name: column.name(), data_type, nullable: column.nullable };
        table.sink.push(SinkColumn { field, metadata: None });
    }
    planner.tables.push(table);
    Ok(Sink { node, table: planner.tables.len() - 1, exprs, span: query.span })
}

fn place(source: &Source<'_>, span: Span) -> String {
    format!("{}:{}:{}", source.file, span.start.line, span.start.column)
}

/// Columns of Flink's DESCRIBE.
const HEADINGS: [&str; 6] = ["name", "type", "null", "key", "extras", "watermark"];

fn describe(
    source: &Source<'_>,
    script: &Script,
    planner: &Planner,
    name: &Name,
) -> Result<String> {
    let rows = match planner.names.get(&name.value) {
        Some(Named::View(node)) => {
            let columns = planner.graph.columns(*node).iter().filter(|c| !c.hidden);
            let row = |c: &crate::logical::Column| {
                let ty = c.data_type.to_string() + c.role.mark();
                [c.name(), ty, truth(c.nullable), "".into(), "".into()]
            };
            columns.map(|c| with_watermark(row(c), String::new())).collect()
        }
        Some(Named::Table(index)) => {
            let from = script.definitions.iter().find_map(|d| match d {
                Definition::Table(table) if table.name.value == name.value => Some(table),
                _ => None,
            });
            from.map_or(Vec::new(), |from| table(source, from, &planner.tables[*index]))
        }
        None => {
            let message = format!("unknown table '{}'", name.value);
            let names = planner.names.keys().map(String::as_str);
            return Err(Issue::new(name.span, message, suggest(&name.value, names, "tables")));
        }
    };
    Ok(format!("{}: DESCRIBE {}\n{}", place(source, name.span), name.value, drawn(&rows)))
}

fn truth(value: bool) -> String {
    if value { "TRUE" } else { "FALSE" }.to_owned()
}

fn with_watermark(row: [String; 5], watermark: String) -> [String; 6] {
    let [name, ty, null, key, extras] = row;
    [name, ty, null, key, extras, watermark]
}

fn table(source: &Source<'_>, from: &CreateTable, table: &TableDef) -> Vec<[String; 6]> {
    let scan = table.scan_columns();
    let row = |column: &Column| {
        let name = column.name.value.clone();
        let role = scan.iter().find(|c| c.name() == name).map_or(Role::Plain, |c| c.role);
        let is_key = table.primary_key.contains(&name);
        let key =
            if is_key { format!("PRI({})", table.primary_key.join(", ")) } else { String::new() };
        let (mut ty, nullable, extras) = match &column.kind {
            ColumnKind::Physical { ty, not_null, .. } => (ty.to_string(), !not_null, String::new()),
            ColumnKind::Computed(expr) => {
                let computed = table.computed.iter().find(|(field, _)| field.name == name);
                let ty = computed.map_or(String::new(), |(field, _)| field.data_type.to_string());
                (ty, role != Role::Proctime, format!("AS {}", written(source, expr.span)))
            }
            ColumnKind::Metadata { ty, not_null, key, read_only } => {
                let from = key.as_ref().map_or(String::new(), |k| format!(" FROM '{}'", k.key));
                let read_only = if *read_only { " VIRTUAL" } else { "" };
                (ty.to_string(), !not_null, format!("METADATA{from}{read_only}"))
            }
        };
        ty.push_str(role.mark());
        let watermark = from.watermark.as_ref().filter(|w| w.column.value == name);
        let watermark = watermark.map_or(String::new(), |w| written(source, w.expr.span));
        with_watermark([name, ty, truth(nullable && !is_key), key, extras], watermark)
    };
    from.columns.iter().map(row).collect()
}

/// The expression that starts here, as the script has it: up to the comma or bracket after it. (The
/// parser's own spans leave closing brackets and the units of intervals out.)
fn written(source: &Source<'_>, span: Span) -> String {
    let number = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(0);
    let lines = source.text.lines().skip(number(span.start.line)).enumerate();
    let from = |i: usize| if i == 0 { number(span.start.column) } else { 0 };
    let text: String =
        lines.flat_map(|(i, line)| line.chars().skip(from(i)).chain([' '])).collect();
    let (mut depth, mut quote) = (0_usize, None);
    let end = text.find(|c: char| {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '`', None) => quote = Some(c),
            ('(' | '[', None) => depth += 1,
            (',' | ')', None) if depth == 0 => return true,
            (')' | ']', None) => depth -= 1,
            _ => {}
        }
        false
    });
    let words: Vec<&str> = text[..end.unwrap_or(text.len())].split_whitespace().collect();
    words.join(" ")
}

/// A table with lines, texts to the right, as Flink's client draws it.
fn drawn(rows: &[[String; 6]]) -> String {
    let heading = HEADINGS.map(str::to_owned);
    let all = || std::iter::once(&heading).chain(rows);
    let width = |i: usize| all().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = || {
        let cells: Vec<String> = widths.iter().map(|w| "-".repeat(w + 2)).collect();
        format!("+{}+\n", cells.join("+"))
    };
    let mut out = line();
    for (i, row) in all().enumerate() {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(out, "| {cell:>width$} ");
        }
        out.push_str("|\n");
        if i == 0 {
            out.push_str(&line());
        }
    }
    out + &line()
}
