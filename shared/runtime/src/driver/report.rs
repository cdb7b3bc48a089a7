//! Metrics, status and the HTTP server of a node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use tokio::runtime::Handle;

use super::RunError;
use crate::metrics::Registry;

/// Starts the server; the real address is written to `<state-dir>/http.addr`.
pub(super) fn serve(
    listen: SocketAddr,
    registry: &Registry,
    handle: &Handle,
    state_dir: Option<&Path>,
) -> Result<SocketAddr, RunError> {
    let address = crate::http::serve(listen, registry.clone(), handle)
        .map_err(|error| RunError::Failed(format!("cannot listen on {listen}: {error}")))?;
    if let Some(dir) = state_dir {
        let file = dir.join("http.addr");
        // On a full disk the node runs all the same; only `status` has to be told the address.
        if let Err(error) = std::fs::write(&file, address.to_string()) {
            let file = file.display();
            tracing::warn!(%file, %error, "The address is not written down.");
        }
    }
    tracing::info!(%address, "Metrics and health are served.");
    Ok(address)
}

/// Shows totals by name as gauges: `drop/<place>/<reason>`, `rows-out/<output>`, `hub/…`.
pub(super) fn show_counts(registry: &Registry, counts: &BTreeMap<String, u64>) {
    for (name, value) in counts {
        let value = i64::try_from(*value).unwrap_or(i64::MAX);
        let parts: Vec<&str> = name.split('/').collect();
        match parts.as_slice() {
            ["drop", place, reason] => {
                let labels = [("place", *place), ("reason", *reason)];
                let help = "Rows that left the stream, by place and reason.";
                registry.gauge("headwater_rows_dropped", help, &labels).set(value);
            }
            ["rows-out", output] => {
                let help = "Rows written, by output.";
                registry.gauge("headwater_rows_out", help, &[("output", *output)]).set(value);
            }
            _ => {
                let help = "Other totals, by name.";
                registry.gauge("headwater_total", help, &[("name", name)]).set(value);
            }
        }
    }
}
