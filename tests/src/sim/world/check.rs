//! The judge of a run: knows every reading that was taken, every frame that was made and every
//! result that left, and says where they do not agree (PROTOCOL.md, I1 to I6).

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::context::Context;
use headwater_engine::slot::Slot;
use headwater_engine::types::Schema;
use headwater_plan::Plan;
use headwater_runtime::hub::Reply;
use headwater_store::crash::CrashDisk;
use headwater_store::{Commit, Disk as _, Gap, Mark, Store};
use headwater_wire::{BatchDecoder, BatchItem, ControlBody, decode_frame, frame_hash};

use super::readings::{Answer, Totals, Window, merge_into};

type Incarnation = [u8; 16];
/// Node, incarnation, channel.
type Stream = (usize, Incarnation, u32);

/// What a frame holds.
struct Content {
    hash: u64,
    cells: Vec<(Window, Totals)>,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which one, and how.
    pub what: String,
    /// Node that it concerns.
    pub node: usize,
}

/// The judge.
pub(super) struct Checker {
    schema: Schema,
    context: Context,
    frames: BTreeMap<(Stream, u64), Content>,
    sent: BTreeMap<Stream, u64>,
    /// Committed by the core, and acknowledged by it.
    marks: BTreeMap<Stream, u64>,
    acked: BTreeMap<Stream, u64>,
    /// Highest mark that a core has ever had, also one that was restored since.
    ever: BTreeMap<Stream, u64>,
    terms: BTreeMap<usize, u32>,
    results: BTreeMap<(u32, u64), Vec<u8>>,
    /// Bytes of unacknowledged frames that a gateway may hold.
    backlog_max: u64,
    /// Gateways whose state was replaced by an older one, and those that lost it.
    copied: BTreeSet<usize>,
    reflashed: BTreeSet<usize>,
    /// The core's state was replaced by an older one just now.
    is_restored: bool,
    pub(super) violations: Vec<Violation>,
}

/// Bytes that a state file of these small pipelines stays below.
const DISK_BYTES_MAX: u64 = 16 << 20;
/// Bytes of an offset in front of a chunk of results.
const CHUNK_HEAD_BYTES: usize = 8;

impl Checker {
    pub(super) fn new(plan: &Plan, backlog_max: u64) -> Checker {
        let core = plan.core.as_ref().expect("a cut plan has a core");
        Checker {
            schema: core.scans[0].decoded.clone(),
            context: Context::new(&plan.limits),
            frames: BTreeMap::new(),
            sent: BTreeMap::new(),
            marks: BTreeMap::new(),
            acked: BTreeMap::new(),
            ever: BTreeMap::new(),
            terms: BTreeMap::new(),
            results: BTreeMap::new(),
            backlog_max,
            copied: BTreeSet::new(),
            reflashed: BTreeSet::new(),
            is_restored: false,
            violations: Vec::new(),
        }
    }

    pub(super) fn fail(&mut self, node: usize, what: String) {
        self.violations.push(Violation { what, node });
    }

    /// A gateway is about to store these frames.
    pub(super) fn made(&mut self, node: usize, commit: &Commit) {
        for row in commit.outbox_put.iter().filter(|row| row.channel < 1000) {
            let frame = decode_frame(&row.bytes).expect("an agent makes frames that can be read");
            let stream = (node, frame.header.incarnation, row.channel);
            let mut cells = Vec::new();
            let mut decoder =
                BatchDecoder::new(&frame.payload, &self.schema).expect("rows of the exchange");
            let mut slots = vec![Slot::ZERO; self.schema.len()];
            let context = &mut self.context;
            while let Some(item) = decoder.next(&mut slots, context).expect("a readable row") {
                if let BatchItem::Row { .. } = item {
                    let window = (context.text(slots[0]).to_owned(), slots[1].as_i64());
                    let [count, sum, low, high] = [3, 4, 5, 6].map(|at: usize| slots[at].as_i64());
                    cells.push((window, Totals { count, sum, low, high }));
                }
                context.arena.clear();
            }
            let hash = frame_hash(&row.bytes).expect("a whole frame");
            self.frames.insert((stream, row.seq), Content { hash, cells });
        }
    }

    /// A gateway starts: frames beyond what its disk holds were never made.
    pub(super) fn gateway_opened(&mut self, node: usize, store: &Store) {
        if self.is_replaced(node) {
            return;
        }
        let incarnation = store.identity().incarnation;
        for (&channel, state) in &store.head().channels {
            let stream = (node, incarnation, channel);
            let sent = self.sent.get(&stream).copied().unwrap_or(0);
            if sent >= state.next_seq {
                let next = state.next_seq;
                self.fail(node, format!("frame {sent} was sent, but {next} is the next to make"));
            }
            self.frames.retain(|(s, seq), _| *s != stream || *seq < state.next_seq);
        }
        if store.head().channels.is_empty() {
            self.frames.retain(|(s, _), _| (s.0, s.1) != (node, incarnation));
        }
    }

    /// A gateway transmits a frame.
    pub(super) fn sent(&mut self, node: usize, bytes: &[u8]) {
        if self.is_replaced(node) {
            return;
        }
        let frame = decode_frame(bytes).expect("a readable frame").header;
        let stream = (node, frame.incarnation, frame.channel);
        let known = self.frames.get(&(stream, frame.seq)).map(|content| content.hash);
        if known != frame_hash(bytes).ok() {
            self.fail(node, format!("frame {} is sent with another content", frame.seq));
        }
        let sent = self.sent.entry(stream).or_default();
        *sent = frame.seq.max(*sent);
    }

    /// The core has committed marks.
    pub(super) fn applied(&mut self, commit: &Commit) {
        for write in &commit.marks {
            if let Some(mark) = &write.mark {
                let stream = stream(&write.agent, write.channel, mark);
                self.marks.insert(stream, mark.seq);
                let ever = self.ever.entry(stream).or_default();
                *ever = mark.seq.max(*ever);
            }
        }
    }

    /// A gateway that continues no other life is about to delete these frames: the core has them.
    pub(super) fn deletes(&mut self, node: usize, incarnation: Incarnation, commit: &Commit) {
        for &(channel, upto) in commit.outbox_delete.iter().filter(|(channel, _)| *channel < 1000) {
            let has = self.ever.get(&(node, incarnation, channel)).copied().unwrap_or(0);
            if upto > has {
                let what = format!("I4: deletes frames up to {upto}, the core has had {has}");
                self.fail(node, what);
            }
        }
    }

    /// The core starts: what it has acknowledged must be there.
    pub(super) fn core_opened(&mut self, store: &Store) {
        self.core_results(store);
        let ledger = store.snapshot().and_then(|snapshot| snapshot.ledger());
        self.marks.clear();
        for ((agent, channel), mark) in ledger.expect("a readable ledger") {
            let stream = stream(&agent, channel, &mark);
            self.marks.insert(stream, mark.seq);
            // A commit that was reported as failed may have been durable.
            let ever = self.ever.entry(stream).or_default();
            *ever = mark.seq.max(*ever);
        }
        let acked = self.acked.clone();
        for (stream, seq) in acked {
            let is_current = self.marks.keys().any(|s| *s == stream);
            let mark = self.marks.get(&stream).copied().unwrap_or(0);
            if is_current && mark < seq {
                let what = format!("I4: frame {seq} was acknowledged, but {mark} is committed");
                self.fail(stream.0, what);
            }
        }
    }

    /// What has left the core must be in its store; after a restore the sink goes back with it.
    fn core_results(&mut self, store: &Store) {
        let next = |channel: u32| store.head().channels.get(&channel).map_or(1, |c| c.next_seq);
        let count = self.results.len();
        self.results.retain(|(channel, seq), _| *seq < next(*channel));
        if count > self.results.len() && !std::mem::take(&mut self.is_restored) {
            self.fail(0, "results left the core that it does not hold".into());
        }
        self.is_restored = false;
    }

    /// The state of a node was replaced by an older one.
    pub(super) fn restored(&mut self, node: usize) {
        if node == 0 {
            self.acked.clear();
            self.terms.clear();
            self.is_restored = true;
        } else {
            self.copied.insert(node);
        }
    }

    /// A gateway has lost its state.
    pub(super) fn reflashed(&mut self, node: usize) {
        self.reflashed.insert(node);
    }

    /// Whether the state of a gateway was replaced.
    pub(super) fn is_changed(&self) -> bool {
        !self.copied.is_empty() || !self.reflashed.is_empty()
    }

    fn is_replaced(&self, node: usize) -> bool {
        self.copied.contains(&node) || self.reflashed.contains(&node)
    }

    /// The core publishes a reply.
    pub(super) fn replied(&mut self, node: usize, reply: &Reply) {
        match reply {
            Reply::Ack(ack) => {
                for upto in &ack.upto {
                    let stream = (node, ack.incarnation, upto.channel);
                    let mark = self.marks.get(&stream).copied().unwrap_or(0);
                    if upto.upto_seq > mark {
                        let seq = upto.upto_seq;
                        let what = format!("I4: acknowledges frame {seq}, {mark} is committed");
                        self.fail(node, what);
                    }
                    let acked = self.acked.entry(stream).or_default();
                    *acked = upto.upto_seq.max(*acked);
                }
            }
            Reply::Control(control) => {
                if let ControlBody::Grant { term, .. } = control.body
                    && self.terms.insert(node, term).is_some_and(|before| before >= term)
                {
                    self.fail(node, format!("term {term} is granted again"));
                }
            }
        }
    }

    /// The sink has a chunk of results.
    pub(super) fn delivered(&mut self, channel: u32, seq: u64, bytes: &[u8]) {
        let before = self.results.insert((channel, seq), bytes.to_vec());
        if before.is_some_and(|before| before != bytes) {
            self.fail(0, format!("result {seq} left the core with two contents"));
        }
    }

    /// I6: bounds hold at all times.
    pub(super) fn bounded(&mut self, node: usize, backlog: u64, disk: &CrashDisk) {
        let length = disk.len().unwrap_or(0);
        if length > DISK_BYTES_MAX {
            self.fail(node, format!("I6: the state file has {length} bytes"));
        }
        if backlog > self.backlog_max {
            self.fail(node, format!("I6: {backlog} bytes wait in the outbox"));
        }
    }

    /// The end of a run: everything is delivered. `expected` is what must have come of each
    /// gateway's readings.
    pub(super) fn finish(&mut self, expected: &[Answer], gaps: &[Gap]) {
        let mut made = vec![Answer::new(); expected.len()];
        let mut arrived = Answer::new();
        let lost = self.declared(gaps);
        for ((stream, seq), content) in &self.frames {
            for (window, totals) in &content.cells {
                merge_into(&mut made[stream.0 - 1], window, totals);
                if !lost.contains(&(*stream, *seq)) {
                    merge_into(&mut arrived, window, totals);
                }
            }
        }
        for (index, (made, expected)) in made.iter().zip(expected).enumerate() {
            self.compare(index + 1, "the gateway's frames", made, expected);
        }
        let committed = self.committed();
        self.compare(0, "the core's results", &committed, &arrived);
    }

    /// The end of a run in which states of gateways were replaced: nothing counts twice, nothing
    /// of the others is lost, and what is lost is declared. `most` is all that was read.
    pub(super) fn finish_changed(&mut self, expected: &[Answer], most: &[Answer], gaps: &[Gap]) {
        let kept: Vec<Gap> =
            gaps.iter().filter(|gap| !self.is_replaced(node(&gap.agent))).cloned().collect();
        let lost = self.declared(&kept);
        let (mut low, mut high) = (Answer::new(), Answer::new());
        for ((stream, seq), content) in &self.frames {
            if self.is_replaced(stream.0) || lost.contains(&(*stream, *seq)) {
                continue;
            }
            for (window, totals) in &content.cells {
                merge_into(&mut low, window, totals);
                merge_into(&mut high, window, totals);
            }
        }
        for (index, (expected, most)) in expected.iter().zip(most).enumerate() {
            let upper = if self.reflashed.contains(&(index + 1)) { most } else { expected };
            for (window, totals) in upper.iter().filter(|_| self.is_replaced(index + 1)) {
                merge_into(&mut high, window, totals);
            }
        }
        let committed = self.committed();
        let count = |answer: &Answer, window: &Window| answer.get(window).map_or(0, |t| t.count);
        let all: BTreeSet<&Window> = committed.keys().chain(high.keys()).collect();
        for window in &all {
            let found = count(&committed, window);
            let (least, most) = (count(&low, window), count(&high, window));
            if !(least..=most).contains(&found) {
                let what = format!("I1, I2: {window:?}: {found} rows, not {least} to {most}");
                return self.fail(0, what);
            }
        }
        let is_less = all.iter().any(|w| count(&committed, w) < count(&high, w));
        let is_declared = gaps.iter().any(|gap| self.is_replaced(node(&gap.agent)));
        if is_less && !is_declared && self.reflashed.is_empty() {
            self.fail(0, "I3: rows of a restored gateway are lost and no gap says so".into());
        }
    }

    /// Frames that were declared lost.
    fn declared(&mut self, gaps: &[Gap]) -> BTreeSet<(Stream, u64)> {
        let mut lost = BTreeSet::new();
        for gap in gaps {
            let node = node(&gap.agent);
            let within = |((stream, seq), _): &(&(Stream, u64), &Content)| {
                stream.0 == node && stream.2 == gap.channel && (gap.from..=gap.to).contains(seq)
            };
            let frames: Vec<_> = self.frames.iter().filter(within).map(|(key, _)| *key).collect();
            if frames.is_empty() {
                self.fail(node, format!("I3: frames {} to {} never were", gap.from, gap.to));
            }
            lost.extend(frames);
        }
        lost
    }

    /// What the sink holds: the last row of each key.
    fn committed(&self) -> Answer {
        let mut answer = Answer::new();
        for chunk in self.results.values() {
            let lines = chunk[CHUNK_HEAD_BYTES..].split(|byte| *byte == b'\n');
            for line in lines.filter(|line| !line.is_empty()) {
                let row: serde_json::Value = serde_json::from_slice(line).expect("a line of JSON");
                let number = |name: &str| row[name].as_i64().expect("a number");
                let device = row["device"].as_str().expect("a text").to_owned();
                let totals = Totals {
                    count: number("n"),
                    sum: number("total"),
                    low: number("low"),
                    high: number("high"),
                };
                answer.insert((device, number("start")), totals);
            }
        }
        answer
    }

    fn compare(&mut self, node: usize, who: &str, found: &Answer, expected: &Answer) {
        let windows: BTreeSet<&Window> = found.keys().chain(expected.keys()).collect();
        let differ = |w: &&&Window| found.get(*w) != expected.get(*w);
        let different: Vec<&&Window> = windows.iter().filter(differ).collect();
        if let Some(first) = different.first() {
            let (found, expected) = (found.get(*first), expected.get(*first));
            let count = different.len();
            let what = format!(
                "I1, I2: {who}: {count} windows differ; {first:?}: {found:?}, not {expected:?}"
            );
            self.fail(node, what);
        }
    }
}

fn stream(agent: &str, channel: u32, mark: &Mark) -> Stream {
    (node(agent), mark.incarnation, channel)
}

/// The number of a gateway by its name.
fn node(agent: &str) -> usize {
    agent.trim_start_matches('g').parse().expect("gateways are named g1, g2, …")
}
