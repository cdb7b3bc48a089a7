//! Which columns of which node anyone reads.

use std::collections::BTreeSet;

use headwater_engine::expr::{Expr, Literal};
use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::bind::{arrival_read, coerce};
use crate::catalog::TableDef;
use crate::diagnostic::{Issue, suggest};
use crate::logical::{Column, Folded, Graph, NodeId, NodeKind, Role, each_column, substitute};
use crate::lower::{
    Sink, absence, aggregate, dedup, group, join, match_recognize, over, session, top, unnest,
    windows,
};
use crate::select::over::running_number;

/// The columns kept beside a step's own for its late rows.
#[derive(Clone)]
pub(crate) struct Late {
    pub(crate) table: usize,
    /// Columns of the side-output table, each over the scan's columns.
    pub(crate) columns: Vec<(Column, Expr)>,
    pub(crate) span: Span,
}

/// Columns that are read, by node; None for a node that nothing reads.
pub(crate) struct Needs {
    columns: Vec<Option<BTreeSet<usize>>>,
    late: Vec<Option<Late>>,
}

impl Needs {
    pub(crate) fn reached(&self, node: NodeId) -> bool {
        self.columns[node].is_some()
    }

    pub(crate) fn columns(&self, node: NodeId) -> impl Iterator<Item = usize> + '_ {
        self.columns[node].iter().flatten().copied()
    }

    pub(crate) fn late(&self, node: NodeId) -> Option<Late> {
        self.late[node].clone()
    }

    fn add(&mut self, node: NodeId, expr: &Expr) {
        let columns = self.columns[node].get_or_insert_default();
        each_column(expr, &mut |index| {
            columns.insert(index);
        });
    }

    fn chain<'e>(&mut self, folded: &'e Folded, wanted: impl Iterator<Item = &'e Expr>) {
        self.columns[folded.base].get_or_insert_default();
        for expr in wanted.chain(&folded.predicates) {
            self.add(folded.base, expr);
        }
    }
}

/// Walks from the sinks to the scans.
pub(crate) fn needs(
    graph: &Graph,
    tables: &[TableDef],
    sinks: &[Sink],
    issues: &mut Vec<Issue>,
) -> Needs {
    let mut needs =
        Needs { columns: vec![None; graph.nodes.len()], late: vec![None; graph.nodes.len()] };
    for sink in sinks {
        let folded = graph.fold(sink.node);
        let exprs = sink.exprs.iter().map(|e| substitute(e, &folded.exprs)).collect();
        let exprs = with_revision(graph, &folded, &tables[sink.table], exprs);
        needs.chain(&folded, exprs.iter());
        // The borrow of `exprs` ends with the statement; the columns are noted.
    }
    for node in (0..graph.nodes.len()).rev() {
        if !needs.reached(node) {
            continue;
        }
        let own: BTreeSet<usize> = needs.columns(node).collect();
        let origin = match &graph.nodes[node].kind {
            NodeKind::Scan(table) => Some(tables[*table].name.span),
            NodeKind::Match(.., span) => Some(*span),
            _ => None,
        };
        let mut columns = own.iter().map(|column| &graph.columns(node)[*column]);
        if let Some(span) = origin
            && let Some(arrival) = columns.find(|column| column.role == Role::Proctime)
        {
            issues.push(arrival_read(&arrival.name(), span));
        }
        for (input, reads) in reads(graph, node, &own) {
            let folded = graph.fold(input);
            needs.chain(&folded, reads.iter().map(|c| &folded.exprs[*c]));
            let scan = graph.source(folded.base);
            if let NodeKind::Scan(table) = graph.nodes[scan].kind
                && graph.nodes[node].kind.has_late_rows()
                && let Some(late) = late(&tables[table], tables, issues)
            {
                for (_, expr) in &late.columns {
                    needs.add(scan, expr);
                }
                // The step that tells the local time passes them on.
                needs.late[folded.base] = (scan != folded.base).then(|| late.clone());
                needs.late[node] = Some(late);
            }
        }
    }
    needs
}

/// The columns that a node reads of each of its inputs, given those that others read of it. What
/// is folded into the node above reads nothing by itself.
fn reads(graph: &Graph, node: NodeId, own: &BTreeSet<usize>) -> Vec<(NodeId, BTreeSet<usize>)> {
    let width = |input: NodeId| graph.columns(input).len();
    match &graph.nodes[node].kind {
        NodeKind::Scan(_) | NodeKind::Values(_) | NodeKind::Filter(..) | NodeKind::Project(..) => {
            Vec::new()
        }
        NodeKind::Over { input, partition, rowtime, calls } => {
            vec![(*input, over::reads(own, width(*input), partition, *rowtime, calls))]
        }
        NodeKind::Rank { input, key, order, .. } => {
            let calls = [running_number()];
            vec![(*input, over::reads(own, width(*input), key, order[0].column, &calls))]
        }
        NodeKind::Top(top) => vec![(top.input, top::reads(own, width(top.input), top))],
        NodeKind::Sort { input, rowtime, order } => {
            vec![(*input, top::sort_reads(own, *rowtime, order))]
        }
        NodeKind::Dedup { input, key, rowtime } => {
            vec![(*input, dedup::reads(own, key, *rowtime))]
        }
        NodeKind::Windows(input, window) => {
            vec![(*input, windows::reads(own, window, width(*input)))]
        }
        NodeKind::LocalTime { input, rowtime, .. } => {
            vec![(*input, unnest::reads(own, *rowtime, width(*input)))]
        }
        NodeKind::Unnest(input, array) => {
            vec![(*input, unnest::reads(own, *array, width(*input)))]
        }
        NodeKind::Aggregate { input, window, keys, aggregates } => {
            vec![(*input, aggregate::reads(own, window, keys, aggregates))]
        }
        NodeKind::Group { input, keys, aggregates } => {
            vec![(*input, group::reads(own, keys, aggregates))]
        }
        NodeKind::Absence(input, spec) => {
            vec![(*input, absence::reads(own, spec, width(*input)))]
        }
        NodeKind::Match(input, spec, _) => vec![(*input, match_recognize::reads(own, spec))],
        NodeKind::SessionAggregate { input, rowtime, keys, aggregates, .. } => {
            vec![(*input, session::reads(own, *rowtime, keys, aggregates))]
        }
        NodeKind::SessionWindows { input, rowtime, key, .. } => {
            vec![(*input, session::reads_windows(own, *rowtime, key, width(*input)))]
        }
        NodeKind::Union(inputs) => inputs.iter().map(|input| (*input, own.clone())).collect(),
        NodeKind::Join(join) => {
            join.inputs.into_iter().zip(join::reads(own, join, width(join.inputs[0]))).collect()
        }
    }
}

/// The side output of a source: its columns are found by name among the source's.
fn late(source: &TableDef, tables: &[TableDef], issues: &mut Vec<Issue>) -> Option<Late> {
    let (name, span) = source.options.get("late")?;
    let table = tables.iter().position(|t| t.name.value == name)?;
    let scan = source.scan_columns();
    let mut columns = Vec::new();
    for wanted in &tables[table].sink {
        let name = &wanted.field.name;
        let Some(at) = scan.iter().position(|c| c.name() == *name) else {
            let message = format!("the late-row table has a column '{name}' that the source lacks");
            let names: Vec<String> = scan.iter().map(Column::name).collect();
            let remedy = suggest(name, names.iter().map(String::as_str), "source columns");
            issues.push(Issue::new(span, message, remedy));
            return None;
        };
        let allowed = coerce::sink_cast_allowed(&scan[at].data_type, &wanted.field.data_type);
        let cast = coerce::implicit_cast(scan[at].at(at), wanted.field.data_type.clone(), span);
        match cast {
            Ok(expr) if allowed => {
                let column = Column::new(name.clone(), wanted.field.data_type.clone());
                columns.push((column, expr));
            }
            _ => {
                let message = format!("the late-row table has another type for '{name}'");
                let remedy = format!("declare it as {}", scan[at].data_type);
                issues.push(Issue::new(span, message, remedy));
                return None;
            }
        }
    }
    Some(Late { table, columns, span })
}

/// Fills `revision INT METADATA` of a sink: the aggregate's number of corrections, else 0.
pub(crate) fn with_revision(
    graph: &Graph,
    folded: &Folded,
    table: &TableDef,
    mut exprs: Vec<Expr>,
) -> Vec<Expr> {
    let last = graph.columns(folded.base).len().saturating_sub(1);
    let revision = match graph.nodes[folded.base].kind {
        NodeKind::Aggregate { .. } => Expr::column(last, DataType::Int),
        _ => Expr::literal(Literal::Int(0), DataType::Int),
    };
    for (expr, column) in exprs.iter_mut().zip(&table.sink) {
        if column.metadata.as_deref() == Some("revision") {
            *expr = revision.clone();
        }
    }
    exprs
}
