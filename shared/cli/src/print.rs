//! Printing.

use std::io::{ErrorKind, Write};

use headwater_runtime::admin::Failure;
use headwater_runtime::exit::Exit;

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
