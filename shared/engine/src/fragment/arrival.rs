//! Where the order of arrival does not matter.
//!
//! A deduplication whose key holds the event time holds rows for the sake of their order alone. It
//! need not where what reads them puts them in order of time itself, or gives the same results in
//! any order. Rows of equal time then come as they arrived, as they do when they have waited; and a
//! row that is on time when it comes is on time behind the watermark that it would have waited for.
//!
//! These do depend on when or in what order rows come, and keep them waiting:
//! - rankings, keep-last deduplication among them, GROUP BY, and joins without a bound in time:
//!   each row changes the result at once, so that other changes would come out;
//! - rankings of windows: equal rows stand in order of arrival, whatever their times;
//! - joins of two streams: a row of just the watermark's time is late once the other side has come
//!   as far, so that it matters when it goes on; and in interval joins what has expired leaves when
//!   a row of the other side passes by, so that a late row meets more or fewer rows;
//! - joins with a table that is looked up: it is the table's content of the moment;
//! - OVER with a TTL: a row that waits there keeps its key alive;
//! - a union before what keeps rows of equal time in order: those of its other inputs would come
//!   behind and not before;
//! - windows of aggregates that tell first from last;
//! - sinks that keep the last row of a key.

use alloc::{vec, vec::Vec};

use super::{AggregateSpec, Fragment, Input, OperatorSpec, OutputKind, OverSpec, Step};
use crate::{
    aggregate::Calls,
    expr::{Expr, ExprKind},
};

/// What a reader makes of the order in which rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is the same to it.
    Any,
    /// It goes by an event time.
    ByTime {
        /// The column of the time.
        rowtime: usize,
        /// Rows of equal time stand in the order in which they came.
        keeps_ties: bool,
    },
    /// It takes rows as they come.
    Arrival,
}

impl Order {
    fn by_time(rowtime: usize) -> Self {
        Order::ByTime { rowtime, keeps_ties: false }
    }

    fn then_by_arrival(rowtime: usize) -> Self {
        Order::ByTime { rowtime, keeps_ties: true }
    }

    /// What two readers make of it together.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Order::Any, order) | (order, Order::Any) => order,
            (
                Order::ByTime { rowtime, keeps_ties },
                Order::ByTime { rowtime: same, keeps_ties: other },
            ) if rowtime == same => Order::ByTime { rowtime, keeps_ties: keeps_ties || other },
            _ => Order::Arrival,
        }
    }

    /// The same without a promise about rows of equal time.
    fn mixing_ties(self) -> Self {
        match self {
            Order::ByTime { keeps_ties: true, .. } => Order::Arrival,
            order => order,
        }
    }

    /// The same of rows whose time is in another column; `None` where it is not known.
    fn with_time(self, column: impl FnOnce(usize) -> Option<usize>) -> Self {
        match self {
            Order::ByTime { rowtime, keeps_ties } => match column(rowtime) {
                Some(rowtime) => Order::ByTime { rowtime, keeps_ties },
                None => Order::Arrival,
            },
            order => order,
        }
    }

    /// The same of rows from which `columns` are computed, if any are.
    pub fn before(self, columns: Option<&[Expr]>) -> Self {
        let Some(columns) = columns else { return self };
        self.with_time(|column| match columns.get(column)?.kind {
            ExprKind::Column(below) => Some(below),
            _ => None,
        })
    }
}

impl Fragment {
    /// For each step whether it may give rows on at once that it would hold for the sake of their
    /// order alone.
    pub fn steps_at_once(&self) -> Vec<bool> {
        let orders = self.orders();
        let is_at_once = |(step, order): (&Step, &Order)| match (&step.operator, *order) {
            (OperatorSpec::DedupFirst(spec), _) if !spec.key_holds_time => false,
            (OperatorSpec::DedupFirst(_), Order::Any) => true,
            (OperatorSpec::DedupFirst(spec), Order::ByTime { rowtime, .. }) => {
                spec.rowtime == rowtime
            }
            _ => false,
        };
        self.steps.iter().zip(&orders).map(is_at_once).collect()
    }

    /// What the readers of a scan make of the order of its rows.
    pub fn order_of_scan(&self, scan: usize) -> Order {
        self.order_of(Input::Scan(scan), &self.orders())
    }

    /// What the readers of each step make of the order of its rows.
    fn orders(&self) -> Vec<Order> {
        let mut orders = vec![Order::Any; self.steps.len()];
        for index in (0..self.steps.len()).rev() {
            orders[index] = self.order_of(Input::Step(index), &orders);
        }
        orders
    }

    fn order_of(&self, input: Input, orders: &[Order]) -> Order {
        let readers =
            self.steps.iter().zip(orders).filter(|(step, _)| step.inputs.contains(&input));
        let steps = readers.map(|(step, behind)| order_before(step, *behind));
        let leaves = self.outputs.iter().filter(|output| output.kind != OutputKind::Late);
        let outputs = leaves.filter(|output| output.input == input);
        let outputs = outputs.map(|output| output.order.before(output.columns.as_deref()));
        steps.chain(outputs).fold(Order::Any, Order::and)
    }
}

/// What a step makes of the order of its input, whose readers make `behind` of that of its rows.
fn order_before(step: &Step, behind: Order) -> Order {
    let width = step.schema.len();
    match &step.operator {
        OperatorSpec::Filter(_) => behind,
        OperatorSpec::Unnest { .. } => behind.with_time(|at| (at + 1 < width).then_some(at)),
        OperatorSpec::Project(columns) => behind.before(Some(columns)),
        OperatorSpec::Union => behind.mixing_ties(),
        // Two times may be one by the clock.
        OperatorSpec::LocalTime { rowtime, .. } => match behind {
            Order::ByTime { rowtime: local, .. } if local + 1 == width => {
                behind.mixing_ties().with_time(|_| Some(*rowtime))
            }
            _ => behind,
        },
        OperatorSpec::WindowAssign(spec) => match behind {
            Order::ByTime { rowtime, .. } if rowtime + 3 >= width => {
                behind.mixing_ties().with_time(|_| Some(spec.rowtime))
            }
            _ => behind,
        },
        OperatorSpec::WindowAggregate(spec) if any_order(&spec.aggregates) => {
            Order::by_time(spec.window.rowtime)
        }
        OperatorSpec::SessionAggregate(spec) if any_order(&spec.aggregates) => {
            Order::by_time(spec.rowtime)
        }
        OperatorSpec::Sort(spec) => Order::then_by_arrival(spec.rowtime),
        OperatorSpec::Over(spec) if spec.ttl_ms.is_none() && ends_with_its_row(spec) => {
            Order::then_by_arrival(spec.rowtime)
        }
        // The rows of these may come in another order: what one key gives at a time before what
        // another does.
        operator if behind.mixing_ties() != Order::Arrival => match operator {
            OperatorSpec::Over(spec) if spec.ttl_ms.is_none() => {
                Order::then_by_arrival(spec.rowtime)
            }
            OperatorSpec::MatchRecognize(spec) => Order::then_by_arrival(spec.rowtime),
            OperatorSpec::Absence(spec) => Order::then_by_arrival(spec.rowtime),
            OperatorSpec::SessionWindows(spec) => Order::by_time(spec.rowtime),
            _ => Order::Arrival,
        },
        _ => Order::Arrival,
    }
}

/// Whether each row leaves at its own time.
fn ends_with_its_row(spec: &OverSpec) -> bool {
    spec.calls.iter().all(|call| call.frame.following == 0)
}

/// Aggregates that can follow changes do not depend on the order of arrival.
fn any_order(aggregates: &[AggregateSpec]) -> bool {
    Calls::bind_changing(aggregates).is_ok()
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use crate::{expr::Expr, fragment::*, testkit::*};

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

    fn free(steps: Vec<(OperatorSpec, crate::types::Schema)>, order: Order) -> bool {
        let mut fragment = chain(steps);
        fragment.outputs[0].order = order;
        fragment.steps_at_once()[0]
    }

    fn filter() -> (OperatorSpec, crate::types::Schema) {
        let flag = crate::expr::Expr::column(FLAG, crate::types::DataType::Boolean);
        (OperatorSpec::Filter(flag), readings())
    }

    fn sort(rowtime: usize) -> (OperatorSpec, crate::types::Schema) {
        (OperatorSpec::Sort(SortSpec { rowtime, order: Vec::new() }), readings())
    }

    /// Column 1 is the value, column 0 the time.
    fn swapped() -> (OperatorSpec, crate::types::Schema) {
        let table = readings();
        let columns = [TIME, VALUE].map(|c| Expr::column(c, table.data_type(c).clone()));
        let fields = [TIME, VALUE].map(|c| table.fields[c].clone());
        (OperatorSpec::Project(columns.into()), crate::types::Schema::new(fields.into()))
    }

    #[test]
    fn sums_are_free_of_order_and_what_came_first_is_not() {
        for order in [Order::Any, Order::Arrival] {
            assert!(free(vec![first(), window("SUM")], order));
            assert!(free(vec![first(), window("MAX")], order));
            assert!(!free(vec![first(), window("FIRST_VALUE")], order));
            assert!(!free(vec![first(), window("ARRAY_AGG")], order));
            assert!(free(vec![first(), filter(), window("SUM")], order));
            assert!(free(vec![first(), sort(TIME)], order));
        }
    }

    #[test]
    fn a_table_that_only_appends_takes_rows_in_any_order() {
        for steps in [vec![first()], vec![first(), filter()], vec![first(), swapped()]] {
            assert!(free(steps.clone(), Order::Any));
            assert!(!free(steps, Order::Arrival));
        }
        let by_key = (OperatorSpec::DedupFirst(dedup(&[KEY])), readings());
        assert!(!free(vec![by_key], Order::Any), "an earlier row may take the place");
    }

    #[test]
    fn the_time_is_followed_through_projections() {
        let by_time = |rowtime| Order::ByTime { rowtime, keeps_ties: true };
        assert!(free(vec![first(), swapped()], by_time(0)));
        assert!(!free(vec![first(), swapped()], by_time(1)));
        assert!(!free(vec![first(), sort(INT)], Order::Any));
    }

    #[test]
    fn rows_that_also_leave_keep_their_order() {
        let mut fragment = chain(vec![first(), window("SUM")]);
        let mut output = fragment.outputs[0].clone();
        output.input = Input::Step(0);
        fragment.outputs.push(output);
        assert!(!fragment.steps_at_once()[0]);
        fragment.outputs[1].order = Order::Any;
        assert!(fragment.steps_at_once()[0]);
        fragment.outputs[1].order = Order::Arrival;
        fragment.outputs[1].kind = OutputKind::Late;
        assert!(fragment.steps_at_once()[0]);
    }

    #[test]
    fn a_union_mixes_rows_of_equal_time() {
        let mut fragment = join(OperatorSpec::Union, true);
        let dedup = chain(vec![first()]).steps.remove(0);
        fragment.steps[0].inputs[0] = Input::Step(0);
        fragment.steps[0].name = "union".into();
        fragment.steps.insert(0, dedup);
        fragment.outputs[0].input = Input::Step(1);
        let mut free = |order| {
            fragment.outputs[0].order = order;
            fragment.steps_at_once()[0]
        };
        assert!(free(Order::Any));
        assert!(free(Order::ByTime { rowtime: TIME, keeps_ties: false }));
        assert!(!free(Order::ByTime { rowtime: TIME, keeps_ties: true }));
    }
}
