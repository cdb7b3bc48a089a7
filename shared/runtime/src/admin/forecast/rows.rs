//! Made-up readings of a source table.

use std::io::Write;

use headwater_engine::calendar::Moment;
use headwater_engine::calendar::text::{TimestampStandard, write_json_timestamp};
use headwater_engine::expr::{Expr, ExprKind};
use headwater_engine::fragment::{Fragment, Scan};
use headwater_engine::types::DataType;
use headwater_plan::{Origin, Plan, SourceColumn, Table};

use super::Load;
use crate::config::did_you_mean;
use crate::driver::wiring;
use crate::source::datagen::{Datagen, DatagenOptions};
use crate::source::{Source, SourceBatch, SourceEvent, Wake};

/// Different values of a text column of which nothing was said.
const TEXTS: u64 = 100;
/// How event times can be written in a column that is no TIMESTAMP.
pub(super) const STYLES: [TimeStyle; 3] = [TimeStyle::Text, TimeStyle::Millis, TimeStyle::Seconds];

/// How an event time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeStyle {
    /// As a timestamp of SQL.
    Text,
    /// Milliseconds since 1970.
    Millis,
    /// Seconds since 1970.
    Seconds,
}

/// What stands in a column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fill {
    /// One of `count` values, each as often: rows count through all of them.
    Distinct {
        count: u64,
        every: u64,
        is_text: bool,
    },
    Time {
        is_local: bool,
        style: TimeStyle,
    },
    Whole {
        max: u64,
    },
    Real,
    Bool,
    Null,
}

/// An object of JSON with its leaves.
pub(super) enum Tree {
    Leaf(Fill),
    Object(Vec<(String, Tree)>),
}

/// The readings of one table.
pub(super) enum Feed {
    /// A generator of the pipeline's own.
    Datagen(Box<Datagen>, SourceBatch, usize),
    /// JSON that fits the columns.
    Made { tree: Tree, topic: Option<(u64, u64)>, row: u64 },
}

/// The rate of a pipeline's own generators.
pub(super) fn datagen_rate(plan: &Plan, fragment: &Fragment) -> Option<u64> {
    let tables = fragment.scans.iter().filter_map(|scan| plan.table(&scan.name));
    let rates = tables
        .filter(|table| table.connector == "datagen")
        .map(|table| wiring::datagen_options(table).map_or(0, |options| options.rows_per_second));
    Some(rates.sum()).filter(|rate| *rate > 0)
}

/// Columns that were named but are in no table.
pub(super) fn unknown_column(plan: &Plan, fragment: &Fragment, load: &Load) -> Option<String> {
    let tables = fragment.scans.iter().filter_map(|scan| plan.table(&scan.name));
    let columns = tables.flat_map(|table| table.source.iter().flatten());
    let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    let unknown = load.distinct.keys().find(|name| !names.contains(&name.as_str()))?;
    let near = did_you_mean(unknown, names.iter().copied());
    let hint = near.map_or(String::new(), |near| format!("; did you mean '{near}'?"));
    Some(format!("--distinct {unknown}: no source has a column of this name that is read{hint}"))
}

impl Feed {
    pub(super) fn of(
        table: &Table,
        scan: &Scan,
        load: &Load,
        style: TimeStyle,
    ) -> Result<Feed, String> {
        if table.connector == "datagen" {
            let options = wiring::datagen_options(table).map_err(|error| error.to_string())?;
            let options = DatagenOptions { rows_per_second: 0, rows_max: None, ..options };
            let source = Datagen::open(options, None, Wake::new());
            let source = source.map_err(|error| error.to_string())?;
            return Ok(Feed::Datagen(Box::new(source), SourceBatch::default(), 0));
        }
        let times = time_columns(scan);
        let mut every = 1;
        let mut tree = Vec::new();
        let mut topic = None;
        for (index, column) in table.source.iter().flatten().enumerate() {
            let named = load.distinct.get(&column.name).copied();
            let fill = fill(column, named, &mut every, times.contains(&index).then_some(style));
            match (&column.origin, fill) {
                (Origin::Field { path, .. }, fill) => insert(&mut tree, path, fill),
                (Origin::Metadata(_), Fill::Distinct { count, every, .. }) => {
                    topic = Some((count, every));
                }
                (Origin::Metadata(_), _) => {}
            }
        }
        Ok(Feed::Made { tree: Tree::Object(tree), topic, row: 0 })
    }

    /// Writes the next row and its topic.
    pub(super) fn next(&mut self, now_ms: i64, record: &mut Vec<u8>, topic: &mut Vec<u8>) {
        record.clear();
        topic.clear();
        match self {
            Feed::Datagen(source, batch, at) => {
                if *at == batch.records.len() {
                    source.recycle(std::mem::take(batch));
                    if let Some(SourceEvent::Batch(more)) = source.poll() {
                        (*batch, *at) = (more, 0);
                    }
                }
                if *at < batch.records.len() {
                    record.extend_from_slice(batch.record(*at));
                    *at += 1;
                }
            }
            Feed::Made { tree, topic: of_topic, row } => {
                write(tree, *row, now_ms, record);
                if let Some((count, every)) = of_topic {
                    let value = *row / *every % *count;
                    let _ = write!(topic, "{value:06}/{value:06}/{value:06}/{value:06}");
                }
                *row += 1;
            }
        }
    }
}

/// Decoded columns that the event time is made of.
fn time_columns(scan: &Scan) -> Vec<usize> {
    let Some(watermark) = &scan.watermark else { return Vec::new() };
    let mut open = vec![watermark.rowtime];
    let mut found = Vec::new();
    while let Some(column) = open.pop() {
        match column.checked_sub(scan.decoded.len()) {
            None => found.push(column),
            Some(computed) => columns_of(&scan.computed[computed].1, &mut open),
        }
    }
    found
}

fn columns_of(expr: &Expr, found: &mut Vec<usize>) {
    if let ExprKind::Column(column) = expr.kind {
        found.push(column);
    }
    expr.children().into_iter().for_each(|child| columns_of(child, found));
}

fn fill(
    column: &SourceColumn,
    named: Option<u64>,
    every: &mut u64,
    time: Option<TimeStyle>,
) -> Fill {
    let data_type = &column.data_type;
    let is_topic = matches!(&column.origin, Origin::Metadata(key) if key.starts_with("topic"));
    if data_type.is_timestamp() {
        let is_local = matches!(data_type, DataType::TimestampLtz(_));
        return Fill::Time { is_local, style: TimeStyle::Text };
    }
    if let Some(style) = time {
        return Fill::Time { is_local: false, style };
    }
    if let Some(count) = named.or((data_type.is_text() || is_topic).then_some(TEXTS)) {
        let count = count.max(1);
        // Columns of which nothing was said do not multiply the keys.
        let period = *every;
        if named.is_some() {
            *every = every.saturating_mul(count);
        }
        let every = if named.is_some() { period } else { 1 };
        return Fill::Distinct { count, every, is_text: data_type.is_text() };
    }
    match data_type {
        DataType::Boolean => Fill::Bool,
        DataType::TinyInt => Fill::Whole { max: 100 },
        t if t.is_integer() => Fill::Whole { max: 10_000 },
        t if t.is_approximate() || matches!(t, DataType::Decimal { .. }) => Fill::Real,
        _ => Fill::Null,
    }
}

fn insert(fields: &mut Vec<(String, Tree)>, path: &[String], fill: Fill) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        fields.push((name.clone(), Tree::Leaf(fill)));
        return;
    }
    let at = fields.iter().position(|(known, _)| known == name);
    let at = at.unwrap_or_else(|| {
        fields.push((name.clone(), Tree::Object(Vec::new())));
        fields.len() - 1
    });
    if let Tree::Object(inner) = &mut fields[at].1 {
        insert(inner, rest, fill);
    }
}

fn write(tree: &Tree, row: u64, now_ms: i64, out: &mut Vec<u8>) {
    match tree {
        Tree::Leaf(fill) => write_value(*fill, row, now_ms, out),
        Tree::Object(fields) => {
            out.push(b'{');
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let name = serde_json::to_string(name).expect("a text always becomes JSON");
                let _ = write!(out, "{name}:");
                write(field, noise_of(row, index), now_ms, out);
            }
            out.push(b'}');
        }
    }
}

/// The row's number in the low half, noise for this field in the high half.
fn noise_of(row: u64, index: usize) -> u64 {
    let row = row & 0xffff_ffff;
    let mixed = (row ^ (index as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29) & 0xffff_ffff_0000_0000 | row
}

fn write_value(fill: Fill, row: u64, now_ms: i64, out: &mut Vec<u8>) {
    let (number, noise) = (row & 0xffff_ffff, row >> 32);
    let _ = match fill {
        Fill::Distinct { count, every, is_text: true } => {
            write!(out, "\"{:06}\"", number / every % count)
        }
        Fill::Distinct { count, every, is_text: false } => {
            write!(out, "{}", number / every % count)
        }
        Fill::Time { is_local, style: TimeStyle::Text } => {
            let mut text = String::new();
            let (moment, standard) = (Moment::of_ms(now_ms), TimestampStandard::Sql);
            let _ = write_json_timestamp(&mut text, moment, is_local, standard);
            write!(out, "\"{text}\"")
        }
        Fill::Time { style: TimeStyle::Millis, .. } => write!(out, "{now_ms}"),
        Fill::Time { style: TimeStyle::Seconds, .. } => write!(out, "{}", now_ms / 1000),
        Fill::Whole { max } => write!(out, "{}", noise % max),
        Fill::Real => write!(out, "{}.{:02}", noise % 90, noise / 90 % 100),
        Fill::Bool => write!(out, "{}", noise & 1 == 1),
        Fill::Null => write!(out, "null"),
    };
}
