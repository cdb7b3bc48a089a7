//! Time units: EXTRACT, FLOOR and CEIL, TIMESTAMPADD and TIMESTAMPDIFF.

use super::{
    MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, Moment, add_months, civil_of, days_of,
    iso_day_of_week, iso_week, months_between,
};

/// A unit of time, or a part of a date, as SQL names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are SQL's")]
pub enum TimeUnit {
    Millennium,
    Century,
    Decade,
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    DayOfYear,
    DayOfWeek,
    IsoDayOfWeek,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Epoch,
}

const NAMES: [(&str, TimeUnit); 19] = [
    ("MILLENNIUM", TimeUnit::Millennium),
    ("CENTURY", TimeUnit::Century),
    ("DECADE", TimeUnit::Decade),
    ("YEAR", TimeUnit::Year),
    ("ISOYEAR", TimeUnit::IsoYear),
    ("QUARTER", TimeUnit::Quarter),
    ("MONTH", TimeUnit::Month),
    ("WEEK", TimeUnit::Week),
    ("DAY", TimeUnit::Day),
    ("DOY", TimeUnit::DayOfYear),
    ("DOW", TimeUnit::DayOfWeek),
    ("ISODOW", TimeUnit::IsoDayOfWeek),
    ("HOUR", TimeUnit::Hour),
    ("MINUTE", TimeUnit::Minute),
    ("SECOND", TimeUnit::Second),
    ("MILLISECOND", TimeUnit::Millisecond),
    ("MICROSECOND", TimeUnit::Microsecond),
    ("NANOSECOND", TimeUnit::Nanosecond),
    ("EPOCH", TimeUnit::Epoch),
];

impl TimeUnit {
    /// The unit of that SQL name, in any case; also with `SQL_TSI_` before it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let prefix = name.get(..8).filter(|p| p.eq_ignore_ascii_case("SQL_TSI_"));
        let name = prefix.map_or(name, |p| &name[p.len()..]);
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, unit)| *unit)
    }

    /// SQL's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }

    /// Milliseconds of the unit, where it has a fixed length of at least one.
    #[must_use]
    pub const fn ms(self) -> Option<i64> {
        match self {
            Self::Week => Some(7 * MS_PER_DAY),
            Self::Day => Some(MS_PER_DAY),
            Self::Hour => Some(MS_PER_HOUR),
            Self::Minute => Some(MS_PER_MINUTE),
            Self::Second => Some(MS_PER_SECOND),
            Self::Millisecond => Some(1),
            _ => None,
        }
    }

    /// Months of the unit, where it consists of months.
    #[must_use]
    pub const fn months(self) -> Option<i64> {
        match self {
            Self::Millennium => Some(12_000),
            Self::Century => Some(1200),
            Self::Decade => Some(120),
            Self::Year => Some(12),
            Self::Quarter => Some(3),
            Self::Month => Some(1),
            _ => None,
        }
    }

    /// EXTRACT(unit FROM timestamp). Before 1970 Flink divides toward zero, and so does this.
    #[must_use]
    pub fn extract(self, moment: Moment) -> i64 {
        let ms = moment.ms;
        let nanos = i64::from(moment.nanos);
        match self {
            Self::Epoch => ms / MS_PER_SECOND,
            Self::Hour => ms % MS_PER_DAY / MS_PER_HOUR,
            Self::Minute => ms % MS_PER_HOUR / MS_PER_MINUTE,
            Self::Second => ms % MS_PER_MINUTE / MS_PER_SECOND,
            Self::Millisecond => ms % MS_PER_SECOND,
            Self::Microsecond => ms % MS_PER_SECOND * 1000 + nanos / 1000,
            Self::Nanosecond => ms % MS_PER_SECOND * 1_000_000 + nanos,
            _ => self.extract_from_date(ms / MS_PER_DAY),
        }
    }

    /// EXTRACT(unit FROM date); parts of the day are 0.
    #[must_use]
    pub fn extract_from_date(self, days: i64) -> i64 {
        let civil = civil_of(days);
        let month = i64::from(civil.month);
        match self {
            Self::Epoch => days.saturating_mul(86_400),
            Self::Millennium => grouped(civil.year, 1000),
            Self::Century => grouped(civil.year, 100),
            Self::Decade => civil.year / 10,
            Self::Year => civil.year,
            Self::IsoYear => iso_week(days).0,
            Self::Quarter => (month + 2) / 3,
            Self::Month => month,
            Self::Week => iso_week(days).1,
            Self::Day => i64::from(civil.day),
            Self::DayOfYear => days - days_of(civil.year, 1, 1) + 1,
            Self::DayOfWeek => i64::from(iso_day_of_week(days)) % 7 + 1,
            Self::IsoDayOfWeek => i64::from(iso_day_of_week(days)),
            _ => 0,
        }
    }

    /// EXTRACT(unit FROM time), a part of the day.
    #[must_use]
    pub fn extract_from_time(self, ms_of_day: i64) -> i64 {
        match self {
            Self::Epoch => ms_of_day / MS_PER_SECOND,
            Self::Hour
            | Self::Minute
            | Self::Second
            | Self::Millisecond
            | Self::Microsecond
            | Self::Nanosecond => self.extract(Moment::of_ms(ms_of_day)),
            _ => 0,
        }
    }

    /// FLOOR(timestamp TO unit); None for a unit that cannot be rounded to.
    #[must_use]
    pub fn floor(self, moment: Moment) -> Option<Moment> {
        match self {
            Self::Day | Self::Hour | Self::Minute | Self::Second | Self::Millisecond => {
                let unit = self.ms()?;
                Some(Moment::of_ms(moment.ms - moment.ms.rem_euclid(unit)))
            }
            _ => {
                let day = self.floor_date(moment.ms / MS_PER_DAY)?;
                Some(Moment::of_days(day, 0, 0))
            }
        }
    }

    /// CEIL(timestamp TO unit). For months and longer Flink looks at the date only: the first of a
    /// month stays, whatever its time.
    #[must_use]
    pub fn ceil(self, moment: Moment) -> Option<Moment> {
        match self {
            Self::Day | Self::Hour | Self::Minute | Self::Second | Self::Millisecond => {
                let unit = self.ms()?;
                let up = match unit {
                    // What is finer than a millisecond counts for it alone.
                    1 => i64::from(moment.nanos > 0),
                    _ => (unit - moment.ms.rem_euclid(unit)) % unit,
                };
                Some(Moment::of_ms(moment.ms.saturating_add(up)))
            }
            _ => {
                let day = self.ceil_date(moment.ms / MS_PER_DAY)?;
                Some(Moment::of_days(day, 0, 0))
            }
        }
    }

    /// FLOOR(date TO unit), in days; parts of a day change nothing.
    #[must_use]
    pub fn floor_date(self, days: i64) -> Option<i64> {
        let civil = civil_of(days);
        let month = i64::from(civil.month);
        Some(match self {
            Self::Millennium => days_of(1000 * ((civil.year + 999) / 1000) - 999, 1, 1),
            Self::Century => days_of(100 * ((civil.year + 99) / 100) - 99, 1, 1),
            Self::Decade => days_of(10 * (civil.year / 10), 1, 1),
            Self::Year => days_of(civil.year, 1, 1),
            Self::Quarter => days_of(civil.year, (month - 1) / 3 * 3 + 1, 1),
            Self::Month => days_of(civil.year, month, 1),
            // Flink's weeks begin on Sunday here.
            Self::Week => days - i64::from(iso_day_of_week(days)) % 7,
            Self::Day | Self::Hour | Self::Minute | Self::Second | Self::Millisecond => days,
            _ => return None,
        })
    }

    /// CEIL(date TO unit), in days. As in Flink, a day, a decade, a century and a millennium always
    /// end after the day, and a quarter goes up on any day but the first of January.
    #[must_use]
    pub fn ceil_date(self, days: i64) -> Option<i64> {
        let civil = civil_of(days);
        let month = i64::from(civil.month);
        let is_new_year = civil.month == 1 && civil.day == 1;
        Some(match self {
            Self::Millennium => days_of(1000 * ((civil.year + 999) / 1000) + 1, 1, 1),
            Self::Century => days_of(100 * ((civil.year + 99) / 100) + 1, 1, 1),
            Self::Decade => days_of(10 * (1 + civil.year / 10), 1, 1),
            Self::Year => days_of(civil.year + i64::from(!is_new_year), 1, 1),
            Self::Quarter => {
                days_of(civil.year, ((month - 1) / 3 + i64::from(!is_new_year)) * 3 + 1, 1)
            }
            Self::Month => days_of(civil.year, month + i64::from(civil.day > 1), 1),
            Self::Week => days + (7 - i64::from(iso_day_of_week(days)) % 7) % 7,
            Self::Day => days + 1,
            Self::Hour | Self::Minute | Self::Second | Self::Millisecond => days,
            _ => return None,
        })
    }

    /// TIMESTAMPADD(unit, count, timestamp).
    #[must_use]
    pub fn add(self, count: i64, moment: Moment) -> Option<Moment> {
        match (self.months(), self.ms()) {
            (Some(months), _) => Some(moment.plus_months(count.saturating_mul(months))),
            (None, Some(ms)) => Some(moment.plus_ms(count.wrapping_mul(ms))),
            (None, None) => None,
        }
    }

    /// TIMESTAMPADD(unit, count, date) for units of at least a day, in days.
    #[must_use]
    pub fn add_to_date(self, count: i64, days: i64) -> Option<i64> {
        match (self.months(), self.ms()) {
            (Some(months), _) => Some(add_months(days, count.saturating_mul(months))),
            (None, Some(ms)) if ms >= MS_PER_DAY => {
                Some(days.saturating_add(count.saturating_mul(ms / MS_PER_DAY)))
            }
            _ => None,
        }
    }

    /// TIMESTAMPDIFF(unit, from, to): whole units, toward zero.
    #[must_use]
    pub fn between(self, from: Moment, to: Moment) -> Option<i64> {
        match (self.months(), self.ms()) {
            (Some(months), _) => Some(months_between(to, from) / months),
            // Flink counts whole seconds and multiplies.
            (None, Some(ms)) if ms < MS_PER_SECOND => {
                let seconds = to.ms.saturating_sub(from.ms) / MS_PER_SECOND;
                Some(seconds * (MS_PER_SECOND / ms))
            }
            (None, Some(ms)) => Some(to.ms.saturating_sub(from.ms) / ms),
            (None, None) => None,
        }
    }
}

/// Which group of years (1–100 is the first century); there is no group 0.
const fn grouped(year: i64, size: i64) -> i64 {
    if year > 0 { (year + size - 1) / size } else { (year - size + 1) / size }
}
