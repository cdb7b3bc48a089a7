//! Dates, times and timestamps: parts, rounding, differences, and text in both directions.
//!
//! Time units arrive as constant text (`EXTRACT(HOUR FROM t)` is `EXTRACT('HOUR', t)`). Nothing
//! here reads a clock: CURRENT_TIMESTAMP and its like are not functions of the engine.

use alloc::{format, string::String, vec, vec::Vec};

use super::build::Builder;
use super::direct::Direct;
use super::sig::{
    Bound, as_decimal, constant_int, constant_text, count, direct, integer, strict, text,
};
use super::{Arg, Function};
use crate::{
    calendar::{
        Dialect, MS_MAX, MS_MIN, MS_PER_DAY, MS_PER_SECOND, Moment, Pattern, TimeUnit, parse,
    },
    context::{Context, Fault},
    decimal,
    slot::{Datum, Slot},
    types::DataType,
};

mod zone;

pub(super) const LIST: &[Function] = &[
    Function { name: "EXTRACT", bind: extract },
    Function { name: "YEAR", bind: |args| part("YEAR", args, TimeUnit::Year) },
    Function { name: "QUARTER", bind: |args| part("QUARTER", args, TimeUnit::Quarter) },
    Function { name: "MONTH", bind: |args| part("MONTH", args, TimeUnit::Month) },
    Function { name: "WEEK", bind: |args| part("WEEK", args, TimeUnit::Week) },
    Function { name: "DAYOFYEAR", bind: |args| part("DAYOFYEAR", args, TimeUnit::DayOfYear) },
    Function { name: "DAYOFMONTH", bind: |args| part("DAYOFMONTH", args, TimeUnit::Day) },
    Function { name: "DAYOFWEEK", bind: |args| part("DAYOFWEEK", args, TimeUnit::DayOfWeek) },
    Function { name: "HOUR", bind: |args| part("HOUR", args, TimeUnit::Hour) },
    Function { name: "MINUTE", bind: |args| part("MINUTE", args, TimeUnit::Minute) },
    Function { name: "SECOND", bind: |args| part("SECOND", args, TimeUnit::Second) },
    Function { name: "TIMESTAMPDIFF", bind: difference },
    Function { name: "TIMESTAMPADD", bind: addition },
    Function { name: "TO_TIMESTAMP_LTZ", bind: to_timestamp_ltz },
    Function { name: "TO_TIMESTAMP", bind: to_timestamp },
    Function { name: "TO_DATE", bind: to_date },
    Function { name: "DATE_FORMAT", bind: date_format },
    Function { name: "UNIX_TIMESTAMP", bind: unix_timestamp },
    Function { name: "FROM_UNIXTIME", bind: from_unixtime },
    Function { name: "CONVERT_TZ", bind: zone::convert },
];

const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

/// FLOOR or CEIL of a timestamp to a unit.
pub(super) type RoundMoment = fn(TimeUnit, Moment) -> Option<Moment>;

fn unit(name: &str, arg: &Arg<'_>) -> Result<TimeUnit, String> {
    let text = constant_text(name, "a time unit", arg)?;
    TimeUnit::of_name(text).ok_or_else(|| format!("there is no time unit {text}"))
}

fn moment(value: Datum) -> Moment {
    Moment { ms: value.slot.as_i64(), nanos: value.slot.nanos() }
}

fn timestamp(moment: Moment) -> Datum {
    Datum::of(Slot::timestamp(moment.ms, moment.nanos))
}

/// A timestamp as the session's zone shows it.
fn local(value: Datum, cx: &Context) -> Moment {
    cx.zone.local(moment(value))
}

/// A DATE or a timestamp as a moment.
fn moment_reader(data_type: &DataType) -> fn(Datum) -> Moment {
    match data_type {
        DataType::Date => |v| Moment::of_days(v.slot.as_i64(), 0, 0),
        _ => moment,
    }
}

/// The argument as it is, when it is a date, a timestamp or (if allowed) a time.
fn point(name: &str, arg: &Arg<'_>, with_time: bool) -> Result<DataType, String> {
    match arg.data_type {
        DataType::Null => Ok(DataType::Timestamp(3)),
        t @ DataType::Date => Ok(t.clone()),
        t @ DataType::Time(_) if with_time => Ok(t.clone()),
        t if t.is_timestamp() => Ok(t.clone()),
        t => Err(format!("{name} needs a date or a timestamp, not {t}")),
    }
}

/// Takes a unit out of a date, a time, a timestamp or an interval.
type Extract = fn(TimeUnit, Datum, &Context) -> i64;

/// How a unit is taken, and out of which type.
fn extractor(name: &str, arg: &Arg<'_>, unit: TimeUnit) -> Result<(DataType, Extract), String> {
    use TimeUnit::{Day, Hour, Millisecond, Minute, Month, Second, Year};
    let refuse = |what: &str| Err(format!("{what} has no {}", unit.name()));
    if *arg.data_type == DataType::IntervalDay {
        let get: Extract = match unit {
            Day => |_, v, _| v.slot.as_i64() / MS_PER_DAY,
            Hour | Minute | Second | Millisecond => |unit, v, _| unit.extract(moment(v)),
            _ => return refuse("an interval of days"),
        };
        return Ok((DataType::IntervalDay, get));
    }
    if *arg.data_type == DataType::IntervalMonth {
        let get: Extract = match unit {
            Year => |_, v, _| v.slot.as_i64() / 12,
            Month => |_, v, _| v.slot.as_i64() % 12,
            _ => return refuse("an interval of months"),
        };
        return Ok((DataType::IntervalMonth, get));
    }
    let own = point(name, arg, true)?;
    let get: Extract = match own {
        DataType::Date => |unit, v, _| unit.extract_from_date(v.slot.as_i64()),
        DataType::Time(_) if unit.months().is_some() || unit.ms() >= Some(MS_PER_DAY) => {
            return refuse("a TIME");
        }
        DataType::Time(_) => |unit, v, _| unit.extract_from_time(v.slot.as_i64()),
        DataType::TimestampLtz(_) => |unit, v, cx| unit.extract(local(v, cx)),
        _ => |unit, v, _| unit.extract(moment(v)),
    };
    Ok((own, get))
}

fn extract(args: &[Arg<'_>]) -> Bound {
    count("EXTRACT", args, 2, 2)?;
    let unit = unit("EXTRACT", &args[0])?;
    let (own, get) = extractor("EXTRACT", &args[1], unit)?;
    let types = vec![DataType::STRING, own];
    strict(types, DataType::BigInt, move |v, cx| Datum::i64(get(unit, v[1], cx)))
}

fn part(name: &str, args: &[Arg<'_>], unit: TimeUnit) -> Bound {
    count(name, args, 1, 1)?;
    let (own, get) = extractor(name, &args[0], unit)?;
    strict(vec![own], DataType::BigInt, move |v, cx| Datum::i64(get(unit, v[0], cx)))
}

/// FLOOR(value TO unit) and CEIL(value TO unit): the value, then the unit.
pub(super) fn round_to_unit(
    name: &str,
    args: &[Arg<'_>],
    moments: RoundMoment,
    days: fn(TimeUnit, i64) -> Option<i64>,
) -> Bound {
    let unit = unit(name, &args[1])?;
    let own = point(name, &args[0], true)?;
    let types = vec![own.clone(), DataType::STRING];
    let refuse = || format!("a {own} has no {name} to {}", unit.name());
    match own {
        DataType::Date => {
            days(unit, 0).ok_or_else(refuse)?;
            strict(types, own, move |v, _| {
                days(unit, v[0].slot.as_i64()).map_or(Datum::NULL, Datum::i64)
            })
        }
        DataType::Time(_) => {
            unit.ms().filter(|ms| *ms < MS_PER_DAY).ok_or_else(refuse)?;
            strict(types, own, move |v, _| {
                let rounded = moments(unit, Moment::of_ms(v[0].slot.as_i64()));
                rounded.map_or(Datum::NULL, |m| Datum::i64(m.ms))
            })
        }
        DataType::TimestampLtz(_) => {
            moments(unit, Moment::default()).ok_or_else(refuse)?;
            strict(types, own, move |v, cx| {
                // As in Flink, with the distance of the value itself, also where another one holds.
                let distance = cx.zone.distance_ms(v[0].slot.as_i64());
                // Unlike of a TIMESTAMP, what is finer than a millisecond never counts.
                let moved = |ms: i64, by: i64| Moment::of_ms(ms.saturating_add(by));
                let rounded = moments(unit, moved(v[0].slot.as_i64(), distance));
                rounded.map_or(Datum::NULL, |m| timestamp(moved(m.ms, -distance)))
            })
        }
        _ => {
            moments(unit, Moment::default()).ok_or_else(refuse)?;
            strict(types, own, move |v, _| {
                moments(unit, moment(v[0])).map_or(Datum::NULL, timestamp)
            })
        }
    }
}

/// TIMESTAMPDIFF(unit, from, to): INT, wrapped as in Flink.
fn difference(args: &[Arg<'_>]) -> Bound {
    count("TIMESTAMPDIFF", args, 3, 3)?;
    let unit = unit("TIMESTAMPDIFF", &args[0])?;
    let (a, b) =
        (point("TIMESTAMPDIFF", &args[1], false)?, point("TIMESTAMPDIFF", &args[2], false)?);
    unit.between(Moment::default(), Moment::default())
        .ok_or_else(|| format!("TIMESTAMPDIFF does not count in {}", unit.name()))?;
    let is_zoned = |t: &DataType| matches!(t, DataType::TimestampLtz(_));
    if is_zoned(&a) != is_zoned(&b) {
        return Err(format!("TIMESTAMPDIFF does not take {a} and {b}; cast one to the other"));
    }
    let (from, to) = (moment_reader(&a), moment_reader(&b));
    strict(vec![DataType::STRING, a, b], DataType::Int, move |v, _| {
        let whole = unit.between(from(v[1]), to(v[2])).unwrap_or(0);
        Datum::i64(super::sig::wrapped(whole, &DataType::Int))
    })
}

/// TIMESTAMPADD(unit, count, point).
fn addition(args: &[Arg<'_>]) -> Bound {
    count("TIMESTAMPADD", args, 3, 3)?;
    let unit = unit("TIMESTAMPADD", &args[0])?;
    let amount = integer("TIMESTAMPADD", &args[1])?;
    let own = point("TIMESTAMPADD", &args[2], true)?;
    unit.add(1, Moment::default())
        .ok_or_else(|| format!("TIMESTAMPADD does not count in {}", unit.name()))?;
    let is_fine = matches!(own, DataType::Timestamp(3..) | DataType::TimestampLtz(3..));
    if unit == TimeUnit::Millisecond && !is_fine {
        return Err(format!("TIMESTAMPADD of milliseconds needs a TIMESTAMP(3), not {own}"));
    }
    let types = vec![DataType::STRING, amount, own.clone()];
    if own == DataType::Date && unit.add_to_date(1, 0).is_some() {
        return strict(types, own, move |v, _| {
            let days = unit.add_to_date(v[1].slot.as_i64(), v[2].slot.as_i64());
            days.map_or(Datum::NULL, Datum::i64)
        });
    }
    if matches!(own, DataType::Time(_)) {
        // Days and longer units leave the clock as it is.
        let step = unit.ms().filter(|_| unit.months().is_none()).unwrap_or(0);
        return strict(types, own, move |v, _| {
            let by = v[1].slot.as_i64().wrapping_mul(step) % MS_PER_DAY;
            Datum::i64((v[2].slot.as_i64() + by).rem_euclid(MS_PER_DAY))
        });
    }
    let read = moment_reader(&own);
    let result = if own == DataType::Date { DataType::Timestamp(6) } else { own };
    strict(types, result, move |v, _| {
        unit.add(v[1].slot.as_i64(), read(v[2])).map_or(Datum::NULL, timestamp)
    })
}

/// TO_TIMESTAMP_LTZ(number[, 0 for seconds or 3 for milliseconds]); NULL beyond the years 0–9999.
/// TO_TIMESTAMP_LTZ(text[, pattern[, zone]]).
fn to_timestamp_ltz(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "TO_TIMESTAMP_LTZ";
    let result = DataType::TimestampLtz(3);
    if args.len() == 3 && args[0].data_type.is_text() {
        return zone::text_to_instant(NAME, args, result);
    }
    count(NAME, args, 1, 2)?;
    if args[0].data_type.is_text() && args.len() == 1 {
        // Like a cast, and unlike with a pattern.
        return strict(vec![text(NAME, &args[0])?], result, |v, cx| {
            match parse::timestamp(cx.text(v[0].slot), 3) {
                Some(moment) => timestamp(moment),
                None => cx.fail(Fault::CastFailed),
            }
        });
    }
    if args[0].data_type.is_text() {
        return text_to_timestamp(NAME, args, result);
    }
    let own = super::sig::number(NAME, &args[0])?;
    let precision = args.get(1).map_or(Ok(3), |a| constant_int(NAME, "the precision", a))?;
    let factor = match precision {
        0 => MS_PER_SECOND,
        3 => 1,
        p => return Err(format!("{NAME} takes the precision 0 or 3, not {p}")),
    };
    let mut types = vec![own.clone()];
    types.extend(args.get(1).map(|a| a.data_type.clone()));
    if own.is_integer() && factor == 1 && args.len() == 2 {
        return direct(types, result, Direct::MapSome(instant_of_ms));
    }
    strict(types, result, move |v, _| {
        let ms = milliseconds(v[0], &own, factor);
        ms.filter(|ms| (MS_MIN..=MS_MAX).contains(ms))
            .map_or(Datum::NULL, |ms| timestamp(Moment::of_ms(ms)))
    })
}

/// What most readings carry. The second argument is the precision.
fn instant_of_ms(ms: Slot, _: Slot, is_null: &mut bool) -> Slot {
    let ms = ms.as_i64();
    *is_null = !(MS_MIN..=MS_MAX).contains(&ms);
    if *is_null { Slot::ZERO } else { Slot::timestamp(ms, 0) }
}

fn milliseconds(value: Datum, data_type: &DataType, factor: i64) -> Option<i64> {
    match as_decimal(data_type) {
        Some(_) if data_type.is_integer() => value.slot.as_i64().checked_mul(factor),
        Some(t) => decimal::to_i64(value.slot.as_i128(), t.scale).checked_mul(factor),
        None => {
            #[expect(clippy::cast_precision_loss, reason = "1 or 1000")]
            let ms = value.slot.as_f64() * factor as f64;
            #[expect(clippy::cast_possible_truncation, reason = "saturates, as in Java")]
            Some(ms as i64)
        }
    }
}

fn to_timestamp(args: &[Arg<'_>]) -> Bound {
    count("TO_TIMESTAMP", args, 1, 2)?;
    text_to_timestamp("TO_TIMESTAMP", args, DataType::Timestamp(3))
}

/// Text that does not follow the pattern is NULL.
fn text_to_timestamp(name: &str, args: &[Arg<'_>], result: DataType) -> Bound {
    let types = texts(name, args)?;
    let Some(pattern) = pattern(name, args.get(1), Dialect::DateTimeFormatter)? else {
        return strict(types, result, |v, cx| {
            parse::timestamp(cx.text(v[0].slot), 3).map_or(Datum::NULL, timestamp)
        });
    };
    strict(types, result, move |v, cx| {
        let text = cx.text(v[0].slot);
        let found = pattern.parse(text).or_else(|| parse::sql_timestamp(text));
        found.map_or(Datum::NULL, |m| timestamp(m.truncated(3)))
    })
}

fn to_date(args: &[Arg<'_>]) -> Bound {
    count("TO_DATE", args, 1, 2)?;
    let types = texts("TO_DATE", args)?;
    let Some(pattern) = pattern("TO_DATE", args.get(1), Dialect::SimpleDateFormat)? else {
        return strict(types, DataType::Date, |v, cx| {
            parse::date(cx.text(v[0].slot)).map_or(Datum::NULL, Datum::i64)
        });
    };
    strict(types, DataType::Date, move |v, cx| {
        pattern.parse(cx.text(v[0].slot)).map_or(Datum::NULL, |m| Datum::i64(m.days()))
    })
}

fn texts(name: &str, args: &[Arg<'_>]) -> Result<Vec<DataType>, String> {
    args.iter().map(|a| text(name, a)).collect()
}

/// The compiled pattern, where there is one.
fn pattern(name: &str, arg: Option<&Arg<'_>>, dialect: Dialect) -> Result<Option<Pattern>, String> {
    let Some(arg) = arg else { return Ok(None) };
    let text = constant_text(name, "its pattern", arg)?;
    Pattern::compile(text, dialect).map(Some).map_err(|e| format!("{e}"))
}

/// DATE_FORMAT(timestamp, pattern), DATE_FORMAT(date or text, pattern).
fn date_format(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "DATE_FORMAT";
    count(NAME, args, 2, 2)?;
    let pattern_type = text(NAME, &args[1])?;
    let of_text = args[0].data_type.is_text();
    let own = if of_text { args[0].data_type.clone() } else { point(NAME, &args[0], false)? };
    let dialect =
        if own.is_timestamp() { Dialect::DateTimeFormatter } else { Dialect::SimpleDateFormat };
    let show = pattern(NAME, Some(&args[1]), dialect)?.expect("there is one");
    let types = vec![own.clone(), pattern_type];
    if of_text {
        let read = default_pattern();
        return strict(types, DataType::STRING, move |v, cx| {
            match read.parse(cx.text(v[0].slot)) {
                Some(moment) => shown(&show, moment, cx),
                None => Datum::NULL,
            }
        });
    }
    if matches!(own, DataType::TimestampLtz(_)) {
        return strict(types, DataType::STRING, move |v, cx| shown(&show, local(v[0], cx), cx));
    }
    let read = moment_reader(&own);
    strict(types, DataType::STRING, move |v, cx| shown(&show, read(v[0]), cx))
}

fn shown(pattern: &Pattern, moment: Moment, cx: &mut Context) -> Datum {
    let mut out = Builder::new(cx);
    // A builder never refuses: it notes what does not fit.
    let _ = pattern.write(&mut out, moment);
    out.finish()
}

fn default_pattern() -> Pattern {
    Pattern::compile(DEFAULT_PATTERN, Dialect::SimpleDateFormat).expect("a pattern")
}

/// UNIX_TIMESTAMP(text[, pattern]): seconds; Flink's smallest BIGINT for what it cannot read.
fn unix_timestamp(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "UNIX_TIMESTAMP";
    if args.is_empty() {
        return Err(format!(
            "{NAME} without a text reads the clock: results must not depend on it"
        ));
    }
    count(NAME, args, 1, 2)?;
    let types = texts(NAME, args)?;
    let read = pattern(NAME, args.get(1), Dialect::SimpleDateFormat)?;
    let read = read.unwrap_or_else(default_pattern);
    strict(types, DataType::BigInt, move |v, cx| {
        let found = read.parse(cx.text(v[0].slot));
        // Of a time that comes twice, Java's old calendar takes the second.
        let found = found.map(|local| cx.zone.instant(local, true));
        Datum::i64(found.map_or(i64::MIN, |m| m.ms / MS_PER_SECOND))
    })
}

/// FROM_UNIXTIME(seconds[, pattern]).
fn from_unixtime(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "FROM_UNIXTIME";
    count(NAME, args, 1, 2)?;
    let mut types = vec![integer(NAME, &args[0])?];
    types.extend(args.get(1).map(|a| text(NAME, a)).transpose()?);
    let show = pattern(NAME, args.get(1), Dialect::SimpleDateFormat)?;
    let show = show.unwrap_or_else(default_pattern);
    strict(types, DataType::STRING, move |v, cx| {
        let ms = v[0].slot.as_i64().saturating_mul(MS_PER_SECOND);
        let local = cx.zone.local(Moment::of_ms(ms));
        shown(&show, local, cx)
    })
}
