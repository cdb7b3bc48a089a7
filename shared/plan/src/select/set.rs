//! UNION ALL. The other set operations are refused by name.

use headwater_engine::expr::Expr;
use headwater_engine::functions::common_type;
use headwater_engine::types::DataType;

use crate::ast::{SetOp, SetOperation};
use crate::bind::coerce;
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind, Role};
use crate::select::Planner;

impl Planner {
    pub(crate) fn set_operation(&mut self, set: &SetOperation) -> Result<NodeId> {
        let what = match (set.op, set.all) {
            (SetOp::Union, true) => return self.union_all(set),
            (op, true) => format!("{} ALL", op.as_str()),
            (op, false) => op.as_str().to_owned(),
        };
        Err(Issue::unsupported(set.span, &what))
    }

    fn union_all(&mut self, set: &SetOperation) -> Result<NodeId> {
        let inputs = [self.body(&set.left)?, self.body(&set.right)?];
        let types = self.common_types(inputs, set)?;
        let [left, right] = inputs.map(|input| self.cast_columns(input, &types, set));
        let inputs = [left?, right?];
        let columns = self.met_columns(inputs);
        Ok(self.graph.push(NodeKind::Union(inputs.to_vec()), columns))
    }

    /// The visible columns of a node.
    fn visible(&self, node: NodeId) -> Vec<(usize, Column)> {
        let columns = self.graph.columns(node).iter().cloned().enumerate();
        columns.filter(|(_, column)| !column.hidden).collect()
    }

    /// The type of each column that both sides can be cast to.
    fn common_types(
        &self,
        [left, right]: [NodeId; 2],
        set: &SetOperation,
    ) -> Result<Vec<DataType>> {
        let (left, right) = (self.visible(left), self.visible(right));
        let what = set.op.as_str();
        if left.len() != right.len() {
            let message = format!("{what} of {} and {} columns", left.len(), right.len());
            return Err(Issue::new(set.span, message, "select as many columns on both sides"));
        }
        let pairs = left.iter().zip(&right).enumerate();
        let common = pairs.map(|(i, ((_, l), (_, r)))| {
            common_type(&l.data_type, &r.data_type).ok_or_else(|| {
                let (number, l, r) = (i + 1, &l.data_type, &r.data_type);
                let message =
                    format!("column {number} of {what} is {l} on one side, {r} on the other");
                Issue::new(set.span, message, "cast one of them")
            })
        });
        common.collect()
    }

    /// A projection of the visible columns to these types.
    fn cast_columns(
        &mut self,
        node: NodeId,
        types: &[DataType],
        set: &SetOperation,
    ) -> Result<NodeId> {
        let mut items: Vec<(Vec<String>, Expr, bool)> = Vec::new();
        for ((index, column), data_type) in self.visible(node).into_iter().zip(types) {
            let value = coerce::implicit_cast(column.at(index), data_type.clone(), set.span)?;
            items.push((column.path, value, false));
        }
        Ok(self.graph.project(node, items))
    }

    /// The columns of rows that come from both sides: a column is an event time where it is one on
    /// both.
    fn met_columns(&self, [left, right]: [NodeId; 2]) -> Vec<Column> {
        let pairs = self.graph.columns(left).iter().zip(self.graph.columns(right));
        let met = pairs.map(|(l, r)| {
            let role = if l.role == r.role { l.role } else { Role::Plain };
            Column { nullable: l.nullable || r.nullable, role, ..l.clone() }
        });
        met.collect()
    }
}
