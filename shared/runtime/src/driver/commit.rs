//! Commits that do not give up: retried with back-off, the store reopened after errors.

use std::time::Duration;

use headwater_store::{Commit, CommitStats, Store, StoreError};

use crate::backoff::Backoff;
use crate::metrics::Registry;
use crate::signal::Stop;

/// A commit that failed is tried again between these times.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Tries after a stop was asked for.
const TRIES_WHEN_STOPPING: u32 = 3;

/// Stores `commit`, as often as it takes. What arrives meanwhile waits in its source.
pub(super) fn store(
    store: &mut Store,
    commit: &Commit,
    registry: &Registry,
    stop: &Stop,
) -> Result<CommitStats, StoreError> {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let mut tries = 0;
    loop {
        let error = match store.commit(commit) {
            Ok(stats) => {
                registry.well("state");
                return Ok(stats);
            }
            Err(error) => error,
        };
        tries += 1;
        registry.unwell("state", &error.to_string());
        tracing::warn!(%error, tries, "A checkpoint failed; trying again.");
        if stop.asked() && tries >= TRIES_WHEN_STOPPING {
            return Err(error);
        }
        std::thread::sleep(backoff.next());
        if let Err(error) = store.reopen() {
            tracing::warn!(%error, "The state file cannot be reopened yet.");
        }
    }
}
