//! The session zone's clock: appends an event time as it is shown there, and the watermark after
//! this step is one of local times.
//!
//! Windows over TIMESTAMP_LTZ are windows of that clock, as in Flink. Of a time that the clock
//! shows twice rows may come until it has passed for the second time. Holds no state and drops
//! nothing.

use alloc::{boxed::Box, vec};

use crate::{
    calendar::{Moment, Place},
    operator::{Emitter, Operator, Port, Timestamp, WATERMARK_MAX, WATERMARK_MIN},
    row::Row,
    slot::Slot,
};

/// The operator.
pub struct LocalTime {
    rowtime: usize,
    place: Place,
    slots: Box<[Slot]>,
}

impl LocalTime {
    /// Appends the local time of `rowtime` to rows of `columns_count` columns.
    pub fn new(rowtime: usize, place: Place, columns_count: usize) -> Self {
        LocalTime { rowtime, place, slots: vec![Slot::ZERO; columns_count + 1].into() }
    }
}

impl Operator for LocalTime {
    fn push(&mut self, _: Port, row: Row<'_>, out: &mut Emitter<'_>) {
        let count = row.slots.len();
        self.slots[..count].copy_from_slice(row.slots);
        let time = row.slots[self.rowtime];
        let local = self.place.local(Moment { ms: time.as_i64(), nanos: time.nanos() });
        self.slots[count] = Slot::timestamp(local.ms, local.nanos);
        let nulls = row.nulls | (row.nulls >> self.rowtime & 1) << count;
        out.emit(Row { slots: &self.slots, nulls, change: row.change });
    }

    fn watermark_after(&self, watermark: Timestamp) -> Timestamp {
        match watermark {
            WATERMARK_MIN | WATERMARK_MAX => watermark,
            watermark => self.place.local_watermark(watermark),
        }
    }

    fn memory_bytes_max(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::CompileError;
    use crate::operators::place;

    const BERLIN: &str = "Europe/Berlin;3600;;CET-1CEST,M3.5.0,M10.5.0/3";
    /// 2022-10-30 01:00:00 UTC: 03:00 becomes 02:00.
    const BACK: i64 = 1_667_091_600_000;

    fn of(zone: &str) -> Result<LocalTime, CompileError> {
        Ok(LocalTime::new(0, place(zone)?, 1))
    }

    #[test]
    fn watermarks_are_local() {
        let berlin = of(BERLIN).unwrap();
        let two = BACK + 3_600_000;
        assert_eq!(berlin.watermark_after(BACK - 1), two - 1);
        assert_eq!(berlin.watermark_after(BACK), two);
        assert_eq!(berlin.watermark_after(WATERMARK_MIN), WATERMARK_MIN);
        assert_eq!(berlin.watermark_after(WATERMARK_MAX), WATERMARK_MAX);
        assert!(of("CET").is_err());
    }
}
