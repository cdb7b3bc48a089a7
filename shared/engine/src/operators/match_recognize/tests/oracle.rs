//! The naive way: for each row on which a match may begin, all ways to go on, row by row.
//!
//! It knows no greedy variables, whose meaning in Flink is not that of the standard.

use alloc::{vec, vec::Vec};

use crate::fragment::AfterMatch;

/// A variable without its name: fewest and most rows, and the values that will do.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Variable {
    fn takes(&self, value: f64) -> bool {
        (self.from..self.to).contains(&value)
    }
}

/// A row: time and value.
pub(super) type Reading = (i64, f64);

/// First and last row of each match, in the order of the first ones.
pub(super) fn matches(
    variables: &[Variable],
    rows: &[Reading],
    within_ms: i64,
    after: AfterMatch,
) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    for start in 0..rows.len() {
        if start < from {
            continue;
        }
        if let Some(end) = shortest(variables, rows, start, within_ms) {
            found.push((start, end));
            from = if after == AfterMatch::PastLastRow { end + 1 } else { start + 1 };
        }
    }
    found
}

/// The last row of the shortest match that begins with row `start`.
fn shortest(variables: &[Variable], rows: &[Reading], start: usize, within: i64) -> Option<usize> {
    // Variable, and how many rows it has.
    let mut states = vec![(0, 0)];
    for (index, (time, value)) in rows.iter().enumerate().skip(start) {
        if time - rows[start].0 >= within {
            return None;
        }
        let mut next = Vec::new();
        for &(variable, count) in &states {
            for (at, count) in reachable(variables, variable, count) {
                let full = variables[at].max.is_some_and(|max| count >= max);
                if !full && variables[at].takes(*value) && !next.contains(&(at, count + 1)) {
                    next.push((at, count + 1));
                }
            }
        }
        let is_done = |&(variable, count): &(usize, u32)| {
            let rest = &variables[variable + 1..];
            count >= variables[variable].min && rest.iter().all(|v| v.min == 0)
        };
        if next.iter().any(is_done) {
            return Some(index);
        }
        states = next;
    }
    None
}

/// The variables that the next row may belong to.
fn reachable(variables: &[Variable], variable: usize, count: u32) -> Vec<(usize, u32)> {
    let mut found = vec![(variable, count)];
    let (mut at, mut has) = (variable, count);
    while has >= variables[at].min && at + 1 < variables.len() {
        (at, has) = (at + 1, 0);
        found.push((at, 0));
    }
    found
}
