//! The logical plan to one fragment: only the columns that are needed, only the steps that do
//! something.
//!
//! Guarantees: a column that nobody reads is neither decoded nor kept in state; a step that two
//! queries share is there once; filters and projections stay in the order in which the script asks
//! them, so a deduplication sees exactly the rows it names.

mod need;
mod scan;

use headwater_engine::expr::{Expr, ExprKind};
use headwater_engine::fragment::{
    DedupSpec, Fragment, Input, OperatorSpec, Output, OutputKind, Phase, Step, WindowAggregateSpec,
    WindowSpec,
};
use headwater_engine::limits::FIELDS_MAX;
use headwater_engine::types::{DataType, Field, Schema};
use sqlparser::tokenizer::Span;

use crate::catalog::TableDef;
use crate::compile::as_column;
use crate::diagnostic::Issue;
use crate::logical::{Column, Folded, Graph, NodeId, NodeKind, conjunction, each_column, rewrite};
use crate::plan::SourceColumn;

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
}

/// Lowers everything that the sinks need.
pub(crate) fn lower(
    graph: &Graph,
    tables: &[TableDef],
    sinks: &[Sink],
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
            NodeKind::Unnest(input, column) => self.unnest(node, *input, *column),
            // Folded into what stands on them; a rank is an error found earlier.
            NodeKind::Filter(..) | NodeKind::Project(..) | NodeKind::Rank { .. } => return,
        };
        self.lowered[node] = Some(lowered);
    }

    fn dedup(&mut self, node: NodeId, input: NodeId, key: &[usize], rowtime: usize) -> Lowered {
        let folded = self.graph.fold(input);
        let late = self.needs.late(node);
        let mut wanted: Vec<usize> = self.needs.columns(node).collect();
        wanted.extend(key.iter().copied().chain([rowtime]));
        wanted.sort_unstable();
        wanted.dedup();
        let names = self.graph.columns(input);
        let exprs: Vec<_> =
            wanted.iter().map(|c| (names[*c].clone(), folded.exprs[*c].clone())).collect();
        let (from, positions) = self.provide(&folded, exprs, late.as_ref(), true);
        let at = |column: usize| {
            positions[wanted.iter().position(|c| *c == column).expect("wanted holds it")]
        };
        let spec = DedupSpec {
            key: key.iter().map(|c| at(*c)).collect(),
            rowtime: at(rowtime),
            key_holds_time: self.determines(&folded, key, rowtime),
            ttl_ms: None,
        };
        let mut columns = vec![None; names.len()];
        for column in &wanted {
            columns[*column] = Some(at(*column));
        }
        let schema = self.schema(from);
        let step = self.step("dedup", from, OperatorSpec::DedupFirst(spec), schema);
        self.late_output(step, late, &positions[wanted.len()..]);
        Lowered { input: Input::Step(step), columns }
    }

    /// Whether rows with equal keys have equal event times: the key holds the event time, or all
    /// columns that it is computed from (functions give the same result for the same arguments).
    fn determines(&self, folded: &Folded, key: &[usize], rowtime: usize) -> bool {
        let base_column = |column: usize| match folded.exprs[column].kind {
            ExprKind::Column(base) => Some(base),
            _ => None,
        };
        let held: Vec<usize> = key.iter().filter_map(|column| base_column(*column)).collect();
        let mut open: Vec<usize> = base_column(rowtime).into_iter().collect();
        if open.is_empty() {
            return key.contains(&rowtime);
        }
        let table = match self.graph.nodes[folded.base].kind {
            NodeKind::Scan(table) => Some(&self.tables[table]),
            _ => None,
        };
        while let Some(column) = open.pop() {
            if held.contains(&column) {
                continue;
            }
            let computed = table
                .and_then(|table| table.computed.get(column.checked_sub(table.decoded.len())?));
            let Some((_, expr)) = computed else { return false };
            each_column(expr, &mut |column| open.push(column));
        }
        true
    }

    fn windows(&mut self, node: NodeId, input: NodeId, window: &WindowSpec) -> Lowered {
        let folded = self.graph.fold(input);
        let width = self.graph.columns(input).len();
        let mut wanted: Vec<usize> = self.needs.columns(node).filter(|c| *c < width).collect();
        wanted.push(window.rowtime);
        wanted.sort_unstable();
        wanted.dedup();
        let names = self.graph.columns(input);
        let exprs = wanted.iter().map(|c| (names[*c].clone(), folded.exprs[*c].clone())).collect();
        let (from, positions) = self.provide(&folded, exprs, None, false);
        let mut columns = vec![None; width];
        for (column, position) in wanted.iter().zip(&positions) {
            columns[*column] = Some(*position);
        }
        let rowtime = columns[window.rowtime].expect("wanted above");
        let mut schema = self.schema(from);
        for column in &self.graph.columns(node)[width..] {
            columns.push(Some(schema.fields.len()));
            schema.fields.push(field(column));
        }
        let spec = WindowSpec { rowtime, ..window.clone() };
        let step = self.step("windows", from, OperatorSpec::WindowAssign(spec), schema);
        Lowered { input: Input::Step(step), columns }
    }

    fn aggregate(&mut self, node: NodeId) -> Lowered {
        let graph = self.graph;
        let NodeKind::Aggregate { input, window, keys, aggregates } = &graph.nodes[node].kind
        else {
            unreachable!("called for an aggregate")
        };
        let folded = graph.fold(*input);
        let late = self.needs.late(node);
        let kept: Vec<usize> = {
            let needed: Vec<usize> = self.needs.columns(node).collect();
            (0..aggregates.len()).filter(|i| needed.contains(&(keys.len() + i))).collect()
        };
        let mut wanted: Vec<usize> = keys.clone();
        for call in kept.iter().map(|i| &aggregates[*i]) {
            wanted.extend(call.arg.iter().map(|(c, _)| *c).chain(call.filter));
        }
        wanted.push(window.rowtime);
        wanted.sort_unstable();
        wanted.dedup();
        let names = graph.columns(*input);
        let exprs = wanted.iter().map(|c| (names[*c].clone(), folded.exprs[*c].clone())).collect();
        let (from, positions) = self.provide(&folded, exprs, late.as_ref(), false);
        let at = |column: usize| {
            positions[wanted.iter().position(|c| *c == column).expect("wanted holds it")]
        };
        let mut calls = Vec::new();
        for call in kept.iter().map(|i| &aggregates[*i]) {
            let mut call = call.clone();
            call.arg = call.arg.map(|(c, ty)| (at(c), ty));
            call.filter = call.filter.map(at);
            calls.push(call);
        }
        let spec = WindowAggregateSpec {
            window: WindowSpec { rowtime: at(window.rowtime), ..window.clone() },
            keys: keys.iter().map(|c| at(*c)).collect(),
            key_types: keys.iter().map(|c| names[*c].data_type.clone()).collect(),
            aggregates: calls,
            phase: Phase::Complete,
            time_type: names[window.rowtime].data_type.clone(),
        };
        let all = graph.columns(node);
        let mut columns = vec![None; all.len()];
        let mut schema = Schema::default();
        let behind = keys.len() + aggregates.len();
        let given = (0..keys.len()).chain(kept.iter().map(|i| keys.len() + i));
        for column in given.chain(behind..all.len()) {
            columns[column] = Some(schema.fields.len());
            schema.fields.push(field(&all[column]));
        }
        let step = self.step("window", from, OperatorSpec::WindowAggregate(spec), schema);
        self.late_output(step, late, &positions[wanted.len()..]);
        Lowered { input: Input::Step(step), columns }
    }

    fn unnest(&mut self, node: NodeId, input: NodeId, array: usize) -> Lowered {
        let folded = self.graph.fold(input);
        let width = self.graph.columns(input).len();
        let mut wanted: Vec<usize> = self.needs.columns(node).filter(|c| *c < width).collect();
        wanted.push(array);
        wanted.sort_unstable();
        wanted.dedup();
        let names = self.graph.columns(input);
        let exprs = wanted.iter().map(|c| (names[*c].clone(), folded.exprs[*c].clone())).collect();
        let (from, positions) = self.provide(&folded, exprs, None, false);
        let mut columns = vec![None; width];
        for (column, position) in wanted.iter().zip(&positions) {
            columns[*column] = Some(*position);
        }
        let column = columns[array].expect("wanted above");
        let mut schema = self.schema(from);
        columns.push(Some(schema.fields.len()));
        schema.fields.push(field(&self.graph.columns(node)[width]));
        let step = self.step("unnest", from, OperatorSpec::Unnest { column }, schema);
        Lowered { input: Input::Step(step), columns }
    }

    /// Rows of a folded chain, filtered, with the wanted columns somewhere in them; `narrow` when
    /// the rows will be kept and should hold nothing else.
    fn provide(
        &mut self,
        folded: &Folded,
        wanted: Vec<(Column, Expr)>,
        late: Option<&Late>,
        narrow: bool,
    ) -> (Input, Vec<usize>) {
        let (mut input, mut exprs) = self.filtered(folded, wanted.iter().map(|(_, e)| e));
        let mut fields: Vec<Field> = wanted.iter().map(|(c, _)| field(c)).collect();
        if let Some(late) = late {
            for (column, expr) in &late.columns {
                exprs.push(self.placed(folded.base, expr));
                fields.push(field(column));
            }
        }
        let plain: Option<Vec<usize>> = exprs.iter().map(as_column).collect();
        if let Some(positions) = plain {
            let width = self.schema(input).len();
            let mut distinct = positions.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if !narrow || distinct.len() == width {
                return (input, positions);
            }
        }
        let positions = (0..exprs.len()).collect();
        let step = self.step("project", input, OperatorSpec::Project(exprs), Schema::new(fields));
        input = Input::Step(step);
        (input, positions)
    }

    /// The base's rows after the predicates, and expressions over them.
    fn filtered<'e>(
        &mut self,
        folded: &Folded,
        wanted: impl Iterator<Item = &'e Expr>,
    ) -> (Input, Vec<Expr>) {
        let base = self.lowered[folded.base].as_ref().expect("inputs are lowered first");
        let mut input = base.input;
        let exprs = wanted.map(|e| self.placed(folded.base, e)).collect();
        let terms = folded.predicates.iter().map(|p| self.placed(folded.base, p)).collect();
        if let Some(predicate) = conjunction(terms) {
            let schema = self.schema(input);
            let step = self.step("filter", input, OperatorSpec::Filter(predicate), schema);
            input = Input::Step(step);
        }
        (input, exprs)
    }

    /// An expression over a node's columns as one over its lowered rows.
    fn placed(&self, node: NodeId, expr: &Expr) -> Expr {
        let lowered = self.lowered[node].as_ref().expect("inputs are lowered first");
        rewrite(expr, &mut |index, ty| {
            let at = lowered.columns[index].expect("a column that is read is kept");
            Expr::column(at, ty.clone())
        })
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
        });
        self.layout.outputs.push((late.table, late.span));
    }

    /// A step, or the one that does the same already. A step with state is not looked for.
    fn step(&mut self, kind: &str, input: Input, operator: OperatorSpec, schema: Schema) -> usize {
        let stateless = matches!(operator, OperatorSpec::Filter(_) | OperatorSpec::Project(_));
        let same = |s: &Step| s.inputs == [input] && s.operator == operator;
        if let Some(found) = self.fragment.steps.iter().position(|s| stateless && same(s)) {
            return found;
        }
        let prefix = format!("{kind}-");
        let before = self.fragment.steps.iter().filter(|s| s.name.starts_with(&prefix)).count();
        self.fragment.steps.push(Step {
            name: format!("{prefix}{}", before + 1),
            inputs: vec![input],
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
