//! Time zones with their transitions: what a plan holds of a zone, so that every node has the same.
//!
//! A zone is a text: its name, the distance from UTC before everything, the transitions as
//! `second:distance`, and the POSIX rule for the time after them, as in
//! `Europe/Berlin;3208;-2422054408:3600,…;CET-1CEST,M3.5.0,M10.5.0/3`.
//! The planner makes it of the system's zone file; nothing here reads one.

use alloc::vec::Vec;

use super::{MS_PER_DAY, MS_PER_SECOND, days_of};

const DAY_S: i64 = 86_400;
/// Transitions of one zone; zone files have some hundreds.
const TRANSITIONS_MAX: usize = 2_000;

/// A zone's distances from UTC, in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    first: i64,
    transitions: Vec<(i64, i64)>,
    rule: Rule,
}

/// The rule for the time after all transitions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    standard: i64,
    /// The summer's distance, and when it begins and ends in a year, by the clock before each.
    summer: Option<(i64, Change, Change)>,
}

/// A day of the year and a second of that day, which may lie in another one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    second: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Day {
    /// Month, week (5 is the last), day of the week from Sunday.
    Week(i64, i64, i64),
    /// From 1, never counting the 29th of February.
    Julian(i64),
    /// From 0.
    OfYear(i64),
}

impl Zone {
    /// Reads the text of a zone; None where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ';').skip(1);
        let first = parts.next()?.parse().ok()?;
        let mut transitions = Vec::new();
        for part in parts.next()?.split(',').filter(|part| !part.is_empty()) {
            let (second, distance) = part.split_once(':')?;
            transitions.push((second.parse().ok()?, distance.parse().ok()?));
        }
        let is_rising = transitions.windows(2).all(|pair: &[(i64, i64)]| pair[0].0 < pair[1].0);
        if transitions.len() > TRANSITIONS_MAX || !is_rising {
            return None;
        }
        Some(Self { first, transitions, rule: Rule::parse(parts.next()?)? })
    }

    /// Leaves out the transitions at the end that the rule gives too: zone files differ in how far
    /// they write them out.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        // The first one stays: the rule says nothing about the time before it.
        while let [.., (since, before), (second, distance)] = self.transitions[..] {
            let is_told = self.rule.at(second) == distance && self.rule.at(second - 1) == before;
            if !is_told || self.rule.changes_between(since, second) {
                break;
            }
            self.transitions.pop();
        }
        self
    }

    /// The distance before all transitions, and the transitions.
    #[must_use]
    pub fn transitions(&self) -> (i64, &[(i64, i64)]) {
        (self.first, &self.transitions)
    }

    /// The distance from UTC at a point in time, in ms.
    #[must_use]
    pub fn at_ms(&self, ms: i64) -> i64 {
        self.at(ms.div_euclid(MS_PER_SECOND)) * MS_PER_SECOND
    }

    /// The point in time of a local one, in ms. As in Java, a time that the clock skips is moved
    /// on by what it skips; of a time that comes twice it is the first, or with `later` the second.
    #[must_use]
    pub fn instant_ms(&self, local_ms: i64, later: bool) -> i64 {
        let around = |ms: i64| self.at_ms(local_ms.saturating_add(ms));
        let (before, after) = (around(-MS_PER_DAY), around(MS_PER_DAY));
        let at = |distance: i64| local_ms.saturating_sub(distance);
        let fits = |distance: i64| self.at_ms(at(distance)) == distance;
        match (fits(before), fits(after)) {
            (true, true) if later => at(after),
            (false, true) => at(after),
            _ => at(before),
        }
    }

    fn at(&self, second: i64) -> i64 {
        let passed = self.transitions.partition_point(|(at, _)| *at <= second);
        match passed.checked_sub(1) {
            _ if passed == self.transitions.len() => self.rule.at(second),
            None => self.first,
            Some(last) => self.transitions[last].1,
        }
    }
}

impl Rule {
    /// `CET-1CEST,M3.5.0,M10.5.0/3`
    fn parse(text: &str) -> Option<Self> {
        let mut rest = name(text)?;
        let standard = -distance(&mut rest)?;
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        rest = name(rest)?;
        let summer = match rest.starts_with(',') {
            true => standard + 3600,
            false => -distance(&mut rest)?,
        };
        let (start, end) = rest.strip_prefix(',')?.split_once(',')?;
        Some(Self { standard, summer: Some((summer, Change::parse(start)?, Change::parse(end)?)) })
    }

    fn at(&self, second: i64) -> i64 {
        let Some((summer, ..)) = &self.summer else { return self.standard };
        let (start, end) = self.summer_of(self.year(second));
        let is_summer = match start < end {
            true => (start..end).contains(&second),
            false => !(end..start).contains(&second),
        };
        if is_summer { *summer } else { self.standard }
    }
}

impl Rule {
    fn year(&self, second: i64) -> i64 {
        super::civil_of(second.saturating_add(self.standard).div_euclid(DAY_S)).year
    }

    /// When the summer of a year begins and ends; never, without one.
    fn summer_of(&self, year: i64) -> (i64, i64) {
        let Some((summer, start, end)) = &self.summer else { return (i64::MAX, i64::MAX) };
        (start.second_in(year) - self.standard, end.second_in(year) - summer)
    }

    /// Whether the rule changes the distance after `since` and before `until`.
    fn changes_between(&self, since: i64, until: i64) -> bool {
        let (first, last) = (self.year(since) - 1, self.year(until) + 1);
        let inside = |second: i64| since < second && second < until;
        // Real zones change a few times a year: a longer pause is not looked at in full.
        let is_long = last - first > 5 && self.summer.is_some();
        is_long
            || (first..=last.min(first + 5)).any(|year| {
                let (start, end) = self.summer_of(year);
                inside(start) || inside(end)
            })
    }
}

impl Change {
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let second = distance(&mut { time })?;
        let number = |text: &str| text.parse::<i64>().ok().filter(|n| (0..=366).contains(n));
        let day = if let Some(week) = day.strip_prefix('M') {
            let mut parts = week.split('.').map(number);
            let (month, week, day) = (parts.next()??, parts.next()??, parts.next()??);
            let is_right = (1..=12).contains(&month) && (1..=5).contains(&week) && day <= 6;
            is_right.then_some(Day::Week(month, week, day))?
        } else if let Some(day) = day.strip_prefix('J') {
            Day::Julian(number(day)?)
        } else {
            Day::OfYear(number(day)?)
        };
        Some(Self { day, second })
    }

    /// By the local clock.
    fn second_in(&self, year: i64) -> i64 {
        let of = |month: i64, day: i64| days_of(year, month, day);
        let days = match self.day {
            Day::OfYear(day) => of(1, 1) + day,
            Day::Julian(day) => {
                let is_leap = of(3, 1) - of(1, 1) == 60;
                of(1, 1) + day - 1 + i64::from(is_leap && day > 59)
            }
            Day::Week(month, week, day) => {
                let first = of(month, 1);
                // 1970-01-01 was a Thursday.
                let to_first = (day - (first + 4)).rem_euclid(7);
                let next_month =
                    if month == 12 { days_of(year + 1, 1, 1) } else { of(month + 1, 1) };
                let mut found = first + to_first + (week - 1) * 7;
                while found >= next_month {
                    found -= 7;
                }
                found
            }
        };
        days * DAY_S + self.second
    }
}

/// What follows the name of a zone: letters, or anything within `<` and `>`.
fn name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    (letters >= 3).then(|| &text[letters..])
}

/// `[+-]hours[:minutes[:seconds]]` in seconds; moves `text` past it.
fn distance(text: &mut &str) -> Option<i64> {
    let length = text.bytes().take_while(|b| b.is_ascii_digit() || b"+-:".contains(b)).count();
    let (written, rest) = text.split_at(length);
    *text = rest;
    let (sign, digits) = match written.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, written.strip_prefix('+').unwrap_or(written)),
    };
    let mut total = 0;
    let mut unit = 3600;
    for part in digits.split(':') {
        total += part.parse::<i64>().ok().filter(|n| *n <= 167)? * unit;
        unit /= 60;
    }
    Some(sign * total)
}

#[cfg(test)]
mod tests {
    use super::super::parse::sql_timestamp;
    use super::*;

    const BERLIN: &str = "B;3208;-2422054408:3600,323830800:7200;CET-1CEST,M3.5.0,M10.5.0/3";

    fn ms(text: &str) -> i64 {
        sql_timestamp(text).unwrap().ms
    }

    fn local(zone: &Zone, utc: &str) -> i64 {
        ms(utc) + zone.at_ms(ms(utc))
    }

    #[test]
    fn transitions_and_the_rule_after_them() {
        let zone = Zone::parse(BERLIN).unwrap();
        for (utc, there) in [
            ("1890-01-01 00:00:00", "1890-01-01 00:53:28"),
            ("1975-07-01 12:00:00", "1975-07-01 13:00:00"),
            ("1981-07-01 12:00:00", "1981-07-01 14:00:00"),
            ("2022-03-27 00:59:59", "2022-03-27 01:59:59"),
            ("2022-03-27 01:00:00", "2022-03-27 03:00:00"),
            ("2022-10-30 00:59:59", "2022-10-30 02:59:59"),
            ("2022-10-30 01:00:00", "2022-10-30 02:00:00"),
            ("2050-12-31 23:59:59", "2051-01-01 00:59:59"),
        ] {
            assert_eq!(local(&zone, utc), ms(there), "{utc}");
        }
        let south = Zone::parse("L;0;;<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap();
        assert_eq!(local(&south, "2022-01-01 12:00:00"), ms("2022-01-01 23:00:00"));
        assert_eq!(local(&south, "2022-07-01 12:00:00"), ms("2022-07-01 22:30:00"));
    }

    #[test]
    fn local_times_that_are_skipped_or_come_twice() {
        let zone = Zone::parse(BERLIN).unwrap();
        let at = |local: &str, later| zone.instant_ms(ms(local), later);
        assert_eq!(at("2022-03-27 02:30:00", false), ms("2022-03-27 01:30:00"));
        assert_eq!(at("2022-10-30 02:30:00", false), ms("2022-10-30 00:30:00"));
        assert_eq!(at("2022-10-30 02:30:00", true), ms("2022-10-30 01:30:00"));
        for later in [false, true] {
            assert_eq!(at("2022-10-30 03:00:00", later), ms("2022-10-30 02:00:00"));
            assert_eq!(at("2022-03-27 01:59:59", later), ms("2022-03-27 00:59:59"));
            assert_eq!(at("2022-03-27 03:00:00", later), ms("2022-03-27 01:00:00"));
        }
    }

    #[test]
    fn what_the_rule_tells_is_left_out() {
        let written = "B;3600;1667091600:3600,1679792400:7200,1698541200:3600;\
                       CET-1CEST,M3.5.0,M10.5.0/3";
        let short = Zone::parse(written).unwrap().shortened();
        assert_eq!(short.transitions().1, [(1_667_091_600, 3600)]);
        // Years without a summer before the rule began.
        let late = "T;0;1108166400:0,1111885200:7200;<+00>0<+02>-2,M3.5.0/1,M10.5.0/3";
        let late = Zone::parse(late).unwrap();
        assert_eq!(late.clone().shortened().transitions().1.len(), 1);
        assert_eq!(late.shortened().at_ms(ms("2004-07-01 00:00:00")), 0);
        let pause = "T;0;0:0,1111885200:7200;<+00>0<+02>-2,M3.5.0/1,M10.5.0/3";
        let pause = Zone::parse(pause).unwrap().shortened();
        assert_eq!(pause.at_ms(ms("2004-07-01 00:00:00")), 0);
        for bad in [
            "",
            ";0",
            ";0;;",
            ";x;;UTC0",
            ";0;1;UTC0",
            ";0;2:0,1:0;UTC0",
            ";0;;A0",
            ";0;;CET-1CEST",
        ] {
            assert_eq!(Zone::parse(bad), None, "{bad}");
        }
        assert!(Zone::parse(";0;;UTC0").is_some());
    }
}
