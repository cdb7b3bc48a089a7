//! From plan and configuration to the hub's settings.

use headwater_plan::Plan;

use crate::config::AggregatorConfig;
use crate::driver::{RunError, wiring};
use crate::hub;

/// What the hub is told at its start.
pub(super) fn settings(
    plan: &Plan,
    config: &AggregatorConfig,
    record: headwater_store::PlanRecord,
    sinks: &[wiring::SinkSpec<'_>],
) -> Result<hub::Settings, RunError> {
    let mut exchanges = Vec::new();
    let scans = plan.core.iter().flat_map(|fragment| fragment.scans.iter().enumerate());
    for (scan, spec) in scans.filter(|(_, scan)| plan.table(&scan.name).is_none()) {
        let channel = wiring::channel_number(plan, &spec.name)?;
        exchanges.push(hub::Exchange { channel, scan, schema: spec.decoded.clone() });
    }
    Ok(hub::Settings {
        plan: record,
        exchanges,
        sinks: sinks.iter().map(|sink| sink.channel).collect(),
        checkpoint_interval_ms: config.checkpoint.interval.ms(),
        dirty_bytes_max: usize::try_from(config.checkpoint.dirty_bytes.0).unwrap_or(usize::MAX),
        idle_timeout_ms: config.uplink.idle_timeout.ms(),
        expected: expected(config)?,
    })
}

fn expected(config: &AggregatorConfig) -> Result<Vec<headwater_wire::AgentId>, RunError> {
    let parse = |id: &crate::config::NodeId| {
        id.as_str().parse().map_err(|error| RunError::Config(format!("agents: {error}")))
    };
    config.agents.iter().map(parse).collect()
}
