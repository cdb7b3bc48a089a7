//! Aggregation by key without a window: every row changes its group's result.
//!
//! Flink's updating GROUP BY: the first row of a group gives `+I`, a row that changes the result
//! `-U` and `+U`, the one that takes the last row away `-D`; a row that leaves the result as it is
//! gives nothing. Nothing is late. Without aggregates it is SELECT DISTINCT.
//!
//! Memory is bounded by `panes_max` groups: the row of one more is set aside. With a time to live,
//! groups that were not used for so long are forgotten in silence, as in Flink; here the time is
//! that of the watermark. A row that takes away what is not there is counted as unmatched.

use alloc::{boxed::Box, format, vec, vec::Vec};

use crate::{
    aggregate::Calls,
    compare::compare,
    context::{Context, Fault},
    expr::CompileError,
    fragment::GroupAggregateSpec,
    limits::{AGGREGATES_MAX, FIELDS_MAX, Limits},
    operator::{Emitter, Operator, Port, Progress, Reason, RestoreError, StateWriter, Timestamp},
    row::{Change, Row},
    slot::Slot,
    types::DataType,
};

mod groups;

use groups::Groups;

/// The operator.
pub struct GroupAggregate {
    spec: GroupAggregateSpec,
    calls: Calls,
    groups: Groups,
    /// Types of the results, behind those of the key.
    results: Vec<DataType>,
    before: Box<[Slot]>,
    after: Box<[Slot]>,
}

impl GroupAggregate {
    /// The operator for `spec`.
    pub fn new(spec: &GroupAggregateSpec, limits: &Limits) -> Result<Self, CompileError> {
        let calls = match spec.takes_changes {
            true => Calls::bind_changing(&spec.aggregates)?,
            false => Calls::bind(&spec.aggregates)?,
        };
        let width = spec.keys.len() + calls.len().max(calls.parts().len());
        if calls.len() > AGGREGATES_MAX || width > FIELDS_MAX {
            let message = format!("one step has at most {AGGREGATES_MAX} aggregates");
            return Err(CompileError(message));
        }
        Ok(GroupAggregate {
            groups: Groups::new(&spec.key_types, &calls, spec.ttl_ms, limits.panes_max),
            results: calls.results().cloned().collect(),
            calls,
            spec: spec.clone(),
            before: vec![Slot::ZERO; width].into(),
            after: vec![Slot::ZERO; width].into(),
        })
    }

    /// The group's result as it is now; its NULL bitmap. Texts of the one before a change are
    /// copied: the change may give them back.
    fn result(&mut self, group: u32, is_before: bool, context: &mut Context) -> u64 {
        let slots = if is_before { &mut self.before } else { &mut self.after };
        let keys = self.spec.keys.len();
        slots[..keys].copy_from_slice(self.groups.keys.key(group));
        let mut nulls = self.groups.keys.nulls(group);
        for (index, data_type) in self.results.iter().enumerate() {
            let states = &self.groups.states;
            let value = self.calls.finish(states, index, group as usize, context);
            let is_copied = is_before && !value.is_null() && data_type.is_referring();
            slots[keys + index] = if is_copied { context.inline(value.slot) } else { value.slot };
            nulls |= u64::from(value.is_null()) << (keys + index);
        }
        nulls
    }

    fn is_same(&self, nulls: [u64; 2], context: &Context) -> bool {
        let keys = self.spec.keys.len();
        nulls[0] == nulls[1]
            && self.results.iter().enumerate().all(|(index, data_type)| {
                let at = keys + index;
                nulls[0] >> at & 1 == 1
                    || compare(self.before[at], self.after[at], data_type, context).is_eq()
            })
    }

    fn emit(&self, is_before: bool, nulls: u64, change: Change, out: &mut Emitter<'_>) {
        let slots = if is_before { &self.before } else { &self.after };
        let width = self.spec.keys.len() + self.calls.len();
        out.emit(Row { slots: &slots[..width], nulls, change });
    }

    fn update(&mut self, group: u32, is_new: bool, row: Row<'_>, out: &mut Emitter<'_>) {
        let is_added = matches!(row.change, Change::Insert | Change::UpdateAfter);
        let before = if is_new { 0 } else { self.result(group, true, out.context) };
        let states = &mut self.groups.states;
        if is_added {
            self.calls.add(states, group as usize, row, out.context);
        } else {
            self.calls.remove(states, group as usize, row, out.context);
        }
        let rows = self.groups.count(group, if is_added { 1 } else { -1 }, out.watermark);
        if rows == 0 {
            self.emit(true, before, Change::Delete, out);
            self.groups.remove(group, out.context);
            return;
        }
        let after = self.result(group, false, out.context);
        if is_new {
            self.emit(false, after, Change::Insert, out);
        } else if !self.is_same([before, after], out.context) {
            self.emit(true, before, Change::UpdateBefore, out);
            self.emit(false, after, Change::UpdateAfter, out);
        }
    }

    fn push_row(&mut self, row: Row<'_>, out: &mut Emitter<'_>) -> Result<(), Reason> {
        let found = self.groups.keys.find(row, &self.spec.keys, out.context);
        let (group, is_new) = match found.map_err(Reason::Fault)? {
            Some(group) => (group, false),
            None if matches!(row.change, Change::UpdateBefore | Change::Delete) => {
                self.groups.keys.discard_probe(out.context);
                return Err(Reason::Unmatched);
            }
            None => {
                let group = self.groups.insert(out.context);
                (group.ok_or(Reason::Fault(Fault::StateFull))?, true)
            }
        };
        self.update(group, is_new, row, out);
        Ok(())
    }
}

impl Operator for GroupAggregate {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let mark = out.context.arena.mark();
        if let Err(reason) = self.push_row(row, out) {
            out.drop_row(reason, row);
        }
        out.context.arena.release(mark);
        out.take_fault(row);
    }

    fn fanout_max(&self) -> usize {
        2
    }

    fn advance(&mut self, watermark: Timestamp, out: &mut Emitter<'_>) -> Progress {
        self.groups.expire(watermark, out.context);
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        self.groups.due()
    }

    fn checkpoint(&mut self, full: bool, context: &mut Context, write: &mut dyn StateWriter) {
        self.groups.checkpoint(full, context, write);
    }

    fn restore(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        context: &mut Context,
    ) -> Result<(), RestoreError> {
        self.groups.restore(key, value, context)
    }

    fn restored(&mut self, _: Timestamp, _: &mut Context) {
        self.groups.restored();
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>() + self.groups.memory_bytes_max()
    }
}

#[cfg(test)]
mod tests;
