//! Sinks with a PRIMARY KEY, updated by a query whose rows also go away, through the binary.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use headwater_tests::process::{binary, run};
use headwater_tests::scratch::Scratch;
use serde_json::Value;

const TABLES: &str = "\
CREATE TABLE readings (id STRING, v INT)
WITH ('connector'='filesystem', 'path'='in.ndjson', 'format'='json');
CREATE TABLE assets (id STRING, site STRING, PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector'='filesystem', 'path'='assets.ndjson', 'format'='json');
";

/// Runs a query into a table with these columns and the key `id`: the lines of the table, and what
/// it holds for whoever reads them by key.
fn lines(columns: &str, query: &str, every_row: bool) -> (Vec<String>, BTreeMap<String, Value>) {
    let scratch = Scratch::new("keyed-sinks").unwrap();
    let sink = format!(
        "CREATE TABLE `result` ({columns}, PRIMARY KEY (id) NOT ENFORCED)\n\
         WITH ('connector'='filesystem', 'path'='result.ndjson', 'format'='json');\n\
         INSERT INTO `result` {query};\n"
    );
    fs::write(scratch.join("p.sql"), format!("{TABLES}{sink}")).unwrap();
    let readings = [("a", 1), ("b", 1), ("a", 5), ("c", 1), ("a", 5), ("b", 0)];
    let reading = |(id, v): &(&str, i32)| format!("{{\"id\":\"{id}\",\"v\":{v}}}\n");
    fs::write(scratch.join("in.ndjson"), readings.iter().map(reading).collect::<String>()).unwrap();
    let assets = "{\"id\":\"a\",\"site\":\"north\"}\n{\"id\":\"c\",\"site\":\"south\"}\n";
    fs::write(scratch.join("assets.ndjson"), assets).unwrap();
    let mut command = Command::new(binary("headwater-aggregator"));
    command.args(["run", "--standalone", "p.sql"]).current_dir(scratch.path());
    if every_row {
        command.args(["--state-dir", "state", "--checkpoint-every-rows", "1"]);
    }
    let finished = run(&mut command, Duration::from_secs(30)).unwrap().expect("it ends");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let text = fs::read_to_string(scratch.join("result.ndjson")).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut held = BTreeMap::new();
    for line in &lines {
        let row: Value = serde_json::from_str(line).unwrap();
        let id = row["id"].as_str().unwrap().to_owned();
        if row["__deleted"] == Value::Bool(true) {
            assert!(held.remove(&id).is_some(), "{line} deletes what is not there");
        } else {
            held.insert(id, row);
        }
    }
    (lines, held)
}

#[test]
fn a_row_that_a_filter_no_longer_lets_through_is_deleted() {
    let query = "SELECT id, SUM(v) FROM readings GROUP BY id HAVING SUM(v) < 10";
    for every_row in [false, true] {
        let (lines, held) = lines("id STRING, s INT", query, every_row);
        assert!(lines.contains(&r#"{"id":"a","__deleted":true}"#.to_owned()), "{lines:?}");
        let sums: Vec<_> = held.iter().map(|(id, row)| (id.as_str(), row["s"].clone())).collect();
        assert_eq!(sums, [("b", 1.into()), ("c", 1.into())]);
    }
}

#[test]
fn a_join_of_what_has_keys_updates_by_them() {
    let query = "SELECT g.id, a.site, g.n \
                 FROM (SELECT id, COUNT(*) AS n FROM readings GROUP BY id) g \
                 LEFT JOIN assets a ON g.id = a.id";
    for every_row in [false, true] {
        let (_, held) = lines("id STRING, site STRING, n BIGINT", query, every_row);
        let row = |id: &str| (held[id]["site"].clone(), held[id]["n"].clone());
        assert_eq!(held.len(), 3);
        assert_eq!(row("a"), ("north".into(), 3.into()));
        assert_eq!(row("b"), (Value::Null, 2.into()));
        assert_eq!(row("c"), ("south".into(), 1.into()));
    }
}

#[test]
fn a_join_deletes_the_rows_that_lose_their_partner() {
    let query = "SELECT a.id, a.site FROM assets a JOIN \
                 (SELECT id FROM readings GROUP BY id HAVING SUM(v) < 10) g ON a.id = g.id";
    for every_row in [false, true] {
        let (_, held) = lines("id STRING, site STRING", query, every_row);
        assert_eq!(held.keys().collect::<Vec<_>>(), ["c"]);
    }
}
