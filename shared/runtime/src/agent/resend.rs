//! When frames are sent again, and how many: a few first, the rest only if the core lacks it. What
//! it is slow to acknowledge is no reason to send a whole backlog twice, over a link that is paid
//! for by the byte and to a core that has to look at each repeat.

use super::outbox::Channel;

/// Longest time between two rounds of sending again, in ms.
const RESEND_MAX_MS: i64 = 300_000;
/// Frames with which a round begins.
const PROBE_FRAMES: u64 = 8;

/// A round of sending again that waits for the core's word on its first frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    upto: u64,
    /// Where sending goes on when the core has more than the probe.
    resume: u64,
}

impl Channel {
    /// Begins a round when nothing has been acknowledged for `after_ms`, doubled with each round.
    pub(super) fn send_again_if_due(&mut self, after_ms: i64, mono_ms: i64) {
        let wait = (after_ms << self.backoff.min(8)).min(RESEND_MAX_MS);
        // Spread over the fleet without randomness: by channel state, up to an eighth.
        let jitter = (wait / 8) * i64::try_from(self.acked % 8).unwrap_or(0) / 8;
        let is_waiting = self.cursor > self.acked + 1;
        if !is_waiting || mono_ms - self.progress_ms < wait + jitter {
            return;
        }
        let resume = self.probe.map_or(self.cursor, |probe| probe.resume.max(self.cursor));
        let upto = self.past_holes(self.acked + 1) + PROBE_FRAMES - 1;
        self.cursor = self.acked + 1;
        self.probe = (upto + 1 < resume).then_some(Probe { upto, resume });
        self.progress_ms = mono_ms;
        self.backoff += 1;
    }

    /// After a grant nothing counts as sent.
    pub(super) fn send_all_again(&mut self, mono_ms: i64) {
        self.cursor = self.acked + 1;
        self.probe = None;
        self.progress_ms = mono_ms;
        self.backoff = 0;
    }

    /// The core lacks `seq` and perhaps what follows.
    pub(super) fn send_again_from(&mut self, seq: u64) {
        if seq < self.cursor {
            self.cursor = seq;
            self.probe = None;
        }
    }

    /// The last frame that a probe allows to be sent.
    pub(super) fn probed_upto(&self) -> u64 {
        // Frames that were dropped have taken the channel past its probe.
        let probe = self.probe.filter(|probe| self.acked < probe.upto);
        probe.map_or(u64::MAX, |probe| probe.upto)
    }

    /// The core has everything up to `seq`: more than the probe, and what was sent before it may
    /// be on its way; no more than the probe, and the rest was lost.
    pub(super) fn end_probe(&mut self, seq: u64) {
        if let Some(probe) = self.probe.take_if(|probe| seq >= probe.upto)
            && seq > probe.upto
        {
            self.cursor = self.cursor.max(probe.resume);
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_store::ChannelState;

    use super::super::outbox::{Channel, Kind};
    use super::PROBE_FRAMES;

    const AFTER_MS: i64 = 1000;

    /// A channel with 100 frames, all sent, whose time to send again has come.
    fn unanswered() -> Channel {
        let mut channel = Channel::new(Kind::Exchange, &ChannelState::default());
        for _ in 0..100 {
            let seq = channel.take_seq();
            channel.committed(seq, 100);
        }
        channel.cursor = 101;
        channel.send_again_if_due(AFTER_MS, AFTER_MS);
        channel
    }

    /// Numbers that are sent until the channel waits.
    fn sent(channel: &mut Channel) -> Vec<u64> {
        let from = channel.cursor;
        channel.cursor = channel.cursor.max(channel.sendable_upto() + 1);
        (from..channel.cursor).collect()
    }

    #[test]
    fn a_slow_core_is_sent_a_few_frames_and_not_the_backlog() {
        let mut channel = unanswered();
        assert_eq!(sent(&mut channel), (1..=PROBE_FRAMES).collect::<Vec<_>>());
        channel.send_again_if_due(AFTER_MS, 10 * AFTER_MS);
        assert_eq!(sent(&mut channel).len() as u64, PROBE_FRAMES, "still no word");
        channel.acknowledge(60, 10 * AFTER_MS);
        assert_eq!(sent(&mut channel), Vec::<u64>::new(), "the rest is on its way");
        channel.send_again_if_due(AFTER_MS, 20 * AFTER_MS);
        assert_eq!(sent(&mut channel), (61..=60 + PROBE_FRAMES).collect::<Vec<_>>());
    }

    #[test]
    fn a_core_that_has_the_probe_alone_is_sent_the_rest() {
        let mut channel = unanswered();
        sent(&mut channel);
        channel.acknowledge(PROBE_FRAMES - 1, AFTER_MS);
        assert_eq!(sent(&mut channel), Vec::<u64>::new());
        channel.acknowledge(PROBE_FRAMES, AFTER_MS);
        assert_eq!(sent(&mut channel), (PROBE_FRAMES + 1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_asked_for_and_what_is_dropped_does_not_wait_for_a_probe() {
        let mut channel = unanswered();
        sent(&mut channel);
        channel.send_again_from(3);
        assert_eq!(sent(&mut channel), (3..=100).collect::<Vec<_>>());
        let mut channel = unanswered();
        sent(&mut channel);
        for _ in 0..20 {
            channel.drop_first();
        }
        assert_eq!(sent(&mut channel), (21..=100).collect::<Vec<_>>());
    }
}
