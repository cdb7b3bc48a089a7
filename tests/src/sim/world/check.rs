//! The judge of a run: knows every reading that was taken, every frame that was made and every
//! result that left, and says where they do not agree (PROTOCOL.md, I1 to I6).

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::context::Context;
use headwater_engine::slot::Slot;
use headwater_engine::types::Schema;
use headwater_plan::Plan;
use headwater_runtime::agent::Policy;
use headwater_runtime::hub::Reply;
use headwater_store::crash::CrashDisk;
use headwater_store::{Commit, Disk as _, Mark, Store};
use headwater_wire::{BatchDecoder, BatchItem, ControlBody, decode_frame};

use super::readings::{Totals, WINDOW_MS, Window};

mod finish;
mod lives;
mod losses;
mod pairs;

use losses::Declaration;

type Incarnation = [u8; 16];
/// Node, incarnation, channel.
type Stream = (usize, Incarnation, u32);

/// What a frame holds.
struct Content {
    /// Of the payload: the header changes with the life that sends it.
    hash: u64,
    cells: Vec<(Window, Totals)>,
    /// Losses that it declares.
    declares: Vec<Declaration>,
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
    /// What channels hold: all the same, however long their windows are.
    schema: Schema,
    /// Lengths of their windows, ms.
    lengths: Vec<i64>,
    policy: Policy,
    /// Answers are compared by windows of this length, ms.
    compared_ms: i64,
    context: Context,
    frames: BTreeMap<(Stream, u64), Content>,
    /// Numbers without frames: their rows are in coarser ones, or were dropped before there was
    /// a frame.
    removed: BTreeSet<(Stream, u64)>,
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
    pairs: pairs::Pairs,
    known: lives::Lives,
    /// The core's state was replaced by an older one just now.
    is_restored: bool,
    /// The same, at any time.
    was_restored: bool,
    pub(super) violations: Vec<Violation>,
}

/// The low bits of a nonce count the hellos of one process, the others name it.
const NONCE_COUNT_BITS: u32 = 16;
/// Bytes that a state file of these small pipelines stays below.
const DISK_BYTES_MAX: u64 = 16 << 20;

impl Checker {
    pub(super) fn new(plan: &Plan, policy: Policy, backlog_max: u64) -> Checker {
        let core = plan.core.as_ref().expect("a cut plan has a core");
        Checker {
            schema: core.scans[0].decoded.clone(),
            lengths: lengths(plan),
            policy,
            compared_ms: lengths(plan).into_iter().max().unwrap_or(WINDOW_MS),
            context: Context::new(&plan.limits),
            frames: BTreeMap::new(),
            removed: BTreeSet::new(),
            sent: BTreeMap::new(),
            marks: BTreeMap::new(),
            acked: BTreeMap::new(),
            ever: BTreeMap::new(),
            terms: BTreeMap::new(),
            results: BTreeMap::new(),
            backlog_max,
            copied: BTreeSet::new(),
            reflashed: BTreeSet::new(),
            pairs: pairs::Pairs::default(),
            known: lives::Lives::default(),
            is_restored: false,
            was_restored: false,
            violations: Vec::new(),
        }
    }

    pub(super) fn fail(&mut self, node: usize, what: String) {
        self.violations.push(Violation { what, node });
    }

    /// A gateway is about to store these frames.
    pub(super) fn made(&mut self, node: usize, incarnation: Incarnation, commit: &Commit) {
        for row in commit.outbox_put.iter().filter(|row| row.channel < 1000) {
            let frame = decode_frame(&row.bytes).expect("an agent makes frames that can be read");
            let stream = (node, frame.header.incarnation, row.channel);
            let mut cells = Vec::new();
            let mut decoder =
                BatchDecoder::new(&frame.payload, &self.schema).expect("rows of the exchange");
            let mut slots = vec![Slot::ZERO; self.schema.len()];
            let context = &mut self.context;
            let length = self.lengths[row.channel as usize];
            while let Some(item) = decoder.next(&mut slots, context).expect("a readable row") {
                if let BatchItem::Row { .. } = item {
                    let window = (context.text(slots[0]).to_owned(), slots[1].as_i64(), length);
                    let [count, sum, low, high] = [3, 4, 5, 6].map(|at: usize| slots[at].as_i64());
                    cells.push((window, Totals { count, sum, low, high }));
                }
                context.arena.clear();
            }
            let hash = hash(&frame.payload);
            let declares = losses::declared_in(&frame.header);
            self.removed.remove(&(stream, row.seq));
            self.frames.insert((stream, row.seq), Content { hash, cells, declares });
        }
        self.removes(node, incarnation, commit);
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
            self.removed.retain(|(s, seq)| *s != stream || *seq < state.next_seq);
            self.unremoved(stream, store);
        }
        if store.head().channels.is_empty() {
            self.frames.retain(|(s, _), _| (s.0, s.1) != (node, incarnation));
            self.removed.retain(|(s, _)| (s.0, s.1) != (node, incarnation));
        }
    }

    /// A gateway transmits a frame.
    pub(super) fn sent(&mut self, node: usize, bytes: &[u8]) {
        if self.is_replaced(node) {
            return;
        }
        let whole = decode_frame(bytes).expect("a readable frame");
        let frame = whole.header;
        let stream = (node, frame.incarnation, frame.channel);
        let known = self.frames.get(&(stream, frame.seq)).map(|content| content.hash);
        if known != Some(hash(&whole.payload)) || self.removed.contains(&(stream, frame.seq)) {
            self.fail(node, format!("frame {} is sent with another content", frame.seq));
        }
        let sent = self.sent.entry(stream).or_default();
        *sent = frame.seq.max(*sent);
    }

    /// The core has committed marks.
    pub(super) fn applied(&mut self, commit: &Commit) {
        commit.agents.iter().for_each(|(name, record)| self.lived(name, record));
        for write in &commit.marks {
            if let Some(mark) = &write.mark {
                let stream = stream(&write.agent, write.channel, mark);
                self.marks.insert(stream, mark.seq);
                self.lives(stream.0, write.channel, mark);
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
        let snapshot = store.snapshot().expect("a readable store");
        let agents = snapshot.agents().expect("readable agents");
        agents.iter().for_each(|(name, record)| self.lived(name, record));
        self.marks.clear();
        for ((agent, channel), mark) in snapshot.ledger().expect("a readable ledger") {
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
        self.unsettle(node);
        if node == 0 {
            self.acked.clear();
            self.terms.clear();
            self.is_restored = true;
            self.was_restored = true;
        } else {
            self.copied.insert(node);
        }
    }

    /// A gateway has lost its state.
    pub(super) fn reflashed(&mut self, node: usize) {
        self.unsettle(node);
        self.reflashed.insert(node);
        self.reflashed.extend(self.reads_for(node));
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
                if let ControlBody::GrantWithHeads { term, nonce, .. } = control.body {
                    if self.terms.insert(node, term).is_some_and(|before| before >= term) {
                        self.fail(node, format!("term {term} is granted again"));
                    }
                    self.takes_turn(node, nonce);
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
}

fn stream(agent: &str, channel: u32, mark: &Mark) -> Stream {
    (node(agent), mark.incarnation, channel)
}

/// The number of a gateway by its name.
fn node(agent: &str) -> usize {
    agent.trim_start_matches('g').parse().expect("gateways are named g1, g2, …")
}

/// Lengths of the windows of each channel, ms.
fn lengths(plan: &Plan) -> Vec<i64> {
    let mut lengths = vec![WINDOW_MS; plan.channels.len()];
    plan.ladder.iter().for_each(|rung| lengths[rung.to] = rung.size_ms);
    lengths
}

fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
