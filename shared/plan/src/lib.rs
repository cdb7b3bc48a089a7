//! headwater-plan: a pipeline's SQL text to a checked plan, cut into an edge and a core fragment.
//!
//! ```text
//! text ─ lex, statement, convert ─▶ ast ─ catalog, bind, select ─▶ logical
//!      ─ lower ─▶ fragment ─ cut ─▶ Plan ─▶ explain
//! ```
//! Guarantees: what is accepted means what Apache Flink means by it, or is listed as a difference
//! in docs/reference/sql.md; what is not accepted is a located [`Diagnostic`]. The same text and
//! variables give the same plan, byte for byte. Opens no file and no socket.
#![forbid(unsafe_code)]

mod ast;
mod bind;
mod catalog;
mod changes;
mod compile;
mod convert;
mod cut;
mod diagnostic;
mod dialect;
mod explain;
mod fingerprint;
mod lex;
mod local;
mod logical;
mod lower;
mod notes;
mod options;
mod plan;
pub mod reference;
mod script;
mod select;
mod settings;
mod statement;
mod types;

pub use diagnostic::Diagnostic;
pub use lex::Vars;
pub use options::{parse_bytes, parse_duration_ms};
pub use plan::{Channel, Origin, Place, Plan, Rung, SourceColumn, Table, Target, compile};
pub use types::{LENGTH_MAX, SqlType};
