//! `status`: how a running node is.

use std::net::SocketAddr;
use std::path::PathBuf;

use headwater_runtime::admin::{self, Failure, Target};
use headwater_runtime::config::AgentConfig;
use headwater_runtime::exit::Exit;

use super::common::{CONFIG, print};

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Configuration of the node
    #[arg(long, default_value = CONFIG)]
    config: PathBuf,
    /// Address of the node's HTTP server, instead of the configuration's
    #[arg(long)]
    addr: Option<SocketAddr>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let answer = match self.addr {
            Some(address) => admin::status(Target::Address(address))?,
            None => {
                let config = AgentConfig::load(&self.config)?;
                admin::status(Target::Node(&config.http, &config.state_dir))?
            }
        };
        print(&if self.json { format!("{:#}\n", answer.json) } else { answer.text })?;
        Ok(if answer.well { Exit::Ok } else { Exit::Failed })
    }
}
