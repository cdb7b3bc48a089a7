//! Bad pipelines, configurations, payloads and state directories, through the binaries: the error
//! is located and says what to do, nothing good is lost, memory stays bounded.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use headwater_tests::process::{Finished, binary, run};
use headwater_tests::scratch::Scratch;
use serde_json::Value;

const TIME_MAX: Duration = Duration::from_secs(30);
const EXIT_STATE: Option<i32> = Some(74);
const EXIT_CONFIG: Option<i32> = Some(78);

const PIPELINE: &str = "\
CREATE TABLE readings (
  id STRING, ts BIGINT, v DOUBLE, d INT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH ('connector'='filesystem', 'path'='in.ndjson', 'format'='json');

CREATE TABLE `result` (id STRING, v DOUBLE, q INT, c INT)
WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');

INSERT INTO `result`
SELECT id, v, 12 / d AS q, CAST(SUBSTRING(id, 2) AS INT) AS c FROM readings;
";

fn aggregator(scratch: &Scratch, arguments: &[&str]) -> Finished {
    let mut command = Command::new(binary("headwater-aggregator"));
    command.args(arguments).current_dir(scratch.path());
    run(&mut command, TIME_MAX).unwrap().expect("it ends")
}

/// `check` and `run` of a faulty pipeline say the same.
fn refused(pipeline: &str, place: &str, words: &[&str]) {
    let scratch = Scratch::new("refused").unwrap();
    fs::write(scratch.join("in.ndjson"), "").unwrap();
    fs::write(scratch.join("p.sql"), pipeline).unwrap();
    for arguments in [&["check", "p.sql"][..], &["run", "--standalone", "p.sql"]] {
        let finished = aggregator(&scratch, arguments);
        let said = &finished.stderr;
        assert_eq!(finished.code, EXIT_CONFIG, "{arguments:?}: {said}");
        for word in [&[place, "^", "remedy"], words].concat() {
            assert!(said.contains(word), "{arguments:?}: no {word:?} in: {said}");
        }
    }
    assert!(!scratch.join("result.ndjson").exists(), "nothing is opened before the check");
}

#[test]
fn faulty_pipelines_are_located() {
    let with = |from: &str, to: &str| {
        assert!(PIPELINE.contains(from));
        PIPELINE.replacen(from, to, 1)
    };
    refused(&with("SELECT id, v, 12", "SELECT id v v, 12"), "p.sql:11:", &[]);
    refused(&with("SELECT id, v,", "SELECT idd, v,"), "p.sql:11:8", &["idd", "id"]);
    refused(&with("FROM readings;", "FROM reading;"), "p.sql:11:", &["reading", "readings"]);
    refused(&with("12 / d", "id AND d"), "p.sql:11:", &[]);
    refused(&with("'path'='in.", "'pathh'='in."), "p.sql:5:", &["pathh", "'path'"]);
    refused(
        &with("'format'='json');\n\nCREATE", "'format'='jsn');\n\nCREATE"),
        "p.sql:5:",
        &["jsn"],
    );
    refused(&with("id, v, 12", "id, SOUNDEX(id), 12"), "p.sql:11:", &["SOUNDEX"]);
    refused(&with("FROM readings;", "FROM readings OFFSET 1;"), "p.sql:11:", &["OFFSET"]);
    refused("", "p.sql:1:", &[]);
}

#[test]
fn faulty_configurations_are_located() {
    let good = "id = \"core\"\nstate-dir = \"state\"\n[uplink]\nbroker = \"mqtt://127.0.0.1:1\"\n";
    for (bad, place, word) in [
        ("id = \"core\nstate-dir", "node.toml:1:", ""),
        ("idd = \"core\"\n", "node.toml:1:", "idd"),
        ("[checkpoint]\ninterval = 10\n", "node.toml:6:", "unit"),
        ("[checkpoint]\nintervall = \"10s\"\n", "node.toml:6:", "interval"),
        ("[http]\nlisten = \"0.0.0.0:80\"\n", "node.toml:6:", "public"),
    ] {
        let scratch = Scratch::new("config").unwrap();
        fs::write(scratch.join("p.sql"), PIPELINE).unwrap();
        let text =
            if place.contains(":1:") { format!("{bad}{good}") } else { format!("{good}{bad}") };
        fs::write(scratch.join("node.toml"), text).unwrap();
        let finished = aggregator(&scratch, &["check", "--config", "node.toml", "p.sql"]);
        assert_eq!(finished.code, EXIT_CONFIG, "{bad}: {}", finished.stderr);
        assert!(finished.stderr.contains(place), "{bad}: {}", finished.stderr);
        assert!(finished.stderr.contains(word), "{bad}: {}", finished.stderr);
    }
}

#[test]
fn bad_rows_are_set_aside_and_what_follows_arrives() {
    let scratch = Scratch::new("rows").unwrap();
    let good = |n: u32| format!("{{\"id\":\"r{n}\",\"ts\":{n}000,\"v\":{n}.5,\"d\":{n}}}\n");
    let mut input = good(1).into_bytes();
    let deep = format!("{{\"id\":\"r0\",\"ts\":{}1{}}}\n", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("{{\"id\":\"r0\",\"x\":\"{}\"}}\n", "x".repeat(1 << 20));
    let bad: [&[u8]; 10] = [
        b"{\"id\":\"r0\",\"ts\":1000,\n",
        b"not JSON\n",
        b"{\"id\":\"r0\",\"ts\":\"soon\",\"v\":1,\"d\":1}\n",
        b"{\"id\":\"r0\",\"v\":1,\"d\":1}\n",
        b"{\"id\":\"r0\",\"ts\":9223372036854775808,\"v\":1,\"d\":1}\n",
        b"{\"id\":\"r1\",\"ts\":1000,\"v\":1,\"d\":0}\n",
        b"{\"id\":\"rx\",\"ts\":1000,\"v\":1,\"d\":1}\n",
        b"{\"id\":\"r\xFF\",\"ts\":1000,\"v\":1,\"d\":1}\n",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    for (n, bad) in bad.iter().enumerate() {
        input.extend_from_slice(bad);
        input.extend_from_slice(good(u32::try_from(n).unwrap() + 2).as_bytes());
    }
    fs::write(scratch.join("in.ndjson"), input).unwrap();
    fs::write(scratch.join("p.sql"), PIPELINE).unwrap();
    let finished = aggregator(&scratch, &["run", "--standalone", "--state-dir", "state", "p.sql"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let result = fs::read_to_string(scratch.join("result.ndjson")).unwrap();
    let ids: Vec<_> = result.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
    assert_eq!(ids, (1..=11).map(|n| format!("r{n}")).collect::<Vec<_>>(), "{}", finished.stderr);
    assert!(finished.usage.rss_bytes_max < 64 << 20, "{:?}", finished.usage);
    let inspected = aggregator(&scratch, &["inspect", "--json", "state"]);
    assert_eq!(inspected.code, Some(0), "{}", inspected.stderr);
    let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
    assert_eq!(inspected["dead_letters"]["count"], 10, "{inspected}");
    let letters = inspected["dead_letters"]["newest"].as_array().unwrap();
    let reasons: Vec<_> = letters.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    let expected = [
        "malformed",
        "malformed",
        "not-coercible",
        "null-event-time",
        "not-coercible",
        "division-by-zero",
        "cast-failed",
        "invalid-utf8",
        "nested-too-deep",
        "too-large",
    ];
    assert_eq!(reasons, expected, "{inspected}");
    // Each is counted by its place and reason too.
    let counters = inspected["counters"].as_object().unwrap().iter();
    let dropped = counters.filter(|(name, _)| name.starts_with("drop/"));
    let dropped: u64 = dropped.filter_map(|(_, count)| count.as_u64()).sum();
    assert_eq!(dropped, 10, "{}", inspected["counters"]);
}

/// Runs a pipeline over `input` with a source table of these columns and options; the result, and
/// the number of dead letters.
fn passed(columns: &str, options: &str, select: &str, input: &str) -> (String, u64) {
    let scratch = Scratch::new("passed").unwrap();
    let pipeline = format!(
        "CREATE TABLE a ({columns}) \
         WITH ('connector'='filesystem', 'path'='in.ndjson', 'format'='json'{options});\n\
         CREATE TABLE b (x STRING, y DOUBLE) \
         WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');\n\
         INSERT INTO b SELECT {select} FROM a;\n"
    );
    fs::write(scratch.join("p.sql"), pipeline).unwrap();
    fs::write(scratch.join("in.ndjson"), input).unwrap();
    let finished = aggregator(&scratch, &["run", "--standalone", "--state-dir", "state", "p.sql"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let inspected = aggregator(&scratch, &["inspect", "--json", "state"]);
    let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
    let result = fs::read_to_string(scratch.join("result.ndjson")).unwrap_or_default();
    (result, inspected["dead_letters"]["count"].as_u64().unwrap())
}

#[test]
fn missing_fields_and_parse_errors_follow_the_options() {
    let input = "{\"x\":\"a\",\"y\":1}\n{\"x\":\"b\"}\n{\"x\":\"c\",\"y\":\"no\"}\nno JSON\n";
    let row = |x: &str, y: &str| format!("{{\"x\":\"{x}\",\"y\":{y}}}\n");
    let with = |columns: &str, options: &str| passed(columns, options, "x, y", input);
    let (a, b) = (row("a", "1.0"), row("b", "null"));
    assert_eq!(with("x STRING, y DOUBLE", ""), (format!("{a}{b}"), 2));
    assert_eq!(with("x STRING, y DOUBLE NOT NULL", ""), (a.clone(), 3));
    let fail = ", 'json.fail-on-missing-field'='true'";
    assert_eq!(with("x STRING, y DOUBLE", fail), (a.clone(), 3));
    // As in Flink: a field that cannot be parsed is NULL then, and a line is skipped.
    let ignore = ", 'json.ignore-parse-errors'='true'";
    let c = row("c", "null");
    assert_eq!(with("x STRING, y DOUBLE", ignore), (format!("{a}{b}{c}"), 0));
}

#[test]
fn computed_nan_and_infinity_are_values() {
    let input = "{\"v\":1}\n{\"v\":-1}\n{\"v\":0}\n";
    let (result, dead) = passed("v DOUBLE", "", "CAST(v AS STRING), v / 0e0", input);
    let values: Vec<_> = result.lines().map(|l| l.rsplit(':').next().unwrap()).collect();
    assert_eq!(values, ["\"Infinity\"}", "\"-Infinity\"}", "\"NaN\"}"], "{result}");
    assert_eq!(dead, 0);
}

#[test]
fn a_state_directory_that_does_not_fit_is_refused() {
    let scratch = Scratch::new("state").unwrap();
    let rows = "{\"id\":\"r1\",\"ts\":1000,\"v\":1,\"d\":1}\n".repeat(100);
    fs::write(scratch.join("in.ndjson"), rows).unwrap();
    fs::write(scratch.join("p.sql"), PIPELINE).unwrap();
    let arguments = ["run", "--standalone", "--state-dir", "state", "p.sql"];
    assert_eq!(aggregator(&scratch, &arguments).code, Some(0));

    fs::write(scratch.join("p.sql"), PIPELINE.replace("12 / d", "13 / d")).unwrap();
    let other_plan = aggregator(&scratch, &arguments);
    assert_eq!(other_plan.code, EXIT_CONFIG, "{}", other_plan.stderr);
    assert!(other_plan.stderr.contains("remedy"), "{}", other_plan.stderr);

    fs::write(scratch.join("p.sql"), PIPELINE).unwrap();
    for entry in fs::read_dir(scratch.join("state")).unwrap().flatten() {
        let length = entry.metadata().unwrap().len();
        if entry.path().extension().is_some_and(|e| e == "redb") || length > 64 << 10 {
            fs::write(entry.path(), b"no database").unwrap();
        }
    }
    let damaged = aggregator(&scratch, &arguments);
    assert_eq!(damaged.code, EXIT_STATE, "{}", damaged.stderr);
    assert!(damaged.stderr.contains("remedy"), "{}", damaged.stderr);
}
