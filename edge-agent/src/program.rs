//! What an agent has of its own on the command line.

use std::path::Path;

use headwater_cli::Program;
use headwater_runtime::admin::{Kind, NodeConfig, Target};
use headwater_runtime::config::{AgentConfig, ConfigError, Log};
use headwater_runtime::driver::{self, RunError, RunOptions, Summary};

pub(crate) struct Agent;

impl Program for Agent {
    type Config = AgentConfig;
    const KIND: Kind = Kind::Agent;
    const CONFIG: &'static str = "agent.toml";

    fn load(path: &Path) -> Result<AgentConfig, ConfigError> {
        AgentConfig::load(path)
    }

    fn node(config: &AgentConfig) -> NodeConfig<'_> {
        NodeConfig::Agent(config)
    }

    fn log(config: &AgentConfig) -> &Log {
        &config.log
    }

    fn target(config: &AgentConfig) -> Target<'_> {
        Target::Node(&config.http, &config.state_dir)
    }

    fn run(config: AgentConfig, options: RunOptions) -> Result<Summary, RunError> {
        driver::run_agent(config, options)
    }
}
