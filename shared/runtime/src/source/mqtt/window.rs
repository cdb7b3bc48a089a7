//! The server's in-flight window: how many messages it sends before it waits for us.
//!
//! An acknowledgement follows the commit, so a server whose window is used up is silent until the
//! next one. Nothing tells a client how wide that window is: some servers cap what MQTT 5 lets a
//! client ask for, and 3.1.1 lets it ask for nothing. So it is learned: silence with messages
//! unacknowledged, ended at once by their acknowledgement, shows it; more messages than that
//! disprove it. Pure: time comes in as an argument.

use std::time::{Duration, Instant};

/// What is known of the window of the present connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// What we asked for.
    asked: usize,
    /// The server was seen to stop at this many.
    limit: Option<usize>,
    /// Silence after which the server may be waiting for us.
    patience: Duration,
    last_message: Instant,
    /// Messages unacknowledged when the server seemed to wait and a commit began.
    waited_at: Option<usize>,
    /// The same, with the time of their acknowledgement.
    opened: Option<(usize, Instant)>,
    /// Acknowledgements in a row after which the server had nothing to send.
    misses: u32,
}

impl Window {
    pub(super) fn new(asked: usize, now: Instant) -> Self {
        Self {
            asked: asked.max(1),
            limit: None,
            patience: PATIENCE_MIN,
            last_message: now,
            waited_at: None,
            opened: None,
            misses: 0,
        }
    }

    /// A new connection: the server may have been told other limits meanwhile.
    pub(super) fn connected(&mut self, now: Instant) {
        *self = Self::new(self.asked, now);
    }

    /// Messages have come; `owed` are unacknowledged now.
    pub(super) fn received(&mut self, owed: usize, now: Instant) {
        if let Some((limit, since)) = self.opened.take() {
            self.answered(limit, now - since);
        }
        if self.limit.is_some_and(|limit| owed > limit) {
            self.limit = None;
        }
        self.last_message = now;
    }

    /// When a commit is wanted so that the server goes on.
    pub(super) fn due(&self, owed: usize) -> Option<Instant> {
        let is_used = self.limit.is_some_and(|limit| owed >= limit);
        if is_used || owed >= self.asked.div_ceil(4) * 3 {
            return Some(self.last_message);
        }
        (owed >= WINDOW_SURE).then(|| self.last_message + self.patience)
    }

    /// A commit begins, after which `owed` messages will be acknowledged.
    pub(super) fn closing(&mut self, owed: usize, now: Instant) {
        let is_silent = owed >= WINDOW_SURE && now - self.last_message >= self.patience;
        let is_used = self.limit.is_some_and(|limit| owed >= limit);
        self.waited_at = (is_silent || is_used).then_some(owed);
    }

    /// They have been acknowledged.
    pub(super) fn opened(&mut self, now: Instant) {
        self.opened = self.waited_at.take().map(|owed| (owed, now));
    }

    /// The next message came so long after the acknowledgement.
    fn answered(&mut self, limit: usize, after: Duration) {
        if after <= self.patience / PROMPT {
            // Where more fit, the wait for the silence does not matter, and a busy machine
            // looks like a server that waits.
            self.limit = (limit <= LIMIT_MAX).then_some(limit);
            self.misses = 0;
            return;
        }
        // It had nothing to send. Only a server that waits for us pays for patience.
        self.patience = (self.patience * 2).min(PATIENCE_MAX);
        self.misses += 1;
        if self.misses >= MISSES_MAX {
            self.limit = None;
        }
    }

    /// How many messages the server sends before it waits, if it is known.
    pub(super) fn limit(&self) -> Option<usize> {
        self.limit
    }
}

/// No server in use waits earlier than this; fewer messages are no reason to write to the flash.
const WINDOW_SURE: usize = 10;
const PATIENCE_MIN: Duration = Duration::from_millis(100);
const PATIENCE_MAX: Duration = Duration::from_millis(800);
/// A server that waited answers within this part of the patience, one with nothing to send
/// hardly ever does.
const PROMPT: u32 = 8;
const MISSES_MAX: u32 = 3;
/// Windows above this are not learned.
const LIMIT_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_window_is_learned_by_the_servers_silence() {
        let start = Instant::now();
        let mut window = Window::new(65_535, start);
        window.received(20, start);
        let due = window.due(20).unwrap();
        assert_eq!(due, start + PATIENCE_MIN);
        window.closing(20, due);
        window.opened(due + 5 * MS);
        // It goes on at once: it had been waiting for us.
        window.received(20, due + 7 * MS);
        assert_eq!(window.limit(), Some(20));
        assert_eq!(window.due(19), Some(due + 7 * MS + PATIENCE_MIN));
        assert_eq!(window.due(20), Some(due + 7 * MS), "no more waiting");
        // More than that: it was no limit.
        window.received(21, due + 9 * MS);
        assert_eq!(window.limit(), None);
    }

    #[test]
    fn sensors_that_pause_are_no_limit() {
        let start = Instant::now();
        let mut window = Window::new(65_535, start);
        // A burst of 100 messages every second, with a commit wherever one is wanted.
        for burst in 0..60 {
            let now = start + 1000 * MS * burst;
            window.received(100, now);
            let due = window.due(100).unwrap();
            assert!(due <= now + PATIENCE_MAX);
            window.closing(100, due);
            window.opened(due);
            assert_eq!(window.limit(), None);
        }
        assert_eq!(window.patience, PATIENCE_MAX);
    }

    #[test]
    fn a_limit_that_was_none_is_forgotten() {
        let mut now = Instant::now();
        let mut window = Window::new(65_535, now);
        window.received(30, now);
        window.closing(30, now + PATIENCE_MIN);
        window.opened(now + PATIENCE_MIN);
        window.received(1, now + PATIENCE_MIN + MS);
        assert_eq!(window.limit(), Some(30), "by chance");
        for _ in 0..3 {
            now += 1000 * MS;
            window.received(30, now);
            window.closing(30, now);
            window.opened(now);
        }
        window.received(30, now + 1000 * MS);
        assert_eq!(window.limit(), None);
    }

    #[test]
    fn what_was_asked_for_is_not_used_up() {
        let now = Instant::now();
        let window = Window::new(1000, now);
        assert_eq!(window.due(749), Some(now + PATIENCE_MIN));
        assert_eq!(window.due(750), Some(now));
        assert_eq!(window.due(9), None);
    }
}
