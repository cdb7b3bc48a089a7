//! Lives of a state directory: a new incarnation for a copy on another machine and for an old copy
//! (PROTOCOL.md, rules 12 and 13).
//!
//! Guarantees: a new incarnation is durable before anything is sent under it. Numbers go on where
//! the parent's ended, so that no number of a channel ever names two frames; frames of the parent
//! that the core has not taken go out under the new life. An old copy sends all that was never
//! acknowledged to it under numbers behind the core's: among these frames are those that it made
//! itself, and which they are it cannot know.

use headwater_engine::mutation::{Mutation, mutated};
use headwater_store::{Commit, Identity};
use headwater_wire::ChannelUpto;

use super::{Agent, LinkState, Now, outbox::Kind};

/// What the next checkpoint stores of a new life.
#[derive(Default)]
pub(super) struct Birth {
    is_due: bool,
    /// Channels whose numbers go on further ahead, with the ranges left out.
    skips: Vec<(u32, u64, u64)>,
    /// Channels with frames that the core has from another copy.
    deletes: Vec<(u32, u64)>,
}

impl Agent {
    /// Hands over 128 random bits: they name this process to the core, and the next life, should
    /// one begin.
    pub fn set_random(&mut self, random: [u8; 16]) {
        if self.link.nonce == 0 {
            let head: [u8; 8] = *random.first_chunk().expect("sixteen bytes");
            self.link.nonce = u64::from_le_bytes(head) << INSTANCE_SHIFT;
        }
        self.spare = Some(random);
    }

    /// The life under which frames are sent.
    pub fn incarnation(&self) -> [u8; 16] {
        self.identity.incarnation
    }

    /// Whether new random bits are wanted.
    pub fn wants_random(&self) -> bool {
        self.spare.is_none()
    }

    /// The state directory comes from another machine: whoever is still there is another agent.
    /// Nothing is sent before the next checkpoint is durable.
    pub fn moved_to(&mut self, machine_id: &str) {
        machine_id.clone_into(&mut self.identity.machine_id);
        if self.begin_life(Vec::new()) {
            self.count("agent/lives-on-another-machine", 1);
        }
    }

    /// The core has applied frames that this state never made: it is an old copy.
    pub(super) fn rewound(&mut self, marks: &[ChannelUpto], now: Now) {
        let problem = "the core has more of this agent than its state directory, which is an old \
                       copy: it goes on as a new incarnation; what the core has is left out there";
        self.link.problem = Some(problem.into());
        if !self.begin_life(marks.iter().map(|mark| (mark.channel, mark.upto_seq)).collect()) {
            // The driver hands random bits over before long; the core repeats its answer.
            self.link.state = LinkState::Waiting(now.mono_ms);
            return;
        }
        self.count("agent/lives-from-an-old-copy", 1);
        for mark in marks {
            let Some(channel) = self.channels.get_mut(&mark.channel) else { continue };
            if channel.kind != Kind::Exchange {
                continue;
            }
            // Where rows have times the core leaves out those that it has; others would count
            // twice.
            let is_told_apart =
                self.task.outputs().has_times(mark.channel) && !mutated(Mutation::DropOwnFrames);
            let renumbered = is_told_apart.then(|| channel.renumber(mark.upto_seq)).flatten();
            if let Some(settled) = renumbered {
                self.birth.deletes.push((mark.channel, settled));
                self.record.shifts.insert(mark.channel, channel.shift());
                continue;
            }
            let oldest = channel.stored_seq(channel.span().0);
            let upto = channel.stored_seq(mark.upto_seq);
            if channel.skip_to(upto + 1) {
                self.birth.skips.push((mark.channel, oldest, upto));
            } else if channel.drop_upto(upto, now.mono_ms) {
                self.birth.deletes.push((mark.channel, upto));
            }
        }
    }

    /// False where no random bits are at hand.
    fn begin_life(&mut self, marks: Vec<(u32, u64)>) -> bool {
        let Some(mut incarnation) = self.spare.take() else { return false };
        if mutated(Mutation::ReuseIncarnation) {
            incarnation = self.identity.incarnation;
        }
        let parent = match self.identity.parent.take() {
            // The core never heard of the life in between: where that branched off this one does.
            Some((parent, mut branched)) if !self.record.is_known => {
                branched.retain(|(channel, _)| marks.iter().all(|mark| mark.0 != *channel));
                branched.extend(marks);
                (parent, branched)
            }
            _ => (self.identity.incarnation, marks),
        };
        self.identity = Identity {
            incarnation,
            machine_id: std::mem::take(&mut self.identity.machine_id),
            parent: Some(parent),
        };
        self.record.is_known = false;
        self.record.chains.clear();
        self.birth.is_due = true;
        self.link.offer = None;
        if self.link.state != LinkState::Down {
            self.link.state = LinkState::Minting;
        }
        true
    }

    /// Whether a new life waits for its checkpoint.
    pub(super) fn is_being_born(&self) -> bool {
        self.birth.is_due
    }

    pub(super) fn put_birth(&mut self, commit: &mut Commit) {
        let birth = std::mem::take(&mut self.birth);
        if birth.is_due {
            commit.identity = Some(self.identity.clone());
            commit.outbox_remove = birth.skips;
            commit.outbox_delete.extend(birth.deletes);
        }
    }

    /// The new life is durable: the core may hear of it.
    pub(super) fn born(&mut self) {
        if self.link.state == LinkState::Minting {
            self.greet(self.last_checkpoint_ms);
        }
    }
}

/// The low bits of a nonce count the hellos of one process, the others name it.
const INSTANCE_SHIFT: u32 = 16;
