//! The simulator finds the bugs that are planted in the protocol: one that it misses would be a
//! hole in what the fixed seeds prove. One test, as a planted bug is of the whole process.

use headwater_engine::mutation::{MUTATIONS, plant};
use headwater_tests::sim::world::{Options, cores, first_failure};

/// Seeds within which each bug must show.
const SEEDS: u64 = 2000;

#[test]
fn planted_bugs_are_found() {
    let options = Options::default();
    let mut missed = Vec::new();
    for mutation in MUTATIONS {
        plant(Some(mutation));
        match first_failure(0..SEEDS, &options, cores()) {
            Some(outcome) => {
                let first = &outcome.violations[0].what;
                println!("{mutation:?}: seed {}: {first}", outcome.seed);
            }
            None => missed.push(mutation),
        }
    }
    plant(None);
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}
