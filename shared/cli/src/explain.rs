//! `explain`: the fragments of a pipeline, the schemas between their steps, and the ceilings.

use headwater_runtime::admin::{self, Failure};

use crate::Program;
use crate::node::Pipeline;
use crate::print::print;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub struct Explain {
    #[command(flatten)]
    pipeline: Pipeline,
    /// Show the one fragment of a process that runs everything
    #[arg(long, conflicts_with = "config")]
    standalone: bool,
    /// Readings a second that come in: says what is written to the medium and sent in a day
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// How many different values a column of a source has; for --rate
    #[arg(long, value_name = "COLUMN=N", value_parser = column_and_count)]
    distinct: Vec<(String, u64)>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// `column=count`.
fn column_and_count(text: &str) -> Result<(String, u64), String> {
    let parts = text.split_once('=').and_then(|(name, count)| Some((name, count.parse().ok()?)));
    match parts {
        Some((name, count)) if !name.is_empty() && count > 0 => Ok((name.into(), count)),
        _ => Err("write it as column=count, for example device=20".into()),
    }
}

impl Explain {
    pub(crate) fn run<P: Program>(self) -> Result<(), Failure> {
        let load = admin::Load {
            rows_per_second: self.rate,
            distinct: self.distinct.into_iter().collect(),
        };
        let explain = |subject: admin::Subject<'_>| admin::explain(subject, &load, self.json);
        print(&self.pipeline.with_subject::<P, _>(self.standalone, explain)?)
    }
}
