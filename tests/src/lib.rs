//! What the tests and benches that need real processes share: brokers, a fault proxy, process
//! control, the W1 workload and the conformance runner. Guarantees that every process it starts
//! ends with its handle. Does not test anything itself: see `tests/tests`.
#![deny(unsafe_code)]

pub mod broker;
pub mod conformance;
pub mod mqtt;
pub mod process;
pub mod proxy;
pub mod scratch;
pub mod w1;
