//! Dates, times and timestamps to each other. A TIMESTAMP_LTZ is shown and read in the session's
//! zone; of a time that comes twice it is the first, one that is skipped is moved on.

use super::Convert;
use crate::{
    calendar::{MS_PER_DAY, Moment},
    context::Context,
    slot::{Datum, Slot},
    types::DataType,
};

pub(super) fn find(from: &DataType, to: &DataType) -> Option<Convert> {
    Some(match (from, to) {
        (f, t) if f.is_timestamp() && t.is_timestamp() => match (is_local(f), is_local(t)) {
            (true, false) => |value, _, to, cx| {
                Some(timestamp(cx.zone.local(moment(value)).truncated(precision(to))))
            },
            (false, true) => |value, _, to, cx| {
                Some(timestamp(cx.zone.instant(moment(value), false).truncated(precision(to))))
            },
            _ => |value, _, to, _| Some(timestamp(moment(value).truncated(precision(to)))),
        },
        (DataType::Date, t) if t.is_timestamp() => |value, _, to, cx| {
            Some(timestamp(read(Moment::of_days(value.slot.as_i64(), 0, 0), to, cx)))
        },
        (DataType::Time(_), t) if t.is_timestamp() => {
            |value, _, to, cx| Some(timestamp(read(Moment::of_ms(value.slot.as_i64()), to, cx)))
        }
        (f, DataType::Date) if f.is_timestamp() => {
            |value, from, _, cx| Some(Datum::i64(shown(value, from, cx).days()))
        }
        (f, DataType::Time(_)) if f.is_timestamp() => |value, from, to, cx| {
            let of_day = Moment::of_ms(shown(value, from, cx).ms_of_day());
            Some(Datum::i64(of_day.truncated(precision(to)).ms))
        },
        (DataType::Time(_), DataType::Time(_)) => |value, _, to, _| {
            let of_day = Moment::of_ms(value.slot.as_i64().rem_euclid(MS_PER_DAY));
            Some(Datum::i64(of_day.truncated(precision(to)).ms))
        },
        _ => return None,
    })
}

fn is_local(data_type: &DataType) -> bool {
    matches!(data_type, DataType::TimestampLtz(_))
}

/// A timestamp as the session's zone shows it, where its type has a zone.
pub(super) fn shown(value: Datum, from: &DataType, cx: &Context) -> Moment {
    match is_local(from) {
        true => cx.zone.local(moment(value)),
        false => moment(value),
    }
}

/// A time of the session's zone as a value of this type.
pub(super) fn read(local: Moment, to: &DataType, cx: &Context) -> Moment {
    match is_local(to) {
        true => cx.zone.instant(local, false),
        false => local,
    }
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
