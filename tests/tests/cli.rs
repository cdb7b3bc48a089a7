//! The commands around a running node: `status` and `inspect` beside it, `--drain-after-idle`,
//! state that is in use or of a newer version, loopback only, and what `init` writes.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use headwater_tests::node::{Kind, Node};
use headwater_tests::process::{Finished, Process, Signal, binary, run, wait_until};
use headwater_tests::scratch::{Scratch, free_port};
use redb::{Database, ReadableTable as _, TableDefinition};
use serde_json::Value;

const TIME_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(5);
const PROGRAMS: [&str; 2] = ["headwater-agent", "headwater-aggregator"];

/// Follows a file, so that it runs until it is stopped.
const PIPELINE: &str = "\
CREATE TABLE a (x BIGINT, ts BIGINT, rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '1' SECOND)
WITH ('connector'='filesystem', 'path'='in.ndjson', 'source.monitor-interval'='100 ms',
  'format'='json');
CREATE TABLE b (s TIMESTAMP(3), n BIGINT)
WITH ('connector'='filesystem', 'path'='out.ndjson', 'format'='json');
INSERT INTO b SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;
";

fn folder() -> Scratch {
    let scratch = Scratch::new("cli").unwrap();
    fs::write(scratch.join("p.sql"), PIPELINE).unwrap();
    fs::write(scratch.join("in.ndjson"), "{\"x\":1,\"ts\":1000}\n{\"x\":2,\"ts\":2000}\n").unwrap();
    scratch
}

fn command(scratch: &Scratch, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary(program));
    command.args(arguments).current_dir(scratch.path());
    command
}

fn done(scratch: &Scratch, program: &str, arguments: &[&str]) -> Finished {
    run(&mut command(scratch, program, arguments), TIME_MAX).unwrap().expect("it ends")
}

/// Starts the pipeline with state and HTTP, and waits until it is well and has read its input.
fn running(scratch: &Scratch, program: &str) -> (Process, String) {
    let http = SocketAddr::from(([127, 0, 0, 1], free_port())).to_string();
    let arguments = ["run", "--standalone", "p.sql", "--state-dir", "state", "--http", &http];
    let mut command = command(scratch, program, &arguments);
    let process = Process::start(command.args(["--checkpoint-interval", "100ms"])).unwrap();
    let mut last = String::new();
    let well = wait_until(TIME_MAX, || {
        let status = done(scratch, program, &["status", "--addr", &http]);
        last = format!("{}{}", status.stdout, status.stderr);
        status.code == Some(0) && last.contains("rows_in: 2")
    });
    assert!(well, "{last} {:?}", process.output());
    (process, http)
}

fn stop(mut process: Process) {
    process.signal(Signal::Term).unwrap();
    let finished = process.wait(STOP_MAX).expect("it ends within 5 s");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn a_node_stops_also_when_nobody_reads_its_log() {
    let scratch = Scratch::new("mute").unwrap();
    let nowhere = "127.0.0.1:1".parse().unwrap();
    for kind in [Kind::Agent, Kind::Aggregator] {
        let pipeline = "CREATE TABLE a (x BIGINT) WITH ('connector'='datagen');
            CREATE TABLE b (x BIGINT) WITH ('connector'='blackhole', 'at'='core');
            INSERT INTO b SELECT x FROM a WHERE x < 0;";
        let node = Node::new(kind, scratch.path(), &format!("{kind:?}"), nowhere, pipeline, "");
        let mut command = node.unwrap().command("run");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // It says that the broker is away, and then to nobody.
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Running") && !line.contains("MQTT") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
        }
        drop(log);
        std::thread::sleep(Duration::from_secs(2));
        assert!(child.try_wait().unwrap().is_none(), "{kind:?} runs without a reader of its log");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let ended = wait_until(Duration::from_secs(10), || child.try_wait().unwrap().is_some());
        if !ended {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(ended, "{kind:?} does not stop");
    }
}

#[test]
fn status_and_inspect_beside_a_running_node() {
    for program in PROGRAMS {
        let scratch = folder();
        let (process, http) = running(&scratch, program);
        let status = done(&scratch, program, &["status", "--addr", &http, "--json"]);
        let status: Value = serde_json::from_str(&status.stdout).unwrap();
        assert_eq!(status["health"]["status"], "ok", "{status}");
        let mut inspected = Value::Null;
        let stored = wait_until(TIME_MAX, || {
            let finished = done(&scratch, program, &["inspect", "--json", "state"]);
            assert_eq!(finished.code, Some(0), "{}", finished.stderr);
            inspected = serde_json::from_str(&finished.stdout).unwrap();
            inspected["counters"]["rows-in"] == 2
        });
        assert!(stored, "{inspected}");
        stop(process);
        let status = done(&scratch, program, &["status", "--addr", &http]);
        assert_eq!(status.code, Some(1), "{}", status.stdout);
        assert!(status.stderr.contains("remedy"), "{}", status.stderr);
    }
}

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

#[test]
fn state_that_is_locked_or_newer_is_exit_74() {
    let program = "headwater-agent";
    let scratch = folder();
    let (process, _) = running(&scratch, program);
    let again = ["run", "--standalone", "p.sql", "--state-dir", "state"];
    let second = done(&scratch, program, &again);
    assert_eq!(second.code, Some(74), "{}", second.stderr);
    for word in ["in use", "remedy"] {
        assert!(second.stderr.contains(word), "{}", second.stderr);
    }
    stop(process);
    // What a later version would write.
    let database = Database::open(scratch.join("state/state.redb")).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut meta = write.open_table(META).unwrap();
        let now = meta.get("format").unwrap().unwrap().value().to_vec();
        assert_eq!(now, b"headwater-state\x01\0\0\0");
        meta.insert("format", &b"headwater-state\x63\0\0\0"[..]).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    for arguments in [&again[..], &["inspect", "state"], &["check", "--state", "state"]] {
        let newer = done(&scratch, program, arguments);
        assert_eq!(newer.code, Some(74), "{}", newer.stderr);
        for word in ["99", "newer", "remedy"] {
            assert!(newer.stderr.contains(word), "{arguments:?}: {}", newer.stderr);
        }
    }
}

/// `inspect` and `check --state` of one and the same directory, sound and not.
#[test]
fn what_is_in_a_state_directory_is_told() {
    for program in PROGRAMS {
        let scratch = folder();
        let asks = [&["check", "--state", "state"][..], &["inspect", "state"]];
        let expect = |what: &str, code: i32, words: [&str; 2]| {
            for (arguments, word) in asks.iter().zip(words) {
                let finished = done(&scratch, program, arguments);
                let said = format!("{}{}", finished.stdout, finished.stderr);
                assert_eq!(finished.code, Some(code), "{what}, {arguments:?}: {said}");
                assert!(said.contains(word), "{what}, {arguments:?}: {said}");
                assert_eq!(said.contains("remedy"), code != 0, "{what}, {arguments:?}: {said}");
            }
        };
        expect("missing", 74, ["no state in", "no state in"]);
        let (process, _) = running(&scratch, program);
        let file = scratch.join("state/state.redb");
        expect("in use", 0, ["in use by a running node", "rows-in"]);
        let crashed = fs::read(&file).unwrap();
        stop(process);
        expect("sound", 0, ["closed in good order", "left_by_a_crash: false"]);
        let good = fs::read(&file).unwrap();
        fs::write(&file, &crashed).unwrap();
        expect("left by a crash", 0, ["left by a crash", "left_by_a_crash: true"]);
        // What it shows may be there all the same: `inspect` looks, `check --state` checks.
        fs::write(&file, &good[..good.len() / 2]).unwrap();
        let short = done(&scratch, program, asks[0]);
        assert_eq!(short.code, Some(74), "{}", short.stdout);
        for (what, bytes) in [
            ("cut to a page", &good[..4096]),
            ("emptied", b""),
            ("of another program", b"SQLite format 3\0 and more"),
        ] {
            fs::write(&file, bytes).unwrap();
            expect(what, 74, ["damaged", "damaged"]);
        }
        fs::remove_file(&file).unwrap();
        expect("removed", 74, ["is gone", "is gone"]);
        fs::write(&file, &good).unwrap();
        fs::remove_file(scratch.join("state/identity.toml")).unwrap();
        expect("without a sidecar", 0, ["note: identity.toml is missing", "epoch"]);
    }
}

#[test]
fn a_live_source_can_be_drained_after_a_silence() {
    for program in PROGRAMS {
        let scratch = folder();
        let arguments = ["run", "--standalone", "p.sql", "--drain-after-idle", "500ms"];
        let finished = done(&scratch, program, &arguments);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let out = fs::read_to_string(scratch.join("out.ndjson")).unwrap();
        assert_eq!(out, "{\"s\":\"1970-01-01 00:00:00\",\"n\":2}\n", "every window closes");
    }
}

/// Local addresses (hexadecimal, as `/proc` has them) on which process `id` listens.
fn listens(id: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{id}/fd")).unwrap().flatten();
    let sockets: Vec<String> = links
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[").map(str::to_owned))
        .map(|inode| inode.trim_end_matches(']').to_owned())
        .collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields[3] == "0A" && sockets.iter().any(|inode| inode == fields[9]) {
                found.push(fields[1].to_owned());
            }
        }
    }
    found
}

#[test]
fn a_node_listens_on_loopback_only() {
    let scratch = folder();
    let (process, http) = running(&scratch, "headwater-agent");
    let port: u16 = http.rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(listens(process.id()), [format!("0100007F:{port:04X}")]);
    stop(process);
    for program in PROGRAMS {
        let arguments = ["run", "--standalone", "p.sql", "--http", "0.0.0.0:0"];
        let finished = done(&scratch, program, &arguments);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains("loopback"), "{}", finished.stderr);
    }
}

#[test]
fn what_init_writes_passes_check() {
    for (program, config) in
        [PROGRAMS[0], PROGRAMS[1]].iter().zip(["agent.toml", "aggregator.toml"])
    {
        let scratch = Scratch::new("init").unwrap();
        let finished = done(&scratch, program, &["init"]);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let text = fs::read_to_string(scratch.join(config)).unwrap();
        let comments = text.lines().filter(|line| line.trim_start().starts_with('#')).count();
        assert!(comments > 10, "it is commented: {text}");
        for command in ["check", "explain"] {
            let finished = done(&scratch, program, &[command, "--config", config, "pipeline.sql"]);
            assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        }
    }
}
