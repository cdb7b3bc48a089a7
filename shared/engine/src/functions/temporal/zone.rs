//! Functions with time zones: fixed distances from UTC, and named zones, whose transitions the
//! planner has put into the argument.

use alloc::{format, string::String};

use super::super::Arg;
use super::super::sig::{Bound, constant_text, count, strict};
use super::{default_pattern, pattern, shown, texts, timestamp};
use crate::{
    calendar::{Dialect, Place, parse},
    slot::Datum,
    types::DataType,
};

/// A zone as an argument: a distance, or the text that the planner makes of a named one.
fn place(name: &str, arg: &Arg<'_>) -> Result<Place, String> {
    let text = constant_text(name, "its time zone", arg)?;
    Place::parse(text).ok_or_else(|| {
        format!("{name} knows UTC and zones such as GMT+05:30 and Europe/Berlin, not '{text}'")
    })
}

/// CONVERT_TZ(text, from, to): `yyyy-MM-dd HH:mm:ss` in another zone.
pub(super) fn convert(args: &[Arg<'_>]) -> Bound {
    const NAME: &str = "CONVERT_TZ";
    count(NAME, args, 3, 3)?;
    let types = texts(NAME, args)?;
    let (from, to) = (place(NAME, &args[1])?, place(NAME, &args[2])?);
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
    let zone = place(name, &args[2])?;
    strict(types, result, move |v, cx| {
        let text = cx.text(v[0].slot);
        let found = format.as_ref().and_then(|format| format.parse(text));
        let found = found.or_else(|| parse::sql_timestamp(text));
        found.map_or(Datum::NULL, |m| timestamp(zone.instant(m.truncated(3), false)))
    })
}
