//! From plan, configuration and store to the hub.

use headwater_engine::operator::RestoreError;
use headwater_plan::Plan;
use headwater_store::Store;

use crate::agent::Now;
use crate::config::AggregatorConfig;
use crate::driver::{RunError, wiring};
use crate::hub::{self, Hub};
use crate::task::Task;

/// What the hub is told at its start.
pub(super) fn settings(
    plan: &Plan,
    config: &AggregatorConfig,
    record: headwater_store::PlanRecord,
    sinks: &[wiring::SinkSpec<'_>],
) -> Result<hub::Settings, RunError> {
    Ok(hub::Settings {
        plan: record,
        exchanges: wiring::exchanges(plan)?,
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

/// The hub as the store left it.
pub(super) fn restore(
    settings: hub::Settings,
    mut task: Task,
    store: &Store,
    now: Now,
) -> Result<Hub, RunError> {
    let snapshot = store.snapshot()?;
    task.restore(&snapshot.load_state()?)
        .map_err(|error| RunError::StateOfAnotherPlan(error.to_string()))?;
    let record = snapshot.record(hub::RECORD)?;
    let other = |error: RestoreError| RunError::StateOfAnotherPlan(error.to_string());
    let mut hub = Hub::new(settings, task, store.head(), record.as_deref(), now).map_err(other)?;
    let (ledger, agents) = (snapshot.ledger()?, snapshot.agents()?);
    hub.restore(&ledger, &agents, store.counters(), now).map_err(other)?;
    Ok(hub)
}
