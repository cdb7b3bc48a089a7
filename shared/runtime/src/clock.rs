//! The clocks and the identity of this machine, read at the edge of the programs only.
//!
//! The boot clock counts from the machine's start and never steps; it does not count time spent
//! suspended after this process has started. Nothing here says whether the wall clock is right.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads the clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    boot_ms_at_start: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// Fixes the offset between the process's and the machine's monotonic clock.
    pub fn new() -> Self {
        Self { start: Instant::now(), boot_ms_at_start: uptime_ms().unwrap_or(0) }
    }

    /// Wall clock: milliseconds since 1970-01-01 UTC, negative before.
    pub fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => ms(since),
            Err(before) => -ms(before.duration()),
        }
    }

    /// Monotonic clock: milliseconds since the machine's start.
    pub fn boot_ms(&self) -> i64 {
        self.boot_ms_at_start.saturating_add(ms(self.start.elapsed()))
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn uptime_ms() -> Option<i64> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<i64>().ok()? * 1000 + hundredths.parse::<i64>().ok()? * 10)
}

/// Identity of this start of the machine, if the system gives one.
pub fn boot_id() -> Option<u128> {
    hex(&fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)
}

/// Identity of this machine's installation, if the system gives one. Two gateways with one
/// image may share it only if nobody prepared the image.
pub fn machine_id() -> Option<u128> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .find_map(|path| hex(&fs::read_to_string(path).ok()?))
}

/// 128 random bits from the system.
pub fn random_id() -> std::io::Result<u128> {
    let mut bytes = [0; 16];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}

fn hex(text: &str) -> Option<u128> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    if digits.len() == 32 { u128::from_str_radix(&digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_and_without_dashes() {
        assert_eq!(hex("00000000-0000-0000-0000-0000000000ff\n"), Some(255));
        assert_eq!(hex("000000000000000000000000000000ff"), Some(255));
        assert_eq!(hex("uninitialized"), None);
    }

    #[test]
    fn the_boot_clock_does_not_step_back() {
        let clock = Clock::new();
        let first = clock.boot_ms();
        assert!(clock.boot_ms() >= first);
        assert!(clock.wall_ms() > 0);
    }
}
