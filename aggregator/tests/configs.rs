//! Every pipeline and configuration in `configs` is checked; those that need no server are run.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn aggregator(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater-aggregator"));
    command.args(arguments).current_dir(workspace()).output().unwrap()
}

fn succeeds(arguments: &[&str]) -> String {
    let output = aggregator(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A folder for results, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("hw-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn set(&self) -> String {
        format!("out={}", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_pipeline_passes_check() {
    let folder = Folder::new("configs");
    let mut count = 0;
    for dir in ["configs", "configs/demo"] {
        for entry in fs::read_dir(workspace().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.ends_with(".sql") {
                continue;
            }
            let (file, set) = (format!("{dir}/{name}"), folder.set());
            let vars = ["broker=127.0.0.1:1883", "gateway=gw-1", "sensors=mqtt://localhost"];
            let mut arguments = vec!["check", &file, "--set", &set];
            vars.iter().for_each(|var| arguments.extend(["--set", var]));
            succeeds(&arguments);
            arguments[0] = "explain";
            assert!(succeeds(&arguments).starts_with("plan "));
            count += 1;
        }
    }
    assert!(count >= 5, "found only {count} pipelines");
}

#[test]
fn the_aggregator_configuration_passes_check() {
    succeeds(&["check", "--config", "configs/aggregator.toml", "configs/gateway.sql"]);
}

#[test]
fn the_hourly_figures_are_right() {
    let folder = Folder::new("hourly");
    succeeds(&["run", "--standalone", "configs/hourly-file.sql", "--set", &folder.set()]);
    let text = fs::read_to_string(folder.0.join("hours.csv")).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    // 2 devices, 2 sensors, 3 hours of 12 readings each.
    assert_eq!(lines.len(), 12, "{text}");
    assert!(lines.iter().all(|line| line.split(',').nth(3) == Some("12")), "{text}");
}

#[test]
fn the_sliding_mean_ends_by_itself() {
    let folder = Folder::new("sliding");
    succeeds(&["run", "--standalone", "configs/sliding.sql", "--set", &folder.set()]);
    let text = fs::read_to_string(folder.0.join("means.ndjson")).unwrap();
    // An hour in steps of 5 minutes, and the half-filled windows at both ends.
    assert_eq!(text.lines().count(), 13, "{text}");
}

#[test]
fn the_alarms_are_found() {
    let folder = Folder::new("alarms");
    succeeds(&["run", "--standalone", "configs/alarms.sql", "--set", &folder.set()]);
    let lines = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap().lines().count();
    // Both devices rise three times; with the file all four sensors fall silent.
    assert_eq!((lines("rises.csv"), lines("silences.csv")), (6, 4));
}

#[test]
fn each_reading_has_the_calibration_of_its_time() {
    let folder = Folder::new("calibrated");
    succeeds(&["run", "--standalone", "configs/calibrated.sql", "--set", &folder.set()]);
    let text = fs::read_to_string(folder.0.join("calibrated.csv")).unwrap();
    let with = |factor: &str| text.lines().filter(|line| line.ends_with(factor)).count();
    assert_eq!([with(",1.02"), with(",0.99"), with(",1.1"), with(",")], [19, 18, 26, 90]);
    let sites = |line: &&str| line.starts_with("roof,north,") || line.starts_with("cellar,south,");
    assert_eq!(text.lines().filter(sites).count(), text.lines().count());
}

#[test]
fn alerts_are_printed() {
    let printed =
        succeeds(&["run", "--standalone", "configs/alerts.sql", "--drain-after-idle", "2s"]);
    assert!(printed.contains("high"), "{printed}");
}
