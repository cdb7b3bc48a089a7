//! Text to dates, times and timestamps: what CAST and TO_TIMESTAMP accept, and what Flink's JSON
//! format accepts. None for anything else.

use super::text::TimestampStandard;
use super::{MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, Moment, days_of, last_day};

/// CAST(text AS DATE), TO_DATE(text): `2022-01-03`, `2022-1-3`, `2022-01`, `2022`; anything after
/// a blank is ignored. Days since 1970-01-01.
#[must_use]
pub fn date(text: &str) -> Option<i64> {
    let text = match text.find(' ') {
        Some(at) if at > 0 => &text[..at],
        _ => text,
    };
    let mut parts = text.splitn(3, '-');
    let year = integer(parts.next()?)?;
    let month = parts.next().map_or(Some(1), integer)?;
    let day = parts.next().map_or(Some(1), integer)?;
    let is_date = year <= 9999
        && (1..=12).contains(&month)
        && day >= 1
        && day <= i64::from(last_day(year, u8::try_from(month).ok()?));
    is_date.then(|| days_of(year, month, day))
}

/// CAST(text AS TIME): `12:34:56.789`, `12:34`, `12`, with an offset as `+01:00` or `-1` after it.
/// Milliseconds of the day; the offset is added, as in Flink.
#[must_use]
pub fn time(text: &str) -> Option<i64> {
    let zone = text.find('-').or_else(|| text.find('+'));
    let sign = if zone.is_some_and(|at| text.as_bytes()[at] == b'-') { -1 } else { 1 };
    let (clock, offset) = match zone {
        None => (text, 0),
        Some(at) => {
            let mut parts = text[at + 1..].splitn(2, ':');
            let hours = integer(parts.next()?)?;
            let minutes = parts.next().map_or(Some(0), integer)?;
            (&text[..at], hours * MS_PER_HOUR + minutes * MS_PER_MINUTE)
        }
    };
    let mut parts = clock.splitn(3, ':');
    let hours = integer(parts.next()?)?;
    let minutes = parts.next().map_or(Some(0), integer)?;
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(rest) => match rest.split_once('.') {
            None => (integer(rest)?, 0),
            Some((seconds, fraction)) => (integer(seconds)?, milliseconds(fraction.trim())),
        },
    };
    let ms = hours * MS_PER_HOUR + minutes * MS_PER_MINUTE + seconds * MS_PER_SECOND + fraction;
    let ms = ms + sign * offset;
    (0..MS_PER_DAY).contains(&ms).then_some(ms)
}

/// CAST(text AS TIMESTAMP(precision)), TO_TIMESTAMP(text) with precision 3: `2022-01-03`,
/// `2022-1-3 4:5:6.789`.
#[must_use]
pub fn timestamp(text: &str, precision: u8) -> Option<Moment> {
    let mut input = Input::new(text);
    let (year, month) = (input.year()?, input.after(b'-')?.one_or_two()?);
    let day = input.after(b'-')?.one_or_two()?;
    let days = smart_days(year, month, day)?;
    if input.is_empty() {
        return Some(Moment::of_days(days, 0, 0));
    }
    let hours = input.after(b' ')?.one_or_two()?;
    let minutes = input.after(b':')?.one_or_two()?;
    let seconds = input.after(b':')?.one_or_two()?;
    let nanos = input.optional_fraction()?;
    let moment = smart_moment(days, [hours, minutes, seconds], nanos)?;
    input.is_empty().then(|| moment.truncated(precision))
}

/// `java.sql.Timestamp.valueOf` and `java.sql.Date.valueOf`, which TO_TIMESTAMP falls back to:
/// `1999-9-10` or `1999-9-10 5:20:10.5`. Days and times beyond their range carry over.
#[must_use]
pub fn sql_timestamp(text: &str) -> Option<Moment> {
    let text = text.trim();
    let (date, clock) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = date.splitn(3, '-');
    let mut part = || parts.next().filter(|p| !p.contains(char::is_whitespace));
    let (year, month, day) = (part()?, part()?, part()?);
    if year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    let (year, month, day) = (integer(year)?, integer(month)?, integer(day)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_of(year, month, day);
    if !text.contains(' ') {
        return Some(Moment::of_days(days, 0, 0));
    }
    let (clock, fraction) = clock.trim_start().split_once('.').unwrap_or((clock.trim_start(), "0"));
    let digits = !fraction.is_empty() && fraction.len() <= 9;
    if !digits || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let missing = u32::try_from(9 - fraction.len()).ok()?;
    let nanos = fraction.parse::<u32>().ok()? * 10_u32.pow(missing);
    let mut parts = clock.splitn(3, ':').map(integer);
    let mut part = || parts.next().flatten();
    let (hours, minutes, seconds) = (part()?, part()?, part()?);
    let ms = hours * MS_PER_HOUR + minutes * MS_PER_MINUTE + seconds * MS_PER_SECOND;
    Some(with_nanos(days, ms, nanos))
}

/// A DATE in JSON: `2022-01-03`. Days since 1970-01-01.
#[must_use]
pub fn json_date(text: &str) -> Option<i64> {
    let mut input = Input::new(text);
    let days = input.iso_day(false)?;
    input.is_empty().then_some(days)
}

/// A TIME in JSON: `04:05:06.789`. Milliseconds of the day: Flink keeps whole seconds only.
#[must_use]
pub fn json_time(text: &str) -> Option<i64> {
    // The end of a day is the begin of the next one, as in Java.
    if text == "24:00:00" {
        return Some(0);
    }
    let mut input = Input::new(text);
    let (ms_of_day, _) = input.iso_clock(false, false)?;
    input.is_empty().then_some(ms_of_day)
}

/// A TIMESTAMP in JSON, or with `local_zone` a TIMESTAMP_LTZ, which ends in `Z`.
#[must_use]
pub fn json_timestamp(text: &str, local_zone: bool, standard: TimestampStandard) -> Option<Moment> {
    let mut input = Input::new(text);
    let iso = standard == TimestampStandard::Iso8601;
    // Java resolves its own ISO_LOCAL_DATE_TIME strictly, and what Flink builds from it smartly.
    let smart = local_zone || !iso;
    let days = input.iso_day(smart)?;
    match input.peek() {
        Some(b't') if iso => input.after(b't')?,
        _ if iso => input.after(b'T')?,
        _ => input.after(b' ')?,
    };
    let (ms_of_day, nanos) = input.iso_clock(iso, smart)?;
    if local_zone {
        input.after(b'Z')?;
    }
    let moment = with_nanos(days, ms_of_day, nanos);
    input.is_empty().then_some(moment)
}

/// A day with Java's SMART rule: the 31st of a shorter month is its last day.
pub(super) fn smart_days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year == 0 {
        return None;
    }
    let last = last_day(year, u8::try_from(month).expect("1 to 12"));
    Some(days_of(year, month, day.min(i64::from(last))))
}

/// A day and a clock with Java's SMART rule: 24:00:00 is midnight of the next day.
pub(super) fn smart_moment(days: i64, clock: [i64; 3], nanos: u32) -> Option<Moment> {
    let [hours, minutes, seconds] = clock;
    let end_of_day = clock == [24, 0, 0] && nanos == 0;
    if hours > 23 && !end_of_day || minutes > 59 || seconds > 59 {
        return None;
    }
    let ms = hours * MS_PER_HOUR + minutes * MS_PER_MINUTE + seconds * MS_PER_SECOND;
    Some(with_nanos(days, ms, nanos))
}

fn with_nanos(days: i64, ms_of_day: i64, nanos: u32) -> Moment {
    Moment::of_days(days, ms_of_day + i64::from(nanos / 1_000_000), nanos % 1_000_000)
}

/// Digits only, with blanks around; at most nine digits.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The first three digits, rounded by the fourth, as Flink reads a TIME's fraction.
fn milliseconds(text: &str) -> i64 {
    let digit = |i: usize| text.as_bytes().get(i).map_or(0, |b| digit_or_zero(*b));
    let rounded_up = text.as_bytes().get(3).is_some_and(|b| *b >= b'5');
    digit(0) * 100 + digit(1) * 10 + digit(2) + i64::from(rounded_up)
}

fn digit_or_zero(byte: u8) -> i64 {
    if byte.is_ascii_digit() { i64::from(byte - b'0') } else { 0 }
}

/// What is left of the text.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    const fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes() }
    }

    const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Steps over the byte that must come next.
    fn after(&mut self, byte: u8) -> Option<&mut Self> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(self)
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            value = value * 10 + i64::from(digit.checked_sub(b'0').filter(|d| *d <= 9)?);
        }
        self.rest = rest;
        Some(value)
    }

    fn one_or_two(&mut self) -> Option<i64> {
        self.digits(2).or_else(|| self.digits(1))
    }

    /// Four digits, or with a plus sign up to nine.
    fn year(&mut self) -> Option<i64> {
        if self.peek() == Some(b'+') {
            self.rest = &self.rest[1..];
            let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
            return (5..=9).contains(&count).then(|| self.digits(count)).flatten();
        }
        self.digits(4)
    }

    /// Nothing, or a point and up to nine digits, in nanoseconds.
    fn optional_fraction(&mut self) -> Option<u32> {
        if self.peek() != Some(b'.') {
            return Some(0);
        }
        self.rest = &self.rest[1..];
        let count = self.rest.iter().take(9).take_while(|b| b.is_ascii_digit()).count();
        let digits = u32::try_from(self.digits(count)?).ok()?;
        Some(digits * 10_u32.pow(u32::try_from(9 - count).ok()?))
    }

    /// `yyyy-MM-dd`; a day that does not exist is the month's last one when `smart`, else an error.
    fn iso_day(&mut self, smart: bool) -> Option<i64> {
        let negative = self.peek() == Some(b'-');
        if negative {
            self.rest = &self.rest[1..];
        }
        let year = self.year()?;
        let year = if negative { -year } else { year };
        let month = self.after(b'-')?.digits(2)?;
        let day = self.after(b'-')?.digits(2)?;
        let last = last_day(year, u8::try_from(month).ok().filter(|m| (1..=12).contains(m))?);
        let max = if smart { 31 } else { i64::from(last) };
        (1..=max).contains(&day).then(|| days_of(year, month, day.min(i64::from(last))))
    }

    /// `HH:mm:ss` and a fraction; ISO-8601 lets the seconds away. Milliseconds and nanoseconds.
    fn iso_clock(&mut self, iso: bool, smart: bool) -> Option<(i64, u32)> {
        let hours = self.digits(2)?;
        let minutes = self.after(b':')?.digits(2)?;
        let without = iso && self.peek() != Some(b':');
        let (seconds, nanos) = if without {
            (0, 0)
        } else {
            (self.after(b':')?.digits(2)?, self.optional_fraction()?)
        };
        let end_of_day = smart && (hours, minutes, seconds, nanos) == (24, 0, 0, 0);
        let valid = (hours < 24 || end_of_day) && minutes < 60 && seconds < 60;
        let ms = hours * MS_PER_HOUR + minutes * MS_PER_MINUTE + seconds * MS_PER_SECOND;
        valid.then_some((ms, nanos))
    }
}
