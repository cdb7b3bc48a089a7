//! Opening a node: store, task, sources, sinks, connection.

use std::net::SocketAddr;
use std::path::PathBuf;

use headwater_engine::fragment::Fragment;
use headwater_plan::Plan;
use headwater_store::{Head, Identity, PlanRecord, Snapshot, StateRead, Store, StoreError};
use headwater_wire::AgentId;
use xxhash_rust::xxh3::xxh3_64;

use super::alignment::Alignment;
use super::arrivals::Arrivals;
use super::inputs::{Input, replay};
use super::network::Network;
use super::{Metrics, Node};
use crate::agent::{self, Agent, FlashLimits, Now, Policy, Rung};
use crate::clock::{self, Clock, Rules, Synchronised};
use crate::config::{AgentConfig, AgentUplink, OutboxPolicy, Secrets};
use crate::driver::sinks::Outlet;
use crate::driver::uplink::AgentLink;
use crate::driver::wiring::{self, Environment, SinkSpec};
use crate::driver::{RunError, RunOptions, StandaloneOptions, report};
use crate::metrics::Registry;
use crate::signal::{self, Stop};
use crate::source::Wake;
use crate::task::Task;

/// Results that make a checkpoint of a whole pipeline earlier, in bytes.
const STANDALONE_DIRTY_BYTES: usize = 8 << 20;
/// Outbox of a whole pipeline alone: only its sinks use it.
const STANDALONE_QUOTA_BYTES: u64 = 256 << 20;
const STANDALONE_PAYLOAD_BYTES: usize = 1 << 20;
const STANDALONE_CACHE_BYTES: u64 = 4 << 20;

/// Everything a node needs to be opened.
pub(in crate::driver) struct Setup {
    plan: Plan,
    pub(super) node: String,
    fleet: String,
    uplink: Option<AgentUplink>,
    state_dir: Option<PathBuf>,
    cache_bytes: u64,
    checkpoint_interval_ms: i64,
    flash: FlashLimits,
    pub(super) checkpoint_every_rows: Option<u64>,
    dirty_bytes_max: usize,
    quota_bytes: u64,
    policy: Policy,
    pub(super) drain_after_idle_ms: Option<i64>,
    stop_at_end_of_input: bool,
    http: Option<SocketAddr>,
    secrets: Secrets,
    payload_bytes_max: usize,
    pub(super) clock: Clock,
    clock_rules: Rules,
}

fn ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Setup {
    /// A whole pipeline.
    pub(in crate::driver) fn standalone(plan: Plan, options: &StandaloneOptions) -> Self {
        let interval = plan.settings.get("execution.checkpointing.interval");
        let interval = interval.and_then(|text| headwater_plan::parse_duration_ms(text));
        let interval =
            options.checkpoint_interval.map(ms).or(interval.and_then(|ms| ms.try_into().ok()));
        Setup {
            plan,
            node: "standalone".into(),
            fleet: "default".into(),
            uplink: None,
            state_dir: options.state_dir.clone(),
            cache_bytes: STANDALONE_CACHE_BYTES,
            checkpoint_interval_ms: interval.unwrap_or(10_000),
            flash: FlashLimits::NONE,
            checkpoint_every_rows: options.checkpoint_every_rows,
            dirty_bytes_max: STANDALONE_DIRTY_BYTES,
            quota_bytes: STANDALONE_QUOTA_BYTES,
            policy: Policy::Pause,
            drain_after_idle_ms: options.drain_after_idle.map(ms),
            stop_at_end_of_input: false,
            http: options.http,
            secrets: Secrets::new(std::collections::BTreeMap::new()),
            payload_bytes_max: STANDALONE_PAYLOAD_BYTES,
            clock: Clock::new(),
            clock_rules: Rules::default(),
        }
    }

    /// The edge fragment on a gateway.
    pub(in crate::driver) fn agent(
        plan: Plan,
        config: AgentConfig,
        options: &RunOptions,
    ) -> Result<Self, RunError> {
        if config.uplink.is_none() && !plan.channels.is_empty() {
            return Err(RunError::Config(
                "the pipeline has an exchange to the core but the configuration has no [uplink]\n  \
                 remedy: add [uplink] broker = \"mqtt://…\", or use run --standalone"
                    .into(),
            ));
        }
        let flash = config.flash_limits();
        Ok(Setup {
            plan,
            node: config.id.as_str().into(),
            fleet: config.fleet.as_str().into(),
            uplink: config.uplink,
            state_dir: Some(config.state_dir),
            cache_bytes: config.limits.state_cache.0,
            checkpoint_interval_ms: config.checkpoint.interval.ms(),
            flash,
            checkpoint_every_rows: None,
            dirty_bytes_max: usize::try_from(config.checkpoint.dirty_bytes.0).unwrap_or(usize::MAX),
            quota_bytes: config.outbox.quota.0,
            policy: match config.outbox.policy {
                OutboxPolicy::Pause => Policy::Pause,
                OutboxPolicy::DropOldest => Policy::DropOldest,
                OutboxPolicy::DropNewest => Policy::DropNewest,
                OutboxPolicy::Coarsen => Policy::Coarsen,
            },
            drain_after_idle_ms: options.drain_after_idle.map(ms),
            stop_at_end_of_input: options.stop_at_end_of_input,
            http: config.http.enabled.then_some(config.http.listen),
            secrets: Secrets::new(config.secrets),
            payload_bytes_max: usize::try_from(config.limits.payload_bytes_max.0)
                .unwrap_or(usize::MAX),
            clock: Clock::new(),
            clock_rules: config.clock.rules(),
        })
    }

    fn fragment(&self) -> Result<Fragment, RunError> {
        let fragment = self.plan.whole.as_ref().or(self.plan.edge.as_ref());
        fragment.cloned().ok_or_else(|| {
            RunError::Config("nothing of this pipeline runs at the edge: use the aggregator".into())
        })
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    /// Opens everything; nothing is read yet. `damage` is what an earlier try met.
    pub(super) fn open(self, damage: Option<StoreError>) -> Result<Node, RunError> {
        let fragment = self.fragment()?;
        let network = Network::start()?;
        let (registry, stop, wake) = (Registry::new(), Stop::new(), Wake::new());
        signal::watch(stop.clone(), wake.clone(), network.handle())
            .map_err(|error| RunError::Failed(format!("no signals: {error}")))?;
        if self.stop_at_end_of_input {
            signal::watch_input(stop.clone(), wake.clone())
                .map_err(|error| RunError::Failed(format!("no thread for the input: {error}")))?;
        }
        let record = wiring::plan_record(&self.plan, &fragment);
        let (mut store, state) = self.open_state(&record, &registry, damage)?.unzip();
        let snapshot = store.as_ref().map(Store::snapshot).transpose()?;
        if let Some(listen) = self.http {
            report::serve(listen, &registry, network.handle(), self.state_dir.as_deref())?;
        }
        let scans = wiring::scan_ports(&self.plan, &fragment, &self.node)?;
        let (outputs, sinks) = wiring::output_ports(&self.plan, &fragment)?;
        let limits = &self.plan.limits;
        let task = Task::new(&fragment, limits, scans, outputs)
            .map_err(|error| RunError::Config(error.to_string()))?;
        let state = state.unwrap_or_default();
        let mut agent = self.agent_machine(task, record, (store.as_ref(), &state), &sinks)?;
        let env = Environment {
            secrets: &self.secrets,
            wake: &wake,
            handle: network.handle(),
            node: &self.node,
            payload_bytes_max: self.payload_bytes_max,
        };
        let outlets = open_sinks(&sinks, &mut agent, snapshot.as_ref(), &env)?;
        let mut inputs = self.open_inputs(&fragment, (&agent, snapshot.as_ref()), &env)?;
        drop(snapshot);
        for name in inputs.iter().filter(|i| !i.is_sequential).map(|input| &input.name) {
            registry.unwell(&format!("source {name}"), "not connected yet");
        }
        replay(&mut inputs, &store.as_mut().map(Store::take_journaled).unwrap_or_default())?;
        let link = match &self.uplink {
            Some(uplink) if !self.plan.channels.is_empty() => Some(AgentLink::open(
                uplink,
                &self.fleet,
                &agent,
                &self.secrets,
                &registry,
                (&wake, network.handle()),
            )?),
            _ => None,
        };
        let last_record_ms = self.now().mono_ms;
        Ok(Node {
            agent,
            store,
            inputs,
            outlets,
            undelivered: std::collections::VecDeque::new(),
            link,
            metrics: Metrics::new(&registry),
            registry,
            stop,
            wake,
            records: 0,
            last_record_ms,
            last_status_ms: 0,
            is_ended: false,
            flash_counted: 0,
            synchronised: Synchronised::default(),
            setup: self,
            _network: network,
        })
    }

    /// The state directory and the operators' state in it. What is damaged is set aside where a
    /// core is there to be told: the agent goes on as a new incarnation, which is a declared gap.
    fn open_state(
        &self,
        plan: &PlanRecord,
        registry: &Registry,
        damage: Option<StoreError>,
    ) -> Result<Option<(Store, StateRead)>, RunError> {
        let Some(dir) = self.state_dir.as_deref() else { return Ok(None) };
        let found = damage.map_or_else(|| self.read_state(dir, plan), |error| Err(error.into()));
        let error = match found {
            Err(RunError::State(error)) if error.is_lost() && self.feeds_core() => error,
            found => return found.map(Some),
        };
        let aside = headwater_store::set_aside(dir)?;
        let path = aside.path.display();
        tracing::error!(%error, %path, "The state file is damaged: set aside, a new life begins.");
        let problem = format!("it was damaged and is set aside as {path}: a new life has begun");
        registry.unwell("state file", &problem);
        self.read_state(dir, plan).map(Some)
    }

    fn read_state(
        &self,
        dir: &std::path::Path,
        plan: &PlanRecord,
    ) -> Result<(Store, StateRead), RunError> {
        let store = open_store(dir, self.cache_bytes, plan)?;
        let snapshot = store.snapshot()?;
        let state = snapshot.load_state()?;
        snapshot.positions()?;
        snapshot.record(agent::RECORD)?;
        Ok((store, state))
    }

    pub(super) fn feeds_core(&self) -> bool {
        self.uplink.is_some() && !self.plan.channels.is_empty()
    }

    fn agent_machine(
        &self,
        mut task: Task,
        plan: PlanRecord,
        (store, state): (Option<&Store>, &StateRead),
        sinks: &[SinkSpec<'_>],
    ) -> Result<Agent, RunError> {
        let id: AgentId =
            self.node.parse().map_err(|error| RunError::Config(format!("id: {error}")))?;
        let mut exchanges = Vec::new();
        if self.plan.whole.is_none() {
            for channel in &self.plan.channels {
                exchanges.push(wiring::channel_number(&self.plan, &channel.name)?);
            }
        }
        let machine = clock::machine_id().unwrap_or(0);
        let boot_id = clock::boot_id()
            .map_err(|error| RunError::Failed(format!("no random numbers: {error}")))?;
        let settings = agent::Settings {
            id,
            plan,
            exchanges,
            sinks: sinks.iter().map(|sink| sink.channel).collect(),
            checkpoint_interval_ms: self.checkpoint_interval_ms,
            flash: self.flash,
            dirty_bytes_max: self.dirty_bytes_max,
            quota_bytes: self.quota_bytes,
            policy: self.policy,
            resend_after_ms: self.uplink.as_ref().map_or(30_000, |uplink| uplink.resend_after.ms()),
            machine_hash: xxh3_64(&machine.to_le_bytes()),
            boot_id: xxh3_64(&boot_id.to_le_bytes()),
            clock: self.clock_rules,
        };
        let Some(store) = store else {
            let identity =
                Identity { incarnation: [0; 16], machine_id: String::new(), parent: None };
            let agent = Agent::new(settings, task, identity, &Head::default(), None, self.now());
            return agent.map_err(|error| RunError::StateOfAnotherPlan(error.to_string()));
        };
        let snapshot = store.snapshot()?;
        task.restore(state).map_err(|error| RunError::StateOfAnotherPlan(error.to_string()))?;
        let record = snapshot.record(agent::RECORD)?;
        let identity = store.identity().clone();
        let now = self.now();
        let mut agent = Agent::new(settings, task, identity, store.head(), record.as_deref(), now)
            .map_err(|error| RunError::StateOfAnotherPlan(error.to_string()))?;
        agent.restore_counters(store.counters());
        // A damaged frame is met again, and dealt with, when its turn comes.
        agent.restore_rows(&snapshot).or_else(|e| if e.is_lost() { Ok(()) } else { Err(e) })?;
        agent.restore_flash(snapshot.record(agent::FLASH_RECORD)?.as_deref(), now);
        agent.restore_clock(now, |name| snapshot.record(name).map_err(RunError::from))?;
        agent.set_random(random()?);
        agent.set_ladder(self.ladder()?);
        if store.machine_changed() {
            tracing::warn!("The state directory was made on another machine: a new incarnation.");
            agent.moved_to(store.machine());
        }
        Ok(agent)
    }

    /// How a full outbox is made coarser.
    fn ladder(&self) -> Result<Vec<Rung>, RunError> {
        if self.policy == Policy::Coarsen && self.plan.ladder.is_empty() {
            return Err(RunError::Config(
                "[outbox] policy: the pipeline does not say how windows are made coarser\n  \
                 remedy: add SET 'headwater.coarsen' = '1 min, 10 min' to it, or use \"pause\""
                    .into(),
            ));
        }
        let rungs = self.plan.ladder.iter().map(|rung| {
            let number =
                |at: usize| wiring::channel_number(&self.plan, &self.plan.channels[at].name);
            let (fragment, limits) = (rung.fragment.clone(), self.plan.limits.clone());
            Ok(Rung { from: number(rung.from)?, to: number(rung.to)?, fragment, limits })
        });
        rungs.collect()
    }

    fn open_inputs(
        &self,
        fragment: &Fragment,
        (agent, snapshot): (&Agent, Option<&Snapshot>),
        env: &Environment<'_>,
    ) -> Result<Vec<Input>, RunError> {
        let positions = snapshot.map(Snapshot::positions).transpose()?.unwrap_or_default();
        let mut inputs = Vec::new();
        for (scan, spec) in fragment.scans.iter().enumerate() {
            let Some(table) = self.plan.table(&spec.name) else { continue };
            let parts = positions.iter().filter(|((source, _), _)| *source == spec.name);
            let position = parts.map(|((_, part), value)| (part.clone(), value.clone())).collect();
            let source = wiring::open_source(table, &position, env)?;
            inputs.push(Input {
                scan,
                name: spec.name.clone(),
                source,
                splits: Vec::new(),
                is_sequential: table.connector != "mqtt",
                idle_timeout_ms: wiring::idle_timeout_ms(&self.plan, table)
                    .filter(|_| !table.is_looked_up),
                is_idle: false,
                is_ended: table.is_looked_up,
                is_table: table.is_looked_up,
                alignment: Alignment::of(table).filter(|_| !table.is_looked_up),
                held: None,
                window: None,
                is_stamped: agent.task.is_stamped(scan),
                arrivals: Arrivals::default(),
            });
        }
        Ok(inputs)
    }
}

/// 128 random bits from the system.
pub(in crate::driver) fn random() -> Result<[u8; 16], RunError> {
    let bits = clock::random_id();
    bits.map(u128::to_le_bytes)
        .map_err(|error| RunError::Failed(format!("no random numbers: {error}")))
}

/// Opens the state directory and checks that it belongs to this plan.
pub(in crate::driver) fn open_store(
    dir: &std::path::Path,
    cache_bytes: u64,
    plan: &PlanRecord,
) -> Result<Store, RunError> {
    let machine = clock::machine_id().map(|id| format!("{id:032x}")).unwrap_or_default();
    let mut options = headwater_store::Options::new(random()?, &machine);
    options.cache_bytes = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
    let store = Store::open(dir, &options)?;
    store.check_plan(plan)?;
    Ok(store)
}

fn open_sinks(
    sinks: &[SinkSpec<'_>],
    agent: &mut Agent,
    snapshot: Option<&Snapshot>,
    env: &Environment<'_>,
) -> Result<Vec<Outlet>, RunError> {
    let mut outlets = Vec::new();
    for spec in sinks {
        let sink = wiring::open_sink(spec.table, env)?;
        let mut outlet = Outlet::new(spec.table.name.clone(), spec.channel, sink);
        let (range, offset) = (agent.sink_range(spec.channel), agent.sink_offset(spec.channel));
        let start = outlet
            .start(range, offset, snapshot)
            .map_err(|error| RunError::Failed(format!("sink {}: {error}", spec.table.name)))?;
        agent.set_sink_offset(spec.channel, start);
        outlets.push(outlet);
    }
    Ok(outlets)
}
