//! Many seeds on all cores, until one of them breaks a promise or there are no more.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Options, Outcome, run};

/// Runs seeds on `jobs` threads; `seen` gets each outcome and answers whether to go on.
pub fn run_seeds(
    seeds: Range<u64>,
    options: &Options,
    jobs: usize,
    seen: &mut (dyn FnMut(Outcome) -> bool + Send),
) {
    let next = AtomicU64::new(seeds.start);
    let is_over = AtomicBool::new(false);
    let seen = Mutex::new(seen);
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = run(seed, options);
            let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if !seen(outcome) {
                is_over.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        (0..jobs.max(1)).for_each(|_| drop(scope.spawn(work)));
    });
}

/// The first outcome that breaks a promise.
#[must_use]
pub fn first_failure(seeds: Range<u64>, options: &Options, jobs: usize) -> Option<Outcome> {
    let mut failure = None;
    run_seeds(seeds, options, jobs, &mut |outcome| {
        if !outcome.violations.is_empty() && failure.is_none() {
            failure = Some(outcome);
        }
        failure.is_none()
    });
    failure
}

/// Threads that a machine runs at once.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
