//! The aggregator over a disk in memory: takes frames, commits, answers, loses power, goes on.

use headwater_plan::Plan;
use headwater_runtime::agent::Now;
use headwater_runtime::driver::wiring;
use headwater_runtime::hub::{Hub, RECORD, Reply, Settings};
use headwater_runtime::task::{Task, operator_number};
use headwater_store::Store;
use headwater_wire::AgentId;

use super::{MACHINE, Medium, now};

/// The state machine of an aggregator on what its store holds; `tune` changes settings that never
/// make a checkpoint by themselves.
///
/// # Panics
/// When the state cannot be read: that is what a simulation looks for.
pub(super) fn machine(
    plan: &Plan,
    store: &Store,
    tune: impl FnOnce(&mut Settings),
    now: Now,
) -> Hub {
    let fragment = plan.core.as_ref().expect("a cut plan has a core");
    let record = wiring::plan_record(plan, fragment);
    store.check_plan(&record).expect("the state is of this plan");
    let scans = wiring::scan_ports(plan, fragment, "core").expect("the plan was checked");
    let (outputs, _) = wiring::output_ports(plan, fragment).expect("the plan was checked");
    let mut task = Task::new(fragment, &plan.limits, scans, outputs).expect("it compiles");
    let snapshot = store.snapshot().expect("an open store can be read");
    task.restore(&snapshot.load_state().expect("readable state")).expect("fitting state");
    let mut settings = Settings {
        plan: record,
        exchanges: wiring::exchanges(plan).expect("the plan was checked"),
        sinks: sinks(plan),
        checkpoint_interval_ms: i64::MAX,
        dirty_bytes_max: usize::MAX,
        idle_timeout_ms: i64::MAX / 2,
        expected: Vec::new(),
    };
    tune(&mut settings);
    let stored = snapshot.record(RECORD).expect("a readable record");
    let mut hub = Hub::new(settings, task, store.head(), stored.as_deref(), now)
        .expect("a record of this version");
    let ledger = snapshot.ledger().expect("a readable ledger");
    let agents = snapshot.agents().expect("readable agents");
    hub.restore(&ledger, &agents, store.counters(), now).expect("records of this version");
    hub
}

/// Channels of the sinks at the core.
pub(super) fn sinks(plan: &Plan) -> Vec<u32> {
    let fragment = plan.core.as_ref().expect("a cut plan has a core");
    let (_, sinks) = wiring::output_ports(plan, fragment).expect("the plan was checked");
    sinks.iter().map(|sink| sink.channel).collect()
}

/// The aggregator.
pub struct Core<'p> {
    plan: &'p Plan,
    expected: Vec<AgentId>,
    medium: Medium,
    hub: Hub,
    sinks: Vec<u32>,
    ticks: i64,
}

impl<'p> Core<'p> {
    /// Opens the aggregator on the image of a disk; its watermark waits for all of `expected`.
    ///
    /// # Panics
    /// When the state cannot be read: that is what a simulation looks for.
    #[must_use]
    pub fn open(plan: &'p Plan, expected: &[AgentId], image: Vec<u8>, ticks: i64) -> Core<'p> {
        let medium = Medium::open(image, "core", MACHINE, ticks);
        let tune = |settings: &mut Settings| settings.expected = expected.to_vec();
        let hub = machine(plan, &medium.store, tune, now(ticks));
        let sinks = sinks(plan);
        Core { plan, expected: expected.to_vec(), medium, hub, sinks, ticks }
    }

    /// A copy of the state, as a backup has it.
    #[must_use]
    pub fn copy(&self) -> Vec<u8> {
        self.medium.copy()
    }

    /// The power goes and comes back.
    #[must_use]
    pub fn crash(self, seed: u64) -> Core<'p> {
        let Core { plan, expected, medium, ticks, hub, .. } = self;
        drop(hub);
        Core::open(plan, &expected, medium.crash(seed), ticks)
    }

    /// A hello, heartbeat or declaration of an agent arrives.
    ///
    /// # Panics
    /// When the state does not fit.
    pub fn message(&mut self, from: &AgentId, bytes: &[u8]) {
        let store = &self.medium.store;
        let mut cold = |step, time| cold(store, step, time);
        self.hub.message(from, bytes, 0, now(self.ticks), &mut cold).expect("fitting state");
    }

    /// A frame of an agent arrives.
    ///
    /// # Panics
    /// When the state does not fit.
    pub fn frame(&mut self, from: &AgentId, bytes: &[u8]) {
        let store = &self.medium.store;
        let mut cold = |step, time| cold(store, step, time);
        self.hub.frame(from, bytes, 0, now(self.ticks), &mut cold).expect("fitting state");
    }

    /// Whether a checkpoint is due at once.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        self.hub.wants_checkpoint(now(self.ticks))
    }

    /// One durable transaction with all that has happened; what waited for it goes on.
    ///
    /// # Panics
    /// When the store refuses it.
    pub fn checkpoint(&mut self) {
        self.ticks += 1;
        let commit = self.hub.checkpoint(Vec::new(), now(self.ticks));
        let stats = self.medium.store.commit(&commit).expect("a healthy disk takes a commit");
        self.hub.committed(&commit, stats.base_bytes, stats.delta_bytes);
        self.hub.take_settled();
        let store = &self.medium.store;
        let mut cold = |step, time| cold(store, step, time);
        self.hub.resume(now(self.ticks), &mut cold).expect("fitting state");
    }

    /// Acknowledgements and control messages to send.
    pub fn replies(&mut self) -> Vec<Reply> {
        self.hub.take_replies()
    }

    /// No frame will come any more: every window closes.
    pub fn end(&mut self) {
        self.hub.end();
    }

    /// All results.
    #[must_use]
    pub fn results(&self) -> Vec<u8> {
        self.medium.results(&self.sinks)
    }

    /// A total of the hub.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.hub.counters().get(name).copied().unwrap_or(0)
    }

    /// Gaps that were declared.
    ///
    /// # Panics
    /// When the list cannot be read.
    #[must_use]
    pub fn gaps_count(&self) -> usize {
        self.medium.snapshot().gaps(0, usize::MAX).expect("a readable list").len()
    }

    /// Records that were set aside and are durable.
    #[must_use]
    pub fn dead_letters_count(&self) -> usize {
        self.medium.dead_letters_count()
    }
}

pub(super) fn cold(store: &Store, step: usize, time: i64) -> Option<Vec<u8>> {
    let snapshot = store.snapshot().expect("an open store can be read");
    let chunks = snapshot.cold(operator_number(step), time).expect("readable cold state");
    (!chunks.is_empty()).then(|| chunks.into_iter().flat_map(|(_, bytes)| bytes).collect())
}
