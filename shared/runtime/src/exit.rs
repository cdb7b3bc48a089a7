//! Exit codes of both programs.

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// Failed while running.
    Failed = 1,
    /// Wrong command line. The service manager does not restart.
    Usage = 2,
    /// The state directory cannot be read or is in use.
    State = 74,
    /// The configuration or pipeline is wrong. The service manager does not restart.
    Config = 78,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
