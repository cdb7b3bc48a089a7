//! `inspect`: what a state directory holds; reads only.

use std::path::PathBuf;

use headwater_runtime::admin::{self, Failure};

use crate::print::print;

/// Options of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// The state directory; a node may be using it
    dir: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (json, text) = admin::inspect(&self.dir)?;
        print(&if self.json { format!("{json:#}\n") } else { text })
    }
}
