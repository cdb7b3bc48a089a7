//! Dates, times and timestamps as Flink computes them: proleptic Gregorian, no leap seconds.
//!
//! A DATE is days since 1970-01-01, a TIME milliseconds of the day, a TIMESTAMP a [`Moment`]. The
//! session zone is UTC, so TIMESTAMP and TIMESTAMP_LTZ hold the same numbers and differ in text
//! only. Where Flink has a quirk that shows in answers (before 1970 EXTRACT divides toward zero),
//! this has it too.
//!
//! No function here panics or reads a clock; arithmetic beyond i64 milliseconds saturates.

pub use pattern::{Dialect, Pattern, PatternError};
pub use place::Place;
pub use unit::TimeUnit;
pub use zone::Zone;

pub mod parse;
pub mod text;

mod pattern;
mod place;
#[cfg(test)]
mod tests;
mod unit;
mod zone;

/// Milliseconds in a second.
pub const MS_PER_SECOND: i64 = 1000;
/// Milliseconds in a minute.
pub const MS_PER_MINUTE: i64 = 60_000;
/// Milliseconds in an hour.
pub const MS_PER_HOUR: i64 = 3_600_000;
/// Milliseconds in a day.
pub const MS_PER_DAY: i64 = 86_400_000;

/// '0000-01-01 00:00:00.000'; Flink's TO_TIMESTAMP_LTZ gives NULL before it.
pub const MS_MIN: i64 = -62_167_219_200_000;
/// '9999-12-31 23:59:59.999'; Flink's TO_TIMESTAMP_LTZ gives NULL after it.
pub const MS_MAX: i64 = 253_402_300_799_999;

/// A point in time: Flink's TimestampData.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Milliseconds since 1970-01-01 00:00:00.
    pub ms: i64,
    /// Nanoseconds within the millisecond, 0–999,999.
    pub nanos: u32,
}

impl Moment {
    /// A whole number of milliseconds.
    #[must_use]
    pub const fn of_ms(ms: i64) -> Self {
        Self { ms, nanos: 0 }
    }

    /// From a day, milliseconds of the day and nanoseconds of the second's fraction beyond them.
    #[must_use]
    pub const fn of_days(days: i64, ms_of_day: i64, nanos: u32) -> Self {
        Self { ms: days.saturating_mul(MS_PER_DAY).saturating_add(ms_of_day), nanos }
    }

    /// The day, rounding down.
    #[must_use]
    pub const fn days(self) -> i64 {
        self.ms.div_euclid(MS_PER_DAY)
    }

    /// Milliseconds since midnight, 0–86,399,999.
    #[must_use]
    pub const fn ms_of_day(self) -> i64 {
        self.ms.rem_euclid(MS_PER_DAY)
    }

    /// Nanoseconds within the second, 0–999,999,999.
    #[must_use]
    pub fn nanos_of_second(self) -> u32 {
        let ms = u32::try_from(self.ms.rem_euclid(MS_PER_SECOND)).expect("below 1000");
        ms * 1_000_000 + self.nanos
    }

    /// Cut to `precision` fraction digits (0–9).
    #[must_use]
    pub fn truncated(self, precision: u8) -> Self {
        if precision >= 3 {
            let unit = 10_u32.pow(u32::from(9 - precision.min(9)));
            return Self { nanos: self.nanos - self.nanos % unit, ..self };
        }
        let unit = 10_i64.pow(u32::from(3 - precision));
        Self::of_ms(self.ms - self.ms.rem_euclid(unit))
    }

    /// Moved by milliseconds.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self { ms: self.ms.saturating_add(ms), ..self }
    }

    /// Moved by months; the day is cut to the month's last one.
    #[must_use]
    pub fn plus_months(self, months: i64) -> Self {
        let ms_of_day = self.ms_of_day();
        Self::of_days(add_months(self.days(), months), ms_of_day, self.nanos)
    }
}

/// A calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year; 0 is 1 BC.
    pub year: i64,
    /// Month, 1–12.
    pub month: u8,
    /// Day of the month, 1–31.
    pub day: u8,
}

/// Days since 1970-01-01 of a calendar day. Months and days beyond their range carry over.
#[must_use]
pub const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let months = month - 1;
    let year = year.saturating_add(months.div_euclid(12));
    let month = months.rem_euclid(12);
    // Years that begin in March: the leap day is the last one.
    let year = if month < 2 { year - 1 } else { year };
    let month = (month + 10) % 12;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.saturating_mul(146_097).saturating_add(day_of_era - 719_468)
}

/// The calendar day of days since 1970-01-01.
#[must_use]
pub fn civil_of(days: i64) -> Civil {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let small = |x: i64| u8::try_from(x).expect("months and days are small");
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month: small(month),
        day: small(day),
    }
}

/// Whether the year has a 29th of February.
#[must_use]
pub const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The last day of a month (1–12).
#[must_use]
pub const fn last_day(year: i64, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A day moved by months; cut to the month's last day.
#[must_use]
pub fn add_months(days: i64, months: i64) -> i64 {
    let from = civil_of(days);
    let total = (i64::from(from.month) - 1).saturating_add(months);
    let year = from.year.saturating_add(total.div_euclid(12));
    let month = total.rem_euclid(12) + 1;
    let last = last_day(year, u8::try_from(month).expect("1 to 12"));
    days_of(year, month, i64::from(from.day.min(last)))
}

/// Whole months from `earlier` to `later`; negative when they are the other way round.
#[must_use]
pub fn months_between(later: Moment, earlier: Moment) -> i64 {
    if later.days() < earlier.days() {
        return -months_between(earlier, later);
    }
    let (a, b) = (civil_of(later.days()), civil_of(earlier.days()));
    let estimate = (a.year - b.year) * 12 + i64::from(a.month) - i64::from(b.month);
    let mut months = estimate;
    while add_months(earlier.days(), months) > later.days() {
        months -= 1;
    }
    let same_day = add_months(earlier.days(), months) == later.days();
    months - i64::from(same_day && later.ms_of_day() < earlier.ms_of_day())
}

/// Day of the week, Monday = 1 … Sunday = 7.
#[must_use]
pub fn iso_day_of_week(days: i64) -> u8 {
    u8::try_from((days.saturating_add(3)).rem_euclid(7) + 1).expect("1 to 7")
}

/// ISO 8601: the year the week belongs to, and its number, 1–53.
#[must_use]
pub fn iso_week(days: i64) -> (i64, i64) {
    // The week belongs to the year of its Thursday.
    let thursday = days.saturating_add(4 - i64::from(iso_day_of_week(days)));
    let year = civil_of(thursday).year;
    (year, (thursday - days_of(year, 1, 1)) / 7 + 1)
}
