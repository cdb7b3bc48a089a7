//! FROM: tables, views, subqueries, windows and unnested arrays.

use headwater_engine::fragment::{WindowKind as Windows, WindowSpec};
use headwater_engine::types::DataType;

use crate::ast::{Alias, Expr, Factor, From, Name, Relation, WindowFunction, WindowKind};
use crate::bind::{Binder, Scope, interval_ms};
use crate::diagnostic::{Issue, Result, suggest};
use crate::logical::{Column, NodeId, NodeKind, Role};
use crate::select::join::lookup::read_twice;
use crate::select::over::Extended;
use crate::select::{Planner, Source};

impl Planner {
    pub(crate) fn from(&mut self, from: &From) -> Result<(NodeId, Scope)> {
        let (mut node, mut scope) = self.factor(&from.first)?;
        for join in &from.joins {
            node = self.join(node, &mut scope, join)?;
        }
        Ok((node, scope))
    }

    pub(super) fn factor(&mut self, from: &Factor) -> Result<(NodeId, Scope)> {
        let (mut node, name) = match &from.relation {
            Relation::Table(name) => (self.named(name)?, Some(name.value.clone())),
            Relation::Query(query) => (self.query(query)?, None),
            Relation::Nothing => (self.one_row(), None),
            Relation::Window(window) => (self.window(window)?, None),
            Relation::Unnest(_) => return Err(Issue::unsupported(from.span, "UNNEST alone")),
            Relation::Versioned { .. } => {
                let message = "FOR SYSTEM_TIME AS OF stands on the right side of a JOIN only";
                let remedy = "write … FROM o JOIN t FOR SYSTEM_TIME AS OF o.rt ON …";
                return Err(Issue::new(from.span, message, remedy));
            }
            Relation::Absence(absence) => (self.absence(absence)?, None),
            Relation::Match(matched) => (self.match_recognize(matched)?, None),
            Relation::Joined(inner) => match &from.alias {
                None => return self.from(inner),
                Some(_) => (self.from(inner)?.0, None),
            },
        };
        if let Some(alias) = &from.alias {
            node = self.rename(node, alias)?;
        }
        let qualifier = from.alias.as_ref().map(|a| a.name.value.clone()).or(name);
        let scope = Scope::new(qualifier.as_deref(), self.graph.columns(node));
        Ok((node, scope))
    }

    /// The node of a table or view.
    pub(super) fn named(&mut self, name: &Name) -> Result<NodeId> {
        match self.names.get(&name.value) {
            Some(Source::View(node)) => Ok(*node),
            Some(Source::Table(table)) => self.scan(*table, name),
            None => {
                let names = self.names.keys().map(String::as_str);
                let message = format!("unknown table '{}'", name.value);
                Err(Issue::new(name.span, message, suggest(&name.value, names, "tables")))
            }
        }
    }

    fn scan(&mut self, table: usize, name: &Name) -> Result<NodeId> {
        if let Some(node) = self.scans.get(&table) {
            return Ok(*node);
        }
        if self.lookups.contains_key(&table) {
            return Err(read_twice(name));
        }
        let node = self.scan_node(table, name)?;
        self.scans.insert(table, node);
        Ok(node)
    }

    /// A node that reads a table: its columns as declared.
    pub(super) fn scan_node(&mut self, table: usize, name: &Name) -> Result<NodeId> {
        let def = &self.tables[table];
        if matches!(def.options.connector.as_str(), "print" | "blackhole") {
            let message = format!("the connector '{}' cannot be read", def.options.connector);
            return Err(Issue::new(name.span, message, "read from filesystem, mqtt or datagen"));
        }
        if def.options.format.as_deref() == Some("changelog-json") {
            return Err(Issue::unsupported(name.span, "reading the format changelog-json"));
        }
        let columns = def.scan_columns();
        let declared = def.declared.clone();
        let items = declared
            .iter()
            .map(|i| (columns[*i].path.clone(), columns[*i].at(*i), columns[*i].path.len() > 1));
        let items = items.collect();
        let scan = self.graph.push(NodeKind::Scan(table), columns);
        Ok(self.graph.project(scan, items))
    }

    /// Column names of an alias: `AS t (a, b)`.
    pub(super) fn rename(&mut self, node: NodeId, alias: &Alias) -> Result<NodeId> {
        if alias.columns.is_empty() {
            return Ok(node);
        }
        let columns = self.graph.columns(node).to_vec();
        let visible: Vec<usize> = (0..columns.len()).filter(|i| !columns[*i].hidden).collect();
        if visible.len() != alias.columns.len() {
            let message = format!(
                "the alias '{}' names {} columns of {}",
                alias.name.value,
                alias.columns.len(),
                visible.len()
            );
            return Err(Issue::new(alias.name.span, message, "name all columns, or none"));
        }
        let mut items: Vec<_> = visible
            .iter()
            .zip(&alias.columns)
            .map(|(i, name)| (vec![name.value.clone()], columns[*i].at(*i), false))
            .collect();
        // The fields of ROWs have lost the name that they begin with.
        let kept = |column: &&Column| column.hidden && !column.is_named();
        for (i, column) in columns.iter().enumerate().filter(|(_, c)| kept(c)) {
            items.push((column.path.clone(), column.at(i), true));
        }
        Ok(self.graph.project(node, items))
    }

    fn window(&mut self, from: &WindowFunction) -> Result<NodeId> {
        let input = self.named(&from.table)?;
        let scope = Scope::new(Some(&from.table.value), self.graph.columns(input));
        let rowtime = scope.position(core::slice::from_ref(&from.time))?;
        let time = scope.entries[rowtime].column.clone();
        if !time.role.is_time_of_windows() {
            return Err(not_a_time(&from.time, &scope, &from.table));
        }
        let local = self.local_time(input, rowtime, from.time.span)?;
        let (input, rowtime) = local.unwrap_or((input, rowtime));
        let kind = self.windows(from, input, &scope, rowtime)?;
        let mut columns = self.graph.columns(input).to_vec();
        let time = columns[rowtime].data_type.clone();
        // The old event time is an ordinary timestamp from here on.
        for column in &mut columns {
            column.role = column.role.without_time();
        }
        let timestamp = || DataType::Timestamp(3);
        let not_null = |c: Column| Column { nullable: false, ..c };
        columns
            .push(not_null(Column::new("window_start", timestamp()).with_role(Role::WindowStart)));
        columns.push(not_null(Column::new("window_end", timestamp()).with_role(Role::WindowEnd)));
        columns.push(not_null(Column::new("window_time", time).with_role(Role::WindowTime)));
        let at = columns.len() - 1;
        let node = self.graph.push(kind, columns);
        if local.is_none() { Ok(node) } else { self.zoned_time(node, at, from.time.span) }
    }

    fn windows(
        &self,
        from: &WindowFunction,
        input: NodeId,
        scope: &Scope,
        rowtime: usize,
    ) -> Result<NodeKind> {
        if from.kind != WindowKind::Session {
            return Ok(NodeKind::Windows(input, aligned(from, rowtime)?));
        }
        let gap_ms = interval_ms(&from.size, "the gap of the session")?;
        if gap_ms <= 0 {
            let message = "the gap of the session is not positive";
            return Err(Issue::new(from.size.span, message, "write INTERVAL '10' SECOND"));
        }
        let column = |name| scope.position(core::slice::from_ref(name));
        let key = from.partition_by.iter().map(column).collect::<Result<_>>()?;
        Ok(NodeKind::SessionWindows { input, rowtime, gap_ms, key })
    }

    pub(super) fn unnest(
        &mut self,
        node: NodeId,
        written: &Expr,
        alias: Option<&Alias>,
        scope: &mut Scope,
    ) -> Result<NodeId> {
        let array = Binder::new(scope).bind(written)?;
        let DataType::Array(element) = array.data_type.clone() else {
            let message = format!("UNNEST needs an ARRAY, not {}", array.data_type);
            return Err(Issue::new(written.span, message, "name an array column"));
        };
        // An array that is computed becomes a column that no query can name.
        let mut extended = Extended::new(scope.entries.len());
        let index = extended.column(array);
        let node = self.extend(node, extended);
        let computed = self.graph.columns(node)[scope.entries.len()..].iter().cloned();
        scope.entries.extend(computed.map(|column| crate::bind::Entry::new(None, column)));
        if let Some(second) = alias.and_then(|a| a.columns.get(1)) {
            let message = "UNNEST of this array gives one column";
            return Err(Issue::new(second.span, message, "name one column"));
        }
        let name = alias.and_then(|a| a.columns.first()).map_or("f0", |n| n.value.as_str());
        let column = Column::new(name, *element);
        let mut columns = self.graph.columns(node).to_vec();
        columns.push(column.clone());
        let qualifier = alias.map(|a| a.name.value.clone());
        scope.entries.push(crate::bind::Entry::new(qualifier, column));
        Ok(self.graph.push(NodeKind::Unnest(node, index), columns))
    }
}

/// The windows of TUMBLE, HOP and CUMULATE.
fn aligned(from: &WindowFunction, rowtime: usize) -> Result<WindowSpec> {
    let slide = match from.kind {
        WindowKind::Tumble | WindowKind::Hop | WindowKind::Session => "slide",
        WindowKind::Cumulate => "step",
    };
    let size_ms = interval_ms(&from.size, "the size of the window")?;
    let slide_ms = match &from.slide {
        Some(written) => interval_ms(written, &format!("the {slide} of the window"))?,
        None => size_ms,
    };
    let offset_ms = match &from.offset {
        Some(offset) => interval_ms(offset, "the offset of the window")?,
        None => 0,
    };
    let slide_span = from.slide.as_ref().map_or(from.size.span, |s| s.span);
    for (ms, at, what) in [(size_ms, from.size.span, "size"), (slide_ms, slide_span, slide)] {
        if ms <= 0 {
            let message = format!("the {what} of the window is not positive");
            return Err(Issue::new(at, message, "write INTERVAL '10' SECOND"));
        }
    }
    if from.kind == WindowKind::Tumble && offset_ms.abs() >= size_ms {
        let message = "the offset of the window is not smaller than its size";
        return Err(Issue::new(from.span, message, "take the remainder of the size"));
    }
    let kind = match from.kind {
        WindowKind::Tumble | WindowKind::Hop | WindowKind::Session => Windows::Hopping,
        WindowKind::Cumulate if size_ms % slide_ms != 0 => {
            let message = "the size of a cumulating window is no multiple of its step";
            return Err(Issue::new(slide_span, message, "take a step that divides the size"));
        }
        WindowKind::Cumulate => Windows::Cumulating,
    };
    Ok(WindowSpec { rowtime, size_ms, slide_ms, offset_ms, kind })
}

pub(super) fn not_a_time(name: &Name, scope: &Scope, table: &Name) -> Issue {
    let message = format!("'{}' is no event time", name.value);
    let times: Vec<String> = (scope.entries.iter())
        .filter(|e| e.column.role.is_time() && !e.column.hidden)
        .map(|e| e.column.name())
        .collect();
    let remedy = match times.first() {
        Some(time) => format!("the event time of '{}' is '{time}'", table.value),
        None => format!(
            "add WATERMARK FOR {0} AS {0} - INTERVAL '5' SECOND to the source, and pass {0} on as \
             it is",
            name.value
        ),
    };
    Issue::new(name.span, message, remedy)
}
