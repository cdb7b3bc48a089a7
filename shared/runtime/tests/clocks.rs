//! An agent under wrong clocks, without a process: rows that wait for the time are in its commits
//! and come back from them, the future guard does not go by a clock that was set, and the core
//! hears of every step.

use std::collections::BTreeMap;

use headwater_engine::operator::RestoreError;
use headwater_engine::pipeline::SplitId;
use headwater_plan::{Target, Vars, compile};
use headwater_runtime::agent::{Agent, FlashLimits, Message, Now, Policy, Settings};
use headwater_runtime::clock::{PLAUSIBLE_MS, Rules, Trust};
use headwater_runtime::driver::wiring;
use headwater_runtime::task::{Origin, Task};
use headwater_store::{Commit, Head, Identity, PlanRecord};
use headwater_wire::{AgentId, Control, ControlBody, decode_header, encode_control};

const SCRIPT: &str = "
CREATE TABLE plain (id INT, came TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR came AS came) WITH ('connector' = 'filesystem', 'path' = 'a', 'format' = 'json',
  'source.monitor-interval' = '1 s');
CREATE TABLE timed (id INT, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt) WITH ('connector' = 'filesystem', 'path' = 'b', 'format' = 'json',
  'source.monitor-interval' = '1 s');
CREATE TABLE o (id INT, t TIMESTAMP_LTZ(3)) WITH ('connector' = 'print');
INSERT INTO o SELECT id, came FROM plain UNION ALL SELECT id, rt FROM timed;
";
const HOUR_MS: i64 = 3_600_000;
/// 2026-06-01 00:00:00 UTC.
const TRUTH_MS: i64 = 1_780_272_000_000;
const INCARNATION: [u8; 16] = [7; 16];

/// The time is right, `ms` after the boot.
fn at(ms: i64) -> Now {
    Now { wall_ms: TRUTH_MS + ms, mono_ms: ms, boot_ms: ms }
}

/// The same with a wall clock that is off.
fn off(ms: i64, by_ms: i64) -> Now {
    Now { wall_ms: TRUTH_MS + ms + by_ms, ..at(ms) }
}

fn name() -> AgentId {
    "gateway".parse().expect("a name")
}

/// An agent with what its store holds of clocks and rows that wait.
struct Node {
    agent: Agent,
    records: BTreeMap<String, Vec<u8>>,
    /// Lines that left, with the commits that hold them.
    lines: Vec<String>,
    headers_step_ms: Vec<i64>,
}

impl Node {
    fn new(target: Target, boot_id: u64, records: BTreeMap<String, Vec<u8>>, now: Now) -> Node {
        let plan = compile(SCRIPT, "p.sql", &Vars::new(), target).expect("a correct script");
        let fragment = plan.whole.as_ref().or(plan.edge.as_ref()).expect("a fragment");
        let scans = wiring::scan_ports(&plan, fragment, "edge").expect("scans");
        let (outputs, sinks) = wiring::output_ports(&plan, fragment).expect("outputs");
        let task = Task::new(fragment, &plan.limits, scans, outputs).expect("it can be built");
        let exchanges = if plan.whole.is_some() { 0 } else { plan.channels.len() };
        let exchanges = u32::try_from(exchanges).expect("few channels");
        let settings = Settings {
            id: name(),
            plan: PlanRecord { fingerprint: 1, operators: Vec::new() },
            exchanges: (0..exchanges).collect(),
            sinks: sinks.iter().map(|sink| sink.channel).collect(),
            checkpoint_interval_ms: 1000,
            flash: FlashLimits::NONE,
            dirty_bytes_max: 1 << 20,
            quota_bytes: 1 << 20,
            policy: Policy::Pause,
            resend_after_ms: 1000,
            machine_hash: 1,
            boot_id,
            clock: Rules { trust: Trust::Plausible, hold_bytes_max: 1000, ..Rules::default() },
        };
        let identity =
            Identity { incarnation: INCARNATION, machine_id: String::new(), parent: None };
        let mut agent =
            Agent::new(settings, task, identity, &Head::default(), None, now).expect("no record");
        let read = |name: &str| Ok::<_, RestoreError>(records.get(name).cloned());
        agent.restore_clock(now, read).expect("records of this version");
        let mut node = Node { agent, records, lines: Vec::new(), headers_step_ms: Vec::new() };
        node.agent.observe(now, None);
        node
    }

    fn whole(boot_id: u64, now: Now) -> Node {
        Node::new(Target::Whole, boot_id, BTreeMap::new(), now)
    }

    /// The process dies; another one goes on with what was stored.
    fn restart(self, boot_id: u64, now: Now) -> Node {
        Node::new(Target::Whole, boot_id, self.records, now)
    }

    fn origin(&mut self, scan: usize) -> Origin<'static> {
        let split: SplitId = self.agent.task.split(scan, "0");
        Origin { scan, split, topic: None, arrival_ms: 0 }
    }

    fn scan(&self, name: &str) -> usize {
        self.agent.task.scans().iter().position(|scan| scan.name == name).expect("a table")
    }

    fn plain(&mut self, id: i64, now: Now) {
        self.agent.observe(now, None);
        let scan = self.scan("plain");
        let (origin, arrival) = (self.origin(scan), self.agent.arrival(now));
        self.agent.take(origin, 0, format!("{{\"id\":{id}}}").as_bytes(), arrival, now);
    }

    fn timed(&mut self, id: i64, ts: i64, now: Now) {
        self.agent.observe(now, None);
        let scan = self.scan("timed");
        let origin = self.origin(scan);
        let record = format!("{{\"id\":{id},\"ts\":{ts}}}");
        self.agent.task.record(origin, record.as_bytes(), now.wall_ms);
    }

    /// Looks at the clocks, lets rows go on, takes a checkpoint.
    fn checkpoint(&mut self, now: Now) {
        self.agent.observe(now, None);
        while self.agent.release(now) {}
        let commit = self.agent.checkpoint(Vec::new(), now);
        self.agent.committed(&commit, 1, 0);
        self.store(commit);
    }

    fn store(&mut self, commit: Commit) {
        for (name, value) in commit.records {
            match value {
                Some(value) => self.records.insert(name, value),
                None => self.records.remove(&name),
            };
        }
        for row in commit.outbox_put {
            if let Ok((_, header)) = decode_header(&row.bytes) {
                self.headers_step_ms.push(header.clock.step_ms);
            } else {
                let text = String::from_utf8_lossy(&row.bytes).into_owned();
                self.lines.extend(text.lines().map(str::to_owned));
            }
        }
    }

    fn pieces(&self) -> usize {
        self.records.keys().filter(|name| name.starts_with("held/")).count()
    }

    /// Lines that name this time.
    fn has(&self, id: i64, time: &str) -> bool {
        let id = format!("\"id\":{id},");
        self.lines.iter().any(|line| line.contains(&id) && line.contains(time))
    }
}

#[test]
fn rows_that_wait_are_durable_and_get_their_time_after_a_restart() {
    let mut node = Node::whole(1, off(1000, -TRUTH_MS));
    (0..3).for_each(|id| node.plain(id, off(2000 + id * 1000, -TRUTH_MS)));
    assert!(node.agent.wants_final_checkpoint(), "their source waits to hear of them");
    node.checkpoint(off(5000, -TRUTH_MS));
    assert_eq!((node.lines.len(), node.pieces()), (0, 1));
    // What was not stored comes again from its source.
    node.plain(3, off(6000, -TRUTH_MS));
    let mut node = node.restart(1, off(9000, -TRUTH_MS));
    assert_eq!(node.agent.held().len().0, 3);
    node.plain(3, off(9000, -TRUTH_MS));
    node.checkpoint(at(10_000));
    assert_eq!((node.lines.len(), node.pieces()), (4, 0));
    let times = ["00:00:02", "00:00:03", "00:00:04", "00:00:09"];
    for (id, time) in (0..).zip(times) {
        assert!(node.has(id, time), "{id} came at {time}: {:?}", node.lines);
    }
    // Nothing comes twice.
    let mut node = node.restart(1, at(20_000));
    node.checkpoint(at(21_000));
    assert_eq!(node.lines.len(), 0);
}

#[test]
fn rows_go_on_in_order_also_behind_a_checkpoint() {
    let mut node = Node::whole(1, off(1000, -TRUTH_MS));
    (0..4).for_each(|id| node.plain(id, off(2000 + id * 1000, -TRUTH_MS)));
    node.checkpoint(off(6000, -TRUTH_MS));
    let now = at(7000);
    node.agent.observe(now, None);
    assert!(node.agent.release(now));
    // A new row does not overtake those that wait.
    node.plain(4, now);
    let commit = node.agent.checkpoint(Vec::new(), now);
    node.store(commit);
    assert_eq!(node.lines.len(), 1);
    let mut node = node.restart(1, at(8000));
    node.checkpoint(at(8000));
    let ids: Vec<_> = (1..5).map(|id| format!("\"id\":{id},")).collect();
    let is_in_order = node.lines.iter().zip(&ids).all(|(line, id)| line.contains(id));
    assert!(is_in_order && node.lines.len() == 4, "{:?}", node.lines);
    assert!(node.has(4, "00:00:07"));
}

#[test]
fn rows_of_a_boot_without_a_time_are_placed_and_counted() {
    let mut node = Node::whole(1, off(1000, -TRUTH_MS));
    node.plain(0, off(2000, -TRUTH_MS));
    node.plain(1, off(3000, -TRUTH_MS));
    node.checkpoint(off(4000, -TRUTH_MS));
    // The second boot began a minute after the first, at boot clock 0.
    let second = |ms: i64| Now { boot_ms: ms, mono_ms: ms, wall_ms: TRUTH_MS + 60_000 + ms };
    let mut node = node.restart(2, second(500));
    node.checkpoint(second(1000));
    assert!(node.has(0, "00:00:58") && node.has(1, "00:00:59"), "{:?}", node.lines);
    assert_eq!(node.agent.counters().get("clock/rows-placed"), Some(&2));
}

#[test]
fn the_bound_of_waiting_rows_is_told() {
    let mut node = Node::whole(1, off(1000, -TRUTH_MS));
    let mut id = 0;
    while !node.agent.held().is_full() {
        node.plain(id, off(2000 + id, -TRUTH_MS));
        id += 1;
    }
    assert!((5..20).contains(&id), "{id} rows are 1000 bytes");
    assert!(node.agent.held().has_scan(node.scan("plain")));
    assert!(!node.agent.held().has_scan(node.scan("timed")));
}

#[test]
fn no_honest_row_is_set_aside_because_the_clock_was_set() {
    for step in [-2 * HOUR_MS, -HOUR_MS, HOUR_MS, -TRUTH_MS, PLAUSIBLE_MS - TRUTH_MS] {
        let mut node = Node::whole(1, at(0));
        node.timed(0, TRUTH_MS, at(0));
        // The clock stays wrong for longer than a doubt lasts.
        for minute in 1..30 {
            let ms = minute * 60_000;
            node.timed(minute, TRUTH_MS + ms, off(ms, step));
            node.checkpoint(off(ms, step));
        }
        assert_eq!(node.lines.len(), 30, "after a step of {step} ms");
        // The guard is still there.
        node.timed(99, TRUTH_MS + 3 * 24 * HOUR_MS, at(1_800_000));
        node.checkpoint(at(1_800_000));
        assert_eq!(node.lines.len(), 30);
    }
}

#[test]
fn the_core_hears_of_every_step_once() {
    let now = at(0);
    let mut node = Node::new(Target::Cut, 1, BTreeMap::new(), now);
    node.agent.connected(now);
    let Some(Message::Hello(hello)) = node.agent.next_message(now) else { panic!("no hello") };
    let grant = ControlBody::GrantWithHeads { term: 1, nonce: hello.nonce, heads: Vec::new() };
    let control = Control { agent: name(), incarnation: INCARNATION, body: grant };
    node.agent.control_received(&encode_control(&control).expect("it fits"), now);
    let beat = |node: &mut Node, now| match node.agent.next_message(now) {
        Some(Message::Heartbeat(beat)) => (beat.clock.step_ms, beat.clock.trusted),
        other => panic!("no heartbeat but {other:?}"),
    };
    assert_eq!(beat(&mut node, at(5000)), (0, true));
    node.agent.observe(off(6000, HOUR_MS), None);
    assert_eq!(beat(&mut node, off(10_000, HOUR_MS)), (HOUR_MS, false));
    node.timed(1, TRUTH_MS, off(11_000, HOUR_MS));
    node.checkpoint(off(11_000, HOUR_MS));
    assert_eq!(node.headers_step_ms, [HOUR_MS], "a heartbeat in between does not hide it");
    assert_eq!(beat(&mut node, off(15_000, HOUR_MS)), (0, false));
    // A machine that slept was not set.
    let slept =
        Now { wall_ms: TRUTH_MS + 20_000 + HOUR_MS, mono_ms: 20_000, boot_ms: 20_000 + HOUR_MS };
    node.agent.observe(slept, None);
    assert_eq!(beat(&mut node, slept), (-HOUR_MS, true), "it was an hour ahead before");
}
