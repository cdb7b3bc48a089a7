//! What a plan does, for people and for machines.
//!
//! Guarantees: the same plan gives the same bytes; options of tables are not shown, so no secret
//! is. The numbers of memory are the engine's own ceilings.

mod expr;
mod join;
mod json;
mod operator;
mod over;
mod pattern;
mod rank;

use std::fmt::Write;

use headwater_engine::fragment::{Fragment, Input, OperatorSpec, OutputKind, Phase, Step};
use headwater_engine::limits::Limits;
use headwater_engine::pipeline::Pipeline;
use headwater_engine::types::Schema;

use crate::plan::{Place, Plan};

use expr::Shown;
use operator::operator_text;

/// Memory of one step, and the capacity that it comes from.
struct StepMemory {
    bytes_max: usize,
    capacity: Option<(&'static str, usize)>,
}

/// What of a fragment is on the page already.
struct Page<'a> {
    fragment: &'a Fragment,
    memory: &'a [StepMemory],
    /// Steps that do not hold rows for their order.
    at_once: Vec<bool>,
    shown: Vec<Input>,
}

impl Plan {
    /// The plan as text: both fragments as trees, with the schemas between the steps.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "plan {:016x}", self.fingerprint);
        for (place, fragment) in self.fragments() {
            let title = if self.whole.is_some() { "whole" } else { place.as_str() };
            let (memory, total) = self.memory(fragment);
            let _ = writeln!(out, "\n{title} fragment: at most {} of memory", bytes(total));
            if fragment.outputs.is_empty() {
                let _ = writeln!(out, "  nothing to do");
            }
            let at_once = fragment.steps_at_once();
            let mut page = Page { fragment, memory: &memory, at_once, shown: Vec::new() };
            for index in 0..fragment.outputs.len() {
                self.output(&mut page, index, &mut out);
            }
        }
        if !self.channels.is_empty() {
            let _ = writeln!(out, "\nexchanges");
        }
        for (index, channel) in self.channels.iter().enumerate() {
            let what = if channel.partials { "partials" } else { "rows" };
            let _ = write!(out, "  {}: {what} from {}", channel.name, channel.source);
            let _ = match self.ladder.iter().find(|rung| rung.to == index) {
                Some(rung) => writeln!(
                    out,
                    ", of {} ms, made of {} when the outbox is full",
                    rung.size_ms, self.channels[rung.from].name
                ),
                None => writeln!(out),
            };
            let _ = writeln!(out, "    {}", schema(&channel.schema));
        }
        out
    }

    fn output(&self, page: &mut Page<'_>, index: usize, out: &mut String) {
        let fragment = page.fragment;
        let output = &fragment.outputs[index];
        let kind = match output.kind {
            OutputKind::Rows => self.table(&output.name).map_or_else(String::new, |t| {
                let format = t.format.as_ref().map_or(String::new(), |f| format!(", {f}"));
                format!(" ({}{format})", t.connector)
            }),
            OutputKind::Exchange => " (exchange to core)".to_owned(),
            OutputKind::Late => " (late rows of the step below)".to_owned(),
        };
        let _ = writeln!(out, "  output {}{kind}", output.name);
        let _ = writeln!(out, "    : {}", schema(&output.schema));
        if let Some(columns) = &output.columns {
            let names = schema_of(fragment, output.input);
            let shown: Vec<String> = columns.iter().map(|e| Shown(e, &names).to_string()).collect();
            let _ = writeln!(out, "    = {}", shown.join(", "));
        }
        self.tree(page, output.input, 2, out);
    }

    fn tree(&self, page: &mut Page<'_>, input: Input, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        let fragment = page.fragment;
        let step = match input {
            Input::Step(step) => step,
            Input::Scan(scan) => return self.scan(page, scan, &indent, out),
        };
        let Step { name, inputs, operator, schema: columns, late_output: _ } =
            &fragment.steps[step];
        if page.shown.contains(&input) {
            let _ = writeln!(out, "{indent}└ {name} (as above)");
            return;
        }
        page.shown.push(input);
        let below = self.names_below(fragment, step);
        let _ = writeln!(out, "{indent}└ {name}: {}", operator_text(operator, &below));
        let _ = writeln!(out, "{indent}    : {}", schema(columns));
        if let OperatorSpec::DedupFirst(spec) = operator {
            let _ = match (page.at_once[step], spec.key_holds_time) {
                (true, _) => writeln!(out, "{indent}    a row goes on when it comes"),
                (false, true) => {
                    writeln!(out, "{indent}    rows wait for the watermark, for their order")
                }
                (false, false) => writeln!(out, "{indent}    rows wait for the watermark"),
            };
        }
        let StepMemory { bytes_max, capacity } = &page.memory[step];
        if let Some((what, count)) = capacity {
            let ceiling = bytes(*bytes_max);
            let _ = writeln!(out, "{indent}    at most {count} {what}, {ceiling} of memory");
        }
        for input in inputs {
            self.tree(page, *input, depth + 1, out);
        }
    }

    /// The columns that a step's operator names: of its input, and for a merge those of the input
    /// of its other half.
    fn names_below(&self, fragment: &Fragment, step: usize) -> Vec<Schema> {
        let step = &fragment.steps[step];
        let is_merge = matches!(&step.operator, OperatorSpec::WindowAggregate(spec)
            if matches!(spec.phase, Phase::Merge { .. }));
        let other = self.edge.iter().find_map(|edge| {
            let half = edge.steps.iter().find(|s| is_merge && s.name == step.name)?;
            Some(vec![schema_of(edge, half.inputs[0])])
        });
        other.unwrap_or_else(|| inputs_of(fragment, step))
    }

    fn scan(&self, page: &mut Page<'_>, index: usize, indent: &str, out: &mut String) {
        let scan = &page.fragment.scans[index];
        if page.shown.contains(&Input::Scan(index)) {
            let _ = writeln!(out, "{indent}└ scan {} (as above)", scan.name);
            return;
        }
        page.shown.push(Input::Scan(index));
        let names = scan.schema();
        let kind = match self.table(&scan.name) {
            Some(table) => {
                let format = table.format.as_ref().map_or(String::new(), |f| format!(", {f}"));
                format!("{}{format}", table.connector)
            }
            None => "exchange from edge".to_owned(),
        };
        let _ = writeln!(out, "{indent}└ scan {} ({kind})", scan.name);
        let _ = writeln!(out, "{indent}    : {}", schema(&names));
        for (field, expr) in &scan.computed {
            let _ = writeln!(out, "{indent}    {} = {}", field.name, Shown(expr, &names));
        }
        if let Some(watermark) = &scan.watermark {
            let rowtime = &names.fields[watermark.rowtime].name;
            let shown = Shown(&watermark.expr, &names);
            let _ = writeln!(out, "{indent}    watermark for {rowtime} = {shown}");
        }
        if let Some(ms) = scan.future_max_ms {
            let _ = writeln!(out, "{indent}    rows more than {ms} ms ahead are set aside");
        }
    }

    /// Ceilings of the steps and of the whole fragment.
    fn memory(&self, fragment: &Fragment) -> (Vec<StepMemory>, usize) {
        let built = Pipeline::build(fragment, &self.limits);
        let (each, shared) = built.map_or_else(
            |_| (vec![0; fragment.steps.len()], 0),
            |pipeline| pipeline.memory_bytes_max(),
        );
        let total = shared + each.iter().sum::<usize>();
        let steps = fragment.steps.iter().zip(each);
        let of = |(step, bytes_max): (&Step, usize)| StepMemory {
            bytes_max,
            capacity: capacity(&step.operator, &self.limits),
        };
        (steps.map(of).collect(), total)
    }

    /// The word for a place in the headings of machine-readable output.
    fn title(&self, place: Place) -> &'static str {
        if self.whole.is_some() { "whole" } else { place.as_str() }
    }
}

/// The capacity that bounds a step with state.
fn capacity(operator: &OperatorSpec, limits: &Limits) -> Option<(&'static str, usize)> {
    match operator {
        OperatorSpec::DedupFirst(_) => Some(("keys", limits.dedup_entries_max)),
        OperatorSpec::WindowAggregate(_) => Some(("panes", limits.panes_max)),
        OperatorSpec::GroupAggregate(_) => Some(("groups", limits.panes_max)),
        OperatorSpec::Absence(_) => Some(("rows", limits.rows_max)),
        OperatorSpec::MatchRecognize(_) => Some(("open matches", limits.matches_max)),
        OperatorSpec::SessionAggregate(_) => Some(("sessions", limits.panes_max)),
        OperatorSpec::SessionWindows(_) => Some(("rows", limits.rows_max)),
        OperatorSpec::Over(_) | OperatorSpec::Rank(_) | OperatorSpec::Sort(_) => {
            Some(("rows", limits.rows_max))
        }
        OperatorSpec::Filter(_)
        | OperatorSpec::Project(_)
        | OperatorSpec::WindowAssign(_)
        | OperatorSpec::LocalTime { .. }
        | OperatorSpec::Unnest { .. }
        | OperatorSpec::Union
        | OperatorSpec::Values(_) => None,
        OperatorSpec::IntervalJoin(_)
        | OperatorSpec::WindowJoin(_)
        | OperatorSpec::TemporalJoin(_)
        | OperatorSpec::Join(_) => Some(("rows a side", limits.rows_max)),
        OperatorSpec::LookupJoin(_) => Some(("rows of the table", limits.rows_max)),
    }
}

/// The columns that a step's operator names.
fn inputs_of(fragment: &Fragment, step: &Step) -> Vec<Schema> {
    step.inputs.iter().map(|input| schema_of(fragment, *input)).collect()
}

fn schema_of(fragment: &Fragment, input: Input) -> Schema {
    match input {
        Input::Scan(scan) => fragment.scans[scan].schema(),
        Input::Step(step) => fragment.steps[step].schema.clone(),
    }
}

fn schema(schema: &Schema) -> String {
    let field = |f: &headwater_engine::types::Field| {
        let null = if f.nullable { "" } else { " NOT NULL" };
        format!("{} {}{null}", f.name, f.data_type)
    };
    schema.fields.iter().map(field).collect::<Vec<_>>().join(", ")
}

/// The text that the fingerprint is made of: everything that a fragment does, nothing else.
pub(crate) fn canonical(fragment: &Fragment) -> String {
    let mut out = String::new();
    if !fragment.zone.is_empty() {
        let _ = writeln!(out, "zone {}", fragment.zone);
    }
    for scan in &fragment.scans {
        let names = scan.schema();
        let _ = writeln!(out, "scan {} : {}", scan.name, schema(&names));
        for (field, expr) in &scan.computed {
            let _ = writeln!(out, "  {} = {}", field.name, Shown(expr, &names));
        }
        if let Some(watermark) = &scan.watermark {
            let shown = Shown(&watermark.expr, &names);
            let _ = writeln!(out, "  watermark {} = {shown}", watermark.rowtime);
        }
    }
    for step in &fragment.steps {
        let _ = writeln!(
            out,
            "{} {:?} {} : {}",
            step.name,
            step.inputs,
            operator_text(&step.operator, &inputs_of(fragment, step)),
            schema(&step.schema)
        );
    }
    for output in &fragment.outputs {
        let names = schema_of(fragment, output.input);
        let _ = write!(out, "output {} {:?} {:?}", output.name, output.kind, output.input);
        for expr in output.columns.iter().flatten() {
            let _ = write!(out, " = {}", Shown(expr, &names));
        }
        let _ = writeln!(out, " : {}", schema(&output.schema));
    }
    out
}

/// Bytes with a unit, to three digits.
fn bytes(count: usize) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{} KiB", count.div_ceil(1_024)),
        _ => format!("{} MiB", count.div_ceil(1_048_576)),
    }
}
