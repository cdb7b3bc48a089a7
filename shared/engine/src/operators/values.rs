//! VALUES: rows that the script itself holds, given once, before any other row is read.
//!
//! It has no input, so its watermark is that of a source at its end. What it has given is part of
//! the checkpoint: after a restart it goes on with the next row.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    codec,
    context::Context,
    expr::{CompileError, Expr, Program},
    operator::{
        Emitter, Operator, Port, Progress, RestoreError, StateWriter, Timestamp, WATERMARK_MAX,
        WATERMARK_MIN,
    },
    row::Row,
    slot::Slot,
};

/// The key of the only entry.
const NEXT: &[u8] = &[0];

/// The operator.
pub struct Values {
    rows: Vec<Vec<Program>>,
    /// The row that comes next.
    next: usize,
    /// `next` as the last checkpoint holds it.
    stored: usize,
    slots: Box<[Slot]>,
}

impl Values {
    /// Gives these rows, all of one width; their expressions read no columns.
    pub fn new(rows: &[Vec<Expr>]) -> Result<Self, CompileError> {
        let compile = |row: &Vec<Expr>| row.iter().map(Program::compile).collect();
        let width = rows.first().map_or(0, Vec::len);
        let rows = rows.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Values { rows, next: 0, stored: 0, slots: vec![Slot::ZERO; width].into() })
    }

    fn give(&mut self, out: &mut Emitter<'_>) {
        let mark = out.context.arena.mark();
        let mut nulls = 0;
        for (index, program) in self.rows[self.next].iter().enumerate() {
            let value = program.eval(Row::insert(&[], 0), out.context);
            self.slots[index] = value.slot;
            nulls |= u64::from(value.is_null()) << index;
        }
        let row = Row::insert(&self.slots, nulls);
        if !out.take_fault(row) {
            out.emit(row);
        }
        out.context.arena.release(mark);
    }
}

impl Operator for Values {
    fn push(&mut self, _: Port, _: Row<'_>, _: &mut Emitter<'_>) {
        unreachable!("no step is before it");
    }

    fn advance(&mut self, _: Timestamp, out: &mut Emitter<'_>) -> Progress {
        while self.next < self.rows.len() {
            if !out.has_room() {
                return Progress::More;
            }
            self.give(out);
            self.next += 1;
        }
        Progress::Done
    }

    fn due(&self) -> Timestamp {
        if self.next < self.rows.len() { WATERMARK_MIN } else { WATERMARK_MAX }
    }

    fn checkpoint(&mut self, full: bool, _: &mut Context, write: &mut dyn StateWriter) {
        if full || self.next != self.stored {
            self.stored = self.next;
            let mut value = Vec::new();
            codec::put_u64(&mut value, self.next as u64);
            write.entry(NEXT, Some(&value));
        }
    }

    fn restore(
        &mut self,
        _: &[u8],
        value: Option<&[u8]>,
        _: &mut Context,
    ) -> Result<(), RestoreError> {
        let broken = || RestoreError("the entry of VALUES is unreadable".into());
        let Some(mut value) = value else { return Ok(()) };
        let next = codec::take_u64(&mut value).and_then(|next| usize::try_from(next).ok());
        self.next = next.filter(|next| *next <= self.rows.len()).ok_or_else(broken)?;
        self.stored = self.next;
        Ok(())
    }

    fn memory_bytes_max(&self) -> usize {
        let cells = self.rows.len() * self.slots.len();
        size_of::<Self>() + cells * size_of::<Program>() + size_of_val(&*self.slots)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec, vec::Vec};

    use crate::{
        expr::{Expr, Literal},
        fragment::*,
        testkit::*,
        types::{DataType, Field, Schema},
    };

    /// Rows beside the readings, put together with them.
    fn fragment(numbers: &[i64]) -> Fragment {
        let row = |number: &i64| {
            let zero = Expr::literal(Literal::Int(0), DataType::Int);
            let number = Expr::literal(Literal::Int(*number), DataType::Int);
            let name = Expr::literal(Literal::Text("x".into()), DataType::STRING);
            vec![Expr::call("/", vec![number.clone(), number], DataType::Int), zero, name]
        };
        let columns = [("a", DataType::Int), ("b", DataType::Int), ("c", DataType::STRING)];
        let schema = Schema::new(columns.map(|(name, t)| Field::new(name, t)).into());
        let values = OperatorSpec::Values(numbers.iter().map(row).collect());
        let mut fragment = chain(vec![(values, schema)]);
        fragment.steps[0].inputs.clear();
        fragment
    }

    #[test]
    fn rows_come_once_and_faulty_ones_are_set_aside() {
        let mut run = Run::new(fragment(&[3, 0, 4]));
        run.log.room = 1;
        assert!(run.pipeline.is_new());
        run.start();
        assert_eq!(run.take(), ["+I 1 0 x", "dropped division-by-zero", "+I 1 0 x"]);
        run.watermark(9).end();
        assert_eq!(run.take(), [""; 0]);
    }

    #[test]
    fn what_was_given_is_not_given_again() {
        for is_full in [true, false] {
            let mut run = Run::new(fragment(&[1, 2]));
            run.start();
            assert_eq!(run.take().len(), 2);
            // Nothing was stored: a new life begins with the first row.
            run.restart().start();
            assert_eq!(run.take().len(), 2);
            run.checkpoint(is_full).restart().start().end();
            assert_eq!(run.take(), Vec::<String>::new());
        }
    }

    #[test]
    fn without_a_start_they_come_with_the_first_watermark() {
        let mut run = Run::new(fragment(&[1]));
        run.reading("a", 1, 1.0);
        assert_eq!(run.take(), Vec::<String>::new());
        run.watermark(1);
        assert_eq!(run.take(), ["+I 1 0 x"]);
    }
}
