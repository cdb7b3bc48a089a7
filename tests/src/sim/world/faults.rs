//! Everything that can go wrong, by name, and how it is done to a world.

use headwater_store::crash::Forgets;

use super::World;
use super::process::Ending;
use super::setup::Shape;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The broker takes messages from and for one node and loses one in four.
    Loss,
    /// Packets of one node come twice, one in four.
    Doubling,
    /// Packets of one node take up to 20 s.
    Delay,
    /// Packets of one node overtake each other.
    Shuffle,
    /// The connection of one node breaks.
    Break,
    /// One node has no connection for a while.
    Partition,
    /// Packets of one node vanish and nobody is told.
    HalfOpen,
    /// The broker restarts with its sessions.
    BrokerRestart,
    /// The broker restarts and has forgotten everything.
    BrokerForgets,
    /// SIGKILL of a process.
    Kill,
    /// The power of a machine is cut.
    PowerCut,
    /// A process dies between two of its next effects.
    BetweenEffects,
    /// SIGKILL between two writes of a commit.
    KillInCommit,
    /// The power is cut between two writes of a commit.
    CutInCommit,
    /// Barriers fail, then work again.
    SyncFails,
    /// Writes fail, then work again.
    WriteFails,
    /// The disk has no room for a while.
    NoRoom,
    /// A wall clock is set wrong.
    ClockStep,
    /// The clocks of a machine run fast or slow.
    ClockDrift,
    /// A machine without a battery boots: its clock says 1970 until it is set.
    Boot1970,
    /// The core gets the state of an earlier time back.
    CoreBackup,
    /// A gateway gets the state of an earlier time back.
    AgentBackup,
    /// A gateway loses its state.
    Reflash,
    /// A copy of a gateway's state runs beside it; later one of the two ends.
    LiveCopy,
}

/// All kinds.
pub const FAULTS: [Fault; 24] = [
    Fault::Loss,
    Fault::Doubling,
    Fault::Delay,
    Fault::Shuffle,
    Fault::Break,
    Fault::Partition,
    Fault::HalfOpen,
    Fault::BrokerRestart,
    Fault::BrokerForgets,
    Fault::Kill,
    Fault::PowerCut,
    Fault::BetweenEffects,
    Fault::KillInCommit,
    Fault::CutInCommit,
    Fault::SyncFails,
    Fault::WriteFails,
    Fault::NoRoom,
    Fault::ClockStep,
    Fault::ClockDrift,
    Fault::Boot1970,
    Fault::CoreBackup,
    Fault::AgentBackup,
    Fault::Reflash,
    Fault::LiveCopy,
];

impl Fault {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Loss => "loss",
            Fault::Doubling => "doubling",
            Fault::Delay => "delay",
            Fault::Shuffle => "shuffle",
            Fault::Break => "break",
            Fault::Partition => "partition",
            Fault::HalfOpen => "half-open",
            Fault::BrokerRestart => "broker-restart",
            Fault::BrokerForgets => "broker-forgets",
            Fault::Kill => "kill",
            Fault::PowerCut => "power-cut",
            Fault::BetweenEffects => "between-effects",
            Fault::KillInCommit => "kill-in-commit",
            Fault::CutInCommit => "cut-in-commit",
            Fault::SyncFails => "sync-fails",
            Fault::WriteFails => "write-fails",
            Fault::NoRoom => "no-room",
            Fault::ClockStep => "clock-step",
            Fault::ClockDrift => "clock-drift",
            Fault::Boot1970 => "boot-1970",
            Fault::CoreBackup => "core-backup",
            Fault::AgentBackup => "agent-backup",
            Fault::Reflash => "reflash",
            Fault::LiveCopy => "live-copy",
        }
    }

    fn is_of_broker(self) -> bool {
        matches!(self, Fault::BrokerRestart | Fault::BrokerForgets)
    }
}

/// Which kinds a run may see.
#[derive(Clone, Debug)]
pub struct Mix(Vec<Fault>);

impl Mix {
    /// Every kind.
    #[must_use]
    pub fn all() -> Mix {
        Mix(FAULTS.to_vec())
    }

    /// From names divided by commas: `all`, `none`, a name, `-name`.
    ///
    /// # Errors
    /// Names the word that is no fault.
    pub fn parse(text: &str) -> Result<Mix, String> {
        let mut kinds: Vec<Fault> = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, is_taken) = word.strip_prefix('-').map_or((word, true), |n| (n, false));
            let named: Vec<Fault> = match name {
                "all" => Mix::all().0,
                "none" => Vec::new(),
                name => FAULTS.into_iter().filter(|fault| fault.name() == name).collect(),
            };
            if named.is_empty() && name != "none" {
                return Err(format!("'{name}' is no fault"));
            }
            kinds.retain(|kind| !named.contains(kind));
            if is_taken {
                kinds.extend(named);
            }
        }
        Ok(Mix(kinds))
    }

    /// The kinds.
    pub fn kinds(&self) -> impl Iterator<Item = Fault> + '_ {
        self.0.iter().copied()
    }
}

impl World<'_> {
    /// One fault of this kind, somewhere.
    pub(super) fn inject(&mut self, fault: Fault) {
        let gateways = self.gateways.len() as u64;
        let drawn = match self.chance.one_in(3) {
            true => 0,
            false => 1 + self.chance.below(gateways),
        };
        let node = match fault {
            Fault::BrokerRestart | Fault::BrokerForgets | Fault::CoreBackup => 0,
            Fault::AgentBackup | Fault::Reflash => {
                1 + usize::try_from(self.chance.below(gateways)).expect("few")
            }
            _ => usize::try_from(drawn).expect("few"),
        };
        let node = self.awake(node);
        let state = match node {
            0 => self.core.state(self.at),
            node => self.gateways[node - 1].state(),
        };
        let state = if fault.is_of_broker() { "broker" } else { state };
        let ms = 1000 + self.chance.below(60_000);
        self.coverage.count(fault.name(), if node == 0 { self.of_core(state) } else { state });
        self.trace.fault(self.at, node, fault.name(), ms);
        match fault {
            Fault::Loss | Fault::Doubling | Fault::Delay | Fault::Shuffle => {
                let link = &mut self.links[node];
                let until = match fault {
                    Fault::Loss => &mut link.lossy_until,
                    Fault::Doubling => &mut link.doubling_until,
                    Fault::Delay => &mut link.slow_until,
                    _ => &mut link.shuffled_until,
                };
                *until = self.at + ms;
            }
            Fault::Break => self.disconnect(node),
            Fault::Partition => {
                let ms = if self.chance.one_in(4) { 10 * ms } else { ms };
                self.links[node].parted_until = self.at + ms;
                self.disconnect(node);
            }
            Fault::HalfOpen => self.fall_silent(node, ms),
            Fault::BrokerRestart | Fault::BrokerForgets => {
                self.stop_broker(ms / 3, fault == Fault::BrokerForgets);
            }
            Fault::Kill => self.kill(node, Ending::Killed),
            Fault::PowerCut | Fault::Boot1970 => {
                self.kill(node, Ending::Cut);
                let has_battery = fault == Fault::PowerCut;
                let at = self.at;
                self.machine(node).clock.boot(at, has_battery);
                if node == 0 && !has_battery {
                    self.checker.clock_set();
                }
            }
            Fault::CoreBackup | Fault::AgentBackup => self.back_up(node),
            Fault::Reflash => self.reflash(node),
            Fault::ClockStep => self.step_clock(node),
            Fault::ClockDrift => {
                let ppm = i64::try_from(self.chance.below(100_000)).expect("small") - 50_000;
                let at = self.at;
                self.machine(node).clock.drift(at, ppm);
            }
            _ => self.harm(node, fault, ms),
        }
    }

    /// Faults of a running process and its disk.
    fn harm(&mut self, node: usize, fault: Fault, ms: u64) {
        let (effects, writes) = (self.chance.below(12), self.chance.below(40));
        let count = 1 + u32::try_from(self.chance.below(3)).expect("small");
        let ending = if self.chance.one_in(2) { Ending::Cut } else { Ending::Killed };
        let until = self.at + ms;
        let Some(process) = self.process(node) else { return };
        match fault {
            Fault::BetweenEffects => process.fuse = Some((effects, ending)),
            Fault::KillInCommit | Fault::CutInCommit => {
                let is_kill = fault == Fault::KillInCommit;
                process.cut = if is_kill { Ending::Killed } else { Ending::Cut };
                process.medium.disk.cut_after(writes);
            }
            Fault::SyncFails => {
                // What Linux does with the writes: it keeps them, it takes them for done, or it
                // has forgotten them by the time they are read.
                let ways = [Forgets::Nothing, Forgets::Durability, Forgets::Content];
                process.medium.disk.set_forgets(ways[count as usize % ways.len()]);
                process.medium.disk.fail_syncs(count);
            }
            Fault::WriteFails => process.medium.disk.fail_writes(count),
            _ => {
                let image = process.medium.disk.live_image().len() as u64;
                process.medium.disk.set_room(Some(if count == 1 { image } else { 0 }));
                self.room_returns(node, until);
            }
        }
    }

    /// The state is copied, or the copy taken before is put in its place.
    fn back_up(&mut self, node: usize) {
        self.kill(node, Ending::Killed);
        let machine = self.machine(node);
        match machine.backup.take() {
            None => machine.backup = Some(machine.image.clone()),
            Some(backup) => {
                machine.image = backup;
                self.trace.fault(self.at, node, "restored", 0);
                self.checker.restored(node);
            }
        }
    }

    /// The state is gone; the source goes on behind what was acknowledged to it.
    fn reflash(&mut self, node: usize) {
        let gateway = &mut self.gateways[node - 1];
        let Some(life) = &gateway.life else { return };
        gateway.source_from = life.stored();
        self.kill(node, Ending::Killed);
        let machine = self.machine(node);
        (machine.image, machine.backup) = (Vec::new(), None);
        self.checker.reflashed(node);
    }

    fn step_clock(&mut self, node: usize) {
        let ms = i64::try_from(self.chance.below(3_000_000)).expect("small");
        let offset = match self.chance.below(4) {
            0 => 0,
            1 => ms,
            // More than the future guard allows: no reading may be set aside for it.
            2 => -4 * ms,
            _ if ms % 2 == 0 => 10 * 365 * 86_400_000,
            _ => -10 * 365 * 86_400_000,
        };
        self.machine(node).clock.set(offset);
        if node == 0 {
            self.checker.clock_set();
        }
    }

    fn of_core(&self, state: &'static str) -> &'static str {
        match state {
            "off" => "core-off",
            "storing" => "core-storing",
            "offline" => "core-offline",
            "holding" => "core-holding",
            "applied" => "core-applied",
            "dirty" => "core-dirty",
            "settled" => "core-settled",
            other => other,
        }
    }
}

/// Whether this run has faults at all.
pub(super) fn is_quiet(shape: &Shape) -> bool {
    shape.faults.is_empty()
}
