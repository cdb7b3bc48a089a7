//! headwater-agent: command line and exit codes; everything else is in `headwater_cli` and
//! `headwater_runtime`.
#![forbid(unsafe_code)]

mod cli;
mod program;

use std::process::ExitCode;

use program::Agent;

fn main() -> ExitCode {
    let cli: cli::Cli = headwater_cli::parse::<Agent, _>();
    headwater_cli::end(cli.command.run::<Agent>())
}
