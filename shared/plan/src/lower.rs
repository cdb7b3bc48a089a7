//! The logical plan to one fragment: only the columns that are needed, only the steps that do
//! something.
//!
//! Guarantees: a column that nobody reads is neither decoded nor kept in state; a step that two
//! queries share is there once; filters and projections stay in the order in which the script asks
//! them, so a deduplication sees exactly the rows it names.

mod absence;
mod aggregate;
mod dedup;
mod group;
mod join;
mod match_recognize;
mod need;
mod over;
mod provide;
mod scan;
mod session;
mod top;
mod union;
mod unnest;
mod values;
mod windows;

use std::collections::BTreeMap;

use headwater_engine::expr::Expr;
use headwater_engine::fragment::{Fragment, Input, OperatorSpec, Order, Output, OutputKind, Step};
use headwater_engine::limits::FIELDS_MAX;
use headwater_engine::types::{DataType, Field, Schema};
use sqlparser::tokenizer::Span;

use crate::catalog::TableDef;
use crate::compile::as_column;
use crate::diagnostic::Issue;
use crate::logical::{Column, Graph, NodeId, NodeKind};
use crate::plan::SourceColumn;
use crate::select::over::running_number;

use need::{Late, Needs};

/// An INSERT: a node and, over its columns, what the table takes.
pub(crate) struct Sink {
    pub(crate) node: NodeId,
    pub(crate) table: usize,
    pub(crate) exprs: Vec<Expr>,
    pub(crate) span: Span,
}

/// How the fragment's scans and outputs belong to tables.
#[derive(Default)]
pub(crate) struct Layout {
    /// Table and decoded columns of each scan.
    pub(crate) scans: Vec<(usize, Vec<SourceColumn>)>,
    /// Table and place in the script of each output.
    pub(crate) outputs: Vec<(usize, Span)>,
}

/// A lowered node: what gives its rows, and where its columns are among theirs.
#[derive(Clone)]
struct Lowered {
    input: Input,
    columns: Vec<Option<usize>>,
}

struct Lowering<'a> {
    graph: &'a Graph,
    tables: &'a [TableDef],
    needs: Needs,
    fragment: Fragment,
    layout: Layout,
    lowered: Vec<Option<Lowered>>,
    /// Where steps that tell the local time have the columns that are kept for late rows.
    passed_late: BTreeMap<NodeId, Vec<usize>>,
    /// How long steps with keyed state remember, where the script says so.
    state_ttl_ms: Option<i64>,
}

/// Lowers everything that the sinks need.
pub(crate) fn lower(
    graph: &Graph,
    tables: &[TableDef],
    sinks: &[Sink],
    state_ttl_ms: Option<i64>,
    issues: &mut Vec<Issue>,
) -> Option<(Fragment, Layout)> {
    let before = issues.len();
    let needs = need::needs(graph, tables, sinks, issues);
    let mut lowering = Lowering {
        graph,
        tables,
        needs,
        fragment: Fragment::default(),
        layout: Layout::default(),
        lowered: vec![None; graph.nodes.len()],
        passed_late: BTreeMap::new(),
        state_ttl_ms,
    };
    for node in 0..graph.nodes.len() {
        if lowering.needs.reached(node) {
            lowering.node(node);
        }
    }
    for sink in sinks {
        lowering.sink(sink);
    }
    lowering.check_widths(issues);
    (issues.len() == before).then_some((lowering.fragment, lowering.layout))
}

impl Lowering<'_> {
    fn node(&mut self, node: NodeId) {
        let lowered = match &self.graph.nodes[node].kind {
            NodeKind::Scan(table) => self.scan(node, *table),
            NodeKind::Dedup { input, key, rowtime } => self.dedup(node, *input, key, *rowtime),
            NodeKind::Windows(input, window) => self.windows(node, *input, window),
            NodeKind::Aggregate { .. } => self.aggregate(node),
            NodeKind::Group { .. } => self.group(node),
            NodeKind::SessionAggregate { .. } => self.session_aggregate(node),
            NodeKind::SessionWindows { input, rowtime, gap_ms, key } => {
                self.session_windows(node, *input, *rowtime, *gap_ms, key)
            }
            NodeKind::Unnest(input, column) => self.unnest(node, *input, *column),
            NodeKind::LocalTime { input, rowtime, zone } => {
                self.local_time(node, *input, *rowtime, zone)
            }
            NodeKind::Union(inputs) => self.union(node, inputs),
            NodeKind::Values(rows) => self.values(node, rows),
            NodeKind::Join(join) => self.join(node, join),
            NodeKind::Absence(input, spec) => self.absence(node, *input, spec),
            NodeKind::Match(input, spec, _) => self.match_recognize(node, *input, spec),
            NodeKind::Over { input, partition, rowtime, calls } => {
                self.over(node, *input, partition, *rowtime, calls)
            }
            NodeKind::Rank { input, key, order, .. } => {
                self.over(node, *input, key, order[0].column, &[running_number()])
            }
            NodeKind::Top(top) => self.top(node, top),
            NodeKind::Sort { input, rowtime, order } => self.sort(node, *input, *rowtime, order),
            // Folded into what stands on them.
            NodeKind::Filter(..) | NodeKind::Project(..) => return,
        };
        self.lowered[node] = Some(lowered);
    }

    fn sink(&mut self, sink: &Sink) {
        let folded = self.graph.fold(sink.node);
        let exprs: Vec<Expr> =
            (sink.exprs.iter()).map(|e| crate::logical::substitute(e, &folded.exprs)).collect();
        let table = &self.tables[sink.table];
        let exprs = need::with_revision(self.graph, &folded, table, exprs);
        let (input, exprs) = self.filtered(&folded, exprs.iter());
        let fields: Vec<Field> = table.sink.iter().map(|c| c.field.clone()).collect();
        let width = self.schema(input).len();
        let identity =
            exprs.len() == width && exprs.iter().enumerate().all(|(i, e)| as_column(e) == Some(i));
        self.fragment.outputs.push(Output {
            name: table.name.value.clone(),
            input,
            columns: (!identity).then_some(exprs),
            schema: Schema::new(fields),
            kind: OutputKind::Rows,
            order: order_of(table),
        });
        self.layout.outputs.push((sink.table, sink.span));
    }

    /// The side output of a step's late rows, over the columns that were kept for it.
    fn late_output(&mut self, step: usize, late: Option<Late>, positions: &[usize]) {
        let Some(late) = late else { return };
        let columns = (late.columns.iter().zip(positions))
            .map(|((c, _), at)| Expr::column(*at, c.data_type.clone()))
            .collect();
        let table = &self.tables[late.table];
        let fields = table.sink.iter().map(|c| c.field.clone()).collect();
        self.fragment.steps[step].late_output = Some(self.fragment.outputs.len());
        self.fragment.outputs.push(Output {
            name: table.name.value.clone(),
            input: Input::Step(step),
            columns: Some(columns),
            schema: Schema::new(fields),
            kind: OutputKind::Late,
            order: Order::Any,
        });
        self.layout.outputs.push((late.table, late.span));
    }

    /// A step, or the one that does the same already. A step with state is not looked for.
    fn step(
        &mut self,
        kind: &str,
        inputs: &[Input],
        operator: OperatorSpec,
        schema: Schema,
    ) -> usize {
        let stateless = matches!(operator, OperatorSpec::Filter(_) | OperatorSpec::Project(_));
        let same = |s: &Step| s.inputs == inputs && s.operator == operator;
        if let Some(found) = self.fragment.steps.iter().position(|s| stateless && same(s)) {
            return found;
        }
        let prefix = format!("{kind}-");
        let before = self.fragment.steps.iter().filter(|s| s.name.starts_with(&prefix)).count();
        self.fragment.steps.push(Step {
            name: format!("{prefix}{}", before + 1),
            inputs: inputs.to_vec(),
            operator,
            schema,
            late_output: None,
        });
        self.fragment.steps.len() - 1
    }

    fn schema(&self, input: Input) -> Schema {
        match input {
            Input::Scan(scan) => self.fragment.scans[scan].schema(),
            Input::Step(step) => self.fragment.steps[step].schema.clone(),
        }
    }

    /// Rows wider than the engine's.
    fn check_widths(&self, issues: &mut Vec<Issue>) {
        let scans = self.fragment.scans.iter().map(|s| s.schema().len());
        let steps = self.fragment.steps.iter().map(|s| s.schema.len());
        let outputs = self.fragment.outputs.iter().map(|o| o.schema.len());
        if let Some(width) = scans.chain(steps).chain(outputs).find(|w| *w > FIELDS_MAX) {
            let span = self.layout.outputs.first().map_or(Span::empty(), |(_, span)| *span);
            let message = format!("a row has {width} columns, {FIELDS_MAX} fit");
            issues.push(Issue::new(span, message, "name fewer columns"));
        }
    }
}

/// What a table makes of the order of its rows: one that keeps the last row of each key, or of a
/// topic, takes them as they come.
fn order_of(table: &TableDef) -> Order {
    let is_retained = table.options.values.get("retain").is_some_and(|flag| flag != "false");
    match table.primary_key.is_empty() && !is_retained {
        true => Order::Any,
        false => Order::Arrival,
    }
}

fn field(column: &Column) -> Field {
    Field {
        name: column.name(),
        data_type: match &column.data_type {
            // A bare NULL has to have some type once it is a column.
            DataType::Null => DataType::STRING,
            other => other.clone(),
        },
        nullable: column.nullable,
    }
}
