//! `check`: everything that is wrong with a pipeline and its configuration, or with a state
//! directory.

use std::path::PathBuf;

use headwater_runtime::admin::{self, Failure};

use crate::Program;
use crate::node::{Node, Pipeline};
use crate::print::print;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Pipeline file (Flink SQL)
    #[arg(required_unless_present = "state")]
    pipeline: Option<PathBuf>,
    #[command(flatten)]
    node: Node,
    /// Check whether the state in this directory is sound; a node may be using it
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Check it for one process that runs both fragments
    #[arg(long, conflicts_with = "config")]
    standalone: bool,
}

impl Check {
    pub(crate) fn run<P: Program>(self) -> Result<(), Failure> {
        if let Some(pipeline) = self.pipeline {
            let pipeline = Pipeline { pipeline, node: self.node };
            let plan = pipeline.with_subject::<P, _>(self.standalone, admin::check)?;
            for note in &plan.notes {
                print(&format!("{}\n", note.trim_end()))?;
            }
            print(&format!("{}: no faults found\n", pipeline.pipeline.display()))?;
        }
        match &self.state {
            Some(dir) => print(&admin::check_state(dir)?),
            None => Ok(()),
        }
    }
}
