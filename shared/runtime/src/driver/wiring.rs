//! From a plan to formats, sources and sinks: the one place that reads table options.

use headwater_engine::calendar::text::TimestampStandard;
use headwater_engine::fragment::{Fragment, OutputKind, Scan};
use headwater_engine::types::{DataType, Schema};
use headwater_plan::{Origin, Plan, Table, parse_bytes, parse_duration_ms};
use headwater_store::PlanRecord;
use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_64;

use super::RunError;
use crate::config::Secrets;
use crate::format::changelog_json::ChangelogJsonEncoder;
use crate::format::csv::{CsvDecoder, CsvEncoder, CsvOptions, SKIPPED, option_byte};
use crate::format::json::{JsonDecodeOptions, JsonDecoder, JsonEncodeOptions, JsonEncoder};
use crate::format::{Column, Decoder, Encoder};
use crate::hub::Exchange;
use crate::sink::{self, Sink};
use crate::source::{self, OpenError, Position, Source, Wake};
use crate::task::{Metadata, OutputPort, ScanPort, SinkMode};

mod connect;

pub(crate) use connect::datagen_options;
pub(super) use connect::{client_id, mqtt_options};

/// Channels of sinks stand behind those of exchanges.
const SINK_CHANNEL_FIRST: u32 = 1000;

/// The option with the interval at which a table that is looked up is looked at again.
const RELOAD: &str = "lookup.full-cache.periodic-reload.interval";

/// What opening needs besides the plan.
pub(super) struct Environment<'a> {
    pub(super) secrets: &'a Secrets,
    pub(super) wake: &'a Wake,
    pub(super) handle: &'a Handle,
    /// Name of this node: the metadata column `gateway` and client ids.
    pub(super) node: &'a str,
    pub(super) payload_bytes_max: usize,
}

/// A sink to open: its channel in the outbox and its table.
pub struct SinkSpec<'a> {
    /// Number of its channel.
    pub channel: u32,
    /// Its table.
    pub table: &'a Table,
}

fn config(table: &Table, problem: impl std::fmt::Display) -> RunError {
    RunError::Config(format!("table '{}': {problem}", table.name))
}

fn table<'a>(plan: &'a Plan, name: &str) -> Result<&'a Table, RunError> {
    plan.table(name).ok_or_else(|| RunError::Config(format!("the plan has no table '{name}'")))
}

/// The plan as the store remembers it: state belongs to steps with the same name and parameters.
pub fn plan_record(plan: &Plan, fragment: &Fragment) -> PlanRecord {
    let operators = fragment.steps.iter().map(|step| {
        let signature = format!("{:?} {:?}", step.operator, step.inputs);
        (step.name.clone(), xxh3_64(signature.as_bytes()))
    });
    PlanRecord { fingerprint: plan.fingerprint, operators: operators.collect() }
}

/// Formats of all scans of a fragment.
pub fn scan_ports(plan: &Plan, fragment: &Fragment, node: &str) -> Result<Vec<ScanPort>, RunError> {
    let port = |scan: &headwater_engine::fragment::Scan| {
        if plan.channels.iter().any(|channel| channel.name == scan.name) {
            return Ok(ScanPort { name: scan.name.clone(), decoder: None, metadata: Vec::new() });
        }
        let table = table(plan, &scan.name)?;
        let (decoder, metadata) = decoder(table, node)?;
        Ok(ScanPort { name: scan.name.clone(), decoder: Some(decoder), metadata })
    };
    fragment.scans.iter().map(port).collect()
}

fn flag(table: &Table, key: &str) -> bool {
    table.options.get(key).is_some_and(|value| value == "true")
}

fn timestamps(table: &Table, key: &str) -> TimestampStandard {
    match table.options.get(key).map(String::as_str) {
        Some("ISO-8601") => TimestampStandard::Iso8601,
        _ => TimestampStandard::Sql,
    }
}

fn decoder(table: &Table, node: &str) -> Result<(Decoder, Vec<(usize, Metadata)>), RunError> {
    let source = table.source.as_deref().unwrap_or_default();
    let mut columns = Vec::new();
    let mut positions = Vec::new();
    let mut metadata = Vec::new();
    for (index, column) in source.iter().enumerate() {
        match &column.origin {
            Origin::Metadata(key) => metadata.push((index, metadata_column(table, key, node)?)),
            Origin::Field { path, position } => {
                positions.push(*position);
                columns.push(Column {
                    path: path.clone(),
                    data_type: column.data_type.clone(),
                    nullable: column.nullable,
                    index,
                });
            }
        }
    }
    let decoder = match table.format.as_deref() {
        Some("csv") => {
            let columns = by_position(&table.physical, &columns, &positions);
            Decoder::Csv(Box::new(CsvDecoder::new(columns, csv_options(table)?)))
        }
        Some("json") | None => Decoder::Json(JsonDecoder::new(
            columns,
            JsonDecodeOptions {
                fail_on_missing_field: flag(table, "json.fail-on-missing-field"),
                ignore_parse_errors: flag(table, "json.ignore-parse-errors"),
                timestamps: timestamps(table, "json.timestamp-format.standard"),
            },
        )),
        Some(other) => return Err(config(table, format!("the format '{other}' cannot be read"))),
    };
    Ok((decoder, metadata))
}

/// One column for each field of a line; fields that nobody reads are skipped.
fn by_position(physical: &[String], columns: &[Column], positions: &[usize]) -> Vec<Column> {
    let column = |(at, name): (usize, &String)| {
        let found = positions.iter().position(|position| *position == at);
        found.map(|i| columns[i].clone()).unwrap_or_else(|| Column {
            path: vec![name.clone()],
            data_type: DataType::STRING,
            nullable: true,
            index: SKIPPED,
        })
    };
    physical.iter().enumerate().map(column).collect()
}

fn metadata_column(table: &Table, key: &str, node: &str) -> Result<Metadata, RunError> {
    if let Some(position) = key.strip_prefix("topic-segment.") {
        let position = position.parse().map_err(|_| config(table, format!("no column '{key}'")))?;
        return Ok(Metadata::TopicSegment(position));
    }
    match key {
        "topic" => Ok(Metadata::Topic),
        "timestamp" => Ok(Metadata::Arrival),
        "gateway" => Ok(Metadata::Constant(node.into())),
        "file.path" => {
            Ok(Metadata::Constant(table.options.get("path").cloned().unwrap_or_default()))
        }
        _ => Err(config(table, format!("there is no metadata column '{key}'"))),
    }
}

fn csv_options(table: &Table) -> Result<CsvOptions, RunError> {
    let mut options = CsvOptions::default();
    let byte = |key: &str| -> Result<Option<u8>, RunError> {
        let value = table.options.get(key).map(|text| option_byte(text)).transpose();
        value.map_err(|problem| config(table, format!("option '{key}': {problem}")))
    };
    options.delimiter = byte("csv.field-delimiter")?.unwrap_or(options.delimiter);
    options.quote = byte("csv.quote-character")?.or(options.quote);
    if flag(table, "csv.disable-quote-character") {
        options.quote = None;
    }
    options.escape = byte("csv.escape-character")?;
    options.comments = flag(table, "csv.allow-comments");
    options.ignore_parse_errors = flag(table, "csv.ignore-parse-errors");
    options.null_literal = table.options.get("csv.null-literal").cloned();
    Ok(options)
}

/// Formats and channels of all outputs of a fragment, and the sinks among them.
pub fn output_ports<'a>(
    plan: &'a Plan,
    fragment: &Fragment,
) -> Result<(Vec<OutputPort>, Vec<SinkSpec<'a>>), RunError> {
    let mut ports = Vec::new();
    let mut sinks = Vec::new();
    for (index, output) in (0u32..).zip(&fragment.outputs) {
        if output.kind == OutputKind::Exchange {
            ports.push(OutputPort::Exchange {
                channel: channel_number(plan, &output.name)?,
                time_column: crate::task::time_column(&output.schema),
                schema: output.schema.clone(),
                has_watermarks: true,
            });
            continue;
        }
        let table = table(plan, &output.name)?;
        let channel = SINK_CHANNEL_FIRST + index;
        let encoder = encoder(table, &output.schema)?;
        let mode = match (&encoder, table.primary_key.is_empty()) {
            (encoder, _) if encoder.takes_changes() => SinkMode::Changelog,
            (_, false) => SinkMode::Upsert,
            (_, true) => SinkMode::Append,
        };
        let key = table.primary_key.iter().filter_map(|name| output.schema.index_of(name));
        let key = key.map(|at| (at, output.schema.data_type(at).clone())).collect();
        ports.push(OutputPort::Sink { channel, encoder, mode, key });
        sinks.push(SinkSpec { channel, table });
    }
    Ok((ports, sinks))
}

/// Where a channel of the outbox leads.
pub(crate) fn channel_kind(channel: u32) -> &'static str {
    if channel >= SINK_CHANNEL_FIRST { "a sink of this node" } else { "the core" }
}

/// Number of an exchange: its position in the plan.
pub fn channel_number(plan: &Plan, name: &str) -> Result<u32, RunError> {
    let found = (0u32..).zip(&plan.channels).find(|(_, channel)| channel.name == name);
    found
        .map(|(number, _)| number)
        .ok_or_else(|| RunError::Config(format!("the plan has no exchange '{name}'")))
}

/// What the core takes from agents.
///
/// # Errors
/// When the plan lacks a channel.
pub fn exchanges(plan: &Plan) -> Result<Vec<Exchange>, RunError> {
    let scans = plan.core.iter().flat_map(|fragment| fragment.scans.iter().enumerate());
    let rung = |channel: u32| plan.ladder.iter().find(|rung| rung.to == channel as usize);
    let exchange = |(scan, spec): (usize, &Scan)| {
        let channel = channel_number(plan, &spec.name)?;
        let row_ms = rung(channel).map_or(0, |rung| rung.size_ms - 1);
        let mut finest = channel;
        while let Some(finer) = rung(finest).and_then(|rung| u32::try_from(rung.from).ok()) {
            finest = finer;
        }
        Ok(Exchange { channel, scan, schema: spec.decoded.clone(), finest, row_ms })
    };
    scans.filter(|(_, scan)| plan.table(&scan.name).is_none()).map(exchange).collect()
}

fn encoder(table: &Table, schema: &Schema) -> Result<Encoder, RunError> {
    let json = |key: &str| JsonEncodeOptions {
        timestamps: timestamps(table, key),
        ignore_null_fields: flag(table, "json.encode.ignore-null-fields"),
    };
    Ok(match table.format.as_deref() {
        Some("csv") => Encoder::Csv(CsvEncoder::new(schema, csv_options(table)?)),
        Some("changelog-json") => {
            let options = json("changelog-json.timestamp-format.standard");
            Encoder::ChangelogJson(ChangelogJsonEncoder::new(schema, options))
        }
        None if table.connector == "print" => {
            Encoder::ChangelogJson(ChangelogJsonEncoder::new(schema, json("")))
        }
        _ => Encoder::Json(JsonEncoder::new(schema, json("json.timestamp-format.standard"))),
    })
}

/// Opens the source of a table at a stored position.
pub(super) fn open_source(
    table: &Table,
    position: &Position,
    env: &Environment<'_>,
) -> Result<Box<dyn Source>, RunError> {
    let simple = position.get("").map(Vec::as_slice);
    let bytes_max = payload_bytes_max(table, env.payload_bytes_max);
    let wake = env.wake.clone();
    let opened: Result<Box<dyn Source>, OpenError> = match table.connector.as_str() {
        "filesystem" if table.is_looked_up => {
            let reload = table.options.get(RELOAD);
            let options = source::table::TableOptions {
                path: table.options.get("path").cloned().unwrap_or_default().into(),
                reload: reload
                    .and_then(|text| parse_duration_ms(text))
                    .map(std::time::Duration::from_millis),
                record_bytes_max: bytes_max,
            };
            source::table::Table::open(options, simple, wake).map(|s| Box::new(s) as _)
        }
        "filesystem" => {
            let follow = table.options.get("source.monitor-interval");
            let options = source::filesystem::FilesystemOptions {
                path: table.options.get("path").cloned().unwrap_or_default().into(),
                follow: follow
                    .and_then(|text| parse_duration_ms(text))
                    .map(std::time::Duration::from_millis),
                record_bytes_max: bytes_max,
            };
            source::filesystem::Filesystem::open(options, simple, wake).map(|s| Box::new(s) as _)
        }
        "mqtt" => {
            let mut options = mqtt_options(table, env.secrets, env.node)?;
            let topics = table.options.get("topic").cloned().unwrap_or_default();
            options.subscriptions = topics.split(';').map(|topic| topic.trim().into()).collect();
            source::mqtt::Mqtt::open(options, bytes_max, position, wake, env.handle)
                .map(|s| Box::new(s) as _)
        }
        "datagen" => {
            let options = connect::datagen_options(table)?;
            source::datagen::Datagen::open(options, simple, wake).map(|s| Box::new(s) as _)
        }
        other => return Err(config(table, format!("'{other}' is no source"))),
    };
    opened.map_err(|error| config(table, error))
}

fn payload_bytes_max(table: &Table, default: usize) -> usize {
    let own = table.options.get("payload-bytes-max").and_then(|text| parse_bytes(text));
    own.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(default)
}

/// Time without records after which a table's splits count as idle, in ms.
pub(super) fn idle_timeout_ms(plan: &Plan, table: &Table) -> Option<i64> {
    let own = table.options.get("scan.watermark.idle-timeout");
    let general = plan.settings.get("table.exec.source.idle-timeout");
    let text = own.or(general)?;
    let ms = parse_duration_ms(text).or_else(|| text.parse().ok())?;
    i64::try_from(ms).ok().filter(|ms| *ms > 0)
}

/// Opens the sink of a table.
pub(super) fn open_sink(table: &Table, env: &Environment<'_>) -> Result<Box<dyn Sink>, RunError> {
    let option = |key: &str| table.options.get(key).map(String::as_str);
    Ok(match table.connector.as_str() {
        "filesystem" => {
            let path = option("path").unwrap_or_default();
            let opened = sink::filesystem::Filesystem::new(path);
            Box::new(opened.map_err(|error| config(table, error))?)
        }
        "mqtt" => {
            let options = mqtt_options(table, env.secrets, env.node)?;
            let topic = option("topic").unwrap_or_default().to_owned();
            let retain = flag(table, "retain");
            Box::new(sink::mqtt::Mqtt::open(options, topic, retain, env.wake.clone(), env.handle))
        }
        "print" => Box::new(sink::print::Print::new(option("print-identifier"))),
        "blackhole" => Box::new(sink::blackhole::Blackhole),
        other => return Err(config(table, format!("'{other}' is no sink"))),
    })
}

/// See [`super::check`].
pub(super) fn check(plan: &Plan, secrets: &Secrets) -> Result<(), RunError> {
    let mut problems = Vec::new();
    for table in &plan.tables {
        for (key, value) in &table.options {
            if let Err(error) = secrets.expand(value) {
                problems.push(format!("table '{}', option '{key}': {error}", table.name));
            }
        }
        let path = table.options.get("path");
        // What is followed may come later, and a table that has gone is still in the state.
        let follows = ["source.monitor-interval", RELOAD];
        let is_followed = follows.iter().any(|key| table.options.contains_key(*key));
        if let (Some(path), true, false) = (path, table.source.is_some(), is_followed)
            && let Err(error) = std::fs::metadata(path)
        {
            problems.push(format!("table '{}', option 'path': {path}: {error}", table.name));
        }
        if table.source.is_some()
            && let Err(error) = decoder(table, "check")
        {
            problems.push(error.to_string());
        }
        if table.connector == "mqtt"
            && let Err(error) = mqtt_options(table, secrets, "check")
        {
            problems.push(error.to_string());
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(RunError::Config(problems.join("\n"))) }
}
