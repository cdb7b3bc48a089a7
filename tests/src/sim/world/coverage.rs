//! Which fault met which state of the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::faults::FAULTS;

/// Counts by fault and state.
#[derive(Clone, Debug, Default)]
pub struct Coverage(BTreeMap<(&'static str, &'static str), u64>);

impl Coverage {
    pub(super) fn count(&mut self, fault: &'static str, state: &'static str) {
        *self.0.entry((fault, state)).or_default() += 1;
    }

    /// Adds what another run has met.
    pub fn add(&mut self, other: &Coverage) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }

    /// Faults injected: what a quota costs is none.
    #[must_use]
    pub fn faults_count(&self) -> u64 {
        let is_fault = |name: &str| FAULTS.iter().any(|fault| fault.name() == name);
        self.0.iter().filter(|((name, _), _)| is_fault(name)).map(|(_, count)| count).sum()
    }

    /// How often a fault was injected.
    #[must_use]
    pub fn count_of(&self, fault: &str) -> u64 {
        self.0.iter().filter(|((f, _), _)| *f == fault).map(|(_, count)| count).sum()
    }

    /// Whether this fault met this state.
    #[must_use]
    pub fn has(&self, fault: &str, state: &str) -> bool {
        self.0.keys().any(|(f, s)| *f == fault && *s == state)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states: BTreeSet<_> = self.0.keys().map(|(_, state)| *state).collect();
        let faults: BTreeSet<_> = self.0.keys().map(|(fault, _)| *fault).collect();
        write!(f, "{:18}", "fault \\ state")?;
        states.iter().try_for_each(|state| write!(f, " {state:>12}"))?;
        for fault in faults {
            write!(f, "\n{fault:18}")?;
            for state in &states {
                match self.0.get(&(fault, state)) {
                    Some(count) => write!(f, " {count:>12}")?,
                    None => write!(f, " {:>12}", "-")?,
                }
            }
        }
        Ok(())
    }
}
