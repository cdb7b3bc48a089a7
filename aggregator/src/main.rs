//! headwater-aggregator: command line and exit codes, and the demo; everything else is in
//! `headwater_cli` and `headwater_runtime`.
#![forbid(unsafe_code)]

mod cli;
mod demo;
mod program;

use std::process::ExitCode;

use program::Aggregator;

fn main() -> ExitCode {
    let cli: cli::Cli = headwater_cli::parse::<Aggregator, _>();
    headwater_cli::end(cli.run())
}
