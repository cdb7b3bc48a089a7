//! A minute of the soak, as `headwater-soak` runs it for an hour, and that nothing of it is left
//! when it is killed.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use headwater_tests::needs_mosquitto;
use headwater_tests::process::{Process, wait_until};
use headwater_tests::scratch::{profile_dir, target_dir};

const FAULTS: Duration = Duration::from_secs(45);
/// With the time that the backlog may take.
const RUN_MAX: Duration = Duration::from_secs(240);

fn soak(minutes: f64) -> Process {
    // Builds what is missing or old, this program with it.
    let _built = headwater_tests::process::binary("headwater-agent");
    let mut command = Command::new(profile_dir().join("headwater-soak"));
    let minutes = minutes.to_string();
    Process::start(command.args(["--minutes", &minutes, "--seed", "1", "--agents", "2"])).unwrap()
}

#[test]
fn random_faults_break_no_promise() {
    needs_mosquitto!();
    let finished = soak(FAULTS.as_secs_f64() / 60.0).wait(RUN_MAX).expect("it ends");
    println!("{}", finished.stdout);
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains("I6"), "{}", finished.stdout);
}

/// The ids of processes whose parent's parent … is `root`, itself included.
fn family(root: u32) -> Vec<u32> {
    let parent = |id: u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all: Vec<u32> = all.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    let belongs = |id: &u32| {
        std::iter::successors(Some(*id), |id| parent(*id).filter(|id| *id > 1)).any(|id| id == root)
    };
    all.into_iter().filter(belongs).collect()
}

#[test]
fn nothing_is_left_of_a_soak_that_is_killed() {
    needs_mosquitto!();
    let mut soak = soak(1.0);
    // Two brokers, two agents, the aggregator, and the soak itself in its name space.
    let mut ours = Vec::new();
    let runs = wait_until(Duration::from_secs(30), || {
        thread::sleep(Duration::from_millis(50));
        ours = family(soak.id());
        ours.len() >= 7 || !soak.is_running()
    });
    assert!(runs, "{ours:?} {:?}", soak.output());
    if soak.output().0.contains("no name spaces") {
        println!("skipped: no name spaces here");
        return;
    }
    assert!(soak.is_running(), "{:?}", soak.output());
    let name = format!("soak-{}-", soak.id());
    soak.kill();
    let is_gone = |id: &u32| !fs::exists(format!("/proc/{id}")).unwrap_or(true);
    let are_gone = wait_until(Duration::from_secs(10), || ours.iter().all(is_gone));
    assert!(are_gone, "of {ours:?} some are left");
    for folder in fs::read_dir(target_dir().join("scratch")).unwrap().flatten() {
        if folder.file_name().to_str().is_some_and(|folder| folder.starts_with(&name)) {
            fs::remove_dir_all(folder.path()).unwrap();
        }
    }
}
