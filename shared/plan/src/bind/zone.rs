//! Named time zones: their transitions, from the system's zone files, become part of the plan.
//!
//! A node that has none of these files, or others, has another plan, and the fingerprint shows it:
//! two nodes never compute with different rules. Only names such as `Europe/Berlin`, and short ones
//! with one meaning, are looked up. What the rule of a zone tells too is left out, so that files
//! that write more of it are equal.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use headwater_engine::calendar::{Place, Zone};
use headwater_engine::expr::{Expr, Literal};
use sqlparser::tokenizer::Span;

use crate::bind::literal;
use crate::diagnostic::{Issue, Result};

const FOLDER: &str = "/usr/share/zoneinfo";
/// Largest zone file that is read; real ones have some KiB.
const FILE_BYTES_MAX: u64 = 64 << 10;
const NAME_LENGTH_MAX: usize = 64;

/// The functions that take zones, and where.
const ZONED: &[(&str, usize, &[usize])] =
    &[("CONVERT_TZ", 3, &[1, 2]), ("TO_TIMESTAMP_LTZ", 3, &[2])];

/// Puts zones in the place of their names.
pub(super) fn resolve(function: &str, args: &mut [Expr], span: Span) -> Result<()> {
    let found = ZONED.iter().find(|(name, count, _)| *name == function && *count == args.len());
    for at in found.map_or(&[][..], |(_, _, places)| places) {
        if let Some(Literal::Text(name)) = args[*at].as_literal()
            && is_name(name)
        {
            args[*at] = literal::text(&zone(name, Path::new(FOLDER), span)?);
        }
    }
    Ok(())
}

/// The zone of a session, as the engine reads it; UTC is empty.
pub(crate) fn session(name: &str, span: Span) -> Result<String> {
    if matches!(name, "UTC" | "Etc/UTC") {
        return Ok(String::new());
    }
    if is_name(name) {
        return zone(name, Path::new(FOLDER), span);
    }
    if name.starts_with("GMT") && Place::parse(name).is_some() {
        return Ok(name.to_owned());
    }
    let message = format!("'{name}' is no time zone of a session");
    let remedy = "name the region, such as 'Europe/Berlin', or a distance: 'GMT+01:00'";
    Err(Issue::new(span, message, remedy))
}

/// Short names that mean the same in Java 17 as in the system's files, from 1970 to 2100. Others do
/// not: in Java EST, MST and HST are no zones of a session, EET and WET follow Athens and Lisbon,
/// Iran had other offsets in 1978.
#[rustfmt::skip]
const SHORT: &[&str] = &[
    "CET", "CST6CDT", "Cuba", "EST5EDT", "Egypt", "Eire", "GB", "GB-Eire", "GMT0", "Greenwich",
    "Hongkong", "Iceland", "Israel", "Jamaica", "Japan", "Kwajalein", "Libya", "MET", "MST7MDT",
    "NZ", "NZ-CHAT", "Navajo", "PRC", "PST8PDT", "Poland", "Portugal", "ROK", "Singapore",
    "Turkey", "UCT", "Universal", "W-SU", "Zulu",
];

/// `Area/City`, or a short name with one meaning.
fn is_name(text: &str) -> bool {
    if SHORT.contains(&text) {
        return true;
    }
    let is_part = |part: &str| {
        let is_right = |b: u8| b.is_ascii_alphanumeric() || b"_+-".contains(&b);
        part.starts_with(|c: char| c.is_ascii_uppercase()) && part.bytes().all(is_right)
    };
    text.len() <= NAME_LENGTH_MAX && text.contains('/') && text.split('/').all(is_part)
}

fn zone(name: &str, folder: &Path, span: Span) -> Result<String> {
    let path = folder.join(name);
    let issue = |what: &str| {
        let message = format!("the time zone '{name}' cannot be used: {}: {what}", path.display());
        // Debian has short names in a package of their own.
        let package = if name.contains('/') { "tzdata" } else { "tzdata, tzdata-legacy" };
        let remedy =
            format!("install the system's zone files ({package}), or write a distance: GMT+01:00");
        Issue::new(span, message, remedy)
    };
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|error| issue(&error.to_string()))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| issue(&error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(issue("too large"));
    }
    let Written { first, transitions, rule } =
        tzif(&bytes).ok_or_else(|| issue("no zone file of version 2 or later"))?;
    let text = |first: i64, transitions: &[(i64, i64)]| {
        let all: Vec<_> = transitions.iter().map(|(at, to)| format!("{at}:{to}")).collect();
        format!("{name};{first};{};{rule}", all.join(","))
    };
    let zone = Zone::parse(&text(first, &transitions));
    let zone = zone.ok_or_else(|| issue("its rule is not understood"))?.shortened();
    let (first, transitions) = zone.transitions();
    Ok(text(first, transitions))
}

/// What a zone file says: the first distance, the transitions, and the rule after them.
struct Written<'a> {
    first: i64,
    transitions: Vec<(i64, i64)>,
    rule: &'a str,
}

/// Reads a zone file (RFC 8536).
fn tzif(bytes: &[u8]) -> Option<Written<'_>> {
    const HEADER: usize = 44;
    let counts = |bytes: &[u8]| -> Option<[usize; 6]> {
        let header = bytes.get(..HEADER)?.strip_prefix(b"TZif")?;
        (header[0] >= b'2').then_some(())?;
        let mut counts = [0; 6];
        for (count, word) in counts.iter_mut().zip(header[16..].chunks_exact(4)) {
            *count = usize::try_from(u32::from_be_bytes(word.try_into().ok()?)).ok()?;
        }
        counts.iter().all(|count| *count <= 1 << 16).then_some(counts)
    };
    // The first part has times of 32 bits and is stepped over.
    let [utc, standard, leaps, times, types, chars] = counts(bytes)?;
    let skipped = HEADER + times * 5 + types * 6 + chars + leaps * 8 + standard + utc;
    let bytes = bytes.get(skipped..)?;
    let [utc, standard, leaps, times, types, chars] = counts(bytes)?;
    let (at, rest) = bytes.get(HEADER..)?.split_at_checked(times * 8)?;
    let (kinds, rest) = rest.split_at_checked(times)?;
    let (infos, rest) = rest.split_at_checked(types * 6)?;
    let footer = rest.get(chars + leaps * 12 + standard + utc..)?;
    let distance = |kind: u8| {
        let info = infos.chunks_exact(6).nth(usize::from(kind))?;
        Some(i64::from(i32::from_be_bytes(info[..4].try_into().ok()?)))
    };
    let mut transitions = Vec::new();
    for (at, kind) in at.chunks_exact(8).zip(kinds) {
        transitions.push((i64::from_be_bytes(at.try_into().ok()?), distance(*kind)?));
    }
    let rule = std::str::from_utf8(footer.strip_prefix(b"\n")?.strip_suffix(b"\n")?).ok()?;
    // Leap seconds are for clocks that count them; Flink's does not.
    (leaps == 0).then_some(Written { first: distance(0)?, transitions, rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Result<String> {
        zone(name, Path::new(FOLDER), Span::empty())
    }

    #[test]
    fn names_are_no_paths() {
        for name in ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "CET", "GB"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "UTC",
            "GMT+05:30",
            "EST",
            "EET",
            "ROC",
            "../etc/passwd",
            "Europe/../x",
            "/etc",
            "a/b",
            "A//B",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn the_systems_files_are_read() {
        if !Path::new(FOLDER).join("Europe/Berlin").is_file() {
            println!("skipped: no zone files");
            return;
        }
        let berlin = of("Europe/Berlin").unwrap();
        assert!(berlin.ends_with(";CET-1CEST,M3.5.0,M10.5.0/3"), "{berlin}");
        let zone = Zone::parse(&berlin).unwrap();
        // 2022-07-01 and 2022-12-01.
        assert_eq!(zone.at_ms(1_656_633_600_000), 7_200_000);
        assert_eq!(zone.at_ms(1_669_852_800_000), 3_600_000);
        assert!(berlin.len() < 4096, "what the rule tells is left out");
        let issue = of("Nowhere/Here").unwrap_err();
        assert!(issue.message.contains("Nowhere/Here"), "{issue:?}");
    }

    #[test]
    fn any_bytes_are_no_panic() {
        let Ok(bytes) = std::fs::read(Path::new(FOLDER).join("Europe/Berlin")) else { return };
        for length in 0..bytes.len() {
            assert!(tzif(&bytes[..length]).is_none(), "cut to {length}");
            let mut changed = bytes.clone();
            changed[length] ^= 0xff;
            let _ = tzif(&changed);
        }
    }
}
