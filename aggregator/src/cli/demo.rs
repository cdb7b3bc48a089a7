//! `demo`: a whole fleet on this machine, with real data and faults; needs no server.

use std::path::PathBuf;

use headwater_runtime::admin::Failure;
use headwater_runtime::exit::Exit;

use crate::demo;

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Keep configurations, state and results in this new or empty folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Readings a second over all gateways
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = speed())]
    speed: u32,
}

impl Demo {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let options = demo::Options { keep: self.keep, speed: self.speed };
        match demo::run(&options) {
            Ok(true) => Ok(Exit::Ok),
            Ok(false) => Ok(Exit::Failed),
            Err(error) => {
                let remedy = "run it again with --keep DIR and look at the nodes' log.txt there";
                Err(Failure::new(Exit::Failed, error, remedy))
            }
        }
    }
}

/// Slower, nothing would be seen to happen; faster, the faults would fall on the end.
fn speed() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(100..=4000)
}
