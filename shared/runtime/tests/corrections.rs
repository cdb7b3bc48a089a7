//! A corrected window row and the filter after it: what reaches each kind of sink.

use std::collections::BTreeMap;

use headwater_engine::row::Row;
use headwater_engine::slot::Slot;
use headwater_plan::{Target, Vars, compile};
use headwater_runtime::driver::wiring;
use headwater_runtime::task::Task;

const SCRIPT: &str = "
CREATE TABLE readings (id BIGINT, rt TIMESTAMP(3), WATERMARK FOR rt AS rt)
  WITH ('connector' = 'mqtt', 'url' = 'mqtt://h:1', 'topic' = 'r', 'format' = 'json');
CREATE VIEW some AS
  SELECT id, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, id HAVING COUNT(*) BETWEEN 2 AND 6;
CREATE TABLE changes (id BIGINT, n BIGINT)
  WITH ('connector' = 'filesystem', 'path' = 'changes', 'format' = 'changelog-json');
CREATE TABLE latest (id BIGINT, n BIGINT, PRIMARY KEY (id) NOT ENFORCED)
  WITH ('connector' = 'filesystem', 'path' = 'latest', 'format' = 'json');
CREATE TABLE appended (id BIGINT, n BIGINT)
  WITH ('connector' = 'filesystem', 'path' = 'appended', 'format' = 'json');
INSERT INTO changes SELECT id, n FROM some;
INSERT INTO latest SELECT id, n FROM some;
INSERT INTO appended SELECT id, n FROM some;
";

/// A partial of the window from 0 to 10 s.
fn partial(task: &mut Task, id: i64, count: i64) {
    let end = Slot::timestamp(10_000, 0);
    let slots = [Slot::i64(id), Slot::timestamp(0, 0), end, Slot::i64(count)];
    task.exchange_row(0, Row::insert(&slots, 0), &mut |_, _| None).expect("fitting state");
}

#[test]
fn a_filter_over_corrections() {
    let plan = compile(SCRIPT, "p.sql", &Vars::new(), Target::Cut).expect("a correct script");
    let core = plan.core.as_ref().expect("a core fragment");
    let scans = wiring::scan_ports(&plan, core, "core").expect("scans");
    let (outputs, sinks) = wiring::output_ports(&plan, core).expect("sinks");
    let names: BTreeMap<u32, String> =
        sinks.iter().map(|sink| (sink.channel, sink.table.name.clone())).collect();
    let mut task = Task::new(core, &plan.limits, scans, outputs).expect("it can be built");
    let split = task.split(0, "gateway");
    for (id, count) in [(1, 5), (2, 1), (3, 2)] {
        partial(&mut task, id, count);
    }
    task.raise(0, split, 9_999);
    // No longer let through, let through now, and let through before and after.
    for (id, count) in [(1, 3), (2, 4), (3, 1)] {
        partial(&mut task, id, count);
    }
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    task.outputs().take_lines(1 << 20, |channel, bytes| {
        let text = String::from_utf8(bytes).expect("text");
        lines.insert(names[&channel].clone(), text.lines().map(str::to_owned).collect());
    });
    let first = [r#"{"id":1,"n":5,"op":"+I"}"#, r#"{"id":3,"n":2,"op":"+I"}"#];
    let later = [
        r#"{"id":1,"n":5,"op":"-D"}"#,
        r#"{"id":2,"n":5,"op":"+I"}"#,
        r#"{"id":3,"n":2,"op":"-U"}"#,
        r#"{"id":3,"n":3,"op":"+U"}"#,
    ];
    assert_eq!(lines["changes"], [&first[..], &later].concat());
    let [one, two, three] = [r#"{"id":1,"n":5}"#, r#"{"id":2,"n":5}"#, r#"{"id":3,"n":2}"#];
    let gone = r#"{"id":1,"__deleted":true}"#;
    assert_eq!(lines["latest"], [one, three, two, r#"{"id":3,"n":3}"#, gone]);
    assert_eq!(lines["appended"], [one, three, two]);
    // The row that went away and the correction, of what only appends.
    assert_eq!(task.counts()["drop/scan/correction"], 2);
}
