//! What a seed decides before anything happens: how many gateways, how fast, which faults.

use std::sync::OnceLock;

use headwater_plan::{Plan, Target};
use headwater_runtime::agent::Policy;

use super::copy;
use super::faults::{Fault, Mix};
use super::readings::Rate;
use crate::sim::{self, Chance};

/// Deduplication and a window at the gateways, merged by device at the core.
const SCRIPT: &str = "
SET 'headwater.dedup-entries-max' = '4096';
SET 'headwater.panes-max' = '1024';
SET 'headwater.symbols-max' = '1024';
SET 'headwater.symbol-bytes-max' = '64kb';
SET 'headwater.arena-bytes-max' = '64kb';
CREATE TABLE readings (
  device STRING, id BIGINT, amount BIGINT, ts BIGINT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  gateway STRING METADATA,
  WATERMARK FOR rt AS rt - INTERVAL '2' SECOND
) WITH ('connector' = 'mqtt', 'url' = 'mqtt://h:1', 'topic' = 'r', 'format' = 'json');
CREATE VIEW once AS SELECT device, amount, rt FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY gateway, device, id ORDER BY rt ASC) AS copy
  FROM readings)
WHERE copy = 1;
CREATE TABLE totals (
  device STRING, `start` BIGINT, `end` BIGINT, n BIGINT, total BIGINT, low BIGINT, high BIGINT,
  PRIMARY KEY (device, `start`, `end`) NOT ENFORCED
) WITH ('connector' = 'mqtt', 'url' = 'mqtt://h:1', 'topic' = 't', 'format' = 'json');
INSERT INTO totals
SELECT device, 1000 * UNIX_TIMESTAMP(CAST(window_start AS STRING)),
  1000 * UNIX_TIMESTAMP(CAST(window_end AS STRING)), COUNT(*), SUM(amount),
  MIN(amount), MAX(amount)
FROM TABLE(TUMBLE(TABLE once, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY device, window_start, window_end;
";

/// What a full outbox makes of partials under `coarsen`.
const LADDER: &str = "SET 'headwater.coarsen' = '30 s, 2 min';";

/// The pipeline of all runs; with a ladder where outboxes are made coarser.
pub(super) fn plan(policy: Policy) -> &'static Plan {
    static PLANS: [OnceLock<Plan>; 2] = [OnceLock::new(), OnceLock::new()];
    let is_coarse = policy == Policy::Coarsen;
    PLANS[usize::from(is_coarse)].get_or_init(|| {
        let ladder = if is_coarse { LADDER } else { "" };
        sim::plan(&format!("{ladder}{SCRIPT}"), Target::Cut).expect("a correct script")
    })
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) gateways: usize,
    pub(super) rate: Rate,
    pub(super) agent_interval_ms: i64,
    pub(super) core_interval_ms: i64,
    pub(super) dirty_bytes_max: usize,
    pub(super) quota_bytes: u64,
    pub(super) policy: Policy,
    pub(super) window: usize,
    pub(super) idle_timeout_ms: i64,
    /// The core waits for all gateways from the start.
    pub(super) is_expecting: bool,
    pub(super) faults: Vec<Fault>,
    pub(super) fault_every_ms: u64,
    /// Two live copies of a gateway.
    pub(super) copy: Option<copy::Plan>,
}

impl Shape {
    /// What this seed's run looks like; `gateways` overrides the number of gateways.
    pub(super) fn of(chance: &mut Chance, mix: &Mix, gateways: Option<usize>) -> Shape {
        let few = 1 + chance.below(5);
        let drawn = if chance.one_in(50) { 6 + chance.below(45) } else { few };
        let gateways = gateways.unwrap_or(usize::try_from(drawn).expect("few"));
        let has_copy = mix.kinds().any(|fault| fault == Fault::LiveCopy) && chance.one_in(6);
        let minutes = if gateways > 5 { 1 + chance.below(3) } else { 2 + chance.below(10) };
        // Two that are refused go on ten minutes after one has ended.
        let minutes = if has_copy && chance.one_in(2) { minutes + 15 } else { minutes };
        let until_ms = minutes * 60_000;
        // Some runs see many kinds of faults, some few: together they see more than all alike.
        let one_in = 1 + chance.below(4);
        // What a core has forgotten of two that are both alive it cannot tell apart.
        let is_drawn = |fault: &Fault| match fault {
            Fault::LiveCopy => false,
            Fault::CoreBackup => !has_copy,
            _ => true,
        };
        let kinds = mix.kinds().filter(is_drawn);
        let faults = kinds.filter(|_| chance.below(4) >= one_in - 1).collect();
        let seconds = |chance: &mut Chance, n: u64| {
            i64::try_from(1000 + 1000 * chance.below(n)).expect("short")
        };
        let policy = match chance.below(7) {
            0 => Policy::DropOldest,
            1 => Policy::DropNewest,
            2 => Policy::Coarsen,
            _ => Policy::Pause,
        };
        let is_tight = chance.one_in(if policy == Policy::Pause { 3 } else { 1 });
        // A job needs a few frames.
        let least = if policy == Policy::Coarsen { 4000 } else { 1000 };
        Shape {
            gateways,
            rate: Rate {
                every_ms: 200 + chance.below(3000),
                until_ms,
                devices: 1 + chance.below(6),
            },
            agent_interval_ms: seconds(chance, 12),
            core_interval_ms: seconds(chance, 4),
            dirty_bytes_max: 1 << 20,
            quota_bytes: if is_tight { least + chance.below(8000) } else { 1 << 20 },
            policy,
            window: if chance.one_in(4) { 1 } else { 32 },
            idle_timeout_ms: seconds(chance, 90),
            is_expecting: chance.one_in(2),
            faults,
            fault_every_ms: 1000 + chance.below(40_000),
            copy: has_copy.then(|| copy::Plan::of(chance, gateways, until_ms)),
        }
    }
}
