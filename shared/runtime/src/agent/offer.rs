//! A grant, before it is taken: is the core's word about the frames of this state? Another process
//! with a copy of it may have spoken for this agent meanwhile (PROTOCOL.md, rules 11 to 13).
//!
//! Guarantees: no mark is taken for an acknowledgement before the last frame that the core applied
//! was compared with the one of that number here. What cannot be compared is not taken for one's
//! own: then the state goes on as an old copy does, which counts nothing twice.

use headwater_engine::mutation::{Mutation, mutated};
use headwater_wire::{
    ChannelHead, ChannelUpto, FrameAddress, WireError, address_frame, frame_hash,
};

use super::{Agent, Now, outbox::Kind};

/// A grant whose heads are being compared.
pub(super) struct Offer {
    pub(super) term: u32,
    pub(super) heads: Vec<ChannelHead>,
    /// Heads that are this state's.
    compared: usize,
}

/// Whose the frames are that the core has of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    Others,
    /// The frame of this number has to be looked at.
    Unread(u64),
}

impl Offer {
    pub(super) fn new(term: u32, heads: Vec<ChannelHead>) -> Self {
        Offer { term, heads, compared: 0 }
    }

    fn head(&self) -> Option<&ChannelHead> {
        self.heads.get(self.compared)
    }
}

impl Agent {
    /// The stored frame that has to be compared before a grant is taken: channel and seq. The
    /// driver reads it and calls [`compare`](Agent::compare).
    pub fn next_to_compare(&self) -> Option<(u32, u64)> {
        let head = self.link.offer.as_ref()?.head()?;
        match self.whose(head) {
            Whose::Unread(seq) => Some((head.channel, seq)),
            _ => None,
        }
    }

    /// The frame that was asked for.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn compare(&mut self, bytes: &[u8], now: Now) -> Result<(), WireError> {
        let Some(head) = self.link.offer.as_ref().and_then(Offer::head).copied() else {
            return Ok(());
        };
        if self.was_sent_as(&head, bytes)? || mutated(Mutation::TrustOtherFrames) {
            self.go_on();
            self.examine(now);
        } else {
            self.turn_down(now);
        }
        Ok(())
    }

    /// Goes through the heads as far as no frame has to be read.
    pub(super) fn examine(&mut self, now: Now) {
        while let Some(offer) = &self.link.offer {
            let Some(head) = offer.head() else { return self.accept(now) };
            match self.whose(head) {
                Whose::Unread(_) => return,
                Whose::Others if !mutated(Mutation::TrustOtherFrames) => {
                    return self.turn_down(now);
                }
                Whose::Others | Whose::Ours => self.go_on(),
            }
        }
    }

    fn go_on(&mut self) {
        if let Some(offer) = &mut self.link.offer {
            offer.compared += 1;
        }
    }

    /// The core's frames are of another copy of this state.
    fn turn_down(&mut self, now: Now) {
        let Some(offer) = self.link.offer.take() else { return };
        self.record.is_known = true;
        let mark =
            |head: &ChannelHead| ChannelUpto { channel: head.channel, upto_seq: head.upto_seq };
        let marks: Vec<_> = offer.heads.iter().map(mark).collect();
        self.rewound(&marks, now);
    }

    fn accept(&mut self, now: Now) {
        let Some(offer) = self.link.offer.take() else { return };
        self.link.granted(offer.term);
        self.record.is_known = true;
        for (number, channel) in &mut self.channels {
            if channel.kind == Kind::Exchange {
                let head = offer.heads.iter().find(|head| head.channel == *number);
                let mark = head.map_or(0, |head| channel.stored_seq(head.upto_seq));
                channel.set_mark(mark, now.mono_ms);
            }
        }
        self.offer_again(now);
    }

    fn whose(&self, head: &ChannelHead) -> Whose {
        let channel = self.channels.get(&head.channel);
        match channel.filter(|channel| channel.kind == Kind::Exchange) {
            Some(channel) => channel.whose(head),
            None => Whose::Ours,
        }
    }

    /// Whether the core's last frame is this one: as it is stored, or as it is sent under the
    /// present life or the one before it.
    fn was_sent_as(&self, head: &ChannelHead, stored: &[u8]) -> Result<bool, WireError> {
        if frame_hash(stored)? == head.frame_hash {
            return Ok(true);
        }
        let channel = self.channels.get(&head.channel);
        let behind = channel.and_then(|c| c.hole_before(c.stored_seq(head.frame_seq)));
        let parent = self.identity.parent.as_ref().map(|(incarnation, _)| *incarnation);
        for incarnation in [Some(self.identity.incarnation), parent].into_iter().flatten() {
            let mut bytes = stored.to_vec();
            let address = FrameAddress { term: 0, incarnation, seq: head.frame_seq, behind };
            address_frame(&mut bytes, &address)?;
            if frame_hash(&bytes)? == head.frame_hash {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
