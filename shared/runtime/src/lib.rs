//! What both programs share: configuration, sources, sinks, connections, metrics, health.
//!
//! The pure parts (the state machines, recognising redelivery) take time as an argument and do
//! no input or output. The shell around them keeps sockets on one thread (tokio, current
//! thread) and the pipeline on another; between the two there are only bounded queues.

// `clock::kernel` asks the kernel two questions that nothing safe asks.
#![deny(unsafe_code)]

pub mod admin;
pub mod agent;
pub mod backoff;
pub mod clock;
pub mod config;
pub mod driver;
pub mod exit;
pub mod format;
pub mod http;
pub mod hub;
pub mod intake;
pub mod log;
pub mod metrics;
pub mod mqtt;
pub mod signal;
pub mod sink;
pub mod source;
pub mod task;
