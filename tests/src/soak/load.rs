//! Readings that flow all the time, over MQTT and into files, and what they add up to.
//! Guarantees that each reading that is counted is in the server's hands, or in the file.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::field::Field;
use crate::mqtt::Publisher;

/// Event time goes on by a second in this time.
const STEP: Duration = Duration::from_millis(100);
const START_MS: u64 = 1_700_000_000_000;
pub(super) const WINDOW_MS: u64 = 10_000;
/// Devices of each agent that publish, and that are written to its file.
const DEVICES: usize = 10;
/// Publishes that may wait for the server's acknowledgement.
const UNACKNOWLEDGED_MAX: u16 = 500;
/// The server of the readings is frozen now and then.
const FLUSH_MAX: Duration = Duration::from_secs(60);

/// A device and the start of a window.
pub(super) type Key = (String, u64);

/// What a window of a device holds; values in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) first_ms: u64,
    pub(super) count: u64,
    pub(super) sum: u64,
    pub(super) max: u64,
}

/// What was given to the agents, by device and window.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) windows: BTreeMap<Key, Window>,
    pub(super) published: u64,
    pub(super) written: u64,
}

impl Truth {
    pub(super) fn readings(&self) -> u64 {
        self.published + self.written
    }

    fn add(&mut self, device: String, ms: u64, value: u64) {
        let start = ms / WINDOW_MS * WINDOW_MS;
        let window = self.windows.entry((device, start)).or_default();
        if window.count == 0 {
            window.first_ms = ms;
        }
        window.count += 1;
        window.sum += value;
        window.max = window.max.max(value);
    }
}

/// The thread that makes readings.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicU64>,
    second: Arc<AtomicU64>,
    thread: JoinHandle<io::Result<Truth>>,
}

impl Load {
    pub(super) fn start(field: &Field) -> io::Result<Load> {
        let (stop, accepted, second) =
            <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let publisher = Publisher::connect(field.readings.address(), "load", UNACKNOWLEDGED_MAX)?;
        let mut files = Vec::new();
        for n in 0..field.agents_count() {
            files.push(OpenOptions::new().append(true).open(field.file(n))?);
        }
        let mut source =
            Source { publisher, files, truth: Truth::default(), accepted: Arc::clone(&accepted) };
        let (is_over, now) = (Arc::clone(&stop), Arc::clone(&second));
        let thread = thread::spawn(move || {
            let started = Instant::now();
            let mut count = 0;
            while !is_over.load(Ordering::SeqCst) {
                source.second(START_MS + count * 1000)?;
                count += 1;
                now.store(count, Ordering::SeqCst);
                let due = STEP * u32::try_from(count).unwrap_or(u32::MAX);
                thread::sleep(due.saturating_sub(started.elapsed()));
            }
            source.end(START_MS + count * 1000)
        });
        Ok(Load { stop, accepted, second, thread })
    }

    /// Readings so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Event time so far, ms.
    pub(super) fn now_ms(&self) -> u64 {
        START_MS + self.second.load(Ordering::SeqCst) * 1000
    }

    /// Ends it, and waits until the server has all.
    pub(super) fn finish(self) -> io::Result<Truth> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| io::Error::other("the load panicked"))?
    }
}

struct Source {
    publisher: Publisher,
    files: Vec<std::fs::File>,
    truth: Truth,
    accepted: Arc<AtomicU64>,
}

impl Source {
    /// A reading of every device.
    fn second(&mut self, ms: u64) -> io::Result<()> {
        for n in 0..self.files.len() {
            let mut lines = String::new();
            for d in 0..DEVICES {
                let ms = ms + 90 * d as u64;
                let value = (ms / 10 * 7919 + 104_729 * d as u64 + 31 * n as u64) % 100_000;
                let device = format!("m{n}-{d}");
                self.publisher.publish(&format!("gw/{n}"), line(&device, ms, value).as_bytes())?;
                self.truth.add(device, ms, value);
                let device = format!("f{n}-{d}");
                lines.push_str(&line(&device, ms, value));
                lines.push('\n');
                self.truth.add(device, ms, value);
            }
            self.files[n].write_all(lines.as_bytes())?;
            self.truth.published += DEVICES as u64;
            self.truth.written += DEVICES as u64;
        }
        self.accepted.store(self.truth.readings(), Ordering::SeqCst);
        self.publisher.send()
    }

    /// A reading far ahead of each agent and way closes all windows; its own stays open.
    fn end(mut self, ms: u64) -> io::Result<Truth> {
        for n in 0..self.files.len() {
            let tail = line("_tail", ms + 3_600_000, 0);
            self.publisher.publish(&format!("gw/{n}"), tail.as_bytes())?;
            writeln!(self.files[n], "{tail}")?;
        }
        self.publisher.flush(FLUSH_MAX)?;
        Ok(self.truth)
    }
}

fn line(device: &str, ms: u64, value: u64) -> String {
    let (units, milli) = (value / 1000, value % 1000);
    format!("{{\"device\":\"{device}\",\"ts\":{ms},\"value\":{units}.{milli:03}}}")
}
