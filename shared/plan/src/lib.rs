//! headwater-plan: a pipeline's SQL text to a checked plan, cut into an edge and a core fragment.
//!
//! ```text
//! text ─ lex ─▶ tokens ─ statement, convert ─▶ ast
//! ```
//! Guarantees: what is accepted means what Apache Flink means by it, or is listed as a difference
//! in docs/reference/sql.md; what is not accepted is a located [`Diagnostic`]. The same text and
//! variables give the same plan, byte for byte. Opens no file and no socket.
#![forbid(unsafe_code)]
#![expect(dead_code, reason = "the lowering that reads the syntax tree lands next")]

mod ast;
mod convert;
mod diagnostic;
mod dialect;
mod lex;
mod options;
mod script;
mod statement;
mod types;

pub use diagnostic::Diagnostic;
pub use lex::Vars;
pub use options::{parse_bytes, parse_duration_ms};
pub use types::{LENGTH_MAX, SqlType};
