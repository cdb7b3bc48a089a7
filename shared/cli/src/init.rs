//! `init`: a commented configuration and a first pipeline.

use std::path::PathBuf;

use headwater_runtime::admin::{self, Failure};

use crate::Program;
use crate::print::print;

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Where to write the files
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

impl Init {
    pub(crate) fn run<P: Program>(self) -> Result<(), Failure> {
        for path in admin::init(&self.dir, P::KIND)? {
            print(&format!("wrote {}\n", path.display()))?;
        }
        Ok(())
    }
}
