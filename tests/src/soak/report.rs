//! What a soak says at its end: faults, readings, a verdict for each promise, times and sizes.

use std::fmt;
use std::time::Duration;

use super::Options;
use super::field::{DISK_MIB, Field, Peak};
use super::judge::Verdict;
use super::load::Truth;
use super::play::Play;

const MEMORY_BYTES_MAX: u64 = 64 << 20;
const STATE_BYTES_MAX: u64 = (DISK_MIB as u64) << 20;
/// From a start after SIGKILL until the node is well.
const READY_MAX: Duration = Duration::from_secs(2);
/// Lines of each node's log that are shown with findings.
const LOG_LINES: usize = 40;
/// Findings that are shown of each kind.
const SHOWN_MAX: usize = 5;

/// The end of a soak.
#[derive(Debug)]
pub struct Report {
    text: String,
    violations: usize,
}

impl Report {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.violations == 0
    }

    pub(super) fn new(
        options: &Options,
        play: &Play,
        field: &mut Field,
        truth: &Truth,
        verdict: Verdict,
        caught_up: Duration,
    ) -> Report {
        let mut report = Report { text: String::new(), violations: 0 };
        for (fault, count) in play.by_kind() {
            report.line(&format!("{count:6} x {fault}"));
        }
        report.line(&format!(
            "readings: {} published, {} written; {} windows right, {} lack what was lost with a \
             state, {} gaps declared",
            truth.published, truth.written, verdict.right, verdict.lost, verdict.declared
        ));
        let seconds = caught_up.as_secs();
        report.line(&format!("caught up {seconds} s after the last fault"));
        report.nodes(play, field);
        let slow = play.ready.iter().flatten().filter(|time| **time > READY_MAX);
        let slow = slow.map(|time| format!("ready after {time:.1?}"));
        let (i5, others) = (play.findings.iter().cloned().chain(slow), field.peaks.iter());
        report.verdict("I1 nothing lost that was taken in", verdict.short);
        report.verdict("I2 nothing counted twice", verdict.double);
        report.verdict("I3 declared losses are real, real ones declared", verdict.gaps);
        report.verdict("I4 what is acknowledged is committed", verdict.unbacked);
        report.verdict("I5 a restart needs no hand, and less than 2 s", i5.collect());
        report.verdict("I6 memory and disk below their bounds", others.flat_map(above).collect());
        if !report.is_good() {
            for node in &field.nodes {
                let gaps = node.inspect().map(|inspected| inspected["gaps"].clone());
                report.line(&format!("{}: {} {gaps:?}", node.dir().display(), node.status()));
                let log = node.log();
                let skip = log.lines().count().saturating_sub(LOG_LINES);
                log.lines().skip(skip).for_each(|line| report.line(&format!("    {line}")));
            }
        }
        let minutes = options.time.as_secs_f64() / 60.0;
        let (seed, agents) = (options.seed, options.agents);
        report.line(&format!(
            "again: headwater-soak --minutes {minutes} --seed {seed} --agents {agents}"
        ));
        report
    }

    fn nodes(&mut self, play: &Play, field: &mut Field) {
        let agents = field.agents_count();
        for (n, (ready, peak)) in play.ready.iter().zip(&field.peaks).enumerate() {
            let mut ready = ready.clone();
            ready.sort_unstable();
            let name = if n == agents { "aggregator".to_owned() } else { format!("agent {n}") };
            let times = match (ready.get(ready.len() / 2), ready.last()) {
                (Some(median), Some(max)) => {
                    format!("ready after {median:.0?}, at most {max:.0?} ({} starts)", ready.len())
                }
                _ => "no undisturbed start".to_owned(),
            };
            let (memory, state) = (peak.memory >> 10, peak.state >> 10);
            self.line(&format!("{name}: {times}; memory {memory} KiB, state {state} KiB"));
        }
    }

    fn verdict(&mut self, promise: &str, findings: Vec<String>) {
        self.violations += findings.len();
        if findings.is_empty() {
            return self.line(&format!("{promise}: kept"));
        }
        self.line(&format!("{promise}: BROKEN, {} findings", findings.len()));
        findings.iter().take(SHOWN_MAX).for_each(|finding| self.line(&format!("  {finding}")));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn above(peak: &Peak) -> Vec<String> {
    let bounds =
        [("memory", peak.memory, MEMORY_BYTES_MAX), ("state", peak.state, STATE_BYTES_MAX)];
    let above = bounds.into_iter().filter(|(_, bytes, max)| bytes > max);
    above.map(|(what, bytes, max)| format!("{bytes} bytes of {what}, bound {max}")).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
