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
            NodeKind::Windows(..)
            | NodeKind::LocalTime { .. }
            | NodeKind::Unnest(..)
            | NodeKind::Union(_) => below(),
            NodeKind::Join(join) => join_changes(join, below()),
        }
    }

    /// The columns by which a node's rows are updated, each time in ascending order: there is one
    /// row for each of their values. As many as are known.
    pub(crate) fn unique_keys(&self, node: NodeId, tables: &[TableDef]) -> Vec<Vec<usize>> {
        match &self.nodes[node].kind {
            NodeKind::Group { keys, .. } => vec![(0..keys.len()).collect()],
            NodeKind::Values(rows) if rows.len() == 1 => vec![Vec::new()],
            NodeKind::Dedup { key, .. } => vec![ascending(key.iter().copied())],
            NodeKind::Top(top) => {
                let number = self.columns(top.input).len();
                let rank = (top.first < top.last).then_some(number);
                vec![ascending(top.key.iter().copied().chain(rank))]
            }
            NodeKind::Filter(input, _) => self.unique_keys(*input, tables),
            NodeKind::Project(input, exprs) => {
                let keys = self.unique_keys(*input, tables);
                keys.iter().filter_map(|key| passed(key, exprs)).collect()
            }
            NodeKind::Scan(table) => {
                let columns = self.columns(node);
                let position = |name: &String| columns.iter().position(|c| c.name() == *name);
                let key = tables[*table].primary_key.iter().map(position);
                let key = key.collect::<Option<Vec<_>>>().filter(|key| !key.is_empty());
                key.map(ascending).into_iter().collect()
            }
            NodeKind::Join(join) => self.unique_keys_of_join(join, tables),
            _ => Vec::new(),
        }
    }

    /// A side's key is the pairs' too where each of its rows has one partner at most; both keys
    /// together always are, unless one may be NULLs.
    fn unique_keys_of_join(&self, join: &Join, tables: &[TableDef]) -> Vec<Vec<usize>> {
        let [left, right] = join.inputs.map(|input| self.unique_keys(input, tables));
        if join.kind.is_left_only() {
            return left;
        }
        let width = self.columns(join.inputs[0]).len();
        let has_one = |keys: &[Vec<usize>], side: usize| {
            keys.iter().any(|key| key.iter().all(|column| join.keys[side].contains(column)))
        };
        let moved = |key: &Vec<usize>| key.iter().map(|c| c + width).collect::<Vec<_>>();
        let mut keys = Vec::new();
        if has_one(&right, 1) && !join.kind.is_outer(1) {
            keys.extend(left.iter().cloned());
        }
        if has_one(&left, 0) && !join.kind.is_outer(0) {
            keys.extend(right.iter().map(moved));
        }
        if join.kind == JoinKind::Inner {
            let both = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
            keys.extend(both.map(|(l, r)| ascending(l.iter().copied().chain(moved(r)))));
        }
        keys
    }

    /// Whether a node can follow changes of its inputs' rows.
    fn takes_changes(&self, node: NodeId) -> bool {
        match &self.nodes[node].kind {
            NodeKind::Scan(_)
            | NodeKind::Values(_)
            | NodeKind::Filter(..)
            | NodeKind::Project(..)
            | NodeKind::Unnest(..)
            | NodeKind::LocalTime { .. }
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
            NodeKind::Join(join) if matches!(join.by, By::Temporal { .. } | By::Lookup) => 1,
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
        (By::Interval { .. } | By::Window | By::Temporal { .. } | By::Lookup, _) => {
            Changes::Appends
        }
        (By::Equality, Changes::Appends) if pairs => Changes::Appends,
        // An update may change the key, and so lose its partner.
        _ => Changes::Retracts,
    }
}

fn ascending(key: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut key: Vec<usize> = key.into_iter().collect();
    key.sort_unstable();
    key.dedup();
    key
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
        Changes::Appends if top.order.is_empty() && !top.latest => Changes::Appends,
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
            NodeKind::Join(join) if join.by == By::Lookup => "a lookup join",
            NodeKind::Join(_) => "a join that is bounded in time",
            _ => "this step",
        };
        let message = format!("{what} reads a query whose rows change later");
        let remedy = "read a table or a query that only appends rows";
        return Err(Issue::new(sink.span, message, remedy));
    }
    check_sink(graph, tables, sink)
}

/// Where the columns of a key are among expressions; `None` when one is not passed on.
pub(crate) fn passed(key: &[usize], exprs: &[Expr]) -> Option<Vec<usize>> {
    let at = |column: &usize| exprs.iter().position(|e| as_column(e) == Some(*column));
    let mut key: Vec<usize> = key.iter().map(at).collect::<Option<_>>()?;
    key.sort_unstable();
    Some(key)
}

fn check_sink(graph: &Graph, tables: &[TableDef], sink: &Sink) -> Result<()> {
    let table = &tables[sink.table];
    let (changes, taken) = (graph.changes(sink.node), taken(table));
    let name = &table.name.value;
    if changes <= taken {
        return match changes {
            Changes::Appends => Ok(()),
            _ if follows(table) => Ok(()),
            _ => check_key(graph, tables, sink),
        };
    }
    let (message, remedy) = match taken {
        Changes::Appends => (
            format!("the rows of this query change later, the table '{name}' only appends"),
            match key_remedy(graph, tables, sink).filter(|_| changes <= taken_by_key(table)) {
                Some(declare) => format!("write 'format' = 'changelog-json', or {declare}"),
                None => "write 'format' = 'changelog-json'".to_owned(),
            },
        ),
        _ => (
            format!("rows of this query go away later, the table '{name}' cannot delete"),
            "write 'format' = 'json', which marks a deleted key, or 'changelog-json'".to_owned(),
        ),
    };
    Err(Issue::new(sink.span, message, remedy))
}

/// A table that takes the last row of each primary key needs to be updated by that key.
fn check_key(graph: &Graph, tables: &[TableDef], sink: &Sink) -> Result<()> {
    let table = &tables[sink.table];
    let keys = graph.unique_keys(sink.node, tables);
    let keys: Vec<Vec<usize>> = keys.iter().filter_map(|key| passed(key, &sink.exprs)).collect();
    let is_primary = |column: &usize| {
        let name = &table.sink[*column].field.name;
        table.primary_key.iter().any(|primary| primary == name)
    };
    let columns = 0..table.sink.len();
    let primary: Vec<usize> = columns.filter(is_primary).collect();
    if keys.contains(&primary) {
        return Ok(());
    }
    let name = &table.name.value;
    let message = format!("the PRIMARY KEY of '{name}' is not what the query's rows change by");
    let remedy = key_remedy(graph, tables, sink);
    let remedy = remedy.unwrap_or_else(|| "write 'format' = 'changelog-json'".to_owned());
    Err(Issue::new(sink.span, message, remedy))
}

/// The primary key that a table would need, if the query's rows change by any.
fn key_remedy(graph: &Graph, tables: &[TableDef], sink: &Sink) -> Option<String> {
    let keys = graph.unique_keys(sink.node, tables);
    let key = keys.iter().find_map(|key| passed(key, &sink.exprs))?;
    let name = |column: &usize| tables[sink.table].sink[*column].field.name.as_str();
    let names: Vec<&str> = key.iter().map(name).collect();
    (!names.is_empty()).then(|| format!("declare PRIMARY KEY ({}) NOT ENFORCED", names.join(", ")))
}

/// The changes that a table takes.
fn taken(table: &TableDef) -> Changes {
    match table.primary_key.is_empty() {
        _ if follows(table) => Changes::Retracts,
        true => Changes::Appends,
        false => taken_by_key(table),
    }
}

/// The changes that it takes with a primary key.
fn taken_by_key(table: &TableDef) -> Changes {
    match table.options.format.as_deref() {
        // A line of CSV cannot say that its row is gone.
        Some("csv") => Changes::Updates,
        _ => Changes::Retracts,
    }
}

/// Whether a table is told of every change with its kind.
fn follows(table: &TableDef) -> bool {
    matches!(table.options.connector.as_str(), "print" | "blackhole")
        || table.options.format.as_deref() == Some("changelog-json")
}
