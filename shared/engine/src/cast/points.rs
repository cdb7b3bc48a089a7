//! Dates, times and timestamps to each other. The session zone is UTC, so TIMESTAMP and
//! TIMESTAMP_LTZ hold the same numbers.

use super::Convert;
use crate::{
    calendar::{MS_PER_DAY, Moment},
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) fn find(from: &DataType, to: &DataType) -> Option<Convert> {
    Some(match (from, to) {
        (f, DataType::Timestamp(_) | DataType::TimestampLtz(_)) if f.is_timestamp() => {
            |value, _, to, _| Some(timestamp(moment(value).truncated(precision(to))))
        }
        (DataType::Date, t) if t.is_timestamp() => {
            |value, _, _, _| Some(timestamp(Moment::of_days(value.slot.as_i64(), 0, 0)))
        }
        (DataType::Time(_), t) if t.is_timestamp() => {
            |value, _, _, _| Some(timestamp(Moment::of_ms(value.slot.as_i64())))
        }
        (f, DataType::Date) if f.is_timestamp() => {
            |value, _, _, _| Some(Datum::i64(moment(value).days()))
        }
        (f, DataType::Time(_)) if f.is_timestamp() => |value, _, to, _| {
            let of_day = Moment::of_ms(moment(value).ms_of_day());
            Some(Datum::i64(of_day.truncated(precision(to)).ms))
        },
        (DataType::Time(_), DataType::Time(_)) => |value, _, to, _| {
            let of_day = Moment::of_ms(value.slot.as_i64().rem_euclid(MS_PER_DAY));
            Some(Datum::i64(of_day.truncated(precision(to)).ms))
        },
        _ => return None,
    })
}

pub(super) fn moment(value: Datum) -> Moment {
    Moment { ms: value.slot.as_i64(), nanos: value.slot.nanos() }
}

pub(super) fn timestamp(moment: Moment) -> Datum {
    Datum::of(Slot::timestamp(moment.ms, moment.nanos))
}

/// Fraction digits of a time or timestamp type.
pub(super) const fn precision(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Time(p) | DataType::Timestamp(p) | DataType::TimestampLtz(p) => *p,
        _ => 0,
    }
}
