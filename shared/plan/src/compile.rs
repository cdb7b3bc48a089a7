//! From statements to a plan: tables, views and INSERTs in the order of the script.

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::fragment::SortKey;
use headwater_engine::types::{DataType, Field};
use sqlparser::tokenizer::Span;

use crate::ast::Name;
use crate::bind::{arrival_read, coerce, typed_null};
use crate::catalog::{self, TableDef};
use crate::changes;
use crate::cut;
use crate::diagnostic::{Issue, Result, Source, suggest};
use crate::fingerprint;
use crate::lex::Vars;
use crate::logical::{Graph, NodeId, NodeKind, Role};
use crate::lower::{self, Sink};
use crate::notes;
use crate::plan::{Plan, Target};
use crate::script::{self, Definition, Script};
use crate::select::join::lookup::RELOAD;
use crate::select::{Planner, Source as Named, rank};
use crate::settings::{self, Settings};
use crate::statement::{CreateView, Insert};

pub(crate) fn script(
    source: &Source<'_>,
    vars: &Vars,
    target: Target,
    issues: &mut Vec<Issue>,
) -> Option<Plan> {
    let script = script::parse(source, vars, issues);
    let settings = settings::check(&script.settings, issues);
    let mut planner = Planner { zone: settings.zone.clone(), ..Planner::default() };
    let mut broken = Broken(script.broken.clone());
    for definition in &script.definitions {
        define(definition, &mut planner, &mut broken, issues);
    }
    let mut sinks = Vec::new();
    for insert in &script.inserts {
        let sink = self::insert(insert, &mut planner).and_then(|sink| {
            changes::check(&planner.graph, &planner.tables, &sink)?;
            Ok(sink)
        });
        match sink {
            Ok(sink) => sinks.push(sink),
            // What reads a broken table says nothing new.
            Err(issue) if broken.explains(&issue) => {}
            Err(issue) => issues.push(issue),
        }
    }
    check_inserts(&script, issues);
    let answers = notes::answers(source, &script, &mut planner, &settings, target, issues);
    let Planner { graph, tables, .. } = planner;
    let is_question = script.inserts.is_empty() && !script.questions.is_empty();
    let sinks = if is_question { answers.explained } else { sinks };
    let mut plan = build(&graph, &tables, &sinks, &settings, target, issues)?;
    plan.is_question = is_question;
    plan.notes = answers.notes;
    fingerprint::executable(&plan, &script, issues);
    Some(plan)
}

/// The plan of these INSERTs.
pub(crate) fn build(
    graph: &Graph,
    tables: &[TableDef],
    sinks: &[Sink],
    settings: &Settings,
    target: Target,
    issues: &mut Vec<Issue>,
) -> Option<Plan> {
    check_sides(graph, tables, sinks, issues);
    check_ranks(graph, sinks, issues);
    if !issues.is_empty() {
        return None;
    }
    let (fragment, layout) = lower::lower(graph, tables, sinks, settings.state_ttl_ms, issues)?;
    let mut plan = match target {
        Target::Whole => cut::whole(fragment, layout, tables),
        Target::Cut => cut::cut(&fragment, layout, tables, settings, issues)?,
    };
    for fragment in [&mut plan.edge, &mut plan.core, &mut plan.whole].into_iter().flatten() {
        fragment.zone.clone_from(&settings.zone);
    }
    plan.settings = settings.values.clone();
    plan.limits = settings.limits.clone();
    plan.fingerprint = fingerprint::of(&plan);
    Some(plan)
}

/// Names whose definition has a fault already reported.
struct Broken(Vec<String>);

impl Broken {
    fn explains(&self, issue: &Issue) -> bool {
        self.0.iter().any(|name| issue.message == format!("unknown table '{name}'"))
    }
}

fn define(
    definition: &Definition,
    planner: &mut Planner,
    broken: &mut Broken,
    issues: &mut Vec<Issue>,
) {
    let name = match definition {
        Definition::Table(table) => &table.name,
        Definition::View(view) => &view.name,
    };
    if planner.names.contains_key(&name.value) || broken.0.contains(&name.value) {
        let message = format!("'{}' is defined twice", name.value);
        issues.push(Issue::new(name.span, message, "rename one of them"));
        return;
    }
    let defined = match definition {
        Definition::Table(table) => catalog::table(table, issues).map(|table| {
            planner.tables.push(table);
            Named::Table(planner.tables.len() - 1)
        }),
        Definition::View(view) => match self::view(view, planner) {
            Ok(node) => Some(Named::View(node)),
            Err(issue) => {
                if !broken.explains(&issue) {
                    issues.push(issue);
                }
                None
            }
        },
    };
    match defined {
        Some(named) => {
            planner.names.insert(name.value.clone(), named);
        }
        None => broken.0.push(name.value.clone()),
    }
}

fn view(view: &CreateView, planner: &mut Planner) -> Result<NodeId> {
    let node = planner.query(&view.query)?;
    if view.columns.is_empty() {
        return Ok(node);
    }
    let columns = planner.graph.columns(node).iter().enumerate();
    let columns: Vec<_> = columns.filter(|(_, column)| !column.hidden).collect();
    if columns.len() != view.columns.len() {
        let message = format!(
            "the view '{}' names {} columns, its query has {}",
            view.name.value,
            view.columns.len(),
            columns.len()
        );
        return Err(Issue::new(view.name.span, message, "name all columns, or none"));
    }
    let items = columns.iter().zip(&view.columns);
    let items = items.map(|((i, c), n)| (vec![n.value.clone()], c.at(*i), false)).collect();
    Ok(planner.graph.project(node, items))
}

/// An INSERT: its query's columns cast to those of its table.
pub(crate) fn insert(insert: &Insert, planner: &mut Planner) -> Result<Sink> {
    let node = planner.query(&insert.query)?;
    let names = planner.names.iter().filter(|(_, n)| matches!(n, Named::Table(_)));
    let Some(Named::Table(table)) = planner.names.get(&insert.table.value).copied() else {
        let message = format!("unknown table '{}'", insert.table.value);
        let names: Vec<&str> = names.map(|(n, _)| n.as_str()).collect();
        let remedy = suggest(&insert.table.value, names.iter().copied(), "tables");
        return Err(Issue::new(insert.table.span, message, remedy));
    };
    let def = &planner.tables[table];
    if def.options.connector == "datagen" {
        let message = "the connector 'datagen' cannot be written";
        return Err(Issue::new(insert.table.span, message, "write to filesystem, mqtt or print"));
    }
    let targets = targets(insert, def)?;
    let columns = planner.graph.columns(node);
    let visible: Vec<usize> = (0..columns.len()).filter(|i| !columns[*i].hidden).collect();
    if visible.len() != targets.len() {
        let message = format!(
            "the query has {} columns, the table '{}' takes {}",
            visible.len(),
            insert.table.value,
            targets.len()
        );
        let remedy = "give one value for each column, in the order of the table";
        return Err(Issue::new(insert.query.column_span(targets.len()), message, remedy));
    }
    let mut exprs: Vec<Expr> =
        def.sink.iter().map(|c| typed_null(c.field.data_type.clone())).collect();
    for (position, (target, index)) in targets.iter().zip(&visible).enumerate() {
        let field = &def.sink[*target].field;
        let value = columns[*index].at(*index);
        let span = insert.query.column_span(position);
        if columns[*index].role == Role::Proctime {
            return Err(arrival_read(&columns[*index].name(), span));
        }
        exprs[*target] = sink_cast(value, field, span)?;
    }
    let revisions = def.sink.iter().enumerate();
    for (at, _) in revisions.filter(|(_, c)| c.metadata.as_deref() == Some("revision")) {
        exprs[at] = Expr::literal(Literal::Int(0), DataType::Int);
    }
    Ok(Sink { node, table, exprs, span: insert.table.span })
}

/// Positions of the columns that the query fills, among the sink's.
fn targets(insert: &Insert, def: &TableDef) -> Result<Vec<usize>> {
    let writable: Vec<usize> =
        (0..def.sink.len()).filter(|i| def.sink[*i].metadata.is_none()).collect();
    if insert.columns.is_empty() {
        return Ok(writable);
    }
    let find = |name: &Name| {
        let names = def.sink.iter().map(|c| c.field.name.as_str());
        writable.iter().copied().find(|i| def.sink[*i].field.name == name.value).ok_or_else(|| {
            let message = format!("the table '{}' has no column '{}'", def.name.value, name.value);
            Issue::new(name.span, message, suggest(&name.value, names, "columns"))
        })
    };
    let mut targets: Vec<usize> = Vec::new();
    for name in &insert.columns {
        let target = find(name)?;
        if targets.contains(&target) {
            let message = format!("the column '{}' is written twice", name.value);
            return Err(Issue::new(name.span, message, "remove one of them"));
        }
        targets.push(target);
    }
    Ok(targets)
}

/// The casts that INSERT makes by itself, and no others.
fn sink_cast(value: Expr, field: &Field, span: Span) -> Result<Expr> {
    if !coerce::sink_cast_allowed(&value.data_type, &field.data_type) {
        let message = format!(
            "a {} cannot be written to the column '{}' of type {}",
            value.data_type, field.name, field.data_type
        );
        let remedy = format!("write CAST(… AS {})", field.data_type);
        return Err(Issue::new(span, message, remedy));
    }
    if coerce::changes_length(&value.data_type, &field.data_type) {
        return coerce::explicit_cast(value, field.data_type.clone(), false, span);
    }
    coerce::implicit_cast(value, field.data_type.clone(), span)
}

fn check_inserts(script: &Script, issues: &mut Vec<Issue>) {
    if script.inserts.is_empty() && script.questions.is_empty() && issues.is_empty() {
        let message = "the script inserts nothing";
        let remedy = "add INSERT INTO table SELECT … FROM …";
        issues.push(Issue::new(Span::empty(), message, remedy));
    }
    for (i, insert) in script.inserts.iter().enumerate() {
        if script.inserts[..i].iter().any(|other| other.table.value == insert.table.value) {
            let what = "writing one table by several INSERTs";
            issues.push(Issue::unsupported(insert.table.span, what));
        }
    }
}

/// Options of sources on sinks and the other way round; the side-output tables.
fn check_sides(graph: &Graph, tables: &[TableDef], sinks: &[Sink], issues: &mut Vec<Issue>) {
    for (index, table) in tables.iter().enumerate() {
        let read = graph.nodes.iter().any(|n| matches!(n.kind, NodeKind::Scan(t) if t == index));
        let written = sinks.iter().any(|s| s.table == index);
        if read && !written {
            table.options.check_side(true, issues);
        } else if written && !read {
            table.options.check_side(false, issues);
        }
        if read && written {
            let what = "reading and writing one table in one script";
            issues.push(Issue::unsupported(table.name.span, what));
        }
        let scans = graph.nodes.iter().enumerate();
        let is_own = |kind: &NodeKind| matches!(kind, NodeKind::Scan(t) if *t == index);
        let mut own = scans.filter(|(_, node)| is_own(&node.kind));
        if let Some((_, span)) = table.options.get(RELOAD)
            && own.any(|(scan, _)| !graph.is_looked_up(scan))
        {
            let message = format!("'{RELOAD}' is for a table that is looked up");
            let remedy = "join with FOR SYSTEM_TIME AS OF a column PROCTIME(), or follow the file: \
                          'source.monitor-interval'";
            issues.push(Issue::new(span, message, remedy));
        }
        let Some((late, span)) = table.options.get("late") else { continue };
        let names = tables.iter().map(|t| t.name.value.as_str());
        if !names.clone().any(|n| n == late) {
            let message = format!("the late-row table '{late}' does not exist");
            issues.push(Issue::new(span, message, suggest(late, names, "tables")));
        }
    }
}

/// A row number in an order that no watermark speaks of, and that no filter made a ranking of.
fn check_ranks(graph: &Graph, sinks: &[Sink], issues: &mut Vec<Issue>) {
    let mut reached = vec![false; graph.nodes.len()];
    for sink in sinks {
        reached[sink.node] = true;
    }
    for (id, node) in graph.nodes.iter().enumerate().rev() {
        if !reached[id] {
            continue;
        }
        for input in node.kind.inputs() {
            reached[*input] = true;
        }
        let NodeKind::Rank { input, order, span, .. } = &node.kind else { continue };
        let rises =
            |key: &SortKey| !key.descending && graph.columns(*input)[key.column].role.is_time();
        if !matches!(order.as_slice(), [one] if rises(one)) {
            let is_arrival = |key: &SortKey| {
                key.descending && graph.columns(*input)[key.column].role == Role::Proctime
            };
            issues.push(match order.iter().any(is_arrival) {
                true => rank::last_arrivals(*span),
                false => rank::unfiltered(*span),
            });
        }
    }
}

/// Whether an expression is a plain column.
pub(crate) fn as_column(expr: &Expr) -> Option<usize> {
    match expr.kind {
        ExprKind::Column(index) => Some(index),
        _ => None,
    }
}
