//! ABSENCE: rows after which their key falls silent.

use headwater_engine::fragment::AbsenceSpec;
use headwater_engine::types::DataType;

use crate::ast::{Absence, Name};
use crate::bind::{Scope, interval_ms};
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind, Role};
use crate::select::Planner;
use crate::select::clock::check_order;
use crate::select::relation::not_a_time;

impl Planner {
    pub(super) fn absence(&mut self, from: &Absence) -> Result<NodeId> {
        let input = self.named(&from.table)?;
        let scope = Scope::new(Some(&from.table.value), self.graph.columns(input));
        let position = |name: &Name| scope.position(core::slice::from_ref(name));
        let rowtime = position(&from.time)?;
        let time = scope.entries[rowtime].column.clone();
        check_order(&time, from.time.span)?;
        if !time.role.is_time() {
            return Err(not_a_time(&from.time, &scope, &from.table));
        }
        let gap_ms = interval_ms(&from.gap, "the gap of ABSENCE")?;
        if gap_ms <= 0 {
            let message = "the gap of ABSENCE is not positive";
            return Err(Issue::new(from.gap.span, message, "write INTERVAL '5' MINUTE"));
        }
        let flag = |name: &Option<Name>| name.as_ref().map(|n| boolean(n, &scope)).transpose();
        let spec = AbsenceSpec {
            key: from.partition_by.iter().map(position).collect::<Result<_>>()?,
            rowtime,
            gap_ms,
            starts: flag(&from.after)?,
            ends: flag(&from.of)?,
        };
        let mut columns = self.graph.columns(input).to_vec();
        if let Some(taken) = columns.iter().position(|c| c.name() == "deadline") {
            let message = "the table has a column 'deadline', which ABSENCE adds";
            let remedy = format!("rename column {} in a view", taken + 1);
            return Err(Issue::new(from.table.span, message, remedy));
        }
        // The event time of the result is the deadline.
        for column in &mut columns {
            column.role = column.role.without_time();
        }
        let deadline = Column::new("deadline", time.data_type).with_role(Role::Rowtime);
        columns.push(Column { nullable: false, ..deadline });
        Ok(self.graph.push(NodeKind::Absence(input, spec), columns))
    }
}

fn boolean(name: &Name, scope: &Scope) -> Result<usize> {
    let index = scope.position(core::slice::from_ref(name))?;
    match &scope.entries[index].column.data_type {
        DataType::Boolean => Ok(index),
        other => {
            let message = format!("'{}' is {other}, not BOOLEAN", name.value);
            Err(Issue::new(name.span, message, "compute the condition in a view before"))
        }
    }
}
