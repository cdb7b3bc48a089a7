//! Copies of state directories: restored, cloned, lost, and the core's own (fault table, rows 10,
//! 11 and 14): nothing is counted twice, and what is lost is declared.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use headwater_plan::{Plan, Target};
use headwater_runtime::hub::Reply;
use headwater_tests::broker::{Mosquitto, mosquitto_is_installed};
use headwater_tests::node::{Kind, Node};
use headwater_tests::process::wait_until;
use headwater_tests::scratch::Scratch;
use headwater_tests::sim::{self, Core, Edge, Place};
use headwater_wire::{AgentId, ControlBody};

const SCRIPT: &str = "
CREATE TABLE readings (k STRING, v BIGINT, rt TIMESTAMP(3), WATERMARK FOR rt AS rt)
  WITH ('connector' = 'filesystem', 'path' = '/nowhere', 'format' = 'json');
CREATE TABLE results (k STRING, s TIMESTAMP(3), n BIGINT, total BIGINT)
  WITH ('connector' = 'print');
INSERT INTO results SELECT k, window_start, COUNT(*), SUM(v)
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
  GROUP BY k, window_start, window_end;
";

fn plan() -> Plan {
    sim::plan(SCRIPT, Target::Cut).expect("a correct script")
}

/// Another gateway that says nothing keeps every window of this core open.
fn core_beside_a_silent_one(plan: &Plan) -> Core<'_> {
    let names = ["gw", "slow"].map(|name| name.parse().expect("a name"));
    Core::open(plan, &names, Vec::new(), 0)
}

/// Reads on to reading `end`, one a second, with a checkpoint every five.
fn read_to(edge: &mut Edge<'_>, end: u64) {
    let scan = edge.scan("readings").expect("the source");
    while edge.taken(scan) < end {
        let n = edge.taken(scan);
        let time = format!("2026-01-01 00:{:02}:{:02}", n / 60, n % 60);
        let record = format!(r#"{{"k": "a", "v": {n}, "rt": "{time}"}}"#);
        edge.record(scan, record.as_bytes());
        if edge.taken(scan) % 5 == 0 {
            edge.checkpoint();
        }
    }
}

/// Carries messages both ways until nothing moves; gives the control messages of the core.
fn talk(edge: &mut Edge<'_>, core: &mut Core<'_>) -> Vec<ControlBody> {
    let id: AgentId = edge.id().clone();
    let mut said = Vec::new();
    for _ in 0..20 {
        edge.messages().iter().for_each(|bytes| core.message(&id, bytes));
        edge.frames().iter().for_each(|bytes| core.frame(&id, bytes));
        core.checkpoint();
        let replies = core.replies();
        let is_over = replies.is_empty() && !edge.wants_checkpoint();
        for reply in replies {
            match reply {
                Reply::Ack(ack) => edge.acknowledged(&ack),
                Reply::Control(control) => {
                    edge.controlled(&control);
                    said.push(control.body);
                }
            }
        }
        if edge.wants_checkpoint() {
            edge.checkpoint();
        }
        if is_over {
            break;
        }
    }
    said
}

fn meet(edge: &mut Edge<'_>, core: &mut Core<'_>) -> Vec<ControlBody> {
    edge.connected();
    talk(edge, core)
}

fn results(core: &Core<'_>) -> Vec<(u64, u64, u64)> {
    let text = String::from_utf8(core.results()).expect("JSON");
    let row = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let data = &value;
        let start = data["s"].as_str().expect("a time");
        let minutes: u64 = start[14..16].parse().expect("minutes");
        let seconds: u64 = start[17..19].parse().expect("seconds");
        let number = |name: &str| data[name].as_u64().expect("a number");
        (minutes * 60 + seconds, number("n"), number("total"))
    };
    text.lines().map(row).collect()
}

/// What the windows that begin in `starts` hold when every reading counts once.
fn exact(starts: std::ops::Range<u64>) -> Vec<(u64, u64, u64)> {
    let starts = starts.step_by(10);
    starts.map(|start| (start, 10, (start..start + 10).sum())).collect()
}

fn finish(edge: &mut Edge<'_>, core: &mut Core<'_>) {
    edge.end();
    edge.checkpoint();
    talk(edge, core);
    core.end();
    core.checkpoint();
}

/// Whether the agent finds that its state is an old copy, when it meets the core.
fn is_old_copy(edge: &mut Edge<'_>, core: &mut Core<'_>) -> bool {
    let before = edge.counter("agent/lives-from-an-old-copy");
    meet(edge, core);
    edge.counter("agent/lives-from-an-old-copy") > before
}

#[test]
fn an_old_copy_that_reads_again_counts_nothing_twice() {
    let plan = plan();
    let mut core = core_beside_a_silent_one(&plan);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut edge, 30);
    meet(&mut edge, &mut core);
    let backup = edge.copy();
    read_to(&mut edge, 100);
    talk(&mut edge, &mut core);
    drop(edge);
    let mut edge = Edge::open(&plan, "gw", backup, 1000);
    assert!(is_old_copy(&mut edge, &mut core));
    read_to(&mut edge, 150);
    finish(&mut edge, &mut core);
    assert_eq!(edge.backlog(), 0);
    assert_eq!(results(&core), exact(0..150));
    assert_eq!(core.gaps_count(), 1);
    // The second life goes on as any other.
    let again = Edge::open(&plan, "gw", edge.copy(), 2000).crash(3);
    let mut again = again;
    assert!(!is_old_copy(&mut again, &mut core));
}

/// What an old copy took in before the core could tell it that it is one.
#[test]
fn an_old_copy_keeps_what_it_took_itself() {
    let plan = plan();
    let mut core = core_beside_a_silent_one(&plan);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut edge, 30);
    meet(&mut edge, &mut core);
    let backup = edge.copy();
    // Smaller frames, and more of them, than the copy will make of the same readings.
    for end in [35, 42, 51, 63, 74, 85, 100] {
        read_to(&mut edge, end);
        edge.checkpoint();
    }
    talk(&mut edge, &mut core);
    drop(edge);
    let mut edge = Edge::open(&plan, "gw", backup, 1000);
    // The source goes on where it was at the time of the copy: a file, or a broker with a session.
    read_to(&mut edge, 140);
    assert!(is_old_copy(&mut edge, &mut core));
    edge = edge.crash(3);
    meet(&mut edge, &mut core);
    // Under another life again: numbers go on from where they are.
    let backup = edge.copy();
    read_to(&mut edge, 160);
    talk(&mut edge, &mut core);
    let mut edge = Edge::open(&plan, "gw", backup, 2000);
    read_to(&mut edge, 200);
    assert!(is_old_copy(&mut edge, &mut core));
    finish(&mut edge, &mut core);
    assert_eq!(edge.backlog(), 0);
    assert_eq!(results(&core), exact(0..200));
    assert_eq!(core.gaps_count(), 2);
}

/// The original sends on between the moment when its copy finds out and the moment when the core
/// hears of that.
#[test]
fn a_copy_branches_off_where_it_was_told() {
    let plan = plan();
    let mut core = core_beside_a_silent_one(&plan);
    let mut original = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut original, 30);
    meet(&mut original, &mut core);
    let mut copy = Edge::open(&plan, "gw", original.copy(), 1000);
    read_to(&mut original, 40);
    talk(&mut original, &mut core);
    read_to(&mut copy, 180);
    copy.connected();
    let id = copy.id().clone();
    copy.messages().iter().for_each(|bytes| core.message(&id, bytes));
    core.checkpoint();
    for reply in core.replies() {
        if let Reply::Control(control) = reply {
            copy.controlled(&control);
        }
    }
    assert!(copy.messages().is_empty(), "a new life waits for its checkpoint");
    // As another process: two in turn would be a conflict. Many small frames.
    let mut original = original.crash(5);
    meet(&mut original, &mut core);
    for end in 41..70 {
        read_to(&mut original, end);
        original.checkpoint();
    }
    talk(&mut original, &mut core);
    drop(original);
    copy.checkpoint();
    finish(&mut copy, &mut core);
    assert_eq!(results(&core), exact(0..180));
    assert_eq!((copy.backlog(), core.gaps_count()), (0, 1));
}

#[test]
fn an_old_copy_that_went_on_alone_is_noticed_by_the_chain() {
    let plan = plan();
    let mut core = core_beside_a_silent_one(&plan);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut edge, 30);
    let backup = edge.copy();
    read_to(&mut edge, 60);
    meet(&mut edge, &mut core);
    drop(edge);
    // Without a link it makes more frames than the core has seen, in other cuts.
    let mut edge = Edge::open(&plan, "gw", backup, 1000);
    edge.checkpoint();
    read_to(&mut edge, 120);
    assert!(is_old_copy(&mut edge, &mut core));
    finish(&mut edge, &mut core);
    let found = results(&core);
    assert_eq!(found, exact(0..120));
    assert!(core.gaps_count() > 0);
}

#[test]
fn an_old_copy_that_went_on_just_as_far_is_noticed_too() {
    let plan = plan();
    let mut core = core_beside_a_silent_one(&plan);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut edge, 30);
    let backup = edge.copy();
    read_to(&mut edge, 60);
    meet(&mut edge, &mut core);
    drop(edge);
    // As many frames as the core has seen, with readings of their own.
    let mut edge = Edge::open(&plan, "gw", backup, 1000);
    let scan = edge.scan("readings").expect("the source");
    for n in 30..60 {
        let time = format!("2026-01-01 00:{:02}:{:02}", n / 60, n % 60);
        edge.record(scan, format!(r#"{{"k": "b", "v": 1, "rt": "{time}"}}"#).as_bytes());
        if n % 5 == 4 {
            edge.checkpoint();
        }
    }
    assert!(is_old_copy(&mut edge, &mut core));
    finish(&mut edge, &mut core);
    assert!(core.gaps_count() > 0, "what only this copy had is lost, and declared");
}

#[test]
fn a_copy_on_another_machine_sends_what_was_not_sent() {
    let plan = plan();
    let mut core = Core::open(&plan, &["gw".parse().unwrap()], Vec::new(), 0);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut edge, 30);
    meet(&mut edge, &mut core);
    read_to(&mut edge, 70);
    let moved = edge.copy();
    drop(edge);
    let another = Place { machine: "another", ..Place::default() };
    let mut edge = Edge::open_with(&plan, "gw", moved, 1000, &another);
    edge.connected();
    assert_eq!(edge.messages(), Vec::<Vec<u8>>::new(), "nothing is said before it is durable");
    edge.checkpoint();
    assert!(edge.backlog() > 0);
    talk(&mut edge, &mut core);
    assert_eq!(edge.counter("agent/lives-from-an-old-copy"), 0);
    read_to(&mut edge, 90);
    finish(&mut edge, &mut core);
    assert_eq!(results(&core), exact(0..90));
    assert_eq!((edge.backlog(), core.gaps_count()), (0, 0));
}

#[test]
fn a_life_that_comes_back_after_its_copy_counts_nothing_twice() {
    let plan = plan();
    let mut core = Core::open(&plan, &["gw".parse().unwrap()], Vec::new(), 0);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut edge, 30);
    meet(&mut edge, &mut core);
    edge.disconnected();
    read_to(&mut edge, 70);
    let another = Place { machine: "another", ..Place::default() };
    let mut copy = Edge::open_with(&plan, "gw", edge.copy(), 1000, &another);
    copy.checkpoint();
    meet(&mut copy, &mut core);
    read_to(&mut copy, 90);
    talk(&mut copy, &mut core);
    drop(copy);
    // The first machine still has what its copy has sent, and reads the same readings again.
    read_to(&mut edge, 120);
    meet(&mut edge, &mut core);
    finish(&mut edge, &mut core);
    let found = results(&core);
    let twice: Vec<_> = found.iter().filter(|(_, n, _)| *n > 10).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(found[..7], exact(0..70), "what the copy sent");
    assert!(found.contains(&exact(110..120)[0]), "what comes later: {found:?}");
    assert_eq!(core.gaps_count(), 1, "what may be missing is declared");
}

#[test]
fn two_that_claim_one_identity_are_both_refused() {
    let plan = plan();
    let mut core = Core::open(&plan, &["gw".parse().unwrap()], Vec::new(), 0);
    let mut one = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut one, 30);
    meet(&mut one, &mut core);
    let mut two = Edge::open(&plan, "gw", one.copy(), 2);
    let mut is_refused = false;
    for turn in 0..6 {
        let edge = if turn % 2 == 0 { &mut two } else { &mut one };
        let end = 30 + 10 * (turn + 1);
        read_to(edge, end);
        let said = meet(edge, &mut core);
        is_refused = said.iter().any(|body| matches!(body, ControlBody::Conflict { .. }));
        if is_refused {
            break;
        }
    }
    assert!(is_refused);
    let before = core.counter("hub/frames-applied");
    for edge in [&mut one, &mut two] {
        read_to(edge, 120);
        meet(edge, &mut core);
        assert!(edge.backlog() > 0, "rows stay in the outbox");
    }
    assert_eq!(core.counter("hub/frames-applied"), before);
}

#[test]
fn a_lost_state_directory_is_a_gap_and_counts_nothing_twice() {
    let plan = plan();
    let mut core = core_beside_a_silent_one(&plan);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut edge, 60);
    meet(&mut edge, &mut core);
    drop(edge);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1000);
    assert!(!is_old_copy(&mut edge, &mut core));
    read_to(&mut edge, 90);
    finish(&mut edge, &mut core);
    assert_eq!(results(&core), exact(0..90));
    assert_eq!((edge.backlog(), core.gaps_count()), (0, 1));
}

#[test]
fn a_core_restored_from_a_backup_is_refilled() {
    let plan = plan();
    let names = ["gw".parse().unwrap()];
    let mut core = Core::open(&plan, &names, Vec::new(), 0);
    let mut edge = Edge::open(&plan, "gw", Vec::new(), 1);
    read_to(&mut edge, 30);
    meet(&mut edge, &mut core);
    let backup = core.copy();
    read_to(&mut edge, 90);
    talk(&mut edge, &mut core);
    edge.checkpoint();
    assert_eq!(edge.backlog(), 0);
    drop(core);
    let mut core = Core::open(&plan, &names, backup, 1000);
    // Nothing new is there to send: what is missing is asked for all the same.
    meet(&mut edge, &mut core);
    assert_eq!(edge.backlog(), 0);
    read_to(&mut edge, 120);
    finish(&mut edge, &mut core);
    assert_eq!(results(&core), exact(0..120));
    assert_eq!(core.gaps_count(), 0);
}

/// Lines of readings, one a second.
fn lines(seconds: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for n in seconds {
        let time = format!("2026-01-01 00:{:02}:{:02}", n / 60, n % 60);
        let _ = writeln!(text, r#"{{"k": "a", "v": {n}, "rt": "{time}"}}"#);
    }
    text
}

#[test]
fn an_agent_sets_a_damaged_state_aside_and_goes_on() {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return;
    }
    let scratch = Scratch::new("damaged").expect("a folder");
    let broker = Mosquitto::start(scratch.path(), 100, "").expect("a broker");
    let (input, out) = (scratch.join("readings.ndjson"), scratch.join("result.ndjson"));
    fs::write(&input, lines(0..95)).expect("written");
    let source = format!("'path' = '{}', 'source.monitor-interval' = '100 ms'", input.display());
    let sink = format!(
        "'connector' = 'filesystem', 'path' = '{}', 'format' = 'changelog-json'",
        out.display()
    );
    let script =
        SCRIPT.replace("'path' = '/nowhere'", &source).replace("'connector' = 'print'", &sink);
    let extra = "[checkpoint]\ninterval = \"100ms\"\n";
    let node = |kind, id| {
        Node::new(kind, scratch.path(), id, broker.address(), &script, extra).expect("a node")
    };
    let (mut agent, mut core) = (node(Kind::Agent, "gw"), node(Kind::Aggregator, "core"));
    core.start().expect("started");
    agent.start().expect("started");
    let wait = Duration::from_secs(60);
    let windows = || fs::read_to_string(&out).unwrap_or_default().lines().count();
    assert!(wait_until(wait, || windows() == 9), "{}\n{}", agent.log(), core.status());
    agent.kill();
    fs::write(agent.dir().join("state/state.redb"), b"no database").expect("written");
    agent.start().expect("started");
    agent.wait_for_health(&["state file"], wait).expect("said in health");
    let mut file = OpenOptions::new().append(true).open(&input).expect("there");
    file.write_all(lines(95..155).as_bytes()).expect("written");
    assert!(wait_until(wait, || windows() >= 15), "{}\n{}", agent.log(), core.status());
    agent.kill();
    core.kill();
    let text = fs::read_to_string(&out).expect("results");
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let data = row.get("data").unwrap_or(&row).clone();
        (data["n"].as_u64().expect("a count"), data["total"].as_u64().expect("a sum"))
    };
    let found: Vec<_> = text.lines().map(row).collect();
    let all: Vec<_> = exact(0..150).into_iter().map(|(_, n, total)| (n, total)).collect();
    assert_eq!(found, all);
    assert!(agent.dir().join("state/state.redb.damaged").is_file());
    let gaps = core.inspect().expect("readable")["gaps"].to_string();
    assert!(gaps.contains("new state directory"), "{gaps}");
}
