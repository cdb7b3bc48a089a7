//! What the tests and benches that need real processes share: brokers, a fault proxy, process
//! control, nodes, the W1 workload, the conformance runner and the benches. Guarantees that every
//! process it starts ends with its handle. Does not test anything itself: see `tests/tests`.
#![deny(unsafe_code)]

pub mod bench;
pub mod broker;
pub mod conformance;
pub mod feed;
pub mod isolated;
pub mod mqtt;
pub mod node;
pub mod power;
pub mod process;
pub mod proxy;
pub mod rig;
pub mod scratch;
pub mod sim;
pub mod soak;
pub mod w1;
