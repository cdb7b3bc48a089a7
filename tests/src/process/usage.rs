//! What a process costs, from `/proc`: CPU seconds, peak memory, bytes written. Counters only
//! grow, so the last reading before the end is the whole life's. Linux only.

use std::fs;
use std::time::Duration;

/// Linux counts CPU time for `/proc` in hundredths of a second on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// CPU, memory and disk of a process since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Largest resident size, bytes.
    pub rss_bytes_max: u64,
    /// Resident size at the last look, bytes.
    pub rss_bytes: u64,
    /// Bytes it caused to be sent to the block layer.
    pub written_bytes: u64,
}

impl Usage {
    /// What this process has cost.
    #[must_use]
    pub fn of_this_process() -> Usage {
        let mut usage = Usage::default();
        usage.update(std::process::id());
        usage
    }

    /// Reads the counters of process `id`; those that cannot be read stay as they were.
    pub(super) fn update(&mut self, id: u32) {
        if let Some(cpu) = cpu(id) {
            self.cpu = self.cpu.max(cpu);
        }
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        if let Some(kib) = field(&status, "VmHWM:") {
            self.rss_bytes_max = self.rss_bytes_max.max(kib * 1024);
        }
        if let Some(kib) = field(&status, "VmRSS:") {
            self.rss_bytes = kib * 1024;
        }
        let io = fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
        if let Some(bytes) = field(&io, "write_bytes:") {
            self.written_bytes = self.written_bytes.max(bytes);
        }
    }
}

/// Whether process `id` has ended, reaped or not.
pub(super) fn is_dead(id: u32) -> bool {
    match stat(id) {
        Some(stat) => stat.first().is_some_and(|state| state == "Z" || state == "X"),
        None => true,
    }
}

fn cpu(id: u32) -> Option<Duration> {
    let stat = stat(id)?;
    // Fields 14 and 15 of the file; ours begin with field 3, the state.
    let ticks = stat.get(11)?.parse::<u32>().ok()? + stat.get(12)?.parse::<u32>().ok()?;
    Some(TICK * ticks)
}

/// The fields of `/proc/ID/stat` from the state on; the name before it may hold blanks.
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
