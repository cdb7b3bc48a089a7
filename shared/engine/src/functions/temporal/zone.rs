//! Functions with time zones: fixed distances from UTC, and named zones, whose transitions the
//! planner has put into the argument.

use alloc::{format, string::String};

use super::super::Arg;
use super::super::sig::{Bound, constant_text, count, strict};
use super::{default_pattern, pattern, shown, texts, timestamp};
use crate::{
    calendar::{Dialect, MS_PER_HOUR, MS_PER_MINUTE, Moment, Zone, parse},
    slot::Datum,
    types::DataType,
};

/// A zone as an argument: a fixed distance, or the text that the planner makes of a named one.
enum Place {
    Fixed(i64),
    Named(Zone),
}

impl Place {
    fn of(name: &str, arg: &Arg<'_>) -> Result<Self, String> {
        let text = constant_text(name, "its time zone", arg)?;
        match Zone::parse(text) {
            Some(zone) => Ok(Self::Named(zone)),
            None => offset_ms(name, text).map(Self::Fixed),
        }
    }

    /// The point in time of a local one; see [`Zone::instant_ms`].
    fn instant(&self, local: Moment, later: bool) -> Moment {
        match self {
            Self::Fixed(ms) => shifted(local, -ms),
            Self::Named(zone) => Moment { ms: zone.instant_ms(local.ms, later), ..local },
        }
    }

    fn local(&self, instant: Moment) -> Moment {
        match self {
            Self::Fixed(ms) => shifted(instant, *ms),
            Self::Named(zone) => shifted(instant, zone.at_ms(instant.ms)),
        }
    }
}

/// `UTC`, `GMT`, `GMT+05:30`: the distance from UTC in ms.
fn offset_ms(name: &str, text: &str) -> Result<i64, String> {
    let refuse =
        || format!("{name} knows UTC and zones such as GMT+05:30 and Europe/Berlin, not '{text}'");
    if matches!(text, "UTC" | "GMT") {
        return Ok(0);
    }
    let distance = text.strip_prefix("GMT").ok_or_else(refuse)?;
    let (sign, digits) = match distance.split_at_checked(1) {
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        _ => return Err(refuse()),
    };
    let number = |digits: &str, max: i64| {
        let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|n| is_two && *n <= max)
    };
    let parts = digits.split_once(':').and_then(|(hours, minutes)| {
        Some(number(hours, 14)? * MS_PER_HOUR + number(minutes, 59)? * MS_PER_MINUTE)
    });
    parts.map(|ms| sign * ms).ok_or_else(refuse)
}

/// CONVERT_TZ(text, from, to): `yyyy-MM-dd HH:mm:ss` in another zone.
pub(super) fn convert(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "CONVERT_TZ";
    count(NAME, args, 3, 3)?;
    let types = texts(NAME, args)?;
    let (from, to) = (Place::of(NAME, &args[1])?, Place::of(NAME, &args[2])?);
    let format = default_pattern();
    strict(types, DataType::STRING, move |v, cx| match format.parse(cx.text(v[0].slot)) {
        // Of a time that comes twice, Java's old calendar takes the second.
        Some(moment) => shown(&format, to.local(from.instant(moment, true)), cx),
        None => Datum::NULL,
    })
}

/// TO_TIMESTAMP_LTZ(text, pattern, zone).
pub(super) fn text_to_instant(name: &str, args: &[Arg<'_>], result: DataType) -> Bound {
    let types = texts(name, args)?;
    let format = pattern(name, args.get(1), Dialect::DateTimeFormatter)?;
    let place = Place::of(name, &args[2])?;
    strict(types, result, move |v, cx| {
        let text = cx.text(v[0].slot);
        let found = format.as_ref().and_then(|format| format.parse(text));
        let found = found.or_else(|| parse::sql_timestamp(text));
        found.map_or(Datum::NULL, |m| timestamp(place.instant(m.truncated(3), false)))
    })
}

fn shifted(moment: Moment, ms: i64) -> Moment {
    Moment { ms: moment.ms.saturating_add(ms), ..moment }
}
