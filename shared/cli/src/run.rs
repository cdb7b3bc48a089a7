//! `run`: runs a pipeline until its sources end, or until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use headwater_runtime::admin::Failure;
use headwater_runtime::config::{Log, LogLevel, parse_duration};
use headwater_runtime::driver::{self, RunError, RunOptions, StandaloneOptions};
use headwater_runtime::log;

use crate::Program;
use crate::node::Pipeline;

/// Options of `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    pipeline: Pipeline,
    /// End when nothing came for this long: every window closes and everything is delivered
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    drain_after_idle: Option<Duration>,
    /// Stop at the end of standard input: for a program that starts nodes and may be killed
    #[arg(long, hide = true, conflicts_with = "standalone")]
    stop_at_end_of_input: bool,
    /// Run both fragments in this process, without a configuration
    #[arg(long, conflicts_with = "config")]
    standalone: bool,
    /// Where state is kept; without it a run starts anew
    #[arg(long, value_name = "DIR", requires = "standalone")]
    state_dir: Option<PathBuf>,
    /// A checkpoint after this many readings
    #[arg(long, value_name = "N", requires = "standalone")]
    checkpoint_every_rows: Option<u64>,
    /// Longest time between checkpoints
    #[arg(long, value_name = "TIME", requires = "standalone", value_parser = parse_duration)]
    checkpoint_interval: Option<Duration>,
    /// Serve metrics, health and status here
    #[arg(long, value_name = "ADDRESS", requires = "standalone", value_parser = loopback)]
    http: Option<SocketAddr>,
    /// Log as JSON; a node's configuration says it with 'json' in [log]
    #[arg(long, requires = "standalone")]
    log_json: bool,
}

impl Run {
    pub(crate) fn run<P: Program>(self) -> Result<(), Failure> {
        let done = if self.standalone { self.standalone() } else { self.node::<P>()? };
        done.map(drop).map_err(failure)
    }

    fn node<P: Program>(self) -> Result<Result<driver::Summary, RunError>, Failure> {
        let config = self.pipeline.load_config::<P>()?;
        log::start(P::log(&config));
        let options = RunOptions {
            set: self.pipeline.set(),
            pipeline: self.pipeline.pipeline,
            drain_after_idle: self.drain_after_idle,
            stop_at_end_of_input: self.stop_at_end_of_input,
        };
        Ok(P::run(config, options))
    }

    fn standalone(self) -> Result<driver::Summary, RunError> {
        // A pipeline at a terminal speaks up only when something is wrong.
        log::start(&Log { level: LogLevel::Warn, json: self.log_json });
        driver::run_standalone(StandaloneOptions {
            set: self.pipeline.set(),
            pipeline: self.pipeline.pipeline,
            state_dir: self.state_dir,
            checkpoint_interval: self.checkpoint_interval,
            checkpoint_every_rows: self.checkpoint_every_rows,
            drain_after_idle: self.drain_after_idle,
            http: self.http,
        })
    }
}

/// An address on this machine: a node's configuration can allow others.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write it as 127.0.0.1:9464".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err("only an address of loopback, such as 127.0.0.1:9464".into()),
    }
}

/// Rendered diagnostics say already that they are errors.
fn failure(error: RunError) -> Failure {
    let text = error.to_string();
    let text = if text.starts_with("error: ") { text } else { format!("error: {text}") };
    Failure { exit: error.exit(), text }
}
