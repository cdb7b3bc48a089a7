//! The clocks and the identity of this machine, read at the edge of the programs only, and what is
//! made of them: which wall clock is believed ([`Keeper`]), which time a row gets that brings none.
//!
//! Three clocks: the wall clock, which people and daemons set; the monotonic one, for timers, which
//! stands still while the machine sleeps, so that a sleep is no silence of the sensors; and the
//! boot clock, for the times of rows, which goes on in a sleep. The last two never step.

mod arrival;
mod hold;
mod keeper;
mod kernel;

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use arrival::{Arrival, Certainty};
pub use hold::{Held, Hold};
pub use keeper::{Doubt, Keeper, Note, PLAUSIBLE_MS, Rules, STEP_MS, Trust};

/// What time it is, by each clock, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, since 1970.
    pub wall_ms: i64,
    /// Monotonic clock, for timers.
    pub mono_ms: i64,
    /// Boot clock, for the times of rows.
    pub boot_ms: i64,
}

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
        Self { start: Instant::now(), boot_ms_at_start: kernel::boot_ms().unwrap_or(0) }
    }

    /// What time it is.
    pub fn now(&self) -> Now {
        let wall_ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => ms(since),
            Err(before) => -ms(before.duration()),
        };
        let mono_ms = self.boot_ms_at_start.saturating_add(ms(self.start.elapsed()));
        Now { wall_ms, mono_ms, boot_ms: kernel::boot_ms().unwrap_or(mono_ms) }
    }
}

/// Asks the kernel now and then whether a time daemon keeps the wall clock right.
#[derive(Clone, Copy, Debug, Default)]
pub struct Synchronised {
    asked: Option<Now>,
    answer: Option<bool>,
}

impl Synchronised {
    /// The kernel's word, not older than a second or the last step of the wall clock: what it
    /// said before a step says nothing of the time after it.
    pub fn ask(&mut self, now: Now) -> Option<bool> {
        let is_fresh = self.asked.is_some_and(|asked| {
            let step = (now.wall_ms - asked.wall_ms) - (now.boot_ms - asked.boot_ms);
            now.mono_ms - asked.mono_ms < ASK_AGAIN_MS && step.abs() <= STEP_MS
        });
        if !is_fresh {
            (self.asked, self.answer) = (Some(now), kernel::is_synchronised());
        }
        self.answer
    }

    /// The answer to the last question.
    pub fn last(&self) -> Option<bool> {
        self.answer
    }
}

/// Name of the record of what is known of the time.
pub const RECORD: &str = "clock";
/// Time between two questions to the kernel, in ms.
const ASK_AGAIN_MS: i64 = 1000;

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Identity of this start of the machine. Where the system gives none it is this process's: then
/// nothing is taken for the same boot that may be another one.
pub fn boot_id() -> std::io::Result<u128> {
    let given = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    given.and_then(|text| hex(&text)).map_or_else(random_id, Ok)
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
        let first = clock.now();
        let second = clock.now();
        assert!(second.boot_ms >= first.boot_ms);
        assert!(second.mono_ms >= first.mono_ms);
        assert!(second.wall_ms > 0);
    }

    #[test]
    fn the_kernel_answers_here() {
        assert!(kernel::boot_ms().is_some_and(|ms| ms > 0));
        let clock = Clock::new();
        let now = clock.now();
        let mut asked = Synchronised::default();
        assert_eq!(asked.ask(now), kernel::is_synchronised());
    }
}
