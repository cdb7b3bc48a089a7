//! Where the order of arrival does not matter.

use alloc::{vec, vec::Vec};

use super::{AggregateSpec, Fragment, Input, OperatorSpec, OutputKind};
use crate::aggregate::Calls;

impl Fragment {
    /// For each step whether what it emits reaches only aggregations by time whose results are the
    /// same in any order of arrival. A step that holds rows for the sake of their order alone need
    /// not do so there.
    pub fn steps_without_order(&self) -> Vec<bool> {
        let mut free = vec![false; self.steps.len()];
        for index in (0..self.steps.len()).rev() {
            let is_read = |input: &Input| *input == Input::Step(index);
            let mut readers =
                self.steps.iter().enumerate().filter(|(_, step)| step.inputs.iter().any(is_read));
            let is_free = readers.clone().next().is_some()
                && readers.all(|(reader, step)| match &step.operator {
                    OperatorSpec::Filter(_)
                    | OperatorSpec::Project(_)
                    | OperatorSpec::LocalTime { .. }
                    | OperatorSpec::Unnest { .. }
                    | OperatorSpec::Union => free[reader],
                    OperatorSpec::WindowAggregate(spec) => any_order(&spec.aggregates),
                    OperatorSpec::SessionAggregate(spec) => any_order(&spec.aggregates),
                    _ => false,
                });
            let leaves =
                |output: &super::Output| output.kind != OutputKind::Late && is_read(&output.input);
            free[index] = is_free && !self.outputs.iter().any(leaves);
        }
        free
    }
}

/// Aggregates that can follow changes do not depend on the order of arrival.
fn any_order(aggregates: &[AggregateSpec]) -> bool {
    Calls::bind_changing(aggregates).is_ok()
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use crate::{fragment::*, testkit::*};

    fn window(function: &str) -> (OperatorSpec, crate::types::Schema) {
        let call = AggregateSpec {
            function: function.into(),
            arg: Some((VALUE, crate::types::DataType::Double)),
            ..AggregateSpec::count_rows()
        };
        aggregate_step(aggregate(tumble(10), Phase::Complete, vec![call]))
    }

    fn first() -> (OperatorSpec, crate::types::Schema) {
        (OperatorSpec::DedupFirst(dedup(&[KEY, TIME])), readings())
    }

    #[test]
    fn sums_are_free_of_order_and_what_came_first_is_not() {
        let free = |steps: Vec<_>| chain(steps).steps_without_order();
        assert_eq!(free(vec![first(), window("SUM")]), [true, false]);
        assert_eq!(free(vec![first(), window("MAX")]), [true, false]);
        assert_eq!(free(vec![first(), window("FIRST_VALUE")]), [false, false]);
        assert_eq!(free(vec![first(), window("ARRAY_AGG")]), [false, false]);
        assert_eq!(free(vec![first()]), [false], "its rows leave the fragment");
        let keep = (
            OperatorSpec::Filter(crate::expr::Expr::column(0, crate::types::DataType::Boolean)),
            readings(),
        );
        assert_eq!(free(vec![first(), keep.clone(), window("SUM")]), [true, true, false]);
        assert_eq!(free(vec![first(), keep]), [false, false]);
    }

    #[test]
    fn rows_that_also_leave_keep_their_order() {
        let mut fragment = chain(vec![first(), window("SUM")]);
        let mut output = fragment.outputs[0].clone();
        output.input = Input::Step(0);
        fragment.outputs.push(output);
        assert_eq!(fragment.steps_without_order(), [false, false]);
        fragment.outputs[1].kind = OutputKind::Late;
        assert_eq!(fragment.steps_without_order(), [true, false]);
    }
}
