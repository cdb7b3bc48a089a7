//! Rows of the script itself: only the columns that are read are computed.

use headwater_engine::expr::Expr;
use headwater_engine::fragment::{Input, OperatorSpec};
use headwater_engine::types::Schema;

use crate::logical::NodeId;
use crate::lower::{Lowered, Lowering, field};

impl Lowering<'_> {
    pub(super) fn values(&mut self, node: NodeId, rows: &[Vec<Expr>]) -> Lowered {
        let all = self.graph.columns(node);
        let wanted = self.wanted(node, all.len());
        let kept = |row: &Vec<Expr>| wanted.iter().map(|column| row[*column].clone()).collect();
        let operator = OperatorSpec::Values(rows.iter().map(kept).collect());
        let schema = Schema::new(wanted.iter().map(|column| field(&all[*column])).collect());
        let step = self.step("values", &[], operator, schema);
        let place = |column| wanted.iter().position(|kept| *kept == column);
        Lowered { input: Input::Step(step), columns: (0..all.len()).map(place).collect() }
    }
}
