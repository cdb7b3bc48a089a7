//! Rests of the network thread, in which messages gather.
//!
//! A server writes message by message, and each of them wakes a thread that waits for its socket,
//! also one that would not read yet: that switch costs ten times what the message does. So a
//! connection with messages asks for a rest, and the thread that would wait for sockets next
//! sleeps so long first. A thread whose runtime does not call [`rest`] gathers nothing.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static ASKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Asks for a rest of this thread before it waits the next time; the longest one asked for counts.
pub(super) fn ask(rest: Duration) {
    ASKED.set(ASKED.get().max(rest));
}

/// Takes the rest that was asked for. For the runtime of the network thread, before it waits.
pub(crate) fn rest() {
    let asked = ASKED.take();
    if !asked.is_zero() {
        std::thread::sleep(asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_rest_is_taken_once() {
        let started = Instant::now();
        ask(Duration::from_millis(20));
        ask(Duration::from_millis(1));
        rest();
        assert!(started.elapsed() >= Duration::from_millis(20));
        assert_eq!(ASKED.get(), Duration::ZERO);
    }
}
