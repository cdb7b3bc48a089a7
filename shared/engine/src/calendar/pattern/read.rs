//! Text to timestamps after a pattern.

use super::super::parse::{smart_days, smart_moment};
use super::super::{
    MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, Moment, civil_of, days_of, iso_day_of_week,
};
use super::{DAYS, Dialect, Field, Item, MONTHS, Pattern, SHORT_NAME_BYTES};

/// No date field needs more digits, and they fit `i64`.
const DIGITS_MAX: usize = 15;
/// Two-digit years of `SimpleDateFormat`: Java's window moves with the clock, this one does not.
const TWO_DIGIT_PIVOT: i64 = 45;

pub(super) fn parse(pattern: &Pattern, text: &str) -> Option<Moment> {
    let mut found = Found::default();
    let mut rest = text;
    for (i, item) in pattern.items.iter().enumerate() {
        match *item {
            Item::Literal(c) => rest = rest.strip_prefix(c)?,
            Item::Field(field, count) if field.is_text(count) => {
                let (value, after) = name(field, count, rest, pattern.dialect)?;
                found.set(field, value)?;
                rest = after;
            }
            Item::Field(field, count) => {
                let (value, after) = number(pattern, i, field, count, rest)?;
                found.set(field, value)?;
                rest = after;
            }
        }
    }
    match pattern.dialect {
        Dialect::DateTimeFormatter if rest.is_empty() => found.smart(),
        Dialect::DateTimeFormatter => None,
        Dialect::SimpleDateFormat => Some(found.lenient()),
    }
}

/// A number's value and what follows it.
fn number<'a>(
    pattern: &Pattern,
    at: usize,
    field: Field,
    count: usize,
    text: &'a str,
) -> Option<(i64, &'a str)> {
    let simple = pattern.dialect == Dialect::SimpleDateFormat;
    let (text, signed) = match text.strip_prefix('+') {
        Some(rest) if !simple && field == Field::Year && count >= 4 => (rest, true),
        _ if simple => (text.trim_start_matches([' ', '\t']), false),
        _ => (text, false),
    };
    let available = text.bytes().take_while(u8::is_ascii_digit).count();
    let next_is_number = matches!(pattern.items.get(at + 1),
        Some(Item::Field(next, n)) if !next.is_text(*n));
    let taken = if simple {
        if next_is_number { available.min(count) } else { available }
    } else if is_fixed(field, count) {
        count
    } else {
        available.checked_sub(reserved(pattern, at + 1))?
    };
    let padded = !simple && field == Field::Year && count >= 4;
    let too_few = taken == 0 || taken > available || !simple && taken < count;
    if too_few || taken > DIGITS_MAX || padded && (taken > count) != signed {
        return None;
    }
    let value: i64 = text[..taken].parse().ok()?;
    let value = match field {
        Field::Year if count == 2 && simple && taken == 2 => {
            value + if value <= TWO_DIGIT_PIVOT { 2000 } else { 1900 }
        }
        Field::Year if count == 2 && !simple => value + 2000,
        Field::Fraction if simple => value.saturating_mul(1_000_000),
        Field::Fraction => value * 10_i64.pow(u32::try_from(9 - taken).ok()?),
        _ => value,
    };
    Some((value, &text[taken..]))
}

/// Whether exactly `count` digits stand for the field in `DateTimeFormatter`.
fn is_fixed(field: Field, count: usize) -> bool {
    match field {
        Field::Year => count == 2,
        Field::Fraction => true,
        _ => count >= 2,
    }
}

/// Digits that the fixed fields directly behind need.
fn reserved(pattern: &Pattern, from: usize) -> usize {
    let mut digits = 0;
    for item in &pattern.items[from..] {
        match item {
            Item::Field(field, count) if !field.is_text(*count) && is_fixed(*field, *count) => {
                digits += count;
            }
            _ => break,
        }
    }
    digits
}

/// A name's number (from 1; AM is 0) and what follows it.
fn name(field: Field, count: usize, text: &str, dialect: Dialect) -> Option<(i64, &str)> {
    let names: &[&str] = match field {
        Field::Month => &MONTHS,
        Field::DayName => &DAYS,
        _ => &["AM", "PM"],
    };
    let first = i64::from(field != Field::HalfDay);
    let simple = dialect == Dialect::SimpleDateFormat;
    let matching = |wanted: &str| {
        let start = text.get(..wanted.len())?;
        let equal = if simple { start.eq_ignore_ascii_case(wanted) } else { start == wanted };
        equal.then(|| &text[wanted.len()..])
    };
    // SimpleDateFormat reads both forms whatever the count; the longer one first.
    for shorten in [false, true] {
        let allowed = simple || field == Field::HalfDay || shorten == (count < 4);
        for (value, name) in (first..).zip(names).filter(|_| allowed) {
            let end = if shorten { name.len().min(SHORT_NAME_BYTES) } else { name.len() };
            if let Some(rest) = matching(&name[..end]) {
                return Some((value, rest));
            }
        }
    }
    None
}

/// The fields a text had.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    day_of_week: Option<i64>,
    hour: Option<i64>,
    half_day_hour: Option<i64>,
    half_day: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: Option<i64>,
}

impl Found {
    /// None when the field was there before with another value, or cannot have this value.
    fn set(&mut self, field: Field, value: i64) -> Option<()> {
        let (slot, value) = match field {
            Field::Year => (&mut self.year, value),
            Field::Month => (&mut self.month, value),
            Field::Day => (&mut self.day, value),
            Field::DayOfYear => (&mut self.day_of_year, value),
            Field::DayName => (&mut self.day_of_week, value),
            Field::Hour => (&mut self.hour, value),
            Field::HourFromOne => (&mut self.hour, if value == 24 { 0 } else { value }),
            Field::ClockHour => (&mut self.half_day_hour, if value == 12 { 0 } else { value }),
            Field::HalfDayHour => (&mut self.half_day_hour, value),
            Field::HalfDay => (&mut self.half_day, value),
            Field::Minute => (&mut self.minute, value),
            Field::Second => (&mut self.second, value),
            Field::Fraction => (&mut self.nanos, value),
        };
        let conflict = slot.is_some_and(|old| old != value);
        *slot = Some(value);
        (!conflict).then_some(())
    }

    /// As `DateTimeFormatter` with its SMART resolver, then Flink's defaults for what is missing.
    fn smart(&self) -> Option<Moment> {
        let year = self.year.unwrap_or(1970);
        let days = match (self.day_of_year, self.year) {
            (Some(day), Some(_)) => {
                let length = days_of(year + 1, 1, 1) - days_of(year, 1, 1);
                (1..=length).contains(&day).then(|| days_of(year, 1, day))?
            }
            _ => smart_days(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let whole_date = self.year.is_some() && self.month.is_some() && self.day.is_some();
        let day_of_week = i64::from(iso_day_of_week(days));
        if whole_date && self.day_of_week.is_some_and(|found| found != day_of_week) {
            return None;
        }
        let hour = match (self.hour, self.half_day_hour, self.half_day) {
            (Some(hour), _, _) => hour,
            (None, Some(hour), Some(half)) if hour < 12 => hour + 12 * half,
            (None, Some(12..), _) => return None,
            _ => 0,
        };
        let clock = [hour, self.minute.unwrap_or(0), self.second.unwrap_or(0)];
        let moment = smart_moment(days, clock, u32::try_from(self.nanos.unwrap_or(0)).ok()?)?;
        let year = civil_of(moment.days()).year;
        (year <= 999_999_999).then_some(moment)
    }

    /// As `SimpleDateFormat`: everything carries over.
    fn lenient(&self) -> Moment {
        let year = self.year.unwrap_or(1970).min(999_999_999);
        let days = match self.day_of_year {
            Some(day) if self.month.is_none() => days_of(year, 1, day),
            _ => days_of(year, self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        let hour = self.hour.unwrap_or_else(|| {
            self.half_day_hour.unwrap_or(0).saturating_add(12 * self.half_day.unwrap_or(0))
        });
        let ms = hour
            .saturating_mul(MS_PER_HOUR)
            .saturating_add(self.minute.unwrap_or(0).saturating_mul(MS_PER_MINUTE))
            .saturating_add(self.second.unwrap_or(0).saturating_mul(MS_PER_SECOND))
            .saturating_add(self.nanos.unwrap_or(0) / 1_000_000);
        Moment::of_days(days, ms, 0)
    }
}
