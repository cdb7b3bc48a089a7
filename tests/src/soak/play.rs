//! The faults of a soak: drawn from the seed, injected, and ended in their time. Guarantees that
//! one thing suffers from one fault at a time, and that at the end all is mended, without a hand
//! on a node but to start it after it was killed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Options;
use super::field::Field;
use super::load::Load;
use crate::broker::Mosquitto;
use crate::proxy::{Flow, Way};
use crate::sim::Chance;

/// Between two faults, ms, at most.
const PAUSE_MS_MAX: u64 = 1500;
/// A node that is not ready by then is reported.
const READY_MAX: Duration = Duration::from_secs(30);
/// Each waits for ten seconds.
const RESTARTS_MAX: u32 = 3;
/// How old a copy is when it is put back, at least.
const COPY_AGE: Duration = Duration::from_secs(5);
/// What was on its way to an agent when its state was copied, or replaced, ms of event time: what a
/// server that was frozen, and an agent that was away for as long, had not handed on.
const UNDER_WAY_MS: u64 = 300_000;
/// As far ahead a reading that the agent had taken may be of the time that is looked at, ms.
const AHEAD_MS: u64 = 20_000;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    KillAgent,
    KillCore,
    KillBroker,
    FreezeAgent,
    FreezeCore,
    FreezeBroker,
    FreezeReadings,
    Cut,
    HalfOpen,
    Delay,
    Discard,
    Reset,
    NoRoom,
    OldCopy,
}

/// What is drawn from; more often where there is more to find.
const DRAW: [Fault; 20] = [
    Fault::KillAgent,
    Fault::KillAgent,
    Fault::KillAgent,
    Fault::KillCore,
    Fault::KillCore,
    Fault::KillCore,
    Fault::KillBroker,
    Fault::KillBroker,
    Fault::FreezeAgent,
    Fault::FreezeCore,
    Fault::FreezeBroker,
    Fault::FreezeReadings,
    Fault::Cut,
    Fault::Cut,
    Fault::HalfOpen,
    Fault::Delay,
    Fault::Discard,
    Fault::Reset,
    Fault::NoRoom,
    Fault::OldCopy,
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::KillAgent => "SIGKILL of an agent",
            Fault::KillCore => "SIGKILL of the aggregator",
            Fault::KillBroker => "SIGKILL of the broker, sessions lost",
            Fault::FreezeAgent => "SIGSTOP of an agent",
            Fault::FreezeCore => "SIGSTOP of the aggregator",
            Fault::FreezeBroker => "SIGSTOP of the broker",
            Fault::FreezeReadings => "SIGSTOP of the readings' broker",
            Fault::Cut => "link cut",
            Fault::HalfOpen => "link half open",
            Fault::Delay => "link slow",
            Fault::Discard => "answers lost on the link",
            Fault::Reset => "link reset",
            Fault::NoRoom => "no room on the disk",
            Fault::OldCopy => "old copy of an agent's state put back",
        })
    }
}

/// What a fault is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Node(usize),
    Link(usize),
    Disk(usize),
    Broker,
    Readings,
}

impl Target {
    /// Whether node `n` may not become well because of it.
    fn disturbs(self, n: usize) -> bool {
        match self {
            Target::Link(link) => link == n,
            Target::Disk(disk) => disk == n,
            Target::Broker | Target::Readings => true,
            Target::Node(_) => false,
        }
    }
}

struct Pending {
    fault: Fault,
    target: Target,
    due: Instant,
}

/// A copy of an agent's state.
struct Copy {
    dir: PathBuf,
    made: Instant,
    event_ms: u64,
}

/// Event times whose readings an agent may have lost with its state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) agent: usize,
    pub(super) from_ms: u64,
    pub(super) to_ms: u64,
}

/// The faults so far and those under way.
pub(super) struct Play {
    chance: Chance,
    agents: usize,
    pending: Vec<Pending>,
    next: Instant,
    counts: BTreeMap<Fault, u64>,
    /// Since when each node starts, and whether nothing else disturbs it.
    starting: BTreeMap<usize, (Instant, bool)>,
    /// From start to ready, by node.
    pub(super) ready: Vec<Vec<Duration>>,
    copies: BTreeMap<usize, Copy>,
    lost: Vec<Lost>,
    /// What should not have happened.
    pub(super) findings: Vec<String>,
}

impl Play {
    pub(super) fn new(chance: Chance, options: &Options) -> Play {
        Play {
            chance,
            agents: options.agents,
            pending: Vec::new(),
            next: Instant::now(),
            counts: BTreeMap::new(),
            starting: BTreeMap::new(),
            ready: vec![Vec::new(); options.agents + 1],
            copies: BTreeMap::new(),
            lost: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Ends what is due, and begins another fault when it is time.
    pub(super) fn step(&mut self, field: &mut Field, load: &Load) -> io::Result<()> {
        self.end_due(field, Instant::now())?;
        self.look_after(field);
        if Instant::now() < self.next {
            return Ok(());
        }
        self.next = Instant::now() + Duration::from_millis(self.chance.below(PAUSE_MS_MAX));
        let at = usize::try_from(self.chance.below(DRAW.len() as u64)).unwrap_or(0);
        let fault = DRAW[at];
        let Some(target) = self.target(fault, field) else { return Ok(()) };
        if self.pending.iter().any(|pending| pending.target == target) {
            return Ok(());
        }
        self.inject(fault, target, field, load)
    }

    /// Ends every fault; nodes that are down are started.
    pub(super) fn end(&mut self, field: &mut Field) -> io::Result<()> {
        let latest = self.pending.iter().map(|pending| pending.due).max();
        latest.map_or(Ok(()), |due| self.end_due(field, due))
    }

    /// Sees which nodes have become ready, and that none has ended by itself.
    pub(super) fn look_after(&mut self, field: &mut Field) {
        for (n, node) in field.nodes.iter_mut().enumerate() {
            let is_down = |pending: &Pending| pending.target == Target::Node(n);
            if self.pending.iter().any(is_down) {
                continue;
            }
            if !node.is_running() {
                let name = node.dir().display();
                self.findings.push(format!("I5: {name} ended by itself: {}", node.log()));
                self.starting.remove(&n);
                // Said once; the run goes on.
                let _ = node.start();
                continue;
            }
            let Some((since, is_alone)) = self.starting.get(&n).copied() else { continue };
            if node.is_ready() {
                self.starting.remove(&n);
                if is_alone {
                    self.ready[n].push(since.elapsed());
                }
            } else if is_alone && since.elapsed() > READY_MAX {
                self.starting.remove(&n);
                self.findings.push(format!("I5: node {n} is not ready: {}", node.health()));
            }
        }
    }

    /// Faults so far.
    pub(super) fn counts(&self) -> String {
        format!("{} faults", self.counts.values().sum::<u64>())
    }

    pub(super) fn by_kind(&self) -> &BTreeMap<Fault, u64> {
        &self.counts
    }

    pub(super) fn lost(&self) -> &[Lost] {
        &self.lost
    }

    fn target(&mut self, fault: Fault, field: &Field) -> Option<Target> {
        let agents = self.agents as u64;
        let mut below = |limit: u64| usize::try_from(self.chance.below(limit)).unwrap_or(0);
        match fault {
            Fault::KillAgent | Fault::FreezeAgent => Some(Target::Node(below(agents))),
            Fault::KillCore | Fault::FreezeCore => Some(Target::Node(self.agents)),
            Fault::KillBroker | Fault::FreezeBroker => Some(Target::Broker),
            Fault::FreezeReadings => Some(Target::Readings),
            Fault::NoRoom => {
                let n = if below(2) == 0 { 0 } else { self.agents };
                field.disks[n].is_some().then_some(Target::Disk(n))
            }
            // The state of agent 0 may be a file system of its own.
            Fault::OldCopy => (agents > 1).then(|| Target::Node(1 + below(agents - 1))),
            _ => Some(Target::Link(below(agents + 1))),
        }
    }

    fn inject(
        &mut self,
        fault: Fault,
        target: Target,
        field: &mut Field,
        load: &Load,
    ) -> io::Result<()> {
        let seconds = |from: u64, to: u64, chance: &mut Chance| {
            Duration::from_millis(1000 * from + chance.below(1000 * (to - from)))
        };
        let long = seconds(1, 8, &mut self.chance);
        let short = Duration::from_millis(self.chance.below(1500));
        let lasts = match (fault, target) {
            (Fault::KillAgent | Fault::KillCore, Target::Node(n)) => {
                field.nodes[n].kill();
                // Mostly a restart at once, as by systemd.
                if self.chance.one_in(4) { long } else { Duration::ZERO }
            }
            (Fault::OldCopy, Target::Node(n)) => {
                self.copy(n, field, load)?;
                Duration::ZERO
            }
            (Fault::KillBroker, _) => {
                field.broker.kill();
                field.broker.forget()?;
                short
            }
            (Fault::FreezeAgent | Fault::FreezeCore, Target::Node(n)) => {
                field.nodes[n].freeze()?;
                long
            }
            (Fault::FreezeBroker, _) => field.broker.freeze().map(|()| long)?,
            (Fault::FreezeReadings, _) => field.readings.freeze().map(|()| long)?,
            (Fault::NoRoom, Target::Disk(n)) => {
                field.disks[n].as_ref().map_or(Ok(()), |disk| disk.fill())?;
                long
            }
            (_, Target::Link(n)) => {
                let link = &field.links[n];
                match fault {
                    Fault::Cut => link.cut(),
                    Fault::HalfOpen => link.half_open(),
                    Fault::Delay => link.set_delay(Duration::from_millis(20) + short / 10),
                    Fault::Discard => link.set_flow(Way::Down, Flow::Discard),
                    _ => link.reset(),
                }
                long
            }
            _ => return Ok(()),
        };
        if fault != Fault::OldCopy {
            *self.counts.entry(fault).or_default() += 1;
        }
        let starting = self.starting.iter_mut().filter(|(n, _)| target.disturbs(**n));
        starting.for_each(|(_, (_, is_alone))| *is_alone = false);
        self.starting.retain(|n, _| target != Target::Node(*n));
        self.pending.push(Pending { fault, target, due: Instant::now() + lasts });
        Ok(())
    }

    /// Kills the agent and copies its state, or puts the last copy in its place.
    fn copy(&mut self, n: usize, field: &mut Field, load: &Load) -> io::Result<()> {
        let (dir, event_ms) = (field.scratch.join(&format!("copy{n}")), load.now_ms());
        let node = &mut field.nodes[n];
        match self.copies.remove(&n) {
            None => {
                node.kill();
                node.copy_state(&dir)?;
                self.copies.insert(n, Copy { dir, made: Instant::now(), event_ms });
            }
            Some(copy) if copy.made.elapsed() < COPY_AGE => {
                self.copies.insert(n, copy);
                node.kill();
            }
            Some(copy) => {
                node.kill();
                node.put_state(&copy.dir)?;
                std::fs::remove_dir_all(&copy.dir)?;
                *self.counts.entry(Fault::OldCopy).or_default() += 1;
                // Readings were taken in before they were counted, or wait with their server.
                self.lost.push(Lost {
                    agent: n,
                    from_ms: copy.event_ms.saturating_sub(UNDER_WAY_MS),
                    to_ms: event_ms + AHEAD_MS,
                });
            }
        }
        Ok(())
    }

    fn end_due(&mut self, field: &mut Field, now: Instant) -> io::Result<()> {
        let mut index = 0;
        while index < self.pending.len() {
            if self.pending[index].due > now {
                index += 1;
                continue;
            }
            let Pending { fault, target, .. } = self.pending.remove(index);
            match (fault, target) {
                (Fault::KillAgent | Fault::KillCore | Fault::OldCopy, Target::Node(n)) => {
                    field.nodes[n].start()?;
                    let is_alone = !self.pending.iter().any(|p| p.target.disturbs(n));
                    self.starting.insert(n, (Instant::now(), is_alone));
                }
                (_, Target::Node(n)) => field.nodes[n].thaw()?,
                (Fault::KillBroker, _) => restart(&mut field.broker)?,
                (_, Target::Broker) => field.broker.thaw()?,
                (_, Target::Readings) => field.readings.thaw()?,
                (_, Target::Disk(n)) => {
                    field.disks[n].as_ref().map_or(Ok(()), |disk| disk.free())?;
                }
                (_, Target::Link(n)) => field.links[n].heal(),
            }
        }
        Ok(())
    }
}

/// A client's own port may be the server's for a moment, while it was away.
fn restart(broker: &mut Mosquitto) -> io::Result<()> {
    let mut tries = 1;
    while let Err(error) = broker.restart() {
        if tries == RESTARTS_MAX {
            return Err(error);
        }
        tries += 1;
    }
    Ok(())
}
