//! The shell around the state machines: opens stores, sources, sinks and connections, and runs the
//! loop of one node on the calling thread.
//!
//! Guarantees: effects come in one order, commit → transmit → acknowledge; a commit that fails is
//! tried again until it succeeds or a person stops the node; SIGTERM ends with a checkpoint.
//! Sockets live on one network thread; between it and this one there are bounded queues only.

mod commit;
mod core;
pub(crate) mod memory;
mod node;
mod refusals;
mod report;
mod sinks;
mod uplink;
pub mod wiring;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_engine::operator::RestoreError;
use headwater_plan::{Place, Plan, Target};
use headwater_store::StoreError;

use crate::config::{AgentConfig, AggregatorConfig, Secrets, Tls};
use crate::exit::Exit;

/// How to run a whole pipeline in this process.
#[derive(Clone, Debug, Default)]
pub struct StandaloneOptions {
    /// The script.
    pub pipeline: PathBuf,
    /// Values of `${name}`.
    pub set: BTreeMap<String, String>,
    /// Where state is kept; without one the run starts anew each time.
    pub state_dir: Option<PathBuf>,
    /// Longest time between checkpoints.
    pub checkpoint_interval: Option<Duration>,
    /// A checkpoint after this many records (for tests).
    pub checkpoint_every_rows: Option<u64>,
    /// Ends when no source had a record for this long.
    pub drain_after_idle: Option<Duration>,
    /// Metrics and health.
    pub http: Option<SocketAddr>,
}

/// How to run a node.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The script.
    pub pipeline: PathBuf,
    /// Values of `${name}`, before those of the configuration.
    pub set: BTreeMap<String, String>,
    /// Ends when nothing came for this long and everything is delivered.
    pub drain_after_idle: Option<Duration>,
    /// Stops at the end of standard input.
    pub stop_at_end_of_input: bool,
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Rows decoded in this life of the process.
    pub rows_in: u64,
    /// Totals by name since the state directory was made.
    pub counters: BTreeMap<String, u64>,
}

/// Why a run ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The command line asks for something that does not fit.
    #[error("{0}")]
    Usage(String),
    /// Pipeline or configuration: rendered diagnostics.
    #[error("{0}")]
    Config(String),
    /// The state directory.
    #[error("{}\n  remedy: {}", .0, .0.remedy())]
    State(#[from] StoreError),
    /// The stored state does not fit the pipeline.
    #[error("{0}")]
    StateOfAnotherPlan(String),
    /// Anything that went wrong while running.
    #[error("{0}")]
    Failed(String),
}

impl From<RestoreError> for RunError {
    fn from(error: RestoreError) -> Self {
        RunError::StateOfAnotherPlan(error.to_string())
    }
}

impl RunError {
    /// The exit code of a program that ends with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            RunError::Usage(_) => Exit::Usage,
            RunError::Config(_) | RunError::StateOfAnotherPlan(_) => Exit::Config,
            RunError::State(error) if error.exit_code() == Exit::Config as u8 => Exit::Config,
            RunError::State(_) => Exit::State,
            RunError::Failed(_) => Exit::Failed,
        }
    }
}

/// Runs a whole pipeline in this process, to the end of its bounded sources or until stopped.
pub fn run_standalone(options: StandaloneOptions) -> Result<Summary, RunError> {
    let plan = load(&options.pipeline, &options.set, Target::Whole)?;
    check(&plan, &Secrets::new(BTreeMap::new()))?;
    node::run(node::Setup::standalone(plan, &options))
}

/// Runs the edge fragment.
pub fn run_agent(config: AgentConfig, options: RunOptions) -> Result<Summary, RunError> {
    let vars = merge(&config.vars, &options.set);
    let plan = load(&options.pipeline, &vars, Target::Cut)?;
    let tls = config.uplink.as_ref().and_then(|uplink| uplink.tls.as_ref());
    check_node(&plan, Place::Edge, &config.secrets, tls)?;
    memory::check(&plan, Place::Edge, config.limits.memory)?;
    node::run(node::Setup::agent(plan, config, &options)?)
}

/// Runs the core fragment.
pub fn run_aggregator(config: AggregatorConfig, options: RunOptions) -> Result<Summary, RunError> {
    let vars = merge(&config.vars, &options.set);
    let plan = load(&options.pipeline, &vars, Target::Cut)?;
    check_node(&plan, Place::Core, &config.secrets, config.uplink.tls.as_ref())?;
    memory::check(&plan, Place::Core, config.limits.memory)?;
    core::run(plan, config, &options)
}

/// What a node would stumble over at its tables and its uplink, before it opens anything.
fn check_node(
    plan: &Plan,
    place: Place,
    secrets: &BTreeMap<String, PathBuf>,
    tls: Option<&Tls>,
) -> Result<(), RunError> {
    let mut ours = plan.clone();
    ours.tables.retain(|table| table.place == place);
    check(&ours, &Secrets::new(secrets.clone()))?;
    tls.map_or(Ok(()), check_uplink_tls)
}

fn merge(
    vars: &BTreeMap<String, String>,
    set: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    vars.iter().chain(set).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Reads and compiles a script; errors are rendered diagnostics.
pub fn load(
    pipeline: &Path,
    vars: &BTreeMap<String, String>,
    target: Target,
) -> Result<Plan, RunError> {
    let file = pipeline.display().to_string();
    let text = std::fs::read_to_string(pipeline)
        .map_err(|error| RunError::Config(format!("{file}: {error}")))?;
    let plan = headwater_plan::compile(&text, &file, vars, target).map_err(|diagnostics| {
        let texts: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
        RunError::Config(texts.join("\n"))
    })?;
    if plan.is_question {
        let message = "the script only asks (EXPLAIN, DESCRIBE): there is nothing to run";
        let remedy = "use 'check' or 'explain', or add INSERT INTO table SELECT …";
        return Err(RunError::Config(format!("{file}: {message}\n  remedy: {remedy}")));
    }
    Ok(plan)
}

/// Finds what a run of this plan would stumble over: missing secrets, unreadable sources, values
/// of options that only the connector understands. Opens no socket and creates nothing.
pub fn check(plan: &Plan, secrets: &Secrets) -> Result<(), RunError> {
    wiring::check(plan, secrets)
}

/// Reads the TLS files of `[uplink]` and finds what is wrong with them. Opens no socket.
pub fn check_uplink_tls(tls: &Tls) -> Result<(), RunError> {
    uplink::client_config(Some(tls)).map(drop)
}
