//! Which steps may stay at the edge: those whose rows never meet rows of another gateway.

use headwater_engine::fragment::{Fragment, Input, JoinSpec, OperatorSpec};

use crate::catalog::TableDef;
use crate::compile::as_column;
use crate::cut::place_of;
use crate::lower::Layout;
use crate::plan::{Origin, Place};

/// Where a step is at work when all its rows are at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// At the edge.
    Edge,
    /// At the core: rows of several gateways meet in it.
    Core,
    /// One half at the edge, one at the core.
    Split,
}

/// The place of a step of `fragment`.
pub(crate) fn placement(
    fragment: &Fragment,
    index: usize,
    layout: &Layout,
    tables: &[TableDef],
) -> Placement {
    let step = &fragment.steps[index];
    let origins = Origins { fragment, layout, tables };
    let keys: &[&[usize]] = match &step.operator {
        OperatorSpec::Filter(_)
        | OperatorSpec::Project(_)
        | OperatorSpec::WindowAssign(_)
        | OperatorSpec::LocalTime { .. }
        | OperatorSpec::Unnest { .. }
        | OperatorSpec::LookupJoin(_)
        | OperatorSpec::Union => return Placement::Edge,
        OperatorSpec::Values(_) if origins.is_for_edge(index) => return Placement::Edge,
        OperatorSpec::Values(_) => return Placement::Core,
        OperatorSpec::WindowAggregate(_) => return Placement::Split,
        OperatorSpec::DedupFirst(spec) => &[&spec.key],
        OperatorSpec::GroupAggregate(spec) => &[&spec.keys],
        OperatorSpec::MatchRecognize(spec) => &[&spec.key],
        OperatorSpec::Absence(spec) => &[&spec.key],
        OperatorSpec::IntervalJoin(spec) => return origins.of_join(&step.inputs, &spec.join),
        OperatorSpec::WindowJoin(spec) => return origins.of_join(&step.inputs, &spec.join),
        OperatorSpec::TemporalJoin(spec) => return origins.of_join(&step.inputs, &spec.join),
        OperatorSpec::Join(spec) => return origins.of_join(&step.inputs, &spec.join),
        OperatorSpec::SessionAggregate(spec) => &[&spec.keys],
        OperatorSpec::SessionWindows(spec) => &[&spec.key],
        OperatorSpec::Over(spec) => &[&spec.partition],
        OperatorSpec::Rank(spec) => &[&spec.partition],
        OperatorSpec::Sort(_) => &[&[]],
    };
    let is_local = (step.inputs.iter().zip(keys)).all(|(input, key)| origins.is_local(*input, key));
    if is_local { Placement::Edge } else { Placement::Core }
}

struct Origins<'a> {
    fragment: &'a Fragment,
    layout: &'a Layout,
    tables: &'a [TableDef],
}

impl Origins<'_> {
    /// Whether all that reads a step is written at the edge.
    fn is_for_edge(&self, step: usize) -> bool {
        let mut reads = vec![false; self.fragment.steps.len()];
        reads[step] = true;
        let is_read = |input: &Input, reads: &[bool]| matches!(input, Input::Step(i) if reads[*i]);
        for (index, later) in self.fragment.steps.iter().enumerate().skip(step) {
            reads[index] |= later.inputs.iter().any(|input| is_read(input, &reads));
        }
        let outputs = self.fragment.outputs.iter().zip(&self.layout.outputs);
        let mut outputs = outputs.filter(|(output, _)| is_read(&output.input, &reads));
        outputs.all(|(_, (table, _))| place_of(&self.tables[*table], false) == Place::Edge)
    }

    /// Whether rows with equal values in these columns come from one gateway: the columns hold the
    /// gateway, or together every column that the source says to be gateway-local.
    fn is_local(&self, input: Input, columns: &[usize]) -> bool {
        let step = match input {
            Input::Scan(scan) => return self.is_local_scan(scan, columns),
            Input::Step(step) => &self.fragment.steps[step],
        };
        // Each gateway has all rows of VALUES that are at the edge.
        let Some(&below) = step.inputs.first() else { return true };
        match &step.operator {
            OperatorSpec::Filter(_) | OperatorSpec::DedupFirst(_) | OperatorSpec::Sort(_) => {
                self.is_local(below, columns)
            }
            OperatorSpec::Project(exprs) => {
                let passed: Vec<usize> =
                    columns.iter().filter_map(|column| as_column(&exprs[*column])).collect();
                self.is_local(below, &passed)
            }
            OperatorSpec::WindowAssign(_)
            | OperatorSpec::LocalTime { .. }
            | OperatorSpec::SessionWindows(_)
            | OperatorSpec::Unnest { .. }
            | OperatorSpec::LookupJoin(_)
            | OperatorSpec::Absence(_)
            | OperatorSpec::Over(_)
            | OperatorSpec::Rank(_) => {
                let width = self.width(below);
                let passed: Vec<usize> =
                    columns.iter().copied().filter(|column| *column < width).collect();
                self.is_local(below, &passed)
            }
            OperatorSpec::Values(_) => true,
            OperatorSpec::Union => step.inputs.iter().all(|input| self.is_local(*input, columns)),
            OperatorSpec::GroupAggregate(spec) => {
                let keys: Vec<usize> =
                    columns.iter().filter_map(|column| spec.keys.get(*column).copied()).collect();
                self.is_local(below, &keys)
            }
            OperatorSpec::MatchRecognize(spec) => {
                let passed: Vec<usize> =
                    columns.iter().filter_map(|column| spec.key.get(*column).copied()).collect();
                self.is_local(below, &passed)
            }
            OperatorSpec::SessionAggregate(spec) => {
                let key = |column: &usize| spec.keys.get(*column).copied();
                let passed: Vec<usize> = columns.iter().filter_map(key).collect();
                self.is_local(below, &passed)
            }
            OperatorSpec::WindowAggregate(_) => false,
            OperatorSpec::IntervalJoin(spec) => {
                self.is_local_join(&step.inputs, &spec.join, columns)
            }
            OperatorSpec::WindowJoin(spec) => self.is_local_join(&step.inputs, &spec.join, columns),
            OperatorSpec::TemporalJoin(spec) => {
                self.is_local_join(&step.inputs, &spec.join, columns)
            }
            OperatorSpec::Join(spec) => self.is_local_join(&step.inputs, &spec.join, columns),
        }
    }

    /// At the edge if partners come from one gateway: both sides hold it in the same key column, or
    /// all columns that together are said to be local.
    fn of_join(&self, inputs: &[Input], join: &JoinSpec) -> Placement {
        let [left, right] = &join.keys;
        let are_local = |left: &[usize], right: &[usize]| {
            self.is_local(inputs[0], left) && self.is_local(inputs[1], right)
        };
        let mut pairs = left.chunks(1).zip(right.chunks(1));
        let one_is = |columns: &[usize], input: Input| {
            columns.chunks(1).any(|column| self.is_local(input, column))
        };
        let by_one = pairs.any(|(left, right)| are_local(left, right));
        let by_all =
            are_local(left, right) && !one_is(left, inputs[0]) && !one_is(right, inputs[1]);
        if by_one || by_all { Placement::Edge } else { Placement::Core }
    }

    /// Whether rows of a join come from one gateway if they are equal in these columns. Columns of
    /// a side that may be NULLs say nothing.
    fn is_local_join(&self, inputs: &[Input], join: &JoinSpec, columns: &[usize]) -> bool {
        let width = self.width(inputs[0]);
        let left: Vec<usize> = columns.iter().copied().filter(|c| *c < width).collect();
        let right: Vec<usize> = columns.iter().filter_map(|c| c.checked_sub(width)).collect();
        let is_local = |side: usize, columns: &[usize]| {
            !join.kind.is_outer(1 - side) && self.is_local(inputs[side], columns)
        };
        is_local(0, &left) || is_local(1, &right)
    }

    fn width(&self, input: Input) -> usize {
        match input {
            Input::Scan(scan) => self.fragment.scans[scan].schema().len(),
            Input::Step(step) => self.fragment.steps[step].schema.len(),
        }
    }

    fn is_local_scan(&self, scan: usize, columns: &[usize]) -> bool {
        let (table, decoded) = &self.layout.scans[scan];
        let is_gateway = |column: &usize| {
            let gateway = Origin::Metadata("gateway".to_owned());
            decoded.get(*column).is_some_and(|c| c.origin == gateway)
        };
        if columns.iter().any(is_gateway) {
            return true;
        }
        let Some((names, _)) = self.tables[*table].options.get("gateway-local") else {
            return false;
        };
        let schema = self.fragment.scans[scan].schema();
        let held: Vec<&str> =
            columns.iter().map(|column| schema.fields[*column].name.as_str()).collect();
        names.split(',').all(|name| held.contains(&name.trim()))
    }
}
