//! The command line, one file per command. What the commands do is in `headwater_runtime`.

mod check;
mod common;
mod demo;
mod explain;
mod init;
mod inspect;
mod reset;
mod run;
mod status;

use headwater_runtime::admin::Failure;
use headwater_runtime::exit::Exit;

/// The aggregator: merges what the agents send and writes the results
#[derive(Debug, clap::Parser)]
#[command(name = "headwater-aggregator", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
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
    /// Show it all at work on this machine: three agents, real data, faults, and a judge
    Demo(demo::Demo),
}

impl Cli {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self.command {
            Command::Run(run) => run.run()?,
            Command::Check(check) => check.run()?,
            Command::Explain(explain) => explain.run()?,
            Command::Status(status) => return status.run(),
            Command::Inspect(inspect) => inspect.run()?,
            Command::Init(init) => init.run()?,
            Command::Reset(reset) => reset.run()?,
            Command::Demo(demo) => return demo.run(),
        }
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
