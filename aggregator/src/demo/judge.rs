//! Reads the result of the demo and compares it with the published answers.
//!
//! Guarantees: names every kind of difference; a result without a row, with a row too many or
//! with a wrong number is never taken for right. Floats may differ by 1e-9 of their size, sums by
//! 1e-9 of what was summed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::readings::{Expected, Hour, HourKey};

/// What the file of results comes down to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The last word on each hour.
    pub(crate) hours: BTreeMap<HourKey, Hour>,
    /// Rows that were corrected after they had been written.
    pub(crate) corrections: u64,
}

/// Reads a changelog: each key's last row counts.
pub(crate) fn read(text: &str) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let row: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let (key, hour) = row_of(&row).ok_or_else(|| format!("no row of the result: {line}"))?;
        match row["op"].as_str() {
            Some("+I" | "+U") => {
                let before = outcome.hours.insert(key, hour);
                outcome.corrections += u64::from(before.is_some());
            }
            Some("-U") => {}
            Some("-D") => drop(outcome.hours.remove(&key)),
            _ => return Err(format!("a row without op: {line}")),
        }
    }
    Ok(outcome)
}

fn row_of(row: &Value) -> Option<(HourKey, Hour)> {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    let start = millis(row["window_start"].as_str()?)?;
    let float = |name: &str| row[name].as_f64();
    let hour = Hour {
        n: row["n"].as_u64()?,
        total: float("total")?,
        mean: float("mean")?,
        lowest: float("lowest")?,
        highest: float("highest")?,
    };
    Some(((text("device")?, text("sensor")?, start), hour))
}

/// `2022-01-31 07:00:00` (UTC, fraction allowed and left out) to ms since 1970.
fn millis(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // Days since 1970 with years that begin in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

/// Every difference, a line each; none means that the result is right.
pub(crate) fn differences(outcome: &Outcome, expected: &Expected) -> Vec<String> {
    let mut found = Vec::new();
    for (key, hour) in &expected.hours {
        match outcome.hours.get(key) {
            None => found.push(format!("{key:?} is missing")),
            Some(got) if !is_same(got, hour) => {
                found.push(format!("{key:?} is {got:?}, expected {hour:?}"));
            }
            Some(_) => {}
        }
    }
    let surplus = outcome.hours.keys().filter(|key| !expected.hours.contains_key(*key));
    found.extend(surplus.map(|key| format!("{key:?} should not be there")));
    for (stream, expected) in &expected.identities {
        let of_stream = |key: &&HourKey| (&key.0, &key.1) == (&stream.0, &stream.1);
        let got: u64 =
            outcome.hours.iter().filter(|(key, _)| of_stream(key)).map(|(_, hour)| hour.n).sum();
        if got != *expected {
            found.push(format!("{stream:?} has {got} readings, expected {expected}"));
        }
    }
    found
}

fn is_same(got: &Hour, expected: &Hour) -> bool {
    let near = |a: f64, b: f64, size: f64| (a - b).abs() <= 1e-9 * size.abs().max(b.abs());
    // Bounds the sum of absolute values from above.
    #[expect(clippy::cast_precision_loss, reason = "an hour has few readings")]
    let summed = expected.lowest.abs().max(expected.highest.abs()) * expected.n as f64;
    got.n == expected.n
        && near(got.total, expected.total, summed)
        && near(got.mean, expected.mean, expected.lowest.abs().max(expected.highest.abs()))
        && near(got.lowest, expected.lowest, 0.0)
        && near(got.highest, expected.highest, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "{\"op\":\"+I\",\"device\":\"d\",\"sensor\":\"s\",\
        \"window_start\":\"2022-01-01 07:00:00\",\"n\":2,\"total\":3.0,\"mean\":1.5,\
        \"lowest\":1.0,\"highest\":2.0}";

    fn expected() -> Expected {
        let mut expected = Expected::default();
        let hour = Hour { n: 2, total: 3.0, mean: 1.5, lowest: 1.0, highest: 2.0 };
        expected.hours.insert(("d".into(), "s".into(), 1_641_020_400_000), hour);
        expected.identities.insert(("d".into(), "s".into()), 2);
        expected
    }

    #[test]
    fn the_right_result_is_right_and_others_are_not() {
        let judged = |text: &str| differences(&read(text).unwrap(), &expected()).len();
        assert_eq!(judged(ROW), 0);
        assert_eq!(judged(""), 2, "a row is missing, and the stream's readings");
        assert_eq!(judged(&ROW.replace("3.0", "3.00001")), 1);
        assert_eq!(judged(&ROW.replace("\"n\":2", "\"n\":3")), 2);
        assert_eq!(judged(&format!("{ROW}\n{}", ROW.replace("07:", "08:"))), 2);
    }

    #[test]
    fn the_last_row_of_a_key_counts() {
        let before = ROW.replace("\"n\":2", "\"n\":1");
        let update = ROW.replace("+I", "+U");
        let outcome =
            read(&format!("{before}\n{}\n{update}\n", before.replace("+I", "-U"))).unwrap();
        assert_eq!(outcome.corrections, 1);
        assert!(differences(&outcome, &expected()).is_empty());
        assert!(read("{\"op\":\"+I\"}").is_err());
    }

    #[test]
    fn points_in_time_are_read() {
        assert_eq!(millis("1970-01-01 00:00:00"), Some(0));
        assert_eq!(millis("2024-02-29 12:30:15.000"), Some(1_709_209_815_000));
        assert_eq!(millis("2022-01"), None);
    }
}
