//! Files that the aggregator reads, through both binaries: a table looked up is there before
//! the first frame, a changed file is read again, and what a reading met stays when the aggregator
//! is killed; versions are waited for.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use headwater_tests::broker::Embedded;
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::wait_until;
use headwater_tests::scratch::Scratch;

const TIME_MAX: Duration = Duration::from_secs(40);

const LOOKUP: &str = "\
CREATE TABLE readings (device STRING, v DOUBLE, arrival AS PROCTIME())
WITH ('connector'='filesystem', 'path'='in.ndjson', 'format'='json',
  'source.monitor-interval'='10 ms');
CREATE TABLE assets (device STRING, site STRING, factor DOUBLE)
WITH ('connector'='filesystem', 'path'='assets.ndjson', 'format'='json', 'at'='core',
  'lookup.full-cache.periodic-reload.interval'='10 ms');
CREATE TABLE `result` (device STRING, site STRING, v DOUBLE)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');
INSERT INTO `result`
SELECT r.device, a.site, r.v * a.factor FROM readings AS r
LEFT JOIN assets FOR SYSTEM_TIME AS OF r.arrival AS a ON r.device = a.device;
";

struct Run {
    core: Node,
    agents: Vec<Node>,
    _broker: Embedded,
    _scratch: Scratch,
}

impl Run {
    fn new(name: &str, script: &str) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let broker = Embedded::start().unwrap();
        let extra = "[checkpoint]\ninterval = \"50ms\"\n";
        let node = |kind, id: &str| {
            let address = broker.address();
            let node = Node::new(kind, scratch.path(), id, address, script, extra).unwrap();
            fs::write(node.dir().join("in.ndjson"), "").unwrap();
            node
        };
        let agents = ["a0", "a1"].map(|id| node(Kind::Agent, id)).into();
        Run { core: node(Kind::Aggregator, "core"), agents, _broker: broker, _scratch: scratch }
    }

    fn assets(&self, lines: &str) {
        let dir = self.core.dir();
        fs::write(dir.join("new"), lines).unwrap();
        fs::rename(dir.join("new"), dir.join("assets.ndjson")).unwrap();
    }

    fn reading(&self, agent: usize, device: &str) {
        append(&self.agents[agent], &format!(r#"{{"device":"{device}","v":1}}"#));
    }

    fn wait_for(&self, expected: &[&str]) {
        let path = self.core.dir().join("result.ndjson");
        let results = || fs::read_to_string(&path).unwrap_or_default();
        wait_until(TIME_MAX, || results().lines().count() >= expected.len());
        assert_eq!(results().lines().collect::<Vec<_>>(), expected, "{}", self.core.log());
    }

    fn wait_for_loads(&self, count: f64) {
        let loads = || self.core.metric("headwater_table_loads_total{table=\"assets\"}");
        assert!(wait_until(TIME_MAX, || loads() >= Some(count)), "{}", self.core.log());
    }
}

/// A line more in the file that a node reads.
fn append(node: &Node, line: &str) {
    let path = node.dir().join("in.ndjson");
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

const A1: &str = r#"{"device":"a","site":"north","v":10.0}"#;
const A2: &str = r#"{"device":"a","site":"south","v":3.0}"#;
const B1: &str = r#"{"device":"b","site":null,"v":null}"#;

#[test]
fn the_core_looks_a_table_up_and_a_kill_changes_nothing() {
    let mut run = Run::new("lookup-core", LOOKUP);
    // The gateways do not have the file, and the core does not start without it.
    for agent in &mut run.agents {
        agent.start_ready().unwrap();
    }
    run.reading(0, "a");
    run.assets("{\"device\":\"a\",\"site\":\"north\",\"factor\":10}\n");
    run.core.start_ready().unwrap();
    run.wait_for(&[A1]);
    run.reading(1, "b");
    run.wait_for(&[A1, B1]);
    run.assets("{\"device\":\"a\",\"site\":\"south\",\"factor\":3}\n");
    run.wait_for_loads(2.0);
    run.reading(1, "a");
    run.wait_for(&[A1, B1, A2]);
    run.core.kill();
    // The content is in the state: nothing is loaded, and nothing is written again.
    run.core.start_ready().unwrap();
    run.reading(0, "a");
    run.wait_for(&[A1, B1, A2, A2]);
    assert_eq!(run.core.metric("headwater_table_loads_total{table=\"assets\"}"), None);
    run.core.kill();
    // What changed in between is loaded before the frames that have come in between.
    run.assets("");
    run.reading(1, "a");
    run.core.start_ready().unwrap();
    run.wait_for_loads(1.0);
    run.reading(0, "b");
    let results = run.core.dir().join("result.ndjson");
    let count = || fs::read_to_string(&results).unwrap().lines().count();
    assert!(wait_until(TIME_MAX, || count() == 6), "{}", run.core.log());
}

const VERSIONS: &str = "\
CREATE TABLE readings (device STRING, v DOUBLE, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt)
WITH ('connector'='filesystem', 'path'='in.ndjson', 'format'='json',
  'source.monitor-interval'='10 ms');
CREATE TABLE factors (device STRING, factor DOUBLE, since BIGINT, rt AS TO_TIMESTAMP_LTZ(since, 3),
  WATERMARK FOR rt AS rt, PRIMARY KEY (device) NOT ENFORCED)
WITH ('connector'='filesystem', 'path'='factors.ndjson', 'format'='json', 'at'='core');
CREATE TABLE `result` (device STRING, v DOUBLE)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');
INSERT INTO `result`
SELECT r.device, r.v * f.factor FROM readings AS r
LEFT JOIN factors FOR SYSTEM_TIME AS OF r.rt AS f ON r.device = f.device;
";

#[test]
fn versions_beside_the_core_are_waited_for() {
    let mut run = Run::new("versions-core", VERSIONS);
    // Else the watermark would not wait for a gateway that is heard late.
    let fleet = "fleet = \"test\"";
    let waiting = format!("{fleet}\nagents = [\"a0\", \"a1\"]");
    run.core.edit("node.toml", fleet, &waiting).unwrap();
    let versions =
        [r#"{"device":"a","factor":2,"since":0}"#, r#"{"device":"a","factor":5,"since":50}"#];
    fs::write(run.core.dir().join("factors.ndjson"), versions.join("\n")).unwrap();
    for agent in &mut run.agents {
        agent.start_ready().unwrap();
    }
    append(&run.agents[0], r#"{"device":"a","v":1,"ts":10}"#);
    append(&run.agents[0], r#"{"device":"a","v":1,"ts":60}"#);
    append(&run.agents[1], r#"{"device":"a","v":1,"ts":1000}"#);
    run.core.start_ready().unwrap();
    // The file is at its end and holds nobody back; the gateways' watermarks release the rows.
    run.wait_for(&[r#"{"device":"a","v":2.0}"#, r#"{"device":"a","v":5.0}"#]);
    run.core.kill();
    append(&run.agents[0], r#"{"device":"a","v":3,"ts":2000}"#);
    append(&run.agents[1], r#"{"device":"a","v":0,"ts":3000}"#);
    run.core.start_ready().unwrap();
    let five = r#"{"device":"a","v":5.0}"#;
    let all = [r#"{"device":"a","v":2.0}"#, five, five, r#"{"device":"a","v":15.0}"#];
    run.wait_for(&all);
}
