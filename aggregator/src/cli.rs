//! The command line: what every program has, and `demo`.

mod demo;

use headwater_runtime::admin::Failure;
use headwater_runtime::exit::Exit;

use crate::program::Aggregator;

/// The aggregator: merges what the agents send and writes the results
#[derive(Debug, clap::Parser)]
#[command(name = "headwater-aggregator", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Node(headwater_cli::Command),
    /// Show it all at work on this machine: three agents, real data, faults, and a judge
    Demo(demo::Demo),
}

impl Cli {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self.command {
            Command::Node(command) => command.run::<Aggregator>(),
            Command::Demo(demo) => demo.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        headwater_cli::command::<Aggregator, Cli>().debug_assert();
    }
}
