//! Logging to standard error, as text or as JSON.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogLevel};

/// Starts logging; once per process, later calls change nothing. The client crates below are
/// held to errors: they log every packet, and every word of a pipeline.
pub fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let others = "rumqttc=error,rumqttd=error,rustls=error,sqlparser=error";
    let filter = EnvFilter::new(format!("{level},{others}"));
    // Whoever read the log may be gone. Saying so there would fail too, and end the thread that
    // the signals come to.
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let builder = builder.log_internal_errors(false);
    // An error means that logging has been started before.
    let _ = if log.json {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
}
