//! An agent in virtual time over a disk in memory, whose bytes are counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_engine::fragment::Fragment;
use headwater_engine::pipeline::SplitId;
use headwater_plan::Plan;
use headwater_store::crash::CrashDisk;
use headwater_store::{Meter, Options, PositionWrite, Store};
use headwater_wire::{
    Ack, ChannelHead, ChannelUpto, Control, ControlBody, Hello, UpMessage, encode_ack,
    encode_control, encode_up,
};

use super::Load;
use super::rows::{Feed, STYLES, TimeStyle, unknown_column};
use crate::agent::{Agent, FlashLimits, Now, Policy, Settings};
use crate::clock::Rules;
use crate::driver::wiring;
use crate::task::{Origin, Task};

/// When the agent of a forecast takes checkpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Longest time between two, in ms.
    pub(crate) interval_ms: i64,
    /// Bytes of results that make one earlier.
    pub(crate) dirty_bytes: usize,
    /// The budget.
    pub(crate) flash: FlashLimits,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) flash_per_day: u64,
    pub(super) uplink_per_day: u64,
    pub(super) per_checkpoint: u64,
    pub(super) file_bytes: u64,
    pub(super) run_ms: i64,
}

/// What is wrong, and a remedy.
type Problem = (String, &'static str);

/// A moment that nothing depends on: 2026-01-01.
const START_MS: i64 = 1_767_225_600_000;
const TICK_MS: i64 = 200;
/// Readings of one run.
const ROWS_MAX: i64 = 1_000_000;
/// Longest time that is run: acknowledged frames are kept for an hour, and then deleted.
const RUN_MS_MAX: i64 = 80 * 60_000;
/// Checkpoints of one run at least, if the readings allow.
const CHECKPOINTS_MIN: i64 = 6;
/// Topic and header of an MQTT publish.
const PUBLISH_BYTES: u64 = 64;
const DAY_MS: i64 = super::DAY_MS;
/// Event times that are off by more are not written in the way that was tried.
const TIME_OFF_MS_MAX: i64 = DAY_MS;

/// The agent with what surrounds it.
pub(super) struct Virtual {
    agent: Agent,
    store: Store,
    meter: Arc<Meter>,
    feeds: Vec<(usize, SplitId, String, Feed)>,
    rate: u64,
    interval_ms: i64,
    now: Now,
    rows: u64,
    checkpoints: u64,
    uplink_bytes: u64,
    flash_bytes: u64,
    /// Bytes of frames that are not acknowledged.
    frames: BTreeMap<(u32, u64), u64>,
    acked: BTreeMap<u32, u64>,
}

impl Virtual {
    pub(super) fn open(
        plan: &Plan,
        fragment: &Fragment,
        load: &Load,
        timing: Timing,
    ) -> Result<Virtual, Problem> {
        if let Some(problem) = unknown_column(plan, fragment, load) {
            return Err((problem, "name columns of CREATE TABLE; --distinct device=20"));
        }
        let plan = as_json(plan);
        let style = style_of(&plan, fragment, load)?;
        let now = Now { wall_ms: START_MS, mono_ms: 0, boot_ms: 0 };
        let disk = Arc::new(CrashDisk::default());
        let options = Options::new([1; 16], "forecast");
        let store = Store::open_disk(disk, &options).map_err(|error| broken(&error))?;
        let mut task = task(&plan, fragment)?;
        let feeds = feeds(&plan, fragment, load, style, &mut task)?;
        let (_, sinks) = wiring::output_ports(&plan, fragment).map_err(|error| broken(&error))?;
        let exchanges = if plan.whole.is_some() { 0 } else { plan.channels.len() };
        let settings = Settings {
            id: NODE.parse().expect("a valid name"),
            plan: wiring::plan_record(&plan, fragment),
            exchanges: (0..u32::try_from(exchanges).unwrap_or(0)).collect(),
            sinks: sinks.iter().map(|sink| sink.channel).collect(),
            checkpoint_interval_ms: timing.interval_ms,
            flash: FlashLimits::NONE,
            dirty_bytes_max: timing.dirty_bytes,
            quota_bytes: u64::MAX,
            policy: Policy::Pause,
            resend_after_ms: 30_000,
            machine_hash: 1,
            boot_id: 1,
            clock: Rules::default(),
        };
        let (identity, head) = (store.identity().clone(), store.head());
        let agent = Agent::new(settings, task, identity, head, None, now);
        let mut agent = agent.map_err(|error| broken(&error))?;
        agent.set_random([2; 16]);
        agent.connected(now);
        Ok(Virtual {
            agent,
            meter: store.meter(),
            store,
            feeds,
            rate: load.rows_per_second.unwrap_or(1),
            interval_ms: timing.interval_ms,
            now,
            rows: 0,
            checkpoints: 0,
            uplink_bytes: 0,
            flash_bytes: 0,
            frames: BTreeMap::new(),
            acked: BTreeMap::new(),
        })
    }

    /// Runs until enough was seen; a third of it is not counted, for the state to fill.
    pub(super) fn run(mut self) -> Result<Counted, Problem> {
        let rate = i64::try_from(self.rate).unwrap_or(i64::MAX);
        let time_for_rows = ROWS_MAX.saturating_mul(1000) / rate;
        let run_ms = time_for_rows.clamp(CHECKPOINTS_MIN * self.interval_ms, RUN_MS_MAX);
        self.until(run_ms / 3)?;
        let before = (self.flash_bytes, self.uplink_bytes, self.checkpoints, self.now.mono_ms);
        self.until(run_ms)?;
        let passed = (self.now.mono_ms - before.3).max(1);
        let per_day = |bytes: u64| {
            let days = u128::from(bytes) * u128::from(DAY_MS.unsigned_abs());
            u64::try_from(days / u128::from(passed.unsigned_abs())).unwrap_or(u64::MAX)
        };
        let flash_bytes = self.flash_bytes - before.0;
        Ok(Counted {
            flash_per_day: per_day(flash_bytes),
            uplink_per_day: per_day(self.uplink_bytes - before.1),
            per_checkpoint: flash_bytes / (self.checkpoints - before.2).max(1),
            file_bytes: self.meter.file_bytes(),
            run_ms,
        })
    }

    /// Time passes up to `mono_ms`, and then to the next checkpoint.
    fn until(&mut self, mono_ms: i64) -> Result<(), Problem> {
        loop {
            self.now.mono_ms += TICK_MS;
            self.now.wall_ms += TICK_MS;
            self.now.boot_ms += TICK_MS;
            self.read();
            let is_due = self.agent.wants_checkpoint(self.now);
            if is_due {
                self.checkpoint()?;
            }
            self.talk();
            if self.now.mono_ms >= mono_ms && (is_due || self.is_late(mono_ms)) {
                return Ok(());
            }
        }
    }

    /// Nothing happens that would need a checkpoint.
    fn is_late(&self, mono_ms: i64) -> bool {
        self.now.mono_ms >= mono_ms + 2 * self.interval_ms
    }

    fn read(&mut self) {
        let passed = u64::try_from(self.now.mono_ms).unwrap_or(0);
        let due = passed * self.rate / 1000;
        let (mut record, mut topic) = (Vec::new(), Vec::new());
        let count = self.feeds.len();
        while self.rows < due && count > 0 {
            let at = usize::try_from(self.rows % count as u64).unwrap_or(0);
            let (scan, split, _, feed) = &mut self.feeds[at];
            feed.next(self.now.wall_ms, &mut record, &mut topic);
            let (scan, split, arrival_ms) = (*scan, *split, self.now.wall_ms);
            let origin = Origin { scan, split, topic: Some(&topic), arrival_ms };
            self.agent.task.record(origin, &record, self.now.wall_ms);
            self.rows += 1;
        }
    }

    fn checkpoint(&mut self) -> Result<(), Problem> {
        let position = |source: &String| PositionWrite {
            source: source.clone(),
            split: String::new(),
            value: Some(self.rows.to_le_bytes().to_vec()),
        };
        let positions = self.feeds.iter().map(|(_, _, name, _)| position(name)).collect();
        let commit = self.agent.checkpoint(positions, self.now);
        let stats = self.store.commit(&commit).map_err(|error| broken(&error))?;
        self.agent.committed(&commit, stats.base_bytes, stats.delta_bytes);
        self.flash_bytes = self.meter.flash_bytes_written();
        self.checkpoints += 1;
        for row in &commit.outbox_put {
            self.frames.insert((row.channel, row.seq), row.bytes.len() as u64);
        }
        for channel in self.agent.settings().sinks.clone() {
            let (_, end) = self.agent.sink_range(channel);
            self.agent.sink_confirmed(channel, end.saturating_sub(1));
        }
        Ok(())
    }

    /// The core at the other end: grants, and has everything at once.
    fn talk(&mut self) {
        while let Some(message) = self.agent.next_message(self.now) {
            let bytes = encode_up(&message).map_or(0, |bytes| bytes.len() as u64);
            self.uplink_bytes += bytes + PUBLISH_BYTES;
            if let UpMessage::Hello(hello) = message {
                self.grant(&hello);
            }
        }
        while let Some((channel, seq)) = self.agent.next_transmit(self.now) {
            self.uplink_bytes += self.frames.remove(&(channel, seq)).unwrap_or(0) + PUBLISH_BYTES;
            self.agent.transmitted(channel, seq, self.now);
            self.acked.insert(channel, seq);
            self.acknowledge();
        }
    }

    fn grant(&mut self, hello: &Hello) {
        let heads = self.acked.iter().map(|(&channel, &upto_seq)| ChannelHead {
            channel,
            upto_seq,
            frame_seq: 0,
            frame_hash: 0,
        });
        let body = ControlBody::GrantWithHeads {
            term: hello.last_term + 1,
            nonce: hello.nonce,
            heads: heads.collect(),
        };
        let (agent, incarnation) = (hello.agent.clone(), hello.incarnation);
        let control = Control { agent, incarnation, body };
        let bytes = encode_control(&control).expect("a grant fits");
        self.agent.control_received(&bytes, self.now);
    }

    fn acknowledge(&mut self) {
        let ack = Ack {
            agent: self.agent.settings().id.clone(),
            incarnation: self.store.identity().incarnation,
            term: self.agent.term(),
            upto: upto(&self.acked),
        };
        let bytes = encode_ack(&ack).expect("an acknowledgement fits");
        self.agent.ack_received(&bytes, self.now);
    }
}

fn upto(marks: &BTreeMap<u32, u64>) -> Vec<ChannelUpto> {
    marks.iter().map(|(&channel, &upto_seq)| ChannelUpto { channel, upto_seq }).collect()
}

fn broken(error: &dyn std::fmt::Display) -> Problem {
    (format!("the pipeline cannot be run for a forecast: {error}"), "'check' says more")
}

/// The plan with sources that read what [`Feed`] writes.
fn as_json(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for table in plan.tables.iter_mut().filter(|table| table.connector != "datagen") {
        if table.source.is_some() {
            table.format = Some("json".into());
            table.options.retain(|key, _| !key.starts_with("json."));
        }
    }
    plan
}

fn task(plan: &Plan, fragment: &Fragment) -> Result<Task, Problem> {
    let scans = wiring::scan_ports(plan, fragment, NODE).map_err(|error| broken(&error))?;
    let (outputs, _) = wiring::output_ports(plan, fragment).map_err(|error| broken(&error))?;
    Task::new(fragment, &plan.limits, scans, outputs).map_err(|error| broken(&error))
}

fn feeds(
    plan: &Plan,
    fragment: &Fragment,
    load: &Load,
    style: TimeStyle,
    task: &mut Task,
) -> Result<Vec<(usize, SplitId, String, Feed)>, Problem> {
    let mut feeds = Vec::new();
    for (index, scan) in fragment.scans.iter().enumerate() {
        let Some(table) = plan.table(&scan.name).filter(|table| !table.is_looked_up) else {
            continue;
        };
        let feed = Feed::of(table, scan, load, style).map_err(|error| broken(&error))?;
        feeds.push((index, task.split(index, "0"), scan.name.clone(), feed));
    }
    Ok(feeds)
}

/// The way of writing event times that the pipeline understands.
fn style_of(plan: &Plan, fragment: &Fragment, load: &Load) -> Result<TimeStyle, Problem> {
    for style in STYLES {
        let mut task = task(plan, fragment)?;
        let mut is_good = true;
        for (scan, split, _, mut feed) in feeds(plan, fragment, load, style, &mut task)? {
            let (mut record, mut topic) = (Vec::new(), Vec::new());
            feed.next(START_MS, &mut record, &mut topic);
            let origin = Origin { scan, split, topic: Some(&topic), arrival_ms: START_MS };
            task.record(origin, &record, START_MS);
            let is_timed = fragment.scans[scan].watermark.is_some();
            let is_made = matches!(feed, Feed::Made { .. });
            let off = task.watermark(scan).saturating_sub(START_MS).saturating_abs();
            is_good &= !(is_timed && is_made) || off <= TIME_OFF_MS_MAX;
        }
        if is_good {
            return Ok(style);
        }
    }
    let message = "no event times can be made up for this pipeline's sources";
    Err((message.into(), "run it over samples of real readings and look at /metrics"))
}

const NODE: &str = "forecast";
