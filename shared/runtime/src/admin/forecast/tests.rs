use headwater_plan::{Target, compile};

use super::*;

fn plan(columns: &str) -> Plan {
    let script = format!(
        "CREATE TABLE readings ({columns}, WATERMARK FOR rt AS rt - INTERVAL '2' SECOND)
           WITH ('connector' = 'mqtt', 'url' = 'mqtt://localhost', 'topic' = 'a/#',
                 'format' = 'json');
         CREATE TABLE results (device STRING, n BIGINT, mean DOUBLE) WITH ('connector' = 'print');
         INSERT INTO results SELECT device, COUNT(*), AVG(v)
           FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
           GROUP BY device, window_start, window_end;"
    );
    let plan = compile(&script, "p.sql", &BTreeMap::new(), Target::Cut);
    plan.unwrap_or_else(|faults| panic!("{}", faults[0]))
}

const PLAIN: &str = "device STRING, v DOUBLE, rt TIMESTAMP_LTZ(3)";

fn timing(budget: u64) -> Timing {
    let flash = FlashLimits { bytes_per_day: Some(budget), interval_max_ms: 300_000 };
    Timing { interval_ms: 10_000, dirty_bytes: 1 << 20, flash }
}

fn load(rate: u64, devices: u64) -> Load {
    Load { rows_per_second: Some(rate), distinct: [("device".into(), devices)].into() }
}

fn run(columns: &str, load: &Load, budget: u64) -> (String, Value) {
    let plan = plan(columns);
    let edge = plan.edge.as_ref().expect("an edge");
    forecast(&plan, edge, load, timing(budget)).unwrap_or_else(|failure| panic!("{failure}"))
}

fn number(json: &Value, name: &str) -> u64 {
    json[name].as_u64().unwrap_or_else(|| panic!("{name} in {json}"))
}

#[test]
fn more_keys_cost_more_and_the_same_load_costs_the_same() {
    let (text, few) = run(PLAIN, &load(50, 5), 2 << 30);
    assert_eq!(run(PLAIN, &load(50, 5), 2 << 30).1, few);
    let (_, many) = run(PLAIN, &load(200, 200), 2 << 30);
    for name in ["flash-bytes-per-day", "uplink-bytes-per-day"] {
        assert!(number(&many, name) > number(&few, name), "{name}: {few} {many}");
    }
    let (flash, each) = (number(&few, "flash-bytes-per-day"), "flash-bytes-per-checkpoint");
    assert_eq!(number(&few, "checkpoint-spacing-ms"), 10_000);
    let by_checkpoints = number(&few, each) * 8640;
    assert!(flash.abs_diff(by_checkpoints) < flash / 20, "{flash} {by_checkpoints}");
    assert!(text.contains("2.0 GiB a day: kept\n"), "{text}");
}

#[test]
fn event_times_are_found_in_whatever_form() {
    let forms = [
        "device STRING, v DOUBLE, rt TIMESTAMP(3)",
        "device STRING, v DOUBLE, ms BIGINT, rt AS TO_TIMESTAMP_LTZ(ms, 3)",
        "device STRING, v DOUBLE, s BIGINT, rt AS TO_TIMESTAMP_LTZ(s, 0)",
        "device STRING, v DOUBLE, t STRING, rt AS TO_TIMESTAMP(t)",
        "device STRING METADATA FROM 'topic-segment.2', v DOUBLE, ms BIGINT,
         rt AS TO_TIMESTAMP_LTZ(ms, 3)",
    ];
    let sent =
        forms.map(|form| number(&run(form, &load(20, 5), 2 << 30).1, "uplink-bytes-per-day"));
    for bytes in sent {
        assert!(bytes.abs_diff(sent[0]) < sent[0] / 10, "{sent:?}");
    }
}

#[test]
fn a_budget_stretches_or_is_exceeded() {
    let (text, json) = run(PLAIN, &load(50, 5), 200 << 20);
    assert!(number(&json, "checkpoint-spacing-ms") > 20_000, "{json}");
    assert!(number(&json, "flash-bytes-per-day") <= 200 << 20, "{json}");
    assert!(text.contains("further apart than 10 s"), "{text}");
    let (text, _) = run(PLAIN, &load(2000, 2000), 16 << 20);
    assert!(text.contains("exceeded"), "{text}");
}

#[test]
fn what_is_not_known_is_said() {
    let plan = plan(PLAIN);
    let edge = plan.edge.as_ref().expect("an edge");
    let ask = |load: &Load| forecast(&plan, edge, load, timing(1 << 30));
    let (text, json) = ask(&Load::default()).unwrap();
    assert!(text.contains("--rate 100") && json.is_null(), "{text}");
    let mut wrong = load(10, 5);
    wrong.distinct = [("devise".into(), 5)].into();
    assert!(ask(&wrong).unwrap_err().text.contains("did you mean 'device'"));
    assert_eq!(ask(&load(0, 5)).unwrap_err().exit, Exit::Usage);
}
