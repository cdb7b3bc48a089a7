//! `explain`: the fragments of a pipeline, the schemas between their steps, and the ceilings.

use headwater_runtime::admin::{self, Failure};

use super::common::{Pipeline, print};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pipeline: Pipeline,
    /// Show the one fragment of a process that runs everything
    #[arg(long, conflicts_with = "config")]
    standalone: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let explain = |subject: admin::Subject<'_>| admin::explain(subject, self.json);
        print(&self.pipeline.with_subject(self.standalone, explain)?)
    }
}
