//! `check`: everything that is wrong with a pipeline and its configuration.

use headwater_runtime::admin::{self, Failure};

use super::common::{Pipeline, print};

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pipeline: Pipeline,
    /// Check it for one process that runs both fragments
    #[arg(long, conflicts_with = "config")]
    standalone: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let plan = self.pipeline.with_subject(self.standalone, admin::check)?;
        for note in &plan.notes {
            print(&format!("{}\n", note.trim_end()))?;
        }
        print(&format!("{}: no faults found\n", self.pipeline.pipeline.display()))
    }
}
