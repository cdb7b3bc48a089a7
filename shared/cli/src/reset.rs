//! `reset`: removes all state in a directory.

use std::path::PathBuf;

use headwater_runtime::admin::{self, Failure};
use headwater_runtime::exit::Exit;

use crate::print::print;

/// Options of `reset`.
#[derive(Debug, clap::Args)]
pub struct Reset {
    /// The state directory; no node may be using it
    dir: PathBuf,
    /// Do it: positions, operator state, unsent frames, ledger and dead letters are lost
    #[arg(long)]
    yes: bool,
}

impl Reset {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if !self.yes {
            let message = format!("this would remove all state in {}", self.dir.display());
            let remedy = "look with 'inspect' what is lost, then add --yes";
            return Err(Failure::new(Exit::Usage, message, remedy));
        }
        admin::reset(&self.dir)?;
        print(&format!("removed the state in {}\n", self.dir.display()))
    }
}
