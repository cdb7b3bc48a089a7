//! The plan's identity, and a last look whether the engine can run it.

use headwater_engine::pipeline::Pipeline;
use xxhash_rust::xxh3::xxh3_64;

use crate::diagnostic::Issue;
use crate::explain;
use crate::plan::Plan;
use crate::script::Script;

/// xxh3-64 over the canonical text of the fragments. Options of tables are not part of it: another
/// path or broker is the same plan.
pub(crate) fn of(plan: &Plan) -> u64 {
    let mut text = String::new();
    for (place, fragment) in plan.fragments() {
        text.push_str(place.as_str());
        text.push('\n');
        text.push_str(&explain::canonical(fragment));
    }
    xxh3_64(text.as_bytes())
}

/// Builds every fragment once; what the engine refuses is a fault of the planner or a bound.
pub(crate) fn executable(plan: &Plan, script: &Script, issues: &mut Vec<Issue>) {
    let rungs = plan.ladder.iter().map(|rung| &rung.fragment);
    for fragment in plan.fragments().map(|(_, fragment)| fragment).chain(rungs) {
        if let Err(error) = Pipeline::build(fragment, &plan.limits) {
            let span = script
                .inserts
                .first()
                .map_or_else(sqlparser::tokenizer::Span::empty, |insert| insert.table.span);
            issues.push(Issue::new(span, error.to_string(), "simplify the query"));
        }
    }
}
