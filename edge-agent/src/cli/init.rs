//! `init`: a commented configuration and a first pipeline.

use std::path::PathBuf;

use headwater_runtime::admin::{self, Failure, Kind};

use super::common::print;

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Where to write the files
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

impl Init {
    pub(crate) fn run(self) -> Result<(), Failure> {
        for path in admin::init(&self.dir, Kind::Agent)? {
            print(&format!("wrote {}\n", path.display()))?;
        }
        Ok(())
    }
}
