//! The loop of the aggregator: frames in, results and acknowledgements out.

mod settings;
mod sources;

use std::time::Duration;

use headwater_engine::operator::RestoreError;
use headwater_plan::Plan;
use headwater_store::Store;
use headwater_wire::{Topics, UpKind};
use headwater_wire::{encode_ack, encode_control};

use super::node::{Network, open_store};
use super::refusals::Refusals;
use super::sinks::Outlet;
use super::uplink::Endpoint;
use super::wiring::{self, Environment};
use super::{RunError, RunOptions, Summary, commit, report};
use crate::agent::Now;
use crate::clock::Clock;
use crate::config::{AggregatorConfig, Secrets};
use crate::hub::{Hub, Receipts, Reply};
use crate::metrics::{Counter, Registry};
use crate::mqtt::{Message, MqttClient, MqttEvent};
use crate::signal::{self, Stop};
use crate::source::Wake;
use crate::task::{ColdReader, Task};
use sources::Sources;

const IDLE_WAIT: Duration = Duration::from_millis(100);
const FLUSH_MS: i64 = 3000;
const STATUS_MS: i64 = 500;
/// Packets larger than a frame and its topic are not accepted.
const PACKET_BYTES_MAX: u32 = 512 << 10;
/// Messages that may wait for their commit.
const INFLIGHT_MAX: u16 = 1024;
/// Frames wait at their agents while sinks have this many bytes of results not taken.
const RESULTS_BYTES_MAX: u64 = 256 << 20;
/// Replies that may be under way.
const REPLY_WINDOW: usize = 256;

struct Core {
    hub: Hub,
    store: Store,
    sources: Sources,
    outlets: Vec<Outlet>,
    client: MqttClient,
    topics: Topics,
    /// Messages whose acknowledgement the broker waits for: connection and packet id.
    receipts: Receipts<(u64, u16)>,
    refusals: Refusals,
    pending: std::collections::VecDeque<Reply>,
    registry: Registry,
    stop: Stop,
    wake: Wake,
    clock: Clock,
    drain_after_idle_ms: Option<i64>,
    last_frame_ms: i64,
    last_status_ms: i64,
    is_ended: bool,
    frames: Counter,
    flash_bytes: Counter,
    _network: Network,
}

/// Runs the core fragment until stopped.
pub(super) fn run(
    plan: Plan,
    config: AggregatorConfig,
    options: &RunOptions,
) -> Result<Summary, RunError> {
    let mut core = open(&plan, config, options)?;
    core.registry.set_ready(true);
    tracing::info!("The aggregator is running.");
    core.work()?;
    let mut counters = core.hub.task.counts();
    counters.extend(core.hub.counters().clone());
    let rows_in = core.hub.task.rows_in();
    core.store.close()?;
    Ok(Summary { rows_in, counters })
}

fn open(plan: &Plan, config: AggregatorConfig, options: &RunOptions) -> Result<Core, RunError> {
    let fragment = plan.core.as_ref().ok_or_else(|| {
        RunError::Config("nothing of this pipeline runs at the core: use the agent".into())
    })?;
    let network = Network::start()?;
    let (registry, stop, wake) = (Registry::new(), Stop::new(), Wake::new());
    signal::watch(stop.clone(), wake.clone(), network.handle())
        .map_err(|error| RunError::Failed(format!("no signals: {error}")))?;
    if options.stop_at_end_of_input {
        signal::watch_input(stop.clone(), wake.clone())
            .map_err(|error| RunError::Failed(format!("no thread for the input: {error}")))?;
    }
    let record = wiring::plan_record(plan, fragment);
    let cache_bytes = config.limits.state_cache.0;
    let store = open_store(&config.state_dir, cache_bytes, &record)?;
    if config.http.enabled {
        report::serve(config.http.listen, &registry, network.handle(), Some(&config.state_dir))?;
    }
    let clock = Clock::new();
    let now = clock.now();
    let scans = wiring::scan_ports(plan, fragment, config.id.as_str())?;
    let (outputs, sinks) = wiring::output_ports(plan, fragment)?;
    let task = Task::new(fragment, &plan.limits, scans, outputs)
        .map_err(|error| RunError::Config(error.to_string()))?;
    let settings = settings::settings(plan, &config, record, &sinks)?;
    let secrets = Secrets::new(config.secrets.clone());
    let env = Environment {
        secrets: &secrets,
        wake: &wake,
        handle: network.handle(),
        node: config.id.as_str(),
        payload_bytes_max: usize::try_from(config.limits.payload_bytes_max.0).unwrap_or(usize::MAX),
    };
    let mut hub = settings::restore(settings, task, &store, now)?;
    let outlets = open_sinks(&sinks, &mut hub, &store, &env)?;
    let snapshot = store.snapshot()?;
    let sources = Sources::open((plan, fragment), &mut hub.task, &snapshot, &env, now)?;
    drop(snapshot);
    let topics = Topics::new(config.fleet.as_str())
        .map_err(|error| RunError::Config(format!("fleet: {error}")))?;
    let client = connect(&config, &topics, &secrets, &wake, &network)?;
    Ok(Core {
        hub,
        store,
        sources,
        outlets,
        client,
        topics,
        receipts: Receipts::default(),
        refusals: Refusals::new(&registry, ["uplink acknowledgements", "uplink control"]),
        pending: std::collections::VecDeque::new(),
        frames: registry.counter("headwater_frames_total", "Frames received.", &[]),
        flash_bytes: registry.counter(
            "headwater_flash_bytes_total",
            "Bytes that checkpoints wrote to the medium.",
            &[],
        ),
        registry,
        stop,
        wake,
        clock,
        drain_after_idle_ms: options
            .drain_after_idle
            .map(|silence| i64::try_from(silence.as_millis()).unwrap_or(i64::MAX)),
        last_frame_ms: now.mono_ms,
        last_status_ms: 0,
        is_ended: false,
        _network: network,
    })
}

fn open_sinks(
    sinks: &[wiring::SinkSpec<'_>],
    hub: &mut Hub,
    store: &Store,
    env: &Environment<'_>,
) -> Result<Vec<Outlet>, RunError> {
    let snapshot = store.snapshot()?;
    let mut outlets = Vec::new();
    for spec in sinks {
        let sink = wiring::open_sink(spec.table, env)?;
        let mut outlet = Outlet::new(spec.table.name.clone(), spec.channel, sink);
        let (range, offset) = (hub.sink_range(spec.channel), hub.sink_offset(spec.channel));
        let start = outlet
            .start(range, offset, Some(&snapshot))
            .map_err(|error| RunError::Failed(format!("sink {}: {error}", spec.table.name)))?;
        hub.set_sink_offset(spec.channel, start);
        outlets.push(outlet);
    }
    Ok(outlets)
}

fn connect(
    config: &AggregatorConfig,
    topics: &Topics,
    secrets: &Secrets,
    wake: &Wake,
    network: &Network,
) -> Result<MqttClient, RunError> {
    let client_id = wiring::client_id(config.id.as_str(), "hub");
    let mut options = Endpoint::from(&config.uplink).options(client_id, secrets)?;
    options.subscriptions = vec![topics.all_frames(), topics.all_hellos()];
    options.packet_bytes_max = PACKET_BYTES_MAX;
    options.receive_max = INFLIGHT_MAX;
    options.publish_window = u16::try_from(REPLY_WINDOW).unwrap_or(u16::MAX);
    Ok(MqttClient::connect(options, wake.clone(), network.handle()))
}

impl Core {
    fn now(&self) -> Now {
        self.clock.now()
    }

    fn work(&mut self) -> Result<(), RunError> {
        let mut stopping_since: Option<i64> = None;
        loop {
            let now = self.now();
            let is_busy = stopping_since.is_none() && (self.read(now)? | self.receive(now)?);
            self.hub.tick(now);
            self.end_if_drained(now);
            let is_used_up = self.receipts.used_up_at().is_some_and(|at| now.mono_ms >= at);
            if self.hub.wants_checkpoint(now) || is_used_up {
                self.checkpoint()?;
            }
            self.deliver();
            self.send();
            self.report(now);
            if self.stop.asked() && stopping_since.is_none() {
                self.checkpoint()?;
                stopping_since = Some(now.mono_ms);
            }
            if self.is_finished(stopping_since, now)? {
                return Ok(());
            }
            if !is_busy {
                self.wake.wait(IDLE_WAIT);
            }
        }
    }

    fn is_finished(&mut self, stopping_since: Option<i64>, now: Now) -> Result<bool, RunError> {
        let hub = &self.hub;
        let flushed = self.outlets.iter().all(|outlet| {
            let (_, end) = hub.sink_range(outlet.channel);
            outlet.is_done(end)
        });
        let flushed = flushed && self.pending.is_empty();
        let is_over = stopping_since.is_some_and(|since| now.mono_ms - since > FLUSH_MS);
        let done = match stopping_since {
            Some(_) => flushed || is_over,
            None => self.is_ended && flushed && !self.hub.task.is_dirty(),
        };
        if done && self.hub.is_dirty() {
            self.checkpoint()?;
            self.send();
        }
        Ok(done)
    }

    fn end_if_drained(&mut self, now: Now) {
        let Some(silence) = self.drain_after_idle_ms else { return };
        if !self.is_ended && now.mono_ms - self.last_frame_ms >= silence {
            self.hub.end();
            self.is_ended = true;
        }
    }

    /// Reads the files of the core; false when there was nothing.
    fn read(&mut self, now: Now) -> Result<bool, RunError> {
        if self.store.outbox_totals().unacked_bytes >= RESULTS_BYTES_MAX {
            return Ok(false);
        }
        let is_busy = self.sources.read(&mut self.hub.task, &self.registry, now)?;
        if is_busy || self.sources.are_awaited(&self.hub.task) {
            self.last_frame_ms = now.mono_ms;
        }
        Ok(is_busy)
    }

    /// Takes messages until there are none or a checkpoint is due.
    fn receive(&mut self, now: Now) -> Result<bool, RunError> {
        if self.sources.are_awaited(&self.hub.task) {
            return Ok(false);
        }
        if self.store.outbox_totals().unacked_bytes >= RESULTS_BYTES_MAX {
            self.registry.unwell("outbox", "the sinks do not take the results: frames wait");
            return Ok(false);
        }
        self.registry.well("outbox");
        let mut is_busy = self.with_cold(|hub, cold| hub.resume(now, cold))?;
        if is_busy && self.hub.wants_checkpoint(now) {
            return Ok(true);
        }
        while let Some(event) = self.client.poll() {
            is_busy = true;
            match event {
                MqttEvent::Connected { .. } => self.registry.well("uplink"),
                MqttEvent::Disconnected { error, .. } => self.registry.unwell("uplink", &error),
                MqttEvent::Message(message) => self.take(&message, now)?,
                MqttEvent::Refused { token, reason } => self.refusals.refused(token, &reason),
                MqttEvent::Confirmed { token } => self.refusals.confirmed(token),
                MqttEvent::Subscribed | MqttEvent::SessionReset { .. } => {}
            }
            if self.hub.wants_checkpoint(now) {
                break;
            }
        }
        self.acknowledge();
        Ok(is_busy)
    }

    fn take(&mut self, message: &Message, now: Now) -> Result<(), RunError> {
        let token = self.receipts.add((message.connection, message.packet_id), now.mono_ms);
        let Some((agent, kind)) = self.topics.parse_up(&message.topic) else {
            self.receipts.settle(&[token]);
            return Ok(());
        };
        if kind == UpKind::Frame {
            self.frames.add(1);
            self.last_frame_ms = now.mono_ms;
        }
        self.with_cold(|hub, cold| match kind {
            UpKind::Frame => hub.frame(&agent, &message.payload, token, now, cold),
            UpKind::Hello => hub.message(&agent, &message.payload, token, now, cold),
        })?;
        let settled = self.hub.take_settled();
        self.receipts.settle(&settled);
        Ok(())
    }

    /// Lets the hub work with what the store holds of windows that have fired.
    fn with_cold<T>(
        &mut self,
        work: impl FnOnce(&mut Hub, &mut ColdReader<'_>) -> Result<T, RestoreError>,
    ) -> Result<T, RunError> {
        let store = &self.store;
        let mut failure = None;
        let mut cold = |step: usize, time: i64| match read_cold(store, step, time) {
            Ok(value) => value,
            Err(error) => {
                failure = Some(error);
                None
            }
        };
        let done = work(&mut self.hub, &mut cold);
        if let Some(error) = failure {
            return Err(error);
        }
        done.map_err(|error| RunError::StateOfAnotherPlan(error.to_string()))
    }

    fn acknowledge(&mut self) {
        while let Some((connection, packet_id)) = self.receipts.next_settled() {
            self.client.ack(connection, packet_id, 1);
        }
    }

    fn checkpoint(&mut self) -> Result<(), RunError> {
        let now = self.now();
        let commit = self.hub.checkpoint(self.sources.positions(), now);
        let stats = commit::store(&mut self.store, &commit, &self.registry, &self.stop)?;
        self.flash_bytes.add(stats.bytes_written);
        let applied = self.hub.committed(&commit, stats.base_bytes, stats.delta_bytes);
        self.sources.committed();
        self.receipts.settle(&applied);
        self.acknowledge();
        for outlet in &mut self.outlets {
            let delivered = outlet.committed(&commit);
            outlet.show(delivered, &self.registry);
        }
        Ok(())
    }

    fn deliver(&mut self) {
        for outlet in &mut self.outlets {
            let (_, end) = self.hub.sink_range(outlet.channel);
            let pumped = outlet.pump(end, Some(&self.store));
            if let Some(confirmed) = outlet.show(pumped, &self.registry) {
                self.hub.sink_confirmed(outlet.channel, confirmed);
            }
        }
    }

    fn send(&mut self) {
        self.pending.extend(self.hub.take_replies());
        while let Some(reply) = self.pending.front() {
            let (topic, bytes, retain) = match reply {
                Reply::Ack(ack) => (self.topics.ack(&ack.agent), encode_ack(ack), true),
                Reply::Control(control) => {
                    (self.topics.control(&control.agent), encode_control(control), false)
                }
            };
            let token = self.refusals.token(usize::from(!retain));
            if let Ok(bytes) = bytes
                && self.client.publish(&topic, &bytes, retain, token, REPLY_WINDOW).is_err()
            {
                return;
            }
            self.pending.pop_front();
        }
    }

    fn report(&mut self, now: Now) {
        if now.mono_ms - self.last_status_ms < STATUS_MS {
            return;
        }
        self.last_status_ms = now.mono_ms;
        let mut counters = self.hub.task.counts();
        counters.extend(self.hub.counters().clone());
        report::show_counts(&self.registry, &counters);
        let watermark = self.hub.task.event_time();
        let status = serde_json::json!({
            "agents": self.hub.status(now),
            "counters": counters,
            "watermark": watermark,
            "frames": self.frames.get(),
            "rows_in": self.hub.task.rows_in(),
            "ended": self.is_ended,
        });
        self.registry.set_status(status.to_string());
    }
}

fn read_cold(store: &Store, step: usize, time: i64) -> Result<Option<Vec<u8>>, RunError> {
    let operator = crate::task::operator_number(step);
    let chunks = store.snapshot()?.cold(operator, time)?;
    if chunks.is_empty() {
        return Ok(None);
    }
    Ok(Some(chunks.into_iter().flat_map(|(_, bytes)| bytes).collect()))
}
