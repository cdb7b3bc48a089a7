//! What an aggregator has of its own on the command line.

use std::path::Path;

use headwater_cli::Program;
use headwater_runtime::admin::{Kind, NodeConfig, Target};
use headwater_runtime::config::{AggregatorConfig, ConfigError, Log};
use headwater_runtime::driver::{self, RunError, RunOptions, Summary};

pub(crate) struct Aggregator;

impl Program for Aggregator {
    type Config = AggregatorConfig;
    const KIND: Kind = Kind::Aggregator;
    const CONFIG: &'static str = "aggregator.toml";

    fn load(path: &Path) -> Result<AggregatorConfig, ConfigError> {
        AggregatorConfig::load(path)
    }

    fn node(config: &AggregatorConfig) -> NodeConfig<'_> {
        NodeConfig::Aggregator(config)
    }

    fn log(config: &AggregatorConfig) -> &Log {
        &config.log
    }

    fn target(config: &AggregatorConfig) -> Target<'_> {
        Target::Node(&config.http, &config.state_dir)
    }

    fn run(config: AggregatorConfig, options: RunOptions) -> Result<Summary, RunError> {
        driver::run_aggregator(config, options)
    }
}
