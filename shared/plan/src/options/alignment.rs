//! Alignment of sources by their watermarks: options that belong together.

use crate::diagnostic::{Issue, Result};
use crate::options::Options;
use crate::statement::CreateTable;

const GROUP: &str = "scan.watermark.alignment.group";
const DRIFT: &str = "scan.watermark.alignment.max-drift";
const INTERVAL: &str = "scan.watermark.alignment.update-interval";

/// A group needs a drift and a watermark; the others need a group.
pub(super) fn check(options: &Options, table: &CreateTable) -> Result<()> {
    let span = |key: &str| options.spans.get(key).map(|(key_span, _)| *key_span);
    match (span(GROUP), span(DRIFT), span(INTERVAL)) {
        (Some(at), None, _) => {
            let message = format!("the option '{GROUP}' needs '{DRIFT}'");
            Err(Issue::new(at, message, format!("add '{DRIFT}' = '1 min'")))
        }
        (None, Some(at), _) | (None, _, Some(at)) => {
            let message = "sources are aligned in a group, which has no name here";
            Err(Issue::new(at, message, format!("add '{GROUP}' = '…'")))
        }
        (Some(at), ..) if table.watermark.is_none() => {
            let message = "sources are aligned by their watermarks, and this one has none";
            Err(Issue::new(at, message, "add WATERMARK FOR … to the table"))
        }
        _ => Ok(()),
    }
}
