//! The modes that run in this process: checkpoint and power cut after every row, cut into edge
//! and core over gateways, shuffled within the out-of-order bound. One expected file for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::catch_unwind;
use std::path::Path;

use headwater_plan::Target;
use headwater_runtime::hub::Reply;
use regex::Regex;
use serde_json::Value;

use super::case::Case;
use super::run::{Verdict, judge};
use crate::sim::{self, Chance, Core, Edge, Input};

/// Inputs with more records than this are restarted every [`STRIDE`] rows only.
const LARGE: usize = 1000;
const STRIDE: usize = 97;
/// Exchanges after which all frames are acknowledged, however the chances fell.
const ROUNDS_MAX: usize = 40;

/// A mode in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simulated {
    /// A power cut before and after the checkpoint of every row.
    Restart,
    /// Cut into edge and core, over this many gateways, with lost and repeated frames.
    Cut(usize),
    /// Rows in another order that the out-of-order bound allows.
    Shuffled,
}

/// Runs `case` and leaves the result in `out`.
///
/// # Panics
/// When `out` cannot be written to.
#[must_use]
pub fn simulate(case: &Case, out: &Path, mode: Simulated, seed: u64) -> Verdict {
    let sql = match case.pipeline(out) {
        Ok(sql) => sql,
        Err(why) => return Verdict::Failed(why),
    };
    match catch_unwind(|| run(&sql, mode, seed)) {
        Ok(Ok(None)) => Verdict::OrderMatters,
        Ok(Ok(Some(results))) => {
            let path = out.join("result.ndjson");
            fs::write(&path, results).expect("the output folder can be written to");
            judge(case, &path)
        }
        Ok(Err(why)) => Verdict::Refused(why.lines().next().unwrap_or_default().to_owned()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
            Verdict::Failed(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

fn run(sql: &str, mode: Simulated, seed: u64) -> Result<Option<Vec<u8>>, String> {
    let target = if let Simulated::Cut(_) = mode { Target::Cut } else { Target::Whole };
    let plan = sim::plan(sql, target)?;
    let mut inputs = sim::inputs(&plan)?;
    let order = Order::new(sql, &inputs);
    let mut chance = Chance::new(seed);
    Ok(match mode {
        Simulated::Restart => Some(restart(&plan, &inputs, &mut chance)),
        Simulated::Cut(1) => Some(cut(&plan, &inputs, 1, &order, &mut chance)),
        Simulated::Cut(n) if order.allows_gateways() => {
            Some(cut(&plan, &inputs, n, &order, &mut chance))
        }
        Simulated::Shuffled if order.allows_shuffle() => {
            inputs.iter_mut().for_each(|input| order.shuffle(input, &mut chance));
            let mut edge = Edge::open(&plan, "alone", Vec::new(), 0);
            feed(&mut edge, &inputs);
            edge.end();
            edge.checkpoint();
            Some(edge.results())
        }
        Simulated::Cut(_) | Simulated::Shuffled => None,
    })
}

fn feed(edge: &mut Edge<'_>, inputs: &[Input]) {
    for input in inputs {
        let Some(scan) = edge.scan(&input.table) else { continue };
        input.records.iter().for_each(|record| edge.record(scan, record));
    }
}

/// After each row, or every 97th of a large input: the power goes before the checkpoint, so the
/// row is taken again, and once more after it.
fn restart(plan: &headwater_plan::Plan, inputs: &[Input], chance: &mut Chance) -> Vec<u8> {
    let count: usize = inputs.iter().map(|input| input.records.len()).sum();
    let stride = if count > LARGE { STRIDE } else { 1 };
    let mut edge = Edge::open(plan, "alone", Vec::new(), 0);
    for input in inputs {
        let Some(scan) = edge.scan(&input.table) else { continue };
        for chunk in input.records.chunks(stride) {
            chunk.iter().for_each(|record| edge.record(scan, record));
            if chance.one_in(2) {
                let before = edge.taken(scan) - chunk.len() as u64;
                edge = edge.crash(chance.below(u64::MAX));
                assert_eq!(edge.taken(scan), before, "what was not committed is not there");
                chunk.iter().for_each(|record| edge.record(scan, record));
            }
            edge.checkpoint();
            let taken = edge.taken(scan);
            edge = edge.crash(chance.below(u64::MAX));
            assert_eq!(edge.taken(scan), taken, "what was committed is there");
        }
    }
    edge.end();
    edge.checkpoint();
    edge = edge.crash(chance.below(u64::MAX));
    edge.results()
}

/// Rows go to the gateway that the hash of the query's first key names.
fn cut(
    plan: &headwater_plan::Plan,
    inputs: &[Input],
    gateways: usize,
    order: &Order,
    chance: &mut Chance,
) -> Vec<u8> {
    let open = |n: usize| Edge::open(plan, &format!("gateway-{n}"), Vec::new(), 0);
    let mut edges: Vec<_> = (0..gateways).map(open).collect();
    let expected: Vec<_> = edges.iter().map(|edge| edge.id().clone()).collect();
    if plan.core.is_none() {
        // Nothing is left for the core: the edges' own sinks have it all.
        feed(&mut edges[0], inputs);
        edges[0].end();
        edges[0].checkpoint();
        return edges[0].results();
    }
    let mut core = Core::open(plan, &expected, Vec::new(), 0);
    edges.iter_mut().for_each(Edge::connected);
    for input in inputs {
        let stride = if input.records.len() > LARGE { STRIDE as u64 } else { 3 };
        for record in &input.records {
            let gateway = order.gateway(record, gateways);
            let edge = &mut edges[gateway];
            let Some(scan) = edge.scan(&input.table) else { continue };
            edge.record(scan, record);
            if chance.one_in(stride) {
                edge.checkpoint();
                exchange(&mut core, &mut edges, chance);
            } else if chance.one_in(stride * 2) {
                edge.checkpoint();
                crash(&mut edges, gateway, chance);
            }
            if chance.one_in(stride * 4) {
                core = core.crash(chance.below(u64::MAX));
                edges.iter_mut().for_each(Edge::connected);
            }
        }
    }
    for edge in &mut edges {
        edge.end();
        edge.checkpoint();
    }
    // What a round brings may be durable, and acknowledged, only in a later one.
    let mut rounds = 0;
    while rounds < ROUNDS_MAX && edges.iter().any(|edge| edge.backlog() > 0) {
        rounds += 1;
        edges.iter_mut().for_each(Edge::connected);
        exchange(&mut core, &mut edges, chance);
        core.checkpoint();
        deliver(&mut core, &mut edges);
    }
    core.checkpoint();
    for edge in &edges {
        assert_eq!(edge.backlog(), 0, "{}: every frame is acknowledged", edge.id().as_str());
    }
    core.end();
    core.checkpoint();
    core.results()
}

/// One gateway loses power with nothing uncommitted, so that no row has to be read again.
fn crash(edges: &mut Vec<Edge<'_>>, gateway: usize, chance: &mut Chance) {
    let mut edge = edges.remove(gateway).crash(chance.below(u64::MAX));
    edge.connected();
    edges.insert(gateway, edge);
}

/// Everything under way arrives, frames sometimes twice; commits come at random.
fn exchange(core: &mut Core<'_>, edges: &mut [Edge<'_>], chance: &mut Chance) {
    for _ in 0..2 {
        for edge in edges.iter_mut() {
            for message in edge.messages() {
                core.message(edge.id(), &message);
            }
            for frame in edge.frames() {
                core.frame(edge.id(), &frame);
                if chance.one_in(4) {
                    core.frame(edge.id(), &frame);
                }
            }
        }
        if !chance.one_in(3) {
            core.checkpoint();
        }
        deliver(core, edges);
    }
}

fn deliver(core: &mut Core<'_>, edges: &mut [Edge<'_>]) {
    for reply in core.replies() {
        let to = match &reply {
            Reply::Ack(ack) => &ack.agent,
            Reply::Control(control) => &control.agent,
        };
        let Some(edge) = edges.iter_mut().find(|edge| edge.id() == to) else { continue };
        match &reply {
            Reply::Ack(ack) => edge.acknowledged(ack),
            Reply::Control(control) => edge.controlled(control),
        }
    }
}

/// What the order of rows means to a query.
struct Order {
    /// The first key: a column of the input.
    key: Option<String>,
    /// The out-of-order bound, ms, where there is a watermark.
    bound_ms: Option<i64>,
    /// A row that may be late, so that order decides what counts.
    has_late_rows: bool,
    /// A construct for which the order of arrival matters.
    is_ordered: bool,
    /// Event times cannot be told from the records.
    is_opaque: bool,
}

impl Order {
    fn new(sql: &str, inputs: &[Input]) -> Order {
        let find = |pattern: &str| {
            let regex = Regex::new(pattern).expect("a pattern of this file");
            regex.captures(sql).map(|found| found[found.len() - 1].to_owned())
        };
        let key = find(r"PARTITION BY (\w+)")
            .or_else(|| find(r"GROUP BY (?:window_start, window_end, )(?:window_time, )?(\w+)"));
        let has_watermark = sql.contains("WATERMARK FOR");
        let bound_ms = has_watermark.then(|| {
            let count = find(r"AS rt - INTERVAL '(\d+)'").and_then(|n| n.parse::<i64>().ok());
            let unit = find(r"AS rt - INTERVAL '\d+' (\w+)");
            let unit_ms = match unit.as_deref() {
                Some("HOUR") => 3_600_000,
                Some("MINUTE") => 60_000,
                _ => 1000,
            };
            count.unwrap_or(0) * unit_ms
        });
        let times: Vec<Vec<Option<i64>>> =
            inputs.iter().map(|input| input.records.iter().map(|r| time(r)).collect()).collect();
        let is_opaque = has_watermark && times.iter().flatten().any(Option::is_none);
        let has_late_rows = bound_ms.is_some_and(|bound| times.iter().any(|t| any_late(t, bound)));
        let words = ["FIRST_VALUE", "LAST_VALUE", "LISTAGG", "ARRAY_AGG", "ROW_NUMBER", "LIMIT"];
        // These look at one row after the other: rows of equal time stand as they arrived.
        let by_row = ["ROWS BETWEEN", "LAG(", "LEAD(", "MATCH_RECOGNIZE"];
        let has = |words: &[&str]| words.iter().any(|word| sql.contains(word));
        let has_ties = times.iter().any(|times| {
            let distinct: BTreeSet<_> = times.iter().collect();
            distinct.len() < times.len()
        });
        let is_ordered = has(&words) || (has_ties && has(&by_row));
        Order { key, bound_ms, has_late_rows, is_ordered, is_opaque }
    }

    fn allows_gateways(&self) -> bool {
        !self.has_late_rows && !self.is_opaque && (!self.is_ordered || self.key.is_some())
    }

    fn allows_shuffle(&self) -> bool {
        !self.has_late_rows && !self.is_opaque && !self.is_ordered
    }

    fn gateway(&self, record: &[u8], gateways: usize) -> usize {
        let fields: Option<BTreeMap<String, Value>> = serde_json::from_slice(record).ok();
        let key = self.key.as_ref().and_then(|key| fields.as_ref()?.get(key).cloned());
        let mut hasher = DefaultHasher::new();
        match &self.key {
            Some(_) => key.unwrap_or(Value::Null).to_string().hash(&mut hasher),
            None => record.hash(&mut hasher),
        }
        usize::try_from(hasher.finish() % gateways as u64).expect("below the number of gateways")
    }

    /// Another order of arrival in which no row is late.
    fn shuffle(&self, input: &mut Input, chance: &mut Chance) {
        let bound = u64::try_from(self.bound_ms.unwrap_or(0)).unwrap_or(0);
        let key = |record: &Vec<u8>, chance: &mut Chance| match self.bound_ms {
            Some(_) => {
                let delay = i64::try_from(chance.below(bound)).unwrap_or(0);
                time(record).unwrap_or(0) + delay
            }
            None => i64::try_from(chance.below(1 << 62)).unwrap_or(0),
        };
        let mut keyed: Vec<_> =
            input.records.drain(..).map(|record| (key(&record, chance), record)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        input.records.extend(keyed.into_iter().map(|(_, record)| record));
    }
}

/// The event time of a record, when it is a field `ts` in milliseconds.
fn time(record: &[u8]) -> Option<i64> {
    let fields: Value = serde_json::from_slice(record).ok()?;
    fields.get("ts")?.as_i64()
}

fn any_late(times: &[Option<i64>], bound_ms: i64) -> bool {
    let mut latest = i64::MIN;
    times.iter().flatten().any(|&time| {
        let is_late = time <= latest.saturating_sub(bound_ms);
        latest = latest.max(time);
        is_late
    })
}
