//! The demo: a whole fleet on this machine, with real data, real faults and a judge.
//!
//! Three agents and the aggregator run as processes of their own; the broker and a cuttable link
//! for each agent live in this process. In the middle of the replay one agent and the aggregator
//! are killed (SIGKILL) and started again, and the link of another agent is cut for a while.
//!
//! Guarantees: says what was done and when; the result is compared with the published answers
//! row by row. Does not need anything but the two programs.

mod broker;
mod fleet;
mod judge;
mod node;
mod publisher;
mod readings;
mod uplink;
mod view;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use fleet::{Fleet, GATEWAYS_COUNT};
use publisher::Publisher;
use readings::{Expected, Reading};
use view::{Picture, View, kilobytes};

/// How to run the demo.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Folder that is kept; without one a temporary one is used and removed.
    pub(crate) keep: Option<PathBuf>,
    /// Readings a second.
    pub(crate) speed: u32,
}

/// What is done to the nodes.
#[derive(Clone, Copy, Debug)]
enum Fault {
    KillAgent,
    StartAgent,
    CutUplink,
    HealUplink,
    KillCore,
    StartCore,
}

/// Each with the share of the readings (percent) after which it is done.
const FAULTS: [(usize, Fault); 6] = [
    (25, Fault::KillAgent),
    (35, Fault::StartAgent),
    (40, Fault::CutUplink),
    (55, Fault::KillCore),
    (65, Fault::StartCore),
    (80, Fault::HealUplink),
];
/// The agent that is killed, and the one whose uplink is cut.
const KILLED: usize = 1;
const CUT: usize = 2;

/// Runs the demo; whether the result was right.
pub(crate) fn run(options: &Options) -> io::Result<bool> {
    let dir = match &options.keep {
        Some(dir) => dir.clone(),
        None => std::env::temp_dir().join(format!("headwater-demo-{}", std::process::id())),
    };
    if fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(io::Error::other(format!("{} is not empty", dir.display())));
    }
    fs::create_dir_all(&dir)?;
    // Configurations name files below it, and the nodes run in folders of their own.
    let dir = dir.canonicalize()?;
    let result = Demo::start(dir.clone(), options.speed).and_then(Demo::finish);
    if options.keep.is_none() {
        let _ = fs::remove_dir_all(&dir);
    }
    result
}

struct Demo {
    fleet: Fleet,
    publisher: Publisher,
    readings: Vec<Reading>,
    expected: Expected,
    speed: u32,
    view: View,
    picture: Picture,
    looked_last: Instant,
}

impl Demo {
    fn start(dir: PathBuf, speed: u32) -> io::Result<Self> {
        let mut view = View::new();
        let readings = readings::readings(GATEWAYS_COUNT)?;
        let expected = readings::expected()?;
        let fleet = Fleet::start(dir)?;
        view.say(&format!(
            "{GATEWAYS_COUNT} agents and the aggregator run; replaying {} readings of {} sensors",
            readings.len(),
            expected.identities.len(),
        ));
        let publisher = Publisher::connect(fleet.broker)?;
        let picture = Picture { readings: readings.len(), ..Picture::default() };
        let looked_last = Instant::now();
        Ok(Self { fleet, publisher, readings, expected, speed, view, picture, looked_last })
    }

    fn finish(mut self) -> io::Result<bool> {
        self.replay()?;
        self.view.say("all readings are sent; the agents close their windows and hand over");
        self.drain()?;
        let status = self.fleet.core.terminate(STOP_MAX)?;
        if !status.success() {
            return Err(io::Error::other(format!("the aggregator ended with {status}")));
        }
        self.view.say("the aggregator took its last checkpoint and ended");
        self.judge()
    }

    /// Sends everything at its speed and does harm in between.
    fn replay(&mut self) -> io::Result<()> {
        let started = Instant::now();
        let mut faults = FAULTS.iter().peekable();
        let total = self.readings.len();
        while self.publisher.sent < total || !self.publisher.is_confirmed() {
            let due = started.elapsed().as_millis() * u128::from(self.speed) / 1000;
            let due = usize::try_from(due).unwrap_or(total).min(total);
            self.publisher.publish(&self.readings, due);
            while let Some((share, fault)) = faults.peek() {
                if self.publisher.sent * 100 < share * total {
                    break;
                }
                self.harm(*fault)?;
                faults.next();
            }
            self.look();
            if started.elapsed() > REPLAY_MAX {
                return Err(io::Error::other("the broker does not take the readings"));
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    fn harm(&mut self, fault: Fault) -> io::Result<()> {
        let fleet = &mut self.fleet;
        let (killed, cut) = (readings::gateway_name(KILLED), readings::gateway_name(CUT));
        let text = match fault {
            Fault::KillAgent => {
                fleet.agents[KILLED].kill();
                format!("{killed}: agent killed (SIGKILL)")
            }
            Fault::StartAgent => {
                fleet.agents[KILLED].start()?;
                format!("{killed}: agent started again on its state")
            }
            Fault::CutUplink => {
                fleet.uplinks[CUT].cut();
                format!("{cut}: uplink cut; the agent goes on and keeps its frames")
            }
            Fault::HealUplink => {
                fleet.uplinks[CUT].heal();
                format!("{cut}: uplink back")
            }
            Fault::KillCore => {
                fleet.core.kill();
                "core: aggregator killed (SIGKILL)".into()
            }
            Fault::StartCore => {
                fleet.core.start()?;
                "core: aggregator started again on its state".into()
            }
        };
        self.view.say(&text);
        Ok(())
    }

    /// Waits until every agent has handed over everything and has ended.
    fn drain(&mut self) -> io::Result<()> {
        let until = Instant::now() + DRAIN_MAX;
        loop {
            self.look();
            let mut running = 0;
            for agent in &mut self.fleet.agents {
                match agent.ended()? {
                    None => running += 1,
                    Some(status) if status.success() => {}
                    Some(status) => {
                        let message = format!("{} ended with {status}", agent.name);
                        return Err(io::Error::other(format!("{message}\n{}", agent.log_end())));
                    }
                }
            }
            if running == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                let message = format!("{running} agents have not handed over everything");
                return Err(io::Error::other(format!("{message}\n{}", self.fleet.core.log_end())));
            }
            thread::sleep(TICK);
        }
    }

    /// Asks the nodes how they are and shows it.
    fn look(&mut self) {
        if self.looked_last.elapsed() < LOOK {
            return;
        }
        self.looked_last = Instant::now();
        self.fleet.look(&mut self.picture);
        self.picture.published = self.publisher.sent;
        for (index, row) in self.picture.gateways.iter_mut().enumerate() {
            let sent = self.readings[..self.publisher.sent].iter();
            let ours = sent.filter(|reading| reading.gateway == index);
            row.raw_bytes = ours.map(|reading| reading.payload.len() as u64).sum();
        }
        self.view.show(&self.picture);
    }

    fn judge(mut self) -> io::Result<bool> {
        let text = fs::read_to_string(self.fleet.result())?;
        let outcome = judge::read(&text).map_err(io::Error::other)?;
        // The nodes have ended since they were asked last.
        self.picture.results = outcome.hours.len() as u64;
        self.picture.core_state = "done".into();
        for row in &mut self.picture.gateways {
            row.state = "done".into();
            row.backlog = 0;
        }
        self.view.show_now(&self.picture);
        self.view.keep_table();
        let differences = judge::differences(&outcome, &self.expected);
        let sum = |of: fn(&view::GatewayRow) -> u64| self.picture.gateways.iter().map(of).sum();
        let (uplink, raw): (u64, u64) = (sum(|row| row.uplink_bytes), sum(|row| row.raw_bytes));
        let repeats: u64 = sum(|row| row.repeats);
        let sensors = self.expected.identities.len();
        self.view.say(&format!("{} hours of {sensors} sensors", outcome.hours.len()));
        if outcome.corrections > 0 {
            let count = outcome.corrections;
            self.view.say(&format!("{count} rows were corrected after a gateway came back"));
        }
        self.view.say(&format!(
            "repeats removed: {repeats} = {} in the data + {} redelivered by the broker",
            self.expected.repeats,
            repeats.saturating_sub(self.expected.repeats),
        ));
        self.view.say(&format!(
            "uplink: {} of {} raw ({}.{} %)",
            kilobytes(uplink),
            kilobytes(raw),
            uplink * 100 / raw.max(1),
            uplink * 1000 / raw.max(1) % 10,
        ));
        for difference in differences.iter().take(DIFFERENCES_SHOWN) {
            self.view.say(difference);
        }
        self.view.say(&match differences.len() {
            0 => "OK: every row equals the published answer; nothing lost, nothing twice".into(),
            count => format!("WRONG: {count} differences from the published answer"),
        });
        Ok(differences.is_empty())
    }
}

const TICK: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_millis(250);
const STOP_MAX: Duration = Duration::from_secs(10);
const DRAIN_MAX: Duration = Duration::from_secs(40);
const REPLAY_MAX: Duration = Duration::from_secs(300);
const DIFFERENCES_SHOWN: usize = 20;
