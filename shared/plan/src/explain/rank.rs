//! What rankings and sorts do, in words.

use headwater_engine::fragment::{RankMode, RankSpec, SortKey, SortSpec};
use headwater_engine::types::Schema;

use super::operator::column_text;

pub(super) fn text(spec: &RankSpec, below: &Schema) -> String {
    let keys: Vec<String> = spec.partition.iter().map(|c| column_text(below, *c)).collect();
    let ranks = match (spec.first, spec.last) {
        (1, 1) => "the first row".to_owned(),
        (1, last) => format!("the first {last} rows"),
        (first, last) => format!("rows {first} to {last}"),
    };
    let number = if spec.with_number { ", numbered" } else { "" };
    let mode = match spec.mode {
        RankMode::Append => String::new(),
        RankMode::Retract => ", of rows that are also taken away".to_owned(),
        RankMode::Latest => ", of equal ones the latest".to_owned(),
        RankMode::Improving => ", each as a new row".to_owned(),
        RankMode::Window { end, latest } => {
            let latest = if latest { ", of equal ones the latest" } else { "" };
            format!("{latest}, at {}", column_text(below, end))
        }
    };
    let order = order_text(&spec.order, below);
    let ttl = spec.ttl_ms.map_or(String::new(), |ms| format!(", forgotten after {ms} ms"));
    format!("rank: {ranks} of each ({}) by ({order}){number}{mode}{ttl}", keys.join(", "))
}

pub(super) fn sort_text(spec: &SortSpec, below: &Schema) -> String {
    let time = column_text(below, spec.rowtime);
    match spec.order.as_slice() {
        [] => format!("sort by {time}"),
        order => format!("sort by {time}, {}", order_text(order, below)),
    }
}

fn order_text(order: &[SortKey], below: &Schema) -> String {
    let term = |key: &SortKey| {
        let direction = if key.descending { " DESC" } else { "" };
        let nulls = match (key.descending, key.nulls_first) {
            (false, false) => " NULLS LAST",
            (true, true) => " NULLS FIRST",
            _ => "",
        };
        format!("{}{direction}{nulls}", column_text(below, key.column))
    };
    order.iter().map(term).collect::<Vec<_>>().join(", ")
}
