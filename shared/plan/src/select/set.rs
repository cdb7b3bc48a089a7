//! UNION, INTERSECT and EXCEPT.
//!
//! Only UNION ALL passes rows on as they are. The others are aggregations by all columns: UNION
//! keeps each key; INTERSECT and EXCEPT keep those whose rows came from the sides they ask for, and
//! with ALL as many copies of them as they ask for.

use headwater_engine::expr::{Expr, ExprKind, Literal};
use headwater_engine::fragment::AggregateSpec;
use headwater_engine::functions::{COPIES, common_type};
use headwater_engine::types::DataType;

use crate::ast::{SetOp, SetOperation};
use crate::bind::{self, coerce};
use crate::diagnostic::{Issue, Result};
use crate::logical::{Column, NodeId, NodeKind, Role};
use crate::select::{Planner, Selected};

impl Planner {
    pub(crate) fn set_operation(&mut self, set: &SetOperation) -> Result<NodeId> {
        match (set.op, set.all) {
            (SetOp::Union, true) => self.union_all(set),
            (SetOp::Union, false) => {
                let all = self.union_all(set)?;
                Ok(self.distinct(all))
            }
            (op, true) => self.by_counts(set, op == SetOp::Intersect),
            (op, false) => self.by_sides(set, op == SetOp::Intersect),
        }
    }

    /// INTERSECT and EXCEPT: of each row the smallest and the largest side that it came from.
    fn by_sides(&mut self, set: &SetOperation, has_right: bool) -> Result<NodeId> {
        let mark = |side| vec![Expr::literal(Literal::Int(side), DataType::Int)];
        let (all, kept) = self.both_sides(set, [mark(0), mark(1)])?;
        let width = kept.len();
        let mut columns = kept.clone();
        let mut aggregates = Vec::new();
        for function in ["MIN", "MAX"] {
            let arg = Some((width, DataType::Int));
            aggregates.push(AggregateSpec {
                function: function.to_owned(),
                arg,
                filter: None,
                distinct: false,
                params: Vec::new(),
                weight: None,
            });
            columns.push(Column::new(format!("${function}"), DataType::Int));
        }
        let keys = (0..width).collect();
        let grouped = self.graph.push(NodeKind::Group { input: all, keys, aggregates }, columns);
        let is_side = |column, side| {
            let args =
                vec![Expr::column(column, DataType::Int), Expr::literal(side, DataType::Int)];
            Expr { kind: ExprKind::Call("=".to_owned(), args), data_type: DataType::Boolean }
        };
        let largest = Literal::Int(i64::from(has_right));
        let sides = vec![is_side(width, Literal::Int(0)), is_side(width + 1, largest)];
        let filtered = self.graph.filter(grouped, sides);
        let items = kept.into_iter().enumerate().map(|(i, c)| (c.path.clone(), c.at(i), false));
        let items = items.collect();
        Ok(self.graph.project(filtered, items))
    }

    /// INTERSECT ALL and EXCEPT ALL: each row as often as it is on both sides, or as it is on the
    /// left side more often than on the right one.
    fn by_counts(&mut self, set: &SetOperation, is_common: bool) -> Result<NodeId> {
        let mark = |is_left| {
            let flag = |value| Expr::literal(Literal::Bool(value), DataType::Boolean);
            vec![flag(is_left), flag(!is_left)]
        };
        let (all, kept) = self.both_sides(set, [mark(true), mark(false)])?;
        let width = kept.len();
        let mut columns = kept.clone();
        let mut aggregates = Vec::new();
        for side in 0..2 {
            aggregates
                .push(AggregateSpec { filter: Some(width + side), ..AggregateSpec::count_rows() });
            columns.push(Column::new(format!("$count_{side}"), DataType::BigInt));
        }
        let keys = (0..width).collect();
        let grouped = self.graph.push(NodeKind::Group { input: all, keys, aggregates }, columns);
        let [left, right] = [width, width + 1].map(|c| Expr::column(c, DataType::BigInt));
        let zero = Expr::literal(Literal::Int(0), DataType::BigInt);
        let (more, copies) = match is_common {
            true => (
                bind::call(">", vec![right.clone(), zero.clone()], set.span)?,
                bind::call("LEAST", vec![left.clone(), right], set.span)?,
            ),
            false => (
                bind::call(">", vec![left.clone(), right.clone()], set.span)?,
                bind::call("-", vec![left.clone(), right], set.span)?,
            ),
        };
        let some = bind::call(">", vec![left, zero], set.span)?;
        let filtered = self.graph.filter(grouped, vec![some, more]);
        let items = kept.iter().enumerate().map(|(i, c)| (c.path.clone(), c.at(i), false));
        let mut items: Vec<Selected> = items.collect();
        let copies = bind::call(COPIES, vec![copies], set.span)?;
        items.push((vec!["$copies".to_owned()], copies, true));
        let counted = self.graph.project(filtered, items);
        let mut columns = self.graph.columns(counted).to_vec();
        columns.push(Column::new("$copy", DataType::Boolean).hide());
        let copied = self.graph.push(NodeKind::Unnest(counted, width), columns);
        let items = kept.into_iter().enumerate().map(|(i, c)| (c.path.clone(), c.at(i), false));
        let items = items.collect();
        Ok(self.graph.project(copied, items))
    }

    /// The rows of both sides, each with what marks its side behind its columns; and those columns
    /// without the marks.
    fn both_sides(
        &mut self,
        set: &SetOperation,
        marks: [Vec<Expr>; 2],
    ) -> Result<(NodeId, Vec<Column>)> {
        let inputs = [self.body(&set.left)?, self.body(&set.right)?];
        let types = self.common_types(inputs, set)?;
        let mut sides = [0; 2];
        for ((side, input), marks) in sides.iter_mut().zip(inputs).zip(marks) {
            let node = self.cast_columns(input, &types, set)?;
            let all = self.graph.columns(node).iter().enumerate();
            let mut items: Vec<Selected> =
                all.map(|(i, c)| (c.path.clone(), c.at(i), false)).collect();
            let marks = marks.into_iter().enumerate();
            items.extend(marks.map(|(i, mark)| (vec![format!("$side_{i}")], mark, true)));
            *side = self.graph.project(node, items);
        }
        let columns = self.met_columns(sides);
        let plain = |column: &Column| column.clone().with_role(Role::Plain);
        let kept = columns[..types.len()].iter().map(plain).collect();
        Ok((self.graph.push(NodeKind::Union(sides.to_vec()), columns), kept))
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
