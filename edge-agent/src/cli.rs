//! The command line.

use headwater_cli::Command;

/// The agent on a gateway: reads sensors, keeps state, sends results to the aggregator
#[derive(Debug, clap::Parser)]
#[command(name = "headwater-agent", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[cfg(test)]
mod tests {
    use crate::program::Agent;

    #[test]
    fn the_command_line_is_consistent() {
        headwater_cli::command::<Agent, super::Cli>().debug_assert();
    }
}
