//! An agent over a disk in memory: takes records, makes checkpoints, loses power, goes on.

use headwater_engine::fragment::Fragment;
use headwater_engine::operator::RestoreError;
use headwater_engine::pipeline::SplitId;
use headwater_plan::Plan;
use headwater_runtime::agent::{Agent, FlashLimits, Now, Policy, RECORD, Rung, Settings};
use headwater_runtime::clock::Rules;
use headwater_runtime::driver::wiring;
use headwater_runtime::task::{Origin, Task};
use headwater_store::{PositionWrite, Store};
use headwater_wire::{Ack, AgentId, Control, encode_ack, encode_control, encode_up};

use super::{MACHINE, Medium, SINK_CHANNEL_FIRST, bits, now};

/// The state machine of an agent on what its store holds; `tune` changes settings that never make
/// a checkpoint or a loss by themselves.
///
/// # Panics
/// When the state cannot be read: that is what a simulation looks for.
pub(super) fn machine(
    plan: &Plan,
    id: &AgentId,
    store: &Store,
    tune: impl FnOnce(&mut Settings),
    now: Now,
) -> Agent {
    let fragment = fragment(plan);
    let record = wiring::plan_record(plan, fragment);
    store.check_plan(&record).expect("the state is of this plan");
    let scans = wiring::scan_ports(plan, fragment, id.as_str()).expect("the plan was checked");
    let (outputs, sinks) = wiring::output_ports(plan, fragment).expect("the plan was checked");
    let mut task = Task::new(fragment, &plan.limits, scans, outputs).expect("it compiles");
    let snapshot = store.snapshot().expect("an open store can be read");
    task.restore(&snapshot.load_state().expect("readable state")).expect("fitting state");
    let exchanges = if plan.whole.is_some() { 0 } else { plan.channels.len() };
    let exchanges = u32::try_from(exchanges).expect("a plan has few channels");
    let mut settings = Settings {
        id: id.clone(),
        plan: record,
        exchanges: (0..exchanges).collect(),
        sinks: sinks.iter().map(|sink| sink.channel).collect(),
        checkpoint_interval_ms: i64::MAX,
        flash: FlashLimits::NONE,
        dirty_bytes_max: usize::MAX,
        quota_bytes: 1 << 30,
        policy: Policy::Pause,
        resend_after_ms: 30_000,
        machine_hash: 1,
        boot_id: 1,
        clock: Rules::default(),
    };
    tune(&mut settings);
    let stored = snapshot.record(RECORD).expect("a readable record");
    let (identity, head) = (store.identity().clone(), store.head());
    let mut agent = Agent::new(settings, task, identity, head, stored.as_deref(), now)
        .expect("a record of this version");
    agent.restore_counters(store.counters());
    agent.restore_rows(&snapshot).expect("a readable outbox");
    let read = |name: &str| {
        let stored = snapshot.record(name);
        Ok::<_, RestoreError>(stored.expect("a readable record"))
    };
    agent.restore_clock(now, read).expect("records of this version");
    agent
}

/// What a plan lets an agent run.
pub(super) fn fragment(plan: &Plan) -> &Fragment {
    plan.whole.as_ref().or(plan.edge.as_ref()).expect("a plan has an edge")
}

/// An agent, or a whole pipeline alone.
pub struct Edge<'p> {
    plan: &'p Plan,
    fragment: &'p Fragment,
    id: AgentId,
    medium: Medium,
    agent: Agent,
    splits: Vec<SplitId>,
    /// Records taken, per scan; what the store holds after a crash.
    taken: Vec<u64>,
    ticks: i64,
    place: Place<'p>,
}

/// Where an agent runs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Name of the machine.
    pub machine: &'a str,
    /// What happens when the outbox is full.
    pub policy: Policy,
    /// From which size on it is.
    pub quota_bytes: u64,
}

impl Default for Place<'_> {
    fn default() -> Self {
        Place { machine: MACHINE, policy: Policy::Pause, quota_bytes: 1 << 30 }
    }
}

/// The ladder of a plan.
pub(super) fn rungs(plan: &Plan) -> Vec<Rung> {
    let number = |at: usize| u32::try_from(at).expect("a plan has few channels");
    let rung = |rung: &headwater_plan::Rung| Rung {
        from: number(rung.from),
        to: number(rung.to),
        fragment: rung.fragment.clone(),
        limits: plan.limits.clone(),
    };
    plan.ladder.iter().map(rung).collect()
}

impl<'p> Edge<'p> {
    /// Opens an agent on the image of a disk; an empty one is a new disk.
    ///
    /// # Panics
    /// When the state cannot be read: that is what a simulation looks for.
    #[must_use]
    pub fn open(plan: &'p Plan, id: &str, image: Vec<u8>, ticks: i64) -> Edge<'p> {
        Edge::open_with(plan, id, image, ticks, &Place::default())
    }

    /// The same with another machine or outbox.
    ///
    /// # Panics
    /// When the state cannot be read.
    #[must_use]
    pub fn open_with(
        plan: &'p Plan,
        id: &str,
        image: Vec<u8>,
        ticks: i64,
        place: &Place<'p>,
    ) -> Edge<'p> {
        let fragment = fragment(plan);
        let medium = Medium::open(image, id, place.machine, ticks);
        let name: AgentId = id.parse().expect("a valid name");
        let settle = |settings: &mut Settings| {
            settings.quota_bytes = place.quota_bytes;
            settings.policy = place.policy;
            // Each machine, and each start of it, is a boot of its own: ticks are no common clock.
            settings.boot_id = place.machine.len() as u64 + (ticks.unsigned_abs() << 8);
        };
        let mut agent = self::machine(plan, &name, &medium.store, settle, now(ticks));
        agent.set_ladder(rungs(plan));
        agent.set_random(bits(id, -ticks));
        if medium.store.machine_changed() {
            agent.moved_to(place.machine);
        }
        let snapshot = medium.snapshot();
        let positions = snapshot.positions().expect("readable positions");
        let mut splits = Vec::new();
        let mut taken = Vec::new();
        for (scan, spec) in fragment.scans.iter().enumerate() {
            splits.push(agent.task.split(scan, "0"));
            let position = positions.get(&(spec.name.clone(), String::new()));
            taken.push(position.map_or(0, |bytes| {
                u64::from_le_bytes(bytes.as_slice().try_into().expect("eight bytes"))
            }));
        }
        drop(snapshot);
        Edge { plan, fragment, id: name, medium, agent, splits, taken, ticks, place: *place }
    }

    /// A copy of the state directory.
    #[must_use]
    pub fn copy(&self) -> Vec<u8> {
        self.medium.copy()
    }

    /// The power goes and comes back: a new agent on what the disk still has.
    #[must_use]
    pub fn crash(self, seed: u64) -> Edge<'p> {
        let Edge { plan, id, medium, ticks, agent, place, .. } = self;
        drop(agent);
        Edge::open_with(plan, id.as_str(), medium.crash(seed), ticks, &place)
    }

    /// The same agent with another policy, from its next start on.
    #[must_use]
    pub fn under(mut self, policy: Policy) -> Edge<'p> {
        self.place.policy = policy;
        self
    }

    /// Name of the agent.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.id
    }

    /// The scan of a source table.
    #[must_use]
    pub fn scan(&self, table: &str) -> Option<usize> {
        self.fragment.scans.iter().position(|scan| scan.name == table)
    }

    /// How many records of a scan are taken, after a crash: of those that are durable.
    #[must_use]
    pub fn taken(&self, scan: usize) -> u64 {
        self.taken[scan]
    }

    /// Takes one record.
    pub fn record(&mut self, scan: usize, record: &[u8]) {
        let origin = Origin { scan, split: self.splits[scan], topic: None, arrival_ms: 0 };
        self.agent.task.record(origin, record, now(self.ticks).wall_ms);
        self.taken[scan] += 1;
    }

    /// Every source is at its end.
    pub fn end(&mut self) {
        (0..self.splits.len()).for_each(|scan| self.agent.task.end(scan));
    }

    /// One durable transaction with all that has happened.
    ///
    /// # Panics
    /// When the store refuses it.
    pub fn checkpoint(&mut self) {
        self.ticks += 1;
        let position = |(scan, taken): (&headwater_engine::fragment::Scan, &u64)| PositionWrite {
            source: scan.name.clone(),
            split: String::new(),
            value: Some(taken.to_le_bytes().to_vec()),
        };
        let positions = self.fragment.scans.iter().zip(&self.taken).map(position).collect();
        let commit = self.agent.checkpoint(positions, now(self.ticks));
        let stats = self.medium.store.commit(&commit).expect("a healthy disk takes a commit");
        self.agent.committed(&commit, stats.base_bytes, stats.delta_bytes);
    }

    /// Makes frames coarser if that is due.
    ///
    /// # Panics
    /// When a frame cannot be read.
    pub fn coarsen(&mut self) {
        if let Some(job) = self.agent.coarsen_due() {
            let rows = self.medium.snapshot().outbox(job.channel, job.from, 2 << 20);
            self.agent.coarsen(job, &rows.expect("a readable outbox")).expect("fitting frames");
        }
    }

    /// Whether the outbox makes sources wait.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.agent.is_paused()
    }

    /// A total of the agent.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.agent.counters().get(name).copied().unwrap_or(0)
    }

    /// Lets time pass.
    pub fn wait(&mut self, ms: i64) {
        self.ticks += ms;
    }

    /// Bytes of the state on its disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.medium.copy().len() as u64
    }

    /// Whether a checkpoint is due at once.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        self.agent.wants_checkpoint(now(self.ticks))
    }

    /// The link is gone.
    pub fn disconnected(&mut self) {
        self.agent.disconnected();
    }

    /// The link is up: a hello is due.
    pub fn connected(&mut self) {
        self.agent.connected(now(self.ticks));
    }

    /// Hellos, heartbeats and declarations that are due, encoded.
    ///
    /// # Panics
    /// When one cannot be encoded.
    pub fn messages(&mut self) -> Vec<Vec<u8>> {
        self.compare();
        let now = now(self.ticks);
        let messages = std::iter::from_fn(|| self.agent.next_message(now));
        messages.map(|message| encode_up(&message).expect("a message fits")).collect()
    }

    /// Looks at stored frames before a grant is taken.
    fn compare(&mut self) {
        let snapshot = self.medium.snapshot();
        while let Some((channel, seq)) = self.agent.next_to_compare() {
            let rows = snapshot.outbox(channel, seq, 1).expect("a readable outbox");
            self.agent.compare(&rows[0].bytes, now(self.ticks)).expect("a frame of our own");
        }
    }

    /// Frames that may be sent, from the store, under the present term.
    ///
    /// # Panics
    /// When the outbox lacks one.
    pub fn frames(&mut self) -> Vec<Vec<u8>> {
        let now = now(self.ticks);
        let snapshot = self.medium.snapshot();
        let mut frames = Vec::new();
        while let Some((channel, seq)) = self.agent.next_transmit(now) {
            let rows = snapshot.outbox(channel, seq, 1).expect("a readable outbox");
            let row = rows.into_iter().next().expect("what is to be sent is in the outbox");
            assert_eq!(row.seq, seq);
            let mut bytes = row.bytes;
            self.agent.address(channel, seq, &mut bytes).expect("a frame of our own");
            self.agent.transmitted(channel, seq, now);
            frames.push(bytes);
        }
        frames
    }

    /// An acknowledgement arrives.
    ///
    /// # Panics
    /// When it cannot be encoded.
    pub fn acknowledged(&mut self, ack: &Ack) {
        let bytes = encode_ack(ack).expect("an acknowledgement fits");
        self.agent.ack_received(&bytes, now(self.ticks));
    }

    /// A grant or another control message arrives.
    ///
    /// # Panics
    /// When it cannot be encoded.
    pub fn controlled(&mut self, control: &Control) {
        let bytes = encode_control(control).expect("a control message fits");
        self.agent.control_received(&bytes, now(self.ticks));
    }

    /// Frames that the core has not acknowledged.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.agent.backlog().0
    }

    /// All results of the sinks here.
    #[must_use]
    pub fn results(&self) -> Vec<u8> {
        let sinks: Vec<u32> = self.agent.settings().sinks.clone();
        debug_assert!(sinks.iter().all(|channel| *channel >= SINK_CHANNEL_FIRST));
        self.medium.results(&sinks)
    }

    /// Records that were set aside and are durable.
    #[must_use]
    pub fn dead_letters_count(&self) -> usize {
        self.medium.dead_letters_count()
    }
}
