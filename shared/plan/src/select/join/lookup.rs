//! `FOR SYSTEM_TIME AS OF` the time of arrival: each left row with what a table holds just then.
//!
//! Guarantees: the table is a file that is read as a whole and is nothing else in the script: its
//! rows are no stream. Which content a row met is in the state, so a restart does not change it.

use headwater_engine::fragment::JoinKind;

use super::{Merged, terms};
use crate::ast::{Join as Written, Name};
use crate::bind::Scope;
use crate::diagnostic::{Issue, Result};
use crate::logical::{By, Graph, NodeId, NodeKind};
use crate::select::{Planner, Source};

/// The option that lets a table be read again.
pub(crate) const RELOAD: &str = "lookup.full-cache.periodic-reload.interval";

impl Planner {
    /// Adds what a table holds to the rows so far.
    pub(super) fn lookup_join(
        &mut self,
        left: NodeId,
        scope: &mut Scope,
        join: &Written,
        (kind, table): (JoinKind, &Name),
    ) -> Result<NodeId> {
        let span = join.right.span;
        let mut right = self.looked_up(table)?;
        if let Some(alias) = &join.right.alias {
            right = self.rename(right, alias)?;
        }
        let qualifier = join.right.alias.as_ref().map_or(table, |alias| &alias.name);
        let right_scope = Scope::new(Some(&qualifier.value), self.graph.columns(right));
        let width = scope.entries.len();
        scope.entries.extend(right_scope.entries);
        let mut merged = Merged::new();
        let terms = self.condition(join, width, scope, &mut merged)?;
        let (keys, rest) = terms::equal(&terms, width);
        if keys.is_empty() {
            let message = format!("no column of '{}' is compared for equality", table.value);
            return Err(Issue::new(span, message, "look up by a key: … ON o.key = d.key"));
        }
        let apart = terms::Terms { keys, by: By::Lookup, rest };
        let node = self.paired(kind, [left, right], apart, &terms, span);
        self.take_roles(node, scope);
        Ok(self.merge(node, kind, merged, scope))
    }

    /// The content of a table.
    fn looked_up(&mut self, name: &Name) -> Result<NodeId> {
        let Some(Source::Table(table)) = self.names.get(&name.value).copied() else {
            let message = format!("'{}' is no table that can be looked up", name.value);
            return Err(Issue::new(name.span, message, "name a table of the connector filesystem"));
        };
        let def = &self.tables[table];
        if def.options.connector != "filesystem" {
            let message = format!("the connector '{}' cannot look up", def.options.connector);
            return Err(Issue::new(name.span, message, "name a table of the connector filesystem"));
        }
        if let Some((_, span)) = def.options.get("source.monitor-interval") {
            let message = format!("'{}' is looked up, and a file that is followed", name.value);
            return Err(Issue::new(span, message, format!("write '{RELOAD}' instead")));
        }
        if self.scans.contains_key(&table) {
            return Err(read_twice(name));
        }
        if let Some(node) = self.lookups.get(&table) {
            return Ok(*node);
        }
        let node = self.scan_node(table, name)?;
        self.lookups.insert(table, node);
        Ok(node)
    }
}

/// A table cannot be looked up and be a stream as well.
pub(crate) fn read_twice(name: &Name) -> Issue {
    let message = format!("'{}' is looked up and also read as a stream", name.value);
    Issue::new(name.span, message, "declare a second table over the same file")
}

impl Graph {
    /// Whether a node is the content of a table that is looked up.
    pub(crate) fn is_looked_up(&self, scan: NodeId) -> bool {
        let looks = |kind: &NodeKind| match kind {
            NodeKind::Join(join) if join.by == By::Lookup => self.fold(join.inputs[1]).base == scan,
            _ => false,
        };
        self.nodes.iter().any(|node| looks(&node.kind))
    }
}
