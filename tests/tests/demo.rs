//! The demo's children end when the demo does, however it ends.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use headwater_tests::process::{Process, binary, wait_until};
use headwater_tests::scratch::Scratch;

const START_MAX: Duration = Duration::from_secs(30);
/// From the parent's death to the children's end: they take a checkpoint and flush.
const END_MAX: Duration = Duration::from_secs(8);

/// Ids of living processes whose command line names the demo's nodes and whose folder is `dir`.
fn nodes(dir: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let folder = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        // A process that has ended and was not waited for has no folder any more.
        let is_node = folder.starts_with(dir)
            && fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
                String::from_utf8_lossy(&line).contains("--stop-at-end-of-input")
            });
        if is_node {
            found.push(id);
        }
    }
    found
}

#[test]
fn nobody_survives_a_demo_that_is_killed() {
    let scratch = Scratch::new("orphans").unwrap();
    let dir = scratch.path().canonicalize().unwrap().join("demo");
    let dir = dir.to_str().unwrap();
    let mut command = Command::new(binary("headwater-aggregator"));
    let mut demo = Process::start(command.args(["demo", "--keep", dir])).unwrap();
    let replays = wait_until(START_MAX, || demo.output().0.contains("replaying"));
    assert!(replays, "{:?}", demo.output());
    assert_eq!(nodes(dir).len(), 4, "three agents and the aggregator");
    demo.kill();
    let ended = wait_until(END_MAX, || nodes(dir).is_empty());
    assert!(ended, "left over: {:?}", nodes(dir));
    // In good order: the state is not only as of the last checkpoint.
    let log = fs::read_to_string(format!("{dir}/core/log.txt")).unwrap();
    assert!(log.contains("Whoever started this node is gone"), "{log}");
}
