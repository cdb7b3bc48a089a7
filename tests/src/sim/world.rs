//! A fleet in one thread: the real agents, hub, stores and wire over simulated disks, network,
//! broker and clocks, in virtual time, with faults. One seed is one run; the same seed is the same
//! run, event by event.
//!
//! Guarantees: every effect of a process (commit, transmit, acknowledge, deliver) is one step
//! before which it can die. Does not simulate sockets, threads, files or sources: see the tests
//! with real processes.

mod broker;
mod center;
mod check;
mod clock;
mod copy;
mod coverage;
mod events;
mod faults;
mod gateway;
mod hunt;
mod network;
mod process;
mod readings;
mod setup;
mod trace;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use headwater_plan::Plan;

pub use check::Violation;
pub use coverage::Coverage;
pub use faults::{FAULTS, Fault, Mix};
pub use hunt::{cores, first_failure, run_seeds};
pub use trace::{Note, Trace};

use self::events::Event;
use super::Chance;
use broker::Broker;
use center::Center;
use check::Checker;
use gateway::Gateway;
use network::Link;
use setup::Shape;

/// After the last fault everything must be delivered within this time, ms.
const CATCH_UP_MS: u64 = 20 * 60_000;

/// How to run seeds.
#[derive(Clone, Debug)]
pub struct Options {
    /// Kinds of faults.
    pub mix: Mix,
    /// Gateways; a few as the seed decides otherwise.
    pub gateways: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Options { mix: Mix::all(), gateways: None }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Promises that were broken.
    pub violations: Vec<Violation>,
    /// What happened.
    pub trace: Trace,
    /// Which fault met which state.
    pub coverage: Coverage,
    /// Virtual time, ms.
    pub virtual_ms: u64,
    /// From the end of the faults until everything was delivered, ms.
    pub catch_up_ms: u64,
    /// Readings taken by the gateways.
    pub readings: u64,
    /// Gateways.
    pub nodes: usize,
}

/// Events of a trace that a report shows.
const SHOWN_EVENTS: usize = 60;

impl Outcome {
    /// What a person needs to find the cause.
    #[must_use]
    pub fn report(&self) -> String {
        let Some(first) = self.violations.first() else { return String::new() };
        let all: Vec<&str> = self.violations.iter().map(|v| v.what.as_str()).collect();
        format!(
            "seed {}: node {}: {}\n{}\nreplay: cargo run --release -p headwater-tests --bin \
             headwater-sim -- --replay {}",
            self.seed,
            first.node,
            all.join("\n  "),
            self.trace.shortened(first.node, SHOWN_EVENTS),
            self.seed,
        )
    }
}

/// A simulated fleet.
pub(crate) struct World<'p> {
    plan: &'p Plan,
    shape: Shape,
    chance: Chance,
    /// True time, ms.
    at: u64,
    queue: BTreeMap<(u64, u64), Event>,
    order: u64,
    core: Center,
    gateways: Vec<Gateway>,
    broker: Broker,
    links: Vec<Link>,
    checker: Checker,
    trace: Trace,
    coverage: Coverage,
    copy_stage: copy::Stage,
    /// The faults are over.
    is_quiet: bool,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut chance = Chance::new(seed);
    let shape = Shape::of(&mut chance, &options.mix, options.gateways);
    let mut world = World::new(setup::plan(shape.policy), shape, chance);
    let done = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(panic) = done {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        world.checker.fail(0, format!("panicked: {text}"));
    }
    Outcome {
        seed,
        violations: std::mem::take(&mut world.checker.violations),
        virtual_ms: world.at,
        catch_up_ms: world.at.saturating_sub(world.shape.rate.until_ms),
        readings: world.gateways.iter().map(|gateway| gateway.readings.len() as u64).sum(),
        nodes: world.gateways.len(),
        trace: world.trace,
        coverage: world.coverage,
    }
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan, shape: Shape, mut chance: Chance) -> World<'p> {
        let mut gateways: Vec<Gateway> = (1..=shape.gateways)
            .map(|node| Gateway::new(node, readings::readings(&mut chance, shape.rate)))
            .collect();
        if let Some(plan) = &shape.copy {
            let own = readings::other_readings(&mut chance, shape.rate);
            gateways.push(Gateway::copy(&gateways[plan.of - 1], gateways.len() + 1, plan, own));
        }
        let backlog_max = shape.quota_bytes + BACKLOG_SLACK_BYTES;
        World {
            plan,
            chance,
            at: 0,
            queue: BTreeMap::new(),
            order: 0,
            core: Center::default(),
            links: vec![Link::default(); gateways.len() + 1],
            gateways,
            broker: Broker::default(),
            checker: Checker::new(plan, shape.policy, backlog_max),
            trace: Trace::default(),
            coverage: Coverage::default(),
            copy_stage: copy::Stage::default(),
            is_quiet: false,
            shape,
        }
    }

    fn run(&mut self) {
        for node in 0..=self.gateways.len() {
            let at = self.chance.below(5000);
            self.plan_at(at, Event::Start(node));
        }
        self.plan_copy();
        if !faults::is_quiet(&self.shape) {
            self.plan_at(1000, Event::Fault);
        }
        let until = self.shape.rate.until_ms;
        self.plan_at(until, Event::Quiet);
        let (mut before, mut same) = (0, 0);
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.at = at;
            self.happen(event);
            same = if at == before { same + 1 } else { 0 };
            before = at;
            if same > EVENTS_AT_ONCE_MAX {
                return self.checker.fail(0, format!("no end of events at {at} ms"));
            }
            if !self.checker.violations.is_empty() {
                return;
            }
            if self.is_quiet && self.are_done() {
                return self.finish();
            }
            if self.at > until + CATCH_UP_MS {
                return self.fail_late();
            }
        }
    }

    /// Liveness: something is not delivered although nothing stands in its way.
    fn fail_late(&mut self) {
        let late = self.gateways.iter().position(|gateway| !gateway.is_done(self.at));
        let index = late.expect("something is late");
        let gateway = &self.gateways[index];
        let (state, total) = (gateway.state(), gateway.readings.len());
        let what = gateway.life.as_ref().map_or(String::new(), |life| {
            let (frames, taken) = (life.agent.backlog().0, life.taken);
            let problem = life.agent.link_problem().unwrap_or_default();
            format!("{frames} frames wait, {taken} of {total} readings taken; {problem}")
        });
        self.checker.fail(index + 1, format!("I5: not delivered in time: {state}: {what}"));
    }

    /// Everything is delivered: the power of the core is cut once more, then all windows close.
    fn finish(&mut self) {
        self.kill(0, process::Ending::Cut);
        self.start(0);
        let Some(mut life) = self.core.life.take() else { return };
        life.hub.end();
        let now = self.core.machine.clock.now(self.at);
        let commit = life.hub.checkpoint(Vec::new(), now);
        let stored = self.store_core(&mut life, commit).expect("nothing dies any more");
        assert!(stored, "a healthy disk takes a commit");
        self.deliver(&mut life).expect("nothing dies any more");
        let gaps = life.process.medium.snapshot().gaps(0, usize::MAX).expect("a readable list");
        let gaps: Vec<_> = gaps.into_iter().map(|(_, gap)| gap).collect();
        // A copy that was never made, or reads what its original reads, adds nothing.
        let adds = |(index, _): &(usize, &Gateway)| {
            let copy = self.shape.copy.filter(|_| *index >= self.shape.gateways);
            copy.is_none_or(|copy| copy.has_own_readings && self.checker.is_changed())
        };
        let read = self.gateways.iter().enumerate();
        let read = read.map(|g| if adds(&g) { &g.1.readings[..] } else { &[] });
        let read: Vec<&[readings::Reading]> = read.collect();
        let answers: Vec<_> = read.iter().map(|list| readings::answer(list)).collect();
        if self.checker.is_changed() {
            let most: Vec<_> = read.iter().map(|list| readings::all(list)).collect();
            return self.checker.finish_changed(&answers, &most, &gaps);
        }
        let dropped = life.hub.counters().get("hub/rows-dropped-by-agents").copied();
        self.checker.finish(&answers, &gaps, dropped.unwrap_or(0));
    }

    fn are_done(&self) -> bool {
        self.gateways.iter().all(|gateway| gateway.is_done(self.at))
    }
}

/// More events than this in one millisecond are a loop without end.
const EVENTS_AT_ONCE_MAX: u64 = 100_000;
/// What one checkpoint may add to a full outbox.
const BACKLOG_SLACK_BYTES: u64 = 256 << 10;
