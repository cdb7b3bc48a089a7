//! Time zones, as far as they are a fixed distance from UTC: a zone database does not fit every
//! gateway, so every other zone is refused by name.

use alloc::{format, string::String};

use super::super::Arg;
use super::super::sig::{Bound, constant_text, count, strict};
use super::{default_pattern, pattern, shown, texts, timestamp};
use crate::{
    calendar::{Dialect, MS_PER_HOUR, MS_PER_MINUTE, Moment, parse},
    slot::Datum,
    types::DataType,
};

/// `UTC`, `GMT`, `GMT+05:30`: the distance from UTC in ms.
fn offset_ms(name: &str, arg: &Arg<'_>) -> Result<i64, String> {
    let text = constant_text(name, "its time zone", arg)?;
    let refuse = || {
        format!(
            "{name} knows UTC and zones such as GMT+05:30, not '{text}': there is no zone table"
        )
    };
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
    let shift = offset_ms(NAME, &args[2])? - offset_ms(NAME, &args[1])?;
    let format = default_pattern();
    strict(types, DataType::STRING, move |v, cx| match format.parse(cx.text(v[0].slot)) {
        Some(moment) => shown(&format, shifted(moment, shift), cx),
        None => Datum::NULL,
    })
}

/// TO_TIMESTAMP_LTZ(text, pattern, zone).
pub(super) fn text_to_instant(name: &str, args: &[Arg<'_>], result: DataType) -> Bound {
    let types = texts(name, args)?;
    let format = pattern(name, args.get(1), Dialect::DateTimeFormatter)?;
    let offset = offset_ms(name, &args[2])?;
    strict(types, result, move |v, cx| {
        let text = cx.text(v[0].slot);
        let found = format.as_ref().and_then(|format| format.parse(text));
        let found = found.or_else(|| parse::sql_timestamp(text));
        found.map_or(Datum::NULL, |m| timestamp(shifted(m.truncated(3), -offset)))
    })
}

fn shifted(moment: Moment, ms: i64) -> Moment {
    Moment { ms: moment.ms.saturating_add(ms), ..moment }
}
