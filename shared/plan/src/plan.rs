//! The plan: what a script compiles to.
//!
//! Guarantees: the fragments are typed, checked and executable by the engine; tables are aligned
//! with the scans and outputs that name them; the fingerprint depends on the fragments alone.

use std::collections::BTreeMap;

use headwater_engine::fragment::Fragment;
use headwater_engine::limits::Limits;
use headwater_engine::types::{DataType, Schema};

use crate::diagnostic::{Diagnostic, Source};
use crate::lex::Vars;

/// How a script is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An edge and a core fragment with exchanges between them.
    Cut,
    /// One fragment that does everything.
    Whole,
}

/// Where a table or a step is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On the gateway.
    Edge,
    /// At the aggregator.
    Core,
}

impl Place {
    /// The word used in options, explain and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Edge => "edge",
            Place::Core => "core",
        }
    }
}

/// A table that the plan reads or writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Name in the script; also of its scan or output.
    pub name: String,
    /// `filesystem`, `mqtt`, `datagen`, `print` or `blackhole`.
    pub connector: String,
    /// `json`, `csv` or `changelog-json`, where the connector has one.
    pub format: Option<String>,
    /// The other options as written; may hold `${secret:…}`.
    pub options: BTreeMap<String, String>,
    /// Columns of the primary key.
    pub primary_key: Vec<String>,
    /// What the scan of this name decodes, in its order; None when the plan does not read it.
    pub source: Option<Vec<SourceColumn>>,
    /// Columns of the output of this name; None when the plan does not write it.
    pub sink: Option<Schema>,
    /// All physical columns as declared, for formats that go by position.
    pub physical: Vec<String>,
    /// It is looked up: read as a whole, and again when it has changed.
    pub is_looked_up: bool,
    /// Where it is read or written.
    pub place: Place,
}

/// A column that a decoder fills.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceColumn {
    /// Name in the scan; a field of a ROW has its path, joined by dots.
    pub name: String,
    /// Type of the value.
    pub data_type: DataType,
    /// False where the table says NOT NULL.
    pub nullable: bool,
    /// Where the value comes from.
    pub origin: Origin,
}

impl SourceColumn {
    /// The name by its parts.
    pub(crate) fn path(&self) -> Vec<String> {
        match &self.origin {
            Origin::Field { path, .. } => path.clone(),
            Origin::Metadata(_) => vec![self.name.clone()],
        }
    }
}

/// Where a decoded value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A field of the record: its path by names, and the position of the first one among the
    /// physical columns.
    Field {
        /// Column, then fields of ROWs.
        path: Vec<String>,
        /// Position among [`Table::physical`].
        position: usize,
    },
    /// What surrounds the record: `gateway`, `topic`, `topic-segment.N`, `file.path`, …
    Metadata(String),
}

/// One exchange from the edge fragment to the core fragment.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Name of the edge's output and of the core's scan.
    pub name: String,
    /// Columns that cross.
    pub schema: Schema,
    /// Whether partials cross rather than rows.
    pub partials: bool,
    /// The table whose rows feed it.
    pub source: String,
}

/// How partials of one exchange become those of another with longer windows, where the outbox is
/// full.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Position of the finer exchange among [`Plan::channels`].
    pub from: usize,
    /// Position of the coarser one.
    pub to: usize,
    /// Length of the coarser windows in ms.
    pub size_ms: i64,
    /// One scan, of the finer partials; one output, of the coarser ones.
    pub fragment: Fragment,
}

/// A compiled script.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Tables that are read or written, by name.
    pub tables: Vec<Table>,
    /// The edge fragment of a cut.
    pub edge: Option<Fragment>,
    /// The core fragment of a cut.
    pub core: Option<Fragment>,
    /// The only fragment of [`Target::Whole`].
    pub whole: Option<Fragment>,
    /// Exchanges of a cut.
    pub channels: Vec<Channel>,
    /// What `headwater.coarsen` makes of a full outbox, finest first for each exchange.
    pub ladder: Vec<Rung>,
    /// xxh3-64 over the canonical text of the fragments.
    pub fingerprint: u64,
    /// `SET` statements that concern the run time, as written.
    pub settings: BTreeMap<String, String>,
    /// Capacities of every fragment of the plan.
    pub limits: Limits,
    /// What there is to say to a person: answers to DESCRIBE and EXPLAIN, settings without meaning.
    pub notes: Vec<String>,
    /// The script only asks (EXPLAIN): the plan is there to be looked at.
    pub is_question: bool,
}

impl Plan {
    /// The fragments with their place; a whole plan's is said to be at the edge.
    pub fn fragments(&self) -> impl Iterator<Item = (Place, &Fragment)> {
        let whole = self.whole.iter().map(|f| (Place::Edge, f));
        let edge = self.edge.iter().map(|f| (Place::Edge, f));
        let core = self.core.iter().map(|f| (Place::Core, f));
        whole.chain(edge).chain(core)
    }

    /// The table of this name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == name)
    }
}

/// Compiles a script, or says everything that is wrong with it.
///
/// `file` is only the name that diagnostics show; nothing is opened.
pub fn compile(
    text: &str,
    file: &str,
    vars: &Vars,
    target: Target,
) -> Result<Plan, Vec<Diagnostic>> {
    let source = Source { file, text };
    let mut issues = Vec::new();
    let plan = crate::compile::script(&source, vars, target, &mut issues);
    match plan {
        Some(plan) if issues.is_empty() => Ok(plan),
        _ => {
            issues.sort_by_key(|i| (i.span.start.line, i.span.start.column));
            issues.dedup();
            Err(issues.into_iter().map(|issue| source.diagnostic(issue)).collect())
        }
    }
}
