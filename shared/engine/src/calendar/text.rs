//! Dates, times and timestamps to text: as CAST writes them, and as Flink's JSON format does.

use core::fmt::{self, Write};

use super::{MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, Moment, civil_of};

/// Flink's option `json.timestamp-format.standard`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampStandard {
    /// `2022-01-01 00:00:00.25`
    #[default]
    Sql,
    /// `2022-01-01T00:00:00.25`
    Iso8601,
}

/// CAST(date AS STRING): `2022-01-01`; years beyond four digits keep their last four, as in Flink.
///
/// # Errors
/// Those of `out`.
pub fn write_date(out: &mut (impl Write + ?Sized), days: i64) -> fmt::Result {
    let civil = civil_of(days);
    write_day(out, civil.year.rem_euclid(10_000), civil.month, civil.day)
}

/// CAST(TIME(precision) AS STRING): with a precision at least one fraction digit, no further zeros.
///
/// # Errors
/// Those of `out`.
pub fn write_time(out: &mut (impl Write + ?Sized), ms_of_day: i64, precision: u8) -> fmt::Result {
    write_clock(out, ms_of_day)?;
    if precision > 0 {
        let ms = ms_of_day.rem_euclid(MS_PER_SECOND) * 1_000_000;
        let mut digits = [b'0'; 9];
        let digits = fraction(u32::try_from(ms).expect("below 10^9"), 1, &mut digits);
        let kept = digits.len().min(usize::from(precision.min(3)));
        out.write_char('.')?;
        return out.write_str(&digits[..kept]);
    }
    Ok(())
}

/// CAST(TIMESTAMP(precision) AS STRING): at least `precision` fraction digits.
///
/// # Errors
/// Those of `out`.
pub fn write_timestamp(
    out: &mut (impl Write + ?Sized),
    moment: Moment,
    precision: u8,
) -> fmt::Result {
    write_date(out, moment.days())?;
    out.write_char(' ')?;
    write_clock(out, moment.ms_of_day())?;
    write_fraction(out, moment.nanos_of_second(), usize::from(precision.min(9)))
}

/// A date as the JSON format writes it.
///
/// # Errors
/// Those of `out`.
pub fn write_json_date(out: &mut (impl Write + ?Sized), days: i64) -> fmt::Result {
    let civil = civil_of(days);
    match civil.year {
        0..=9999 => {}
        10_000.. => out.write_char('+')?,
        _ => out.write_char('-')?,
    }
    write_day(out, civil.year.saturating_abs(), civil.month, civil.day)
}

/// A time as the JSON format writes it: a fraction only where it is not zero.
///
/// # Errors
/// Those of `out`.
pub fn write_json_time(out: &mut (impl Write + ?Sized), ms_of_day: i64) -> fmt::Result {
    write_clock(out, ms_of_day)?;
    write_fraction(out, Moment::of_ms(ms_of_day).nanos_of_second(), 0)
}

/// A TIMESTAMP as the JSON format writes it, or with `local_zone` a TIMESTAMP_LTZ, ending in `Z`.
///
/// # Errors
/// Those of `out`.
pub fn write_json_timestamp(
    out: &mut (impl Write + ?Sized),
    moment: Moment,
    local_zone: bool,
    standard: TimestampStandard,
) -> fmt::Result {
    write_json_date(out, moment.days())?;
    out.write_char(match standard {
        TimestampStandard::Sql => ' ',
        TimestampStandard::Iso8601 => 'T',
    })?;
    write_clock(out, moment.ms_of_day())?;
    write_fraction(out, moment.nanos_of_second(), 0)?;
    if local_zone { out.write_char('Z') } else { Ok(()) }
}

/// CAST(interval AS STRING) of days to seconds: `+1 02:03:04.005`.
///
/// # Errors
/// Those of `out`.
pub fn write_interval_day(out: &mut (impl Write + ?Sized), ms: i64) -> fmt::Result {
    let sign = if ms < 0 { '-' } else { '+' };
    let ms = ms.unsigned_abs();
    let (seconds, minutes, hours) = (ms / 1000, ms / 60_000, ms / 3_600_000);
    write!(
        out,
        "{sign}{} {:02}:{:02}:{:02}.{:03}",
        hours / 24,
        hours % 24,
        minutes % 60,
        seconds % 60,
        ms % 1000
    )
}

/// CAST(interval AS STRING) of years to months: `+1-02`.
///
/// # Errors
/// Those of `out`.
pub fn write_interval_month(out: &mut (impl Write + ?Sized), months: i64) -> fmt::Result {
    let sign = if months < 0 { '-' } else { '+' };
    let months = months.unsigned_abs();
    write!(out, "{sign}{}-{:02}", months / 12, months % 12)
}

fn write_day(out: &mut (impl Write + ?Sized), year: i64, month: u8, day: u8) -> fmt::Result {
    if year > 9999 {
        return write!(out, "{year}-{month:02}-{day:02}");
    }
    let year = u16::try_from(year).expect("four digits");
    let (century, of_century) = (year / 100, year % 100);
    let mut text = *b"0000-00-00";
    two_digits(&mut text[0..2], i64::from(century));
    two_digits(&mut text[2..4], i64::from(of_century));
    two_digits(&mut text[5..7], i64::from(month));
    two_digits(&mut text[8..10], i64::from(day));
    out.write_str(ascii(&text))
}

/// `HH:mm:ss`
pub(super) fn write_clock(out: &mut (impl Write + ?Sized), ms_of_day: i64) -> fmt::Result {
    let ms = ms_of_day.rem_euclid(super::MS_PER_DAY);
    let mut text = *b"00:00:00";
    two_digits(&mut text[0..2], ms / MS_PER_HOUR);
    two_digits(&mut text[3..5], ms % MS_PER_HOUR / MS_PER_MINUTE);
    two_digits(&mut text[6..8], ms % MS_PER_MINUTE / MS_PER_SECOND);
    out.write_str(ascii(&text))
}

fn write_fraction(out: &mut (impl Write + ?Sized), nanos: u32, digits_min: usize) -> fmt::Result {
    let mut digits = [b'0'; 9];
    let digits = fraction(nanos, digits_min, &mut digits);
    if digits.is_empty() {
        return Ok(());
    }
    out.write_char('.')?;
    out.write_str(digits)
}

/// Nine digits without the zeros at the end, but at least `digits_min`.
fn fraction(nanos: u32, digits_min: usize, digits: &mut [u8; 9]) -> &str {
    let mut rest = nanos;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("one digit");
        rest /= 10;
    }
    let used = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    ascii(&digits[..used.max(digits_min)])
}

fn two_digits(text: &mut [u8], x: i64) {
    let x = u8::try_from(x).unwrap_or(0);
    text[0] = b'0' + x / 10 % 10;
    text[1] = b'0' + x % 10;
}

fn ascii(text: &[u8]) -> &str {
    core::str::from_utf8(text).expect("ASCII")
}
