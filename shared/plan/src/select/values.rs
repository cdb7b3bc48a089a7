//! VALUES, and SELECT without FROM: rows that the script holds.

use headwater_engine::functions::common_type;
use headwater_engine::types::DataType;

use crate::ast::Values;
use crate::bind::{Binder, Scope, coerce};
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind};
use crate::select::Planner;

impl Planner {
    /// Columns `EXPR$0`, `EXPR$1`, …, each of the type that all its values have in common.
    pub(super) fn values(&mut self, values: &Values) -> Result<NodeId> {
        let scope = Scope::default();
        let bind = |e| Binder::new(&scope).bind(e);
        let mut rows = Vec::new();
        for row in &values.rows {
            rows.push(row.iter().map(bind).collect::<Result<Vec<_>>>()?);
        }
        let width = rows.first().map_or(0, Vec::len);
        let mut types = vec![DataType::Null; width];
        for (number, (row, written)) in rows.iter().zip(&values.rows).enumerate() {
            for (column, (value, from)) in row.iter().zip(written).enumerate() {
                let (before, own) = (&types[column], &value.data_type);
                let common = if number == 0 { Some(own.clone()) } else { common_type(before, own) };
                types[column] = common.ok_or_else(|| {
                    let message = format!(
                        "column {} of VALUES is {before} in one row, {own} in another",
                        column + 1
                    );
                    Issue::new(from.span, message, "cast one of them")
                })?;
            }
        }
        for (row, written) in rows.iter_mut().zip(&values.rows) {
            for ((value, from), data_type) in row.iter_mut().zip(written).zip(&types) {
                *value = coerce::implicit_cast(value.clone(), data_type.clone(), from.span)?;
            }
        }
        let columns = types.into_iter().enumerate();
        let columns = columns.map(|(i, ty)| Column::new(format!("EXPR${i}"), ty)).collect();
        Ok(self.graph.push(NodeKind::Values(rows), columns))
    }

    /// One row without columns, which is what a SELECT without FROM reads.
    pub(super) fn one_row(&mut self) -> NodeId {
        self.graph.push(NodeKind::Values(vec![Vec::new()]), Vec::new())
    }
}
