//! The loop of a node that reads sources: an agent, or a whole pipeline alone.

mod alignment;
mod arrivals;
mod clock;
mod inputs;
mod network;
mod setup;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use headwater_store::{Commit, PositionWrite, Store};

use super::sinks::Outlet;
use super::uplink::AgentLink;
use super::{RunError, Summary, commit, report};
use crate::agent::{Agent, LinkState, Now};
use crate::clock::Synchronised;
use crate::metrics::{Counter, Gauge, Registry};
use crate::signal::Stop;
use crate::source::Wake;
use inputs::Input;
pub(super) use network::Network;
pub(super) use setup::{Setup, open_store};

/// Longest sleep of the loop when nothing happens.
const IDLE_WAIT: Duration = Duration::from_millis(200);
const IDLE_WAIT_MIN: Duration = Duration::from_millis(1);
/// Sources wait while this many bytes of results have not left a node without a state directory.
const UNDELIVERED_BYTES_MAX: usize = 16 << 20;
/// How long a stopping node tries to flush its sinks.
const FLUSH_MS: i64 = 3000;
/// More than one job of making frames coarser has.
const COARSEN_READ_BYTES: usize = 2 << 20;
/// Component of the health report.
const FLASH: &str = "flash budget";
/// Time between two updates of the status, in ms.
const STATUS_MS: i64 = 1000;

/// A node at work.
pub(super) struct Node {
    agent: Agent,
    store: Option<Store>,
    inputs: Vec<Input>,
    outlets: Vec<Outlet>,
    /// Chunks of a node without store: channel, seq, bytes.
    undelivered: VecDeque<(u32, u64, Vec<u8>)>,
    link: Option<AgentLink>,
    setup: Setup,
    registry: Registry,
    stop: Stop,
    wake: Wake,
    /// Records since the last checkpoint, for `checkpoint_every_rows`.
    records: u64,
    last_record_ms: i64,
    last_status_ms: i64,
    is_ended: bool,
    /// What was counted of the bytes that reached the medium.
    flash_counted: u64,
    synchronised: Synchronised,
    metrics: Metrics,
    _network: Network,
}

struct Metrics {
    records: Counter,
    flash_bytes: Counter,
    flash_balance: Gauge,
    spacing: Gauge,
    checkpoints: Counter,
    intake_commits: Counter,
    backlog_frames: Gauge,
    backlog_bytes: Gauge,
    redelivered: Gauge,
}

impl Metrics {
    fn new(registry: &Registry) -> Self {
        Metrics {
            records: registry.counter("headwater_records_total", "Records read from sources.", &[]),
            flash_bytes: registry.counter(
                "headwater_flash_bytes_total",
                "Bytes written to the medium for state, outbox and journal, in blocks of 4 KiB.",
                &[],
            ),
            flash_balance: registry.gauge(
                "headwater_flash_budget_left_bytes",
                "What the flash budget allows to be written now; below 0: it is overdrawn.",
                &[],
            ),
            spacing: registry.gauge(
                "headwater_checkpoint_spacing_seconds",
                "Time between checkpoints as the flash budget stretches it.",
                &[],
            ),
            checkpoints: registry.counter("headwater_checkpoints_total", "Checkpoints.", &[]),
            intake_commits: registry.counter(
                "headwater_intake_commits_total",
                "Entries of the intake journal: commits before the next checkpoint.",
                &[],
            ),
            backlog_frames: registry.gauge(
                "headwater_outbox_frames",
                "Frames that the core has not acknowledged.",
                &[],
            ),
            backlog_bytes: registry.gauge("headwater_outbox_bytes", "Their bytes.", &[]),
            redelivered: registry.gauge(
                "headwater_intake_redelivered",
                "Messages that the server delivered again and that were recognised.",
                &[],
            ),
        }
    }
}

/// Runs a node to the end of its sources or until it is stopped.
///
/// Damage that is met while it runs, as in a file too large to be verified when it is opened, is
/// dealt with as at the start, once: the second time the medium is to blame.
pub(super) fn run(setup: Setup) -> Result<Summary, RunError> {
    let mut node = setup.open(None)?;
    let done = match node.begin() {
        Err(RunError::State(error)) if error.is_lost() && node.setup.feeds_core() => {
            node = node.into_setup().open(Some(error))?;
            node.begin()
        }
        done => done,
    };
    if let Err(error) = &done {
        tracing::error!(%error, "The node stops.");
    }
    done?;
    let rows_in = node.agent.task.rows_in();
    let mut counters = node.agent.task.counts();
    counters.extend(node.agent.counters().clone());
    if let Some(store) = node.store.take() {
        store.close()?;
    }
    Ok(Summary { rows_in, counters })
}

impl Node {
    fn begin(&mut self) -> Result<(), RunError> {
        self.registry.set_ready(true);
        tracing::info!(node = self.setup.node.as_str(), "Running.");
        self.work()
    }

    /// Closes everything.
    fn into_setup(self) -> Setup {
        self.setup
    }

    fn now(&self) -> Now {
        self.setup.clock.now()
    }

    fn work(&mut self) -> Result<(), RunError> {
        let mut stopping_since = None;
        loop {
            let now = self.now();
            self.watch_clock(now);
            let is_busy = stopping_since.is_none() && self.read(now)?;
            self.end_if_drained(now)?;
            if self.agent.wants_random() {
                self.agent.set_random(setup::random()?);
            }
            self.coarsen()?;
            if self.agent.wants_checkpoint(now) {
                self.checkpoint()?;
            } else if self.records > 0 && self.source_wait().is_some_and(|wait| wait.is_zero()) {
                self.commit_intake()?;
            }
            self.deliver(now)?;
            self.report(now);
            if self.stop.asked() && stopping_since.is_none() {
                self.checkpoint()?;
                stopping_since = Some(now.mono_ms);
            }
            if self.is_finished(stopping_since, now)? {
                return Ok(());
            }
            if !is_busy {
                let until = self.agent.wake_at(now) - now.mono_ms;
                let wait = Duration::from_millis(u64::try_from(until.max(1)).unwrap_or(1));
                let source_wait = self.source_wait().unwrap_or(IDLE_WAIT).max(IDLE_WAIT_MIN);
                self.wake.wait(wait.min(IDLE_WAIT).min(source_wait));
            }
        }
    }

    /// Reads frames that are to be made coarser; what becomes of them is in the next checkpoint.
    fn coarsen(&mut self) -> Result<(), RunError> {
        let (Some(job), Some(store)) = (self.agent.coarsen_due(), &self.store) else {
            return Ok(());
        };
        let rows = store.snapshot()?.outbox(job.channel, job.from, COARSEN_READ_BYTES)?;
        match self.agent.coarsen(job, &rows) {
            Ok(()) => self.registry.well("coarsen"),
            Err(error) => {
                let problem = format!("frames cannot be made coarser, sources wait: {error}");
                tracing::warn!(%error, "Frames cannot be made coarser.");
                self.registry.unwell("coarsen", &problem);
            }
        }
        Ok(())
    }

    /// How long until the server of a source should have its acknowledgements.
    fn source_wait(&self) -> Option<Duration> {
        let due = self.inputs.iter().filter_map(|input| input.source.commit_due()).min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Whether everything is delivered (or time is up) after the end or a stop.
    fn is_finished(&mut self, stopping_since: Option<i64>, now: Now) -> Result<bool, RunError> {
        let flushed = self.outlets.iter().all(|outlet| {
            let (_, end) = self.agent.sink_range(outlet.channel);
            outlet.is_done(end)
        });
        let is_over = stopping_since.is_some_and(|since| now.mono_ms - since > FLUSH_MS);
        let is_drained = self.link.is_none() || self.agent.backlog().0 == 0;
        let done = match stopping_since {
            Some(_) => flushed || is_over,
            None => self.is_ended && flushed && is_drained,
        };
        if done && self.agent.wants_final_checkpoint() {
            self.checkpoint()?;
        }
        Ok(done)
    }

    /// At the end of all sources, or after the silence that was asked for: every window closes.
    fn end_if_drained(&mut self, now: Now) -> Result<(), RunError> {
        if self.is_ended || self.stop.asked() {
            return Ok(());
        }
        let silence = self.setup.drain_after_idle_ms;
        // What waits for other sources is still to come.
        let is_held = self.inputs.iter().any(|input| input.held.is_some());
        let is_held = is_held || !self.agent.held().is_empty();
        let is_silent =
            !is_held && silence.is_some_and(|silence| now.mono_ms - self.last_record_ms >= silence);
        if !self.inputs.iter().all(|input| input.is_ended) && !is_silent {
            return Ok(());
        }
        for scan in 0..self.agent.task.scans().len() {
            self.agent.task.end(scan);
        }
        self.is_ended = true;
        self.checkpoint()
    }

    /// Takes a checkpoint; afterwards what it holds may leave the node.
    fn checkpoint(&mut self) -> Result<(), RunError> {
        self.records = 0;
        let mut positions = Vec::new();
        for input in &mut self.inputs {
            let Input { name, source, .. } = input;
            source.position(&mut |split, value| {
                positions.push(PositionWrite { source: name.clone(), split, value: Some(value) });
            });
        }
        let now = self.now();
        let commit = self.agent.checkpoint(positions, now);
        self.metrics.checkpoints.add(1);
        let (base, delta) = match &mut self.store {
            Some(store) => {
                let stats = commit::store(store, &commit, &self.registry, &self.stop)?;
                (stats.base_bytes, stats.delta_bytes)
            }
            // Without a store there is nothing to fold.
            None => (1, 0),
        };
        self.agent.committed(&commit, base, delta);
        self.count_flash(now);
        for input in &mut self.inputs {
            input.source.committed();
            input.arrivals.committed();
        }
        self.hand_over(commit);
        Ok(())
    }

    /// Counts what reached the medium since the last time.
    fn count_flash(&mut self, now: Now) {
        let Some(store) = &self.store else { return };
        let total = store.meter().flash_bytes_written();
        let written = total - self.flash_counted;
        self.flash_counted = total;
        self.metrics.flash_bytes.add(written);
        self.agent.flash_written(written, now);
    }

    fn show_flash(&mut self) {
        let due = self.agent.checkpoint_spacing_ms();
        self.metrics.spacing.set(due / 1000);
        if let Some(balance) = self.agent.flash_balance() {
            self.metrics.flash_balance.set(balance);
        }
        match self.agent.flash_problem() {
            Some(problem) => self.registry.unwell(FLASH, &problem),
            None => self.registry.well(FLASH),
        }
    }

    fn hand_over(&mut self, commit: Commit) {
        for outlet in &mut self.outlets {
            let delivered = outlet.committed(&commit);
            outlet.show(delivered, &self.registry);
        }
        if self.store.is_none() {
            let chunks = commit.outbox_put.into_iter();
            self.undelivered.extend(chunks.map(|row| (row.channel, row.seq, row.bytes)));
        }
    }

    fn deliver(&mut self, now: Now) -> Result<(), RunError> {
        for outlet in &mut self.outlets {
            let (_, end) = self.agent.sink_range(outlet.channel);
            if self.store.is_none() {
                let channel = outlet.channel;
                let waiting = self.undelivered.iter().filter(|c| c.0 == channel);
                let delivered = outlet.offer(waiting.map(|c| (c.1, c.2.as_slice())));
                outlet.show(delivered, &self.registry);
            }
            let pumped = outlet.pump(end, self.store.as_ref());
            if let Some(confirmed) = outlet.show(pumped, &self.registry) {
                let channel = outlet.channel;
                self.agent.sink_confirmed(channel, confirmed);
                self.undelivered.retain(|c| c.0 != channel || c.1 > confirmed);
            }
        }
        if let (Some(link), Some(store)) = (&mut self.link, &self.store) {
            link.pump(&mut self.agent, store, &self.registry, now)?;
        }
        Ok(())
    }

    /// Says where a server's in-flight window limits what comes in.
    fn show_windows(&mut self) {
        for input in &mut self.inputs {
            let window = input.source.window();
            if window == input.window {
                continue;
            }
            input.window = window;
            let help = "Messages that the server sends before it waits for a commit; 0: unlimited.";
            let gauge = self.registry.gauge(
                "headwater_intake_window",
                help,
                &[("source", input.name.as_str())],
            );
            gauge.set(window.and_then(|window| i64::try_from(window).ok()).unwrap_or(0));
            if let Some(window) = window {
                tracing::warn!(
                    source = input.name,
                    window,
                    "The server waits for a commit after so many messages, which costs flash \
                     writes; widen its in-flight window (Mosquitto: max_inflight_messages) or \
                     use MQTT 5."
                );
            }
        }
    }

    fn report(&mut self, now: Now) {
        if now.mono_ms - self.last_status_ms < STATUS_MS {
            return;
        }
        self.last_status_ms = now.mono_ms;
        let (frames, bytes) = self.agent.backlog();
        self.metrics.backlog_frames.set(i64::try_from(frames).unwrap_or(i64::MAX));
        self.metrics.backlog_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.show_windows();
        self.show_flash();
        self.show_held();
        let clock = self.show_clock();
        let redelivered: u64 = self.inputs.iter().map(|input| input.source.redelivered()).sum();
        self.metrics.redelivered.set(i64::try_from(redelivered).unwrap_or(i64::MAX));
        let mut counts = self.agent.task.counts();
        counts.extend(self.agent.counters().clone());
        report::show_counts(&self.registry, &counts);
        let link = match (&self.link, self.agent.link_state()) {
            (None, _) => "none",
            (_, LinkState::Down) => "down",
            (_, LinkState::Waiting(_)) => "waiting",
            (_, LinkState::Granted) => "granted",
            (_, LinkState::Fenced(_)) => "fenced",
            (_, LinkState::Refused(_)) => "refused",
            (_, LinkState::Minting) => "minting",
        };
        let watermarks: Vec<_> = (0..self.agent.task.scans().len())
            .map(|scan| self.agent.task.watermark(scan))
            .collect();
        let status = serde_json::json!({
            "node": self.setup.node,
            "link": link,
            "term": self.agent.term(),
            "epoch": self.agent.epoch(),
            "backlog_frames": frames,
            "backlog_bytes": bytes,
            "redelivered": redelivered,
            "rows_in": self.agent.task.rows_in(),
            "records": self.metrics.records.get(),
            "watermarks": watermarks,
            "clock": clock,
            "counters": counts,
            "ended": self.is_ended,
        });
        self.registry.set_status(status.to_string());
    }
}
