//! Commits that do not give up: retried with back-off, the store reopened after errors.
//!
//! A full disk is the common reason: everything waits, nothing is lost, and the node goes on by
//! itself when there is room. Then the reserve that was given up is put back.

use std::time::{Duration, Instant};

use headwater_store::{Commit, CommitStats, Store, StoreError};

use crate::backoff::Backoff;
use crate::metrics::Registry;
use crate::signal::Stop;

/// A commit that failed is tried again between these times.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Tries after a stop was asked for.
const TRIES_WHEN_STOPPING: u32 = 3;
/// How soon a stop is noticed while waiting.
const STOP_TICK: Duration = Duration::from_millis(100);

/// Stores `commit`, as often as it takes. What arrives meanwhile waits in its source.
pub(super) fn store(
    store: &mut Store,
    commit: &Commit,
    registry: &Registry,
    stop: &Stop,
) -> Result<CommitStats, StoreError> {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let mut tries = 0;
    let mut tries_when_stopping = 0;
    loop {
        let error = match store.commit(commit) {
            Ok(mut stats) => {
                registry.well("state");
                if tries > 0 {
                    tracing::info!(tries, "The checkpoint is stored.");
                    // Not when it is tight still: the next failure or start tries again.
                    let _ = store.restore_ballast();
                }
                stats.bytes_written += tidy(store, stop);
                return Ok(stats);
            }
            Err(error) => error,
        };
        tries += 1;
        registry.unwell("state", &error.to_string());
        tracing::warn!(%error, tries, "A checkpoint failed; trying again.");
        if stop.asked() {
            tries_when_stopping += 1;
            if tries_when_stopping >= TRIES_WHEN_STOPPING {
                return Err(error);
            }
        }
        wait(backoff.next(), stop);
        if let Err(error) = store.reopen() {
            tracing::warn!(%error, "The state file cannot be reopened yet.");
        }
    }
}

/// Makes the file smaller where that is worth it; answers the bytes that it wrote. What fails is
/// left for another time: the checkpoint is stored.
fn tidy(store: &mut Store, stop: &Stop) -> u64 {
    let started = Instant::now();
    let error = match store.tidy() {
        Ok(None) => return 0,
        Ok(Some(tidied)) => {
            let (from, to, ms) =
                (tidied.before_bytes, tidied.after_bytes, started.elapsed().as_millis());
            tracing::info!(from, to, ms, "The state file was made smaller.");
            return tidied.bytes_written;
        }
        Err(error) => error,
    };
    tracing::warn!(%error, "The state file could not be made smaller.");
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    while store.needs_reopen() && !stop.asked() {
        if let Err(error) = store.reopen() {
            tracing::warn!(%error, "The state file cannot be reopened yet.");
            wait(backoff.next(), stop);
        }
    }
    0
}

/// Waits, a short time only once a stop is asked for.
fn wait(time: Duration, stop: &Stop) {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(STOP_TICK));
        if left <= STOP_TICK || stop.asked() {
            return;
        }
    }
}
