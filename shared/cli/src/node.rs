//! What several commands share: the pipeline and the node's configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headwater_runtime::admin::{Failure, NodeConfig, Subject};

use crate::Program;

/// A pipeline and the node's configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Pipeline {
    /// Pipeline file (Flink SQL)
    pub(crate) pipeline: PathBuf,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// The node's configuration, and what goes before it.
#[derive(Debug, clap::Args)]
pub(crate) struct Node {
    /// Configuration of the node
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Value of ${name} in the pipeline; goes before the one in the configuration
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    set: Vec<(String, String)>,
}

impl Pipeline {
    /// Values from the command line; of two for one name the later one.
    pub(crate) fn set(&self) -> BTreeMap<String, String> {
        self.node.set.iter().cloned().collect()
    }

    /// The configuration of a node that is to run.
    pub(crate) fn load_config<P: Program>(&self) -> Result<P::Config, Failure> {
        Ok(P::load(self.node.config.as_deref().unwrap_or(Path::new(P::CONFIG)))?)
    }

    /// Calls `act` with the pipeline on its node; without a configuration, on any node.
    pub(crate) fn with_subject<P: Program, T>(
        &self,
        standalone: bool,
        act: impl FnOnce(Subject<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let is_there = self.node.config.is_some() || Path::new(P::CONFIG).exists();
        let config = (!standalone && is_there).then(|| self.load_config::<P>()).transpose()?;
        let node = match &config {
            Some(config) => P::node(config),
            None if standalone => NodeConfig::Standalone,
            None => NodeConfig::Cut,
        };
        act(Subject { pipeline: &self.pipeline, set: &self.set(), node })
    }
}

/// `name=value`.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write it as name=value".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_equal_signs() {
        assert_eq!(name_and_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(name_and_value("a="), Ok(("a".into(), String::new())));
        assert!(name_and_value("=b").is_err());
        assert!(name_and_value("a").is_err());
    }
}
