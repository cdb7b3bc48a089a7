//! The command line that agent and aggregator share, one file per command. What the commands do is
//! in `headwater_runtime`.
//!
//! Guarantees: a program contains its own kind of node only ([`Program`] is chosen when it is
//! built), so that an agent does not carry an aggregator.
#![forbid(unsafe_code)]

mod check;
mod explain;
mod init;
mod inspect;
mod node;
mod print;
mod reset;
mod run;
mod status;

use std::path::Path;
use std::process::ExitCode;

use headwater_runtime::admin::{Failure, Kind, NodeConfig, Target};
use headwater_runtime::config::{ConfigError, Log};
use headwater_runtime::driver::{RunError, RunOptions, Summary};
use headwater_runtime::exit::Exit;

/// A program, by the kind of node that it runs.
pub trait Program {
    /// What a node is configured by.
    type Config;
    /// What `init` writes files for.
    const KIND: Kind;
    /// The configuration, unless another one is named.
    const CONFIG: &'static str;

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// When it cannot be read, or has a fault.
    fn load(path: &Path) -> Result<Self::Config, ConfigError>;

    /// What a pipeline is checked against.
    fn node(config: &Self::Config) -> NodeConfig<'_>;

    /// How a node logs.
    fn log(config: &Self::Config) -> &Log;

    /// Where a running node answers.
    fn target(config: &Self::Config) -> Target<'_>;

    /// Runs a node until its sources end or it is told to stop.
    ///
    /// # Errors
    /// When it cannot start, or ends by a fault.
    fn run(config: Self::Config, options: RunOptions) -> Result<Summary, RunError>;
}

/// The commands of every program.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run a pipeline
    Run(run::Run),
    /// Find everything that is wrong with a pipeline and its configuration
    Check(check::Check),
    /// Show what a pipeline does, where, and its ceilings
    Explain(explain::Explain),
    /// Ask a running node how it is
    Status(status::Status),
    /// Look into a state directory, also beside a running node
    Inspect(inspect::Inspect),
    /// Write a commented configuration and a first pipeline
    Init(init::Init),
    /// Remove all state in a directory
    Reset(reset::Reset),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// As the command says, with a remedy.
    pub fn run<P: Program>(self) -> Result<Exit, Failure> {
        match self {
            Command::Run(run) => run.run::<P>()?,
            Command::Check(check) => check.run::<P>()?,
            Command::Explain(explain) => explain.run::<P>()?,
            Command::Status(status) => return status.run::<P>(),
            Command::Inspect(inspect) => inspect.run()?,
            Command::Init(init) => init.run::<P>()?,
            Command::Reset(reset) => reset.run()?,
        }
        Ok(Exit::Ok)
    }
}

/// Reads the command line, and ends the process where it is wrong or asks for help.
pub fn parse<P: Program, C: clap::Parser>() -> C {
    let matches = command::<P, C>().get_matches();
    C::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The command line, whose help names the program's own configuration.
pub fn command<P: Program, C: clap::Parser>() -> clap::Command {
    let help = format!("Configuration of the node [default: {}]", P::CONFIG);
    C::command().mut_subcommands(move |command| {
        let help = help.clone();
        command.mut_args(move |arg| match arg.get_id() == "config" {
            true => arg.help(help.clone()),
            false => arg,
        })
    })
}

/// Says what failed and gives the exit code.
pub fn end(result: Result<Exit, Failure>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit.into()
        }
    }
}
