//! Scans: only the columns that are read, and what those are computed from.

use std::collections::BTreeSet;

use headwater_engine::expr::Expr;
use headwater_engine::fragment::{Input, Scan, Watermark};
use headwater_engine::types::{Field, Schema};

use crate::logical::{NodeId, each_column, rewrite};
use crate::lower::{Lowered, Lowering};
use crate::options::parse_duration_ms;
use crate::plan::SourceColumn;

impl Lowering<'_> {
    pub(super) fn scan(&mut self, node: NodeId, table: usize) -> Lowered {
        let def = &self.tables[table];
        let width = def.decoded.len();
        let mut kept: BTreeSet<usize> = self.needs.columns(node).collect();
        // A table that is looked up has no time.
        let watermark = def.watermark.as_ref().filter(|_| !self.graph.is_looked_up(node));
        // The watermark moves whatever the queries read.
        if let Some((rowtime, expr)) = watermark {
            kept.insert(*rowtime);
            each_column(expr, &mut |c| {
                kept.insert(c);
            });
        }
        for (i, (_, expr)) in def.computed.iter().enumerate().rev() {
            if kept.contains(&(width + i)) {
                each_column(expr, &mut |c| {
                    kept.insert(c);
                });
            }
        }
        let mut columns = vec![None; width + def.computed.len()];
        for (position, column) in kept.iter().enumerate() {
            columns[*column] = Some(position);
        }
        let placed = |expr: &Expr| {
            rewrite(expr, &mut |index, ty| {
                Expr::column(columns[index].expect("kept above"), ty.clone())
            })
        };
        let decoded: Vec<SourceColumn> =
            kept.iter().filter(|c| **c < width).map(|c| def.decoded[*c].clone()).collect();
        let computed = (kept.iter().filter(|c| **c >= width))
            .map(|c| {
                let (field, expr) = &def.computed[*c - width];
                (field.clone(), placed(expr))
            })
            .collect();
        let watermark = watermark.map(|(rowtime, expr)| Watermark {
            rowtime: columns[*rowtime].expect("kept above"),
            expr: placed(expr),
        });
        let fields = decoded.iter().map(|c| Field {
            name: c.name.clone(),
            data_type: c.data_type.clone(),
            nullable: c.nullable,
        });
        let scan = Scan {
            name: def.name.value.clone(),
            decoded: Schema::new(fields.collect()),
            computed,
            watermark,
            future_max_ms: future_max_ms(def),
        };
        self.fragment.scans.push(scan);
        self.layout.scans.push((table, decoded));
        Lowered { input: Input::Scan(self.fragment.scans.len() - 1), columns }
    }
}

/// The future guard of live sources where the option is absent: an hour.
const FUTURE_MAX_MS_DEFAULT: i64 = 3_600_000;

/// The guard of a source; bounded ones have none, because their answers must not depend on the
/// wall clock.
fn future_max_ms(def: &crate::catalog::TableDef) -> Option<i64> {
    let live = match def.options.connector.as_str() {
        "mqtt" => true,
        "filesystem" => def.options.get("source.monitor-interval").is_some(),
        _ => false,
    };
    let written = def.options.get("max-future").and_then(|(text, _)| parse_duration_ms(text));
    match written {
        Some(ms) => Some(i64::try_from(ms).unwrap_or(i64::MAX)),
        None => live.then_some(FUTURE_MAX_MS_DEFAULT),
    }
}
