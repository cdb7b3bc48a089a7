//! `[outbox] policy = "coarsen"`: a link that is away for seven days, an outbox that holds a
//! fraction of them, and totals that are exact all the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use headwater_plan::{Plan, Target};
use headwater_runtime::agent::Policy;
use headwater_runtime::hub::Reply;
use headwater_tests::broker::{Mosquitto, mosquitto_is_installed};
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::wait_until;
use headwater_tests::scratch::Scratch;
use headwater_tests::sim::{self, Chance, Core, Edge, Place};
use headwater_wire::AgentId;

const SCRIPT: &str = "
SET 'headwater.coarsen' = '1 min, 10 min';
CREATE TABLE readings (k STRING, v BIGINT, rt TIMESTAMP_LTZ(3), WATERMARK FOR rt AS rt)
  WITH ('connector' = 'filesystem', 'path' = '/nowhere', 'format' = 'json');
CREATE TABLE results (k STRING, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT, total BIGINT, top BIGINT)
  WITH ('connector' = 'print');
INSERT INTO results SELECT k, window_start, window_end, COUNT(*), SUM(v), MAX(v)
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
  GROUP BY k, window_start, window_end;
";
/// A day has 144 coarse windows.
const PANES_PER_KEY: u64 = 80;
const DAY_S: i64 = 86_400;
const START_S: i64 = 1_767_225_600;

fn plan() -> Plan {
    sim::plan(SCRIPT, Target::Cut).expect("a correct script")
}

/// With room for fewer panes than a day has coarse windows.
fn plan_with(panes: u64) -> Plan {
    let script = format!("SET 'headwater.panes-max' = '{panes}';\n{SCRIPT}");
    sim::plan(&script, Target::Cut).expect("a correct script")
}

/// Count, sum and maximum of a key.
type Totals = BTreeMap<String, (u64, i64, i64)>;

fn add(totals: &mut Totals, key: &str, count: u64, sum: i64, top: i64) {
    let entry = totals.entry(key.to_owned()).or_insert((0, 0, i64::MIN));
    *entry = (entry.0 + count, entry.1 + sum, entry.2.max(top));
}

/// One reading of each key at this second.
fn read(edge: &mut Edge<'_>, second: i64, keys: u64, expected: &mut Totals, chance: &mut Chance) {
    for key in 0..keys {
        let value = i64::try_from(chance.below(100_000)).expect("small");
        let key = format!("sensor-{key}");
        let time = second * 1000;
        let minutes = second / 60;
        let text = format!(
            "2026-01-{:02} {:02}:{:02}:{:02}.{:03}Z",
            1 + (second - START_S) / DAY_S,
            minutes / 60 % 24,
            minutes % 60,
            second % 60,
            time % 1000
        );
        let record = format!(r#"{{"k": "{key}", "v": {value}, "rt": "{text}"}}"#);
        edge.record(0, record.as_bytes());
        add(expected, &key, 1, value, value);
    }
}

/// Carries messages both ways until nothing moves.
fn talk(edge: &mut Edge<'_>, core: &mut Core<'_>) {
    let id: AgentId = edge.id().clone();
    let mut quiet = 0;
    while quiet < 3 {
        edge.wait(6000);
        edge.messages().iter().for_each(|bytes| core.message(&id, bytes));
        for bytes in edge.frames() {
            core.frame(&id, &bytes);
            if core.wants_checkpoint() {
                core.checkpoint();
            }
        }
        core.checkpoint();
        let replies = core.replies();
        quiet = if edge.backlog() == 0 { quiet + 1 } else { 0 };
        for reply in replies {
            match reply {
                Reply::Ack(ack) => edge.acknowledged(&ack),
                Reply::Control(control) => edge.controlled(&control),
            }
        }
        if edge.wants_checkpoint() {
            edge.checkpoint();
        }
    }
}

/// Totals of the results, and how many windows there are of each length in seconds.
fn results(core: &Core<'_>) -> (Totals, BTreeMap<i64, usize>) {
    totals_of(&String::from_utf8(core.results()).expect("JSON"))
}

/// The same of a text, up to its last whole line.
fn totals_of(text: &str) -> (Totals, BTreeMap<i64, usize>) {
    let mut totals = Totals::new();
    let mut lengths = BTreeMap::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(row["op"], "+I", "no window is corrected: {line}");
        let data = row.get("data").unwrap_or(&row);
        let time = |name: &str| {
            let text = data[name].as_str().expect("a time");
            let number =
                |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
            number(8..10) * DAY_S + number(11..13) * 3600 + number(14..16) * 60 + number(17..19)
        };
        let number = |name: &str| data[name].as_i64().expect("a number");
        *lengths.entry(time("e") - time("s")).or_default() += 1;
        let count = u64::try_from(number("n")).expect("a count");
        add(&mut totals, data["k"].as_str().expect("a key"), count, number("total"), number("top"));
    }
    (totals, lengths)
}

/// `days` without a link, with a power cut now and then; then everything arrives.
fn outage(days: i64, keys: u64, quota_bytes: u64) -> BTreeMap<i64, usize> {
    let plan = plan_with(PANES_PER_KEY * keys);
    let place = Place { policy: Policy::Coarsen, quota_bytes, ..Place::default() };
    let mut core = Core::open(&plan, &["gw".parse().expect("a name")], Vec::new(), 0);
    let mut edge = Edge::open_with(&plan, "gw", Vec::new(), 1, &place);
    let mut chance = Chance::new(7);
    let mut expected = Totals::new();
    // Some frames are under way when the link goes.
    (0..6).for_each(|n| read(&mut edge, START_S + 10 * n, keys, &mut expected, &mut chance));
    edge.checkpoint();
    edge.connected();
    talk(&mut edge, &mut core);
    edge.checkpoint();
    let sent: usize = edge.frames().len();
    edge.disconnected();
    for second in (START_S + 60..START_S + days * DAY_S).step_by(10) {
        assert!(!edge.is_paused(), "after {} s with {sent} frames sent", second - START_S);
        read(&mut edge, second, keys, &mut expected, &mut chance);
        edge.checkpoint();
        edge.coarsen();
        if edge.wants_checkpoint() {
            edge.checkpoint();
        }
        if chance.one_in(20_000) {
            edge = edge.crash(u64::try_from(second).expect("after 1970"));
        }
    }
    assert!(edge.counter("outbox/coarsened-frames") > 0, "the quota was reached");
    edge.end();
    edge.checkpoint();
    edge.connected();
    talk(&mut edge, &mut core);
    core.end();
    core.checkpoint();
    let (totals, lengths) = results(&core);
    assert_eq!(totals, expected);
    assert!(core.counter("hub/frames-coarsened") > 0);
    assert_eq!((core.counter("hub/frames-lost"), core.dead_letters_count()), (0, 0));
    assert!(core.gaps_count() > 0, "the loss of resolution is declared");
    println!("windows by length in s: {lengths:?}; disk {} bytes", edge.disk_bytes());
    lengths
}

#[test]
fn a_day_in_a_tenth_of_its_size_keeps_every_total() {
    let lengths = outage(1, 40, 256 << 10);
    assert_eq!(lengths.keys().copied().collect::<Vec<_>>(), [10, 60, 600]);
}

#[test]
fn what_is_not_kept_is_declared() {
    for policy in [Policy::DropNewest, Policy::DropOldest] {
        let plan = plan();
        let place = Place { policy, quota_bytes: 20_000, ..Place::default() };
        let mut core = Core::open(&plan, &["gw".parse().expect("a name")], Vec::new(), 0);
        let mut edge = Edge::open_with(&plan, "gw", Vec::new(), 1, &place);
        let mut chance = Chance::new(3);
        let mut expected = Totals::new();
        for n in 0..200 {
            read(&mut edge, START_S + 10 * n, 10, &mut expected, &mut chance);
            edge.checkpoint();
        }
        // Numbers without frames are known after a restart, also under another policy.
        edge = edge.under(Policy::Pause).crash(5).under(policy).crash(6);
        // Frames from before it are dropped after it.
        for n in 200..260 {
            read(&mut edge, START_S + 10 * n, 10, &mut expected, &mut chance);
            edge.checkpoint();
        }
        edge.connected();
        talk(&mut edge, &mut core);
        read(&mut edge, START_S + 2600, 10, &mut expected, &mut chance);
        edge.checkpoint();
        edge.end();
        edge.checkpoint();
        talk(&mut edge, &mut core);
        core.end();
        core.checkpoint();
        let read: u64 = expected.values().map(|totals| totals.0).sum();
        let found: u64 = results(&core).0.values().map(|totals| totals.0).sum();
        // Each row of a window holds one reading here.
        let declared = core.counter("hub/rows-dropped-by-agents");
        assert!(declared > 0 && found > 0, "{policy:?}");
        assert_eq!(found + declared, read, "{policy:?}");
        assert!(core.gaps_count() > 0);
    }
}

/// What the lost state has sent as fine windows, its old copy makes coarser; and the other way
/// round.
#[test]
fn an_old_copy_that_is_made_coarser_counts_nothing_twice() {
    const KEYS: u64 = 10;
    let read_all = |edge: &mut Edge<'_>, windows: i64| {
        let mut chance = Chance::new(3);
        for n in 0..windows {
            read(edge, START_S + 10 * n, KEYS, &mut Totals::new(), &mut chance);
            edge.checkpoint();
            edge.coarsen();
            if edge.wants_checkpoint() {
                edge.checkpoint();
            }
        }
    };
    for quotas in [(1 << 30, 20_000), (20_000, 1 << 30)] {
        let plan = plan();
        let place =
            |quota_bytes| Place { policy: Policy::Coarsen, quota_bytes, ..Place::default() };
        let mut core = Core::open(&plan, &["gw".parse().expect("a name")], Vec::new(), 0);
        let mut lost = Edge::open_with(&plan, "gw", Vec::new(), 1, &place(quotas.0));
        lost.connected();
        talk(&mut lost, &mut core);
        let copy = lost.copy();
        lost.disconnected();
        read_all(&mut lost, 100);
        lost.connected();
        talk(&mut lost, &mut core);
        let mut old = Edge::open_with(&plan, "gw", copy, 9_000_000, &place(quotas.1));
        read_all(&mut old, 200);
        let made_coarser = |edge: &Edge<'_>| edge.counter("outbox/coarsened-frames");
        assert!(made_coarser(&lost) + made_coarser(&old) > 0);
        old.connected();
        talk(&mut old, &mut core);
        old.end();
        old.checkpoint();
        talk(&mut old, &mut core);
        core.end();
        core.checkpoint();
        let (found, _) = results(&core);
        let most = found.values().map(|totals| totals.0).max();
        assert!(most.is_some_and(|most| (100..=200).contains(&most)), "{most:?} of 200");
        assert!(core.gaps_count() > 0, "what may be missing is declared");
    }
}

#[test]
#[ignore = "seven days of 800 keys: cargo test --release --test coarsen -- --ignored"]
fn seven_days_in_64_mib_keep_every_total() {
    let lengths = outage(7, 800, 64 << 20);
    assert!(lengths.contains_key(&60));
}

/// A file of readings over `minutes`, and what its keys add up to.
fn readings_file(path: &Path, minutes: i64, keys: u64) -> Totals {
    let mut expected = Totals::new();
    let mut chance = Chance::new(11);
    let mut text = String::new();
    for second in (0..minutes * 60).step_by(10) {
        for key in 0..keys {
            let value = i64::try_from(chance.below(100_000)).expect("small");
            let (hour, minute) = (second / 3600, second / 60 % 60);
            let time = format!("2026-01-01 {hour:02}:{minute:02}:{:02}.000Z", second % 60);
            let key = format!("sensor-{key}");
            let _ = writeln!(text, r#"{{"k": "{key}", "v": {value}, "rt": "{time}"}}"#);
            add(&mut expected, &key, 1, value, value);
        }
    }
    fs::write(path, text).expect("written");
    expected
}

#[test]
fn an_agent_without_a_broker_makes_its_outbox_coarser() {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return;
    }
    let scratch = Scratch::new("coarsen").expect("a folder");
    let mut broker = Mosquitto::start(scratch.path(), 100, "").expect("a broker");
    broker.stop();
    let input = scratch.join("readings.ndjson");
    let expected = readings_file(&input, 10 * 60, 40);
    let out = scratch.join("result.ndjson");
    let sink = format!(
        "'connector' = 'filesystem', 'path' = '{}', 'format' = 'changelog-json'",
        out.display()
    );
    let script = SCRIPT
        .replace("/nowhere", &input.to_string_lossy())
        .replace("'connector' = 'print'", &sink);
    let quota = "[outbox]\nquota = \"256KiB\"\npolicy = \"coarsen\"\n\
                 [checkpoint]\ninterval = \"100ms\"\ndirty-bytes = \"16KiB\"\n";
    let node = |kind, id, extra| {
        Node::new(kind, scratch.path(), id, broker.address(), &script, extra).expect("a node")
    };
    let mut agent = node(Kind::Agent, "gw", quota);
    let mut core = node(Kind::Aggregator, "core", "[checkpoint]\ninterval = \"100ms\"\n");
    agent.start().expect("started");
    let wait = Duration::from_secs(60);
    let coarsened = |agent: &Node| {
        agent.metric("headwater_total{name=\"outbox/coarsened-frames\"}").unwrap_or(0.0)
    };
    assert!(wait_until(wait, || coarsened(&agent) > 10.0), "{}", agent.metrics());
    agent.kill();
    agent.start().expect("started");
    broker.restart().expect("restarted");
    core.start().expect("started");
    let total = |totals: &Totals| totals.values().map(|t| t.0).sum::<u64>();
    let found = || totals_of(&fs::read_to_string(&out).unwrap_or_default());
    let is_all = || total(&found().0) >= total(&expected);
    let said = || format!("{}\n{}", agent.status(), core.status());
    assert!(wait_until(wait, is_all), "{} readings\n{}", total(&found().0), said());
    assert_eq!(found().0, expected);
    assert!(found().1.contains_key(&60), "{:?}", found().1);
    agent.kill();
    core.kill();
    let gaps = core.inspect().expect("readable")["gaps"].to_string();
    assert!(gaps.contains("coarsened"), "{gaps}");
}
