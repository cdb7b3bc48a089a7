//! The tables of a script: columns, event time, key and options, checked.
//!
//! Guarantees: every column has a type that the engine holds, the fields of a ROW among them; a
//! watermark stands on a timestamp. Whether a table is read or written is the queries' business.

use headwater_engine::expr::Expr;
use headwater_engine::types::{DataType, Field};
use sqlparser::tokenizer::Span;

use crate::ast::Name;
use crate::bind::coerce::data_type;
use crate::bind::special::is_bare_call;
use crate::bind::{Binder, Scope, arrival_read, typed_null};
use crate::diagnostic::{Issue, Result, suggest};
use crate::logical::{Column, Role};
use crate::options::{self, Options};
use crate::plan::{Origin, SourceColumn};
use crate::statement::{self, ColumnKind, CreateTable};
use crate::types::SqlType;

/// A checked table.
#[derive(Debug)]
pub(crate) struct TableDef {
    pub(crate) name: Name,
    pub(crate) options: Options,
    /// What a record and its surroundings give; the fields of a ROW stand behind it.
    pub(crate) decoded: Vec<SourceColumn>,
    /// Computed columns over the decoded ones.
    pub(crate) computed: Vec<(Field, Expr)>,
    /// Names of the physical columns as declared, for formats that go by position.
    pub(crate) physical: Vec<String>,
    /// Decoded and computed columns as declared: positions among decoded, then computed.
    pub(crate) declared: Vec<usize>,
    /// Event-time column among decoded and computed, and the watermark's expression over them.
    pub(crate) watermark: Option<(usize, Expr)>,
    /// The column that is `PROCTIME()`, among decoded and computed.
    pub(crate) proctime: Option<usize>,
    pub(crate) primary_key: Vec<String>,
    /// What an INSERT writes, by position.
    pub(crate) sink: Vec<SinkColumn>,
}

/// A column that an INSERT writes.
#[derive(Clone, Debug)]
pub(crate) struct SinkColumn {
    pub(crate) field: Field,
    /// `METADATA FROM 'key'`; `revision` is filled in by the planner.
    pub(crate) metadata: Option<String>,
}

impl TableDef {
    /// Columns of a scan: decoded, then computed.
    pub(crate) fn scan_columns(&self) -> Vec<Column> {
        let decoded = self.decoded.iter().map(|c| Column {
            path: c.path(),
            data_type: c.data_type.clone(),
            nullable: c.nullable,
            role: Role::Plain,
            hidden: false,
        });
        let computed =
            self.computed.iter().map(|(f, _)| Column::new(f.name.clone(), f.data_type.clone()));
        let mut columns: Vec<Column> = decoded.chain(computed).collect();
        if let Some((rowtime, _)) = self.watermark {
            columns[rowtime].role = Role::Rowtime;
        }
        if let Some(proctime) = self.proctime {
            columns[proctime].role = Role::Proctime;
            columns[proctime].nullable = false;
        }
        columns
    }
}

/// Checks one table; every fault of it is reported.
pub(crate) fn table(from: &CreateTable, issues: &mut Vec<Issue>) -> Option<TableDef> {
    let options = options::check(from, issues);
    let before = issues.len();
    duplicates(from, issues);
    let mut table = TableDef {
        name: from.name.clone(),
        options: options?,
        decoded: Vec::new(),
        computed: Vec::new(),
        physical: Vec::new(),
        declared: Vec::new(),
        watermark: None,
        proctime: None,
        primary_key: Vec::new(),
        sink: Vec::new(),
    };
    for column in &from.columns {
        if let Err(issue) = decode(column, &mut table) {
            issues.push(issue);
        }
    }
    compute(from, &mut table, issues);
    if let Err(issue) = watermark(from, &mut table) {
        issues.push(issue);
    }
    if let Err(issue) = primary_key(from, &mut table) {
        issues.push(issue);
    }
    (issues.len() == before).then_some(table)
}

fn duplicates(from: &CreateTable, issues: &mut Vec<Issue>) {
    for (i, column) in from.columns.iter().enumerate() {
        if from.columns[..i].iter().any(|c| c.name.value == column.name.value) {
            let message = format!("column '{}' is declared twice", column.name.value);
            issues.push(Issue::new(column.name.span, message, "remove or rename one of them"));
        }
    }
}

/// Physical and metadata columns.
fn decode(column: &statement::Column, table: &mut TableDef) -> Result<()> {
    let name = &column.name.value;
    match &column.kind {
        ColumnKind::Computed(_) => Ok(()),
        ColumnKind::Physical { ty, not_null, span } => {
            let position = table.physical.len();
            table.physical.push(name.clone());
            check_format(ty, table.options.format.as_deref(), *span)?;
            let data_type = data_type(ty);
            let field = Field { name: name.clone(), data_type, nullable: !not_null };
            table.sink.push(SinkColumn { field, metadata: None });
            flatten(vec![name.clone()], position, ty, !not_null, &mut table.decoded);
            Ok(())
        }
        ColumnKind::Metadata { ty, not_null, key, read_only } => {
            let span = key.as_ref().map_or(column.name.span, |k| k.key_span);
            let key = key.as_ref().map_or(name.clone(), |k| k.key.clone());
            let data_type = data_type(ty);
            if key == "revision" && !read_only {
                return sink_revision(column, data_type, table);
            }
            check_metadata(&key, &data_type, &table.options, span)?;
            table.decoded.push(SourceColumn {
                name: name.clone(),
                data_type,
                nullable: !not_null,
                origin: Origin::Metadata(key),
            });
            Ok(())
        }
    }
}

/// What a format can hold of rows and maps, wherever they stand in a type.
fn check_format(ty: &SqlType, format: Option<&str>, span: Span) -> Result<()> {
    match ty {
        SqlType::NotNull(inner) | SqlType::Array(inner) => check_format(inner, format, span),
        SqlType::Row(_) if format == Some("csv") => {
            Err(Issue::new(span, "a ROW has no form in CSV", "use the format json"))
        }
        SqlType::Row(fields) => fields.iter().try_for_each(|(_, t)| check_format(t, format, span)),
        SqlType::Map(key, value) => {
            let key: &SqlType = if let SqlType::NotNull(inner) = &**key { inner } else { key };
            let is_text = matches!(key, SqlType::Char(_) | SqlType::Varchar(_));
            match format {
                Some("csv") => {
                    Err(Issue::new(span, "a MAP has no form in CSV", "use the format json"))
                }
                Some(_) if !is_text => {
                    let message = format!("the keys of a MAP in JSON are texts, not {key}");
                    Err(Issue::new(span, message, "declare it as MAP<STRING, …>"))
                }
                _ => check_format(value, format, span),
            }
        }
        _ => Ok(()),
    }
}

/// `revision INT METADATA`: the number of the correction, on sinks.
fn sink_revision(
    column: &statement::Column,
    data_type: DataType,
    table: &mut TableDef,
) -> Result<()> {
    if data_type != DataType::Int {
        let message = format!("the metadata 'revision' is INT, not {data_type}");
        return Err(Issue::new(column.name.span, message, "declare it as INT METADATA"));
    }
    let field = Field { name: column.name.value.clone(), data_type, nullable: false };
    table.sink.push(SinkColumn { field, metadata: Some("revision".to_owned()) });
    Ok(())
}

/// Metadata that a source has.
fn check_metadata(key: &str, data_type: &DataType, options: &Options, span: Span) -> Result<()> {
    let connector = options.connector.as_str();
    let is_followed = options.get("source.monitor-interval").is_some();
    let own: &[&str] = match connector {
        "mqtt" => &["topic", "topic-segment.1", "timestamp"],
        "filesystem" if is_followed => &["file.path", "file.name", "timestamp"],
        "filesystem" => &["file.path", "file.name"],
        _ => &[],
    };
    let segment = key.strip_prefix("topic-segment.").is_some_and(|n| {
        connector == "mqtt" && n.parse::<u16>().is_ok_and(|n| n > 0) && !n.starts_with('0')
    });
    if key != "gateway" && !own.contains(&key) && !segment {
        let message = format!("the connector '{connector}' has no metadata '{key}'");
        let all = own.iter().copied().chain(["gateway"]);
        return Err(Issue::new(span, message, suggest(key, all, "metadata keys")));
    }
    if key == "timestamp" {
        return check_arrival(data_type, span);
    }
    if !matches!(data_type, DataType::Varchar(_)) {
        let message = format!("the metadata '{key}' is STRING, not {data_type}");
        return Err(Issue::new(span, message, "declare it as STRING and cast it in the query"));
    }
    Ok(())
}

/// The time of arrival has the clock's precision.
fn check_arrival(data_type: &DataType, span: Span) -> Result<()> {
    if *data_type == DataType::TimestampLtz(3) {
        return Ok(());
    }
    let message = format!("the metadata 'timestamp' is TIMESTAMP_LTZ(3), not {data_type}");
    let remedy = "declare it as TIMESTAMP_LTZ(3) and cast it in the query";
    Err(Issue::new(span, message, remedy))
}

/// A column, and the fields of a ROW beside it, each with its path: what is read is decoded.
fn flatten(
    path: Vec<String>,
    position: usize,
    ty: &SqlType,
    nullable: bool,
    out: &mut Vec<SourceColumn>,
) {
    if let SqlType::NotNull(inner) = ty {
        return flatten(path, position, inner, false, out);
    }
    let name = path.join(".");
    let origin = Origin::Field { path: path.clone(), position };
    out.push(SourceColumn { name, data_type: data_type(ty), nullable, origin });
    if let SqlType::Row(fields) = ty {
        for (name, ty) in fields {
            let path = path.iter().cloned().chain([name.clone()]).collect();
            // A field of a ROW that is NULL is NULL, whatever it says of itself.
            flatten(path, position, ty, true, out);
        }
    }
}

fn compute(from: &CreateTable, table: &mut TableDef, issues: &mut Vec<Issue>) {
    let scope = Scope::new(None, &table.scan_columns());
    for column in &from.columns {
        let name = &column.name.value;
        let ColumnKind::Computed(expr) = &column.kind else {
            let decoded = table.decoded.iter().enumerate();
            let own = decoded.filter(|(_, c)| c.path()[0] == *name).map(|(i, _)| i);
            table.declared.extend(own.collect::<Vec<_>>());
            continue;
        };
        if is_bare_call(expr, "PROCTIME") {
            let at = table.decoded.len() + table.computed.len();
            table.declared.push(at);
            let value = typed_null(DataType::TimestampLtz(3));
            table.computed.push((Field::new(name.clone(), value.data_type.clone()), value));
            if table.proctime.replace(at).is_some() {
                let message = "a table has two columns PROCTIME()";
                issues.push(Issue::new(expr.span, message, "declare one"));
            }
            continue;
        }
        match Binder::new(&scope).bind(expr) {
            Ok(bound) => {
                table.declared.push(table.decoded.len() + table.computed.len());
                let field = Field::new(name.clone(), bound.data_type.clone());
                table.computed.push((field, bound));
            }
            Err(issue) => issues.push(issue),
        }
    }
}

fn watermark(from: &CreateTable, table: &mut TableDef) -> Result<()> {
    let Some(watermark) = &from.watermark else { return Ok(()) };
    let scope = Scope::new(None, &table.scan_columns());
    let rowtime = scope.position(core::slice::from_ref(&watermark.column))?;
    let is_time =
        |ty: &DataType| matches!(ty, DataType::Timestamp(p) | DataType::TimestampLtz(p) if *p <= 3);
    if table.proctime == Some(rowtime) {
        return Err(arrival_read(&watermark.column.value, watermark.column.span));
    }
    let found = &scope.entries[rowtime].column.data_type;
    if !is_time(found) {
        let message = format!("the event time '{}' is {found}", watermark.column.value);
        let remedy = "a watermark stands on TIMESTAMP(3) or TIMESTAMP_LTZ(3); \
                      TO_TIMESTAMP_LTZ(ms, 3) makes one";
        return Err(Issue::new(watermark.column.span, message, remedy));
    }
    let bound = Binder::new(&scope).bind(&watermark.expr)?;
    if !bound.data_type.is_timestamp() {
        let message = format!("the watermark is {}, not a timestamp", bound.data_type);
        let remedy = format!("write {0} - INTERVAL '5' SECOND", watermark.column.value);
        return Err(Issue::new(watermark.expr.span, message, remedy));
    }
    table.watermark = Some((rowtime, bound));
    Ok(())
}

fn primary_key(from: &CreateTable, table: &mut TableDef) -> Result<()> {
    for name in from.primary_key.iter().flatten() {
        let names = from.columns.iter().map(|c| c.name.value.as_str());
        if !names.clone().any(|n| n == name.value) {
            let message = format!("the primary key names no column '{}'", name.value);
            return Err(Issue::new(name.span, message, suggest(&name.value, names, "columns")));
        }
        table.primary_key.push(name.value.clone());
    }
    Ok(())
}
