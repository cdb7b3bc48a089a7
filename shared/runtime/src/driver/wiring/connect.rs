//! Options of connections and of made-up rows.

use std::time::Duration;

use headwater_engine::types::DataType;
use headwater_plan::{Table, parse_duration_ms};

use super::{RunError, config};
use crate::config::Secrets;
use crate::mqtt::{MqttOptions, TlsFiles, Version};
use crate::source::datagen::{DatagenOptions, Generator};

/// Connection options of an `mqtt` table.
pub(in crate::driver) fn mqtt_options(
    table: &Table,
    secrets: &Secrets,
    node: &str,
) -> Result<MqttOptions, RunError> {
    let text = |key: &str| -> Result<Option<crate::config::Secret>, RunError> {
        let value = table.options.get(key).map(|value| secrets.expand(value)).transpose();
        value.map_err(|error| config(table, format!("option '{key}': {error}")))
    };
    let url = text("url")?.map(|url| url.expose().to_owned()).unwrap_or_default();
    let (host, port, is_tls) = MqttOptions::parse_url(&url)
        .map_err(|problem| config(table, format!("option 'url': {problem}")))?;
    let id = match text("client-id")? {
        Some(id) => id.expose().to_owned(),
        None => client_id(node, &table.name),
    };
    let mut options = MqttOptions::new(id, host, port);
    options.version = match table.options.get("version").map(String::as_str) {
        Some("5") => Version::V5,
        Some(_) => Version::V4,
        None => Version::Auto,
    };
    options.subscribe_qos0 = table.options.get("qos").is_some_and(|qos| qos == "0");
    if let Some(user) = text("username")? {
        let password = text("password")?.unwrap_or_else(|| crate::config::Secret::new(""));
        options.user = Some((user.expose().to_owned(), password));
    }
    if let Some(ms) = table.options.get("keep-alive").and_then(|text| parse_duration_ms(text)) {
        options.keep_alive = Duration::from_millis(ms).max(Duration::from_secs(5));
    }
    if let Some(max) = table.options.get("inflight-max").and_then(|text| text.parse().ok()) {
        options.receive_max = max;
    }
    if is_tls {
        let tls = tls_files(table, &text)?.client_config();
        options.tls = Some(
            tls.map_err(|error| config(table, format!("option 'tls.{}': {error}", error.file)))?,
        );
    }
    Ok(options)
}

/// A client id that is the same in every life of this node.
pub(in crate::driver) fn client_id(node: &str, purpose: &str) -> String {
    format!("headwater-{node}-{purpose}")
}

fn tls_files(
    table: &Table,
    text: &dyn Fn(&str) -> Result<Option<crate::config::Secret>, RunError>,
) -> Result<TlsFiles, RunError> {
    let read = |key: &str| -> Result<Option<Vec<u8>>, RunError> {
        let read = text(key)?.map(|path| std::fs::read(path.expose())).transpose();
        read.map_err(|error| config(table, format!("option '{key}': {error}")))
    };
    let client = match (read("tls.cert")?, read("tls.key")?) {
        (Some(cert), Some(key)) => {
            let key = String::from_utf8(key)
                .map_err(|_| config(table, "option 'tls.key': the file is not in PEM"))?;
            Some((cert, crate::config::Secret::new(key)))
        }
        (None, None) => None,
        _ => return Err(config(table, "'tls.cert' and 'tls.key' go together")),
    };
    Ok(TlsFiles { ca: read("tls.ca")?, client })
}

/// Options of a `datagen` table, with Flink's defaults.
pub(crate) fn datagen_options(table: &Table) -> Result<DatagenOptions, RunError> {
    let number = |key: &str| table.options.get(key).and_then(|text| text.parse::<u64>().ok());
    let mut fields = Vec::new();
    for column in table.source.as_deref().unwrap_or_default() {
        let generator = generator(table, &column.name, &column.data_type)?;
        fields.push((column.name.clone(), generator));
    }
    Ok(DatagenOptions {
        fields,
        rows_per_second: number("rows-per-second").unwrap_or(10_000),
        rows_max: number("number-of-rows"),
        seed: 1,
    })
}

fn generator(table: &Table, name: &str, data_type: &DataType) -> Result<Generator, RunError> {
    let option = |key: &str| table.options.get(&format!("fields.{name}.{key}"));
    let whole = |key: &str, default: i64| option(key).map_or(Some(default), |t| t.parse().ok());
    let real = |key: &str, default: f64| option(key).map_or(Some(default), |t| t.parse().ok());
    let bad = || config(table, format!("the options 'fields.{name}.…' do not fit {data_type}"));
    if option("kind").is_some_and(|kind| kind == "sequence") {
        let start = whole("start", 0).ok_or_else(bad)?;
        let end = whole("end", i64::MAX).ok_or_else(bad)?;
        return Ok(Generator::Sequence { start, end });
    }
    match data_type {
        DataType::Boolean => Ok(Generator::Bool),
        t if t.is_text() => Ok(Generator::Text {
            length: usize::try_from(whole("length", 100).ok_or_else(bad)?).map_err(|_| bad())?,
        }),
        t if t.is_approximate() || matches!(t, DataType::Decimal { .. }) => Ok(Generator::Real {
            min: real("min", 0.0).ok_or_else(bad)?,
            max: real("max", 1_000_000.0).ok_or_else(bad)?,
        }),
        t if t.is_integer() => Ok(Generator::Whole {
            min: whole("min", 0).ok_or_else(bad)?,
            max: whole("max", largest(t)).ok_or_else(bad)?,
        }),
        t if t.is_timestamp() => Ok(Generator::Time { start_ms: 0, step_ms: 1 }),
        _ => Err(bad()),
    }
}

fn largest(data_type: &DataType) -> i64 {
    match data_type {
        DataType::TinyInt => i64::from(i8::MAX),
        DataType::SmallInt => i64::from(i16::MAX),
        DataType::Int => i64::from(i32::MAX),
        _ => i64::MAX,
    }
}
