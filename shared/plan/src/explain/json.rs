//! The plan as JSON, for programs.

use headwater_engine::fragment::{Fragment, Input, OperatorSpec, Output, OutputKind, Scan, Step};
use headwater_engine::types::Schema;
use serde_json::{Value, json};

use crate::explain::expr::Shown;
use crate::explain::operator::operator_text;
use crate::explain::{StepMemory, schema_of};
use crate::plan::Plan;

impl Plan {
    /// The plan as JSON: what [`Plan::explain`] says, by name.
    #[must_use]
    pub fn explain_json(&self) -> Value {
        let fragments: Vec<Value> = self
            .fragments()
            .map(|(place, fragment)| {
                let (memory, total) = self.memory(fragment);
                json!({
                    "place": self.title(place),
                    "memory_bytes_max": total,
                    "scans": fragment.scans.iter().map(|s| self.scan_json(s)).collect::<Vec<_>>(),
                    "steps": self.steps_json(fragment, &memory),
                    "outputs": fragment.outputs.iter()
                        .map(|o| output(fragment, o)).collect::<Vec<_>>(),
                })
            })
            .collect();
        let channels: Vec<Value> = self
            .channels
            .iter()
            .map(|c| {
                json!({
                    "name": c.name,
                    "source": c.source,
                    "partials": c.partials,
                    "schema": schema(&c.schema),
                })
            })
            .collect();
        json!({
            "plan": format!("{:016x}", self.fingerprint),
            "fragments": fragments,
            "exchanges": channels,
        })
    }

    fn steps_json(&self, fragment: &Fragment, memory: &[StepMemory]) -> Vec<Value> {
        let at_once = fragment.steps_at_once();
        let step = |(index, memory): (usize, &StepMemory)| {
            let step = &fragment.steps[index];
            let below = self.names_below(fragment, index);
            json!({
                "name": step.name,
                "inputs": step.inputs.iter().map(|i| input(fragment, *i)).collect::<Vec<_>>(),
                "operator": operator_text(&step.operator, &below),
                "schema": schema(&step.schema),
                "memory_bytes_max": memory.bytes_max,
                "capacity": memory.capacity.map(|(what, count)| json!({"of": what, "max": count})),
                "rows_wait": is_dedup(step).then(|| !at_once[index]),
                "late_output": step.late_output.map(|o| fragment.outputs[o].name.clone()),
            })
        };
        memory.iter().enumerate().map(step).collect()
    }

    fn scan_json(&self, scan: &Scan) -> Value {
        let names = scan.schema();
        let computed: Vec<Value> = scan
            .computed
            .iter()
            .map(|(f, e)| json!({"name": f.name, "expression": Shown(e, &names).to_string()}))
            .collect();
        let watermark = scan.watermark.as_ref().map(|w| {
            json!({
                "column": names.fields[w.rowtime].name,
                "expression": Shown(&w.expr, &names).to_string(),
            })
        });
        let table = self.table(&scan.name);
        json!({
            "name": scan.name,
            "connector": table.map(|t| t.connector.clone()),
            "format": table.and_then(|t| t.format.clone()),
            "schema": schema(&names),
            "computed": computed,
            "watermark": watermark,
            "future_max_ms": scan.future_max_ms,
        })
    }
}

fn is_dedup(step: &Step) -> bool {
    matches!(step.operator, OperatorSpec::DedupFirst(_))
}

fn output(fragment: &Fragment, output: &Output) -> Value {
    let names = schema_of(fragment, output.input);
    let columns = output
        .columns
        .as_ref()
        .map(|columns| columns.iter().map(|e| Shown(e, &names).to_string()).collect::<Vec<_>>());
    let kind = match output.kind {
        OutputKind::Rows => "rows",
        OutputKind::Exchange => "exchange",
        OutputKind::Late => "late",
    };
    json!({
        "name": output.name,
        "kind": kind,
        "input": input(fragment, output.input),
        "columns": columns,
        "schema": schema(&output.schema),
    })
}

fn input(fragment: &Fragment, from: Input) -> String {
    match from {
        Input::Scan(scan) => fragment.scans[scan].name.clone(),
        Input::Step(step) => fragment.steps[step].name.clone(),
    }
}

fn schema(schema: &Schema) -> Vec<Value> {
    let field = |f: &headwater_engine::types::Field| {
        let data_type = f.data_type.to_string();
        json!({"name": f.name, "type": data_type, "nullable": f.nullable})
    };
    schema.fields.iter().map(field).collect()
}
