//! Runs pipelines whose answers Apache Flink computed and compares. A case is a folder with
//! `pipeline.sql`, its inputs, `expected.ndjson` and `meta.toml`: `tests/conformance/README.md`.
//! Guarantees that a verdict is `pass` only when the product ended well and its answer is equal.

pub mod case;
pub mod compare;
pub mod inprocess;
pub mod report;
pub mod run;
pub mod value;

pub use case::{Case, Suite};
pub use report::Report;
pub use run::{Mode, Verdict, run_case};
