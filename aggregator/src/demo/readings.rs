//! The readings of the demo and what is expected of them, built into the program.
//!
//! Guarantees: the same readings in the same order each time; each stream belongs to one gateway.

use std::collections::BTreeMap;
use std::io::{self, Read};

/// One reading as its device sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Gateway that receives it, from 0.
    pub(crate) gateway: usize,
    /// `demo/<gateway>/<device>/<sensor>`.
    pub(crate) topic: String,
    /// JSON object.
    pub(crate) payload: String,
}

/// One expected row: a stream's readings of one hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hour {
    pub(crate) n: u64,
    pub(crate) total: f64,
    pub(crate) mean: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

/// (device, sensor, start of the hour in ms since 1970).
pub(crate) type HourKey = (String, String, i64);

/// What the readings add up to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Every row of the result.
    pub(crate) hours: BTreeMap<HourKey, Hour>,
    /// Distinct readings by (device, sensor).
    pub(crate) identities: BTreeMap<(String, String), u64>,
    /// Readings that are sent more than once.
    pub(crate) repeats: u64,
}

/// Name of a gateway, which is also its agent's id.
pub(crate) fn gateway_name(index: usize) -> String {
    format!("gw-{}", index + 1)
}

/// All readings in order of arrival, their streams dealt out to the gateways.
pub(crate) fn readings(gateways_count: usize) -> io::Result<Vec<Reading>> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(DELIVERED).read_to_string(&mut text)?;
    let mut streams = BTreeMap::new();
    let mut readings = Vec::new();
    for line in text.lines().skip(1) {
        let [_arrival, seq, ts, device, sensor, value] = fields(line)?;
        let count = streams.len();
        let gateway = *streams.entry((device, sensor)).or_insert(count % gateways_count);
        readings.push(Reading {
            gateway,
            topic: format!("demo/{}/{device}/{sensor}", gateway_name(gateway)),
            payload: format!(
                "{{\"seq\":{seq},\"ts\":{ts},\"device\":\"{device}\",\"sensor\":\"{sensor}\",\
                 \"value\":{value}}}"
            ),
        });
    }
    Ok(readings)
}

/// The published answers.
pub(crate) fn expected() -> io::Result<Expected> {
    let mut expected = Expected::default();
    for line in HOURS.lines().skip(1) {
        let [device, sensor, start, n, total, mean, lowest, highest, _, _] = fields(line)?;
        let hour = Hour {
            n: number(n)?,
            total: number(total)?,
            mean: number(mean)?,
            lowest: number(lowest)?,
            highest: number(highest)?,
        };
        expected.hours.insert((device.into(), sensor.into(), number(start)?), hour);
    }
    for line in IDENTITIES.lines().skip(1) {
        let [device, sensor, _delivered, unique, repeats, _] = fields(line)?;
        expected.identities.insert((device.into(), sensor.into()), number(unique)?);
        expected.repeats += number::<u64>(repeats)?;
    }
    Ok(expected)
}

fn fields<const N: usize>(line: &str) -> io::Result<[&str; N]> {
    let fields: Vec<&str> = line.split(',').collect();
    fields.try_into().map_err(|_| bad(line))
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| bad(text))
}

fn bad(text: &str) -> io::Error {
    io::Error::other(format!("'{text}' in the demo's data"))
}

/// The pipeline of the demo.
pub(crate) const PIPELINE: &str = include_str!("../../../configs/demo/pipeline.sql");
const DELIVERED: &[u8] = include_bytes!("../../../configs/demo/nrel-rmis/delivered.csv.gz");
const HOURS: &str = include_str!("../../../configs/demo/nrel-rmis/expected-hours.csv");
const IDENTITIES: &str = include_str!("../../../configs/demo/nrel-rmis/expected-identities.csv");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_data_is_what_its_description_says() {
        let readings = readings(3).unwrap();
        let distinct: BTreeSet<_> = readings.iter().map(|r| (&r.topic, &r.payload)).collect();
        assert_eq!((readings.len(), distinct.len()), (20_495, 19_524));
        let per_gateway: Vec<_> =
            (0..3).map(|g| readings.iter().filter(|r| r.gateway == g).count()).collect();
        assert!(per_gateway.iter().all(|count| *count > 5_000), "{per_gateway:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&readings[0].payload).is_ok());
    }

    #[test]
    fn the_answers_agree_with_each_other() {
        let expected = expected().unwrap();
        let in_hours: u64 = expected.hours.values().map(|hour| hour.n).sum();
        assert_eq!(in_hours, expected.identities.values().sum::<u64>());
        assert_eq!((in_hours, expected.repeats), (19_524, 971));
        assert_eq!(expected.identities.len(), 24);
    }
}
