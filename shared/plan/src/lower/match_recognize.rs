//! Pattern detection: only the measures that are read are computed.

use std::collections::BTreeSet;

use headwater_engine::expr::Expr;
use headwater_engine::fragment::{Formula, Input, MatchItem, MatchSpec, OperatorSpec};
use headwater_engine::types::Schema;

use crate::logical::{NodeId, each_column, rewrite};
use crate::lower::provide::{Shape, Taken};
use crate::lower::{Lowered, Lowering, field};

/// The measures that others read, by position.
fn kept(own: &BTreeSet<usize>, spec: &MatchSpec) -> Vec<usize> {
    (0..spec.measures.len()).filter(|i| own.contains(&(spec.key.len() + i))).collect()
}

/// The columns that are read of the input, given those that others read of the step.
pub(super) fn reads(own: &BTreeSet<usize>, spec: &MatchSpec) -> BTreeSet<usize> {
    let mut reads: BTreeSet<usize> = spec.key.iter().copied().chain([spec.rowtime]).collect();
    reads.extend(spec.order.iter().map(|term| term.column));
    let measures = kept(own, spec).into_iter().map(|i| &spec.measures[i]);
    let defines = spec.variables.iter().filter_map(|variable| variable.define.as_ref());
    for item in measures.chain(defines).flat_map(|formula| &formula.items) {
        match item {
            MatchItem::Current(column) | MatchItem::Row { column, .. } => {
                reads.insert(*column);
            }
            MatchItem::Aggregate { arg: Some(arg), .. } => each_column(arg, &mut |column| {
                reads.insert(column);
            }),
            MatchItem::Aggregate { arg: None, .. } | MatchItem::Time => {}
        }
    }
    reads
}

impl Lowering<'_> {
    pub(super) fn match_recognize(
        &mut self,
        node: NodeId,
        input: NodeId,
        spec: &MatchSpec,
    ) -> Lowered {
        let late = self.needs.late(node);
        let all = self.graph.columns(node);
        let own = self.wanted(node, all.len());
        let kept = kept(&own, spec);
        let taken = self.take(input, &reads(&own, spec), late.as_ref(), Shape::Narrow);
        let mut placed = spec.clone();
        placed.key.iter_mut().for_each(|column| *column = taken.at(*column));
        placed.rowtime = taken.at(spec.rowtime);
        placed.order.iter_mut().for_each(|term| term.column = taken.at(term.column));
        for variable in &mut placed.variables {
            variable.define.iter_mut().for_each(|define| place(define, &taken));
        }
        placed.measures = kept.iter().map(|i| spec.measures[*i].clone()).collect();
        placed.measures.iter_mut().for_each(|measure| place(measure, &taken));
        let mut columns = vec![None; all.len()];
        let mut schema = Schema::default();
        let keys = spec.key.len();
        for column in (0..keys).chain(kept.iter().map(|i| keys + i)) {
            columns[column] = Some(schema.fields.len());
            schema.fields.push(field(&all[column]));
        }
        let operator = OperatorSpec::MatchRecognize(placed);
        let step = self.step("match", &[taken.input], operator, schema);
        self.late_output(step, late, &taken.late);
        Lowered { input: Input::Step(step), columns }
    }
}

fn place(formula: &mut Formula, taken: &Taken) {
    for item in &mut formula.items {
        match item {
            MatchItem::Current(column) | MatchItem::Row { column, .. } => {
                *column = taken.at(*column);
            }
            MatchItem::Aggregate { arg: Some(arg), .. } => {
                *arg = rewrite(arg, &mut |column, ty| Expr::column(taken.at(column), ty.clone()));
            }
            MatchItem::Aggregate { arg: None, .. } | MatchItem::Time => {}
        }
    }
}
