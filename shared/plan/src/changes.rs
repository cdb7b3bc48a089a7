//! Which kinds of changes a stream holds, and who takes them.
//!
//! Guarantees: a query whose rows change later reaches only steps and tables that follow the
//! changes; whatever else is a located error. As in Flink, a stream either only appends, or
//! updates earlier rows, or takes rows back as well.

use crate::catalog::TableDef;
use crate::diagnostic::{Issue, Result};
use crate::logical::{Graph, NodeId, NodeKind};
use crate::lower::Sink;

/// The changes of a stream, from few to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Changes {
    /// `+I` only.
    Appends,
    /// Rows are replaced by later ones of the same key: `-U`, `+U`.
    Updates,
    /// Rows go away as well: `-D`, or a `-U` without its `+U`.
    Retracts,
}

impl Graph {
    /// The changes of a node's rows.
    pub(crate) fn changes(&self, node: NodeId) -> Changes {
        let inputs = || self.nodes[node].kind.inputs().iter().map(|input| self.changes(*input));
        let below = || inputs().max().unwrap_or(Changes::Appends);
        match &self.nodes[node].kind {
            NodeKind::Scan(_)
            | NodeKind::Rank { .. }
            | NodeKind::Dedup { .. }
            | NodeKind::Aggregate { .. } => Changes::Appends,
            // Of a pair of changes only one may pass.
            NodeKind::Filter(..) => match below() {
                Changes::Appends => Changes::Appends,
                _ => Changes::Retracts,
            },
            NodeKind::Project(..)
            | NodeKind::Windows(..)
            | NodeKind::Unnest(..)
            | NodeKind::Union(_) => below(),
        }
    }

    /// Whether a node can follow changes of its inputs' rows.
    fn takes_changes(&self, node: NodeId) -> bool {
        match &self.nodes[node].kind {
            NodeKind::Scan(_)
            | NodeKind::Filter(..)
            | NodeKind::Project(..)
            | NodeKind::Unnest(..)
            | NodeKind::Union(_) => true,
            NodeKind::Rank { .. }
            | NodeKind::Dedup { .. }
            | NodeKind::Windows(..)
            | NodeKind::Aggregate { .. } => false,
        }
    }

    /// Finds a node below `node` that cannot follow the changes it is given.
    fn misfit(&self, node: NodeId) -> Option<NodeId> {
        let kind = &self.nodes[node].kind;
        let is_changed = kind.inputs().iter().any(|i| self.changes(*i) != Changes::Appends);
        if is_changed && !self.takes_changes(node) {
            return Some(node);
        }
        kind.inputs().iter().find_map(|input| self.misfit(*input))
    }
}

/// Checks that the steps of a query and its table follow the query's changes.
pub(crate) fn check(graph: &Graph, tables: &[TableDef], sink: &Sink) -> Result<()> {
    if let Some(node) = graph.misfit(sink.node) {
        let what = match &graph.nodes[node].kind {
            NodeKind::Dedup { .. } | NodeKind::Rank { .. } => "a deduplication",
            NodeKind::Windows(..) | NodeKind::Aggregate { .. } => "a window",
            _ => "this step",
        };
        let message = format!("{what} reads a query whose rows change later");
        let remedy = "read a table or a query that only appends rows";
        return Err(Issue::new(sink.span, message, remedy));
    }
    let table = &tables[sink.table];
    let (changes, taken) = (graph.changes(sink.node), taken(table));
    if changes <= taken {
        return Ok(());
    }
    let name = &table.name.value;
    let (message, remedy) = match taken {
        Changes::Appends => (
            format!("the rows of this query change later, the table '{name}' only appends"),
            "write 'format' = 'changelog-json', or declare a PRIMARY KEY … NOT ENFORCED",
        ),
        _ => (
            format!("rows of this query go away later, the table '{name}' cannot delete"),
            "write 'format' = 'changelog-json'",
        ),
    };
    Err(Issue::new(sink.span, message, remedy))
}

/// The changes that a table takes.
fn taken(table: &TableDef) -> Changes {
    let follows = matches!(table.options.connector.as_str(), "print" | "blackhole")
        || table.options.format.as_deref() == Some("changelog-json");
    match (follows, table.primary_key.is_empty()) {
        (true, _) => Changes::Retracts,
        (false, false) => Changes::Updates,
        (false, true) => Changes::Appends,
    }
}
