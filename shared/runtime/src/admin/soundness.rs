//! `check --state`: whether what is in a state directory is sound.
//!
//! Guarantees: read-only; everything in it is read and checked, also beside a running node.

use std::fmt::Write as _;
use std::path::Path;

use crate::admin::Failure;

/// A text that says what was checked.
///
/// # Errors
/// When there is no state, or it is damaged or of a newer version; exit code 74.
pub fn check_state(dir: &Path) -> Result<String, Failure> {
    let found = headwater_store::verify(dir)?;
    let use_of_it = match (found.is_in_use, found.was_crashed) {
        (true, _) => "in use by a running node",
        (false, true) => "left by a crash; the next start repairs it",
        (false, false) => "closed in good order",
    };
    let dir = dir.display();
    let mut text = format!(
        "{dir}: sound, checkpoint {}, {use_of_it}\n{dir}: {} values of {} bytes checked, in a file \
         of {} bytes\n",
        found.epoch, found.values_count, found.values_bytes, found.file_bytes
    );
    for remark in found.remarks {
        let _ = writeln!(text, "{dir}: note: {remark}");
    }
    Ok(text)
}
