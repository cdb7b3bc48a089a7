//! Memory stays below the ceiling that `explain` shows, whatever the keys: an allocator that counts
//! watches an agent while each reading is of a device that was never seen before, with every kind
//! of operator that keeps something. One test, as the allocator is of the whole process.

use std::alloc::System;

use cap::Cap;
use headwater_engine::pipeline::Pipeline;
use headwater_plan::{Plan, Target, Vars, compile};
use headwater_runtime::agent::{Agent, FlashLimits, Now, Policy, Settings};
use headwater_runtime::clock::Rules;
use headwater_runtime::driver::wiring;
use headwater_runtime::task::{Origin, Task};
use headwater_store::{Head, Identity};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const TABLES: &str = "
SET 'headwater.dedup-entries-max' = '4000';
SET 'headwater.panes-max' = '4000';
SET 'headwater.rows-max' = '4000';
SET 'headwater.matches-max' = '4000';
SET 'headwater.symbols-max' = '4000';
SET 'headwater.symbol-bytes-max' = '256kb';
SET 'headwater.arena-bytes-max' = '256kb';
CREATE TABLE readings (device STRING, id BIGINT, v DOUBLE, rt TIMESTAMP(3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND)
  WITH ('connector' = 'filesystem', 'path' = '/nowhere', 'format' = 'json');
CREATE TABLE others (device STRING, w DOUBLE, rt TIMESTAMP(3), WATERMARK FOR rt AS rt)
  WITH ('connector' = 'filesystem', 'path' = '/nowhere', 'format' = 'json');
";

/// What is done with the readings, by name.
const QUERIES: [(&str, &str); 10] = [
    (
        "deduplication",
        "SELECT device, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY device ORDER BY rt) AS n
         FROM readings) WHERE n = 1",
    ),
    (
        "TUMBLE",
        "SELECT device, AVG(v) FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '1' HOUR))
         GROUP BY device, window_start, window_end",
    ),
    (
        "HOP",
        "SELECT device, MAX(v) FROM TABLE(HOP(TABLE readings, DESCRIPTOR(rt),
         INTERVAL '10' MINUTE, INTERVAL '1' HOUR)) GROUP BY device, window_start, window_end",
    ),
    (
        "SESSION",
        "SELECT device, SUM(v) FROM TABLE(SESSION(TABLE readings PARTITION BY device,
         DESCRIPTOR(rt), INTERVAL '1' HOUR)) GROUP BY device, window_start, window_end",
    ),
    (
        "OVER",
        "SELECT device, AVG(v) OVER (PARTITION BY device ORDER BY rt
         RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW) FROM readings",
    ),
    (
        "Top-N",
        "SELECT device, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end
         ORDER BY v DESC) AS n FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt),
         INTERVAL '1' HOUR))) WHERE n <= 3",
    ),
    ("GROUP BY", "SELECT device, SUM(v) FROM readings GROUP BY device"),
    (
        "MATCH_RECOGNIZE",
        "SELECT device, x FROM readings MATCH_RECOGNIZE (PARTITION BY device ORDER BY rt
         MEASURES B.v AS x ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
         PATTERN (A B) WITHIN INTERVAL '1' HOUR DEFINE B AS B.v > A.v)",
    ),
    (
        "interval join",
        "SELECT readings.device, w FROM readings, others WHERE readings.device = others.device
         AND readings.rt BETWEEN others.rt - INTERVAL '1' HOUR AND others.rt",
    ),
    (
        "ARRAY_AGG",
        "SELECT device, CARDINALITY(ARRAY_AGG(id)) FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt),
         INTERVAL '1' HOUR)) GROUP BY device, window_start, window_end",
    ),
];

/// What buffers take besides state: rows of one checkpoint, and their encoding.
const SLACK_BYTES: usize = 1 << 20;
const READINGS: u64 = 60_000;
const READINGS_PER_CHECKPOINT: u64 = 1000;
const START_MS: i64 = 1_767_225_600_000;

fn plan(query: &str) -> Plan {
    let columns = match query.contains("ARRAY_AGG") {
        true => "device STRING, n INT",
        false => "device STRING, x DOUBLE",
    };
    let key = if query.starts_with("SELECT device, SUM(v) FROM readings") {
        ", PRIMARY KEY (device) NOT ENFORCED"
    } else {
        ""
    };
    let script = format!(
        "{TABLES}CREATE TABLE result ({columns}{key}) WITH ('connector' = 'print');
         INSERT INTO result {query};"
    );
    let plan = compile(&script, "p.sql", &Vars::new(), Target::Whole);
    plan.unwrap_or_else(|issues| panic!("{query}: {}", issues[0]))
}

fn at(ms: i64) -> Now {
    Now { wall_ms: START_MS + ms, mono_ms: ms, boot_ms: ms }
}

fn agent(plan: &Plan) -> Agent {
    let whole = plan.whole.as_ref().expect("a whole plan");
    let scans = wiring::scan_ports(plan, whole, "node").expect("scans");
    let (outputs, sinks) = wiring::output_ports(plan, whole).expect("outputs");
    let task = Task::new(whole, &plan.limits, scans, outputs).expect("it can be built");
    let settings = Settings {
        id: "node".parse().expect("a name"),
        plan: wiring::plan_record(plan, whole),
        exchanges: Vec::new(),
        sinks: sinks.iter().map(|sink| sink.channel).collect(),
        checkpoint_interval_ms: 1000,
        flash: FlashLimits::NONE,
        dirty_bytes_max: 1 << 20,
        quota_bytes: u64::MAX,
        policy: Policy::Pause,
        resend_after_ms: 1000,
        machine_hash: 1,
        boot_id: 1,
        clock: Rules::default(),
    };
    let identity = Identity { incarnation: [1; 16], machine_id: String::new(), parent: None };
    Agent::new(settings, task, identity, &Head::default(), None, at(0)).expect("no record")
}

fn checkpoint(agent: &mut Agent, now: Now) {
    let commit = agent.checkpoint(Vec::new(), now);
    agent.committed(&commit, 1, 0);
    for channel in agent.settings().sinks.clone() {
        let (_, end) = agent.sink_range(channel);
        agent.sink_confirmed(channel, end - 1);
    }
}

/// The ceiling of the plan, and the most that was allocated at any checkpoint.
fn flood(plan: &Plan) -> (usize, usize, u64) {
    let whole = plan.whole.as_ref().expect("a whole plan");
    let built = Pipeline::build(whole, &plan.limits).expect("it can be built");
    let (steps, shared) = built.memory_bytes_max();
    drop(built);
    let before = ALLOCATOR.allocated();
    let mut agent = agent(plan);
    let splits: Vec<_> = (0..whole.scans.len()).map(|s| agent.task.split(s, "0")).collect();
    let mut most = 0;
    for n in 0..READINGS {
        let ms = i64::try_from(n).expect("few");
        let (second, milli) = (n / 1000, n % 1000);
        let time = format!("2026-01-01 00:{:02}:{:02}.{milli:03}", second / 60, second % 60);
        let record =
            format!(r#"{{"device":"device-{n:08}","id":{n},"v":{n}.5,"w":{n}.5,"rt":"{time}"}}"#);
        for (scan, split) in splits.iter().enumerate() {
            let origin = Origin { scan, split: *split, topic: None, arrival_ms: START_MS + ms };
            agent.task.record(origin, record.as_bytes(), START_MS + ms);
        }
        most = most.max(ALLOCATOR.allocated() - before);
        if (n + 1) % READINGS_PER_CHECKPOINT == 0 {
            checkpoint(&mut agent, at(ms));
        }
    }
    let counts = agent.task.counts();
    let full = counts.iter().filter(|(name, _)| name.ends_with("state-full"));
    (steps.iter().sum::<usize>() + shared, most, full.map(|(_, count)| count).sum())
}

#[test]
fn a_flood_of_keys_stays_below_the_ceiling() {
    let mut over = Vec::new();
    for (name, query) in QUERIES {
        let (ceiling, most, full) = flood(&plan(query));
        println!("{name}: {most} bytes of {ceiling}, {full} set aside");
        if most > ceiling + SLACK_BYTES {
            over.push(format!("{name}: {most} bytes, the ceiling is {ceiling}"));
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}
