//! Power cuts on a real kernel: an agent in a virtual machine whose disk logs every write, the
//! log cut at hundreds of places, and each disk that is left run on to the end.
//!
//! A disk is right when the file system needs no person, the state opens, every frame that had
//! left the gateway before the cut is in it byte for byte, and the agent, going on with a core
//! that knows nothing, ends with exactly the answer of an undisturbed run: no reading is lost or
//! counted twice, no gap declared, nothing mended by hand. Needs root, qemu, Mosquitto, e2fsprogs.

mod cut;
mod log;
mod record;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use headwater_store::crash::Noise;

pub use cut::Kind;
use cut::Player;
use run::Mended;

use crate::broker::Mosquitto;
use crate::node::{Kind as NodeKind, Node};
use crate::rig::pipeline;
use crate::scratch::Scratch;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Kernel of the virtual machine.
    pub kernel: PathBuf,
    /// Its first file system, with the agent in it.
    pub initrd: PathBuf,
    /// Cuts to make.
    pub cuts: usize,
    /// Which ones.
    pub seed: u64,
    /// How long the gateway runs.
    pub seconds: u64,
    /// Readings a second in the virtual machine.
    pub rate: u64,
    /// Cuts after which the virtual machine is booted again, besides.
    pub boots: usize,
    /// The disk does not do its flushes: a canary that must fail.
    pub lying_disk: bool,
    /// Keep the log of writes.
    pub keep_log: bool,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Report {
    /// Entries of the log, and how many of them are flushes.
    pub entries: (usize, usize),
    /// Frames that left the gateway.
    pub frames: usize,
    /// Cuts by what became of the open writes.
    pub cuts: BTreeMap<Kind, usize>,
    /// Writes that were open at a cut, over all of them, and the most.
    pub open: (usize, usize),
    /// Cuts before which frames had left.
    pub with_sent: usize,
    /// Disks with a state.
    pub with_state: usize,
    /// Disks on which e2fsck did more than to play the journal.
    pub mended: usize,
    /// Disks whose superblock was torn, so that e2fsck had to be told of a copy.
    pub from_copy: usize,
    /// Longest time from an agent's start until all was at the core.
    pub slowest: Duration,
    /// Boots of the virtual machine on a disk after a cut.
    pub boots: usize,
    /// What was wrong.
    pub failures: Vec<String>,
}

/// Records a gateway's life and cuts its power.
///
/// # Errors
/// When something that is needed is missing, or the undisturbed run fails.
pub fn run(options: &Options) -> io::Result<Report> {
    let clean = clean_disk()?;
    let expected = run::undisturbed().map_err(io::Error::other)?;
    println!("undisturbed: {} rows at the core", expected.totals.len());
    let recording = record::record(options, &clean)?;
    let entries = &recording.entries;
    let flushes = entries.iter().filter(|entry| entry.is_flush).count();
    let mut report = Report {
        entries: (entries.len(), flushes),
        frames: recording.sent.len(),
        ..Report::default()
    };
    println!("log: {} entries, {flushes} flushes, {} frames", entries.len(), report.frames);
    if flushes == 0 || report.frames == 0 {
        return Err(io::Error::other("the gateway has sent nothing"));
    }
    let mut player = Player::new(clean, entries, options.lying_disk);
    for (number, count) in places(options, entries.len()).into_iter().enumerate() {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let seed = options.seed.wrapping_add(number as u64);
        let (image, open) = player.cut(count, kind, seed);
        let sent: Vec<_> = recording.sent.iter().filter(|sent| sent.entries <= count).collect();
        *report.cuts.entry(kind).or_default() += 1;
        report.open = (report.open.0 + open, report.open.1.max(open));
        report.with_sent += usize::from(!sent.is_empty());
        let mut judged = run::judge(&image, &sent, &expected).map(|found| {
            report.mended += usize::from(found.mended == Mended::Alone);
            report.from_copy += usize::from(found.mended == Mended::FromCopy);
            report.with_state += usize::from(found.has_state);
            report.slowest = report.slowest.max(found.took);
        });
        let every = options.cuts.div_ceil(options.boots.max(1));
        if judged.is_ok()
            && options.boots > report.boots
            && number % every == every / 2 + report.boots
        {
            report.boots += 1;
            judged = run::boot(options, &image, &expected)
                .map(|took| println!("booted after entry {count} ({kind:?}): {took:?}"));
        }
        if let Err(why) = judged {
            println!("FAILED after entry {count} ({kind:?}, seed {seed}): {why}");
            report.failures.push(format!("entry {count}, {kind:?}, seed {seed}: {why}"));
        } else if number % 20 == 0 {
            println!("cut {number} after entry {count}, {open} writes open ({kind:?}): right");
        }
    }
    Ok(report)
}

/// Entries to cut behind, in order.
fn places(options: &Options, entries: usize) -> Vec<usize> {
    let mut noise = Noise(options.seed);
    let place = |_| usize::try_from(noise.below(entries as u64 + 1)).expect("an index");
    let mut places: Vec<_> = (0..options.cuts).map(place).collect();
    places.sort_unstable();
    places
}

/// An empty disk as a gateway has it.
fn clean_disk() -> io::Result<Vec<u8>> {
    let scratch = Scratch::new("power-clean")?;
    let file = scratch.join("disk.img");
    fs::File::create(&file)?.set_len(DISK_BYTES)?;
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(&file);
    let done = command.output().map_err(|e| io::Error::new(e.kind(), format!("mke2fs: {e}")))?;
    if !done.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()));
    }
    fs::read(&file)
}

/// A broker and an aggregator that know nothing yet.
struct Site {
    core: Node,
    broker: Mosquitto,
    scratch: Scratch,
}

impl Site {
    fn new(name: &str) -> io::Result<Site> {
        let scratch = Scratch::new(name)?;
        let broker = Mosquitto::start(scratch.path(), 100, "")?;
        let text = pipeline("power.sql", &[])?;
        let vars = format!(
            "[checkpoint]\ninterval = \"100ms\"\n\
             [vars]\nrate = \"1\"\nrows = \"{ROWS}\"\nout = \"totals.ndjson\"\n"
        );
        let dir = scratch.path();
        let core = Node::new(NodeKind::Aggregator, dir, "core", broker.address(), &text, &vars)?;
        core.edit("node.toml", "fleet = \"test\"", "fleet = \"power\"")?;
        let config = include_str!("../power/agent.toml");
        let config = config.replace("10.0.2.2:PORT", &broker.address().to_string());
        fs::write(scratch.join("agent.toml"), config)?;
        Ok(Site { core, broker, scratch })
    }

    fn agent_config(&self) -> PathBuf {
        self.scratch.join("agent.toml")
    }
}

/// Readings in all: more than the virtual machine gets to.
const ROWS: u64 = 40_000;
const DISK_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests;
