//! The limit of memory: what a fragment can come to hold, against what the node allows.
//!
//! Guarantees: the number is the engine's own ceiling, the same that `explain` shows, and it is
//! looked at before anything is opened. Does not measure the process.

use headwater_engine::fragment::Fragment;
use headwater_engine::limits::Limits;
use headwater_engine::pipeline::Pipeline;
use headwater_plan::{Place, Plan};

use crate::config::Bytes;
use crate::driver::RunError;

/// Operators that are named.
const NAMED_MAX: usize = 3;
/// What helps; 'explain' shows each capacity.
const REMEDY: &str = "lower a capacity with SET (explain shows them), \
                      or raise 'memory' in [limits] of the node's configuration";

/// Refuses a fragment that may take more than the limit: message and remedy.
pub(crate) fn excess(
    fragment: &Fragment,
    limits: &Limits,
    limit: Bytes,
) -> Option<(String, &'static str)> {
    // What was compiled can be built.
    let (steps, shared) = Pipeline::build(fragment, limits).ok()?.memory_bytes_max();
    let bytes_max = (steps.iter().sum::<usize>() + shared) as u64;
    if bytes_max <= limit.0 {
        return None;
    }
    let mut parts: Vec<(usize, &str)> =
        steps.into_iter().zip(fragment.steps.iter().map(|step| step.name.as_str())).collect();
    parts.push((shared, "texts of rows and keys"));
    parts.sort_by(|a, b| b.cmp(a));
    let shown = |(bytes, name): &(usize, &str)| format!("{name} {}", mib(*bytes as u64));
    let biggest: Vec<String> = parts.iter().take(NAMED_MAX).map(shown).collect();
    let message = format!(
        "the pipeline may take {} of memory, and the limit is {} MiB; the most of it: {}",
        mib(bytes_max),
        limit.0 >> 20,
        biggest.join(", "),
    );
    Some((message, REMEDY))
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Checks the fragment of one place before it is run.
pub(super) fn check(plan: &Plan, place: Place, limit: Bytes) -> Result<(), RunError> {
    let ours = plan.fragments().filter(|(at, _)| *at == place);
    let found = ours.filter_map(|(_, fragment)| excess(fragment, &plan.limits, limit)).next();
    match found {
        Some((message, remedy)) => Err(RunError::Config(format!("{message}\n  remedy: {remedy}"))),
        None => Ok(()),
    }
}
