//! Windows by the clock of the session's zone.
//!
//! Where the zone is not UTC, the windows of a TIMESTAMP_LTZ are those of its clock: a step in
//! front of them appends the local time, and translates the watermark. What stands behind works in
//! local times. The time of such a window is shown as a point in time again; a further window takes
//! it back to the clock, on which the watermark already is.

use headwater_engine::types::DataType;
use sqlparser::tokenizer::Span;

use crate::bind::coerce;
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind, Role};
use crate::select::Planner;

/// Refuses an order by the time of such a window: the watermark is another clock's.
pub(super) fn check_order(column: &Column, span: Span) -> Result<()> {
    if column.role != Role::LocalWindowTime {
        return Ok(());
    }
    let message = "only windows can follow the time of a window in a zone other than UTC";
    Err(Issue::new(span, message, "put a window function over it, or leave the session in UTC"))
}

impl Planner {
    /// The event time by the zone's clock, where that is not UTC and the time has a zone. Gives the
    /// node with it, and where it is.
    pub(super) fn local_time(
        &mut self,
        input: NodeId,
        rowtime: usize,
        span: Span,
    ) -> Result<Option<(NodeId, usize)>> {
        let mut columns = self.graph.columns(input).to_vec();
        let time = &columns[rowtime];
        let is_zoned = matches!(time.data_type, DataType::TimestampLtz(_));
        if self.zone.is_empty() || !is_zoned {
            return Ok(None);
        }
        let at = columns.len();
        if time.role == Role::LocalWindowTime {
            let local = coerce::implicit_cast(time.at(rowtime), DataType::Timestamp(3), span)?;
            let all = columns.iter().enumerate();
            let mut items: Vec<_> = all.map(|(i, c)| (c.path.clone(), c.at(i), c.hidden)).collect();
            items.push((vec!["$local".to_owned()], local, true));
            return Ok(Some((self.graph.project(input, items), at)));
        }
        columns.push(Column::new("$local", DataType::Timestamp(3)).hide());
        let zone = self.zone.clone();
        Ok(Some((self.graph.push(NodeKind::LocalTime { input, rowtime, zone }, columns), at)))
    }

    /// The time of a window, in column `at` of `node` by the zone's clock, as a point in time.
    pub(super) fn zoned_time(&mut self, node: NodeId, at: usize, span: Span) -> Result<NodeId> {
        let columns = self.graph.columns(node).to_vec();
        let items = columns.iter().enumerate().map(|(i, column)| {
            let value = match i == at {
                true => coerce::implicit_cast(column.at(i), DataType::TimestampLtz(3), span)?,
                false => column.at(i),
            };
            Ok((column.path.clone(), value, column.hidden))
        });
        let items = items.collect::<Result<_>>()?;
        let node = self.graph.project(node, items);
        let time = &mut self.graph.nodes[node].columns[at];
        (time.role, time.nullable) = (Role::LocalWindowTime, columns[at].nullable);
        Ok(node)
    }
}
