//! One gateway's life in a virtual machine, with every write of its disk logged.
//!
//! What counts as acknowledged is what has left the gateway: a frame that the broker has passed
//! on. The length of the log is read after the frame was seen, so that a commit that the frame
//! rests on is below that length. Qemu is killed in the end, which loses nothing: its writes to
//! the log are in the host's memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use headwater_wire::decode_header;

use super::log::{self, Entry};
use super::{Options, ROWS, Site, run};
use crate::mqtt::Subscriber;
use crate::process::{Process, wait_until};

/// A frame that has left the gateway.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) seq: u64,
    pub(super) bytes: Vec<u8>,
    /// Entries of the log that had been begun then.
    pub(super) entries: usize,
}

/// What one life has left.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) entries: Vec<Entry>,
    pub(super) sent: Vec<Sent>,
}

/// The virtual machine.
pub(super) struct Machine {
    process: Process,
    serial: PathBuf,
}

impl Machine {
    /// Starts it on `disk`; with a log of the disk's writes when one is named.
    pub(super) fn start(
        options: &Options,
        site: &Site,
        disk: &Path,
        log: Option<&Path>,
        rate: u64,
    ) -> io::Result<Machine> {
        let serial = site.scratch.join("serial.txt");
        let _ = fs::remove_file(&serial);
        let port = site.broker.address().port();
        let append = format!("console=ttyAMA0 quiet panic=-1 rate={rate} rows={ROWS} port={port}");
        let file = |path: &Path| format!(r#"{{"driver":"file","filename":"{}"}}"#, path.display());
        let block = match log {
            Some(log) => format!(
                r#"{{"driver":"blklogwrites","node-name":"disk","file":{},"log":{}}}"#,
                file(disk),
                file(log)
            ),
            None => format!(r#"{{"driver":"raw","node-name":"disk","file":{}}}"#, file(disk)),
        };
        let mut command = Command::new("qemu-system-aarch64");
        command.args(["-M", "virt", "-cpu", "cortex-a53", "-m", "256", "-display", "none"]);
        command.args(["-monitor", "none", "-no-reboot", "-serial"]);
        command.arg(format!("file:{}", serial.display()));
        command.arg("-kernel").arg(&options.kernel).arg("-initrd").arg(&options.initrd);
        command.args(["-append", &append, "-netdev", "user,id=net"]);
        command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        command.args(["-blockdev", &block, "-device", "virtio-blk-pci,drive=disk"]);
        Ok(Machine { process: Process::start(&mut command)?, serial })
    }

    /// What it wrote to its console.
    pub(super) fn console(&self) -> String {
        let serial = fs::read(&self.serial).unwrap_or_default();
        String::from_utf8_lossy(&serial).into_owned() + &self.process.output().1
    }

    /// Waits until the console says `words`.
    pub(super) fn wait_for(&mut self, words: &str, timeout: Duration) -> io::Result<()> {
        let mut is_running = true;
        let said = wait_until(timeout, || {
            let said = self.console().contains(words);
            is_running = self.process.is_running();
            said || !is_running
        });
        if said && self.console().contains(words) {
            return Ok(());
        }
        Err(io::Error::other(format!("no {words:?} from the machine: {}", self.console())))
    }
}

/// Runs the gateway for `options.seconds` after its agent has started.
pub(super) fn record(options: &Options, clean: &[u8]) -> io::Result<Recording> {
    let mut site = Site::new("power-record")?;
    let (disk, log) = (site.scratch.join("disk.img"), site.scratch.join("log.img"));
    fs::write(&disk, clean)?;
    fs::write(&log, "")?;
    site.core.start_ready()?;
    let mut frames = Subscriber::connect(site.broker.address(), "watch", run::FRAMES)?;
    let mut machine = Machine::start(options, &site, &disk, Some(&log), options.rate)?;
    machine.wait_for("starting the agent", Duration::from_secs(180))?;
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let mut seen = Vec::new();
    while Instant::now() < until {
        let Some(message) = frames.receive(Duration::from_millis(200))? else { continue };
        seen.push((message.payload, fs::metadata(&log)?.len()));
    }
    let console = machine.console();
    drop(machine);
    if console.contains("has ended") || console.contains("cannot") {
        return Err(io::Error::other(format!("the gateway did not run on: {console}")));
    }
    let entries = log::parse(&fs::read(&log)?)?;
    let mut sent = Vec::new();
    for (bytes, log_bytes) in seen {
        let (_, header) = decode_header(&bytes).map_err(io::Error::other)?;
        sent.push(Sent { seq: header.seq, bytes, entries: log::entries_at(&entries, log_bytes) });
    }
    if options.keep_log {
        let kept = crate::scratch::target_dir().join("power/log.img");
        fs::copy(&log, &kept)?;
        println!("kept: {}", kept.display());
    }
    Ok(Recording { entries, sent })
}
