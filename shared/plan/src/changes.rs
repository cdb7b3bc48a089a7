//! Which kinds of changes a stream holds, and who takes them.
//!
//! Guarantees: a query whose rows change later reaches only steps and tables that follow the
//! changes; whatever else is a located error. As in Flink, a stream either only appends, or
//! updates earlier rows, or takes rows back as well.

use headwater_engine::expr::Expr;
use headwater_engine::fragment::JoinKind;

use crate::catalog::TableDef;
use crate::compile::as_column;
use crate::diagnostic::{Issue, Result};
use crate::logical::{By, Graph, Join, NodeId, NodeKind, Top};
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
            | NodeKind::Values(_)
            | NodeKind::Rank { .. }
            | NodeKind::Over { .. }
            | NodeKind::Sort { .. }
            | NodeKind::Dedup { .. }
            | NodeKind::Match(..)
            | NodeKind::Absence(..)
            | NodeKind::SessionAggregate { .. }
            | NodeKind::SessionWindows { .. }
            | NodeKind::Aggregate { .. } => Changes::Appends,
            NodeKind::Top(top) => top_changes(top, below()),
            // Without aggregates a group gives its key, once.
            NodeKind::Group { aggregates, .. } => match below() {
                Changes::Appends if aggregates.is_empty() => Changes::Appends,
                Changes::Appends => Changes::Updates,
                _ => Changes::Retracts,
            },
            // Of a pair of changes only one may pass.
            NodeKind::Filter(..) => match below() {
                Changes::Appends => Changes::Appends,
                _ => Changes::Retracts,
            },
            NodeKind::Project(input, exprs) => match &self.nodes[*input].kind {
                // With its rank a row is updated, without it rows enter and leave.
                NodeKind::Top(top) if is_numbered(exprs, self.columns(top.input).len()) => {
                    let follows = self.changes(top.input) != Changes::Appends;
                    if follows { below() } else { below().min(Changes::Updates) }
                }
                _ => below(),
            },
            NodeKind::Windows(..) | NodeKind::Unnest(..) | NodeKind::Union(_) => below(),
            NodeKind::Join(join) => join_changes(join, below()),
        }
    }

    /// The columns by which a node's rows are updated, in ascending order: there is one row for
    /// each of their values. `None` where none are known.
    pub(crate) fn unique_key(&self, node: NodeId) -> Option<Vec<usize>> {
        match &self.nodes[node].kind {
            NodeKind::Group { keys, .. } => Some((0..keys.len()).collect()),
            NodeKind::Dedup { key, .. } => {
                let mut key = key.clone();
                key.sort_unstable();
                key.dedup();
                Some(key)
            }
            NodeKind::Top(top) => {
                let number = self.columns(top.input).len();
                let rank = (top.first < top.last).then_some(number);
                let mut key: Vec<usize> = top.key.iter().copied().chain(rank).collect();
                key.sort_unstable();
                key.dedup();
                Some(key)
            }
            NodeKind::Filter(input, _) => self.unique_key(*input),
            NodeKind::Project(input, exprs) => passed(&self.unique_key(*input)?, exprs),
            _ => None,
        }
    }

    /// Whether a node can follow changes of its inputs' rows.
    fn takes_changes(&self, node: NodeId) -> bool {
        match &self.nodes[node].kind {
            NodeKind::Scan(_)
            | NodeKind::Values(_)
            | NodeKind::Filter(..)
            | NodeKind::Project(..)
            | NodeKind::Unnest(..)
            | NodeKind::Group { .. }
            | NodeKind::Union(_) => true,
            NodeKind::Join(join) => join.by == By::Equality,
            NodeKind::Top(top) => top.window_end.is_none(),
            NodeKind::Rank { .. }
            | NodeKind::Over { .. }
            | NodeKind::Sort { .. }
            | NodeKind::Dedup { .. }
            | NodeKind::Match(..)
            | NodeKind::Absence(..)
            | NodeKind::Windows(..)
            | NodeKind::SessionAggregate { .. }
            | NodeKind::SessionWindows { .. }
            | NodeKind::Aggregate { .. } => false,
        }
    }

    /// Finds a node below `node` that cannot follow the changes it is given.
    fn misfit(&self, node: NodeId) -> Option<NodeId> {
        let kind = &self.nodes[node].kind;
        let followed = match kind {
            // A changed row of the right side is its next version.
            NodeKind::Join(join) if matches!(join.by, By::Temporal { .. }) => 1,
            _ => usize::MAX,
        };
        let mut followed = kind.inputs().iter().take(followed);
        let is_changed = followed.any(|input| self.changes(*input) != Changes::Appends);
        if is_changed && !self.takes_changes(node) {
            return Some(node);
        }
        kind.inputs().iter().find_map(|input| self.misfit(*input))
    }
}

/// The changes of a join: with a row that loses or finds its partner others come and go.
fn join_changes(join: &Join, below: Changes) -> Changes {
    let pairs = matches!(join.kind, JoinKind::Inner | JoinKind::Semi);
    match (&join.by, below) {
        (By::Interval { .. } | By::Window | By::Temporal { .. }, _) => Changes::Appends,
        (By::Equality, Changes::Appends) if pairs => Changes::Appends,
        // An update may change the key, and so lose its partner.
        _ => Changes::Retracts,
    }
}

/// Whether a projection passes the rank of a ranking of `width` columns on.
fn is_numbered(exprs: &[Expr], width: usize) -> bool {
    exprs.iter().any(|e| as_column(e) == Some(width))
}

/// The changes of a ranking's rows, by those of its input.
fn top_changes(top: &Top, below: Changes) -> Changes {
    let is_first = top.first == 1 && top.last == 1;
    match below {
        _ if top.window_end.is_some() || top.improving => Changes::Appends,
        // LIMIT without an order: a later row never takes a place.
        Changes::Appends if top.order.is_empty() => Changes::Appends,
        Changes::Appends if is_first => Changes::Updates,
        _ => Changes::Retracts,
    }
}

/// Checks that the steps of a query and its table follow the query's changes.
pub(crate) fn check(graph: &Graph, tables: &[TableDef], sink: &Sink) -> Result<()> {
    if let Some(node) = graph.misfit(sink.node) {
        let what = match &graph.nodes[node].kind {
            NodeKind::Dedup { .. } => "a deduplication",
            NodeKind::Rank { .. } | NodeKind::Over { .. } => "OVER",
            NodeKind::Top(..) => "a window ranking",
            NodeKind::Sort { .. } => "ORDER BY",
            NodeKind::Windows(..)
            | NodeKind::Aggregate { .. }
            | NodeKind::SessionAggregate { .. }
            | NodeKind::SessionWindows { .. } => "a window",
            NodeKind::Match(..) => "a row pattern",
            NodeKind::Absence(..) => "ABSENCE",
            NodeKind::Join(_) => "a join that is bounded in time",
            _ => "this step",
        };
        let message = format!("{what} reads a query whose rows change later");
        let remedy = "read a table or a query that only appends rows";
        return Err(Issue::new(sink.span, message, remedy));
    }
    check_sink(graph, &tables[sink.table], sink)
}

/// Where the columns of a key are among expressions; `None` when one is not passed on.
pub(crate) fn passed(key: &[usize], exprs: &[Expr]) -> Option<Vec<usize>> {
    let at = |column: &usize| exprs.iter().position(|e| as_column(e) == Some(*column));
    let mut key: Vec<usize> = key.iter().map(at).collect::<Option<_>>()?;
    key.sort_unstable();
    Some(key)
}

fn check_sink(graph: &Graph, table: &TableDef, sink: &Sink) -> Result<()> {
    let (changes, taken) = (graph.changes(sink.node), taken(table));
    let name = &table.name.value;
    if changes <= taken {
        return match (changes, taken) {
            (Changes::Updates, Changes::Updates) => check_key(graph, table, sink),
            _ => Ok(()),
        };
    }
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

/// A table that takes the last row of each primary key needs to be updated by that key.
fn check_key(graph: &Graph, table: &TableDef, sink: &Sink) -> Result<()> {
    let key = graph.unique_key(sink.node).and_then(|key| passed(&key, &sink.exprs));
    let is_primary = |column: &usize| {
        let name = &table.sink[*column].field.name;
        table.primary_key.iter().any(|primary| primary == name)
    };
    let columns = 0..table.sink.len();
    let primary: Vec<usize> = columns.filter(is_primary).collect();
    if key.as_ref() == Some(&primary) {
        return Ok(());
    }
    let name = &table.name.value;
    let message = format!("the PRIMARY KEY of '{name}' is not what the query's rows change by");
    let names = |key: Vec<usize>| {
        let names: Vec<&str> = key.iter().map(|c| table.sink[*c].field.name.as_str()).collect();
        names.join(", ")
    };
    let remedy = match key {
        Some(key) if !key.is_empty() => {
            format!("declare PRIMARY KEY ({}) NOT ENFORCED", names(key))
        }
        _ => "write 'format' = 'changelog-json'".to_owned(),
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
