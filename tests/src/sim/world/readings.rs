//! What the sensors of one gateway say, and what must come of it: the answer of a plain program
//! that knows nothing of crashes, frames or partials.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::{Chance, WALL_MS};

/// Length of a window, ms.
pub(super) const WINDOW_MS: i64 = 10_000;
/// How far the watermark trails, ms.
const DELAY_MS: i64 = 2000;

/// Where ids of other sensors begin.
const OTHER_IDS: u64 = 1 << 32;

/// One reading.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// True time at which it can be read.
    pub(super) at: u64,
    device: u64,
    id: u64,
    amount: i64,
    ts: i64,
}

impl Reading {
    /// As the sensor sends it.
    pub(super) fn record(&self) -> Vec<u8> {
        let Reading { device, id, amount, ts, .. } = self;
        format!(r#"{{"device":"d{device}","id":{id},"amount":{amount},"ts":{ts}}}"#).into_bytes()
    }
}

/// Key, start and length of a window.
pub(super) type Window = (String, i64, i64);

/// A row of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) count: i64,
    pub(super) sum: i64,
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Totals {
    pub(super) fn merge(&mut self, other: &Totals) {
        self.count += other.count;
        self.sum += other.sum;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }
}

/// Answers by window.
pub(super) type Answer = BTreeMap<Window, Totals>;

pub(super) fn merge_into(answer: &mut Answer, window: &Window, totals: &Totals) {
    answer.entry(window.clone()).and_modify(|t| t.merge(totals)).or_insert(*totals);
}

/// What `shape` says of the sensors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Mean time between readings of one gateway, ms.
    pub(super) every_ms: u64,
    /// Readings come until then.
    pub(super) until_ms: u64,
    /// Devices, shared by all gateways.
    pub(super) devices: u64,
}

/// All readings of one gateway: out of order within the bound, some again, some too late.
pub(super) fn readings(chance: &mut Chance, rate: Rate) -> Vec<Reading> {
    let mut readings: Vec<Reading> = Vec::new();
    let mut at = chance.below(1000);
    let mut ids = vec![0; usize::try_from(rate.devices).expect("few devices")];
    while at < rate.until_ms {
        if !readings.is_empty() && chance.one_in(12) {
            let back = usize::try_from(chance.below(20)).expect("small");
            let again = readings[readings.len().saturating_sub(1 + back)].clone();
            readings.push(Reading { at, ..again });
        } else {
            let device = chance.below(rate.devices);
            let id = &mut ids[usize::try_from(device).expect("few devices")];
            *id += 1;
            let behind = match chance.one_in(40) {
                true => chance.below(30_000),
                false => chance.below(2000),
            };
            let (now, behind) = (i64::try_from(at), i64::try_from(behind));
            let ts = WALL_MS + now.expect("short") - behind.expect("short");
            let amount = i64::try_from(chance.below(2000)).expect("small") - 500;
            readings.push(Reading { at, device, id: *id, amount, ts });
        }
        at += 1 + chance.below(2 * rate.every_ms);
    }
    readings
}

/// The same of other sensors: no reading of theirs has an id of another.
pub(super) fn other_readings(chance: &mut Chance, rate: Rate) -> Vec<Reading> {
    let other = |reading: Reading| Reading { id: reading.id + OTHER_IDS, ..reading };
    readings(chance, rate).into_iter().map(other).collect()
}

/// Every reading by window, also those that came again or too late.
pub(super) fn all(readings: &[Reading]) -> Answer {
    let mut answer = Answer::new();
    for Reading { device, amount, ts, .. } in readings {
        let window = window(*device, *ts);
        let totals = Totals { count: 1, sum: *amount, low: *amount, high: *amount };
        merge_into(&mut answer, &window, &totals);
    }
    answer
}

/// The answer over one gateway's readings in the order of their arrival: the first of each
/// (device, id) unless it is behind the watermark, in windows of 10 s.
pub(super) fn answer(readings: &[Reading]) -> Answer {
    let mut seen = BTreeSet::new();
    let mut watermark = i64::MIN;
    let mut answer = Answer::new();
    for Reading { device, id, amount, ts, .. } in readings {
        if *ts >= watermark && seen.insert((device, id)) {
            let window = window(*device, *ts);
            let totals = Totals { count: 1, sum: *amount, low: *amount, high: *amount };
            merge_into(&mut answer, &window, &totals);
        }
        watermark = watermark.max(ts - DELAY_MS);
    }
    answer
}

fn window(device: u64, ts: i64) -> Window {
    (format!("d{device}"), ts.div_euclid(WINDOW_MS) * WINDOW_MS, WINDOW_MS)
}
