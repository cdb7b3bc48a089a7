//! What the commands of both programs do besides `run`: `check`, `explain`, `inspect`, `init`,
//! `reset` and `status`.
//!
//! Guarantees: every failure has an exit code and a text that says what is wrong, where, and what
//! to do; nothing here opens a socket but `status`, and nothing writes but `init` and `reset`.
//! Does not parse command lines and does not print.

mod check;
mod forecast;
mod init;
mod inspect;
mod locate;
mod soundness;
mod status;

pub use check::{NodeConfig, Subject, check, explain};
pub use forecast::Load;
pub use init::{Kind, init};
pub use inspect::inspect;
pub use soundness::check_state;
pub use status::{Answer, Target, fetch, status};

use std::fmt;
use std::path::Path;

use headwater_store::StoreError;

use crate::config::ConfigError;
use crate::exit::Exit;

/// Why a command did not do what it was asked to: the exit code and the text for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit code of the program.
    pub exit: Exit,
    /// What to write to standard error.
    pub text: String,
}

impl Failure {
    /// A failure of one sentence with one line of remedy.
    pub fn new(exit: Exit, message: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { exit, text: format!("error: {message}\n = remedy: {remedy}") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { exit: Exit::Config, text: format!("error: {error}") }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error.exit_code() {
            78 => Exit::Config,
            74 => Exit::State,
            _ => Exit::Failed,
        };
        Self::new(exit, &error, error.remedy())
    }
}

/// Removes all state in a directory: see docs/guide/state.md for what is lost with it.
///
/// # Errors
/// When a node uses the directory, when there is no state in it, or it cannot be removed.
pub fn reset(dir: &Path) -> Result<(), Failure> {
    if !dir.is_dir() {
        return Err(StoreError::Missing { path: dir.into() }.into());
    }
    Ok(headwater_store::reset(dir)?)
}
