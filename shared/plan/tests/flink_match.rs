//! Step cases of Flink's own MATCH_RECOGNIZE test, where the shared oracles are at hand: planned
//! from SQL, run by the engine, as given and with a restart after every row.

use std::path::PathBuf;

use headwater_engine::context::Context;
use headwater_engine::fragment::Fragment;
use headwater_engine::operator::{Collector, Progress, Reason, Timestamp};
use headwater_engine::pipeline::{CheckpointWriter, Pipeline};
use headwater_engine::row::Row;
use headwater_engine::slot::Datum;
use headwater_plan::{Plan, Target, Vars, compile};
use serde_json::Value;

/// Column types of a case, by the values of its first row.
fn table(case: &Value) -> (Vec<(String, &'static str)>, Option<String>) {
    let names = case["columns"].as_array().expect("columns");
    let first = &case["input_before_restore"][0];
    let mut time = None;
    let typed = |(name, value): (&Value, &Value)| {
        let name = name.as_str().expect("a name").to_owned();
        if case["order_by"].as_str().is_some_and(|o| o.starts_with("rowtime")) && name == "ts" {
            time = Some(name.clone());
        }
        (name, if value.is_string() { "STRING" } else { "INT" })
    };
    let columns = names.iter().zip(first.as_array().expect("a row")).map(typed).collect();
    (columns, time)
}

/// `2020-10-10 00:00:07`, all within one minute, in ms after that minute's beginning.
fn time_ms(text: &str) -> i64 {
    text.rsplit(':').next().and_then(|s| s.parse::<i64>().ok()).expect("seconds") * 1_000
}

fn script(case: &Value) -> String {
    let (columns, _) = table(case);
    let text = |name: &str| case[name].as_str().map(str::to_owned);
    let declared: Vec<String> = columns.iter().map(|(n, t)| format!("`{n}` {t}, ")).collect();
    let key = text("partition_by");
    let partition = key.as_ref().map_or(String::new(), |key| format!("PARTITION BY {key} "));
    let order = text("order_by").expect("an order");
    let order = order.split_once(", ").map_or(String::new(), |(_, rest)| format!(", {rest}"));
    let measures: Vec<String> = (case["measures"].as_array().expect("measures").iter())
        .map(|m| m.as_str().expect("a measure"))
        .filter(|m| Some(*m) != key.as_deref())
        .enumerate()
        .map(|(i, m)| format!("{m} AS m{i}"))
        .collect();
    let define = case["define"].as_object().expect("conditions");
    let define: Vec<String> =
        define.iter().map(|(v, c)| format!("{v} AS {}", c.as_str().expect("text"))).collect();
    let skip = match case["skip"].as_str().expect("a skip") {
        "past_last_row" => "PAST LAST ROW".to_owned(),
        "next_row" => "TO NEXT ROW".to_owned(),
        other => {
            let (to, variable) = other.split_once(':').expect("a variable");
            format!("{} {variable}", to.replace('_', " ").to_uppercase())
        }
    };
    let delay = case["watermark_delay_ms"].as_i64().unwrap_or(0) / 1_000;
    let sink: Vec<String> = (key.iter().map(|_| "k INT".to_owned()))
        .chain((0..measures.len()).map(|i| format!("m{i} INT")))
        .collect();
    let sink = sink.join(", ");
    let sink = if columns[0].1 == "STRING" { sink.replace("k INT", "k STRING") } else { sink };
    format!(
        "CREATE TABLE t ({}rt TIMESTAMP_LTZ(3), \
         WATERMARK FOR rt AS rt - INTERVAL '{delay}' SECOND) \
         WITH ('connector' = 'filesystem', 'path' = '/in', 'format' = 'json');\n\
         CREATE TABLE r ({sink}) WITH ('connector' = 'print');\n\
         INSERT INTO r SELECT * FROM t MATCH_RECOGNIZE ({partition}ORDER BY rt{order} \
         MEASURES {} AFTER MATCH SKIP {skip} PATTERN ({}) DEFINE {});\n",
        declared.concat(),
        measures.join(", "),
        text("pattern").expect("a pattern"),
        define.join(", "),
    )
}

#[derive(Default)]
struct Found {
    rows: Vec<Vec<Value>>,
    pages: Vec<Vec<u8>>,
}

impl Collector for Found {
    fn row(&mut self, _: usize, row: Row<'_>, context: &mut Context) {
        let value = |i: usize| match row.datum(i) {
            value if value.is_null() => Value::Null,
            // A text's slot refers to bytes; the only text column is the key.
            Datum { slot, .. } if slot.1 != 0 => Value::from(context.text(slot)),
            Datum { slot, .. } => Value::from(slot.as_i64()),
        };
        self.rows.push((0..row.slots.len()).map(value).collect());
    }

    fn watermark(&mut self, _: usize, _: Timestamp) {}

    fn dropped(&mut self, _: Option<usize>, reason: Reason, _: Row<'_>, _: &Context) {
        assert_eq!(reason, Reason::Late);
    }

    fn has_room(&self) -> bool {
        true
    }
}

impl CheckpointWriter for Found {
    fn page(&mut self, page: &[u8]) {
        self.pages.push(page.to_vec());
    }

    fn cold(&mut self, _: usize, _: Timestamp, _: &[u8]) {}
}

struct Run<'a> {
    case: &'a Value,
    plan: Plan,
    pipeline: Pipeline,
    found: Found,
    pushed: i64,
}

impl Run<'_> {
    fn fragment(&self) -> &Fragment {
        self.plan.whole.as_ref().expect("planned as a whole")
    }

    fn row(&mut self, values: &Value) {
        self.pushed += 1;
        let (columns, time) = table(self.case);
        let names: Vec<String> =
            self.fragment().scans[0].decoded.fields.iter().map(|f| f.name.clone()).collect();
        let split = self.pipeline.split(0, "split");
        let (slots, nulls, context) = self.pipeline.row_buffer(0);
        for (slot, name) in slots.iter_mut().zip(&names) {
            let of = |name: &str| &values[columns.iter().position(|c| c.0 == name).expect("it")];
            *slot = match (name.as_str(), &time) {
                ("rt", None) => Datum::i64(self.pushed * 1_000),
                ("rt", Some(time)) => Datum::i64(time_ms(of(time).as_str().expect("text"))),
                (name, _) => match of(name) {
                    Value::String(text) => context.put_text(text),
                    number => Datum::i64(number.as_i64().expect("a number")),
                },
            }
            .slot;
        }
        *nulls = 0;
        let progress = self.pipeline.push(0, split, &mut self.found);
        assert_eq!(progress, Progress::Done);
    }

    fn restart(&mut self) {
        self.pipeline.checkpoint(false, &mut self.found);
        let fragment = self.fragment().clone();
        self.pipeline = Pipeline::build(&fragment, &self.plan.limits).expect("built before");
        for page in &self.found.pages {
            self.pipeline.restore(page).expect("readable");
        }
        self.pipeline.restored();
    }

    fn half(&mut self, rows: &Value, expected: &Value, restart_always: bool) {
        for row in rows.as_array().expect("rows") {
            self.row(row);
            if restart_always {
                self.restart();
            }
        }
        let found = Value::from(core::mem::take(&mut self.found.rows));
        assert_eq!(found, *expected, "{}", self.case["name"]);
    }
}

fn run_case(case: &Value, restart_always: bool) {
    let text = script(case);
    let plan = compile(&text, "case.sql", &Vars::new(), Target::Whole);
    let plan = plan.unwrap_or_else(|e| panic!("{}: {}\n{text}", case["name"], e[0]));
    let fragment = plan.whole.clone().expect("planned as a whole");
    let pipeline = Pipeline::build(&fragment, &plan.limits).expect("a pipeline");
    let mut run = Run { case, plan, pipeline, found: Found::default(), pushed: 0 };
    run.half(&case["input_before_restore"], &case["expect_before_restore"], restart_always);
    run.restart();
    run.half(&case["input_after_restore"], &case["expect_after_restore"], restart_always);
}

#[test]
fn flink_match_recognize() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("HEADWATER_SHARED").map_or(root, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(root.join("oracles/flink/match_recognize.json")) else {
        eprintln!("skipped: flink_match_recognize (no shared oracles)");
        return;
    };
    let oracle: Value = serde_json::from_str(&text).expect("the oracle is JSON");
    let cases = oracle["cases"].as_array().expect("cases");
    for case in cases {
        run_case(case, false);
        run_case(case, true);
    }
    eprintln!("{} cases of Flink's MATCH_RECOGNIZE", cases.len());
    assert!(cases.len() >= 8);
}
