//! `FOR SYSTEM_TIME AS OF` an event time: each left row with the version valid at that time.
//!
//! Guarantees: the right side is what Flink calls a versioned table: rows with an event time and a
//! primary key, or the last or first row of each key as ROW_NUMBER gives it. Nothing is filtered
//! out of it, because a version that is gone would let the one before it live on.

use headwater_engine::fragment::JoinKind;

use super::{Merged, terms};
use crate::ast::{self, Factor, Join as Written, JoinKind as WrittenKind, Name};
use crate::bind::{Binder, Scope};
use crate::changes::passed;
use crate::compile::as_column;
use crate::diagnostic::{Issue, Result};
use crate::logical::{By, NodeId, NodeKind, Role};
use crate::select::Planner;

/// A join with the versions of a table.
pub(super) struct Temporal<'a> {
    pub(super) table: &'a Name,
    pub(super) time: &'a ast::Expr,
}

impl Planner {
    /// Adds the versions of a table to the rows so far.
    pub(super) fn temporal_join(
        &mut self,
        left: NodeId,
        scope: &mut Scope,
        join: &Written,
        asked: &Temporal<'_>,
    ) -> Result<NodeId> {
        let span = join.right.span;
        let kind = match join.kind {
            WrittenKind::Inner => JoinKind::Inner,
            WrittenKind::Left => JoinKind::Left,
            WrittenKind::Right | WrittenKind::Full | WrittenKind::Cross => {
                let message = format!("{} with FOR SYSTEM_TIME AS OF", join.kind.as_str());
                return Err(Issue {
                    remedy: "write JOIN … ON or LEFT JOIN … ON".to_owned(),
                    ..Issue::unsupported(span, &message)
                });
            }
        };
        if is_arrival(asked.time, scope) {
            return self.lookup_join(left, scope, join, (kind, asked.table));
        }
        let left_time = event_time(asked.time, scope)?;
        let (right, right_scope) = self.versions(&join.right, asked.table)?;
        let right_time = self.versioned_time(right, asked.table)?;
        let key = self.version_key(right, asked.table)?;
        let width = scope.entries.len();
        scope.entries.extend(right_scope.entries);
        let mut merged = Merged::new();
        let terms = self.condition(join, width, scope, &mut merged)?;
        let (keys, rest) = terms::equal(&terms, width);
        let is_named = |column: &usize| keys.iter().any(|(_, r)| as_column(r) == Some(*column));
        if let Some(missing) = key.iter().find(|column| !is_named(column)) {
            let name = self.graph.columns(right)[*missing].name();
            let table = &asked.table.value;
            let message = format!("the key '{name}' of '{table}' is not compared for equality");
            let alias = join.right.alias.as_ref().map_or(table, |alias| &alias.name.value);
            let remedy = format!("compare each key column in ON: … ON o.{name} = {alias}.{name}");
            return Err(Issue::new(span, message, remedy));
        }
        let by = By::Temporal { times: [left_time, right_time] };
        let node = self.paired(kind, [left, right], terms::Terms { keys, by, rest }, &terms, span);
        self.take_roles(node, scope);
        Ok(self.merge(node, kind, merged, scope))
    }

    /// The table whose versions are asked for, under its alias.
    fn versions(&mut self, factor: &Factor, table: &Name) -> Result<(NodeId, Scope)> {
        let mut node = self.named(table)?;
        if let Some(alias) = &factor.alias {
            node = self.rename(node, alias)?;
        }
        let qualifier = factor.alias.as_ref().map_or(&table.value, |alias| &alias.name.value);
        let scope = Scope::new(Some(qualifier), self.graph.columns(node));
        Ok((node, scope))
    }

    /// The event time of a versioned table.
    fn versioned_time(&self, node: NodeId, table: &Name) -> Result<usize> {
        let columns = self.graph.columns(node);
        columns.iter().position(|c| c.role.is_time()).ok_or_else(|| {
            let message = format!("'{}' has no event time that its versions begin at", table.value);
            let remedy = "declare a WATERMARK on it; a view passes the event time on as it is";
            Issue::new(table.span, message, remedy)
        })
    }

    /// The columns that tell the versions of one thing from those of another.
    fn version_key(&self, node: NodeId, table: &Name) -> Result<Vec<usize>> {
        let folded = self.graph.fold(node);
        if !folded.predicates.is_empty() {
            let message = format!("'{}' leaves out some versions by a filter", table.value);
            let remedy = "filter before ROW_NUMBER, or after the join: a version that is left out \
                          would let the one before it live on";
            return Err(Issue::new(table.span, message, remedy));
        }
        let key = match &self.graph.nodes[folded.base].kind {
            NodeKind::Scan(table) => {
                let columns = self.graph.columns(folded.base);
                let position = |name: &String| columns.iter().position(|c| c.name() == *name);
                self.tables[*table].primary_key.iter().map(position).collect::<Option<Vec<_>>>()
            }
            NodeKind::Dedup { key, .. } => Some(key.clone()),
            NodeKind::Top(top) if top.latest && !top.order.is_empty() => Some(top.key.clone()),
            _ => None,
        };
        let key = key.filter(|key| !key.is_empty());
        key.and_then(|key| passed(&key, &folded.exprs)).ok_or_else(|| {
            let message = format!("'{}' has no key that its versions belong to", table.value);
            let remedy = "declare a PRIMARY KEY … NOT ENFORCED on the table, or read a view with \
                          ROW_NUMBER() OVER (PARTITION BY key ORDER BY time DESC) = 1";
            Issue::new(table.span, message, remedy)
        })
    }
}

/// Whether versions are asked by the time of arrival.
fn is_arrival(written: &ast::Expr, scope: &Scope) -> bool {
    let ast::ExprKind::Column(path) = &written.kind else { return false };
    let found = scope.position(path);
    found.is_ok_and(|column| scope.entries[column].column.role == Role::Proctime)
}

/// The column of the left side that versions are asked by.
fn event_time(written: &ast::Expr, scope: &Scope) -> Result<usize> {
    let bound = Binder::new(scope).bind(written)?;
    as_column(&bound).filter(|column| scope.entries[*column].column.role.is_time()).ok_or_else(
        || {
            let message = "FOR SYSTEM_TIME AS OF takes an event time of the left side as it is";
            let times = scope.entries.iter().filter(|e| e.column.role.is_time());
            let remedy = match times.map(|e| e.column.name()).next() {
                Some(time) => format!("name its event time '{time}'"),
                None => "declare a WATERMARK on the left side's source".to_owned(),
            };
            Issue::new(written.span, message, remedy)
        },
    )
}

/// The place of a factor's version, if it has one.
pub(super) fn asked(join: &Written) -> Option<Temporal<'_>> {
    match &join.right.relation {
        ast::Relation::Versioned { table, time } => Some(Temporal { table, time }),
        _ => None,
    }
}
