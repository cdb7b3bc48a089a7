//! A disk that a power cut has left: repaired, looked into, and run on to the end of the input.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use headwater_store::{Inspector, StoreError};
use headwater_wire::decode_frame;

use super::record::{Machine, Sent};
use super::{Options, ROWS, Site};
use crate::conformance::compare::{materialise, read};
use crate::process::{Process, binary, wait_until};

/// Where the gateway's frames come by.
pub(super) const FRAMES: &str = "headwater/v1/power/up/gw/frame";
const RUN_MAX: Duration = Duration::from_secs(60);
/// Rows a second when a run is to end soon.
const FAST: u64 = 1_000_000;

/// What a whole run gives: the core's rows by their text, and the gateway's own file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) totals: BTreeMap<String, u32>,
    pub(super) hot: Vec<u8>,
}

/// How a disk was found after a cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// What the file system's check had to do.
    pub(super) mended: Mended,
    /// There was a state.
    pub(super) has_state: bool,
    /// From the start of the agent until all was at the core.
    pub(super) took: Duration,
}

/// The answer of a run that nothing disturbs, in a folder.
pub(super) fn undisturbed() -> Result<Answer, String> {
    let mut site = Site::new("power-undisturbed").map_err(|e| e.to_string())?;
    let disk = site.scratch.join("disk");
    fs::create_dir_all(&disk).map_err(|e| e.to_string())?;
    site.core.start_ready().map_err(|e| e.to_string())?;
    finish(&site, &disk, None)
}

/// Everything that must hold for the disk `image`, of which `sent` had left before the cut.
pub(super) fn judge(image: &[u8], sent: &[&Sent], expected: &Answer) -> Result<Found, String> {
    let mut site = Site::new("power-cut").map_err(|e| e.to_string())?;
    let file = site.scratch.join("disk.img");
    fs::write(&file, image).map_err(|e| e.to_string())?;
    let mended = check_file_system(&file)?;
    let mount = Mount::new(&file, &site.scratch.join("disk"))?;
    let has_state = check_sent(&mount.0.join("state"), sent)?;
    site.core.start_ready().map_err(|e| e.to_string())?;
    let start = Instant::now();
    let answer = finish(&site, &mount.0, Some(expected))?;
    if answer.hot != expected.hot {
        return Err(format!(
            "the gateway's own file has {} bytes, not the {} that it should",
            answer.hot.len(),
            expected.hot.len()
        ));
    }
    Ok(Found { mended, has_state, took: start.elapsed() })
}

/// The same in the virtual machine: it boots on the disk as it is, without any check.
pub(super) fn boot(options: &Options, image: &[u8], expected: &Answer) -> Result<Duration, String> {
    let mut site = Site::new("power-boot").map_err(|e| e.to_string())?;
    let file = site.scratch.join("disk.img");
    fs::write(&file, image).map_err(|e| e.to_string())?;
    site.core.start_ready().map_err(|e| e.to_string())?;
    let start = Instant::now();
    let mut machine =
        Machine::start(options, &site, &file, None, FAST).map_err(|e| e.to_string())?;
    let ended = machine.wait_for("has ended with 0", Duration::from_secs(300));
    ended.map_err(|e| e.to_string())?;
    compare(&site, expected).map_err(|why| format!("{why}\n{}", machine.console()))?;
    check_core(&site)?;
    Ok(start.elapsed())
}

/// What the file system's check had to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mended {
    /// To play the journal at most.
    No,
    /// More than that, without a person.
    Alone,
    /// To be told where a copy of the superblock is: it has two sectors, and one of them was old.
    FromCopy,
}

/// `e2fsck -p` mends what can be mended without a person. A torn superblock is none of that: then a
/// person names a copy, as e2fsck says itself, and the journal is played from there.
pub(super) fn check_file_system(file: &Path) -> Result<Mended, String> {
    let (code, said) = e2fsck(file, &["-p"])?;
    match code {
        Some(0) => Ok(Mended::No),
        Some(1) if said.lines().all(is_routine) => Ok(Mended::No),
        Some(1) => Ok(Mended::Alone),
        Some(8) if said.contains("e2fsck -b") => match e2fsck(file, &["-y", "-b", COPY])? {
            (Some(0 | 1), _) => Ok(Mended::FromCopy),
            (code, said) => Err(format!("e2fsck -b {COPY} ends with {code:?}: {said}")),
        },
        _ => Err(format!("e2fsck ends with {code:?}: {said}")),
    }
}

fn e2fsck(file: &Path, options: &[&str]) -> Result<(Option<i32>, String), String> {
    let done = Command::new("e2fsck").arg("-f").args(options).arg(file).output();
    let done = done.map_err(|e| format!("e2fsck: {e}"))?;
    Ok((done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned()))
}

/// Where the first copy of the superblock is on so small a disk.
const COPY: &str = "8193";

/// Lines of e2fsck that every restart after a cut gives.
fn is_routine(line: &str) -> bool {
    line.contains("recovering journal")
        || line.contains("Clearing orphaned inode")
        || line.contains(" files (")
        || line.trim().is_empty()
}

/// The state opens, and holds every frame that had left, as it had left. Whether there is one.
fn check_sent(state: &Path, sent: &[&Sent]) -> Result<bool, String> {
    let inspector = match Inspector::open(state) {
        Err(StoreError::Missing { .. }) if sent.is_empty() => return Ok(false),
        opened => opened.map_err(|e| format!("the state does not open: {e}"))?,
    };
    let snapshot = inspector.snapshot().map_err(|e| e.to_string())?;
    snapshot.load_state().map_err(|e| e.to_string())?;
    let mut stored = BTreeMap::new();
    for row in snapshot.outbox(0, 1, usize::MAX).map_err(|e| e.to_string())? {
        stored.insert(row.seq, row.bytes);
    }
    for Sent { seq, bytes, .. } in sent {
        let Some(row) = stored.get(seq) else {
            return Err(format!("frame {seq} had left and is not in the outbox"));
        };
        let (sent, row) = (decode_frame(bytes), decode_frame(row));
        let (sent, row) = (sent.map_err(|e| e.to_string())?, row.map_err(|e| e.to_string())?);
        if sent.payload != row.payload || sent.header.seq != row.header.seq {
            return Err(format!("frame {seq} is not the one that had left"));
        }
    }
    Ok(true)
}

/// Runs the agent on `disk` to the end of its input and answers what the core and it have then.
fn finish(site: &Site, disk: &Path, expected: Option<&Answer>) -> Result<Answer, String> {
    let mut command = Command::new(binary("headwater-agent"));
    command.current_dir(disk).arg("run").arg("--config").arg(site.agent_config());
    command.args(["--set", &format!("rate={FAST}"), "--set", &format!("rows={ROWS}")]);
    command.args(["--set", "out=-"]).arg(site.core.dir().join("pipeline.sql"));
    let mut agent = Process::start(&mut command).map_err(|e| e.to_string())?;
    let ended = agent.wait(RUN_MAX).ok_or("the agent does not end")?;
    if ended.code != Some(0) {
        return Err(format!("the agent ends with {:?}: {}", ended.code, ended.stderr));
    }
    if ended.stderr.contains("set aside") {
        return Err(format!("the agent did not take its state: {}", ended.stderr));
    }
    match expected {
        Some(expected) => compare(site, expected)?,
        None => wait_for_rest(site)?,
    }
    check_core(site)?;
    let hot = fs::read(disk.join("hot.ndjson")).map_err(|e| e.to_string())?;
    Ok(Answer { totals: totals(site)?, hot })
}

/// The agent ends when the core has everything; then only the core's file is left to be written.
fn wait_for_rest(site: &Site) -> Result<(), String> {
    let mut before = 0;
    let rested = wait_until(RUN_MAX, || {
        thread::sleep(Duration::from_secs(1));
        let now = totals(site).map_or(0, |totals| totals.len());
        now > 0 && std::mem::replace(&mut before, now) == now
    });
    if rested { Ok(()) } else { Err("the core's results do not come to rest".into()) }
}

fn check_core(site: &Site) -> Result<(), String> {
    let inspected = site.core.inspect().map_err(|e| e.to_string())?;
    for list in ["gaps", "dead_letters", "quarantine"] {
        if inspected[list]["count"] != 0 {
            return Err(format!("{list} of the core: {}", inspected[list]));
        }
    }
    Ok(())
}

/// Waits until the core's rows are the expected ones.
fn compare(site: &Site, expected: &Answer) -> Result<(), String> {
    let mut now = Ok(BTreeMap::new());
    wait_until(RUN_MAX / 4, || {
        now = totals(site);
        now.as_ref() == Ok(&expected.totals)
    });
    let now = now?;
    if now == expected.totals {
        return Ok(());
    }
    let lacks = expected.totals.keys().find(|row| !now.contains_key(*row));
    let extra = now.keys().find(|row| !expected.totals.contains_key(*row));
    let counts = (now.len(), expected.totals.len());
    Err(format!("{} rows at the core, {} expected; {lacks:?}, {extra:?}", counts.0, counts.1))
}

/// The last revision of each row at the core.
fn totals(site: &Site) -> Result<BTreeMap<String, u32>, String> {
    let path = site.core.dir().join("totals.ndjson");
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let key = ["device", "window_start"].map(str::to_owned);
    let mut totals = BTreeMap::new();
    for row in materialise(read(&path)?, &key)? {
        *totals.entry(serde_json::Value::Object(row).to_string()).or_default() += 1;
    }
    Ok(totals)
}

/// A mounted image.
struct Mount(PathBuf);

impl Mount {
    fn new(file: &Path, at: &Path) -> Result<Mount, String> {
        fs::create_dir_all(at).map_err(|e| e.to_string())?;
        let mut command = Command::new("mount");
        command.args(["-t", "ext4", "-o", "loop"]).arg(file).arg(at);
        let done = command.output().map_err(|e: io::Error| format!("mount: {e}"))?;
        if done.status.success() {
            return Ok(Mount(at.to_owned()));
        }
        Err(format!("mount: {}", String::from_utf8_lossy(&done.stderr)))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
