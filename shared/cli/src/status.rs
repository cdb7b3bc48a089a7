//! `status`: how a running node is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use headwater_runtime::admin::{self, Failure, Target};
use headwater_runtime::exit::Exit;

use crate::Program;
use crate::print::print;

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Configuration of the node
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the node's HTTP server, instead of the configuration's
    #[arg(long)]
    addr: Option<SocketAddr>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) fn run<P: Program>(self) -> Result<Exit, Failure> {
        let answer = match self.addr {
            Some(address) => admin::status(Target::Address(address))?,
            None => {
                let config = P::load(self.config.as_deref().unwrap_or(Path::new(P::CONFIG)))?;
                admin::status(P::target(&config))?
            }
        };
        print(&if self.json { format!("{:#}\n", answer.json) } else { answer.text })?;
        Ok(if answer.well { Exit::Ok } else { Exit::Failed })
    }
}
