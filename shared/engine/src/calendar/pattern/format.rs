//! Timestamps to text after a pattern.

use core::fmt::{self, Write};

use super::super::{
    Civil, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, Moment, civil_of, days_of, iso_day_of_week,
};
use super::{DAYS, Dialect, Field, Item, MONTHS, Pattern, SHORT_NAME_BYTES};

pub(super) fn write(
    pattern: &Pattern,
    out: &mut (impl Write + ?Sized),
    moment: Moment,
) -> fmt::Result {
    let parts = Parts { civil: civil_of(moment.days()), moment, dialect: pattern.dialect };
    for item in &pattern.items {
        match *item {
            Item::Literal(c) => out.write_char(c)?,
            Item::Field(field, count) => parts.write(out, field, count)?,
        }
    }
    Ok(())
}

struct Parts {
    civil: Civil,
    moment: Moment,
    dialect: Dialect,
}

impl Parts {
    fn write(&self, out: &mut (impl Write + ?Sized), field: Field, count: usize) -> fmt::Result {
        let ms = self.moment.ms_of_day();
        let hour = ms / MS_PER_HOUR;
        let number = match field {
            Field::Year => return self.write_year(out, count),
            Field::Month if count >= 3 => {
                return write_name(out, MONTHS[usize::from(self.civil.month) - 1], count);
            }
            Field::DayName => {
                let day = usize::from(iso_day_of_week(self.moment.days()));
                return write_name(out, DAYS[day - 1], count);
            }
            Field::HalfDay => return out.write_str(if hour < 12 { "AM" } else { "PM" }),
            Field::Fraction if self.dialect == Dialect::DateTimeFormatter => {
                let divisor = 10_u32.pow(u32::try_from(9 - count).unwrap_or(0));
                return write!(out, "{:0count$}", self.moment.nanos_of_second() / divisor);
            }
            Field::Fraction => ms % MS_PER_SECOND,
            Field::Month => i64::from(self.civil.month),
            Field::Day => i64::from(self.civil.day),
            Field::DayOfYear => self.moment.days() - days_of(self.civil.year, 1, 1) + 1,
            Field::Hour => hour,
            Field::HourFromOne => (hour + 23) % 24 + 1,
            Field::ClockHour => (hour + 11) % 12 + 1,
            Field::HalfDayHour => hour % 12,
            Field::Minute => ms % MS_PER_HOUR / MS_PER_MINUTE,
            Field::Second => ms % MS_PER_MINUTE / MS_PER_SECOND,
        };
        write!(out, "{number:0count$}")
    }

    fn write_year(&self, out: &mut (impl Write + ?Sized), count: usize) -> fmt::Result {
        // The year of the era: 1 BC is year 0 of the calendar and 1 of its era.
        let year = if self.civil.year > 0 { self.civil.year } else { 1 - self.civil.year };
        if count == 2 {
            return write!(out, "{:02}", year % 100);
        }
        let exceeds = count >= 4 && self.dialect == Dialect::DateTimeFormatter;
        if exceeds && u32::try_from(count).is_ok_and(|n| year >= 10_i64.saturating_pow(n)) {
            out.write_char('+')?;
        }
        write!(out, "{year:0count$}")
    }
}

fn write_name(out: &mut (impl Write + ?Sized), name: &str, count: usize) -> fmt::Result {
    out.write_str(if count >= 4 { name } else { &name[..SHORT_NAME_BYTES] })
}
