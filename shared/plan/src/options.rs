//! Table options: which exist for which connector and format, and what values they take.
//!
//! Guarantees: an option that is let through is one that the run time reads; names and values are
//! Flink's where Flink has the option. Adding an option is one line in [`SPECS`]. Does not fill in
//! defaults: absent means the default that docs/reference/sql.md states.

mod alignment;

use std::collections::BTreeMap;

use sqlparser::tokenizer::Span;

use crate::diagnostic::{Issue, Result, suggest};
use crate::statement::{CreateTable, Setting};

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Any text that is not empty.
    Text,
    /// `true` or `false`.
    Flag,
    /// `10s`, `5 min`, `1 h`, `500ms`, `2 d`.
    Duration,
    /// `64 KiB`, `10MiB`, `4096`.
    Bytes,
    /// A whole number from min to max.
    Count(u64, u64),
    /// One of these.
    Choice(&'static [&'static str]),
    /// One character, or `\t`.
    Char,
}

/// Where an option belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Any,
    Connector(&'static str),
    Format(&'static str),
}

/// Which side of a pipeline reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Both,
    Source,
    Sink,
}

struct Spec {
    scope: Scope,
    key: &'static str,
    kind: Kind,
    side: Side,
}

const fn spec(scope: Scope, key: &'static str, kind: Kind, side: Side) -> Spec {
    Spec { scope, key, kind, side }
}

use Kind::{Bytes, Char, Choice, Count, Duration, Flag, Text};
use Scope::{Any, Connector, Format};
use Side::{Both, Sink, Source};

const FS: Scope = Connector("filesystem");
const MQTT: Scope = Connector("mqtt");
const GEN: Scope = Connector("datagen");
const PRINT: Scope = Connector("print");
const JSON: Scope = Format("json");
const CHANGELOG: Scope = Format("changelog-json");
const CSV: Scope = Format("csv");
const STANDARDS: Kind = Choice(&["SQL", "ISO-8601"]);

/// Every option; docs/reference/sql.md is checked against it.
const SPECS: &[Spec] = &[
    spec(Any, "connector", Text, Both),
    spec(Any, "at", Choice(&["edge", "core"]), Both),
    spec(Any, "gateway-local", Text, Source),
    spec(Any, "late", Text, Source),
    spec(Any, "max-future", Duration, Source),
    spec(Any, "allowed-lateness", Duration, Source),
    spec(Any, "payload-bytes-max", Bytes, Source),
    spec(Any, "scan.watermark.idle-timeout", Duration, Source),
    spec(Any, "scan.watermark.alignment.group", Text, Source),
    spec(Any, "scan.watermark.alignment.max-drift", Duration, Source),
    spec(Any, "scan.watermark.alignment.update-interval", Duration, Source),
    spec(FS, "path", Text, Both),
    spec(FS, "format", Text, Both),
    spec(FS, "source.monitor-interval", Duration, Source),
    spec(FS, "lookup.full-cache.periodic-reload.interval", Duration, Source),
    spec(MQTT, "format", Text, Both),
    spec(MQTT, "url", Text, Both),
    spec(MQTT, "topic", Text, Both),
    spec(MQTT, "qos", Choice(&["0", "1", "2"]), Both),
    spec(MQTT, "client-id", Text, Both),
    spec(MQTT, "version", Choice(&["3.1.1", "5"]), Both),
    spec(MQTT, "username", Text, Both),
    spec(MQTT, "password", Text, Both),
    spec(MQTT, "tls.ca", Text, Both),
    spec(MQTT, "tls.cert", Text, Both),
    spec(MQTT, "tls.key", Text, Both),
    spec(MQTT, "keep-alive", Duration, Both),
    spec(MQTT, "inflight-max", Count(1, 65_535), Both),
    spec(MQTT, "retain", Flag, Sink),
    spec(GEN, "rows-per-second", Count(1, 10_000_000), Source),
    spec(GEN, "number-of-rows", Count(1, u64::MAX), Source),
    spec(PRINT, "print-identifier", Text, Sink),
    spec(PRINT, "standard-error", Flag, Sink),
    spec(JSON, "json.ignore-parse-errors", Flag, Source),
    spec(JSON, "json.fail-on-missing-field", Flag, Source),
    spec(JSON, "json.timestamp-format.standard", STANDARDS, Both),
    spec(JSON, "json.encode.ignore-null-fields", Flag, Sink),
    spec(CHANGELOG, "changelog-json.timestamp-format.standard", STANDARDS, Sink),
    spec(CSV, "csv.field-delimiter", Char, Both),
    spec(CSV, "csv.quote-character", Char, Both),
    spec(CSV, "csv.disable-quote-character", Flag, Both),
    spec(CSV, "csv.escape-character", Char, Both),
    spec(CSV, "csv.null-literal", Text, Both),
    spec(CSV, "csv.allow-comments", Flag, Source),
    spec(CSV, "csv.ignore-parse-errors", Flag, Source),
];

/// Per-field options of datagen: `fields.<column>.<this>`.
const FIELD_SPECS: &[(&str, Kind)] = &[
    ("kind", Choice(&["random", "sequence"])),
    ("min", Text),
    ("max", Text),
    ("length", Count(1, 65_536)),
    ("start", Text),
    ("end", Text),
    ("null-rate", Text),
    ("max-past", Duration),
];

pub(crate) const CONNECTORS: [&str; 5] = ["filesystem", "mqtt", "datagen", "print", "blackhole"];
pub(crate) const FORMATS: [&str; 3] = ["json", "csv", "changelog-json"];

/// All options: connector or format (empty for every table), and key.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, String)> {
    let specs = SPECS.iter().map(|spec| match spec.scope {
        Any => ("", spec.key.to_owned()),
        Connector(name) | Format(name) => (name, spec.key.to_owned()),
    });
    specs.chain(FIELD_SPECS.iter().map(|(key, _)| ("datagen", format!("fields.<column>.{key}"))))
}

/// The checked options of a table.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) connector: String,
    pub(crate) format: Option<String>,
    /// By key, without `connector` and `format`.
    pub(crate) values: BTreeMap<String, String>,
    spans: BTreeMap<String, (Span, Span)>,
}

impl Options {
    /// The value of an option and where it stands.
    pub(crate) fn get(&self, key: &str) -> Option<(&str, Span)> {
        let value = self.values.get(key)?;
        Some((value, self.spans[key].1))
    }

    /// Refuses options of the other side.
    pub(crate) fn check_side(&self, is_source: bool, issues: &mut Vec<Issue>) {
        let (wrong, name) = match is_source {
            true => (Sink, "a sink"),
            false => (Source, "a source"),
        };
        for (key, (span, _)) in &self.spans {
            let spec = SPECS.iter().find(|s| s.key == key && self.applies(s));
            if spec.is_some_and(|s| s.side == wrong) {
                let message = format!("the option '{key}' is for {name}");
                issues.push(Issue::new(*span, message, "remove it from this table"));
            }
        }
    }

    fn applies(&self, spec: &Spec) -> bool {
        match spec.scope {
            Any => true,
            Connector(name) => name == self.connector,
            Format(name) => Some(name) == self.format.as_deref(),
        }
    }
}

/// Checks the options of one table; every wrong one is reported.
pub(crate) fn check(table: &CreateTable, issues: &mut Vec<Issue>) -> Option<Options> {
    let before = issues.len();
    let find = |key: &str| table.options.iter().find(|o| o.key == key);
    let Some(connector) = find("connector") else {
        let message = format!("the table '{}' has no connector", table.name.value);
        let remedy = format!("add WITH ('connector' = '{}')", CONNECTORS.join(" | "));
        issues.push(Issue::new(table.name.span, message, remedy));
        return None;
    };
    if !CONNECTORS.contains(&connector.value.as_str()) {
        issues.push(unknown_name(connector, "connector", &CONNECTORS));
        return None;
    }
    let mut options = Options {
        connector: connector.value.clone(),
        format: find("format").map(|o| o.value.clone()),
        values: BTreeMap::new(),
        spans: BTreeMap::new(),
    };
    let needs_format = matches!(connector.value.as_str(), "filesystem" | "mqtt");
    match find("format") {
        Some(format) if needs_format && !FORMATS.contains(&format.value.as_str()) => {
            issues.push(unknown_name(format, "format", &FORMATS));
            return None;
        }
        None if needs_format => {
            let message = format!("the table '{}' has no format", table.name.value);
            let remedy = format!("add 'format' = '{}'", FORMATS.join(" | "));
            issues.push(Issue::new(connector.key_span, message, remedy));
        }
        _ => {}
    }
    for option in &table.options {
        if let Err(issue) = check_one(option, &options, table) {
            issues.push(issue);
        } else if !matches!(option.key.as_str(), "connector" | "format") {
            options.values.insert(option.key.clone(), option.value.clone());
            options.spans.insert(option.key.clone(), (option.key_span, option.value_span));
        }
    }
    issues.extend(alignment::check(&options, table).err());
    let required: &[&str] = match connector.value.as_str() {
        "filesystem" => &["path"],
        "mqtt" => &["url", "topic"],
        _ => &[],
    };
    for key in required {
        if find(key).is_none() {
            let message = format!("the connector '{}' needs the option '{key}'", connector.value);
            let remedy = format!("add '{key}' = '…'");
            issues.push(Issue::new(connector.value_span, message, remedy));
        }
    }
    (issues.len() == before).then_some(options)
}

fn unknown_name(option: &Setting, kind: &str, names: &'static [&'static str]) -> Issue {
    let message = format!("unknown {kind} '{}'", option.value);
    let remedy = suggest(&option.value, names.iter().copied(), &format!("{kind}s"));
    Issue::new(option.value_span, message, remedy)
}

fn check_one(option: &Setting, options: &Options, table: &CreateTable) -> Result<()> {
    if options.connector == "datagen" && option.key.starts_with("fields.") {
        return check_field(option, table);
    }
    let here = || SPECS.iter().filter(|s| options.applies(s));
    match here().find(|s| s.key == option.key) {
        Some(spec) => check_value(option, spec.kind),
        None => {
            let message = format!("unknown option '{}'", option.key);
            let keys: Vec<&str> = here().map(|s| s.key).collect();
            let other = SPECS.iter().find(|s| s.key == option.key);
            let remedy = match other.map(|s| s.scope) {
                Some(Connector(name)) => format!("it belongs to the connector '{name}'"),
                Some(Format(name)) => format!("it belongs to the format '{name}'"),
                _ => suggest(&option.key, keys.iter().copied(), "options"),
            };
            Err(Issue::new(option.key_span, message, remedy))
        }
    }
}

/// `fields.<column>.<option>` of datagen.
fn check_field(option: &Setting, table: &CreateTable) -> Result<()> {
    let path = &option.key["fields.".len()..];
    let names = FIELD_SPECS.iter().map(|(name, _)| *name);
    let Some((column, key)) = path.rsplit_once('.') else {
        let message = format!("unknown option '{}'", option.key);
        return Err(Issue::new(option.key_span, message, "write 'fields.<column>.kind' = '…'"));
    };
    let columns = table.columns.iter().map(|c| c.name.value.as_str());
    if !columns.clone().any(|c| c == column) {
        let message = format!("the option '{}' names no column", option.key);
        return Err(Issue::new(option.key_span, message, suggest(column, columns, "columns")));
    }
    match FIELD_SPECS.iter().find(|(name, _)| *name == key) {
        Some((_, kind)) => check_value(option, *kind),
        None => {
            let message = format!("unknown option '{}'", option.key);
            Err(Issue::new(option.key_span, message, suggest(key, names, "field options")))
        }
    }
}

fn check_value(option: &Setting, kind: Kind) -> Result<()> {
    let value = option.value.as_str();
    // A secret is known only at run time.
    if value.contains("${secret:") {
        return Ok(());
    }
    let (good, remedy) = match kind {
        Text => (!value.is_empty(), "write a text that is not empty".to_owned()),
        Flag => (matches!(value, "true" | "false"), "write 'true' or 'false'".to_owned()),
        Duration => (
            parse_duration_ms(value).is_some(),
            "write a number and a unit: '500 ms', '10 s', '5 min', '1 h', '2 d'".to_owned(),
        ),
        Bytes => (parse_bytes(value).is_some(), "write '64 KiB' or '10 MiB'".to_owned()),
        Count(min, max) => (
            value.parse::<u64>().is_ok_and(|n| (min..=max).contains(&n)),
            format!("write a whole number from {min} to {max}"),
        ),
        Choice(all) => (all.contains(&value), suggest(value, all.iter().copied(), "choices")),
        Char => (
            value.chars().count() == 1 || value == "\\t",
            "write one character, or '\\t' for a tab".to_owned(),
        ),
    };
    if good {
        return Ok(());
    }
    let message = format!("'{value}' is no value of the option '{}'", option.key);
    Err(Issue::new(option.value_span, message, remedy))
}

/// Milliseconds of a duration written as Flink writes them; None when it is none.
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit {
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "min" | "m" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Bytes of a size; None when it is none.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_lowercase().as_str() {
        "" | "b" | "bytes" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(parse_duration_ms("10 s"), Some(10_000));
        assert_eq!(parse_duration_ms("5min"), Some(300_000));
        assert_eq!(parse_duration_ms("5"), None);
        assert_eq!(parse_bytes("64 KiB"), Some(65_536));
        assert_eq!(parse_bytes("12"), Some(12));
        assert_eq!(parse_bytes("12 km"), None);
    }

    #[test]
    fn every_option_is_listed_once_per_scope() {
        for (i, a) in SPECS.iter().enumerate() {
            assert!(SPECS[i + 1..].iter().all(|b| a.key != b.key || a.scope != b.scope));
        }
    }
}
