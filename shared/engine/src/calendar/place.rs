//! A zone in which points in time are shown and read: a fixed distance from UTC, or a named zone
//! with its transitions.

use super::{MS_PER_HOUR, MS_PER_MINUTE, Moment, Zone};

/// A zone; by default UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A distance from UTC, in ms.
    Fixed(i64),
    /// A named zone.
    Named(Zone),
}

impl Default for Place {
    fn default() -> Self {
        Place::Fixed(0)
    }
}

impl Place {
    /// Reads `UTC`, `GMT`, `GMT+05:30` or the text that the planner makes of a named zone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match Zone::parse(text) {
            Some(zone) => Some(Place::Named(zone)),
            None => offset_ms(text).map(Place::Fixed),
        }
    }

    /// The point in time of a local one; see [`Zone::instant_ms`].
    #[must_use]
    pub fn instant(&self, local: Moment, later: bool) -> Moment {
        match self {
            Place::Fixed(ms) => shifted(local, -ms),
            Place::Named(zone) => Moment { ms: zone.instant_ms(local.ms, later), ..local },
        }
    }

    /// The local time at a point in time.
    #[must_use]
    pub fn local(&self, instant: Moment) -> Moment {
        shifted(instant, self.distance_ms(instant.ms))
    }

    /// The distance from UTC at a point in time, in ms.
    #[must_use]
    pub fn distance_ms(&self, instant_ms: i64) -> i64 {
        match self {
            Place::Fixed(ms) => *ms,
            Place::Named(zone) => zone.at_ms(instant_ms),
        }
    }

    /// The last local time that is over at a watermark: of a time that comes twice, its second
    /// time has to be over. Rises with the watermark.
    #[must_use]
    pub fn local_watermark(&self, watermark_ms: i64) -> i64 {
        let local = watermark_ms.saturating_add(self.distance_ms(watermark_ms));
        let Place::Named(zone) = self else { return local };
        let again = zone.instant_ms(local, true);
        if again <= watermark_ms {
            return local;
        }
        // The clock is going to be put back: what it will show again is not over.
        let before = zone.at_ms(watermark_ms);
        let (mut low, mut high) = (watermark_ms, again);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if zone.at_ms(middle) == before { low = middle } else { high = middle }
        }
        high.saturating_add(zone.at_ms(high)) - 1
    }
}

/// `UTC`, `GMT`, `GMT+05:30`: the distance from UTC in ms.
fn offset_ms(text: &str) -> Option<i64> {
    if matches!(text, "UTC" | "GMT") {
        return Some(0);
    }
    let (sign, digits) = match text.strip_prefix("GMT")?.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let number = |digits: &str, max: i64| {
        let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|n| is_two && *n <= max)
    };
    let (hours, minutes) = digits.split_once(':')?;
    let ms = number(hours, 14)? * MS_PER_HOUR + number(minutes, 59)? * MS_PER_MINUTE;
    Some(sign * ms)
}

fn shifted(moment: Moment, ms: i64) -> Moment {
    Moment { ms: moment.ms.saturating_add(ms), ..moment }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: &str = "Europe/Berlin;3600;;CET-1CEST,M3.5.0,M10.5.0/3";
    const HOUR: i64 = 3_600_000;
    /// 2022-10-30 01:00:00 UTC: 03:00 becomes 02:00.
    const BACK: i64 = 1_667_091_600_000;
    /// 2022-03-27 01:00:00 UTC: 02:00 becomes 03:00.
    const FORTH: i64 = 1_648_342_800_000;

    #[test]
    fn local_times_that_come_twice_are_over_after_the_second() {
        let berlin = Place::parse(BERLIN).unwrap();
        let two = BACK + HOUR;
        assert_eq!(berlin.local_watermark(BACK - HOUR - 1), two - 1);
        assert_eq!(berlin.local_watermark(BACK - HOUR), two - 1);
        assert_eq!(berlin.local_watermark(BACK - 1), two - 1);
        assert_eq!(berlin.local_watermark(BACK), two);
        assert_eq!(berlin.local_watermark(BACK + HOUR), two + HOUR);
        assert_eq!(berlin.local_watermark(FORTH - 1), FORTH + HOUR - 1);
        assert_eq!(berlin.local_watermark(FORTH), FORTH + 2 * HOUR);
    }

    #[test]
    fn watermarks_rise() {
        for text in [BERLIN, "GMT-03:30", "UTC"] {
            let place = Place::parse(text).unwrap();
            for change in [BACK, FORTH, 0] {
                let steps = (-300..300).map(|step| place.local_watermark(change + step * 60_000));
                assert!(steps.is_sorted(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_zone() {
        for text in ["CET", "GMT+1", "GMT+15:00", "", "gmt+01:00"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
        assert_eq!(Place::parse("GMT-01:30"), Some(Place::Fixed(-90 * 60_000)));
    }
}
