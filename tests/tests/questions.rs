//! The questions of `configs/questions` over real sensor data, delivered with repeats and disorder:
//! the answers are those computed from the clean data. Skipped by name where the data are not.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod questions {
    pub(crate) mod answers;
}

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use headwater_tests::process::{binary, run};
use headwater_tests::scratch::{Scratch, shared_dir, workspace_dir};
use questions::answers::{Row, Table, csv, expected, final_rows, rows, text_of};
use sha2::{Digest, Sha256};

/// One set of data with the parameters of its questions.
struct Set {
    name: &'static str,
    slide: &'static str,
    deadband: &'static str,
    heartbeat_ms: &'static str,
    gap: &'static str,
    session_ms: &'static str,
    gap_ms: &'static str,
    within: &'static str,
    stuck_n: &'static str,
}

const NREL: Set = Set {
    name: "nrel-rmis",
    slide: "15",
    deadband: "0.5",
    heartbeat_ms: "3600000",
    gap: "20",
    session_ms: "1200000",
    gap_ms: "1200000",
    within: "0:30:00.001",
    stuck_n: "6",
};

const NAB: Set = Set {
    name: "nab-sensors",
    slide: "10",
    deadband: "1.0",
    heartbeat_ms: "21600000",
    gap: "60",
    session_ms: "3600000",
    gap_ms: "1800000",
    within: "6:00:00.001",
    stuck_n: "3",
};

struct Bench {
    set: &'static Set,
    scratch: Scratch,
    data: PathBuf,
    lines: String,
}

impl Bench {
    /// The data as a file, without their heading; `None` where they are missing.
    fn new(set: &'static Set) -> Option<Self> {
        let Some(shared) = shared_dir() else {
            println!("skipped: the questions over {}: no shared data", set.name);
            return None;
        };
        let data = shared.join("data").join(set.name);
        let text = text_of(&data.join("delivered.csv.gz"));
        let (_, lines) = text.split_once('\n').unwrap();
        let scratch = Scratch::new("questions").unwrap();
        fs::write(scratch.join("delivered.csv"), lines).unwrap();
        Some(Self { set, scratch, data, lines: lines.to_owned() })
    }

    /// Runs one question to its end.
    fn ask(&self, question: &str, more: &[(&str, &str)]) {
        let Set { slide, deadband, heartbeat_ms, gap, .. } = self.set;
        let Set { session_ms, gap_ms, within, stuck_n, .. } = self.set;
        let pipeline = workspace_dir().join(format!("configs/questions/{question}.sql"));
        let mut command = Command::new(binary("headwater-aggregator"));
        command.args(["run", "--standalone"]).arg(pipeline);
        let data = self.scratch.join("delivered.csv");
        let (data, out) = (data.to_str().unwrap(), self.scratch.path().to_str().unwrap());
        let known = [
            ("data", data),
            ("out", out),
            ("slide", slide),
            ("deadband", deadband),
            ("heartbeat_ms", heartbeat_ms),
            ("gap", gap),
            ("session_gap_ms", session_ms),
            ("gap_ms", gap_ms),
            ("within", within),
            ("stuck_n", stuck_n),
        ];
        for (name, value) in known.iter().chain(more) {
            command.args(["--set", &format!("{name}={value}")]);
        }
        let finished = run(&mut command, Duration::from_secs(300)).unwrap().unwrap();
        assert!(finished.code == Some(0), "{question}: {}", finished.stderr);
    }

    fn result(&self, name: &str) -> PathBuf {
        self.scratch.join(&format!("{name}.ndjson"))
    }

    fn expected(&self, name: &str) -> Table {
        expected(&self.data.join("expected"), name)
    }

    /// Compares the columns that both have, by key.
    fn compare(&self, name: &str, got: Vec<Row>, want: Table, key: &[&str]) {
        let what = format!("{} {name}", self.set.name);
        questions::answers::compare(&what, got, want, key);
    }
}

fn tumbling(set: &'static Set) {
    let Some(bench) = Bench::new(set) else { return };
    bench.ask("q1-tumbling", &[]);
    for size in ["600000", "3600000"] {
        let want = bench.expected(&format!("q1_tumbling_{size}ms"));
        let got = rows(&bench.result(&format!("q1_{size}")));
        bench.compare("q1", got, want, &["device", "sensor", "window_start_ms"]);
    }
}

fn repeats(set: &'static Set) {
    let Some(bench) = Bench::new(set) else { return };
    bench.ask("q2-repeats", &[]);
    let got = final_rows(&bench.result("q2_dedup"));
    bench.compare("q2", got, bench.expected("q2_dedup"), &["device", "sensor"]);
    bench.ask("q2-horizon", &[]);
    let got = final_rows(&bench.result("q2_horizon"));
    bench.compare("q2 horizon", got, bench.expected("q2_dedup_horizon"), &[]);
}

fn quantiles(set: &'static Set) {
    let Some(bench) = Bench::new(set) else { return };
    bench.ask("q3-quantiles", &[]);
    let slide_ms = set.slide.parse::<u64>().unwrap() * 60_000;
    let want = bench.expected(&format!("q3_hopping_3600000_{slide_ms}ms_quantiles"));
    let got = rows(&bench.result("q3"));
    let rename = |(name, value): (String, _)| {
        let is_linear = name.starts_with('p') && !name.ends_with("nearest");
        (if is_linear { format!("{name}_lin") } else { name }, value)
    };
    let got = got.into_iter().map(|row| row.into_iter().map(rename).collect()).collect();
    bench.compare("q3", got, want, &["device", "sensor", "window_start_ms"]);
}

/// The first half of SHA-256 over the numbers, one a line.
fn numbers_hash(numbers: &BTreeSet<u64>) -> String {
    let text: String = numbers.iter().map(|number| format!("{number}\n")).collect();
    Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn deadband(set: &'static Set) {
    let Some(bench) = Bench::new(set) else { return };
    bench.ask("q4-deadband", &[]);
    for variant in ["plain", "heartbeat"] {
        let mut sent: BTreeMap<(String, String), BTreeSet<u64>> = BTreeMap::new();
        for row in rows(&bench.result(&format!("q4_{variant}"))) {
            let key = (row["device"].clone(), row["sensor"].clone());
            let is_new = sent.entry(key).or_default().insert(row["seq"].parse().unwrap());
            assert!(is_new, "sent twice: {row:?}");
        }
        let row = |((device, sensor), sent): (_, BTreeSet<u64>)| {
            let of = |name: &str, value: String| (name.to_owned(), value);
            Row::from([
                of("device", device),
                of("sensor", sensor),
                of("emitted", sent.len().to_string()),
                of("sum_seq", sent.iter().sum::<u64>().to_string()),
                of("sha256_16", numbers_hash(&sent)),
            ])
        };
        let mut want = bench.expected("q4_deadband");
        want.retain(|row| row["variant"] == variant);
        let got = sent.into_iter().map(row).collect();
        bench.compare(&format!("q4 {variant}"), got, want, &["device", "sensor"]);
    }
}

fn sessions(set: &'static Set) {
    let Some(bench) = Bench::new(set) else { return };
    bench.ask("q5-sessions", &[]);
    let want = bench.expected(&format!("q5_sessions_{}ms", set.session_ms));
    let key = ["device", "sensor", "first_ts_ms"];
    bench.compare("q5", rows(&bench.result("q5")), want, &key);
    let want = bench.expected(&format!("q5b_sessions_device_{}ms", set.session_ms));
    bench.compare("q5b", rows(&bench.result("q5b")), want, &["device", "first_ts_ms"]);
}

fn patterns(set: &'static Set) {
    let Some(bench) = Bench::new(set) else { return };
    bench.ask("q6-pattern", &[]);
    let mut want = bench.expected("q6_pattern");
    for column in ["matches_skip_past_last", "matches_every_a"] {
        let file = column.replace("matches", "q6");
        let got = rows(&bench.result(&file));
        for row in &mut want {
            let is_same = |r: &&Row| r["device"] == row["device"] && r["sensor"] == row["sensor"];
            let count = got.iter().filter(is_same).count();
            assert_eq!(count.to_string(), row[column], "{} {column}: {row:?}", set.name);
        }
    }
}

fn quality(set: &'static Set) {
    let Some(bench) = Bench::new(set) else { return };
    bench.ask("q7-quality", &[]);
    let rename = |(name, value): (String, String)| {
        let name = match name.as_str() {
            "gaps" => "gaps_over_gap_ms",
            "session_gaps" => "intervals_equal_session_gap",
            other => other,
        };
        (name.to_owned(), value)
    };
    for result in ["q7_intervals", "q7_runs"] {
        let got = final_rows(&bench.result(result));
        let mut got: Vec<Row> =
            got.into_iter().map(|row| row.into_iter().map(rename).collect()).collect();
        for row in &mut got {
            row.entry("stuck_values".into()).and_modify(|v| {
                if v == "null" {
                    *v = "0".into();
                }
            });
        }
        bench.compare(result, got, bench.expected("q7_quality"), &["device", "sensor"]);
    }
}

/// Late are the rows of the late table that are first copies. The watermark is that of a source:
/// one for all devices, or one for each.
fn late(set: &'static Set) {
    let Some(bench) = Bench::new(set) else { return };
    let mut first: BTreeMap<[String; 3], String> = BTreeMap::new();
    let mut devices: BTreeMap<String, String> = BTreeMap::new();
    for line in bench.lines.lines() {
        let [arrival, seq, _, device, sensor, _] = csv(line).try_into().unwrap();
        *devices.entry(device.clone()).or_default() += &format!("{line}\n");
        first.entry([device, sensor, seq]).or_insert(arrival);
    }
    for want in bench.expected("q8_late") {
        let late: usize = match want["watermark_scope"].as_str() {
            "global" => late_rows(&bench, &bench.lines, &want, &first),
            _ => devices.values().map(|lines| late_rows(&bench, lines, &want, &first)).sum(),
        };
        assert_eq!(late.to_string(), want["late_dropped"], "{} {want:?}", set.name);
    }
}

fn late_rows(
    bench: &Bench,
    lines: &str,
    want: &Row,
    first: &BTreeMap<[String; 3], String>,
) -> usize {
    fs::write(bench.scratch.join("delivered.csv"), lines).unwrap();
    let minutes = |ms: &str| (ms.parse::<u64>().unwrap() / 60_000).to_string();
    let (bound, window) = (minutes(&want["lateness_ms"]), minutes(&want["window_ms"]));
    bench.ask("q8-late", &[("bound", &bound), ("window", &window)]);
    let is_first = |row: &&Row| {
        let key = ["device", "sensor", "seq"].map(|name| row[name].clone());
        first[&key] == row["arrival_ms"]
    };
    let late = rows(&bench.result("q8_late")).iter().filter(is_first).count();
    fs::remove_file(bench.result("q8_late")).unwrap();
    fs::remove_file(bench.result("q8_windows")).unwrap();
    late
}

macro_rules! questions {
    ($($question:ident),*) => {$(
        mod $question {
            #[test]
            fn nrel_rmis() {
                super::$question(&super::NREL);
            }

            #[test]
            fn nab_sensors() {
                super::$question(&super::NAB);
            }
        }
    )*};
}

questions!(tumbling, repeats, quantiles, deadband, sessions, patterns, quality, late);
