//! Conditions and measures: values of the rows of a run, and an expression over them.

use alloc::{boxed::Box, collections::VecDeque, vec, vec::Vec};

use super::runs::Part;
use crate::{
    aggregate::{Accumulator, Calls},
    context::Context,
    expr::{CompileError, Program},
    fragment::{AggregateSpec, Formula as Spec, MatchItem},
    operator::Timestamp,
    row::Row,
    rows::{RowId, Rows},
    slot::{Datum, Slot},
    types::DataType,
};

/// An executable formula.
pub(super) struct Formula {
    items: Vec<Item>,
    program: Program,
    slots: Box<[Slot]>,
    /// It reads nothing but the row that is tested.
    pub(super) is_plain: bool,
}

enum Item {
    Current(usize),
    Row { variable: Option<usize>, from_first: bool, offset: u32, column: usize },
    Aggregate { variable: Option<usize>, call: Box<Call> },
    Time,
}

struct Call {
    arg: Option<Program>,
    calls: Calls,
    states: Vec<Box<dyn Accumulator>>,
    is_referring: bool,
}

/// The rows that a formula can see.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) rows: &'a Rows,
    /// Rows of the partition that are kept, and the number of the first one.
    pub(super) events: &'a VecDeque<RowId>,
    pub(super) base: u64,
    /// All rows of the run.
    pub(super) all: Part,
    /// Rows of each variable.
    pub(super) parts: &'a [Part],
    /// The row that is tested, and as which variable.
    pub(super) current: Option<(RowId, usize)>,
    pub(super) time: Timestamp,
}

impl<'a> View<'a> {
    /// Rows of a variable, and the tested row if it counts as one of them.
    fn list(&self, variable: Option<usize>) -> (Part, Option<RowId>) {
        let part = variable.map_or(self.all, |v| self.parts[v]);
        let current = self.current.filter(|(_, own)| variable.is_none_or(|v| v == *own));
        (part, current.map(|(id, _)| id))
    }

    fn nth(&self, (part, current): (Part, Option<RowId>), index: u32) -> Option<RowId> {
        if index < part.count {
            return Some(self.event(part.first + u64::from(index)));
        }
        current.filter(|_| index == part.count)
    }

    fn event(&self, number: u64) -> RowId {
        let index = usize::try_from(number - self.base).expect("kept rows fit the memory");
        self.events[index]
    }

    fn find(&self, variable: Option<usize>, from_first: bool, offset: u32) -> Option<RowId> {
        let list = self.list(variable);
        let count = list.0.count + u32::from(list.1.is_some());
        let index = match from_first {
            true => Some(offset),
            false => count.checked_sub(offset)?.checked_sub(1),
        };
        self.nth(list, index?)
    }

    fn each(&self, variable: Option<usize>) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let (view, list) = (*self, self.list(variable));
        (0..).map_while(move |index| view.nth(list, index)).map(move |id| view.rows.get(id))
    }
}

impl Formula {
    pub(super) fn new(spec: &Spec) -> Result<Self, CompileError> {
        let items: Vec<Item> = spec.items.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Formula {
            is_plain: items.iter().all(|item| matches!(item, Item::Current(_))),
            slots: vec![Slot::ZERO; items.len()].into(),
            program: Program::compile(&spec.expr)?,
            items,
        })
    }

    /// Whether a plain formula is TRUE of a row.
    pub(super) fn holds_of(&mut self, row: Row<'_>, cx: &mut Context) -> bool {
        let mut nulls = 0;
        for (index, item) in self.items.iter().enumerate() {
            let Item::Current(column) = *item else { unreachable!("the formula is plain") };
            self.slots[index] = row.slots[column];
            nulls |= u64::from(row.is_null(column)) << index;
        }
        self.program.holds(Row::insert(&self.slots, nulls), cx)
    }

    /// The value; texts that it makes lie in the arena.
    pub(super) fn eval(&mut self, view: &View<'_>, cx: &mut Context) -> Datum {
        let mut nulls = 0;
        for (index, item) in self.items.iter_mut().enumerate() {
            let value = item.value(view, cx);
            self.slots[index] = value.slot;
            nulls |= u64::from(value.is_null()) << index;
        }
        self.program.eval(Row::insert(&self.slots, nulls), cx)
    }
}

fn compile(item: &MatchItem) -> Result<Item, CompileError> {
    Ok(match item {
        MatchItem::Current(column) => Item::Current(*column),
        MatchItem::Row { variable, from_first, offset, column } => Item::Row {
            variable: *variable,
            from_first: *from_first,
            offset: *offset,
            column: *column,
        },
        MatchItem::Aggregate { variable, function, arg } => {
            // The argument is computed into a row of one column.
            let arg_type = arg.as_ref().map(|arg| (0, arg.data_type.clone()));
            let spec = AggregateSpec {
                function: function.clone(),
                arg: arg_type,
                filter: None,
                distinct: false,
                params: Vec::new(),
                weight: None,
            };
            let calls = Calls::bind(&[spec])?;
            let mut states = calls.accumulators();
            states.iter_mut().for_each(|state| state.reserve(1));
            let is_referring = calls.results().any(DataType::is_referring);
            let call = Call {
                arg: arg.as_ref().map(Program::compile).transpose()?,
                is_referring,
                calls,
                states,
            };
            Item::Aggregate { variable: *variable, call: Box::new(call) }
        }
        MatchItem::Time => Item::Time,
    })
}

impl Item {
    fn value(&mut self, view: &View<'_>, cx: &mut Context) -> Datum {
        match self {
            Item::Current(column) => {
                let (id, _) = view.current.expect("a condition is asked of a row");
                view.rows.get(id).datum(*column)
            }
            Item::Row { variable, from_first, offset, column } => view
                .find(*variable, *from_first, *offset)
                .map_or(Datum::NULL, |id| view.rows.get(id).datum(*column)),
            Item::Aggregate { variable, call } => call.value(view.each(*variable), cx),
            Item::Time => Datum::of(Slot::timestamp(view.time, 0)),
        }
    }
}

impl Call {
    fn value<'a>(&mut self, rows: impl Iterator<Item = Row<'a>>, cx: &mut Context) -> Datum {
        for row in rows {
            let value = self.arg.as_ref().map_or(Datum::NULL, |arg| arg.eval(row, cx));
            let row = Row::insert(core::slice::from_ref(&value.slot), u64::from(value.is_null()));
            self.calls.add(&mut self.states, 0, row, cx);
        }
        let mut value = self.calls.finish(&self.states, 0, 0, cx);
        // The accumulator gives its texts back below.
        if self.is_referring && !value.is_null() {
            let bytes = cx.bytes(value.slot).to_vec();
            value = cx.put_bytes(&bytes);
        }
        for state in &mut self.states {
            state.clear(0, cx);
        }
        value
    }
}
