//! Where each step is at work: the cut into an edge and a core fragment.
//!
//! Guarantees: edge and core together give what the whole fragment gives. Steps without state go
//! where their rows are; a deduplication stays at the edge only when its key cannot occur at two
//! gateways; a window aggregate becomes partials at the edge and their merge at the core.

mod ladder;
mod sources;

use headwater_engine::fragment::{
    Fragment, Input, OperatorSpec, Order, Output, OutputKind, Phase, Scan, Step,
};
use headwater_engine::limits::Limits;
use headwater_engine::operators::window_aggregate::partial_schema;
use headwater_engine::types::Schema;

use crate::catalog::TableDef;
use crate::diagnostic::Issue;
use crate::local::{self, Placement};
use crate::lower::Layout;
use crate::plan::{Channel, Place, Plan, Rung, Table};
use crate::settings::Settings;

/// The plan of one fragment that does everything.
pub(crate) fn whole(fragment: Fragment, layout: Layout, tables: &[TableDef]) -> Plan {
    let place = |_: &TableDef, _: bool| Place::Edge;
    Plan { tables: used(&fragment, &layout, tables, place), whole: Some(fragment), ..empty() }
}

fn empty() -> Plan {
    Plan {
        tables: Vec::new(),
        edge: None,
        core: None,
        whole: None,
        channels: Vec::new(),
        ladder: Vec::new(),
        fingerprint: 0,
        settings: std::collections::BTreeMap::new(),
        limits: Limits::default(),
        notes: Vec::new(),
        is_question: false,
    }
}

/// What `'at'` says, or where tables of the kind usually are.
pub(crate) fn place_of(table: &TableDef, read: bool) -> Place {
    match table.options.get("at").map(|(at, _)| at) {
        Some("edge") => Place::Edge,
        Some(_) => Place::Core,
        None if read => Place::Edge,
        None => Place::Core,
    }
}

/// Where rows of the whole fragment are once they are cut.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Edge(Input),
    Core(Input),
}

impl At {
    fn edge(self) -> Option<Input> {
        match self {
            At::Edge(input) => Some(input),
            At::Core(_) => None,
        }
    }
}

struct Cut<'a> {
    whole: &'a Fragment,
    edge: Fragment,
    core: Fragment,
    channels: Vec<Channel>,
    ladder: Vec<Rung>,
    scans: Vec<At>,
    steps: Vec<At>,
    /// Edge input and core scan of each exchange of rows.
    crossings: Vec<(Input, Input)>,
}

/// Cuts a fragment.
pub(crate) fn cut(
    whole: &Fragment,
    layout: Layout,
    tables: &[TableDef],
    settings: &Settings,
    issues: &mut Vec<Issue>,
) -> Option<Plan> {
    let mut cut = Cut {
        whole,
        edge: Fragment::default(),
        core: Fragment::default(),
        channels: Vec::new(),
        ladder: Vec::new(),
        scans: Vec::new(),
        steps: Vec::new(),
        crossings: Vec::new(),
    };
    let places = sources::places(whole, &layout, tables, issues);
    for (scan, place) in whole.scans.iter().zip(&places) {
        let at = match place {
            Place::Edge => {
                cut.edge.scans.push(scan.clone());
                At::Edge(Input::Scan(cut.edge.scans.len() - 1))
            }
            Place::Core => {
                cut.core.scans.push(scan.clone());
                At::Core(Input::Scan(cut.core.scans.len() - 1))
            }
        };
        cut.scans.push(at);
    }
    for index in 0..whole.steps.len() {
        let placement = local::placement(whole, index, &layout, tables);
        cut.step(index, placement, settings);
    }
    if let Some((_, span)) = &settings.ladder
        && cut.ladder.is_empty()
    {
        let message = "no window of this script can be made coarser".to_owned();
        let remedy = "use TUMBLE windows that divide the first length, or remove the setting";
        issues.push(Issue::new(*span, message, remedy));
    }
    let mut late_places = Vec::new();
    for (output, (table, span)) in whole.outputs.iter().zip(&layout.outputs) {
        if let Err(issue) = cut.output(output, &tables[*table], *span, &mut late_places) {
            issues.push(issue);
        }
    }
    let Cut { mut edge, core, channels, ladder, .. } = cut;
    for output in edge.outputs.iter_mut().filter(|output| output.kind == OutputKind::Exchange) {
        let scan = core.scans.iter().position(|scan| scan.name == output.name);
        output.order = scan.map_or(Order::Arrival, |scan| core.order_of_scan(scan));
    }
    let place = |table: &TableDef, read: bool| {
        let is_own = |name: &str| name == table.name.value;
        let late = late_places.iter().find(|(name, _)| is_own(name)).map(|(_, place)| *place);
        let scan = whole.scans.iter().position(|scan| is_own(&scan.name));
        let scan = scan.filter(|_| read).map(|scan| places[scan]);
        late.or(scan).unwrap_or_else(|| place_of(table, read))
    };
    let tables = used(whole, &layout, tables, place);
    Some(Plan { tables, edge: Some(edge), core: Some(core), channels, ladder, ..empty() })
}

impl Cut<'_> {
    fn at(&self, input: Input) -> At {
        match input {
            Input::Scan(i) => self.scans[i],
            Input::Step(i) => self.steps[i],
        }
    }

    fn step(&mut self, index: usize, placement: Placement, settings: &Settings) {
        let step = &self.whole.steps[index];
        let inputs: Vec<At> = step.inputs.iter().map(|input| self.at(*input)).collect();
        let edge: Option<Vec<Input>> = inputs.iter().map(|at| at.edge()).collect();
        let placement = match ladder::rungs(step, settings).is_empty() {
            false if placement == Placement::Edge => Placement::Split,
            _ => placement,
        };
        let at = match (edge, placement) {
            (Some(inputs), Placement::Edge) => At::Edge(push(&mut self.edge, step, inputs)),
            (Some(inputs), Placement::Split) => self.split(step, inputs[0], settings),
            _ => {
                let inputs = inputs.into_iter().map(|at| self.core_input(at)).collect();
                At::Core(push(&mut self.core, step, inputs))
            }
        };
        self.steps.push(at);
    }

    /// Where the core reads a stream.
    fn core_input(&mut self, at: At) -> Input {
        match at {
            At::Core(input) => input,
            At::Edge(input) => self.cross(input),
        }
    }

    /// Partials at the edge, their merge at the core.
    fn split(&mut self, step: &Step, input: Input, settings: &Settings) -> At {
        let OperatorSpec::WindowAggregate(spec) = &step.operator else {
            unreachable!("called for an aggregate")
        };
        let names: Vec<&str> = step.schema.fields.iter().map(|f| f.name.as_str()).collect();
        let schema = partial_schema(spec, &names[..spec.keys.len()])
            .expect("the planner has bound every aggregate");
        let mut partial = spec.clone();
        partial.phase = Phase::Partial;
        let edge = Step {
            operator: OperatorSpec::WindowAggregate(partial),
            schema: schema.clone(),
            ..step.clone()
        };
        let from = push(&mut self.edge, &edge, vec![input]);
        let scan = self.exchange(from, schema, None, true);
        let mut merge = spec.clone();
        merge.phase = Phase::Merge { correction_ms: settings.correction_ms };
        let core = Step {
            operator: OperatorSpec::WindowAggregate(merge),
            late_output: None,
            ..step.clone()
        };
        let merged = push(&mut self.core, &core, vec![scan]);
        At::Core(self.coarser(&core, &edge.schema, merged, &ladder::rungs(step, settings)))
    }

    /// The core's scan of an edge stream, made on first use.
    fn cross(&mut self, input: Input) -> Input {
        if let Some((_, scan)) = self.crossings.iter().find(|(from, _)| *from == input) {
            return *scan;
        }
        let schema = schema_of(&self.edge, input);
        let scan = self.exchange(input, schema, None, false);
        self.crossings.push((input, scan));
        scan
    }

    fn exchange(
        &mut self,
        input: Input,
        schema: Schema,
        columns: Option<Vec<headwater_engine::expr::Expr>>,
        partials: bool,
    ) -> Input {
        let name = format!("exchange-{}", self.channels.len() + 1);
        self.edge.outputs.push(Output {
            name: name.clone(),
            input,
            columns,
            schema: schema.clone(),
            kind: OutputKind::Exchange,
            order: Order::Arrival,
        });
        self.core.scans.push(scan_of(&name, &schema));
        let source = source_of(&self.edge, input);
        self.channels.push(Channel { name, schema, partials, source });
        Input::Scan(self.core.scans.len() - 1)
    }

    fn output(
        &mut self,
        output: &Output,
        table: &TableDef,
        span: sqlparser::tokenizer::Span,
        late_places: &mut Vec<(String, Place)>,
    ) -> Result<(), Issue> {
        let name = &table.name.value;
        if output.kind == OutputKind::Late {
            return self.late(output, table, span, late_places);
        }
        match (self.at(output.input), place_of(table, false)) {
            (At::Edge(input), Place::Edge) => {
                self.edge.outputs.push(Output { input, ..output.clone() });
            }
            (At::Core(input), Place::Core) => {
                self.core.outputs.push(Output { input, ..output.clone() });
            }
            (At::Edge(input), Place::Core) => {
                // The last projection runs at the edge: only what the table takes crosses.
                let columns = output.columns.clone();
                let input = self.exchange(input, output.schema.clone(), columns, false);
                self.core.outputs.push(Output { input, columns: None, ..output.clone() });
            }
            (At::Core(_), Place::Edge) => {
                let message =
                    format!("the table '{name}' is at the edge, its rows are at the core");
                let remedy = "remove 'at' = 'edge', or make the key gateway-local";
                return Err(Issue::new(span, message, remedy));
            }
        }
        Ok(())
    }

    /// Late rows are written where they are found.
    fn late(
        &mut self,
        output: &Output,
        table: &TableDef,
        span: sqlparser::tokenizer::Span,
        late_places: &mut Vec<(String, Place)>,
    ) -> Result<(), Issue> {
        let Input::Step(index) = output.input else { unreachable!("a scan has no late rows") };
        // A split aggregate finds them at its edge half.
        let edge = self.edge.steps.iter().position(|s| s.name == self.whole.steps[index].name);
        let place = if edge.is_some() { Place::Edge } else { Place::Core };
        if table.options.get("at").is_some() && place_of(table, false) != place {
            let message = format!("late rows are written at the {}", place.as_str());
            let remedy = format!("write 'at' = '{}' on '{}'", place.as_str(), table.name.value);
            return Err(Issue::new(span, message, remedy));
        }
        late_places.push((table.name.value.clone(), place));
        let fragment = match place {
            Place::Edge => &mut self.edge,
            Place::Core => &mut self.core,
        };
        let name = &self.whole.steps[index].name;
        let step = fragment.steps.iter().position(|s| s.name == *name).expect("placed before");
        fragment.steps[step].late_output = Some(fragment.outputs.len());
        fragment.outputs.push(Output { input: Input::Step(step), ..output.clone() });
        Ok(())
    }
}

/// How an exchange is read.
fn scan_of(name: &str, schema: &Schema) -> Scan {
    Scan {
        name: name.to_owned(),
        decoded: schema.clone(),
        computed: Vec::new(),
        watermark: None,
        future_max_ms: None,
    }
}

fn push(fragment: &mut Fragment, step: &Step, inputs: Vec<Input>) -> Input {
    fragment.steps.push(Step { inputs, late_output: None, ..step.clone() });
    Input::Step(fragment.steps.len() - 1)
}

fn schema_of(fragment: &Fragment, input: Input) -> Schema {
    match input {
        Input::Scan(i) => fragment.scans[i].schema(),
        Input::Step(i) => fragment.steps[i].schema.clone(),
    }
}

/// The table at the beginning of a stream.
fn source_of(fragment: &Fragment, input: Input) -> String {
    match input {
        Input::Scan(i) => fragment.scans[i].name.clone(),
        Input::Step(i) => match fragment.steps[i].inputs.first() {
            Some(input) => source_of(fragment, *input),
            None => fragment.steps[i].name.clone(),
        },
    }
}

/// The tables of the plan: those with a scan or an output.
fn used(
    fragment: &Fragment,
    layout: &Layout,
    tables: &[TableDef],
    place: impl Fn(&TableDef, bool) -> Place,
) -> Vec<Table> {
    let mut out = Vec::new();
    for (index, def) in tables.iter().enumerate() {
        let source = layout.scans.iter().find(|(t, _)| *t == index).map(|(_, c)| c.clone());
        let written = layout.outputs.iter().position(|(t, _)| *t == index);
        if source.is_none() && written.is_none() {
            continue;
        }
        out.push(Table {
            name: def.name.value.clone(),
            connector: def.options.connector.clone(),
            format: def.options.format.clone(),
            options: def.options.values.clone(),
            primary_key: def.primary_key.clone(),
            is_looked_up: fragment
                .table_scans()
                .any(|scan| fragment.scans[scan].name == def.name.value),
            place: place(def, source.is_some()),
            source,
            sink: written.map(|i| fragment.outputs[i].schema.clone()),
            physical: def.physical.clone(),
        });
    }
    out
}
