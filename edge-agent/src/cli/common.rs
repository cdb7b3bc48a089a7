//! What several commands share: the pipeline argument, the configuration, printing.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use headwater_runtime::admin::{Failure, NodeConfig, Subject};
use headwater_runtime::config::AgentConfig;
use headwater_runtime::exit::Exit;

/// The configuration, unless another one is named.
pub(crate) const CONFIG: &str = "agent.toml";

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
    /// Configuration of the node [default: agent.toml]
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
    pub(crate) fn load_config(&self) -> Result<AgentConfig, Failure> {
        Ok(AgentConfig::load(self.node.config.as_deref().unwrap_or(Path::new(CONFIG)))?)
    }

    /// Calls `act` with the pipeline on its node; without a configuration, on any node.
    pub(crate) fn with_subject<T>(
        &self,
        standalone: bool,
        act: impl FnOnce(Subject<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let is_there = self.node.config.is_some() || Path::new(CONFIG).exists();
        let config = (!standalone && is_there).then(|| self.load_config()).transpose()?;
        let node = match &config {
            Some(config) => NodeConfig::Agent(config),
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

/// Writes to standard output; a reader that has gone away is no fault.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let message = format!("cannot write to standard output: {error}");
            Err(Failure::new(Exit::Failed, message, "check where it leads"))
        }
        _ => Ok(()),
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
